// SPDX-License-Identifier: MIT OR Apache-2.0
//! Administration: one set of verbs, carried out by the running server or, without one, in place.

mod attestation;
mod audit;
mod card_life;
mod cards;
mod client;
mod execute;
mod groups;
mod listener_certificate;
mod policy;
mod protocol;
mod sessions;
mod short_path;
mod socket;
mod stock;
mod users;
mod view;
mod ways;

pub use attestation::{AttestationRequest, AttestationView, MakerView, Makes, TpmView};
pub(crate) use audit::{problem as audit_problem, verify_trail};
pub(crate) use card_life::CHECKS_MIN;
pub(crate) use cards::end_card;
pub use client::{ServerAnswer, ask_server};
pub use execute::execute;
pub(crate) use listener_certificate::renew_when_due;
pub use protocol::{
    CardLossReason, Greeting, IdentityCheck, PROTOCOL_VERSION, PhotoWish, PolicyField, Reply,
    Request, RequestLine, ResponseLine, SecretText,
};
pub(crate) use socket::user_name;
pub use socket::{bind, serve};
pub use view::{
    AuditVerdict, AuditView, CardEnd, CardLifeView, CardView, CertificateView, CodeView, GroupView,
    ImportView, LossView, PolicyChangeView, PolicyView, RenewedView, ServerView, SessionsEnded,
    UnblockView, UserEnd, UserView, WayView, WaysView,
};
