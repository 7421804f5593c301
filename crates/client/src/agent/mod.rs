// SPDX-License-Identifier: MIT OR Apache-2.0
//! The agent: one process per person and profile that holds the session, with a socket that faces attach to.

mod core;
mod driver;
mod faces;
pub mod line;
pub mod lock;
mod presence;
pub mod protocol;
mod run;
mod tasks;
#[cfg(test)]
mod tests;

pub use run::run;
pub(crate) use tasks::card_exchange;

/// What a fresh agent prints when faces can attach.
pub const READY: &str = "ready";
