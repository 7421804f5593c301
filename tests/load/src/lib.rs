// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client of the server's wire with its keys in memory in place of cards.
//!
//! The load uses it because it is light; the tests because it can be told to do what no honest
//! client does.

pub mod card;
pub mod deployment;
pub mod net;
pub mod session;
pub mod web;
