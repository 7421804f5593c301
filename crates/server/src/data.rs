// SPDX-License-Identifier: MIT OR Apache-2.0
//! The data directory: where each file of a deployment is.

use std::path::{Path, PathBuf};

/// Where a server looks for its data when nothing else is said.
pub const DATA_DIR_DEFAULT: &str = "/var/lib/lanyard";
/// Where a server looks for its configuration when the data directory holds none.
pub const CONFIG_FILE_SYSTEM: &str = "/etc/lanyard/server.toml";

/// A data directory.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The data directory at this path; it need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The configuration that `init` writes.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.0.join("server.toml")
    }

    /// The database.
    #[must_use]
    pub fn database_file(&self) -> PathBuf {
        self.0.join("lanyard.db")
    }

    /// The socket of the administration verbs.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// The file whose lock says that a server, or a verb without a server, is at work.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The certificates and keys of the authority.
    #[must_use]
    pub fn ca_dir(&self) -> PathBuf {
        self.0.join("ca")
    }

    /// The root certificate, PEM: what clients trust.
    #[must_use]
    pub fn root_certificate(&self) -> PathBuf {
        self.ca_dir().join("root.pem")
    }

    /// The root key. It serves only to make another issuing authority and belongs off-line.
    #[must_use]
    pub fn root_key(&self) -> PathBuf {
        self.ca_dir().join("root.key")
    }

    /// The issuing certificate, PEM.
    #[must_use]
    pub fn issuing_certificate(&self) -> PathBuf {
        self.ca_dir().join("issuing.pem")
    }

    /// The issuing key.
    #[must_use]
    pub fn issuing_key(&self) -> PathBuf {
        self.ca_dir().join("issuing.key")
    }

    /// The secrets from which the keys of cards are derived.
    #[must_use]
    pub fn card_secrets(&self) -> PathBuf {
        self.ca_dir().join("cards.key")
    }

    /// The newest revocation list, DER.
    #[must_use]
    pub fn revocation_list(&self) -> PathBuf {
        self.ca_dir().join("issuing.crl")
    }

    /// The certificates and keys of the listeners.
    #[must_use]
    pub fn tls_dir(&self) -> PathBuf {
        self.0.join("tls")
    }

    /// The certificate chain of the listeners, PEM, leaf first.
    #[must_use]
    pub fn tls_certificate(&self) -> PathBuf {
        self.tls_dir().join("server.pem")
    }

    /// The key of the listeners.
    #[must_use]
    pub fn tls_key(&self) -> PathBuf {
        self.tls_dir().join("server.key")
    }

    /// A path from the configuration: relative ones are meant from here.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.0.join(path)
    }
}
