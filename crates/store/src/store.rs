// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handle that everybody holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lanyard_directory::AccountDomain;
use rusqlite::Connection;

use crate::StoreError;
use crate::open;
use crate::pool::Pool;
use crate::writer::{Tx, Writer};

/// An open database. Clones share it; the last one to go finishes the waiting writes.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    // Before the pool: the writer ends first, so that the last connection to close is a reader's or
    // its own, and the write-ahead log is folded back into the file.
    writer: Option<Writer>,
    readers: Pool,
    path: PathBuf,
}

/// What the whole check of a database found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integrity {
    /// What SQLite says is wrong; empty when nothing is.
    pub faults: Vec<String>,
    /// Rows that point to rows that do not exist.
    pub dangling: u64,
}

impl Integrity {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty() && self.dangling == 0
    }
}

impl Store {
    /// Makes a new database for a deployment whose account ids all begin with `domain`.
    ///
    /// # Errors
    /// When there is a file already, or it cannot be written.
    pub fn create(path: &Path, domain: AccountDomain) -> Result<Self, StoreError> {
        let connection = open::create(path)?;
        connection.execute(
            "INSERT INTO deployment (one, account_domain) VALUES (1, ?1)",
            [domain.to_string()],
        )?;
        Self::start(path, connection)
    }

    /// Opens a database, checks it, and brings its schema up to date.
    ///
    /// # Errors
    /// When there is none, or it is locked, damaged, foreign or of a newer program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open::open_writer(path)?;
        Self::start(path, connection)
    }

    /// Opens a database for reading alone, beside a server that writes it. Every write is refused.
    ///
    /// # Errors
    /// When there is none, or it is locked, damaged, or of a newer program.
    pub fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let readers = Pool::new(path.to_owned());
        readers.read(|connection| {
            connection.query_row("SELECT count(*) FROM deployment", [], |_| Ok(()))?;
            Ok::<_, StoreError>(())
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                writer: None,
                readers,
                path: path.to_owned(),
            }),
        })
    }

    fn start(path: &Path, connection: Connection) -> Result<Self, StoreError> {
        let inner = Inner {
            writer: Some(Writer::start(connection)?),
            readers: Pool::new(path.to_owned()),
            path: path.to_owned(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Does work in a transaction and waits until it is on the disk. An error takes it all back.
    ///
    /// # Errors
    /// The work's own, or that of the commit; nothing was changed then.
    pub fn write<T, E, W>(&self, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        W: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.writer()?.write(work)
    }

    /// Queues work and returns at once; `done` is called on the writer's thread when the work is on
    /// the disk or has failed. `done` must not wait for anything.
    ///
    /// # Errors
    /// When the work was not taken on; `done` is not called then.
    pub fn submit<T, E, W, D>(&self, work: W, done: D) -> Result<(), StoreError>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        W: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        D: FnOnce(Result<T, E>) + Send + 'static,
    {
        self.writer()?.submit(work, done)
    }

    /// Checks every page, index, constraint and foreign key. Takes time on a large database.
    ///
    /// # Errors
    /// When the check itself cannot run.
    pub fn check_integrity(&self) -> Result<Integrity, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare("PRAGMA integrity_check(20)")?;
            let faults: Vec<String> = statement
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
            let mut rows = statement.query([])?;
            let mut dangling = 0;
            while rows.next()?.is_some() {
                dangling += 1;
            }
            let faults = faults.into_iter().filter(|fault| fault != "ok").collect();
            Ok(Integrity { faults, dangling })
        })
    }

    pub(crate) fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.inner.readers.read(work)
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        self.inner.writer.as_ref().ok_or(StoreError::ReadOnly)
    }
}
