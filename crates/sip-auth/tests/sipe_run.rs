// SPDX-License-Identifier: MIT OR Apache-2.0
//! One sign-in of pidgin-sipe, recorded (`testdata/sipe`): its keys, texts and signatures are ours.
#![allow(clippy::unwrap_used, clippy::panic)]

use lanyard_sip::{Headers, Message};
use lanyard_sip_auth::{
    MessageHash, Proof, REALM, Role, SCHEME, SecurityAssociation, SigningKeys, signature_text,
};
use zeroize::Zeroizing;

const HANDSHAKE: &str = include_str!("../testdata/sipe/handshake.txt");
const MESSAGES: &[u8] = include_bytes!("../testdata/sipe/messages.txt");
const OPAQUE: &str = "AA740067219797D800000001";

/// A value of the recorded handshake.
fn value(name: &str) -> Vec<u8> {
    let line = HANDSHAKE
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
    hex::decode(line.unwrap()).unwrap()
}

/// The key block as far as the client prints it; its first half signs nothing.
fn keys() -> SigningKeys {
    let mut block = Zeroizing::new([0; 128]);
    block[64..96].copy_from_slice(&value("client-key"));
    block[96..].copy_from_slice(&value("server-key"));
    SigningKeys::of_block(block, MessageHash::Sha1)
}

struct Recorded {
    from_client: bool,
    /// What the client says that it verified.
    text: Option<String>,
    message: Message,
}

fn messages() -> Vec<Recorded> {
    let mut all = Vec::new();
    let mut rest = MESSAGES;
    let line = |rest: &mut &[u8]| {
        let end = rest.iter().position(|b| *b == b'\n')?;
        let (line, tail) = rest.split_at(end);
        *rest = &tail[1..];
        Some(String::from_utf8(line.to_vec()).unwrap())
    };
    while let Some(head) = line(&mut rest) {
        let Some(head) = head.strip_prefix("=== ") else {
            continue;
        };
        let (side, length) = head.split_once(' ').unwrap();
        let mut text = None;
        if rest.starts_with(b"text ") {
            text = line(&mut rest).map(|line| line[5..].to_owned());
        }
        let (bytes, tail) = rest.split_at(length.parse().unwrap());
        rest = tail;
        all.push(Recorded {
            from_client: side == "client",
            text,
            message: Message::parse(bytes.to_vec()).unwrap(),
        });
    }
    all
}

#[test]
fn every_signature_of_the_client_is_verified_and_ours_are_those_it_verified() {
    let keys = keys();
    let side = |role| SecurityAssociation::new(role, &keys, OPAQUE, REALM, "lync.contoso.test");
    let (mut server, mut client) = (side(Role::Server), side(Role::Client));
    let all = messages();
    assert_eq!(all.len(), 10);
    assert_eq!(all.iter().filter(|one| one.from_client).count(), 5);
    for one in all {
        let verified = match one.from_client {
            true => server.verify(&one.message),
            false => client.verify(&one.message),
        };
        assert_eq!(verified, Ok(()));
    }
}

#[test]
fn the_signed_text_is_the_one_that_the_client_prints() {
    let mut compared = 0;
    for one in messages() {
        let Some(text) = one.text else { continue };
        let auth = one.message.authentication_info().unwrap().unwrap();
        let proof = Proof {
            scheme: SCHEME,
            rand: auth.get("srand").unwrap(),
            num: auth.get("snum").unwrap(),
            realm: REALM,
            targetname: auth.get("targetname").unwrap(),
        };
        assert_eq!(signature_text(&one.message, &proof).unwrap(), text);
        compared += 1;
    }
    assert_eq!(compared, 5);
}

#[test]
fn one_changed_letter_is_refused() {
    for one in messages().into_iter().filter(|one| one.from_client) {
        let keys = keys();
        let mut server =
            SecurityAssociation::new(Role::Server, &keys, OPAQUE, REALM, "lync.contoso.test");
        let text = String::from_utf8(one.message.bytes().to_vec()).unwrap();
        let other = text.replacen("Call-ID: ", "Call-ID: x", 1);
        assert!(
            server
                .verify(&Message::parse(other.into_bytes()).unwrap())
                .is_err()
        );
    }
}

#[test]
fn the_flights_are_as_they_were_described() {
    let hello = value("client-hello");
    assert_eq!(hello.len(), 58);
    // No session, five suites, no compression, no extension.
    assert_eq!(hex::encode(&hello[43..]), "00000a00040005002f003500030100");
    let flight = value("server-flight");
    let length = usize::from(u16::from_be_bytes([flight[3], flight[4]]));
    assert_eq!((flight[0], length), (22, flight.len() - 5));
    // ServerHelloDone ends the one record and does not begin it.
    assert_eq!(flight[flight.len() - 4..], [14, 0, 0, 0]);
    assert_eq!(flight[5], 2);
    // ChangeCipherSpec, then one encrypted record.
    assert_eq!(value("server-finished")[..6], [20, 3, 1, 0, 1, 1]);
}

/// The client's keys are what the exporter of RFC 5705 gives without context: the PRF of TLS 1.0
/// over its label and both randoms.
#[cfg(feature = "legacy")]
#[test]
fn the_clients_keys_are_the_exporters_output() {
    let (hello, flight) = (value("client-hello"), value("server-flight"));
    let randoms = [&hello[11..43], &flight[11..43]].concat();
    let master = prf(
        &value("pre-master-secret"),
        &[b"master secret", &randoms[..]].concat(),
        48,
    );
    assert_eq!(master, value("master-secret"));
    let seed = [lanyard_sip_auth::EXPORTER_LABEL, &randoms[..]].concat();
    let block = prf(&master, &seed, 128);
    assert_eq!(block[64..96], value("client-key"));
    assert_eq!(block[96..], value("server-key"));
}

/// RFC 2246 5.
#[cfg(feature = "legacy")]
fn prf(secret: &[u8], seed: &[u8], length: usize) -> Vec<u8> {
    use openssl::hash::MessageDigest;
    let half = secret.len().div_ceil(2);
    let md5 = expand(MessageDigest::md5(), &secret[..half], seed, length);
    let sha1 = expand(
        MessageDigest::sha1(),
        &secret[secret.len() - half..],
        seed,
        length,
    );
    md5.iter().zip(sha1).map(|(a, b)| a ^ b).collect()
}

#[cfg(feature = "legacy")]
fn expand(
    digest: openssl::hash::MessageDigest,
    secret: &[u8],
    seed: &[u8],
    length: usize,
) -> Vec<u8> {
    let key = openssl::pkey::PKey::hmac(secret).unwrap();
    let hmac = |data: &[u8]| {
        let mut signer = openssl::sign::Signer::new(digest, &key).unwrap();
        signer.sign_oneshot_to_vec(data).unwrap()
    };
    let mut a = seed.to_vec();
    let mut out = Vec::new();
    while out.len() < length {
        a = hmac(&a);
        out.extend(hmac(&[&a, seed].concat()));
    }
    out.truncate(length);
    out
}
