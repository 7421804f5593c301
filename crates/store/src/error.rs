// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong with the database.

use std::path::PathBuf;

use lanyard_directory::StorageError;
use rusqlite::ffi;

/// Why the database did not do what was asked. Nothing was changed when one of these is returned.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another program holds the database and did not let go in time.
    #[error("the database is locked by another program")]
    Busy,
    /// The file is damaged, or is no database.
    #[error("the database is damaged")]
    Corrupt,
    /// There is no space left for a change.
    #[error("the disk is full")]
    Full,
    /// The file or its directory cannot be written.
    #[error("the database is read-only")]
    ReadOnly,
    /// There is no database at this place.
    #[error("there is no database at {}", .0.display())]
    Missing(PathBuf),
    /// There is a database already at the place where a new one was to be made.
    #[error("there is a database already at {}", .0.display())]
    Exists(PathBuf),
    /// The file belongs to another program.
    #[error("the file is the database of another program")]
    Foreign,
    /// A newer version of this program has written the database.
    #[error("the database has schema {found}, this program knows up to {supported}")]
    SchemaNewer {
        /// The schema of the file.
        found: u32,
        /// The newest schema that is known here.
        supported: u32,
    },
    /// A row holds something that the program would never write.
    #[error("a row of the table {table} cannot be read: {what}")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A row that a change needs does not exist.
    #[error("the table {0} has no such row")]
    NoRow(&'static str),
    /// A row that was to be added exists, or a value that must be unique is taken.
    #[error("there is such a row already")]
    Conflict(#[source] rusqlite::Error),
    /// More writes wait than the store takes on.
    #[error("too many writes are waiting")]
    Overloaded,
    /// The store was closed, or the work given to it panicked.
    #[error("the store is closed")]
    Closed,
    /// The file could not be made.
    #[error("the database file cannot be made")]
    File(#[source] std::io::Error),
    /// The commit of a group of writes failed.
    #[error("the change could not be committed")]
    Commit,
    /// SQLite failed in another way.
    #[error("the database failed")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(failure, _) = &error else {
            return Self::Sqlite(error);
        };
        match failure.code {
            ffi::ErrorCode::DatabaseBusy | ffi::ErrorCode::DatabaseLocked => Self::Busy,
            ffi::ErrorCode::DatabaseCorrupt | ffi::ErrorCode::NotADatabase => Self::Corrupt,
            ffi::ErrorCode::DiskFull => Self::Full,
            // The write-ahead log's index cannot grow: the disk is full there first.
            ffi::ErrorCode::SystemIoFailure
                if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE =>
            {
                Self::Full
            }
            ffi::ErrorCode::ReadOnly => Self::ReadOnly,
            ffi::ErrorCode::ConstraintViolation => Self::Conflict(error),
            _ => Self::Sqlite(error),
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            std::io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::File(error),
        }
    }
}

impl From<&StoreError> for StorageError {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Busy | StoreError::Overloaded => Self::Busy,
            StoreError::Corrupt | StoreError::Foreign | StoreError::Row { .. } => Self::Damaged,
            StoreError::Full => Self::Full,
            _ => Self::Failed,
        }
    }
}

impl From<StoreError> for StorageError {
    /// The other rooms are told a fact to act on; what lies behind it goes into the log.
    fn from(error: StoreError) -> Self {
        let fact = Self::from(&error);
        if matches!(fact, Self::Failed | Self::Damaged) {
            let source = std::error::Error::source(&error);
            let source = source.map(ToString::to_string).unwrap_or_default();
            tracing::error!(%error, source, "the database failed");
        }
        fact
    }
}
