// SPDX-License-Identifier: MIT OR Apache-2.0
//! The durable state of a server: one SQLite file behind the traits of directory, authority and
//! presence.
//!
//! One thread writes, in groups; what a call has returned `Ok` for is on the disk. This crate
//! decides nothing about people, certificates or presence: it keeps rows.

mod accounts;
mod attestation;
mod audit;
mod blanks;
mod cards;
mod certificates;
mod codes;
mod error;
mod groups;
mod migrate;
mod open;
mod pool;
mod registry;
mod roster;
mod store;
mod value;
mod writer;

pub use accounts::ChangeError;
pub use attestation::{KnownTpm, MakerOf, MakerRecord};
pub use blanks::BlankCard;
pub use cards::{CardChangeError, CardRecord};
pub use certificates::CertificateFilter;
pub use error::StoreError;
pub use open::BUSY_TIMEOUT;
pub use store::{Integrity, Store};
pub use writer::Tx;
