// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files: who may read what, and whether there is room.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Check;
use crate::data::DataDir;

/// Below this much free space the doctor warns.
const FREE_BYTES_WARN: u64 = 1024 * 1024 * 1024;
/// Below this much free space something will fail soon.
const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// What each file may be at most, and whether the server can do without it.
pub(super) fn permissions(data: &DataDir) -> Vec<Check> {
    let needed = [
        (data.path().to_owned(), 0o700),
        (data.ca_dir(), 0o700),
        (data.tls_dir(), 0o700),
        (data.issuing_key(), 0o600),
        (data.card_secrets(), 0o600),
        (data.tls_key(), 0o600),
        (data.database_file(), 0o600),
    ];
    let optional = [(data.config_file(), 0o644), (data.admin_socket(), 0o600)];
    let mut findings: Vec<Check> = needed
        .iter()
        .filter_map(|(path, mode)| examine(path, *mode, true))
        .collect();
    findings.extend(
        optional
            .iter()
            .filter_map(|(path, mode)| examine(path, *mode, false)),
    );
    if findings.is_empty() {
        findings.push(Check::ok(
            "permissions",
            "only the server's user can read keys and data",
        ));
    }
    let root_key = data.root_key();
    if root_key.exists() {
        findings.extend(examine(&root_key, 0o600, false));
        findings.push(Check::warning(
            "root key",
            format!("{} is on this computer", root_key.display()),
            "Move it to a safe place off-line; it is needed only for another issuing authority.",
        ));
    } else {
        findings.push(Check::ok("root key", "not on this computer"));
    }
    findings
}

fn examine(path: &Path, mode_max: u32, needed: bool) -> Option<Check> {
    const NAME: &str = "permissions";
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !needed => return None,
        Err(error) => {
            return Some(Check::wrong(
                NAME,
                format!("{}: {error}", path.display()),
                "Restore it from a backup, or name the right data directory with --data.",
            ));
        }
    };
    let mode = metadata.mode() & 0o777;
    if mode & !mode_max != 0 {
        return Some(Check::wrong(
            NAME,
            format!("{} has mode {mode:04o}", path.display()),
            format!("chmod {mode_max:04o} {}", path.display()),
        ));
    }
    let owner = std::fs::metadata(data_root(path)).map(|root| root.uid());
    if owner.is_ok_and(|owner| owner != metadata.uid()) {
        return Some(Check::wrong(
            NAME,
            format!(
                "{} belongs to another user than the data directory",
                path.display()
            ),
            "Give both to the user that runs the server (chown).",
        ));
    }
    None
}

/// The nearest directory above the file, or the path itself.
fn data_root(path: &Path) -> PathBuf {
    path.parent()
        .filter(|_| !path.is_dir())
        .unwrap_or(path)
        .to_owned()
}

pub(super) fn disk_space(data: &DataDir) -> Check {
    const NAME: &str = "disk space";
    let free = match rustix::fs::statvfs(data.path()) {
        Ok(volume) => volume.f_bavail.saturating_mul(volume.f_frsize),
        Err(error) => {
            return Check::wrong(
                NAME,
                format!("{}: {error}", data.path().display()),
                "Name the right data directory with --data.",
            );
        }
    };
    let found = format!("{} MiB free", free / (1024 * 1024));
    if free < FREE_BYTES_MIN {
        Check::wrong(
            NAME,
            found,
            "Free some space: changes are refused when the disk is full.",
        )
    } else if free < FREE_BYTES_WARN {
        Check::warning(NAME, found, "Free some space soon.")
    } else {
        Check::ok(NAME, found)
    }
}
