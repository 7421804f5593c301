// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is told to the person who starts the daemon.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use lanyard_fault::Fault;
use lanyard_virtual_card::{DaemonLockError, PlacesError};

/// Exit status when a daemon is serving already: nothing is wrong, but this one is not needed.
const EXIT_RUNNING: u8 = 3;

/// Why the daemon does not serve.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The directories of cards or sockets cannot be used.
    Places(#[from] PlacesError),
    /// The lock cannot be had.
    Lock(#[from] DaemonLockError),
    /// The system refused what a daemon needs.
    System(#[from] io::Error),
    /// The process in the background could not be started.
    Start(#[source] io::Error),
    /// The process in the background ended and said why.
    Background {
        /// Its own words.
        words: String,
        /// Its exit status.
        status: u8,
    },
}

impl Problem {
    /// The row of the table of errors.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Places(_) | Self::Lock(DaemonLockError::File(_)) => Fault::LocalFile,
            Self::Lock(_) => Fault::CardDaemonRunning,
            Self::System(_) | Self::Start(_) | Self::Background { .. } => {
                Fault::CardDaemonUnavailable
            }
        }
    }

    /// The status that the process ends with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Lock(DaemonLockError::Running { .. }) => ExitCode::from(EXIT_RUNNING),
            Self::Background { status, .. } => ExitCode::from(*status),
            _ => ExitCode::FAILURE,
        }
    }

    /// The causes, outermost first.
    pub fn chain(&self) -> String {
        let mut chain = Vec::new();
        let mut cause: Option<&(dyn Error + 'static)> = match self {
            Self::Places(error) => Some(error),
            Self::Lock(error) => Some(error),
            Self::System(error) | Self::Start(error) => Some(error),
            Self::Background { .. } => None,
        };
        while let Some(error) = cause {
            chain.push(error.to_string());
            cause = error.source();
        }
        chain.join(": ")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Background { words, .. } if !words.is_empty() => f.write_str(words),
            Self::Lock(DaemonLockError::Running { pid: Some(pid) }) => {
                write!(f, "{} [process {pid}]", self.fault())
            }
            _ => match self.chain() {
                chain if chain.is_empty() => write!(f, "{}", self.fault()),
                chain => write!(f, "{} [{chain}]", self.fault()),
            },
        }
    }
}
