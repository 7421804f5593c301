// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lock that makes an agent the only one of its person and profile.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{FlockOperation, flock};

use crate::places::{Places, Profile, file_problem, private_dir};
use crate::problem::Problem;

/// Held as long as the agent lives; the system frees it even after a crash.
#[derive(Debug)]
pub struct AgentLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl AgentLock {
    /// Takes the lock, or says that somebody holds it.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn take(places: &Places, profile: &Profile) -> Result<Option<Self>, Problem> {
        private_dir(&places.runtime)?;
        let path = places.agent_lock(profile);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| file_problem(&path, &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(file_problem(&path, &error.into())),
        }
    }
}

/// Whether an agent of this profile runs.
#[must_use]
pub fn is_held(places: &Places, profile: &Profile) -> bool {
    let Ok(file) = File::open(places.agent_lock(profile)) else {
        return false;
    };
    flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}
