// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificates, database, audit trail, clock and ports.

use std::net::TcpListener;
use std::path::Path;

use lanyard_authority::Registry;
use lanyard_authority::audit::AuditLog;
use lanyard_store::Store;
use lanyard_x509::{Certificate, SoftwareKey};
use time::{Duration, OffsetDateTime};

use super::Check;
use crate::admin::verify_trail;
use crate::config::{Config, Tls};
use crate::data::DataDir;
use crate::problem::{Problem, chain};

/// Certificates that end sooner are warned about.
const CERTIFICATE_WARNING: Duration = Duration::days(30);
/// How far the clock may be behind the newest row of the audit trail.
const CLOCK_BACKWARDS_MAX: Duration = Duration::minutes(5);

pub(super) fn clock(now: OffsetDateTime, data: &DataDir) -> Vec<Check> {
    const NAME: &str = "clock";
    const NEXT: &str = "Set the clock, best by a time service: certificates depend on it.";
    let root = read_certificate(&data.root_certificate());
    if let Ok(root) = root
        && now < root.not_before()
    {
        let found = format!(
            "the clock says {}, before the root certificate was made",
            whole(now)
        );
        return vec![Check::wrong(NAME, found, NEXT)];
    }
    Vec::new()
}

pub(super) fn certificates(
    data: &DataDir,
    config: Option<&Config>,
    now: OffsetDateTime,
) -> Vec<Check> {
    let mut checks = Vec::new();
    let root = take(
        &mut checks,
        "root certificate",
        read_certificate(&data.root_certificate()),
    );
    let issuing = take(
        &mut checks,
        "issuing authority",
        read_certificate(&data.issuing_certificate()),
    );
    let tls = config.map_or_else(Tls::default, |config| config.tls.clone());
    let chain_file = data.resolve(&tls.certificate);
    let server = take(&mut checks, "server certificate", read_chain(&chain_file));

    if let Some(root) = &root {
        checks.push(lifetime("root certificate", root, now));
    }
    if let (Some(root), Some(issuing)) = (&root, &issuing) {
        checks.push(issued_by("issuing authority", issuing, root, now));
        checks.push(key_fits("issuing key", &data.issuing_key(), issuing));
    }
    if let Some(server) = &server
        && let [leaf, above @ ..] = server.as_slice()
    {
        match (above.first(), &issuing) {
            (Some(above), _) => checks.push(issued_by("server certificate", leaf, above, now)),
            (None, Some(issuing)) if leaf.issuer() == issuing.subject() => {
                checks.push(Check::wrong(
                    "server certificate",
                    format!("{} holds no chain", chain_file.display()),
                    "Append the issuing authority's certificate, ca/issuing.pem, to it.",
                ));
            }
            _ => checks.push(lifetime("server certificate", leaf, now)),
        }
        checks.push(key_fits("server key", &data.resolve(&tls.key), leaf));
        if let Some(config) = config {
            checks.push(names_host(leaf, config));
        }
    }
    checks
}

pub(super) fn database(store: &Store, data: &DataDir, now: OffsetDateTime) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.push(match store.check_integrity() {
        Ok(integrity) if integrity.is_whole() => Check::ok("database", "whole"),
        Ok(integrity) => {
            let first = integrity.faults.first().cloned();
            Check::wrong(
                "database",
                first.unwrap_or_else(|| format!("{} rows point to nothing", integrity.dangling)),
                "Stop the server, keep a copy of the files, and restore the last backup.",
            )
        }
        Err(error) => Check::problem("database", &Problem::from(error)),
    });
    if let Ok(issuing) = read_certificate(&data.issuing_certificate())
        && let Ok(key) = issuing.public_key()
    {
        checks.push(match verify_trail(store, &key) {
            Ok(verdict) => Check::ok("audit trail", format!("whole, {} rows", verdict.rows)),
            Err(problem) => Check::problem("audit trail", &problem),
        });
    }
    checks.push(match store.current_crl() {
        Ok(Some(list)) if list.next_update > now => {
            Check::ok("revocation list", format!("number {}", list.number))
        }
        Ok(Some(_)) => Check::warning(
            "revocation list",
            "the newest one is over",
            "Start the server: it makes a new one by itself.",
        ),
        Ok(None) => Check::warning(
            "revocation list",
            "there is none yet",
            "Start the server: it makes one by itself.",
        ),
        Err(error) => Check::problem("revocation list", &Problem::from(error)),
    });
    checks.push(newest_row(store, now));
    checks
}

/// The audit trail knows a time that has certainly been.
fn newest_row(store: &Store, now: OffsetDateTime) -> Check {
    const NAME: &str = "clock";
    let newest = store
        .head()
        .and_then(|head| store.events_after(head.seq.saturating_sub(1), 1))
        .ok()
        .and_then(|rows| rows.into_iter().next());
    match newest {
        Some(row) if now + CLOCK_BACKWARDS_MAX < row.time => Check::wrong(
            NAME,
            format!(
                "the clock says {now}, but the audit trail has a row of {}",
                row.time
            ),
            "Set the clock, best by a time service: certificates depend on it.",
        ),
        _ => Check::ok(NAME, format!("{}", whole(now))),
    }
}

