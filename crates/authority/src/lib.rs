// SPDX-License-Identifier: MIT OR Apache-2.0
//! The certificate authority: profiles, prepare - lint - store - sign once, revocation, revocation lists, audit.
//!
//! This crate knows no HTTP, SIP, card or directory, reads no clock and draws no serial numbers: it is *told* who asks,
//! who approved, what time it is and which random bytes to use. It can move to another process unchanged.

mod actor;
pub mod audit;
mod card;
mod registry;

pub use actor::{Actor, ActorError};
pub use card::{CardError, CardGuid, CardKind};
pub use registry::{
    CertificateRow, Completion, CrlRow, PreparedRow, ProfileName, Registry, RegistryError,
    Revocation, RevokedRow, Status, UnknownName,
};
