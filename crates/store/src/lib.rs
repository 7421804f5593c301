// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SQLite store behind the traits of directory, authority and presence.
