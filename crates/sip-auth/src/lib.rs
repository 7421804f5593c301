// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS-DSK: a TLS handshake inside SIP headers, and the message signatures that follow from it.
//!
//! This crate opens no socket, reads no clock, draws no randomness beyond what TLS itself needs,
//! and knows no account: it hands out the peer's certificate chain, and who that is, whether the
//! card behind it is still good, is for others to say. It never issues anything.
//!
//! One connection has one [`server::Authenticator`] or [`client::Authenticator`]. It takes the
//! steps of the handshake, keeps the [`SecurityAssociation`], signs what is sent and verifies what
//! is received. The TLS inside stands behind [`InnerTls`]: [`tls12`] is ours; `legacy`, a feature
//! that is off by default, serves peers that know only TLS 1.0.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod association;
pub mod client;
#[doc(hidden)]
pub mod fuzzing;
mod inner;
mod keys;
#[cfg(feature = "legacy")]
pub mod legacy;
pub mod limits;
pub mod server;
mod text;
pub mod tls12;

pub use association::{Role, SecurityAssociation, SignError, VerifyError};
pub use inner::{Finished, InnerAcceptor, InnerConnector, InnerTls, InnerTlsError};
pub use keys::{EXPORTER_LABEL, KEY_BLOCK_BYTES, MessageHash, SigningKeys};
pub use text::{Proof, signature_text};

/// The scheme word of the authentication headers.
pub const SCHEME: &str = "TLS-DSK";
/// The realm that every server of this wire uses.
pub const REALM: &str = "SIP Communications Service";
/// The version of the signature text that we speak.
pub const VERSION: u32 = 4;
