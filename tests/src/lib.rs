// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole-system tests: the real server, card and client programs, driven from outside.
//!
//! The demo plays its story with the same parts.

pub mod dns;
pub mod namespace;
pub mod passwords;
pub mod pcsc;
pub mod person;
pub mod picture;
pub mod process;
pub mod secrets;
pub mod server;
pub mod sipe;
pub mod standin;
pub mod story;
#[path = "../../crates/tpm/tests/support/swtpm.rs"]
pub mod swtpm;
pub mod terminal;
pub mod token;
pub mod world;
