// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making a deployment: directory, keys, certificates, database, configuration.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use lanyard_authority::audit::{AuditLog, sign_head};
use lanyard_authority::{Actor, SerialSeed, ServerName, ceremony};
use lanyard_directory::{AccountDomain, DomainName};
use lanyard_fault::Fault;
use lanyard_store::Store;
use lanyard_x509::{Certificate, SoftwareKey};
use serde::Serialize;
use time::OffsetDateTime;

use crate::config::{self, TemplateValues};
use crate::data::DataDir;
use crate::open::{DataLock, open_authority};
use crate::problem::Problem;

/// What a deployment is made from.
#[derive(Debug, Clone)]
pub struct InitPlan {
    /// Where.
    pub data: DataDir,
    /// The domain of the sign-in addresses.
    pub domain: DomainName,
    /// The name that clients connect to; `lync.` before the domain when not said.
    pub host: Option<DomainName>,
    /// Further names of the server's certificate.
    pub sans: Vec<ServerName>,
    /// The organisation; the domain when not said.
    pub organisation: Option<String>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// The data directory.
    pub data: PathBuf,
    /// The configuration.
    pub config: PathBuf,
    /// The root certificate: what clients trust.
    pub root_certificate: PathBuf,
    /// The root key: belongs off-line.
    pub root_key: PathBuf,
    /// SHA-256 of the root certificate.
    pub root_sha256: String,
    /// The domain of the sign-in addresses.
    pub domain: String,
    /// The name that clients connect to.
    pub host: String,
    /// The names of the server's certificate.
    pub names: Vec<String>,
    /// When the server's certificate ends.
    #[serde(with = "time::serde::rfc3339")]
    pub certificate_ends: OffsetDateTime,
    /// What all account ids begin with.
    pub account_domain: String,
}

/// Makes a deployment. What was begun and could not be finished is removed again.
///
/// # Errors
/// When the directory is not empty, or something cannot be made.
pub fn init(plan: &InitPlan, by: &Actor) -> Result<Made, Problem> {
    let data = &plan.data;
    let existed = prepare_directory(data.path())?;
    make(plan, by).inspect_err(|_| remove_unfinished(data, existed))
}

fn make(plan: &InitPlan, by: &Actor) -> Result<Made, Problem> {
    let data = &plan.data;
    let now = OffsetDateTime::now_utc();
    let host = match &plan.host {
        Some(host) => host.clone(),
        None => format!("lync.{}", plan.domain)
            .parse()
            .map_err(|error| Problem::with(Fault::AdminInput, error))?,
    };
    let organisation = plan
        .organisation
        .clone()
        .unwrap_or_else(|| plan.domain.to_string());

    make_directory(&data.ca_dir())?;
    make_directory(&data.tls_dir())?;
    let seeds = [seed()?, seed()?];
    let ceremony_plan = ceremony::Plan::for_organisation(&organisation);
    let ceremony = ceremony::hold(&ceremony_plan, seeds, now)
        .map_err(|error| Problem::from_error(Fault::AdminInput, &error))?;
    write_key(&data.root_key(), &ceremony.root_key)?;
    write_key(&data.issuing_key(), &ceremony.issuing_key)?;
    write_file(
        &data.root_certificate(),
        ceremony.root.to_pem().as_bytes(),
        0o644,
    )?;
    write_file(
        &data.issuing_certificate(),
        ceremony.issuing.to_pem().as_bytes(),
        0o644,
    )?;

    crate::card_life::open_secrets(data)?;

    let account_domain = AccountDomain::from_random(random()?);
    let store = Store::create(&data.database_file(), account_domain)?;
    // From here on the directory looks like one that a server could run on.
    let _lock = DataLock::take(data)?;
    ceremony.register(&store, by, now)?;

    let values = TemplateValues {
        host: &host,
        domain: &plan.domain,
        organisation: &organisation,
    };
    let text = config::file_text(&values);
    write_file(&data.config_file(), text.as_bytes(), 0o600)?;
    let config = config::load_from(&data.config_file(), &text, [])?;

    let authority = open_authority(data, &config, &store)?;
    let names = certificate_names(&host, &plan.domain, &plan.sans)?;
    let (key, issued) = ceremony::server_tls(&authority, names.clone(), by.clone(), seed()?, now)
        .map_err(|error| Problem::from_error(Fault::AdminInput, &error))?;
    write_key(&data.tls_key(), &key)?;
    write_chain(
        &data.tls_certificate(),
        &[&issued.certificate, authority.issuing()],
    )?;

    authority
        .make_crl(now)
        .map_err(|error| Problem::from_error(Fault::ServerInternal, &error))?;
    let head = store.head().map_err(crate::admin::audit_problem)?;
    let signed = sign_head(head, authority.signer(), now)
        .map_err(|error| Problem::from_error(Fault::ServerInternal, &error))?;
    store
        .save_signed_head(&signed)
        .map_err(crate::admin::audit_problem)?;

    // The names of the files must last as well as what is in them.
    for directory in [data.ca_dir(), data.tls_dir(), data.path().to_owned()] {
        std::fs::File::open(&directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| Problem::file(&directory, &error))?;
    }
    Ok(Made {
        data: data.path().to_owned(),
        config: data.config_file(),
        root_certificate: data.root_certificate(),
        root_key: data.root_key(),
        root_sha256: ceremony.root.thumbprint().to_string(),
        domain: plan.domain.to_string(),
        host: host.to_string(),
        names: names.iter().map(ToString::to_string).collect(),
        certificate_ends: issued.certificate.not_after(),
        account_domain: account_domain.to_string(),
    })
}

