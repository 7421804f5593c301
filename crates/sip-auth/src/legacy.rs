// SPDX-License-Identifier: MIT OR Apache-2.0
//! The inner handshake of foreign clients that know nothing newer than TLS 1.0 with RSA key
//! transport. Built only with the feature `legacy`, offered only where the operator asks for it.
//!
//! OpenSSL speaks it, over memory; no other module names that library. What it is trusted with is
//! small: no data ever passes through the tunnel, the outer connection has its own modern TLS, and
//! the RSA key that decrypts the client's secret is made when the server starts, never stored, and
//! used for nothing else. A secret with bad padding is replaced by a random one inside OpenSSL
//! (RFC 5246 7.4.7.1), and every failure ends in the same words here, whatever it was.
//!
//! Whether the client's certificate is good is not OpenSSL's to say: it proves that the client has
//! the key, and the same verifier decides that decides for TLS 1.2.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslMethod, SslMode, SslOptions, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};
use openssl::x509::{X509, X509NameBuilder};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::time_provider::TimeProvider;
use zeroize::Zeroizing;

use crate::inner::{Finished, InnerAcceptor, InnerTls, InnerTlsError};
use crate::keys::{EXPORTER_LABEL, KEY_BLOCK_BYTES, MessageHash, SigningKeys};
use crate::limits::HANDSHAKE_BYTES_MAX;

/// The two suites that such clients and today's OpenSSL have in common. Level 0 is needed for the
/// MD5/SHA-1 signatures of TLS 1.0.
const CIPHERS: &str = "AES128-SHA:AES256-SHA:@SECLEVEL=0";
/// Size of the key that is made for this handshake alone.
const RSA_BITS: u32 = 2048;
/// Life of its certificate. The clients do not look at it.
const CERTIFICATE_DAYS: u32 = 3650;
/// The largest payload of a TLS record.
const RECORD_BYTES_MAX: usize = 16 * 1024;
/// Length of a record's head: type, version, length.
const RECORD_HEAD_BYTES: usize = 5;
/// Record type of handshake messages.
const RECORD_HANDSHAKE: u8 = 22;
/// TLS 1.0 as it stands on the wire.
const TLS_1_0: [u8; 2] = [3, 1];

/// Serves clients whose first flight asks for TLS 1.0 with OpenSSL, and all others as before.
pub struct Acceptor {
    modern: Box<dyn InnerAcceptor>,
    context: SslContext,
    clients: Arc<dyn ClientCertVerifier>,
    time: Arc<dyn TimeProvider>,
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("legacy::Acceptor(..)")
    }
}

impl Acceptor {
    /// Beside `modern`, with a key and a certificate made here for `host`. `clients` decides which
    /// client certificates are good.
    ///
    /// # Errors
    /// When the system's OpenSSL cannot do what is needed.
    pub fn new(
        modern: Box<dyn InnerAcceptor>,
        host: &str,
        clients: Arc<dyn ClientCertVerifier>,
        time: Arc<dyn TimeProvider>,
    ) -> Result<Acceptor, InnerTlsError> {
        let context = context(host).map_err(|_| InnerTlsError::LegacyUnavailable)?;
        Ok(Acceptor {
            modern,
            context,
            clients,
            time,
        })
    }
}

impl InnerAcceptor for Acceptor {
    fn accept(&self, client_hello: &[u8]) -> Result<Box<dyn InnerTls>, InnerTlsError> {
        if !asks_for_tls_1_0(client_hello) {
            return self.modern.accept(client_hello);
        }
        let stream = Ssl::new(&self.context)
            .and_then(|ssl| SslStream::new(ssl, Memory::default()))
            .map_err(|_| InnerTlsError::LegacyUnavailable)?;
        Ok(Box::new(Handshake {
            stream,
            finished: false,
            clients: Arc::clone(&self.clients),
            time: Arc::clone(&self.time),
        }))
    }
}

/// Whether a first flight is a ClientHello that offers at most TLS 1.0: record head, handshake
/// type 1, three bytes of length, then the client's version (RFC 2246 7.4.1.2).
#[must_use]
pub fn asks_for_tls_1_0(flight: &[u8]) -> bool {
    flight.first() == Some(&RECORD_HANDSHAKE)
        && flight.get(5) == Some(&1)
        && flight.get(9..11) == Some(&TLS_1_0)
}

