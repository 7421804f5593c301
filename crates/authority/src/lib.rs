// SPDX-License-Identifier: MIT OR Apache-2.0
//! Profiles, issue, revoke, CRL and the audit chain.
