// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the bytes of a card lie: a file that changes as a whole, or memory for tests.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Name of the file with the card's state inside the card's directory.
pub const STATE_FILE: &str = "card.json";
const STATE_FILE_NEW: &str = "card.json.new";
/// Largest file that is read: 40 objects of 4 KiB in base64 stay well below.
const STATE_FILE_BYTES_MAX: u64 = 512 * 1024;
const LOCK_FILE: &str = "lock";
/// Only the owner may read and write.
const FILE_MODE: u32 = 0o600;

/// Keeps one card's state. A `store` that returned `Ok` survives a crash; one that failed or was
/// interrupted leaves the former state whole.
pub trait Storage: Send {
    /// Replaces the state by `bytes`, durably.
    fn store(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// The card's file, replaced by temporary file, fsync and rename, and locked: at most one process
/// holds a card.
#[derive(Debug)]
pub struct FileStorage {
    directory: PathBuf,
    // The lock ends when the file is closed, also by a crash.
    lock: File,
}

/// Tells a card directory from one that took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    device: u64,
    inode: u64,
}

impl Presence {
    /// What lies in a card directory now, if anything.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Option<Self> {
        fs::symlink_metadata(directory.join(LOCK_FILE))
            .ok()
            .map(|meta| Self::of(&meta))
    }

    fn of(lock: &fs::Metadata) -> Self {
        // The lock's inode is not used again while somebody has it open.
        Self {
            device: lock.dev(),
            inode: lock.ino(),
        }
    }
}

/// Why a card's file cannot be claimed.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another process holds the card.
    #[error("another process holds the card")]
    InUse,
    /// The lock cannot be opened.
    #[error("the card's lock cannot be opened")]
    Lock(#[source] io::Error),
}

impl FileStorage {
    /// Claims an existing card directory for this process.
    pub fn claim(directory: &Path) -> Result<Self, ClaimError> {
        let lock = open_lock(&directory.join(LOCK_FILE)).map_err(ClaimError::Lock)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self {
                directory: directory.to_owned(),
                lock,
            }),
            Err(Errno::WOULDBLOCK) => Err(ClaimError::InUse),
            Err(error) => Err(ClaimError::Lock(error.into())),
        }
    }

    /// Which card this is, as long as it is held: another card in the same place is another one.
    pub fn presence(&self) -> io::Result<Presence> {
        Ok(Presence::of(&self.lock.metadata()?))
    }

    /// Reads the state.
    pub fn load(directory: &Path) -> io::Result<Vec<u8>> {
        let file = File::open(directory.join(STATE_FILE))?;
        let mut bytes = Vec::new();
        file.take(STATE_FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > STATE_FILE_BYTES_MAX {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        Ok(bytes)
    }
}

impl Storage for FileStorage {
    fn store(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_whole(&self.directory, STATE_FILE_NEW, STATE_FILE, bytes)
    }
}

/// Writes `bytes` to `directory/name` so that after a crash the old or the new content is there.
pub(crate) fn write_whole(
    directory: &Path,
    temporary: &str,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    let new = directory.join(temporary);
    let written = write_and_sync(&new, bytes).and_then(|()| fs::rename(&new, directory.join(name)));
    if let Err(error) = written {
        // A leftover would only take space: the next write truncates it.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    File::open(directory)?.sync_all()
}

/// Opens a file that serves as a lock, private to the owner.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A state in memory: for tests and fuzzing. Clones share the state, so that a test can play a crash.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    inner: Arc<Mutex<MemoryState>>,
}

#[derive(Debug, Default)]
struct MemoryState {
    bytes: Vec<u8>,
    stores_left: Option<u32>,
}

impl MemoryStorage {
    /// What was stored last.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
            .clone()
    }

    /// Puts bytes in the place of what was stored, as whoever copies an old file back does.
    pub fn replace(&self, bytes: &[u8]) {
        let mut state = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        state.bytes = bytes.to_vec();
        state.stores_left = None;
    }

    /// From now on only `count` stores succeed, then the disk is full.
    pub fn fail_after(&self, count: u32) {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .stores_left = Some(count);
    }
}

impl Storage for MemoryStorage {
    fn store(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut state.stores_left {
            Some(0) => return Err(io::Error::from(io::ErrorKind::StorageFull)),
            Some(left) => *left = left.saturating_sub(1),
            None => {}
        }
        state.bytes = bytes.to_vec();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_private_and_changes_as_a_whole() {
        let directory = tempfile::tempdir().unwrap();
        let mut storage = FileStorage::claim(directory.path()).unwrap();
        storage.store(b"one").unwrap();
        storage.store(b"two").unwrap();
        assert_eq!(FileStorage::load(directory.path()).unwrap(), b"two");
        let mode = fs::metadata(directory.path().join(STATE_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, FILE_MODE);
        // The state and the lock, and nothing temporary.
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_card_is_held_once() {
        let directory = tempfile::tempdir().unwrap();
        let first = FileStorage::claim(directory.path()).unwrap();
        assert!(matches!(
            FileStorage::claim(directory.path()),
            Err(ClaimError::InUse)
        ));
        drop(first);
        assert!(FileStorage::claim(directory.path()).is_ok());
    }

    #[test]
    fn an_endless_file_is_not_read_into_memory() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::create(directory.path().join(STATE_FILE)).unwrap();
        file.set_len(STATE_FILE_BYTES_MAX * 100).unwrap();
        let error = FileStorage::load(directory.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
