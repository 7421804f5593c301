// SPDX-License-Identifier: MIT OR Apache-2.0
//! The chat key and certificate, and the association that they earn. Both live in memory only.

use std::fmt;
use std::sync::Arc;

use lanyard_sip_auth::InnerTlsError;
use lanyard_sip_auth::tls12::Connector;
use lanyard_x509::{Certificate, SoftwareKey};
use rustls::RootCertStore;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::DefaultTimeProvider;
use time::OffsetDateTime;

/// The chat certificate and its key: good for reconnects of the running agent, destroyed at sign-out.
pub struct Credential {
    certificate: Certificate,
    key: SoftwareKey,
    roots: Arc<RootCertStore>,
}

impl Credential {
    /// From what the provisioning service gave; `roots` is what the inner server certificate must lead to.
    #[must_use]
    pub fn new(certificate: Certificate, key: SoftwareKey, roots: Arc<RootCertStore>) -> Self {
        Self {
            certificate,
            key,
            roots,
        }
    }

    /// When the certificate ends.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.certificate.not_after()
    }

    /// The certificate for one handshake of TLS.
    ///
    /// # Errors
    /// When the key is of a kind that TLS does not know.
    pub fn client_certificate(&self) -> Result<Arc<dyn ResolvesClientCert>, rustls::Error> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let chain = vec![self.certificate.to_rustls()];
        let key = CertifiedKey::from_der(chain, self.key.to_rustls(), &provider)?;
        Ok(Arc::new(SingleCertAndKey::from(key)))
    }

    /// The connector of the handshake inside SIP with the server of this name.
    pub(super) fn connector(&self, targetname: &str) -> Result<Connector, InnerTlsError> {
        let server = ServerName::try_from(targetname.to_owned())
            .map_err(|_| InnerTlsError::Tls(rustls::Error::General("no server name".into())))?;
        Connector::new(
            vec![self.certificate.to_rustls()],
            self.key.to_rustls(),
            RootCertStore::clone(&self.roots),
            server,
            Arc::new(DefaultTimeProvider),
        )
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential(until {}, ..)", self.certificate.not_after())
    }
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        self.certificate.der() == other.certificate.der()
    }
}
