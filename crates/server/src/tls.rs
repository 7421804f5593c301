// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS for the listeners: server identities, and the card listener's client authentication.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError, ServerConfig,
    SignatureScheme,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a TLS identity could not be loaded.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate chain is missing or no PEM.
    #[error("cannot read the certificate chain {path}")]
    Chain {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The private key is missing or no PEM.
    #[error("cannot read the private key {path}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// Chain and key do not belong together, or the key is of an unknown kind.
    #[error("the certificate chain and the private key do not fit")]
    Mismatch(#[source] TlsError),
}

/// The certificate chain and private key of a listener.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads a PEM chain (leaf first) and a PKCS#8 PEM key.
    ///
    /// # Errors
    /// A file is missing or is no PEM.
    pub fn load(chain: &Path, key: &Path) -> Result<Self, IdentityError> {
        let certificates = CertificateDer::pem_file_iter(chain)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|source| IdentityError::Chain {
                path: chain.into(),
                source,
            })?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|source| IdentityError::Key {
            path: key.into(),
            source,
        })?;
        Ok(Self {
            chain: certificates,
            key,
        })
    }

    /// Chain and key.
    #[must_use]
    pub fn into_parts(self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain, self.key)
    }
}

/// The provider of all TLS cryptography in the product.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A listener that shows a certificate and asks for none.
///
/// # Errors
/// Chain and key do not fit.
pub fn plain_config(identity: &Identity) -> Result<ServerConfig, IdentityError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(IdentityError::Mismatch)?
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(IdentityError::Mismatch)?;
    config.send_tls13_tickets = 1;
    Ok(config)
}

/// The card listener: a client certificate is mandatory and its key is proved by the handshake.
///
/// `hints` are the subjects of the authorities whose cards are meant, so that a client with many
/// certificates offers the right one. There is no resumption: each sign-in is one use of the card.
///
/// # Errors
/// Chain and key do not fit.
pub fn card_config(
    identity: &Identity,
    hints: Vec<DistinguishedName>,
) -> Result<ServerConfig, IdentityError> {
    let provider = provider();
    let verifier = Arc::new(ProvesPossession {
        algorithms: provider.signature_verification_algorithms,
        hints,
    });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(IdentityError::Mismatch)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(IdentityError::Mismatch)?;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(config)
}

/// Lets any well-formed certificate through whose key signed the handshake.
///
/// Whether the certificate is *acceptable* is decided by the federation endpoint, which can give the
/// reason in words; a TLS alert cannot. Nothing but a `VerifiedCard` of that check earns a token.
#[derive(Debug)]
struct ProvesPossession {
    algorithms: WebPkiSupportedAlgorithms,
    hints: Vec<DistinguishedName>,
}

impl ClientCertVerifier for ProvesPossession {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        webpki::EndEntityCert::try_from(end_entity)
            .map_err(|_| TlsError::InvalidCertificate(CertificateError::BadEncoding))?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
