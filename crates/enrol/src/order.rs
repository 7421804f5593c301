// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was decided to be issued.

use lanyard_attest::Level;
use lanyard_authority::{Card, CardCare, Status};
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
    /// The make of the card, as far as the program knows it; empty otherwise.
    pub make: String,
    /// The computer that it is enrolled on; empty when it was not told.
    pub computer: String,
    /// Who will unblock the card.
    pub care: CardCare,
    /// The key in slot 9A, proven by the request's own signature.
    pub key: PublicKey,
    /// The key in slot 9E, when the card has one.
    pub authentication_key: Option<PublicKey>,
    /// What was proved about where the key in slot 9A lives.
    pub level: Level,
    /// [`Status::Active`] when the person has chosen a PIN before, [`Status::Issued`] otherwise.
    pub status: Status,
}