/// What `sip.legacy_tls_dsk` means, where it is on.
pub(super) fn legacy_sign_in(config: &Config) -> Option<Check> {
    const NAME: &str = "legacy sign-in";
    if !config.sip.legacy_tls_dsk {
        return None;
    }
    Some(if cfg!(feature = "legacy") {
        Check::warning(
            NAME,
            "clients whose inner handshake is TLS 1.0 with RSA key transport are accepted, and their \
             messages are signed with HMAC-SHA1",
            "Turn sip.legacy_tls_dsk off when nobody needs Pidgin or another such client.",
        )
    } else {
        Check::wrong(
            NAME,
            "sip.legacy_tls_dsk is on, but this program was built without the feature \"legacy\"",
            "Turn it off, or use a lanyard-server that was built with that feature.",
        )
    })
}

/// With the server running, its ports are its own; without it they must be free.
pub(super) fn ports(config: &Config, running: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    for (key, address) in config.listeners() {
        if running {
            continue;
        }
        if let Err(error) = TcpListener::bind(address) {
            let next = match error.kind() {
                std::io::ErrorKind::AddrInUse => "Stop the other program or change the port.",
                std::io::ErrorKind::PermissionDenied => {
                    "Run the server with CAP_NET_BIND_SERVICE, or choose a port above 1023."
                }
                _ => "Correct the address.",
            };
            checks.push(Check::wrong(
                "ports",
                format!("listen.{key} = {address}: {error}"),
                next,
            ));
        }
    }
    if checks.is_empty() {
        let found = if running {
            "served by the running server"
        } else {
            "free"
        };
        checks.push(Check::ok("ports", found));
    }
    checks
}

fn read_certificate(path: &Path) -> Result<Certificate, String> {
    let pem = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Certificate::from_pem(&pem).map_err(|e| format!("{}: {}", path.display(), chain(&e)))
}

fn read_chain(path: &Path) -> Result<Vec<Certificate>, String> {
    let pem = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Certificate::all_from_pem(&pem).map_err(|e| format!("{}: {}", path.display(), chain(&e)))
}

fn take<T>(checks: &mut Vec<Check>, name: &'static str, read: Result<T, String>) -> Option<T> {
    read.map_err(|found| {
        checks.push(Check::wrong(name, found, "Restore the file from a backup."));
    })
    .ok()
}

fn issued_by(
    name: &'static str,
    certificate: &Certificate,
    issuer: &Certificate,
    now: OffsetDateTime,
) -> Check {
    let signed = issuer
        .public_key()
        .is_ok_and(|key| certificate.verify_signature(&key).is_ok());
    if certificate.issuer() != issuer.subject() || !signed {
        return Check::wrong(
            name,
            "it was not issued by the certificate above it",
            "Restore the files that belong together from one backup.",
        );
    }
    lifetime(name, certificate, now)
}

fn lifetime(name: &'static str, certificate: &Certificate, now: OffsetDateTime) -> Check {
    const NEXT: &str = "For the listeners: 'lanyard-server certificate renew'. For an authority: \
                        plan a new ceremony in time.";
    let (begin, end) = (certificate.not_before(), certificate.not_after());
    if now < begin {
        Check::wrong(
            name,
            format!("it holds only from {begin}"),
            "Set the clock.",
        )
    } else if now >= end {
        Check::wrong(name, format!("it ended {end}"), NEXT)
    } else if now + CERTIFICATE_WARNING >= end {
        Check::warning(name, format!("it ends {end}"), NEXT)
    } else {
        Check::ok(name, format!("until {}", end.date()))
    }
}

fn key_fits(name: &'static str, path: &Path, certificate: &Certificate) -> Check {
    let pem = match std::fs::read_to_string(path) {
        Ok(pem) => zeroize::Zeroizing::new(pem),
        Err(error) => {
            let found = format!("{}: {error}", path.display());
            return Check::wrong(name, found, "Restore the file from a backup.");
        }
    };
    match SoftwareKey::from_pkcs8_pem(&pem) {
        Ok(key) => {
            use lanyard_x509::Signer;
            if key.public_key().spki_der() == certificate.spki_der() {
                Check::ok(name, "belongs to its certificate")
            } else {
                Check::wrong(
                    name,
                    format!("{} belongs to another certificate", path.display()),
                    "Restore the files that belong together from one backup.",
                )
            }
        }
        Err(error) => {
            let found = format!("{}: {}", path.display(), chain(&error));
            Check::wrong(name, found, "Restore the file from a backup.")
        }
    }
}

fn names_host(leaf: &Certificate, config: &Config) -> Check {
    const NAME: &str = "server name";
    let host = config.server.host.as_str();
    let der = rustls_pki_types::CertificateDer::from(leaf.der());
    let named = webpki::EndEntityCert::try_from(&der).is_ok_and(|certificate| {
        rustls_pki_types::ServerName::try_from(host)
            .is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
    });
    if named {
        Check::ok(NAME, format!("{host} stands in the certificate"))
    } else {
        Check::wrong(
            NAME,
            format!("{host} does not stand in the certificate of the listeners"),
            "Correct server.host, or put a certificate for this name in place.",
        )
    }
}

/// A time in whole seconds, for people.
fn whole(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(0).unwrap_or(time)
}
