// SPDX-License-Identifier: MIT OR Apache-2.0
//! The request for a web ticket.

use super::proof::Entropy;
use super::{TrustError, body_of, open_envelope};
use crate::xml::{Document, Element};
use crate::{Address, names};

/// A request for a web ticket (`RST/Issue`).
#[derive(Debug, Clone)]
pub struct TicketRequest {
    /// A name that the answer repeats; SIPE sends its instance UUID.
    pub context: Option<String>,
    /// The service that the ticket shall be for.
    pub applies_to: String,
    /// The sign-in address that the ticket shall name.
    pub claimed_address: Option<Address>,
    /// The client's part of a proof key. Without it the ticket is a bearer ticket.
    pub entropy: Option<Entropy>,
}

/// Longest `Context` and `AppliesTo` that are taken.
const TEXT_BYTES_MAX: usize = 1024;

impl TicketRequest {
    /// The SOAP envelope, to be posted with `SOAPAction` [`names::ACTION_ISSUE`].
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut xml = open_envelope();
        xml.open("s:Body", &[]);
        let trust = ("xmlns:wst", names::TRUST);
        match &self.context {
            Some(context) => xml.open("wst:RequestSecurityToken", &[trust, ("Context", context)]),
            None => xml.open("wst:RequestSecurityToken", &[trust]),
        };
        xml.leaf("wst:TokenType", &[], names::TOKEN_SAML11);
        xml.leaf("wst:RequestType", &[], names::REQUEST_ISSUE);
        xml.open("wsp:AppliesTo", &[("xmlns:wsp", names::POLICY)])
            .open("wsa:EndpointReference", &[("xmlns:wsa", names::ADDRESSING)])
            .leaf("wsa:Address", &[], &self.applies_to)
            .close()
            .close();
        if let Some(address) = &self.claimed_address {
            xml.open("wst:Claims", &[("Dialect", names::CLAIMS_DIALECT)])
                .open(
                    "auth:ClaimType",
                    &[
                        ("xmlns:auth", names::AUTHORIZATION),
                        ("Uri", names::CLAIM_URI),
                        ("Optional", "false"),
                    ],
                )
                .leaf("auth:Value", &[], &address.sip_uri())
                .close()
                .close();
        }
        if let Some(entropy) = &self.entropy {
            xml.open("wst:Entropy", &[])
                .leaf(
                    "wst:BinarySecret",
                    &[("Type", names::SECRET_NONCE)],
                    &entropy.to_base64(),
                )
                .close();
            xml.leaf("wst:KeyType", &[], names::KEY_SYMMETRIC);
        }
        xml.finish()
    }

    /// Reads a request. Namespaces of WS-Trust 1.3 and of February 2005 may be mixed.
    pub fn parse(body: &str) -> Result<Self, TrustError> {
        let document = Document::parse(body)?;
        let body = body_of(&document)?;
        let request = body
            .children()
            .find(|e| e.local() == "RequestSecurityToken" && is_trust(e.namespace()))
            .ok_or(TrustError::Missing("RequestSecurityToken"))?;
        let kind = once(request, "RequestType")?.ok_or(TrustError::Missing("RequestType"))?;
        let kind = kind.trimmed_text();
        let issues = [names::TRUST, names::TRUST_2005]
            .iter()
            .any(|trust| kind.strip_prefix(trust) == Some("/Issue"));
        if !issues {
            return Err(TrustError::RequestType);
        }
        if let Some(token) = once(request, "TokenType")?
            && ![names::TOKEN_SAML11, names::SAML].contains(&token.trimmed_text().as_str())
        {
            return Err(TrustError::TokenType);
        }
        let applies_to = once(request, "AppliesTo")?
            .and_then(|e| e.path(&["EndpointReference", "Address"]))
            .ok_or(TrustError::Missing("AppliesTo"))?;
        let applies_to = bounded(applies_to.trimmed_text(), "AppliesTo")?;
        let context = request
            .attribute("Context")
            .map(|c| bounded(c.to_owned(), "Context"));
        let entropy = match once(request, "Entropy")? {
            None => None,
            Some(entropy) => {
                let secret =
                    once(entropy, "BinarySecret")?.ok_or(TrustError::Missing("BinarySecret"))?;
                let secret = zeroize::Zeroizing::new(secret.text());
                Some(Entropy::from_base64(&secret).ok_or(TrustError::Value("BinarySecret"))?)
            }
        };
        Ok(Self {
            context: context.transpose()?,
            applies_to,
            claimed_address: claimed_address(request)?,
            entropy,
        })
    }
}

pub(super) fn is_trust(namespace: &str) -> bool {
    [names::TRUST, names::TRUST_SLASH, names::TRUST_2005].contains(&namespace)
}

/// The child `local`, which may stand once.
pub(super) fn once<'d>(
    parent: Element<'d>,
    local: &'static str,
) -> Result<Option<Element<'d>>, TrustError> {
    let mut found = parent.children().filter(|child| child.local() == local);
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        _ => Err(TrustError::Value(local)),
    }
}

fn bounded(text: String, name: &'static str) -> Result<String, TrustError> {
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return Err(TrustError::Value(name));
    }
    Ok(text)
}

fn claimed_address(request: Element<'_>) -> Result<Option<Address>, TrustError> {
    let Some(claims) = once(request, "Claims")? else {
        return Ok(None);
    };
    let mut uris = claims
        .children()
        .filter(|e| e.local() == "ClaimType" && e.attribute("Uri") == Some(names::CLAIM_URI));
    let (Some(claim), None) = (uris.next(), uris.next()) else {
        return Err(TrustError::Value("Claims"));
    };
    let value = once(claim, "Value")?.ok_or(TrustError::Missing("Value"))?;
    Address::parse(&value.text())
        .map(Some)
        .map_err(|_| TrustError::Value("Claims"))
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
