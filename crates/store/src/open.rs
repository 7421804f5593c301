// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making, opening and checking the database file.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::StoreError;
use crate::migrate;

/// How long a statement waits for a lock that another program holds.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Marks the file as ours: "LNYD".
pub(crate) const APPLICATION_ID: i32 = 0x4C4E_5944;
/// The write-ahead log is cut back to this size after a checkpoint, in bytes.
const WAL_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Makes an empty database that only its owner can read. The file must not exist.
pub(crate) fn create(path: &Path) -> Result<Connection, StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => StoreError::Exists(path.to_owned()),
        _ => StoreError::from(error),
    })?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    prepare_writer(&connection)?;
    migrate::run(&mut connection)?;
    Ok(connection)
}

/// Opens the database for writing: checks it and brings its schema up to date.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing(path.to_owned()));
    }
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if id != APPLICATION_ID {
        return Err(StoreError::Foreign);
    }
    migrate::refuse_newer(&connection)?;
    prepare_writer(&connection)?;
    quick_check(&connection)?;
    migrate::run(&mut connection)?;
    Ok(connection)
}

/// Opens the database for reading alone.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing(path.to_owned()));
    }
    // Not SQLITE_OPEN_READ_ONLY: a reader must be able to make the index of the write-ahead log.
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "query_only", true)?;
    migrate::refuse_newer(&connection)?;
    Ok(connection)
}

/// The quick check of the whole file: structure, but not every index entry.
pub(crate) fn quick_check(connection: &Connection) -> Result<(), StoreError> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(StoreError::Corrupt)
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(
        path,
        flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

fn prepare_writer(connection: &Connection) -> Result<(), StoreError> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // An answer is given after the commit is on the disk, so that a power cut takes nothing back.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_MAX, |_| Ok(()))?;
    Ok(())
}
