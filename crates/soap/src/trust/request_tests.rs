// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::xml::XmlError;

fn request() -> TicketRequest {
    TicketRequest {
        context: Some("0e324752-e1ab-56eb-8f4a-267c85a97459".into()),
        applies_to:
            "https://lync.contoso.test/CertProv/CertProvisioningService.svc/WebTicket_Proof".into(),
        claimed_address: Some(Address::parse("alice@contoso.test").unwrap()),
        entropy: Entropy::from_bytes(&[5; 32]),
    }
}

#[test]
fn a_request_is_written_and_read() {
    let xml = request().to_xml();
    insta::assert_snapshot!(xml);
    let read = TicketRequest::parse(&xml).unwrap();
    assert_eq!(read.context, request().context);
    assert_eq!(read.applies_to, request().applies_to);
    assert_eq!(read.claimed_address, request().claimed_address);
    assert_eq!(
        read.entropy.unwrap().to_base64(),
        request().entropy.unwrap().to_base64()
    );
}

#[test]
fn a_bearer_request_has_no_entropy() {
    let bearer = TicketRequest {
        context: None,
        claimed_address: None,
        entropy: None,
        ..request()
    };
    let read = TicketRequest::parse(&bearer.to_xml()).unwrap();
    assert!(read.entropy.is_none() && read.context.is_none() && read.claimed_address.is_none());
}

/// SIPE writes the request type of the older namespace into a request of the newer one.
#[test]
fn the_older_request_type_is_understood() {
    let xml = request().to_xml().replace(
        names::REQUEST_ISSUE,
        "http://schemas.xmlsoap.org/ws/2005/02/trust/Issue",
    );
    assert!(TicketRequest::parse(&xml).is_ok());
    let xml = xml.replace(
        "\"http://docs.oasis-open.org/ws-sx/ws-trust/200512\"",
        "\"http://schemas.xmlsoap.org/ws/2005/02/trust\"",
    );
    assert!(TicketRequest::parse(&xml).is_ok());
}

#[test]
fn the_token_type_may_be_the_namespace_or_missing() {
    let xml = request().to_xml();
    assert!(TicketRequest::parse(&xml.replace(names::TOKEN_SAML11, names::SAML)).is_ok());
    assert!(TicketRequest::parse(&xml.replace("wst:TokenType", "wst:Other")).is_ok());
}

#[test]
fn other_requests_are_refused() {
    let xml = request().to_xml();
    let refused = |from: &str, to: &str| {
        assert!(xml.contains(from), "{from}");
        TicketRequest::parse(&xml.replace(from, to)).unwrap_err()
    };
    assert_eq!(
        refused("200512/Issue<", "200512/Renew<"),
        TrustError::RequestType
    );
    assert_eq!(
        refused("200512/Issue<", "200512/x/Issue<"),
        TrustError::RequestType
    );
    assert_eq!(refused("#SAMLV1.1<", "#SAMLV2.0<"), TrustError::TokenType);
    assert_eq!(
        refused("wst:RequestType", "wst:Other"),
        TrustError::Missing("RequestType")
    );
    assert_eq!(
        refused("wsa:Address", "wsa:Other"),
        TrustError::Missing("AppliesTo")
    );
    assert_eq!(
        refused("sip:alice@contoso.test", "alice"),
        TrustError::Value("Claims")
    );
    assert_eq!(refused("BQUF", "B*UF"), TrustError::Value("BinarySecret"));
    assert_eq!(
        refused("<wst:Entropy>", "<wst:Entropy/><wst:Entropy>"),
        TrustError::Value("Entropy")
    );
}

#[test]
fn wrong_namespaces_are_refused() {
    let xml = request().to_xml();
    let soap12 = xml.replace(names::SOAP, "http://www.w3.org/2003/05/soap-envelope");
    assert_eq!(
        TicketRequest::parse(&soap12).unwrap_err(),
        TrustError::Envelope
    );
    let other = xml.replace(
        "xmlns:wst=\"http://docs.oasis-open.org",
        "xmlns:wst=\"http://evil.example",
    );
    assert_eq!(
        TicketRequest::parse(&other).unwrap_err(),
        TrustError::Missing("RequestSecurityToken")
    );
    let two = xml.replace("<s:Body>", "<s:Body/><s:Body>");
    assert_eq!(
        TicketRequest::parse(&two).unwrap_err(),
        TrustError::Envelope
    );
}

#[test]
fn bombs_are_refused() {
    let bomb = format!("<!DOCTYPE a [<!ENTITY x \"y\">]>{}", request().to_xml());
    assert!(matches!(
        TicketRequest::parse(&bomb),
        Err(TrustError::Xml(_))
    ));
    let deep = request()
        .to_xml()
        .replace("<s:Body>", &format!("<s:Body>{}", "<x>".repeat(1000)));
    assert_eq!(
        TicketRequest::parse(&deep).unwrap_err(),
        TrustError::Xml(XmlError::TooDeep)
    );
}

#[test]
fn texts_have_a_limit() {
    let with = |n: usize| {
        TicketRequest {
            context: Some("x".repeat(n)),
            ..request()
        }
        .to_xml()
    };
    assert!(TicketRequest::parse(&with(TEXT_BYTES_MAX)).is_ok());
    let over = TicketRequest::parse(&with(TEXT_BYTES_MAX + 1));
    assert_eq!(over.unwrap_err(), TrustError::Value("Context"));
}
