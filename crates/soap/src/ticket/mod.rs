// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tickets: made, sealed, opened, used once.
//!
//! Four kinds share one seal. A ticket is claims (who, for which service, until when, from which
//! card) encrypted and authenticated with AES-256-GCM; the text around them — for the SAML forms
//! the whole visible assertion — is authenticated with them. So nobody without the key can make
//! one, change one, or turn one kind into another, and the proof key inside stays secret.

mod assertion;
mod audience;
mod claims;
mod issue;
mod keys;
mod replay;
mod seal;
mod verify;

pub use assertion::SamlTicket;
pub use audience::{AUDIENCE_BYTES_MAX, Audience, AudienceError};
pub use claims::{Claims, CredentialEpoch, TicketId, TicketKind, TicketSource};
pub use issue::{
    Grant, OpaqueTicket, PASSIVE_TOKEN_SECS_MAX, TICKET_SECS_MAX, TicketIssueError, TicketIssuer,
};
pub use keys::{KEYS_KEPT_MAX, KeyId, TicketKey, TicketKeyError, TicketKeyRing};
pub use replay::{ReplayCache, ReplayError};
pub use verify::{TICKET_SKEW_SECS, TicketError, TicketVerifier};
