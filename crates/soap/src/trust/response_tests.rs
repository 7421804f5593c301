// SPDX-License-Identifier: MIT OR Apache-2.0
use lanyard_x509::Sid;
use time::macros::datetime;

use super::*;
use crate::Address;
use crate::fault::{Diagnostic, SoapFault};
use crate::ticket::{
    Audience, CredentialEpoch, Grant, KeyId, TicketId, TicketKey, TicketKeyRing, TicketSource,
};

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
const SERVICE: &str =
    "https://lync.contoso.test/CertProv/CertProvisioningService.svc/WebTicket_Proof";

fn entropies() -> (Entropy, Entropy) {
    (
        Entropy::from_bytes(&[5; 32]).unwrap(),
        Entropy::from_bytes(&[6; 32]).unwrap(),
    )
}

fn request() -> TicketRequest {
    TicketRequest {
        context: Some("ctx".into()),
        applies_to: SERVICE.into(),
        claimed_address: Some(Address::parse("alice@contoso.test").unwrap()),
        entropy: Some(entropies().0),
    }
}

fn ticket(proof: Option<&ProofKey>) -> SamlTicket {
    let grant = Grant {
        account: "S-1-5-21-1-2-3-1001".parse::<Sid>().unwrap(),
        address: Address::parse("alice@contoso.test").unwrap(),
        audience: Audience::from_url(SERVICE).unwrap(),
        source: TicketSource::Password {
            epoch: CredentialEpoch([7; 16]),
        },
        lifetime: Duration::hours(8),
    };
    let ring = TicketKeyRing::new(TicketKey::from_bytes(KeyId([1; 8]), [7; 32]));
    ring.issuer()
        .web_ticket(
            &grant,
            proof,
            "https://lync.contoso.test/",
            TicketId([2; 16]),
            NOW,
        )
        .unwrap()
}

fn answer() -> String {
    let (client, server) = entropies();
    let key = ProofKey::derive(&client, &server);
    TicketResponse::new(&request(), &ticket(Some(&key)), Some(&server)).to_xml()
}

#[test]
fn both_sides_come_to_the_same_ticket_and_key() {
    let (client, server) = entropies();
    let read = WebTicket::from_response(&answer(), Some(&client)).unwrap();
    assert_eq!(read.created(), NOW);
    assert_eq!(read.expires(), NOW + Duration::hours(8));
    assert_eq!(
        read.proof_key().unwrap().as_bytes(),
        ProofKey::derive(&client, &server).as_bytes()
    );
    assert!(read.assertion().starts_with("<saml:Assertion "));
    assert!(
        read.assertion()
            .contains(&format!("AssertionID=\"{}\"", read.assertion_id()))
    );
}

#[test]
fn the_answer_has_its_form() {
    let xml = answer();
    let (head, rest) = xml.split_once("<saml:Assertion").unwrap();
    let (_, tail) = rest.split_once("</saml:Assertion>").unwrap();
    insta::assert_snapshot!(format!("{head}[assertion]{tail}"));
}

/// SIPE searches the text: the first `Lifetime`, the first `Assertion`, the first `BinarySecret`.
#[test]
fn a_search_of_the_text_finds_what_sipe_needs() {
    let xml = answer();
    let cut = |name: &str| {
        let open = xml.find(&format!(":{name}")).unwrap();
        let start = xml[open..].find('>').unwrap() + open + 1;
        let end = xml[start..].find(&format!(":{name}>")).unwrap() + start;
        let end = xml[..end].rfind("</").unwrap();
        &xml[start..end]
    };
    assert_eq!(
        cut("Lifetime"),
        "<Created xmlns=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd\">2026-11-22T12:00:00Z</Created>\
         <Expires xmlns=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd\">2026-11-22T20:00:00Z</Expires>"
    );
    assert_eq!(cut("BinarySecret"), crate::encoding::base64(&[6; 32]));
    assert!(cut("Assertion").starts_with("<saml:Conditions"));
}

#[test]
fn the_lifetime_is_canonical_inside_a_timestamp() {
    let (client, _) = entropies();
    let read = WebTicket::from_response(&answer(), Some(&client)).unwrap();
    let timestamp = format!(
        "<wsu:Timestamp xmlns:wsu=\"{}\" wsu:Id=\"timestamp\">{}</wsu:Timestamp>",
        names::WSU,
        read.lifetime_text()
    );
    let document = Document::parse(&timestamp).unwrap();
    assert_eq!(crate::xml::canonical(document.root()), timestamp);
}

#[test]
fn a_bearer_ticket_has_no_key() {
    let bearer = TicketRequest {
        entropy: None,
        ..request()
    };
    let xml = TicketResponse::new(&bearer, &ticket(None), None).to_xml();
    assert!(!xml.contains("BinarySecret") && !xml.contains("ComputedKey"));
    let read = WebTicket::from_response(&xml, None).unwrap();
    assert!(read.proof_key().is_none());
    // Who sent entropy insists on the other half.
    let refused = WebTicket::from_response(&xml, Some(&entropies().0)).unwrap_err();
    assert_eq!(refused, TrustError::Missing("Entropy"));
}

#[test]
fn a_fault_is_told_apart() {
    let fault = SoapFault::new(Diagnostic::AuthenticationTypeNotAllowed);
    let refused = WebTicket::from_response(&fault.to_xml(), None).unwrap_err();
    assert_eq!(refused, TrustError::Fault(fault));
}

#[test]
fn an_assertion_that_cannot_stand_alone_is_refused() {
    let xml = answer()
        .replace(
            "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:1.0:assertion\"",
            "<saml:Assertion",
        )
        .replace(
            "<s:Envelope",
            "<s:Envelope xmlns:saml=\"urn:oasis:names:tc:SAML:1.0:assertion\"",
        );
    let refused = WebTicket::from_response(&xml, Some(&entropies().0)).unwrap_err();
    assert!(matches!(refused, TrustError::Xml(_)), "{refused:?}");
}

#[test]
fn a_ticket_is_not_used_in_its_last_minute() {
    let read = WebTicket::from_response(&answer(), Some(&entropies().0)).unwrap();
    let end = read.expires();
    assert!(read.is_usable(end - Duration::seconds(USE_BEFORE_END_SECS + 1)));
    assert!(!read.is_usable(end - Duration::seconds(USE_BEFORE_END_SECS)));
}
