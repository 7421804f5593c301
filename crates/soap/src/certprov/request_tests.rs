// SPDX-License-Identifier: MIT OR Apache-2.0
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::super::{PROOF_SKEW_SECS, ProofError};
use super::*;
use crate::ticket::{
    Audience, CredentialEpoch, Grant, KeyId, ReplayCache, ReplayError, SamlTicket, TicketId,
    TicketKey, TicketKeyRing, TicketSource,
};
use crate::trust::{Entropy, ProofKey, TicketRequest, TicketResponse};

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
const SERVICE: &str =
    "https://lync.contoso.test/CertProv/CertProvisioningService.svc/WebTicket_Proof";

fn ring() -> TicketKeyRing {
    TicketKeyRing::new(TicketKey::from_bytes(KeyId([1; 8]), [7; 32]))
}

fn audience() -> Audience {
    Audience::from_url(SERVICE).unwrap()
}

fn saml(address: &str, proof: &ProofKey) -> SamlTicket {
    let grant = Grant {
        account: "S-1-5-21-1-2-3-1001".parse().unwrap(),
        address: Address::parse(address).unwrap(),
        audience: audience(),
        source: TicketSource::Password {
            epoch: CredentialEpoch([7; 16]),
        },
        lifetime: Duration::hours(8),
    };
    ring()
        .issuer()
        .web_ticket(
            &grant,
            Some(proof),
            "https://lync.contoso.test/",
            TicketId([2; 16]),
            NOW,
        )
        .unwrap()
}

/// A ticket as a client gets it.
fn ticket() -> WebTicket {
    let (client, server) = (
        Entropy::from_bytes(&[5; 32]).unwrap(),
        Entropy::from_bytes(&[6; 32]).unwrap(),
    );
    let request = TicketRequest {
        context: None,
        applies_to: SERVICE.into(),
        claimed_address: None,
        entropy: Some(client.clone()),
    };
    let saml = saml("alice@contoso.test", &ProofKey::derive(&client, &server));
    let answer = TicketResponse::new(&request, &saml, Some(&server)).to_xml();
    WebTicket::from_response(&answer, Some(&client)).unwrap()
}

fn asked() -> GetAndPublishCert {
    GetAndPublishCert {
        device_id: Uuid::from_u128(0x0e32_4752),
        entity: Address::parse("alice@contoso.test").unwrap(),
        csr_der: (0..=255).collect(),
    }
}

fn message(timestamp: &ProofTimestamp) -> String {
    asked()
        .to_xml(SERVICE, Uuid::from_u128(1), &ticket(), timestamp)
        .unwrap()
}

/// What the server does with a message.
fn served(body: &str, now: OffsetDateTime) -> Result<VerifiedProof, ProofError> {
    let request = CertRequest::parse(body).unwrap();
    let ring = ring();
    let claims = ring
        .verifier()
        .web_ticket(request.assertion(), &audience(), NOW)
        .unwrap();
    request.verify_proof(&claims, now)
}

#[test]
fn our_own_request_is_served() {
    let body = message(&ProofTimestamp::fresh(NOW));
    let request = CertRequest::parse(&body).unwrap();
    assert_eq!(request.entity(), &asked().entity);
    assert_eq!(request.device_id(), asked().device_id);
    assert_eq!(request.csr_der(), asked().csr_der);
    assert!(served(&body, NOW).is_ok());
}

#[test]
fn a_request_with_the_life_of_the_ticket_is_served_until_its_end() {
    let body = message(&ProofTimestamp::of_lifetime(&ticket()));
    assert!(served(&body, NOW).is_ok());
    assert!(served(&body, NOW + Duration::hours(7)).is_ok());
}

#[test]
fn the_request_has_its_form() {
    let body = message(&ProofTimestamp::fresh(NOW));
    let (head, rest) = body.split_once("<saml:Assertion").unwrap();
    let (_, tail) = rest.split_once("</saml:Assertion>").unwrap();
    insta::assert_snapshot!(format!("{head}[assertion]{tail}"));
}

#[test]
fn a_request_is_not_printed_with_its_ticket() {
    let body = message(&ProofTimestamp::fresh(NOW));
    let shown = format!("{:?}", CertRequest::parse(&body).unwrap());
    assert!(
        !shown.contains("Sealed") && !shown.contains("SignatureValue"),
        "{shown}"
    );
}

