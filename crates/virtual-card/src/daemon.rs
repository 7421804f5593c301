// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a daemon serves a person's cards: one at a time, by a lock that a crash releases.

use std::fs::{self, File};
use std::io::{self, Write};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::Places;
use crate::sealed::open_lock;

/// The lock of the running daemon; it ends with the value.
#[derive(Debug)]
pub struct DaemonLock {
    _file: File,
}

/// Why a daemon cannot have the lock.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DaemonLockError {
    /// A daemon is running.
    #[error("a card daemon is running already")]
    Running {
        /// Its process id, unless it is just starting.
        pid: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("the lock of the card daemon cannot be used")]
    File(#[source] io::Error),
}

/// What is known of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// It runs.
    Running {
        /// Its process id, unless it is just starting.
        pid: Option<u32>,
    },
    /// It does not run.
    Absent,
}

impl DaemonLock {
    /// Takes the lock for this process.
    pub fn claim(places: &Places) -> Result<Self, DaemonLockError> {
        let mut file = open_lock(&places.daemon_lock()).map_err(DaemonLockError::File)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(DaemonLockError::Running {
                    pid: pid_in(places),
                });
            }
            Err(error) => return Err(DaemonLockError::File(error.into())),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(DaemonLockError::File)?;
        Ok(Self { _file: file })
    }
}

/// Whether a daemon serves this person's cards.
#[must_use]
pub fn daemon(places: &Places) -> Daemon {
    let Ok(file) = File::open(places.daemon_lock()) else {
        return Daemon::Absent;
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => Daemon::Running {
            pid: pid_in(places),
        },
        _ => Daemon::Absent,
    }
}

fn pid_in(places: &Places) -> Option<u32> {
    fs::read_to_string(places.daemon_lock())
        .ok()?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_daemon_serves_a_person_and_is_found_by_its_lock() {
        let base = tempfile::tempdir().unwrap();
        let places = Places::new(&base.path().join("cards"), &base.path().join("run"));
        assert_eq!(daemon(&places), Daemon::Absent);
        places.make_run().unwrap();
        let lock = DaemonLock::claim(&places).unwrap();
        let pid = Some(std::process::id());
        assert_eq!(daemon(&places), Daemon::Running { pid });
        assert!(matches!(
            DaemonLock::claim(&places),
            Err(DaemonLockError::Running { pid: found }) if found == pid
        ));
        drop(lock);
        assert_eq!(daemon(&places), Daemon::Absent);
        assert!(DaemonLock::claim(&places).is_ok());
    }
}
