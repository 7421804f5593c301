// SPDX-License-Identifier: MIT OR Apache-2.0
//! `wresult`: the answer of WS-Trust (February 2005) around the token.

use super::PassiveError;
use crate::names;
use crate::ticket::SamlTicket;
use crate::xml::{Document, XmlWriter};

/// The value of `wresult` for a token.
#[must_use]
pub fn wresult(token: &SamlTicket) -> String {
    let mut xml = XmlWriter::new();
    xml.open(
        "t:RequestSecurityTokenResponse",
        &[("xmlns:t", names::TRUST_2005)],
    )
    .open("t:RequestedSecurityToken", &[])
    .raw(token.assertion())
    .close()
    .leaf("t:TokenType", &[], names::SAML);
    xml.finish()
}

/// The assertion in a `wresult`, as received; for
/// [`crate::ticket::TicketVerifier::passive_token`].
pub fn assertion_of_wresult(wresult: &str) -> Result<String, PassiveError> {
    let document = Document::parse(wresult).map_err(|_| PassiveError::NoToken)?;
    let root = document.root();
    if !root.is(names::TRUST_2005, "RequestSecurityTokenResponse") {
        return Err(PassiveError::NoToken);
    }
    root.child_of(names::TRUST_2005, "RequestedSecurityToken")
        .and_then(|token| token.child_of(names::SAML, "Assertion"))
        .map(|assertion| assertion.outer().to_owned())
        .ok_or(PassiveError::NoToken)
}
