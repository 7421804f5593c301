// SPDX-License-Identifier: MIT OR Apache-2.0
//! First enrolment over HTTP: a one-time code and a certificate request in, a certificate out.
//!
//! This crate has handlers and no listener, no database and no key: storage, issuing and time
//! are asked of an [`EnrolmentDesk`]. The decision itself is a function of facts ([`decide`]).
//!
//! What an enrolment gives is decided by the profile of the authority. The request gives the key
//! and nothing else: whatever names, extensions or powers it asks for do not matter.

mod attestation;
mod decide;
mod desk;
mod http;
mod limit;
mod order;
mod refusal;
mod request;

pub use attestation::{AttestationError, Challenges, Evidence, Makers, NONCE_BYTES, Randomness};
pub use decide::{admit, decide, is_enough};
pub use desk::{
    CardBefore, DeskError, EnrolmentDesk, HandedOut, Peer, PersonFacts, RefusedAttempt,
};
pub use http::{
    ATTESTATIONS_PATH, BODY_BYTES_MAX, CHECK_PATH, CODE_REFUSAL_FLOOR, ENROLMENTS_PATH, router,
};
pub use limit::{ATTEMPT_WINDOW, Attempts, TRACKED_MAX, TooMany};
pub use order::EnrolmentOrder;
pub use refusal::Refusal;
pub use request::{Asked, Check, LABEL_CHARS_MAX, RequestError, TEMPLATE_SMARTCARD_USER};
