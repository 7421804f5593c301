// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SAML 1.1 form of a ticket.
//!
//! The assertion declares its own namespaces and names itself in double quotes, because clients
//! cut it out of the answer as text and send it back as text. The sealed claims stand in
//! `Advice`, where SAML lets elements of others stand.

use std::fmt;

use time::OffsetDateTime;

use super::claims::{Claims, TicketSource};
use crate::xml::{Document, XmlWriter};
use crate::{encoding, names, stamp};

/// Prefix of the id of an assertion.
const ID_PREFIX: &str = "SamlSecurityToken-";

/// A ticket as SAML assertion.
#[derive(Clone, PartialEq, Eq)]
pub struct SamlTicket {
    pub(super) assertion: String,
    pub(super) assertion_id: String,
    pub(super) created: OffsetDateTime,
    pub(super) expires: OffsetDateTime,
}

impl SamlTicket {
    /// The assertion, to be sent as it is.
    #[must_use]
    pub fn assertion(&self) -> &str {
        &self.assertion
    }

    /// Its `AssertionID`.
    #[must_use]
    pub fn assertion_id(&self) -> &str {
        &self.assertion_id
    }

    /// When it begins.
    #[must_use]
    pub fn created(&self) -> OffsetDateTime {
        self.created
    }

    /// When it ends.
    #[must_use]
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }
}

impl fmt::Debug for SamlTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SamlTicket({}, ..)", self.assertion_id)
    }
}

/// The visible text before and after the sealed claims.
pub(super) struct Visible {
    pub(super) before: String,
    pub(super) after: String,
    pub(super) assertion_id: String,
}

/// Writes the visible part of an assertion.
pub(super) fn visible(claims: &Claims, issuer: &str) -> Visible {
    let assertion_id = format!("{ID_PREFIX}{}", claims.id());
    let (issued, expires) = (
        stamp::write(claims.issued()),
        stamp::write(claims.expires()),
    );
    let (method, confirmation) = methods(claims);
    let mut xml = XmlWriter::new();
    xml.open(
        "saml:Assertion",
        &[
            ("xmlns:saml", names::SAML),
            ("MajorVersion", "1"),
            ("MinorVersion", "1"),
            ("AssertionID", &assertion_id),
            ("Issuer", issuer),
            ("IssueInstant", &issued),
        ],
    );
    xml.open(
        "saml:Conditions",
        &[("NotBefore", &issued), ("NotOnOrAfter", &expires)],
    )
    .open("saml:AudienceRestrictionCondition", &[])
    .leaf("saml:Audience", &[], claims.audience().as_str())
    .close()
    .close();
    xml.open("saml:Advice", &[]).open(
        "lanyard:Sealed",
        &[("xmlns:lanyard", names::LANYARD_TICKET)],
    );
    let sealed_at = xml.len();
    xml.close().close();
    xml.open(
        "saml:AuthenticationStatement",
        &[
            ("AuthenticationMethod", method),
            ("AuthenticationInstant", &issued),
        ],
    )
    .open("saml:Subject", &[])
    .leaf(
        "saml:NameIdentifier",
        &[("Format", names::CLAIM_URI)],
        &claims.address().sip_uri(),
    )
    .open("saml:SubjectConfirmation", &[])
    .leaf("saml:ConfirmationMethod", &[], confirmation);
    let text = xml.finish();
    let (before, after) = text.split_at_checked(sealed_at).unwrap_or((&text, ""));
    Visible {
        before: before.to_owned(),
        after: after.to_owned(),
        assertion_id,
    }
}

fn methods(claims: &Claims) -> (&'static str, &'static str) {
    let method = match claims.source() {
        TicketSource::Card { .. } => "urn:ietf:rfc:2246",
        TicketSource::Password { .. } => "urn:oasis:names:tc:SAML:1.0:am:password",
    };
    let confirmation = match claims.proof_key() {
        Some(_) => "urn:oasis:names:tc:SAML:1.0:cm:holder-of-key",
        None => "urn:oasis:names:tc:SAML:1.0:cm:bearer",
    };
    (method, confirmation)
}

/// Cuts an assertion into the text around the sealed claims and the claims.
///
/// `None` when it is not an assertion with exactly one seal.
pub(super) fn split(assertion: &str) -> Option<(&str, Vec<u8>, &str)> {
    let document = Document::parse(assertion).ok()?;
    let root = document.root();
    // A byte order mark or a declaration before the element would shift the cut.
    if root.outer().len() != assertion.len() || !root.is(names::SAML, "Assertion") {
        return None;
    }
    let mut seals = root
        .descendants()
        .filter(|e| e.is(names::LANYARD_TICKET, "Sealed"));
    let sealed = seals.next()?;
    if seals.next().is_some() {
        return None;
    }
    let range = sealed.inner_range();
    let claims = encoding::from_base64_url(assertion.get(range.clone())?)?;
    Some((
        assertion.get(..range.start)?,
        claims,
        assertion.get(range.end..)?,
    ))
}
