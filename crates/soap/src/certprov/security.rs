// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `wsse:Security` header: timestamp and proof.

use aws_lc_rs::digest;
use time::{Duration, OffsetDateTime};

use super::signature::{Signature, TIMESTAMP_ID};
use crate::ticket::{Claims, TICKET_SECS_MAX};
use crate::trust::WebTicket;
use crate::xml::{Document, Element, XmlWriter};
use crate::{names, stamp};

/// How far the clocks of client and server may differ.
pub const PROOF_SKEW_SECS: i64 = 300;
/// How long a proof of our own client says that it is fresh.
pub const PROOF_FRESH_SECS: i64 = 300;

/// Why a proof of possession is refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Timestamp or signature is missing, or there are two.
    #[error("the request is not signed")]
    Missing,
    /// The signature has another form than the one that is used here.
    #[error("the signature has a form that is not accepted")]
    Form,
    /// The ticket is a bearer ticket; it proves nothing.
    #[error("the ticket has no proof key")]
    NoProofKey,
    /// The signature names another ticket than the one beside it.
    #[error("the signature belongs to another ticket")]
    OtherTicket,
    /// Digest or signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// The timestamp does not include this moment: the clocks differ, or the request is old.
    #[error(
        "the timestamp of the request is {offset_secs} seconds away from the time of the server"
    )]
    Clock {
        /// Seconds by which the client's time differs; negative when it is behind.
        offset_secs: i64,
    },
    /// The timestamp has no times, or spans more than a ticket may live.
    #[error("the timestamp is not understood")]
    Timestamp,
    /// The request is for another person than the ticket.
    #[error("the request is for another person than the ticket")]
    Entity,
}

/// A timestamp in the canonical form that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofTimestamp(String);

impl ProofTimestamp {
    /// The moment of the request. What our own client sends.
    #[must_use]
    pub fn fresh(now: OffsetDateTime) -> Self {
        let end = now.saturating_add(Duration::seconds(PROOF_FRESH_SECS));
        let mut xml = XmlWriter::new();
        xml.open(
            "wsu:Timestamp",
            &[("xmlns:wsu", names::WSU), ("wsu:Id", TIMESTAMP_ID)],
        )
        .leaf("wsu:Created", &[], &stamp::write(now))
        .leaf("wsu:Expires", &[], &stamp::write(end));
        Self(xml.finish())
    }

    /// The life of the ticket, as SIPE sends it: the text of the answer inside a `Timestamp`.
    #[must_use]
    pub fn of_lifetime(ticket: &WebTicket) -> Self {
        let mut xml = XmlWriter::new();
        xml.open(
            "wsu:Timestamp",
            &[("xmlns:wsu", names::WSU), ("wsu:Id", TIMESTAMP_ID)],
        )
        .raw(ticket.lifetime_text());
        Self(xml.finish())
    }

    pub(super) fn as_xml(&self) -> &str {
        &self.0
    }
}

/// Names one proof, for a [`crate::ticket::ReplayCache`].
pub type ReplayKey = [u8; 32];

/// A proof that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedProof {
    replay_key: ReplayKey,
    expires: OffsetDateTime,
}

impl VerifiedProof {
    /// What to mark as used: the same proof must not serve twice.
    #[must_use]
    pub fn replay_key(&self) -> ReplayKey {
        self.replay_key
    }

    /// Until when it would be accepted, and so has to be remembered.
    #[must_use]
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }
}

/// Checks the proof in a `Security` header against the claims of the ticket in it.
pub(super) fn verify(
    document: &Document<'_>,
    security: Element<'_>,
    claims: &Claims,
    now: OffsetDateTime,
) -> Result<VerifiedProof, ProofError> {
    let key = claims.proof_key().ok_or(ProofError::NoProofKey)?;
    let timestamp = only(security, names::WSU, "Timestamp")?;
    let assertion = only(security, names::SAML, "Assertion")?;
    let signature = Signature::read(only(security, names::DSIG, "Signature")?)?;
    if assertion.attribute("AssertionID") != Some(signature.key_identifier.as_str()) {
        return Err(ProofError::OtherTicket);
    }
    // One element of the whole message has the id, and it is this timestamp: no second one can
    // be signed in its place.
    let id = timestamp.attribute_of(names::WSU, "Id");
    let bearers = document
        .root()
        .descendants()
        .filter(|e| has_id(*e, signature.reference));
    if id != Some(signature.reference) || bearers.count() != 1 {
        return Err(ProofError::Form);
    }
    signature.verify(timestamp, key)?;
    let expires = check_time(timestamp, now)?;
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&claims.id().0);
    context.update(signature.value());
    let mut replay_key = [0; 32];
    for (to, from) in replay_key.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    Ok(VerifiedProof {
        replay_key,
        expires: expires.min(claims.expires()),
    })
}

/// Gives the end of the time in which the timestamp is accepted.
fn check_time(timestamp: Element<'_>, now: OffsetDateTime) -> Result<OffsetDateTime, ProofError> {
    let time = |name| {
        let element = only(timestamp, names::WSU, name).map_err(|_| ProofError::Timestamp)?;
        stamp::read(&element.text()).ok_or(ProofError::Timestamp)
    };
    let (created, expires) = (time("Created")?, time("Expires")?);
    let span = (expires - created).whole_seconds();
    if !(1..=TICKET_SECS_MAX).contains(&span) {
        return Err(ProofError::Timestamp);
    }
    let skew = Duration::seconds(PROOF_SKEW_SECS);
    let (first, last) = (created.saturating_sub(skew), expires.saturating_add(skew));
    if now < first || now >= last {
        return Err(ProofError::Clock {
            offset_secs: (created - now).whole_seconds(),
        });
    }
    Ok(last)
}

fn has_id(element: Element<'_>, id: &str) -> bool {
    [
        element.attribute_of(names::WSU, "Id"),
        element.attribute("Id"),
        element.attribute("ID"),
    ]
    .contains(&Some(id))
}

fn only<'d>(
    parent: Element<'d>,
    namespace: &str,
    local: &'static str,
) -> Result<Element<'d>, ProofError> {
    super::request::only(parent, namespace, local).map_err(|_| ProofError::Missing)
}
