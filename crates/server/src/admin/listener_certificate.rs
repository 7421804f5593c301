// SPDX-License-Identifier: MIT OR Apache-2.0
//! The certificate of the listeners: made anew before it ends, with the same names and some more.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use lanyard_authority::{Actor, SerialSeed, ServerName, ceremony};
use lanyard_fault::Fault;
use lanyard_x509::{AlternativeName, Certificate};
use time::{Duration, OffsetDateTime};

use super::execute::Desk;
use super::protocol::Reply;
use super::view::RenewedView;
use crate::app::App;
use crate::problem::{Problem, chain};

/// A certificate of ours that ends sooner is made anew by the server itself.
const RENEW_BEFORE: Duration = Duration::days(30);

pub(super) fn renew(desk: &Desk<'_>, more: &[String]) -> Result<Reply, Problem> {
    let mut names = Vec::new();
    for name in more {
        let name: ServerName = name
            .parse()
            .map_err(|error| Problem::with(Fault::AdminInput, format_args!("{name}: {error}")))?;
        names.push(name);
    }
    let _lock = desk.change_lock();
    renew_listener_certificate(desk.app, desk.actor, names).map(Reply::Renewed)
}

/// Makes the certificate anew when it is one of ours and about to end; says whether it did.
pub(crate) fn renew_when_due(app: &App, now: OffsetDateTime) -> Result<bool, Problem> {
    let file = app.data.resolve(&app.config.load().tls.certificate);
    let leaf = read_leaf(&file)?;
    let is_ours = leaf.issuer() == app.authority.issuing().subject();
    if !is_ours || now + RENEW_BEFORE < leaf.not_after() {
        return Ok(false);
    }
    let _lock = app
        .changes
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let actor = Actor::System("renewal".to_owned());
    renew_listener_certificate(app, &actor, Vec::new())?;
    Ok(true)
}

fn renew_listener_certificate(
    app: &App,
    actor: &Actor,
    more: Vec<ServerName>,
) -> Result<RenewedView, Problem> {
    let config = app.config.load_full();
    let chain_file = app.data.resolve(&config.tls.certificate);
    let key_file = app.data.resolve(&config.tls.key);
    let leaf = read_leaf(&chain_file)?;
    if leaf.issuer() != app.authority.issuing().subject() {
        let detail = format!("{} was issued by another authority", chain_file.display());
        return Err(Problem::with(Fault::AdminInput, detail));
    }
    let mut names: Vec<ServerName> = Vec::new();
    for name in names_of(&leaf).chain(more) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let seed = SerialSeed::draw().map_err(|error| Problem::with(Fault::ServerInternal, error))?;
    let now = OffsetDateTime::now_utc();
    let (key, issued) =
        ceremony::server_tls(&app.authority, names.clone(), actor.clone(), seed, now)
            .map_err(|error| Problem::from_error(Fault::AuthorityUnusable, &error))?;

    let pem = format!(
        "{}{}",
        issued.certificate.to_pem(),
        app.authority.issuing().to_pem()
    );
    let new_key = write_beside(&key_file, key.to_pkcs8_pem().as_bytes(), 0o600)?;
    let new_chain = write_beside(&chain_file, pem.as_bytes(), 0o644)?;
    for (from, to) in [(&new_key, &key_file), (&new_chain, &chain_file)] {
        std::fs::rename(from, to).map_err(|error| Problem::file(to, &error))?;
    }
    app.reload_tls(&config)
        .map_err(|error| Problem::with(Fault::TlsIdentityUnusable, error))?;
    Ok(RenewedView {
        serial: issued.certificate.serial().to_string(),
        names: names.iter().map(ToString::to_string).collect(),
        not_after: issued.certificate.not_after(),
    })
}

fn names_of(leaf: &Certificate) -> impl Iterator<Item = ServerName> {
    leaf.extensions()
        .alternative_names
        .iter()
        .filter_map(|name| match name {
            AlternativeName::Dns(host) => Some(ServerName::Dns(host.clone())),
            AlternativeName::Ip(address) => Some(ServerName::Ip(*address)),
            _ => None,
        })
}

fn read_leaf(path: &Path) -> Result<Certificate, Problem> {
    let unusable = |error: &dyn std::error::Error| {
        let detail = format!("{}: {}", path.display(), chain(error));
        Problem::with(Fault::TlsIdentityUnusable, detail)
    };
    let pem = std::fs::read_to_string(path).map_err(|error| unusable(&error))?;
    let all = Certificate::all_from_pem(&pem).map_err(|error| unusable(&error))?;
    all.into_iter().next().ok_or_else(|| {
        Problem::with(
            Fault::TlsIdentityUnusable,
            format_args!("{} is empty", path.display()),
        )
    })
}

/// Writes a file that will take the place of another one by a rename.
fn write_beside(path: &Path, bytes: &[u8], mode: u32) -> Result<PathBuf, Problem> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    let _ = std::fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        Problem::file(&beside, &error)
    })?;
    Ok(beside)
}
