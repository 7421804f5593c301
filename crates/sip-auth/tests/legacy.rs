// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake of clients that know only TLS 1.0, and every way in which it must fail.
#![cfg(feature = "legacy")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use common::{Authority, HOST, Link};
use lanyard_sip_auth::server::Settings;
use lanyard_sip_auth::{
    Finished, InnerAcceptor, InnerTls, InnerTlsError, MessageHash, Role, SecurityAssociation,
    SigningKeys, legacy,
};
use openssl::ssl::{ErrorCode, Ssl, SslContext, SslMethod, SslStream, SslVerifyMode, SslVersion};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::DefaultTimeProvider;
use rustls::{CertificateError, Error};
use zeroize::Zeroizing;

const ALICE: &str = "alice@contoso.test";

fn acceptor(ca: &Authority) -> legacy::Acceptor {
    let clients = WebPkiClientVerifier::builder_with_provider(
        Arc::new(ca.roots()),
        Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
    )
    .build()
    .unwrap();
    let modern = Box::new(ca.acceptor());
    legacy::Acceptor::new(modern, HOST, clients, Arc::new(DefaultTimeProvider)).unwrap()
}

#[derive(Default)]
struct Pipe {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.input.len().min(into.len());
        into[..count].copy_from_slice(&self.input[..count]);
        self.input.drain(..count);
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(from);
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// OpenSSL as the old client.
struct Client(SslStream<Pipe>);

impl Client {
    fn new(identity: Option<common::Identity>, suites: &str) -> Client {
        let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
        context
            .set_cipher_list(&format!("{suites}:@SECLEVEL=0"))
            .unwrap();
        context
            .set_min_proto_version(Some(SslVersion::TLS1))
            .unwrap();
        context
            .set_max_proto_version(Some(SslVersion::TLS1))
            .unwrap();
        // As SIPE: whoever the server is.
        context.set_verify(SslVerifyMode::NONE);
        if let Some((chain, key)) = identity {
            let leaf = openssl::x509::X509::from_der(chain[0].as_ref()).unwrap();
            let key = openssl::pkey::PKey::private_key_from_der(key.secret_der()).unwrap();
            context.set_certificate(&leaf).unwrap();
            context.set_private_key(&key).unwrap();
        }
        let ssl = Ssl::new(&context.build()).unwrap();
        Client(SslStream::new(ssl, Pipe::default()).unwrap())
    }

    fn step(&mut self, flight: &[u8]) -> Vec<u8> {
        self.0.get_mut().input.extend_from_slice(flight);
        if let Err(error) = self.0.connect() {
            assert_eq!(error.code(), ErrorCode::WANT_READ, "{error}");
        }
        std::mem::take(&mut self.0.get_mut().output)
    }

