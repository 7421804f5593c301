// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TLS inside the SIP headers, as the steps around it see it.

use rustls::pki_types::CertificateDer;

use crate::keys::SigningKeys;

/// Why the inner handshake failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InnerTlsError {
    /// TLS itself failed: records, versions, signatures, or the peer's certificate.
    #[error("inner TLS handshake failed")]
    Tls(#[source] rustls::Error),
    /// The peer showed no certificate.
    #[error("peer showed no certificate in the inner handshake")]
    NoPeerCertificate,
    /// The peer sent application data; nothing but the handshake belongs there.
    #[error("data inside the inner handshake")]
    UnexpectedData,
    /// The handshake ended with a version or suite that signs no messages.
    #[error("inner handshake ended with an unusable cipher suite")]
    UnusableSuite,
    /// The handshake of a legacy peer failed. One word for every cause.
    #[error("inner handshake failed")]
    Legacy,
    /// The library that serves legacy peers cannot do what is needed.
    #[error("the system's OpenSSL cannot serve the inner handshake of legacy clients")]
    LegacyUnavailable,
    /// The keys were asked for before the handshake ended.
    #[error("inner handshake has not ended")]
    NotFinished,
}

/// A handshake that goes on. Object-safe: a peer that speaks an older TLS can be served by another
/// implementation.
pub trait InnerTls: Send {
    /// Takes the peer's flight and gives our next one; it may be empty. The client's first call is
    /// with an empty flight.
    ///
    /// # Errors
    /// The handshake is over.
    fn step(&mut self, flight: &[u8]) -> Result<Vec<u8>, InnerTlsError>;

    /// True when both sides have finished; what [`InnerTls::step`] gave last must still be sent.
    fn is_finished(&self) -> bool;

    /// The keys and the peer's certificates.
    ///
    /// # Errors
    /// When the handshake has not ended, or not well.
    fn finish(self: Box<Self>) -> Result<Finished, InnerTlsError>;
}

/// What a handshake leaves behind.
#[derive(Debug)]
pub struct Finished {
    /// The keys of the association.
    pub keys: SigningKeys,
    /// The peer's certificates, its own first. They were verified by the verifier that the
    /// acceptor or connector was made with.
    pub peer_chain: Vec<CertificateDer<'static>>,
}

/// Begins handshakes on the server's side.
pub trait InnerAcceptor: Send + Sync {
    /// Begins a handshake. The client's first flight is shown, so that an implementation can be
    /// chosen by it; it is given to [`InnerTls::step`] afterwards.
    ///
    /// # Errors
    /// When no handshake can be begun.
    fn accept(&self, client_hello: &[u8]) -> Result<Box<dyn InnerTls>, InnerTlsError>;
}

/// Begins handshakes on the client's side.
pub trait InnerConnector: Send + Sync {
    /// Begins a handshake.
    ///
    /// # Errors
    /// When no handshake can be begun.
    fn connect(&self) -> Result<Box<dyn InnerTls>, InnerTlsError>;
}
