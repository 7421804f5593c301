// SPDX-License-Identifier: MIT OR Apache-2.0
//! The answer with a web ticket: written for clients that search its text, read by our own.

use std::fmt;

use time::{Duration, OffsetDateTime};

use super::proof::{Entropy, ProofKey};
use super::request::{TicketRequest, is_trust, once};
use super::{TrustError, body_of, fault_of, open_envelope};
use crate::ticket::SamlTicket;
use crate::xml::{Document, Element};
use crate::{names, stamp};

/// A ticket is not used in its last minute.
const USE_BEFORE_END_SECS: i64 = 60;

/// The answer of the web ticket service.
#[derive(Debug, Clone, Copy)]
pub struct TicketResponse<'a> {
    request: &'a TicketRequest,
    ticket: &'a SamlTicket,
    entropy: Option<&'a Entropy>,
}

impl<'a> TicketResponse<'a> {
    /// Answers `request` with `ticket`; `entropy` is the server's part of the proof key.
    #[must_use]
    pub fn new(
        request: &'a TicketRequest,
        ticket: &'a SamlTicket,
        entropy: Option<&'a Entropy>,
    ) -> Self {
        Self {
            request,
            ticket,
            entropy,
        }
    }

    /// The SOAP envelope.
    ///
    /// Clients copy the inside of `Lifetime` as text into the timestamp that they sign. So it
    /// stands here in the exclusive canonical form that it will have there.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut xml = open_envelope();
        xml.open("s:Header", &[])
            .leaf(
                "a:Action",
                &[("xmlns:a", names::ADDRESSING)],
                names::ACTION_ISSUED,
            )
            .close();
        xml.open("s:Body", &[]).open(
            "wst:RequestSecurityTokenResponseCollection",
            &[("xmlns:wst", names::TRUST)],
        );
        match &self.request.context {
            Some(context) => xml.open("wst:RequestSecurityTokenResponse", &[("Context", context)]),
            None => xml.open("wst:RequestSecurityTokenResponse", &[]),
        };
        xml.leaf("wst:TokenType", &[], names::TOKEN_SAML11);
        xml.open("wst:RequestedSecurityToken", &[])
            .raw(self.ticket.assertion())
            .close();
        if self.entropy.is_some() {
            xml.open("wst:RequestedProofToken", &[])
                .leaf("wst:ComputedKey", &[], names::COMPUTED_KEY_PSHA1)
                .close();
        }
        xml.open("wsp:AppliesTo", &[("xmlns:wsp", names::POLICY)])
            .open("wsa:EndpointReference", &[("xmlns:wsa", names::ADDRESSING)])
            .leaf("wsa:Address", &[], &self.request.applies_to)
            .close()
            .close();
        xml.open("wst:Lifetime", &[])
            .leaf(
                "Created",
                &[("xmlns", names::WSU)],
                &stamp::write(self.ticket.created()),
            )
            .leaf(
                "Expires",
                &[("xmlns", names::WSU)],
                &stamp::write(self.ticket.expires()),
            )
            .close();
        if let Some(entropy) = self.entropy {
            xml.open("wst:Entropy", &[])
                .leaf(
                    "wst:BinarySecret",
                    &[("Type", names::SECRET_NONCE)],
                    &entropy.to_base64(),
                )
                .close();
        }
        xml.finish()
    }
}

/// A web ticket in the hands of a client.
#[derive(Clone)]
pub struct WebTicket {
    assertion: String,
    assertion_id: String,
    lifetime: String,
    created: OffsetDateTime,
    expires: OffsetDateTime,
    proof_key: Option<ProofKey>,
}

impl WebTicket {
    /// Reads the answer of the service; `entropy` is what the request carried.
    pub fn from_response(body: &str, entropy: Option<&Entropy>) -> Result<Self, TrustError> {
        let document = Document::parse(body)?;
        let body = body_of(&document)?;
        if let Some(fault) = fault_of(body) {
            return Err(TrustError::Fault(fault));
        }
        let answer =
            response_in(body).ok_or(TrustError::Missing("RequestSecurityTokenResponse"))?;
        let token = once(answer, "RequestedSecurityToken")?
            .ok_or(TrustError::Missing("RequestedSecurityToken"))?;
        let assertion = token
            .child_of(names::SAML, "Assertion")
            .ok_or(TrustError::Missing("Assertion"))?;
        // It will be sent alone: it has to be a document by itself.
        Document::parse(assertion.outer())?;
        let assertion_id = assertion
            .attribute("AssertionID")
            .filter(|id| !id.is_empty())
            .ok_or(TrustError::Missing("AssertionID"))?;
        let lifetime = once(answer, "Lifetime")?.ok_or(TrustError::Missing("Lifetime"))?;
        let proof_key = match (entropy, once(answer, "Entropy")?) {
            (Some(ours), Some(theirs)) => {
                let secret =
                    once(theirs, "BinarySecret")?.ok_or(TrustError::Missing("BinarySecret"))?;
                let secret = zeroize::Zeroizing::new(secret.text());
                let theirs =
                    Entropy::from_base64(&secret).ok_or(TrustError::Value("BinarySecret"))?;
                Some(ProofKey::derive(ours, &theirs))
            }
            (Some(_), None) => return Err(TrustError::Missing("Entropy")),
            (None, _) => None,
        };
        Ok(Self {
            assertion: assertion.outer().to_owned(),
            assertion_id: assertion_id.to_owned(),
            lifetime: lifetime.inner().to_owned(),
            created: time_in(lifetime, "Created")?,
            expires: time_in(lifetime, "Expires")?,
            proof_key,
        })
    }

    /// The assertion, to be sent as it is.
    #[must_use]
    pub fn assertion(&self) -> &str {
        &self.assertion
    }

    /// Its id.
    #[must_use]
    pub fn assertion_id(&self) -> &str {
        &self.assertion_id
    }

    /// What stood inside `Lifetime`, as received.
    #[must_use]
    pub fn lifetime_text(&self) -> &str {
        &self.lifetime
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

    /// Whether it is worth being used at `now`.
    #[must_use]
    pub fn is_usable(&self, now: OffsetDateTime) -> bool {
        now.saturating_add(Duration::seconds(USE_BEFORE_END_SECS)) < self.expires
    }

    /// The key to prove possession with, when the request carried entropy.
    #[must_use]
    pub fn proof_key(&self) -> Option<&ProofKey> {
        self.proof_key.as_ref()
    }
}

impl fmt::Debug for WebTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebTicket({}, ..)", self.assertion_id)
    }
}

/// The answer, alone or in a collection.
fn response_in(body: Element<'_>) -> Option<Element<'_>> {
    let trust = |e: &Element<'_>, local: &str| e.local() == local && is_trust(e.namespace());
    let outer = body
        .children()
        .find(|e| trust(e, "RequestSecurityTokenResponseCollection"))
        .unwrap_or(body);
    outer
        .children()
        .find(|e| trust(e, "RequestSecurityTokenResponse"))
}

fn time_in(lifetime: Element<'_>, name: &'static str) -> Result<OffsetDateTime, TrustError> {
    let element = lifetime
        .child_of(names::WSU, name)
        .ok_or(TrustError::Missing(name))?;
    stamp::read(&element.text()).ok_or(TrustError::Value(name))
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
