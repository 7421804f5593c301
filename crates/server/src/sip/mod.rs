// SPDX-License-Identifier: MIT OR Apache-2.0
//! SIP over TLS: connections, their authentication, and the hub behind them.

pub mod connection;
pub mod core;
pub mod outbox;
pub mod people;
pub mod signin;
pub mod words;
