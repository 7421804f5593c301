// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the inner handshake of an old client costs the server: a row of `cargo xtask bench`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at the first surprise"
)]

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanyard_sip_auth::{InnerAcceptor, InnerTls, InnerTlsError, legacy};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode, SslVersion};
use openssl::x509::{X509, X509NameBuilder};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::DefaultTimeProvider;

/// Handshakes that are measured.
const ROUNDS: usize = 200;

/// No newer client comes here.
struct Nobody;

impl InnerAcceptor for Nobody {
    fn accept(&self, _: &[u8]) -> Result<Box<dyn InnerTls>, InnerTlsError> {
        Err(InnerTlsError::LegacyUnavailable)
    }
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

fn identity() -> (PKey<Private>, X509) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "alice@contoso.test")
        .unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    let (begin, end) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(1));
    builder.set_not_before(&begin.unwrap()).unwrap();
    builder.set_not_after(&end.unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (key, builder.build())
}

fn main() {
    let (key, certificate) = identity();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.to_der().unwrap().into()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let clients = clients.build().unwrap();
    let time = Arc::new(DefaultTimeProvider);
    let acceptor =
        legacy::Acceptor::new(Box::new(Nobody), "lync.contoso.test", clients, time).unwrap();
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_cipher_list("AES128-SHA:@SECLEVEL=0").unwrap();
    context
        .set_min_proto_version(Some(SslVersion::TLS1))
        .unwrap();
    context
        .set_max_proto_version(Some(SslVersion::TLS1))
        .unwrap();
    context.set_verify(SslVerifyMode::NONE);
    context.set_certificate(&certificate).unwrap();
    context.set_private_key(&key).unwrap();
    let context = context.build();

    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let mut client = SslStream::new(Ssl::new(&context).unwrap(), Pipe::default()).unwrap();
            let mut speak = |flight: &[u8]| {
                client.get_mut().input.extend_from_slice(flight);
                let _ = client.connect();
                std::mem::take(&mut client.get_mut().output)
            };
            let hello = speak(&[]);
            let begun = Instant::now();
            let mut server = acceptor.accept(&hello).unwrap();
            let flight = server.step(&hello).unwrap();
            let first = begun.elapsed();
            let second = speak(&flight);
            let begun = Instant::now();
            server.step(&second).unwrap();
            assert!(server.is_finished());
            first + begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "{{\"name\": \"inner handshake of an old client, the server's part (TLS 1.0, RSA-2048, without \
         judging the certificate)\", \"p50_us\": {}, \"p95_us\": {}}}",
        times[ROUNDS / 2].as_micros(),
        times[ROUNDS * 95 / 100].as_micros(),
    );
}
