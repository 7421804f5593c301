// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signatures: vectors, and every message that must be refused.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{received, request};
use lanyard_sip::{Headers, Message, Method, Name, OutMessage};
use lanyard_sip_auth::{
    MessageHash, REALM, Role, SecurityAssociation, SignError, SigningKeys, VerifyError,
};
use zeroize::Zeroizing;

fn keys(first: u8, hash: MessageHash) -> SigningKeys {
    let mut block = Zeroizing::new([0; 128]);
    for (number, byte) in block.iter_mut().enumerate() {
        *byte = first.wrapping_add(number as u8);
    }
    SigningKeys::of_block(block, hash)
}

fn pair() -> (SecurityAssociation, SecurityAssociation) {
    let keys = keys(0, MessageHash::Sha256);
    let side = |role| SecurityAssociation::new(role, &keys, "A7BEBAC4", REALM, "lync.contoso.test");
    (side(Role::Client), side(Role::Server))
}

fn signed(association: &mut SecurityAssociation) -> OutMessage {
    let mut out = request(Method::Message, 1);
    association.sign(&mut out).unwrap();
    out
}

/// Key block 00 01 02 … 7f. The values were computed apart from this code, with Python's `hmac`.
#[test]
fn each_hash_gives_the_known_signature_in_both_roles() {
    for (hash, client, server) in [
        (MessageHash::Sha1, CLIENT_SHA1, SERVER_SHA1),
        (MessageHash::Sha256, CLIENT_SHA256, SERVER_SHA256),
        (MessageHash::Sha384, CLIENT_SHA384, SERVER_SHA384),
    ] {
        let keys = keys(0, hash);
        assert_eq!(keys.hash(), hash);
        for (role, expected) in [(Role::Client, client), (Role::Server, server)] {
            let mut side = SecurityAssociation::new(role, &keys, "A7BEBAC4", REALM, "localhost");
            let out = signed(&mut side);
            let auth = match role {
                Role::Client => out.authorization(),
                Role::Server => out.authentication_info(),
            };
            let auth = auth.unwrap().unwrap();
            let signature = auth.get("response").or(auth.get("rspauth")).unwrap();
            assert_eq!(signature.to_lowercase(), expected, "{hash:?} {role:?}");
        }
    }
}

#[test]
fn the_headers_have_the_form_that_independent_clients_read() {
    let (mut client, mut server) = pair();
    let (request, answer) = (signed(&mut client), signed(&mut server));
    insta::assert_snapshot!(format!(
        "{}\n\n{}",
        request.header(Name::Authorization).unwrap(),
        answer.header(Name::AuthenticationInfo).unwrap()
    ));
}

/// A change to the text of a signed message, and what the server says to it.
fn tampered(change: impl Fn(&str) -> String) -> Result<(), VerifyError> {
    let (mut client, mut server) = pair();
    let text = String::from_utf8(signed(&mut client).to_bytes().to_vec()).unwrap();
    let changed = change(&text);
    assert_ne!(changed, text);
    server.verify(&Message::parse(changed).unwrap())
}

#[test]
fn a_change_of_any_signed_value_is_noticed() {
    for (from, to) in [
        ("another-call", "another-ca11"),
        ("CSeq: 1", "CSeq: 01"),
        ("<sip:alice@", "<sip:Alice@"),
        ("tag=1;", "tag=2;"),
        ("<sip:bob@contoso.test>\r", "<sip:bob@contoso.test>;tag=x\r"),
        ("<sip:bob@contoso.test>\r", "<sip:carol@contoso.test>\r"),
        ("Content-Length", "Expires: 0\r\nContent-Length"),
        (
            "Content-Length",
            "P-Asserted-Identity: <sip:x@y>\r\nContent-Length",
        ),
        ("cnum=\"1\"", "cnum=\"2\""),
        ("TLS-DSK", "tls-dsk"),
    ] {
        let result = tampered(|text| text.replace(from, to));
        assert_eq!(result, Err(VerifyError::WrongSignature), "{from} -> {to}");
    }
}

