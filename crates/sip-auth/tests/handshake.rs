// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake between both roles, and every way in which it must fail.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Authority, Failure, HOST, Link, connector, received, register};
use lanyard_sip::{AuthValue, Headers, Message, Method, Name, OutMessage};
use lanyard_sip_auth::client::{self, Challenge, ClientError};
use lanyard_sip_auth::limits::{
    FAILED_HANDSHAKES_MAX, HANDSHAKE_BYTES_MAX, HANDSHAKE_ROUNDS_MAX, HANDSHAKE_TIME_MAX,
};
use lanyard_sip_auth::server::{self, Refusal, Settings, Step};
use lanyard_sip_auth::{
    Finished, InnerAcceptor, InnerConnector, InnerTls, InnerTlsError, SignError, VerifyError,
};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, Error};

#[test]
fn a_person_signs_in_and_the_server_sees_the_certificate() {
    let ca = Authority::new();
    let mut link = Link::new(&ca.settings(), 1);
    let identity = ca.person("alice@contoso.test");
    let leaf = identity.0[0].clone();
    let chain = link
        .sign_in(Instant::now(), &connector(&ca, identity, HOST))
        .unwrap();
    assert_eq!(chain, [leaf]);
    assert!(link.client.is_established() && link.server.is_established());
    assert!(!link.client.peer_chain().is_empty());
    // Two flights and the signed 200.
    assert_eq!(link.sent.len(), 3);
    assert_eq!(link.cseq, 4);
}

#[test]
fn the_challenge_tells_what_the_client_needs() {
    let ca = Authority::new();
    let mut link = Link::new(&ca.settings(), 1);
    let challenge = link.challenge(Instant::now());
    assert_eq!(challenge.realm, "SIP Communications Service");
    assert_eq!(challenge.targetname, HOST);
    let sts = "https://lync.contoso.test/CertProv/CertProvisioningService.svc";
    assert_eq!(challenge.sts_uri.as_deref(), Some(sts));

    let first = received(&register(1));
    let Step::Challenge(answer) = link.server.register(Instant::now(), &first) else {
        panic!()
    };
    insta::assert_snapshot!(String::from_utf8_lossy(&answer.to_bytes()));
}

#[test]
fn requests_and_responses_are_signed_and_verified_both_ways() {
    let ca = Authority::new();
    let mut link = Link::new(&ca.settings(), 1);
    link.sign_in(Instant::now(), &ca.connector("alice@contoso.test"))
        .unwrap();
    for number in 1..50 {
        let mut out = common::request(Method::Message, number).with_body("text/plain", "Grüße");
        link.client.sign(&mut out).unwrap();
        let seen = received(&out);
        link.server.verify(&seen).unwrap();
        let mut answer = OutMessage::response_to(&seen, 200, "OK").with_to_tag("x");
        link.server.sign(&mut answer).unwrap();
        link.client.verify(&received(&answer)).unwrap();
        let mut notify = common::request(Method::Notify, number);
        link.server.sign(&mut notify).unwrap();
        let seen = received(&notify);
        link.client.verify(&seen).unwrap();
        let mut answer = OutMessage::response_to(&seen, 200, "OK");
        link.client.sign(&mut answer).unwrap();
        link.server.verify(&received(&answer)).unwrap();
    }
}

#[test]
fn a_refresh_is_verified_without_a_handshake() {
    let ca = Authority::new();
    let mut link = Link::new(&ca.settings(), 1);
    link.sign_in(Instant::now(), &ca.connector("alice@contoso.test"))
        .unwrap();
    let mut refresh = link.next_register();
    link.client.sign(&mut refresh).unwrap();
    let refresh = received(&refresh);
    assert!(matches!(
        link.server.register(Instant::now(), &refresh),
        Step::Verified
    ));
    let again = link.server.register(Instant::now(), &refresh);
    assert!(matches!(
        again,
        Step::Refused(Refusal::Signature(VerifyError::Replayed))
    ));
    assert!(!link.server.must_close());
}

