// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file with the secrets of cards, beside the keys of the authority.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use lanyard_authority::CardSecrets;
use lanyard_fault::Fault;
use zeroize::Zeroizing;

use crate::data::DataDir;
use crate::problem::Problem;

/// Reads the secrets; a deployment that has none yet gets its first one.
///
/// # Errors
/// When the file cannot be read, written or understood.
pub fn open_secrets(data: &DataDir) -> Result<CardSecrets, Problem> {
    let path = data.card_secrets();
    match fs::read_to_string(&path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            CardSecrets::from_text(&text).map_err(|error| {
                Problem::with(
                    Fault::AuthorityUnusable,
                    format_args!("{}: {error}", path.display()),
                )
            })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let secrets = CardSecrets::generate()
                .map_err(|error| Problem::with(Fault::ServerInternal, error))?;
            write(&path, &secrets)?;
            Ok(secrets)
        }
        Err(error) => Err(Problem::file(&path, &error)),
    }
}

/// Writes the secrets with one more version. The old ones stay: cards have keys from them.
///
/// # Errors
/// When the file cannot be written; the old one is as it was then.
pub fn rotate_secrets(data: &DataDir, secrets: &CardSecrets) -> Result<CardSecrets, Problem> {
    let next = secrets
        .clone()
        .rotated()
        .map_err(|error| Problem::with(Fault::ServerInternal, error))?;
    write(&data.card_secrets(), &next)?;
    Ok(next)
}

/// Written aside and moved, so that there is never half a file.
fn write(path: &Path, secrets: &CardSecrets) -> Result<(), Problem> {
    let draft = path.with_extension("new");
    let _ = fs::remove_file(&draft);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(secrets.to_text().as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&draft, path))
        .and_then(|()| match path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        });
    written.map_err(|error| Problem::file(path, &error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_first_secret_is_made_kept_and_rotated() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("ca")).unwrap();
        let data = DataDir::new(place.path());
        let first = open_secrets(&data).unwrap();
        let again = open_secrets(&data).unwrap();
        assert_eq!(first.to_text(), again.to_text());
        let mode = fs::metadata(data.card_secrets())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let next = rotate_secrets(&data, &first).unwrap();
        assert_eq!(next.current(), 2);
        assert_eq!(open_secrets(&data).unwrap().to_text(), next.to_text());
        fs::write(data.card_secrets(), "nonsense").unwrap();
        assert_eq!(
            open_secrets(&data).unwrap_err().fault(),
            Fault::AuthorityUnusable
        );
    }
}