    fn keys(&self) -> SigningKeys {
        let mut block = Zeroizing::new([0; 128]);
        let ssl = self.0.ssl();
        ssl.export_keying_material(&mut block[..], "client EAP encryption", None)
            .unwrap();
        SigningKeys::of_block(block, MessageHash::Sha1)
    }
}

/// Both sides after the client's second flight, which is changed on its way.
fn play(
    acceptor: &dyn InnerAcceptor,
    client: &mut Client,
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Result<Box<dyn InnerTls>, InnerTlsError> {
    let hello = client.step(&[]);
    let mut server = acceptor.accept(&hello)?;
    let flight = server.step(&hello)?;
    assert!(!server.is_finished());
    let second = change(client.step(&flight));
    let last = server.step(&second)?;
    client.step(&last);
    assert!(server.is_finished());
    Ok(server)
}

fn finished(ca: &Authority, client: &mut Client) -> Result<Finished, InnerTlsError> {
    play(&acceptor(ca), client, |flight| flight)?.finish()
}

#[test]
fn both_sides_get_the_same_keys_with_either_suite() {
    let ca = Authority::new();
    for suite in ["AES128-SHA", "AES256-SHA"] {
        let identity = ca.rsa_person(ALICE);
        let leaf = identity.0[0].clone();
        let mut client = Client::new(Some(identity), suite);
        let server = finished(&ca, &mut client).unwrap();
        assert_eq!(server.peer_chain, [leaf]);
        assert_eq!(server.keys.hash(), MessageHash::Sha1);
        let pair = |role, keys: &SigningKeys| SecurityAssociation::new(role, keys, "1", "r", "t");
        let mut ours = pair(Role::Server, &server.keys);
        let mut theirs = pair(Role::Client, &client.keys());
        let mut request = common::request(lanyard_sip::Method::Message, 1);
        theirs.sign(&mut request).unwrap();
        ours.verify(&common::received(&request)).unwrap();
    }
}

#[test]
fn the_first_flight_is_one_record_that_ends_with_server_hello_done() {
    let ca = Authority::new();
    let mut client = Client::new(Some(ca.rsa_person(ALICE)), "AES128-SHA");
    let hello = client.step(&[]);
    let mut server = acceptor(&ca).accept(&hello).unwrap();
    let flight = server.step(&hello).unwrap();
    assert_eq!(flight[..3], [22, 3, 1]);
    let length = usize::from(u16::from_be_bytes([flight[3], flight[4]]));
    assert_eq!(length, flight.len() - 5);
    let mut kinds = Vec::new();
    let mut rest = &flight[5..];
    while !rest.is_empty() {
        kinds.push(rest[0]);
        let length = u32::from_be_bytes([0, rest[1], rest[2], rest[3]]) as usize;
        rest = &rest[4 + length..];
    }
    // ServerHello, Certificate, CertificateRequest, ServerHelloDone; no ticket, no key exchange.
    assert_eq!(kinds, [2, 11, 13, 14]);
    // The session has no name: there is nothing to resume.
    assert_eq!(flight[5 + 4 + 2 + 32], 0);
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let ca = Authority::new();
    let mut client = Client::new(None, "AES128-SHA");
    assert_eq!(
        finished(&ca, &mut client).unwrap_err(),
        InnerTlsError::Legacy
    );
}

#[test]
fn the_verifier_judges_the_certificate_as_for_tls_1_2() {
    let (ca, other) = (Authority::new(), Authority::new());
    let mut client = Client::new(Some(other.rsa_person(ALICE)), "AES128-SHA");
    // Both authorities have the same name, so it is the signature that betrays the other one.
    assert_eq!(
        finished(&ca, &mut client).unwrap_err(),
        InnerTlsError::Tls(Error::InvalidCertificate(CertificateError::BadSignature))
    );
    let purpose = ExtendedKeyUsagePurpose::ServerAuth;
    let mut client = Client::new(Some(ca.issue_rsa(HOST, purpose)), "AES128-SHA");
    assert!(matches!(
        finished(&ca, &mut client).unwrap_err(),
        InnerTlsError::Tls(Error::InvalidCertificate(_))
    ));
}

#[test]
fn a_certificate_whose_key_the_client_does_not_have_is_refused() {
    let ca = Authority::new();
    let mut client = Client::new(Some(ca.rsa_person(ALICE)), "AES128-SHA");
    let refused = play(&acceptor(&ca), &mut client, |mut flight| {
        let verify = message_at(&flight, 15);
        let last = verify.end - 1;
        flight[last] ^= 1;
        flight
    });
    assert_eq!(refused.err(), Some(InnerTlsError::Legacy));
}

#[test]
fn a_damaged_secret_ends_in_the_same_words_wherever_the_damage_is() {
    let ca = Authority::new();
    let acceptor = acceptor(&ca);
    for at in [0, 1, 2, 127, 200, 255] {
        let mut client = Client::new(Some(ca.rsa_person(ALICE)), "AES128-SHA");
        let refused = play(&acceptor, &mut client, |mut flight| {
            let exchange = message_at(&flight, 16);
            let secret = exchange.end - 256;
            flight[secret + at] ^= 0x55;
            flight
        });
        assert_eq!(refused.err(), Some(InnerTlsError::Legacy), "byte {at}");
    }
}

#[test]
fn damage_anywhere_is_refused_and_nothing_panics() {
    let ca = Authority::new();
    let acceptor = acceptor(&ca);
    let identity = || Some(ca.rsa_person(ALICE));
    let hello = Client::new(identity(), "AES128-SHA").step(&[]);
    for length in 11..hello.len() {
        let mut server = acceptor.accept(&hello[..length]).unwrap();
        // An incomplete record waits for its rest; it never finishes.
        let _ = server.step(&hello[..length]);
        assert!(!server.is_finished());
        assert!(server.finish().is_err());
    }
    for at in 0..hello.len() {
        let mut damaged = hello.clone();
        damaged[at] ^= 0xff;
        if let Ok(mut server) = acceptor.accept(&damaged) {
            let _ = server.step(&damaged);
            assert!(!server.is_finished());
        }
    }
    let mut client = Client::new(identity(), "AES128-SHA");
    let mut server = play(&acceptor, &mut client, |flight| flight).unwrap();
    assert_eq!(server.step(b"more"), Err(InnerTlsError::UnexpectedData));
}

#[test]
fn too_much_at_once_is_refused() {
    let ca = Authority::new();
    let mut client = Client::new(Some(ca.rsa_person(ALICE)), "AES128-SHA");
    let mut hello = client.step(&[]);
    let mut server = acceptor(&ca).accept(&hello).unwrap();
    hello.resize(64 * 1024, 0);
    assert_eq!(server.step(&hello), Err(InnerTlsError::UnexpectedData));
}

#[test]
fn other_suites_are_not_spoken() {
    let ca = Authority::new();
    for suites in ["ECDHE-RSA-AES128-SHA", "DHE-RSA-AES128-SHA"] {
        let mut client = Client::new(Some(ca.rsa_person(ALICE)), suites);
        let refused = play(&acceptor(&ca), &mut client, |flight| flight);
        assert_eq!(refused.err(), Some(InnerTlsError::Legacy), "{suites}");
    }
}

#[test]
fn newer_clients_are_served_as_before_beside_it() {
    let ca = Authority::new();
    let settings = Settings {
        targetname: HOST.to_owned(),
        sts_uri: String::new(),
        acceptor: Box::new(acceptor(&ca)),
    };
    let mut link = Link::new(&Arc::new(settings), 1);
    link.sign_in(Instant::now(), &ca.connector(ALICE)).unwrap();
    assert!(link.server.is_established());
}

/// Where a plain handshake message of this kind lies in a flight, its head included.
fn message_at(flight: &[u8], wanted: u8) -> std::ops::Range<usize> {
    let mut record = 0;
    while record + 5 <= flight.len() {
        let length = usize::from(u16::from_be_bytes([flight[record + 3], flight[record + 4]]));
        let end = record + 5 + length;
        let mut at = record + 5;
        while flight[record] == 22 && at + 4 <= end {
            let body = u32::from_be_bytes([0, flight[at + 1], flight[at + 2], flight[at + 3]]);
            let next = at + 4 + body as usize;
            if flight[at] == wanted {
                return at..next;
            }
            at = next;
        }
        record = end;
    }
    panic!("no handshake message {wanted}")
}