/// The names under which clients find this server, and what was asked for besides.
fn certificate_names(
    host: &DomainName,
    domain: &DomainName,
    sans: &[ServerName],
) -> Result<Vec<ServerName>, Problem> {
    let usual = [
        host.to_string(),
        format!("lyncdiscover.{domain}"),
        format!("lyncdiscoverinternal.{domain}"),
        format!("sip.{domain}"),
    ];
    let mut names = Vec::new();
    for name in usual {
        let name: ServerName = name
            .parse()
            .map_err(|error| Problem::with(Fault::AdminInput, format_args!("{name}: {error}")))?;
        names.push(name);
    }
    names.extend(sans.iter().cloned());
    let mut unique: Vec<ServerName> = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    Ok(unique)
}

/// Makes the directory, or takes an empty one; says whether it was there.
fn prepare_directory(path: &Path) -> Result<bool, Problem> {
    match std::fs::read_dir(path) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(Problem::with(Fault::DataDirectoryNotEmpty, path.display()));
            }
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
                .map_err(|error| Problem::file(path, &error))?;
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder
                .create(path)
                .map_err(|error| Problem::file(path, &error))?;
            Ok(false)
        }
        Err(error) => Err(Problem::file(path, &error)),
    }
}

/// Takes away what an unfinished `init` has made, so that it can be run again.
fn remove_unfinished(data: &DataDir, existed: bool) {
    if !existed {
        let _ = std::fs::remove_dir_all(data.path());
        return;
    }
    // The directory was empty when we began: everything in it is ours.
    for entry in std::fs::read_dir(data.path())
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path();
        let _ = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
    }
}

fn make_directory(path: &Path) -> Result<(), Problem> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|error| Problem::file(path, &error))
}

fn write_key(path: &Path, key: &SoftwareKey) -> Result<(), Problem> {
    write_file(path, key.to_pkcs8_pem().as_bytes(), 0o600)
}

fn write_chain(path: &Path, chain: &[&Certificate]) -> Result<(), Problem> {
    let pem: String = chain
        .iter()
        .map(|certificate| certificate.to_pem())
        .collect();
    write_file(path, pem.as_bytes(), 0o644)
}

fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Problem> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| Problem::file(path, &error))
}

fn seed() -> Result<SerialSeed, Problem> {
    SerialSeed::draw().map_err(|error| Problem::with(Fault::ServerInternal, error))
}

fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Problem::with(Fault::ServerInternal, "the system gives no random bytes"))?;
    Ok(bytes)
}
