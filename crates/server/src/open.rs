// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening a deployment: lock, configuration, database, authority, and the people in memory.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use lanyard_authority::{Authority, AuthoritySettings};
use lanyard_directory::{DirectoryStore, DomainName, Snapshot};
use lanyard_fault::Fault;
use lanyard_store::Store;
use lanyard_x509::{Certificate, SoftwareKey};
use zeroize::Zeroizing;

use crate::app::App;
use crate::config::Config;
use crate::data::DataDir;
use crate::problem::Problem;

/// Held for as long as a process works on a data directory; the system lets go of it in any case.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Takes the lock of a data directory.
    ///
    /// # Errors
    /// When another process has it, or this is no data directory.
    pub fn take(data: &DataDir) -> Result<Self, Problem> {
        if !data.database_file().exists() {
            return Err(Problem::with(
                Fault::DataDirectoryIncomplete,
                data.path().display(),
            ));
        }
        let path = data.lock_file();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options
            .open(&path)
            .map_err(|error| Problem::file(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Problem::with(
                Fault::DataDirectoryInUse,
                data.path().display(),
            )),
            Err(TryLockError::Error(error)) => Err(Problem::file(&path, &error)),
        }
    }
}

/// Opens everything that verbs and server need.
///
/// # Errors
/// What is missing, damaged or in the way.
pub fn open_app(data: DataDir, config: Config) -> Result<App, Problem> {
    let store = Store::open(&data.database_file())?;
    let authority = open_authority(&data, &config, &store)?;
    let secrets = crate::card_life::open_secrets(&data)?;
    let snapshot = load_snapshot(&store, &config.server.domains)?;
    Ok(App::new(data, config, store, authority, secrets, snapshot))
}

/// The people, groups and policies of the database.
///
/// # Errors
/// When the database does not answer.
pub fn load_snapshot(store: &Store, domains: &[DomainName]) -> Result<Snapshot, Problem> {
    Ok(Snapshot::new(
        domains.to_vec(),
        store.default_policy()?,
        store.groups()?,
        store.accounts()?,
    ))
}

/// The authority with the certificates and the key of the data directory.
///
/// # Errors
/// When one of them cannot be used.
pub fn open_authority(
    data: &DataDir,
    config: &Config,
    store: &Store,
) -> Result<Authority, Problem> {
    let unusable = |path: &Path, error: &dyn std::error::Error| {
        Problem::with(
            Fault::AuthorityUnusable,
            format_args!("{}: {}", path.display(), crate::problem::chain(error)),
        )
    };
    let certificate = |path: &Path| {
        let pem = std::fs::read_to_string(path).map_err(|error| unusable(path, &error))?;
        Certificate::from_pem(&pem).map_err(|error| unusable(path, &error))
    };
    let key_file = data.issuing_key();
    let pem = std::fs::read_to_string(&key_file).map_err(|error| unusable(&key_file, &error))?;
    let pem = Zeroizing::new(pem);
    let key = SoftwareKey::from_pkcs8_pem(&pem).map_err(|error| unusable(&key_file, &error))?;
    let mut settings = AuthoritySettings::new(
        certificate(&data.root_certificate())?,
        certificate(&data.issuing_certificate())?,
        Arc::new(key),
        Arc::new(store.clone()),
    );
    let server = &config.server;
    settings.organisation = server
        .organisation
        .clone()
        .unwrap_or_else(|| organisation_default(server.domains.first()));
    settings.crl_urls = vec![public_http_url(config, "/crl/issuing.crl")];
    settings.issuer_urls = vec![public_http_url(config, "/aia/issuing.cer")];
    Authority::new(settings).map_err(|error| Problem::from_error(Fault::AuthorityUnusable, &error))
}

/// A URL on the plain HTTP listener.
fn public_http_url(config: &Config, path: &str) -> String {
    let host = &config.server.host;
    match config.http_port() {
        80 => format!("http://{host}{path}"),
        port => format!("http://{host}:{port}{path}"),
    }
}

fn organisation_default(domain: Option<&DomainName>) -> String {
    domain.map_or_else(|| "Lanyard".to_owned(), ToString::to_string)
}
