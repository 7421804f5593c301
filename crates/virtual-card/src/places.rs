// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a person's virtual cards lie and where they are served, so that daemon and client agree.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::InstanceId;

/// Only the owner may enter.
const DIRECTORY_MODE: u32 = 0o700;

/// The directories of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    cards: PathBuf,
    run: PathBuf,
}

/// Why the directories cannot be named or made.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum PlacesError {
    /// Neither `HOME` nor the XDG variable is set.
    #[error("HOME is not set")]
    HomeUnset,
    /// The directory cannot be made.
    #[error("the directory {} cannot be made", .0.display())]
    Unmakeable(PathBuf, #[source] io::Error),
    /// The directory belongs to somebody else, or others may enter it.
    #[error("the directory {} is not private", .0.display())]
    NotPrivate(PathBuf),
}

impl Places {
    /// From the environment: `$XDG_DATA_HOME/lanyard/cards` and `$XDG_RUNTIME_DIR/lanyard`.
    ///
    /// Without `XDG_RUNTIME_DIR` (ssh, containers) the sockets stand in `run` below
    /// `$XDG_STATE_HOME/lanyard`.
    pub fn from_env() -> Result<Self, PlacesError> {
        let base = |variable, below_home| match absolute(variable) {
            Some(path) => Ok(path.join("lanyard")),
            None => absolute("HOME")
                .map(|home| home.join(below_home).join("lanyard"))
                .ok_or(PlacesError::HomeUnset),
        };
        let run = match absolute("XDG_RUNTIME_DIR") {
            Some(path) => path.join("lanyard"),
            None => base("XDG_STATE_HOME", ".local/state")?.join("run"),
        };
        Ok(Self {
            cards: base("XDG_DATA_HOME", ".local/share")?.join("cards"),
            run,
        })
    }

    /// With directories of one's own choice.
    #[must_use]
    pub fn new(cards: &Path, run: &Path) -> Self {
        Self {
            cards: cards.to_owned(),
            run: run.to_owned(),
        }
    }

    /// The directory that holds one directory for each card.
    #[must_use]
    pub fn cards(&self) -> &Path {
        &self.cards
    }

    /// The directory of one card.
    #[must_use]
    pub fn card(&self, instance: InstanceId) -> PathBuf {
        self.cards.join(instance.directory())
    }

    /// The directory of the cards' sockets.
    #[must_use]
    pub fn sockets(&self) -> PathBuf {
        self.run.join("cards")
    }

    /// The socket on which the daemon serves one card.
    #[must_use]
    pub fn socket(&self, instance: InstanceId) -> PathBuf {
        self.sockets()
            .join(format!("{}.sock", instance.directory()))
    }

    /// The daemon's control socket: whoever connects hears `ready` when the cards are served.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.run.join("cardd.control")
    }

    /// The lock of the daemon: one for each person. It holds the daemon's process id.
    #[must_use]
    pub fn daemon_lock(&self) -> PathBuf {
        self.run.join("cardd.lock")
    }

    /// Makes the directory of the cards, private.
    pub fn make_cards(&self) -> Result<(), PlacesError> {
        make_private(&self.cards)
    }

    /// Makes the directory of the sockets, private.
    pub fn make_run(&self) -> Result<(), PlacesError> {
        make_private(&self.run)?;
        make_private(&self.sockets())
    }
}

/// An absolute path from the environment; the XDG rules say to ignore relative ones.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

fn is_ours(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|meta| meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw())
}

fn make_private(path: &Path) -> Result<(), PlacesError> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .map_err(|error| PlacesError::Unmakeable(path.to_owned(), error))?;
    // Somebody else may own the place, or have put a link there.
    if !is_ours(path) {
        return Err(PlacesError::NotPrivate(path.to_owned()));
    }
    let unmakeable = |error| PlacesError::Unmakeable(path.to_owned(), error);
    let mode = fs::metadata(path).map_err(unmakeable)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(DIRECTORY_MODE))
            .map_err(unmakeable)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_private_even_if_they_were_open() {
        let base = tempfile::tempdir().unwrap();
        let places = Places::new(&base.path().join("data/cards"), &base.path().join("run"));
        places.make_cards().unwrap();
        places.make_run().unwrap();
        fs::set_permissions(places.cards(), fs::Permissions::from_mode(0o755)).unwrap();
        places.make_cards().unwrap();
        for path in [places.cards().to_owned(), places.sockets()] {
            assert_eq!(
                fs::metadata(path).unwrap().permissions().mode() & 0o777,
                DIRECTORY_MODE
            );
        }
    }

    #[test]
    fn a_link_planted_by_somebody_is_not_followed() {
        let base = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/usr", base.path().join("run")).unwrap();
        let places = Places::new(&base.path().join("cards"), &base.path().join("run"));
        assert!(matches!(places.make_run(), Err(PlacesError::NotPrivate(_))));
    }
}