fn context(host: &str) -> Result<SslContext, ErrorStack> {
    let (key, certificate) = identity(host)?;
    let mut context = SslContext::builder(SslMethod::tls_server())?;
    context.set_cipher_list(CIPHERS)?;
    context.set_min_proto_version(Some(SslVersion::TLS1))?;
    context.set_max_proto_version(Some(SslVersion::TLS1))?;
    context.set_options(
        SslOptions::NO_TICKET | SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION,
    );
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_mode(SslMode::NO_AUTO_CHAIN);
    // The chain is judged in `finish`; here the peer proves that it has the key.
    context.set_verify_callback(
        SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
        |_, _| true,
    );
    context.set_private_key(&key)?;
    context.set_certificate(&certificate)?;
    context.check_private_key()?;
    Ok(context.build())
}

/// The key of this handshake, and a certificate that it signs for itself.
fn identity(host: &str) -> Result<(PKey<Private>, X509), ErrorStack> {
    let key = PKey::from_rsa(Rsa::generate(RSA_BITS)?)?;
    let mut name = X509NameBuilder::new()?;
    // A longer name than X.520 lets a common name be would be refused; nobody reads it.
    name.append_entry_by_text("CN", host.get(..64).unwrap_or(host))?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(120, MsbOption::ONE, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    let (begin, end) = (
        Asn1Time::days_from_now(0)?,
        Asn1Time::days_from_now(CERTIFICATE_DAYS)?,
    );
    builder.set_not_before(&begin)?;
    builder.set_not_after(&end)?;
    builder.set_pubkey(&key)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok((key, builder.build()))
}

struct Handshake {
    stream: SslStream<Memory>,
    finished: bool,
    clients: Arc<dyn ClientCertVerifier>,
    time: Arc<dyn TimeProvider>,
}

impl InnerTls for Handshake {
    fn step(&mut self, flight: &[u8]) -> Result<Vec<u8>, InnerTlsError> {
        if self.finished {
            return Err(InnerTlsError::UnexpectedData);
        }
        self.stream.get_mut().take_in(flight)?;
        match self.stream.accept() {
            Ok(()) => self.finished = true,
            Err(error) if error.code() == ErrorCode::WANT_READ => {}
            // The same for every cause: which check failed is nobody's business.
            Err(_) => return Err(InnerTlsError::Legacy),
        }
        let memory = self.stream.get_mut();
        if self.finished && !memory.input.is_empty() {
            return Err(InnerTlsError::UnexpectedData);
        }
        let output = std::mem::take(&mut memory.output);
        if self.finished || output.is_empty() {
            return Ok(output);
        }
        // Only our first flight leaves the handshake unfinished.
        Ok(one_record(&output).unwrap_or(output))
    }

    fn is_finished(&self) -> bool {
        self.finished
    }

    fn finish(self: Box<Self>) -> Result<Finished, InnerTlsError> {
        if !self.finished {
            return Err(InnerTlsError::NotFinished);
        }
        let ssl = self.stream.ssl();
        let leaf = ssl.peer_certificate();
        let leaf = leaf.ok_or(InnerTlsError::NoPeerCertificate)?;
        let mut peer_chain = vec![der(&leaf)?];
        // On a server the chain begins with the client's own certificate or leaves it out.
        for certificate in ssl.peer_cert_chain().into_iter().flatten() {
            let certificate = certificate.to_der().map_err(|_| InnerTlsError::Legacy)?;
            if peer_chain
                .first()
                .is_none_or(|leaf| leaf.as_ref() != certificate.as_slice())
            {
                peer_chain.push(CertificateDer::from(certificate));
            }
        }
        let now = self
            .time
            .current_time()
            .ok_or(InnerTlsError::Tls(rustls::Error::FailedToGetCurrentTime))?;
        let (leaf, others) = peer_chain
            .split_first()
            .ok_or(InnerTlsError::NoPeerCertificate)?;
        self.clients
            .verify_client_cert(leaf, others, now)
            .map_err(InnerTlsError::Tls)?;
        // Without context this is the PRF of TLS 1.0 over both randoms (RFC 5705 4).
        let mut block = Zeroizing::new([0; KEY_BLOCK_BYTES]);
        let label = std::str::from_utf8(EXPORTER_LABEL).map_err(|_| InnerTlsError::Legacy)?;
        ssl.export_keying_material(&mut block[..], label, None)
            .map_err(|_| InnerTlsError::Legacy)?;
        Ok(Finished {
            keys: SigningKeys::of_block(block, MessageHash::Sha1),
            peer_chain,
        })
    }
}

fn der(certificate: &X509) -> Result<CertificateDer<'static>, InnerTlsError> {
    let der = certificate.to_der().map_err(|_| InnerTlsError::Legacy)?;
    Ok(CertificateDer::from(der))
}

