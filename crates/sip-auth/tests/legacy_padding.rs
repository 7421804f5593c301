// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bleichenbacher's question to the old handshake: a client with a good certificate of its own sends
//! secrets whose padding is wrong in every way there is, signs the whole handshake over it, and learns
//! nothing: the answer is the same, at the same step, as to a right padding with a wrong secret in it.
#![cfg(feature = "legacy")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{Authority, HOST, Identity};
use lanyard_sip_auth::{InnerAcceptor, InnerTlsError, legacy};
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::PKey;
use openssl::rsa::Padding;
use openssl::x509::X509;
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::DefaultTimeProvider;

const ALICE: &str = "alice@contoso.test";
/// Bytes of the server's RSA key, and so of what is encrypted to it.
const KEY_BYTES: usize = 256;
/// Bytes of a premaster secret (RFC 2246 7.4.7.1).
const SECRET_BYTES: usize = 48;

fn acceptor(ca: &Authority) -> legacy::Acceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(ca.roots()), provider)
        .build()
        .unwrap();
    let modern = Box::new(ca.acceptor());
    legacy::Acceptor::new(modern, HOST, clients, Arc::new(DefaultTimeProvider)).unwrap()
}

fn u16_of(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap().to_be_bytes()
}

fn u24_of(length: usize) -> [u8; 3] {
    let [_, rest @ ..] = u32::try_from(length).unwrap().to_be_bytes();
    rest
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &u24_of(body.len()), body].concat()
}

fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &u16_of(payload.len()), payload].concat()
}

/// The server's certificate in its first flight, which is one record.
fn certificate_of(flight: &[u8]) -> X509 {
    let mut rest = &flight[5..];
    loop {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        if rest[0] == 11 {
            return X509::from_der(&rest[4 + 6..4 + length]).unwrap();
        }
        rest = &rest[4 + length..];
    }
}

/// Plays the handshake up to a Finished that nobody can decrypt, with this block in place of the padded
/// secret. Gives what the server says.
fn answer_to(
    acceptor: &legacy::Acceptor,
    person: &Identity,
    block: &[u8; KEY_BYTES],
) -> Result<Vec<u8>, InnerTlsError> {
    // ClientHello: TLS 1.0, a random, no session, AES128-SHA, no compression.
    let mut hello = vec![3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let hello = message(1, &hello);
    let mut server = acceptor.accept(&record(22, &hello)).unwrap();
    let flight = server.step(&record(22, &hello)).unwrap();
    let key = certificate_of(&flight).public_key().unwrap().rsa().unwrap();
    let mut encrypted = [0; KEY_BYTES];
    key.public_encrypt(block, &mut encrypted, Padding::NONE)
        .unwrap();

    let (chain, own_key) = person;
    let leaf = chain[0].as_ref();
    let list = [&u24_of(leaf.len())[..], leaf].concat();
    let certificate = message(11, &[&u24_of(list.len())[..], &list].concat());
    let exchange = message(16, &[&u16_of(KEY_BYTES)[..], &encrypted].concat());
    let so_far = [&hello, &flight[5..], &certificate, &exchange].concat();
    let digests = [
        hash(MessageDigest::md5(), &so_far).unwrap().to_vec(),
        hash(MessageDigest::sha1(), &so_far).unwrap().to_vec(),
    ]
    .concat();
    let own_key = PKey::private_key_from_der(own_key.secret_der()).unwrap();
    let own_key = own_key.rsa().unwrap();
    let mut signature = vec![0; usize::try_from(own_key.size()).unwrap()];
    own_key
        .private_encrypt(&digests, &mut signature, Padding::PKCS1)
        .unwrap();
    let signed = message(15, &[&u16_of(signature.len())[..], &signature].concat());

    // The secret has been decrypted and the signature is good: nothing is said yet, whatever it was.
    let second = record(22, &[certificate, exchange, signed].concat());
    assert_eq!(server.step(&second), Ok(Vec::new()));
    let last = [record(20, &[1]), record(22, &[0x5a; 48])].concat();
    let answer = server.step(&last);
    assert!(!server.is_finished());
    answer
}

/// PKCS #1 v1.5: a block of type 2 that ends with this.
fn padded(secret: &[u8]) -> [u8; KEY_BYTES] {
    let mut block = [0xa5; KEY_BYTES];
    block[0] = 0;
    block[1] = 2;
    let start = KEY_BYTES - secret.len();
    block[start - 1] = 0;
    block[start..].copy_from_slice(secret);
    block
}

#[test]
fn no_fault_of_the_padding_can_be_told_from_another_nor_from_none() {
    let ca = Authority::new();
    let acceptor = acceptor(&ca);
    let person = ca.rsa_person(ALICE);
    let secret = |version: [u8; 2]| {
        let mut secret = [9; SECRET_BYTES];
        secret[..2].copy_from_slice(&version);
        secret
    };
    let good = padded(&secret([3, 1]));
    let changed = |change: &dyn Fn(&mut [u8; KEY_BYTES])| {
        let mut block = good;
        change(&mut block);
        block
    };
    let separator = KEY_BYTES - SECRET_BYTES - 1;
    let blocks = [
        ("no fault", good),
        ("a newer version", padded(&secret([3, 3]))),
        ("an older version", padded(&secret([3, 0]))),
        ("a short secret", padded(&secret([3, 1])[..47])),
        (
            "a long secret",
            padded(&[&secret([3, 1])[..], &[9]].concat()),
        ),
        ("an empty secret", padded(&[])),
        ("type 1", changed(&|block| block[1] = 1)),
        ("type 0", changed(&|block| block[1] = 0)),
        ("no leading zero", changed(&|block| block[0] = 1)),
        ("no separator", changed(&|block| block[separator] = 1)),
        ("an early separator", changed(&|block| block[4] = 0)),
        (
            "a separator in the eighth byte",
            changed(&|block| block[9] = 0),
        ),
        ("another separator", changed(&|block| block[100] = 0)),
        ("zeros", {
            let mut zeros = [0; KEY_BYTES];
            zeros[KEY_BYTES - 1] = 1;
            zeros
        }),
    ];
    for (what, block) in blocks {
        // The same words and not one byte of an alert, whatever it was.
        assert_eq!(
            answer_to(&acceptor, &person, &block),
            Err(InnerTlsError::Legacy),
            "{what}"
        );
    }
}