/// Signatures made by an independent implementation, in the shape of SIPE and in ours, spliced
/// into an envelope with other prefixes than our own.
#[test]
fn signatures_of_an_independent_implementation_hold() {
    let key: Vec<u8> = (200..232).collect();
    let key = ProofKey::from_bytes(key.try_into().unwrap());
    let saml = saml("alice@contoso.test", &key);
    for (timestamp, signature) in [
        (
            include_str!("../../testdata/proof/lifetime.timestamp.xml"),
            include_str!("../../testdata/proof/lifetime.signature.xml"),
        ),
        (
            include_str!("../../testdata/proof/fresh.timestamp.xml"),
            include_str!("../../testdata/proof/fresh.signature.xml"),
        ),
    ] {
        let signature = signature.replace("ASSERTION-ID", saml.assertion_id());
        let body = format!(
            "<?xml version=\"1.0\"?>\r\n<soap:Envelope xmlns:soap=\"{}\" xmlns:wsa=\"{}\" xmlns:wsse=\"{}\">\
             <soap:Header><wsa:To>{SERVICE}</wsa:To><wsse:Security>{timestamp}{}{signature}</wsse:Security></soap:Header>\
             <soap:Body><GetAndPublishCert xmlns=\"{}\" xmlns:wst=\"{}\" DeviceId=\"{{0e324752-e1ab-56eb-8f4a-267c85a97459}}\" Entity=\"alice@contoso.test\">\
             <wst:RequestSecurityToken><wsse:BinarySecurityToken ValueType=\"{}\">AAEC\r\nAwQF</wsse:BinarySecurityToken>\
             </wst:RequestSecurityToken></GetAndPublishCert></soap:Body></soap:Envelope>",
            names::SOAP,
            names::ADDRESSING,
            names::WSSE,
            saml.assertion(),
            names::OCS,
            names::TRUST_SLASH,
            names::VALUE_PKCS10,
        );
        let request = CertRequest::parse(&body).unwrap();
        assert_eq!(request.csr_der(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(request.assertion(), saml.assertion());
        let ring = ring();
        let claims = ring
            .verifier()
            .web_ticket(request.assertion(), &audience(), NOW)
            .unwrap();
        request.verify_proof(&claims, NOW).unwrap();
        // One bit of the timestamp and it does not hold any more.
        let later = body.replacen("2026-11-22T12:00:00Z</", "2026-11-22T12:00:01Z</", 1);
        let request = CertRequest::parse(&later).unwrap();
        assert_eq!(
            request.verify_proof(&claims, NOW),
            Err(ProofError::Signature)
        );
    }
}

#[test]
fn the_same_proof_serves_once() {
    let mut cache = ReplayCache::with_capacity(10);
    let body = message(&ProofTimestamp::fresh(NOW));
    let proof = served(&body, NOW).unwrap();
    assert_eq!(
        cache.use_once(proof.replay_key(), proof.expires(), NOW),
        Ok(())
    );
    // Another certificate request under the same signature is the same proof.
    let other = body.replace("AAEC", "BBEC");
    let again = served(&other, NOW).unwrap();
    assert_eq!(
        cache.use_once(again.replay_key(), again.expires(), NOW),
        Err(ReplayError::Replayed)
    );
    // It is remembered for as long as it would be accepted.
    let last = proof.expires() - Duration::seconds(1);
    assert!(served(&body, last).is_ok());
    assert!(matches!(
        served(&body, proof.expires()),
        Err(ProofError::Clock { .. })
    ));
}

#[test]
fn clocks_that_differ_are_told_by_how_much() {
    let body = message(&ProofTimestamp::fresh(NOW));
    let skew = Duration::seconds(PROOF_SKEW_SECS);
    assert!(served(&body, NOW - skew).is_ok());
    assert_eq!(
        served(&body, NOW - skew - Duration::seconds(1)),
        Err(ProofError::Clock {
            offset_secs: PROOF_SKEW_SECS + 1
        })
    );
    assert_eq!(
        served(&body, NOW + Duration::hours(1)),
        Err(ProofError::Clock { offset_secs: -3600 })
    );
}

#[test]
fn a_request_for_another_person_is_refused() {
    let body = message(&ProofTimestamp::fresh(NOW)).replace("Entity=\"alice@", "Entity=\"bobby@");
    assert_eq!(served(&body, NOW), Err(ProofError::Entity));
}

#[test]
fn changed_signatures_are_refused() {
    let body = message(&ProofTimestamp::fresh(NOW));
    let refused = |from: &str, to: &str| {
        assert!(body.contains(from), "{from}");
        served(&body.replacen(from, to, 1), NOW).unwrap_err()
    };
    let value = body
        .split_once("<SignatureValue>")
        .unwrap()
        .1
        .split_once('<')
        .unwrap()
        .0;
    assert_eq!(
        refused(value, &crate::encoding::base64(&[0; 20])),
        ProofError::Signature
    );
    // A prefix of the right value is not enough.
    let cut = crate::encoding::from_base64(value).unwrap()[..10].to_vec();
    assert_eq!(
        refused(value, &crate::encoding::base64(&cut)),
        ProofError::Signature
    );
    assert_eq!(refused("12:05:00Z", "12:06:00Z"), ProofError::Signature);
    assert_eq!(
        refused("xmldsig#hmac-sha1", "xmldsig#rsa-sha1"),
        ProofError::Form
    );
    assert_eq!(refused("xmldsig#sha1", "xmlenc#sha256"), ProofError::Form);
    assert_eq!(refused("URI=\"#timestamp\"", "URI=\"\""), ProofError::Form);
    assert_eq!(
        refused("URI=\"#timestamp\"", "URI=\"#other\""),
        ProofError::Form
    );
    assert_eq!(
        refused(">SamlSecurityToken-", ">Other-"),
        ProofError::OtherTicket
    );
    let other = body.replace("wsu:Timestamp", "wsu:Other");
    assert_eq!(served(&other, NOW), Err(ProofError::Missing));
}

#[test]
fn parameters_that_weaken_the_signature_are_refused() {
    let body = message(&ProofTimestamp::fresh(NOW));
    let short = body.replace(
        "#hmac-sha1\"></SignatureMethod>",
        "#hmac-sha1\"><HMACOutputLength>8</HMACOutputLength></SignatureMethod>",
    );
    assert_eq!(served(&short, NOW), Err(ProofError::Form));
    let prefixes = body.replacen(
        "exc-c14n#\"></",
        "exc-c14n#\"><InclusiveNamespaces xmlns=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"x\"/></",
        1,
    );
    assert_ne!(prefixes, body);
    assert_eq!(served(&prefixes, NOW), Err(ProofError::Form));
    let two = body.replace("<Reference ", "<Reference URI=\"#x\"/><Reference ");
    assert_eq!(served(&two, NOW), Err(ProofError::Form));
}

#[test]
fn a_second_timestamp_cannot_be_signed_in_place_of_the_first() {
    let body = message(&ProofTimestamp::fresh(NOW));
    let start = body.find("<wsu:Timestamp").unwrap();
    let end = body.find("</wsu:Timestamp>").unwrap() + "</wsu:Timestamp>".len();
    let signed = &body[start..end];
    let forged = signed
        .replace("12:00:00Z", "18:00:00Z")
        .replace("12:05:00Z", "18:05:00Z");
    let later = NOW + Duration::hours(6);
    // The signed one moved elsewhere, another one in its place, with the same or another id.
    let moved = body
        .replace(signed, &forged)
        .replace("<s:Body>", &format!("<s:Body>{signed}"));
    assert_eq!(served(&moved, later), Err(ProofError::Form));
    let renamed = forged.replace("\"timestamp\"", "\"other\"");
    let moved = body
        .replace(signed, &renamed)
        .replace("<s:Body>", &format!("<s:Body>{signed}"));
    assert_eq!(served(&moved, later), Err(ProofError::Form));
    let both = body.replace(signed, &format!("{signed}{forged}"));
    assert_eq!(served(&both, later), Err(ProofError::Missing));
}

#[test]
fn a_timestamp_longer_than_any_ticket_is_refused() {
    let long = ProofTimestamp::fresh(NOW);
    let xml = long
        .as_xml()
        .replace("2026-11-22T12:05", "2026-11-23T12:05");
    let key = ticket();
    let signature = signature::sign(&xml, key.assertion_id(), key.proof_key().unwrap());
    let body = message(&long);
    let (head, rest) = body.split_once(long.as_xml()).unwrap();
    let (assertion, tail) = rest.split_once("<Signature ").unwrap();
    let (_, tail) = tail.split_once("</Signature>").unwrap();
    let body = format!("{head}{xml}{assertion}{signature}{tail}");
    assert_eq!(served(&body, NOW), Err(ProofError::Timestamp));
}

#[test]
fn unsigned_requests_and_bearer_tickets_are_refused() {
    let body = message(&ProofTimestamp::fresh(NOW));
    let (head, rest) = body.split_once("<Signature ").unwrap();
    let (_, tail) = rest.split_once("</Signature>").unwrap();
    assert_eq!(
        served(&format!("{head}{tail}"), NOW),
        Err(ProofError::Missing)
    );
    let (head, rest) = body.split_once("<saml:Assertion").unwrap();
    let (_, tail) = rest.split_once("</saml:Assertion>").unwrap();
    assert_eq!(
        CertRequest::parse(&format!("{head}{tail}")).unwrap_err(),
        CertProvError::Missing("Assertion")
    );
}

#[test]
fn malformed_requests_are_refused_with_the_place() {
    let body = message(&ProofTimestamp::fresh(NOW));
    let refused = |from: &str, to: &str| {
        assert!(body.contains(from), "{from}");
        CertRequest::parse(&body.replace(from, to)).unwrap_err()
    };
    assert_eq!(
        refused("DeviceId=\"{", "DeviceId=\"x{"),
        CertProvError::Value("DeviceId")
    );
    assert_eq!(
        refused("Entity=\"alice@", "Entity=\"alice"),
        CertProvError::Value("Entity")
    );
    assert_eq!(
        refused("#PKCS10", "#CMC"),
        CertProvError::Value("ValueType")
    );
    assert_eq!(
        refused("AAEC", "A*EC"),
        CertProvError::Value("BinarySecurityToken")
    );
    assert_eq!(
        refused(
            "xmlns=\"http://schemas.microsoft.com/OCS",
            "xmlns=\"http://evil.example/OCS"
        ),
        CertProvError::Missing("GetAndPublishCert")
    );
    assert_eq!(
        refused("wsse:Security", "wsse:Other"),
        CertProvError::Missing("Security")
    );
    assert!(matches!(
        CertRequest::parse("<a>"),
        Err(CertProvError::Xml(_))
    ));
    assert!(matches!(
        CertRequest::parse("<a/>"),
        Err(CertProvError::Envelope)
    ));
}

#[test]
fn certificate_requests_have_a_largest_size() {
    let with = |n: usize| {
        let asked = GetAndPublishCert {
            csr_der: vec![1; n],
            ..asked()
        };
        asked
            .to_xml(SERVICE, Uuid::nil(), &ticket(), &ProofTimestamp::fresh(NOW))
            .unwrap()
    };
    assert!(CertRequest::parse(&with(CSR_BYTES_MAX)).is_ok());
    assert_eq!(
        CertRequest::parse(&with(CSR_BYTES_MAX + 1)).unwrap_err(),
        CertProvError::Value("BinarySecurityToken")
    );
}

/// The whole of one certificate request as pidgin-sipe sent it (`testdata/sipe`): what it derived
/// from both entropies is what the server derives, and what it signed is what the server checks.
#[test]
fn the_proof_of_an_independent_client_holds() {
    let asked = TicketRequest::parse(include_str!("../../testdata/sipe/ticket-request.xml"));
    let asked = asked.unwrap();
    assert_eq!(asked.applies_to, SERVICE);
    let answer = include_str!("../../testdata/sipe/ticket-answer.xml");
    let (_, secret) = answer.split_once("<wst:BinarySecret").unwrap();
    let (_, secret) = secret.split_once('>').unwrap();
    let (secret, _) = secret.split_once('<').unwrap();
    let server = Entropy::from_base64(secret).unwrap();
    let key = ProofKey::derive(&asked.entropy.unwrap(), &server);

    let request = CertRequest::parse(include_str!("../../testdata/sipe/certificate-request.xml"));
    let request = request.unwrap();
    assert_eq!(request.entity().as_str(), "erin@contoso.test");
    let saml = saml("erin@contoso.test", &key);
    let opened = ring()
        .verifier()
        .web_ticket(saml.assertion(), &audience(), NOW);
    let claims = opened.unwrap();
    let signed_at = datetime!(2026-11-22 16:59:08 UTC);
    assert!(request.verify_proof(&claims, signed_at).is_ok());

    let other = ProofKey::from_bytes([1; 32]);
    let saml = self::saml("erin@contoso.test", &other);
    let opened = ring()
        .verifier()
        .web_ticket(saml.assertion(), &audience(), NOW);
    let refused = request.verify_proof(&opened.unwrap(), signed_at);
    assert!(matches!(refused, Err(ProofError::Signature)));
}