#[test]
fn authentication_can_be_repeated_and_counters_go_on() {
    let ca = Authority::new();
    let now = Instant::now();
    let mut link = Link::new(&ca.settings(), 1);
    let alice = ca.connector("alice@contoso.test");
    link.sign_in(now, &alice).unwrap();
    let mut before = common::request(Method::Info, 1);
    link.client.sign(&mut before).unwrap();
    link.server.verify(&received(&before)).unwrap();

    // Messages go on under the old association while the handshake runs.
    let challenge = link.challenge(now);
    link.client.begin(now, &challenge, &alice).unwrap();
    for round in 0..2 {
        let mut step = link.next_register();
        link.client.authorize(&mut step).unwrap();
        let Step::Continue(answer) = link.server.register(now, &received(&step)) else {
            panic!()
        };
        link.client.challenged(now, &received(&answer)).unwrap();
        let mut between = common::request(Method::Info, 2 + round);
        link.client.sign(&mut between).unwrap();
        link.server.verify(&received(&between)).unwrap();
        let mut notify = common::request(Method::Notify, 2 + round);
        link.server.sign(&mut notify).unwrap();
        link.client.verify(&received(&notify)).unwrap();
    }
    let mut proof = link.next_register();
    link.client.authorize(&mut proof).unwrap();
    let auth = proof.authorization().unwrap().unwrap();
    // One REGISTER, one INFO before, two between.
    assert_eq!(auth.get("cnum"), Some("5"));
    // What follows the proof is signed by the new keys already, what the server sent before it
    // has read the proof by the old ones.
    let mut after = common::request(Method::Info, 9);
    link.client.sign(&mut after).unwrap();
    let mut late = common::request(Method::Notify, 9);
    link.server.sign(&mut late).unwrap();
    let proof = received(&proof);
    assert!(matches!(
        link.server.register(now, &proof),
        Step::Established { .. }
    ));
    link.server.verify(&received(&after)).unwrap();
    link.client.verify(&received(&late)).unwrap();
    let mut ok = OutMessage::response_to(&proof, 200, "OK");
    link.server.sign(&mut ok).unwrap();
    assert_eq!(
        ok.authentication_info().unwrap().unwrap().get("snum"),
        Some("5")
    );
    link.client.verify(&received(&ok)).unwrap();
    assert_eq!(
        link.client.verify(&received(&late)),
        Err(VerifyError::WrongAssociation)
    );
}

#[test]
fn a_client_certificate_of_another_authority_is_refused() {
    let (ca, other) = (Authority::new(), Authority::new());
    let mut link = Link::new(&ca.settings(), 1);
    let stranger = connector(&ca, other.person("alice@contoso.test"), HOST);
    match link.sign_in(Instant::now(), &stranger).unwrap_err() {
        Failure::Server(Refusal::Handshake(InnerTlsError::Tls(Error::InvalidCertificate(e)))) => {
            assert!(matches!(
                e,
                CertificateError::UnknownIssuer | CertificateError::BadSignature
            ));
        }
        other => panic!("{other:?}"),
    }
    assert!(!link.server.is_established());
}

#[test]
fn a_client_certificate_for_servers_only_is_refused() {
    let ca = Authority::new();
    let mut link = Link::new(&ca.settings(), 1);
    let wrong = ca.issue("alice@contoso.test", ExtendedKeyUsagePurpose::ServerAuth);
    let failure = link
        .sign_in(Instant::now(), &connector(&ca, wrong, HOST))
        .unwrap_err();
    let Failure::Server(Refusal::Handshake(InnerTlsError::Tls(Error::InvalidCertificate(_)))) =
        failure
    else {
        panic!("{failure:?}");
    };
}

#[test]
fn a_server_certificate_of_another_authority_is_refused_by_the_client() {
    let (ca, other) = (Authority::new(), Authority::new());
    let mut link = Link::new(&ca.settings(), 1);
    let distrustful = connector(&other, ca.person("alice@contoso.test"), HOST);
    let failure = link.sign_in(Instant::now(), &distrustful).unwrap_err();
    assert!(matches!(
        failure,
        Failure::Client(ClientError::Handshake(InnerTlsError::Tls(_)))
    ));
}

#[test]
fn a_server_certificate_for_another_name_is_refused_by_the_client() {
    let ca = Authority::new();
    let mut link = Link::new(&ca.settings(), 1);
    let mistaken = connector(&ca, ca.person("alice@contoso.test"), "elsewhere.test");
    let failure = link.sign_in(Instant::now(), &mistaken).unwrap_err();
    assert!(matches!(
        failure,
        Failure::Client(ClientError::Handshake(InnerTlsError::Tls(_)))
    ));
}

/// A client that is not like ours.
struct Odd(ClientConfig);

