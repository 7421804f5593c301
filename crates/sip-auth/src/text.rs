// SPDX-License-Identifier: MIT OR Apache-2.0
//! The text that is signed, versions 3 and 4 ([MS-SIPAE] 3.2.5.2).

use lanyard_sip::{Headers, Name};

/// What the authentication header itself adds to the signed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof<'a> {
    /// The scheme word as it stands.
    pub scheme: &'a str,
    /// `crand` of a client, `srand` of a server.
    pub rand: &'a str,
    /// `cnum` of a client, `snum` of a server.
    pub num: &'a str,
    /// The realm.
    pub realm: &'a str,
    /// The server's name in the association.
    pub targetname: &'a str,
}

/// The signed text: each value in `<` `>`, exactly as it stands in the message. `None` when a field
/// that must be signed is missing or malformed.
pub fn signature_text(message: &impl Headers, proof: &Proof<'_>) -> Option<String> {
    let from = message.from_addr()?;
    let to = message.to_addr()?;
    let cseq = message.cseq()?;
    let identity = |scheme| message.asserted_identity(scheme).map_or("", |one| one.uri);
    let status = message.status().map(|code| code.to_string());
    let values = [
        proof.scheme,
        proof.rand,
        proof.num,
        proof.realm,
        proof.targetname,
        message.call_id()?,
        cseq.number_text,
        cseq.method.as_str(),
        from.uri,
        from.tag().unwrap_or_default(),
        to.uri,
        to.tag().unwrap_or_default(),
        identity("sip"),
        identity("tel"),
        message.header(Name::Expires).unwrap_or_default(),
    ];
    let mut text = String::with_capacity(512);
    for value in values.into_iter().chain(status.as_deref()) {
        text.push('<');
        text.push_str(value);
        text.push('>');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanyard_sip::{Message, OutMessage};

    fn proof<'a>(rand: &'a str, num: &'a str) -> Proof<'a> {
        Proof {
            scheme: "NTLM",
            rand,
            num,
            realm: "SIP Communications Service",
            targetname: "localhost",
        }
    }

    /// The shape of a request observed from an independent client.
    #[test]
    fn an_observed_request_gives_the_observed_text() {
        let message = Message::parse(
            "REGISTER sip:contoso.test SIP/2.0\r\n\
             From: <sip:alice@contoso.test>;tag=1712312064;epid=abb2cb12b77f\r\n\
             To: <sip:alice@contoso.test>\r\n\
             CSeq: 3 REGISTER\r\n\
             Call-ID: E8EFgFFBCx\r\n\r\n",
        )
        .unwrap();
        assert_eq!(
            signature_text(&message, &proof("07d5a75c", "1")).unwrap(),
            "<NTLM><07d5a75c><1><SIP Communications Service><localhost><E8EFgFFBCx><3><REGISTER>\
             <sip:alice@contoso.test><1712312064><sip:alice@contoso.test><><><><>"
        );
    }

    #[test]
    fn an_observed_response_ends_with_its_code() {
        let message = Message::parse(
            "SIP/2.0 200 OK\r\n\
             From: <sip:alice@contoso.test>;tag=5085923563;epid=abb2cb12b77f\r\n\
             To: <sip:alice@contoso.test>;tag=ABD2CD522E465D43\r\n\
             CSeq: 1 SUBSCRIBE\r\n\
             Call-ID: A22Ex082x\r\n\
             Expires: 28800\r\n\r\n",
        )
        .unwrap();
        let text = signature_text(&message, &proof("1", "2")).unwrap();
        assert!(text.ends_with(
            "<A22Ex082x><1><SUBSCRIBE><sip:alice@contoso.test><5085923563>\
             <sip:alice@contoso.test><ABD2CD522E465D43><><><28800><200>"
        ));
    }

    #[test]
    fn asserted_identities_stand_between_to_and_expires() {
        let out = OutMessage::request(lanyard_sip::Method::Invite, "sip:bob@contoso.test")
            .with(
                Name::From,
                "\"Alice\" <sip:Alice@contoso.test>;epid=1;tag=a",
            )
            .with(Name::To, "sip:bob@contoso.test;tag=b")
            .with(Name::CallId, "c")
            .with(Name::CSeq, "0001 INVITE")
            .with(Name::PPreferredIdentity, "<sip:other@contoso.test>")
            .with(
                Name::PAssertedIdentity,
                "\"A, B\" <SIP:alice@contoso.test>, <tel:+1234>",
            );
        let text = signature_text(&out, &proof("r", "n")).unwrap();
        assert!(text.ends_with(
            "<c><0001><INVITE><sip:Alice@contoso.test><a><sip:bob@contoso.test><b>\
             <SIP:alice@contoso.test><tel:+1234><>"
        ));
    }

    #[test]
    fn a_message_without_a_signed_field_has_no_text() {
        let out = OutMessage::response(200, "OK").with(Name::From, "<sip:a@b>");
        assert_eq!(signature_text(&out, &proof("r", "n")), None);
    }
}
