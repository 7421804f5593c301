// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM 2.0: commands, sessions and attestation over a thin transport.
//!
//! This crate knows no card, no PIN and no file of ours: it moves commands and answers. The wire
//! types (command and algorithm identifiers, response codes, attributes, public areas) are those of
//! `tpm2-protocol`; the frames are put together here, because a command's parameters are hashed and
//! encrypted apart from its header, and because what carries a secret is zeroed when it is dropped.
//!
//! # A conversation
//!
//! [`Device`] names a chip; [`Connect::connect`] opens a [`Tpm`], one short conversation. Whatever a
//! conversation loads or starts is flushed when it ends, also after an error, so that a chip with
//! three slots is not filled up by us. Answers that are asked to be tried again are tried again for
//! a bounded time; every exchange has a time limit.
//!
//! # What crosses the bus
//!
//! [`Tpm::start_session`] salts a session to a key of the chip. What is authorised with such a
//! session proves the secret by an HMAC, and the first parameter of a command or answer can travel
//! encrypted (AES-128 in CFB mode): no PIN and no secret is readable on the way. Every answer to
//! such a session carries an HMAC, which is compared in constant time before anything is believed.
//!
//! References: TCG TPM 2.0 Library, parts 1 to 3, revision 1.59; TCG EK Credential Profile 2.5.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod attestation;
mod auth;
mod capabilities;
mod commands;
mod conversation;
mod crypto;
mod device;
mod error;
mod name;
pub mod policy;
mod public;
mod session;
mod transport;
pub mod wire;

pub use auth::{Auth, AuthValue};
pub use capabilities::Capabilities;
pub use commands::{
    Blob, Hierarchy, NvPublic, Object, PIN_COUNTER_BYTES, PinCounter, SavedObject, Signature,
};
pub use conversation::Tpm;
pub use device::{Device, NotADevice};
pub use error::{Code, TpmError};
pub use name::{Handle, Name};
pub use public::{KeyUse, Public, PublicKey, Template};
pub use session::{Session, SessionKind};
pub use tpm2_protocol::data::{TpmAlgId, TpmCc, TpmEccCurve, TpmRcBase, TpmaNv, TpmaObject};
pub use transport::{Connect, MESSAGE_BYTES_MAX, Transport};
