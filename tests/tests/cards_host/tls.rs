// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS client authentication with the independent card.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use lanyard_card::{CardFault, CardSigner, CardSummary, LastTry, PinStatus};
use lanyard_piv::Algorithm;
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::standin::{Hand, StandIn};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use crate::desk::{Authority, Desk, WRONG_PIN, blank_pin, pin};

/// A TLS server that asks for a certificate of this authority.
pub struct Gate {
    address: std::net::SocketAddr,
    certificate: rustls::pki_types::CertificateDer<'static>,
}

impl Gate {
    pub fn open(authority: &Authority) -> Result<Self> {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let certificate = own.cert.der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.der().clone())?;
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.clone()], key.into())?;
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                std::thread::spawn(move || answer(stream, config));
            }
        });
        Ok(Self {
            address,
            certificate,
        })
    }

    /// One handshake with the card, and what the server says then.
    pub fn knock(
        &self,
        signer: &CardSigner,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let mut config = ClientConfig::builder_with_protocol_versions(&[version])
            .with_root_certificates(roots)
            .with_client_cert_resolver(signer.client_certificate(Vec::new()));
        config.resumption = rustls::client::Resumption::disabled();
        let mut connection = ClientConnection::new(Arc::new(config), "localhost".try_into()?)?;
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut said = String::new();
        rustls::Stream::new(&mut connection, &mut stream).read_to_string(&mut said)?;
        Ok(said)
    }
}

fn answer(mut stream: TcpStream, config: Arc<ServerConfig>) {
    let Ok(mut connection) = ServerConnection::new(config) else {
        return;
    };
    let mut talk = || -> Result<()> {
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        connection.writer().write_all(b"welcome")?;
        connection.send_close_notify();
        connection.complete_io(&mut stream)?;
        Ok(())
    };
    let _ = talk();
}

fn signer(desk: &Desk, card: &CardSummary, text: &str, last_try: LastTry) -> Result<CardSigner> {
    Ok(CardSigner::authentication(
        Arc::clone(&desk.cards),
        card,
        pin(text),
        last_try,
    )?)
}

#[test]
fn a_card_of_each_kind_of_key_opens_the_gate_in_both_versions() {
    in_own_namespace(
        "tls::a_card_of_each_kind_of_key_opens_the_gate_in_both_versions",
        || {
            let desk = Desk::new()?;
            let authority = Authority::new()?;
            let gate = Gate::open(&authority)?;
            for algorithm in Algorithm::ALL {
                let card = desk.personalise(&authority, algorithm)?;
                for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
                    let signer = signer(&desk, &card, StandIn::PIN, LastTry::Refuse)?;
                    let said = gate.knock(&signer, version)?;
                    ensure!(said == "welcome", "{algorithm} {version:?}: {said}");
                    ensure!(signer.has_signed() && signer.fault().is_none());

                    // The same PIN is not good for a second handshake.
                    ensure!(gate.knock(&signer, version).is_err());
                    ensure!(signer.fault() == Some(CardFault::PinSpent));

                    let presence = CardSigner::card_authentication(Arc::clone(&desk.cards), &card)?;
                    ensure!(gate.knock(&presence, version)? == "welcome");
                }
            }
            Ok(())
        },
    );
}

#[test]
fn reconnecting_with_a_wrong_pin_costs_one_try_and_never_the_last() {
    in_own_namespace(
        "tls::reconnecting_with_a_wrong_pin_costs_one_try_and_never_the_last",
        || {
            let desk = Desk::new()?;
            let authority = Authority::new()?;
            let gate = Gate::open(&authority)?;
            let card = desk.personalise(&authority, Algorithm::EccP256)?;
            let version = &rustls::version::TLS13;
            for tries_left in [2, 1] {
                let signer = signer(&desk, &card, WRONG_PIN, LastTry::Refuse)?;
                for _ in 0..5 {
                    ensure!(gate.knock(&signer, version).is_err());
                    ensure!(signer.fault() == Some(CardFault::WrongPin { tries_left }));
                }
                ensure!(desk.open()?.pin_status()? == PinStatus::TriesLeft(tries_left));
            }
            let unasked = signer(&desk, &card, StandIn::PIN, LastTry::Refuse)?;
            ensure!(gate.knock(&unasked, version).is_err());
            ensure!(unasked.fault() == Some(CardFault::LastTry));
            ensure!(desk.open()?.pin_status()? == PinStatus::TriesLeft(1));
            let asked = signer(&desk, &card, StandIn::PIN, LastTry::Allow)?;
            ensure!(gate.knock(&asked, version)? == "welcome");
            ensure!(desk.open()?.pin_status()? == PinStatus::TriesLeft(3));
            Ok(())
        },
    );
}

#[test]
fn what_ended_the_handshake_is_told_afterwards() {
    in_own_namespace("tls::what_ended_the_handshake_is_told_afterwards", || {
        let desk = Desk::new()?;
        let authority = Authority::new()?;
        let gate = Gate::open(&authority)?;
        let card = desk.personalise(&authority, Algorithm::EccP256)?;
        let version = &rustls::version::TLS13;
        for (hand, fault) in [
            (Hand::OutWhenSigning, CardFault::Removed),
            (Hand::Out, CardFault::NoCard),
            (Hand::In, CardFault::PinSpent),
            (Hand::MuteWhenSigning, CardFault::CardMute),
        ] {
            desk.card.tell(Hand::In)?;
            desk.summary()?;
            let signer = signer(&desk, &card, StandIn::PIN, LastTry::Refuse)?;
            let known = desk.cards.readers()?;
            desk.card.tell(hand)?;
            match hand {
                Hand::Out => {
                    let patience = crate::desk::PATIENCE;
                    let cancel = lanyard_card::Cancel::new();
                    desk.cards.wait_for_change(&known, patience, &cancel)?;
                }
                Hand::In => signer.forget(),
                _ => {}
            }
            let error = gate.knock(&signer, version).err();
            ensure!(error.is_some(), "{hand:?}");
            ensure!(
                signer.fault() == Some(fault),
                "{hand:?}: {:?}",
                signer.fault()
            );
        }
        Ok(())
    });
}

#[test]
fn another_card_in_the_same_reader_gets_no_pin() {
    in_own_namespace("tls::another_card_in_the_same_reader_gets_no_pin", || {
        let mut desk = Desk::new()?;
        let authority = Authority::new()?;
        let gate = Gate::open(&authority)?;
        let card = desk.personalise(&authority, Algorithm::EccP256)?;
        let signer = signer(&desk, &card, WRONG_PIN, LastTry::Refuse)?;
        drop(desk.card);
        desk.card = StandIn::insert(&desk.folder.path().join("other"), &desk.pcscd.slot(0))?;
        lanyard_tests::process::eventually("the other card", crate::desk::PATIENCE, || {
            (desk.summary().ok()?.guid != card.guid).then_some(())
        })?;
        ensure!(gate.knock(&signer, &rustls::version::TLS13).is_err());
        ensure!(signer.fault() == Some(CardFault::OtherCard));
        let mut session = desk.open()?;
        ensure!(session.pin_status()? == PinStatus::TriesLeft(3));
        session.verify(&blank_pin(), LastTry::Refuse)?;
        Ok(())
    });
}
