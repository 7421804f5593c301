// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS 1.3 handshakes in which the client is known by the card.

use crate::card::Authority;
use crate::{PATIENCE, PIN};
use anyhow::{Context as _, Result, ensure};
use lanyard_card::{CardSigner, CardWay, Cards, LastTry};
use lanyard_piv::Pin;
use lanyard_tests::process::eventually;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// TLS 1.3 handshakes in which the client is known by the card: time of each, and CPU time in all.
pub fn handshakes(authority: &Authority, count: u32, pids: &[u32]) -> Result<(Vec<Duration>, u64)> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.root())?;
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.cert.der().clone()], key.into())?;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = welcome(stream, Arc::clone(&config));
        }
    });
    let cards = Arc::new(Cards::new(CardWay::Pcsc, None));
    let card = eventually("the card in the list", PATIENCE, || {
        let listing = cards.list().ok()?;
        listing
            .cards()
            .find(|card| card.authentication_certificate.is_some())
            .cloned()
    })?;
    let before = cpu_time(pids)?;
    let mut times = Vec::new();
    for _ in 0..count {
        let pin = Pin::parse(PIN)?;
        let signer = CardSigner::authentication(Arc::clone(&cards), &card, pin, LastTry::Refuse)?;
        let mut roots = RootCertStore::empty();
        roots.add(own.cert.der().clone())?;
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_cert_resolver(signer.client_certificate(Vec::new()));
        config.resumption = rustls::client::Resumption::disabled();
        let began = Instant::now();
        let mut connection = ClientConnection::new(Arc::new(config), "localhost".try_into()?)?;
        let mut stream = TcpStream::connect(address)?;
        let mut said = String::new();
        rustls::Stream::new(&mut connection, &mut stream).read_to_string(&mut said)?;
        times.push(began.elapsed());
        ensure!(said == "welcome", "{said}");
    }
    let spent = cpu_time(pids)?.saturating_sub(before);
    Ok((times, spent / u64::from(count)))
}

fn welcome(mut stream: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = ServerConnection::new(config)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    connection.writer().write_all(b"welcome")?;
    connection.send_close_notify();
    connection.complete_io(&mut stream)?;
    Ok(())
}

/// CPU time of processes so far, in microseconds; the kernel counts in steps of 10 ms.
fn cpu_time(pids: &[u32]) -> Result<u64> {
    const TICK_MICROS: u64 = 10_000;
    let mut ticks = 0u64;
    for pid in pids {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, rest) = stat.rsplit_once(')').context("stat")?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        for place in [11, 12] {
            let word = words.get(place).context("stat")?;
            ticks = ticks.saturating_add(word.parse()?);
        }
    }
    Ok(ticks.saturating_mul(TICK_MICROS))
}
