// SPDX-License-Identifier: MIT OR Apache-2.0
//! The request `GetAndPublishCert`.

use time::OffsetDateTime;
use uuid::Uuid;

use super::security::{self, ProofError, ProofTimestamp, VerifiedProof};
use super::{CertProvError, signature};
use crate::ticket::Claims;
use crate::trust::{WebTicket, body_of, open_envelope, security_of};
use crate::xml::{Document, Element};
use crate::{Address, encoding, names};

/// Largest certificate request that is taken, in DER.
pub const CSR_BYTES_MAX: usize = 16 * 1024;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetAndPublishCert {
    /// The device; one certificate is kept for a person and device.
    pub device_id: Uuid,
    /// The person.
    pub entity: Address,
    /// The certificate request, PKCS#10 in DER.
    pub csr_der: Vec<u8>,
}

impl GetAndPublishCert {
    /// The SOAP envelope, signed with the proof key of `ticket`; to be posted to `to` with
    /// `SOAPAction` [`names::ACTION_GET_AND_PUBLISH`].
    pub fn to_xml(
        &self,
        to: &str,
        message_id: Uuid,
        ticket: &WebTicket,
        timestamp: &ProofTimestamp,
    ) -> Result<String, CertProvError> {
        let key = ticket.proof_key().ok_or(CertProvError::NoProofKey)?;
        let signature = signature::sign(timestamp.as_xml(), ticket.assertion_id(), key);
        let mut xml = open_envelope();
        xml.open("s:Header", &[]);
        xml.open(
            "wsse:Security",
            &[("xmlns:wsse", names::WSSE), ("s:mustUnderstand", "1")],
        )
        .raw(timestamp.as_xml())
        .raw(ticket.assertion())
        .raw(&signature)
        .close();
        let message_id = message_id.urn().to_string();
        for (name, text) in [
            ("wsa:To", to),
            ("wsa:MessageID", message_id.as_str()),
            ("wsa:Action", names::ACTION_GET_AND_PUBLISH),
        ] {
            xml.leaf(name, &[("xmlns:wsa", names::ADDRESSING)], text);
        }
        xml.open("wsa:ReplyTo", &[("xmlns:wsa", names::ADDRESSING)])
            .leaf("wsa:Address", &[], names::ADDRESSING_ANONYMOUS)
            .close();
        xml.close();
        xml.open("s:Body", &[]);
        let device = self.device_id.braced().to_string();
        xml.open(
            "GetAndPublishCert",
            &[
                ("xmlns", names::OCS),
                ("DeviceId", &device),
                ("Entity", self.entity.as_str()),
            ],
        );
        xml.open(
            "wst:RequestSecurityToken",
            &[("xmlns:wst", names::TRUST_SLASH)],
        )
        .leaf("wst:TokenType", &[], names::TOKEN_X509)
        .leaf("wst:RequestType", &[], names::REQUEST_ISSUE)
        .leaf(
            "wsse:BinarySecurityToken",
            &[
                ("xmlns:wsse", names::WSSE),
                ("ValueType", names::VALUE_PKCS10),
                ("EncodingType", names::ENCODING_BASE64),
            ],
            &encoding::base64(&self.csr_der),
        )
        .leaf("wstep:RequestID", &[("xmlns:wstep", names::ENROLMENT)], "0");
        Ok(xml.finish())
    }
}

/// A request as the server received it. Nothing in it is proven yet.
#[derive(Debug)]
pub struct CertRequest<'a> {
    document: Document<'a>,
    asked: GetAndPublishCert,
}

impl<'a> CertRequest<'a> {
    /// Reads a request.
    pub fn parse(body: &'a str) -> Result<Self, CertProvError> {
        let document = Document::parse(body)?;
        let asked = read_body(body_of(&document)?)?;
        let security = security_of(&document).ok_or(CertProvError::Missing("Security"))?;
        only(security, names::SAML, "Assertion")?;
        Ok(Self { document, asked })
    }

    /// The ticket, as received: give it to [`crate::ticket::TicketVerifier::web_ticket`].
    #[must_use]
    pub fn assertion(&self) -> &str {
        security_of(&self.document)
            .and_then(|security| security.child_of(names::SAML, "Assertion"))
            .map_or("", Element::outer)
    }

    /// The device that asks.
    #[must_use]
    pub fn device_id(&self) -> Uuid {
        self.asked.device_id
    }

    /// The person it asks for. [`Self::verify_proof`] compares it with the ticket.
    #[must_use]
    pub fn entity(&self) -> &Address {
        &self.asked.entity
    }

    /// The certificate request, in DER.
    #[must_use]
    pub fn csr_der(&self) -> &[u8] {
        &self.asked.csr_der
    }

    /// Checks that whoever sends this has the proof key of the ticket, now, for this person.
    ///
    /// `claims` come from the very ticket in [`Self::assertion`]. The result names a
    /// [`super::ReplayKey`] that the caller marks as used before acting.
    pub fn verify_proof(
        &self,
        claims: &Claims,
        now: OffsetDateTime,
    ) -> Result<VerifiedProof, ProofError> {
        let security = security_of(&self.document).ok_or(ProofError::Missing)?;
        let proof = security::verify(&self.document, security, claims, now)?;
        if self.asked.entity != *claims.address() {
            return Err(ProofError::Entity);
        }
        Ok(proof)
    }
}

fn read_body(body: Element<'_>) -> Result<GetAndPublishCert, CertProvError> {
    let asked = only(body, names::OCS, "GetAndPublishCert")?;
    let device = asked
        .attribute("DeviceId")
        .ok_or(CertProvError::Missing("DeviceId"))?;
    let device_id = Uuid::try_parse(device).map_err(|_| CertProvError::Value("DeviceId"))?;
    let entity = asked
        .attribute("Entity")
        .ok_or(CertProvError::Missing("Entity"))?;
    let entity = Address::parse(entity).map_err(|_| CertProvError::Value("Entity"))?;
    let request = asked
        .child_of(names::TRUST_SLASH, "RequestSecurityToken")
        .or_else(|| asked.child_of(names::TRUST, "RequestSecurityToken"))
        .ok_or(CertProvError::Missing("RequestSecurityToken"))?;
    let token = only(request, names::WSSE, "BinarySecurityToken")?;
    if !token
        .attribute("ValueType")
        .is_some_and(|kind| kind.ends_with("#PKCS10"))
    {
        return Err(CertProvError::Value("ValueType"));
    }
    let csr_der = encoding::from_base64(&token.text())
        .filter(|der| !der.is_empty() && der.len() <= CSR_BYTES_MAX)
        .ok_or(CertProvError::Value("BinarySecurityToken"))?;
    Ok(GetAndPublishCert {
        device_id,
        entity,
        csr_der,
    })
}

/// The one child `local` of `namespace`.
pub(super) fn only<'d>(
    parent: Element<'d>,
    namespace: &str,
    local: &'static str,
) -> Result<Element<'d>, CertProvError> {
    let mut found = parent.children().filter(|child| child.is(namespace, local));
    match (found.next(), found.next()) {
        (Some(element), None) => Ok(element),
        _ => Err(CertProvError::Missing(local)),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
