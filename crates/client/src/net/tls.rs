// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the client trusts: the platform's roots and the configured ones. There is no switch to skip it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::NetFault;
use crate::config::ClientConfig as Settings;

/// Why the trusted roots cannot be had.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file of the configuration cannot be read.
    #[error("the trust anchor {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the configuration holds no certificate.
    #[error("{} holds no certificate in PEM form", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
}

/// TLS configurations over the trusted roots.
#[derive(Debug, Clone)]
pub struct TlsTrust {
    roots: Arc<RootCertStore>,
    web: Arc<ClientConfig>,
}

impl TlsTrust {
    /// Reads the platform's roots and the configured files.
    ///
    /// # Errors
    /// When a configured file cannot be read. A platform without roots is no error.
    pub fn load(settings: &Settings) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        let platform = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(platform.certs);
        for path in &settings.trust_anchors {
            let pem = fs::read(path).map_err(|source| TrustError::Unreadable {
                path: path.clone(),
                source,
            })?;
            let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).flatten().collect();
            let (added, _) = roots.add_parsable_certificates(certificates);
            if added == 0 {
                return Err(TrustError::NoCertificate { path: path.clone() });
            }
        }
        let roots = Arc::new(roots);
        let web = Arc::new(builder(&roots).with_no_client_auth());
        Ok(Self { roots, web })
    }

    /// The trusted roots.
    #[must_use]
    pub fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }

    /// The configuration for everything but the card listener.
    #[must_use]
    pub fn web(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.web)
    }

    /// A configuration that shows a client certificate, for one handshake.
    #[must_use]
    pub fn with_certificate(&self, resolver: Arc<dyn ResolvesClientCert>) -> Arc<ClientConfig> {
        let mut config = builder(&self.roots).with_client_cert_resolver(resolver);
        // One PIN, one signature, one connection: nothing of it may be resumed without the card.
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    }
}

fn builder(
    roots: &Arc<RootCertStore>,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_root_certificates(Arc::clone(roots))
}

pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, NetFault> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| NetFault::Url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trust_anchor_that_is_no_certificate_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root.pem");
        fs::write(&path, "nothing").unwrap();
        let settings = Settings {
            trust_anchors: vec![path.clone()],
            ..Settings::default()
        };
        let error = TlsTrust::load(&settings).unwrap_err();
        assert!(error.to_string().contains("root.pem"));
    }
}
