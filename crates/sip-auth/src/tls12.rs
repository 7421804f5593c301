// SPDX-License-Identifier: MIT OR Apache-2.0
//! The inner handshake between our own programs: exactly TLS 1.2, by rustls, in memory.
//!
//! TLS 1.3 is not offered: its handshake does not fit the steps of TLS-DSK, in which the server's
//! last flight ends it. There is no resumption and there are no tickets: each association comes
//! from a handshake in which the client's certificate was shown and its key was used.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::hash::HashAlgorithm;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS12;
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    SupportedCipherSuite,
};
use zeroize::Zeroizing;

use crate::inner::{Finished, InnerAcceptor, InnerConnector, InnerTls, InnerTlsError};
use crate::keys::{EXPORTER_LABEL, KEY_BLOCK_BYTES, MessageHash, SigningKeys};

/// The server's side. One is shared by all connections.
#[derive(Debug)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
}

impl Acceptor {
    /// With the server's certificate chain and key. `clients` decides which client certificates
    /// are good (it must make them mandatory: a handshake without one is refused in any case).
    ///
    /// # Errors
    /// When chain and key do not fit together.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        clients: Arc<dyn ClientCertVerifier>,
        time: Arc<dyn TimeProvider>,
    ) -> Result<Acceptor, InnerTlsError> {
        let mut config =
            ServerConfig::builder_with_details(Arc::new(aws_lc_rs::default_provider()), time)
                .with_protocol_versions(&[&TLS12])
                .map_err(InnerTlsError::Tls)?
                .with_client_cert_verifier(clients)
                .with_single_cert(chain, key)
                .map_err(InnerTlsError::Tls)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // Binds the exported keys to the whole handshake (RFC 7627).
        config.require_ems = true;
        Ok(Acceptor {
            config: Arc::new(config),
        })
    }
}

impl InnerAcceptor for Acceptor {
    fn accept(&self, _client_hello: &[u8]) -> Result<Box<dyn InnerTls>, InnerTlsError> {
        let connection =
            ServerConnection::new(Arc::clone(&self.config)).map_err(InnerTlsError::Tls)?;
        Ok(Box::new(Handshake {
            connection: connection.into(),
        }))
    }
}

/// The client's side.
#[derive(Debug)]
pub struct Connector {
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
}

impl Connector {
    /// With the client's certificate chain and key. The server's certificate must lead to `roots`
    /// and be for `server`.
    ///
    /// # Errors
    /// When chain and key do not fit together.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        roots: RootCertStore,
        server: ServerName<'static>,
        time: Arc<dyn TimeProvider>,
    ) -> Result<Connector, InnerTlsError> {
        let mut config =
            ClientConfig::builder_with_details(Arc::new(aws_lc_rs::default_provider()), time)
                .with_protocol_versions(&[&TLS12])
                .map_err(InnerTlsError::Tls)?
                .with_root_certificates(roots)
                .with_client_auth_cert(chain, key)
                .map_err(InnerTlsError::Tls)?;
        config.resumption = Resumption::disabled();
        config.require_ems = true;
        Ok(Connector {
            config: Arc::new(config),
            server,
        })
    }
}

impl InnerConnector for Connector {
    fn connect(&self) -> Result<Box<dyn InnerTls>, InnerTlsError> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.server.clone())
            .map_err(InnerTlsError::Tls)?;
        Ok(Box::new(Handshake {
            connection: connection.into(),
        }))
    }
}

struct Handshake {
    connection: Connection,
}

impl InnerTls for Handshake {
    fn step(&mut self, flight: &[u8]) -> Result<Vec<u8>, InnerTlsError> {
        let mut input = flight;
        while !input.is_empty() {
            // Reading from memory fails only when rustls takes no more.
            let taken = self.connection.read_tls(&mut input).unwrap_or(0);
            let state = self
                .connection
                .process_new_packets()
                .map_err(InnerTlsError::Tls)?;
            if state.plaintext_bytes_to_read() > 0 || state.peer_has_closed() {
                return Err(InnerTlsError::UnexpectedData);
            }
            if taken == 0 {
                return Err(InnerTlsError::UnexpectedData);
            }
        }
        let mut output = Vec::new();
        while self.connection.wants_write() {
            let written = self.connection.write_tls(&mut output as &mut dyn io::Write);
            // Writing to memory does not fail; the test ends the loop in any case.
            if written.unwrap_or(0) == 0 {
                break;
            }
        }
        Ok(output)
    }

    fn is_finished(&self) -> bool {
        !self.connection.is_handshaking()
    }

    fn finish(self: Box<Self>) -> Result<Finished, InnerTlsError> {
        if !self.is_finished() {
            return Err(InnerTlsError::NotFinished);
        }
        let chain = self.connection.peer_certificates().unwrap_or_default();
        if chain.is_empty() {
            return Err(InnerTlsError::NoPeerCertificate);
        }
        let hash = match self.connection.negotiated_cipher_suite() {
            Some(SupportedCipherSuite::Tls12(suite)) => {
                match suite.common.hash_provider.algorithm() {
                    HashAlgorithm::SHA256 => MessageHash::Sha256,
                    HashAlgorithm::SHA384 => MessageHash::Sha384,
                    _ => return Err(InnerTlsError::UnusableSuite),
                }
            }
            _ => return Err(InnerTlsError::UnusableSuite),
        };
        let peer_chain = chain.iter().map(|one| one.clone().into_owned()).collect();
        let mut block = Zeroizing::new([0; KEY_BLOCK_BYTES]);
        self.connection
            .export_keying_material(&mut block[..], EXPORTER_LABEL, None)
            .map_err(InnerTlsError::Tls)?;
        Ok(Finished {
            keys: SigningKeys::of_block(block, hash),
            peer_chain,
        })
    }
}