#[test]
fn a_proof_for_something_else_is_told_by_name() {
    for (from, to, error) in [
        ("A7BEBAC4", "A7BEBAC5", VerifyError::WrongAssociation),
        ("SIP Comm", "SiP Comm", VerifyError::WrongRealm),
        (
            "targetname=\"lync.",
            "targetname=\"link.",
            VerifyError::WrongTarget,
        ),
        ("TLS-DSK", "NTLM", VerifyError::WrongScheme),
        (
            "Authorization",
            "Proxy-Authorization",
            VerifyError::Unsigned,
        ),
        (
            "Authorization",
            "Authentication-Info",
            VerifyError::Unsigned,
        ),
        ("cnum=\"1\"", "cnum=\"0\"", VerifyError::Replayed),
        ("cnum=\"1\"", "cnum=\"+1\"", VerifyError::Malformed),
        ("cnum=\"1\"", "cnum=\"4294967296\"", VerifyError::Malformed),
        ("cnum=\"1\", ", "", VerifyError::Malformed),
        ("response=\"", "response=\"x", VerifyError::Malformed),
        ("response=\"", "response=\"00", VerifyError::WrongSignature),
        ("qop=", "cnum=\"1\", qop=", VerifyError::Malformed),
        (
            "From: ",
            "From: <sip:a@b>\r\nFrom: ",
            VerifyError::Incomplete,
        ),
        ("CSeq: ", "Call-ID: 2\r\nCSeq: ", VerifyError::Incomplete),
        ("Call-ID: ", "X-Call-ID: ", VerifyError::Incomplete),
    ] {
        assert_eq!(
            tampered(|text| text.replacen(from, to, 1)),
            Err(error),
            "{from} -> {to}"
        );
    }
}

#[test]
fn an_empty_signature_is_wrong() {
    let result = tampered(|text| {
        let at = text.find("response=\"").unwrap() + "response=\"".len();
        let end = at + text[at..].find('"').unwrap();
        format!("{}{}", &text[..at], &text[end..])
    });
    assert_eq!(result, Err(VerifyError::WrongSignature));
}

#[test]
fn an_unsigned_message_is_refused() {
    let (_, mut server) = pair();
    let plain = received(&request(Method::Message, 1));
    assert_eq!(server.verify(&plain), Err(VerifyError::Unsigned));
}

#[test]
fn two_proofs_in_one_message_are_refused() {
    let (mut client, mut server) = pair();
    let mut out = signed(&mut client);
    let value = out.header(Name::Authorization).unwrap().to_owned();
    out.push(Name::Authorization, value);
    assert_eq!(server.verify(&received(&out)), Err(VerifyError::Malformed));
}

#[test]
fn a_message_counts_once_and_order_is_kept() {
    let (mut client, mut server) = pair();
    let (first, second) = (
        received(&signed(&mut client)),
        received(&signed(&mut client)),
    );
    server.verify(&second).unwrap();
    assert_eq!(server.verify(&second), Err(VerifyError::Replayed));
    assert_eq!(server.verify(&first), Err(VerifyError::Replayed));
    server.verify(&received(&signed(&mut client))).unwrap();
}

#[test]
fn a_refused_message_is_not_counted() {
    let (mut client, mut server) = pair();
    let good = signed(&mut client);
    let mut forged = good.clone();
    let value = forged
        .header(Name::Authorization)
        .unwrap()
        .replace("cnum=\"1\"", "cnum=\"99\"");
    forged.set(Name::Authorization, value);
    assert_eq!(
        server.verify(&received(&forged)),
        Err(VerifyError::WrongSignature)
    );
    server.verify(&received(&good)).unwrap();
}

#[test]
fn a_message_cannot_be_reflected_to_its_sender() {
    let (mut client, _) = pair();
    let mut out = signed(&mut client);
    let value = out.header(Name::Authorization).unwrap();
    let value = value
        .replace("crand", "srand")
        .replace("cnum", "snum")
        .replace("response", "rspauth");
    out.push(Name::AuthenticationInfo, value);
    assert_eq!(
        client.verify(&received(&out)),
        Err(VerifyError::WrongSignature)
    );
}

#[test]
fn keys_of_another_handshake_do_not_verify() {
    let (mut client, _) = pair();
    let other = keys(1, MessageHash::Sha256);
    let mut server =
        SecurityAssociation::new(Role::Server, &other, "A7BEBAC4", REALM, "lync.contoso.test");
    let message = received(&signed(&mut client));
    assert_eq!(server.verify(&message), Err(VerifyError::WrongSignature));
}

#[test]
fn an_incomplete_message_is_not_signed_and_no_number_is_used_up() {
    let (mut client, _) = pair();
    let mut out = request(Method::Message, 1);
    out.remove(Name::To);
    assert_eq!(client.sign(&mut out), Err(SignError::Incomplete));
    assert_eq!(out.header(Name::Authorization), None);
    let next = signed(&mut client);
    assert_eq!(
        next.authorization().unwrap().unwrap().get("cnum"),
        Some("1")
    );
}

#[test]
fn no_key_is_printed() {
    let keys = keys(0, MessageHash::Sha256);
    assert_eq!(format!("{keys:?}"), "SigningKeys(..)");
    let (client, _) = pair();
    let text = format!("{client:?}");
    assert!(!text.contains("sign") && !text.contains("seed"), "{text}");
}

include!("../testdata/known-signatures.rs");
