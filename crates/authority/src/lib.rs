// SPDX-License-Identifier: MIT OR Apache-2.0
//! The certificate authority: profiles, prepare - lint - store - sign once, revocation, revocation lists, audit.
//!
//! This crate knows no HTTP, SIP, card or directory, reads no clock and draws no serial numbers: it is *told* who asks,
//! who approved, what time it is and which random bytes to use. It can move to another process unchanged.
//!
//! A certificate comes to be in four steps, each of which consumes the one before, so that none can be left out or
//! done twice:
//!
//! 1. [`Authority::prepare`]: the profile makes the certificate, the request gives the key; what will be signed is
//!    encoded, read back and checked ([`lint`]);
//! 2. [`Authority::store`]: the serial number is taken, durably, before anything is signed;
//! 3. [`Authority::sign`];
//! 4. [`Authority::record`]: the certificate and its audit event become durable in one transaction.
//!
//! [`Authority::issue`] and [`Authority::issue_card`] do all four.

mod actor;
pub mod audit;
mod authority;
pub mod bench;
mod card;
mod card_keys;
mod card_life;
pub mod ceremony;
mod issue;
pub mod lint;
mod memory;
mod order;
mod profile;
mod registry;
mod revoke;
mod seed;

pub use actor::{Actor, ActorError};
pub use authority::{
    Authority, AuthorityError, AuthoritySettings, CRL_LIFETIME, CRL_REFRESH, CrlIssueError,
};
pub use card::{Card, CardError, CardGuid, CardKind};
pub use card_keys::{CARD_SECRET_BYTES, CardKeys, CardSecretError, CardSecretVersion, CardSecrets};
pub use card_life::{CardCare, CardEvent, CardState, IllegalTransition};
pub use issue::{
    CardOrder, IssueError, Issued, IssuedCard, PrepareError, Prepared, RecordError, Signed, Stored,
};
pub use memory::MemoryRegistry;
pub use order::{Grant, Order, Person, ServerName, ServerNameError, SignInAddress};
pub use profile::{
    BACKDATE, CARD_LIFETIME_DEFAULT, CHAT_LIFETIME_DEFAULT, CHAT_LIFETIME_MAX, CHAT_LIFETIME_MIN,
    ISSUING_CA_LIFETIME, ROOT_CA_LIFETIME, SERVER_TLS_LIFETIME, TemplateArc,
};
pub use registry::{
    CertificateRow, Completion, CrlRow, PreparedRow, ProfileName, Registry, RegistryError,
    Revocation, RevokedRow, Status, UnknownName,
};
pub use revoke::{RevokeError, Withdrawn};
pub use seed::{NoRandomness, SerialSeed};
