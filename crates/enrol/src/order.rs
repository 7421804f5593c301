// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was decided to be issued.

use lanyard_authority::{Card, Status};
use lanyard_directory::AccountId;
use lanyard_x509::PublicKey;

/// An enrolment that was approved by its one-time code. The desk adds the person's names from
/// the directory and has the certificates made.
#[derive(Debug, Clone)]
pub struct EnrolmentOrder {
    /// Whose card it is.
    pub account: AccountId,
    /// The card.
    pub card: Card,
    /// The name that the person gave the card.
    pub label: String,
    /// The key in slot 9A, proven by the request's own signature.
    pub key: PublicKey,
    /// The key in slot 9E, when the card has one.
    pub authentication_key: Option<PublicKey>,
    /// [`Status::Active`] when the person has chosen a PIN before, [`Status::Issued`] otherwise.
    pub status: Status,
}