/// Joins the records of the server's first flight into one. OpenSSL gives each handshake message a
/// record of its own; clients of this kind do not find a ServerHelloDone that begins a record.
///
/// `None` when there is anything but whole handshake records, or more than one record can hold.
fn one_record(flight: &[u8]) -> Option<Vec<u8>> {
    let mut joined = vec![RECORD_HANDSHAKE, TLS_1_0[0], TLS_1_0[1], 0, 0];
    let mut rest = flight;
    while !rest.is_empty() {
        let (head, tail) = rest.split_at_checked(RECORD_HEAD_BYTES)?;
        let &[kind, major, minor, high, low] = head else {
            return None;
        };
        if kind != RECORD_HANDSHAKE || [major, minor] != TLS_1_0 {
            return None;
        }
        let (payload, tail) = tail.split_at_checked(u16::from_be_bytes([high, low]).into())?;
        joined.extend_from_slice(payload);
        rest = tail;
    }
    let length = joined.len().checked_sub(RECORD_HEAD_BYTES)?;
    if length > RECORD_BYTES_MAX {
        return None;
    }
    let length = u16::try_from(length).ok()?.to_be_bytes();
    joined
        .get_mut(3..RECORD_HEAD_BYTES)?
        .copy_from_slice(&length);
    Some(joined)
}

/// Both directions of a connection that is none.
#[derive(Default)]
struct Memory {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Memory {
    fn take_in(&mut self, flight: &[u8]) -> Result<(), InnerTlsError> {
        if self.input.len().saturating_add(flight.len()) > HANDSHAKE_BYTES_MAX {
            return Err(InnerTlsError::UnexpectedData);
        }
        self.input.extend_from_slice(flight);
        Ok(())
    }
}

impl Read for Memory {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.input.len().min(into.len());
        let taken: Vec<u8> = self.input.drain(..count).collect();
        if let Some(into) = into.get_mut(..count) {
            into.copy_from_slice(&taken);
        }
        Ok(count)
    }
}

impl Write for Memory {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(from);
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_flight_become_one() {
        let flight = [22, 3, 1, 0, 2, 9, 9, 22, 3, 1, 0, 4, 14, 0, 0, 0];
        assert_eq!(
            one_record(&flight).unwrap(),
            [22, 3, 1, 0, 6, 9, 9, 14, 0, 0, 0]
        );
    }

    #[test]
    fn what_is_not_only_handshake_is_not_joined() {
        assert_eq!(one_record(&[20, 3, 1, 0, 1, 1]), None);
        assert_eq!(one_record(&[22, 3, 3, 0, 1, 1]), None);
        assert_eq!(one_record(&[22, 3, 1, 0, 2, 1]), None);
        assert_eq!(one_record(&[22, 3, 1]), None);
        let mut large = vec![22, 3, 1, 0x40, 0];
        large.extend(std::iter::repeat_n(0, RECORD_BYTES_MAX));
        assert_eq!(one_record(&large).unwrap(), large);
        large.extend([22, 3, 1, 0, 1, 0]);
        assert_eq!(one_record(&large), None);
    }

    #[test]
    fn a_tls_1_0_hello_is_told_from_a_newer_one() {
        let hello = hex::decode("16030100350100003103016b02ec12").unwrap();
        assert!(asks_for_tls_1_0(&hello));
        let newer = hex::decode("16030100350100003103036b02ec12").unwrap();
        assert!(!asks_for_tls_1_0(&newer));
        assert!(!asks_for_tls_1_0(&hello[..10]));
        assert!(!asks_for_tls_1_0(b""));
    }
}
