// SPDX-License-Identifier: MIT OR Apache-2.0
//! People, accounts, groups and policy.
