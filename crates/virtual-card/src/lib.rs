// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card we make: PIV application, key keepers, reader link.
