// SPDX-License-Identifier: MIT OR Apache-2.0
//! What administrators are told when something does not work: a code, a sentence, a next step.

use std::fmt;
use std::path::Path;

use lanyard_authority::RegistryError;
use lanyard_directory::StorageError;
use lanyard_fault::Fault;
use lanyard_store::{ChangeError, StoreError};
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;

/// A fault of the table, with the fact that belongs to this one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    fault: Fault,
    detail: Option<String>,
}

impl Problem {
    /// The fault alone.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            detail: None,
        }
    }

    /// The fault with its fact: a clause without a full stop.
    #[must_use]
    pub fn with(fault: Fault, detail: impl fmt::Display) -> Self {
        Self {
            fault,
            detail: Some(detail.to_string()),
        }
    }

    /// The fault of an error, with the whole chain of its sources.
    #[must_use]
    pub fn from_error(fault: Fault, error: &dyn std::error::Error) -> Self {
        Self::with(fault, chain(error))
    }

    /// A fault of the file system at this place.
    #[must_use]
    pub fn file(path: &Path, error: &std::io::Error) -> Self {
        let fault = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Fault::DiskFull,
            _ => Fault::ServerFile,
        };
        Self::with(fault, format_args!("{}: {error}", path.display()))
    }

    /// The fault.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// The sentence, with the fact.
    #[must_use]
    pub fn message(&self) -> String {
        let sentence = self.fault.sentence();
        match &self.detail {
            None => sentence.to_owned(),
            Some(detail) => {
                format!(
                    "{}: {}.",
                    sentence.trim_end_matches('.'),
                    detail.trim_end_matches('.')
                )
            }
        }
    }

    /// The form that travels over the admin socket.
    #[must_use]
    pub fn to_wire(&self) -> WireProblem {
        WireProblem {
            code: self.fault.code(),
            message: self.message(),
            next: self.fault.next_step().to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_wire().fmt(f)
    }
}

impl std::error::Error for Problem {}

/// A problem as it travels over the admin socket and as it is printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireProblem {
    /// The code, for example `LY-1708`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub next: String,
}

impl fmt::Display for WireProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.message, self.next)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<&StoreError> for Problem {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Busy | StoreError::Overloaded => Self::new(Fault::DatabaseBusy),
            StoreError::Corrupt => Self::new(Fault::DatabaseDamaged),
            StoreError::Full => Self::new(Fault::DiskFull),
            StoreError::Foreign | StoreError::Row { .. } | StoreError::NoRow(_) => {
                Self::from_error(Fault::DatabaseDamaged, error)
            }
            StoreError::SchemaNewer { .. } => Self::from_error(Fault::DatabaseNewer, error),
            StoreError::Missing(_) => Self::from_error(Fault::DataDirectoryIncomplete, error),
            StoreError::ReadOnly | StoreError::File(_) => {
                Self::from_error(Fault::ServerFile, error)
            }
            _ => {
                tracing::error!(error = %chain(error), "the database failed");
                Self::new(Fault::ServerInternal)
            }
        }
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match &error {
            ChangeError::AddressTaken(_)
            | ChangeError::UpnTaken(_)
            | ChangeError::GroupExists(_) => Self::with(Fault::AlreadyExists, error),
            ChangeError::UnknownAccount | ChangeError::UnknownGroup(_) => {
                Self::with(Fault::NotFound, error)
            }
            ChangeError::Store(store) => Self::from(store),
            _ => Self::with(Fault::ServerInternal, error),
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        match &error {
            RegistryError::UnknownSerial(_) => Self::with(Fault::NotFound, error),
            RegistryError::NotIssued(_) | RegistryError::NotPrepared(_) => {
                Self::with(Fault::CardStateRefused, error)
            }
            RegistryError::Storage(source) => match source.downcast_ref::<StorageError>() {
                Some(storage) => Self::from(*storage),
                None => Self::from_error(Fault::ServerInternal, source.as_ref()),
            },
            _ => Self::with(Fault::ServerInternal, error),
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Busy => Self::new(Fault::DatabaseBusy),
            StorageError::Damaged => Self::new(Fault::DatabaseDamaged),
            StorageError::Full => Self::new(Fault::DiskFull),
            _ => Self::new(Fault::ServerInternal),
        }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        match &error {
            ConfigError::Missing { .. } => Self::with(Fault::DataDirectoryIncomplete, error),
            ConfigError::Read { path, source } => Self::file(path, source),
            _ => Self::from_error(Fault::ConfigInvalid, &error),
        }
    }
}

/// An error and all its sources, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_with_code_fact_and_next_step() {
        let problem = Problem::with(Fault::NotFound, "nobody has the address x@y.test");
        assert_eq!(
            problem.to_string(),
            "LY-1708 There is no such entry: nobody has the address x@y.test. List the entries and \
             check the name."
        );
    }

    #[test]
    fn full_disks_and_locks_have_codes_of_their_own() {
        assert_eq!(Problem::from(StoreError::Full).fault(), Fault::DiskFull);
        assert_eq!(Problem::from(StoreError::Busy).fault(), Fault::DatabaseBusy);
        assert_eq!(
            Problem::from(StoreError::Corrupt).fault(),
            Fault::DatabaseDamaged
        );
    }
}
