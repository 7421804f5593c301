// SPDX-License-Identifier: MIT OR Apache-2.0
//! The audit trail: rows that are only ever added, each holding the hash of the one before.
//!
//! Who changes, removes or inserts a row has to change every later hash, and cannot change the heads that the
//! authority's key has signed in the meantime.

mod action;
mod chain;
mod event;
mod head;

pub use action::{Action, UnknownAction};
pub use chain::{AuditLog, AuditLogError, ChainBroken, ChainFault, Head, Verifier, verify};
pub use event::{
    AuditEntry, AuditEvent, DETAILS_BYTES_MAX, EventHash, NotAHash, SUBJECT_BYTES_MAX, seal,
};
pub use head::{HeadError, SignedHead, check_heads, sign_head};
