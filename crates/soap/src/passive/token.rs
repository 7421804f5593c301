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

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::Address;
    use crate::ticket::{Audience, Grant, KeyId, TicketId, TicketKey, TicketKeyRing, TicketSource};

    #[test]
    fn the_token_goes_through_wresult_unchanged() {
        let ring = TicketKeyRing::new(TicketKey::from_bytes(KeyId([1; 8]), [7; 32]));
        let audience = Audience::from_url("https://h/PassiveAuth").unwrap();
        let now = datetime!(2026-11-22 12:00 UTC);
        let grant = Grant {
            account: "S-1-5-21-1-2-3-1001".parse().unwrap(),
            address: Address::parse("alice@contoso.test").unwrap(),
            audience: audience.clone(),
            source: TicketSource::Card {
                serial: "4a".parse().unwrap(),
            },
            lifetime: Duration::minutes(2),
        };
        let token = ring
            .issuer()
            .passive_token(&grant, "https://h/adfs", TicketId([3; 16]), now)
            .unwrap();
        let assertion = assertion_of_wresult(&wresult(&token)).unwrap();
        assert_eq!(assertion, token.assertion());
        assert!(
            ring.verifier()
                .passive_token(&assertion, &audience, now)
                .is_ok()
        );
    }

    #[test]
    fn other_answers_hold_no_token() {
        for text in [
            "",
            "<a/>",
            "<RequestSecurityTokenResponse/>",
            "<!DOCTYPE a><a/>",
        ] {
            assert_eq!(assertion_of_wresult(text), Err(PassiveError::NoToken));
        }
    }
}
