// SPDX-License-Identifier: MIT OR Apache-2.0
//! SIP messages: bytes in, [`Message`] out, and back.
//!
//! This crate opens no socket, reads no clock, draws no randomness and knows no account.
//!
//! Reading: a [`Framer`] cuts a byte stream into [`Frame`]s; a [`Message`] owns the received bytes
//! and an index into them, so that header values stay reachable exactly as they were received
//! (signatures are computed over them). The [`Headers`] trait reads typed values from a received
//! `Message` and from an [`OutMessage`] alike; [`Message::envelope`] gives the five fields that
//! every message must have, or the [`Defect`] to answer 400 with.
//!
//! Writing: an [`OutMessage`] is built header by header and stays inspectable until
//! [`OutMessage::to_bytes`]; a signature header can be appended just before. No value can break
//! out of its line: control characters are replaced when they are put in.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod addr;
mod auth;
#[doc(hidden)]
pub mod bench;
mod envelope;
mod framer;
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod instance;
pub mod limits;
mod message;
mod method;
pub mod multipart;
mod name;
mod out;
mod params;
mod parse;
mod reason;
mod scan;
mod typed;
mod uri;

pub use addr::{NameAddr, NameAddrError};
pub use auth::{AuthError, AuthParams, AuthValue};
pub use envelope::{Defect, Envelope};
pub use framer::{Frame, FrameError, Framer};
pub use headers::Headers;
pub use instance::{InstanceId, InstanceIdError, gruu};
pub use message::{Header, Message, StartLine};
pub use method::Method;
pub use name::{HeaderName, Name};
pub use out::OutMessage;
pub use params::{Params, unescape};
pub use parse::MessageError;
pub use reason::reason_phrase;
pub use scan::split_list;
pub use typed::{CSeq, Event, MediaType, Via};
pub use uri::{SipUri, UriError};