impl Odd {
    fn new(ca: &Authority, version: &'static rustls::SupportedProtocolVersion) -> Odd {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Odd(ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(ca.roots())
            .with_no_client_auth())
    }
}

struct OddHandshake(ClientConnection);

impl InnerConnector for Odd {
    fn connect(&self) -> Result<Box<dyn InnerTls>, InnerTlsError> {
        let name = ServerName::try_from(HOST).unwrap();
        let connection = ClientConnection::new(Arc::new(self.0.clone()), name).unwrap();
        Ok(Box::new(OddHandshake(connection)))
    }
}

impl InnerTls for OddHandshake {
    fn step(&mut self, mut flight: &[u8]) -> Result<Vec<u8>, InnerTlsError> {
        while !flight.is_empty() {
            self.0.read_tls(&mut flight).unwrap();
            self.0.process_new_packets().map_err(InnerTlsError::Tls)?;
        }
        let mut out = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut out).unwrap();
        }
        Ok(out)
    }

    fn is_finished(&self) -> bool {
        !self.0.is_handshaking()
    }

    fn finish(self: Box<Self>) -> Result<Finished, InnerTlsError> {
        Err(InnerTlsError::NotFinished)
    }
}

/// Plays a handshake until the server refuses it.
fn refusal_of(link: &mut Link, connector: &dyn InnerConnector) -> Refusal {
    let now = Instant::now();
    let challenge = link.challenge(now);
    link.client.begin(now, &challenge, connector).unwrap();
    loop {
        let mut next = link.next_register();
        link.client.authorize(&mut next).unwrap();
        match link.server.register(now, &received(&next)) {
            Step::Continue(answer) => link.client.challenged(now, &received(&answer)).unwrap(),
            Step::Refused(refusal) => return refusal,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_client_that_speaks_tls_1_3_only_is_refused() {
    let ca = Authority::new();
    let mut link = Link::new(&ca.settings(), 1);
    let refusal = refusal_of(&mut link, &Odd::new(&ca, &rustls::version::TLS13));
    let Refusal::Handshake(InnerTlsError::Tls(Error::PeerIncompatible(_))) = refusal else {
        panic!("{refusal:?}");
    };
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let ca = Authority::new();
    let mut link = Link::new(&ca.settings(), 1);
    let refusal = refusal_of(&mut link, &Odd::new(&ca, &rustls::version::TLS12));
    let Refusal::Handshake(InnerTlsError::Tls(Error::NoCertificatesPresented)) = refusal else {
        panic!("{refusal:?}");
    };
}

fn step(parameters: AuthValue) -> Message {
    received(&register(7).with(Name::Authorization, parameters.finish()))
}

fn handshake(data: &str) -> AuthValue {
    AuthValue::new("TLS-DSK")
        .quoted("qop", "auth")
        .quoted("gssapi-data", data)
        .number("version", 4)
}

/// The refusal that a fresh connection gives to one REGISTER.
fn refused(message: &Message) -> Refusal {
    let mut link = Link::new(&Authority::new().settings(), 1);
    match link.server.register(Instant::now(), message) {
        Step::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn handshake_data_that_is_no_base64_or_no_tls_is_refused() {
    assert_eq!(refused(&step(handshake(""))), Refusal::HandshakeData);
    assert_eq!(refused(&step(handshake("=!"))), Refusal::HandshakeData);
    let garbage = refused(&step(handshake("bm90IFRMUyBhdCBhbGwsIGp1c3QgdGV4dA==")));
    assert!(
        matches!(garbage, Refusal::Handshake(InnerTlsError::Tls(_))),
        "{garbage:?}"
    );
}

/// An inner TLS that takes everything and never ends, so that only our own limits end it.
struct Endless;

impl InnerAcceptor for Endless {
    fn accept(&self, _client_hello: &[u8]) -> Result<Box<dyn InnerTls>, InnerTlsError> {
        Ok(Box::new(Endless))
    }
}

impl InnerTls for Endless {
    fn step(&mut self, _flight: &[u8]) -> Result<Vec<u8>, InnerTlsError> {
        Ok(vec![22])
    }

    fn is_finished(&self) -> bool {
        false
    }

    fn finish(self: Box<Self>) -> Result<Finished, InnerTlsError> {
        Err(InnerTlsError::NotFinished)
    }
}

/// Sends flights of this size to an endless handshake; how many are taken, and why it ends.
fn flights_taken(flight_bytes: usize) -> (u32, Refusal) {
    let settings = Settings {
        targetname: HOST.to_owned(),
        sts_uri: String::new(),
        acceptor: Box::new(Endless),
    };
    let mut server = server::Authenticator::new(Arc::new(settings), [1; 8]);
    let flight = "AAAA".repeat(flight_bytes / 3);
    let mut opaque: Option<String> = None;
    for taken in 0..100 {
        let mut value = handshake(&flight);
        if let Some(opaque) = &opaque {
            value = value.quoted("opaque", opaque);
        }
        match server.register(Instant::now(), &step(value)) {
            Step::Continue(answer) => {
                opaque = answer
                    .challenges()
                    .next()
                    .unwrap()
                    .get("opaque")
                    .map(str::to_owned);
            }
            Step::Refused(refusal) => return (taken, refusal),
            other => panic!("{other:?}"),
        }
    }
    panic!("no end");
}

#[test]
fn a_handshake_is_refused_one_round_over_the_limit() {
    assert_eq!(
        flights_taken(3),
        (HANDSHAKE_ROUNDS_MAX, Refusal::TooManyRounds)
    );
}

#[test]
fn a_handshake_is_refused_when_it_takes_more_bytes_than_the_limit() {
    let third = HANDSHAKE_BYTES_MAX / 3;
    assert_eq!(flights_taken(third), (3, Refusal::TooManyBytes));
    // Far less than one header line of the message layer may hold.
    assert_eq!(flights_taken(third + 3), (2, Refusal::TooManyBytes));
}

#[test]
fn another_version_of_the_scheme_is_refused() {
    let value = AuthValue::new("TLS-DSK")
        .quoted("gssapi-data", "AAAA")
        .number("version", 2);
    assert_eq!(refused(&step(value)), Refusal::Version);
}

#[test]
fn a_header_with_repeated_parameters_is_refused() {
    let value = handshake("AAAA").quoted("gssapi-data", "BBBB");
    assert!(matches!(refused(&step(value)), Refusal::Malformed(_)));
}

#[test]
fn another_scheme_is_answered_with_a_challenge() {
    let mut link = Link::new(&Authority::new().settings(), 1);
    let ntlm = step(AuthValue::new("NTLM").quoted("gssapi-data", ""));
    assert!(matches!(
        link.server.register(Instant::now(), &ntlm),
        Step::Challenge(_)
    ));
}

#[test]
fn a_slow_handshake_is_refused_on_both_sides() {
    let ca = Authority::new();
    let now = Instant::now();
    let late = now + HANDSHAKE_TIME_MAX + Duration::from_millis(1);
    let alice = ca.connector("alice@contoso.test");
    let mut link = Link::new(&ca.settings(), 1);
    let challenge = link.challenge(now);
    link.client.begin(now, &challenge, &alice).unwrap();
    let mut hello = link.next_register();
    link.client.authorize(&mut hello).unwrap();
    let Step::Continue(flight) = link.server.register(now, &received(&hello)) else {
        panic!()
    };
    link.client.challenged(now, &received(&flight)).unwrap();
    let mut next = link.next_register();
    link.client.authorize(&mut next).unwrap();
    let step = link.server.register(late, &received(&next));
    assert!(matches!(step, Step::Refused(Refusal::TooSlow)));

    link.client.begin(now, &challenge, &alice).unwrap();
    link.client.authorize(&mut register(9)).unwrap();
    let error = link
        .client
        .challenged(late, &received(&flight))
        .unwrap_err();
    assert_eq!(error, ClientError::TooSlow);
}

#[test]
fn a_handshake_of_another_connection_is_unknown() {
    let ca = Authority::new();
    let settings = ca.settings();
    let now = Instant::now();
    let alice = ca.connector("alice@contoso.test");
    let (mut one, mut two) = (Link::new(&settings, 1), Link::new(&settings, 2));
    one.sign_in(now, &alice).unwrap();
    two.sign_in(now, &alice).unwrap();
    let mut stray = common::request(Method::Message, 1);
    one.client.sign(&mut stray).unwrap();
    assert_eq!(
        two.server.verify(&received(&stray)),
        Err(VerifyError::WrongAssociation)
    );
    let mut refresh = one.next_register();
    one.client.sign(&mut refresh).unwrap();
    let step = two.server.register(now, &received(&refresh));
    let Step::Refused(Refusal::Signature(VerifyError::WrongAssociation)) = step else {
        panic!("{step:?}");
    };
    let mut fresh = Link::new(&settings, 3);
    let step = fresh.server.register(now, &received(&refresh));
    assert!(
        matches!(step, Step::Refused(Refusal::UnknownAssociation)),
        "{step:?}"
    );
}

#[test]
fn the_register_after_the_handshake_must_be_signed_by_its_keys() {
    let ca = Authority::new();
    let now = Instant::now();
    let mut link = Link::new(&ca.settings(), 1);
    let challenge = link.challenge(now);
    link.client
        .begin(now, &challenge, &ca.connector("alice@contoso.test"))
        .unwrap();
    for _ in 0..2 {
        let mut next = link.next_register();
        link.client.authorize(&mut next).unwrap();
        let Step::Continue(answer) = link.server.register(now, &received(&next)) else {
            panic!()
        };
        link.client.challenged(now, &received(&answer)).unwrap();
    }
    // Nothing is in force before the proof.
    let early = received(&common::request(Method::Message, 1));
    assert_eq!(link.server.verify(&early), Err(VerifyError::NotEstablished));
    assert_eq!(
        link.client.sign(&mut common::request(Method::Message, 1)),
        Err(SignError::NotEstablished)
    );

    let mut proof = link.next_register();
    link.client.authorize(&mut proof).unwrap();
    proof.set(Name::Expires, 600);
    let step = link.server.register(now, &received(&proof));
    let Step::Refused(Refusal::Signature(VerifyError::WrongSignature)) = step else {
        panic!("{step:?}");
    };
    assert!(!link.server.is_established());
}

#[test]
fn a_connection_whose_handshakes_keep_failing_is_given_up() {
    let mut link = Link::new(&Authority::new().settings(), 1);
    let garbage = step(handshake("AAAA"));
    for _ in 0..=FAILED_HANDSHAKES_MAX {
        assert!(!link.server.must_close());
        link.server.register(Instant::now(), &garbage);
    }
    assert!(link.server.must_close());
    let step = link
        .server
        .register(Instant::now(), &received(&register(1)));
    assert!(matches!(step, Step::Refused(Refusal::TooManyFailures)));
}

#[test]
fn the_client_tells_a_foreign_or_malformed_challenge() {
    let of = |headers: &[&str]| {
        let mut out = OutMessage::response_to(&received(&register(1)), 401, "Unauthorized");
        for value in headers {
            out.push(Name::WwwAuthenticate, value);
        }
        Challenge::of(&received(&out))
    };
    assert_eq!(of(&[]), Err(ClientError::SchemeNotOffered));
    assert_eq!(
        of(&["NTLM realm=\"r\""]),
        Err(ClientError::SchemeNotOffered)
    );
    assert_eq!(of(&["TLS-DSK realm=\"r\""]), Err(ClientError::Challenge));
    let v2 = "TLS-DSK realm=\"r\", targetname=\"t\", version=2";
    assert_eq!(of(&[v2]), Err(ClientError::Challenge));
    let good = of(&[
        "Kerberos x=1",
        "tls-dsk realm=\"r\", targetname=\"t\", version=4",
    ])
    .unwrap();
    assert_eq!((good.realm.as_str(), good.sts_uri), ("r", None));
}

#[test]
fn the_client_gives_up_when_the_server_challenges_anew() {
    let ca = Authority::new();
    let now = Instant::now();
    let mut link = Link::new(&ca.settings(), 1);
    let challenge = link.challenge(now);
    let mut fresh = client::Authenticator::new();
    assert_eq!(
        fresh.authorize(&mut register(1)),
        Err(ClientError::NotBegun)
    );
    fresh
        .begin(now, &challenge, &ca.connector("alice@contoso.test"))
        .unwrap();
    fresh.authorize(&mut register(1)).unwrap();
    assert_eq!(fresh.authorize(&mut register(2)), Err(ClientError::Waiting));
    let Step::Challenge(again) = link.server.register(now, &received(&register(2))) else {
        panic!();
    };
    assert_eq!(
        fresh.challenged(now, &received(&again)),
        Err(ClientError::NotAccepted)
    );
    assert_eq!(
        fresh.challenged(now, &received(&again)),
        Err(ClientError::NotBegun)
    );
}
