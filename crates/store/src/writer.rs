// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one thread that writes, and its group commit.
//!
//! Work that waits is put into one transaction, each piece in a savepoint of its own, so that a
//! piece that fails takes only itself back. Nobody is answered before the transaction is on the
//! disk; one `fsync` then serves many answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};

use crate::StoreError;

/// How many pieces of work share one transaction at most.
const GROUP_JOBS_MAX: usize = 64;
/// How many pieces of work may wait.
const QUEUE_JOBS_MAX: usize = 4096;

/// A transaction under way. Its methods are spread over the modules of this crate by subject.
#[derive(Debug)]
pub struct Tx<'c> {
    pub(crate) connection: &'c Connection,
}

/// The handle of the writer thread. Dropping it finishes the waiting work and ends the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (queue, jobs) = sync_channel(QUEUE_JOBS_MAX);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(connection, &jobs))
            .map_err(StoreError::File)?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Queues work; `done` is called on the writer thread after the commit. Does not wait.
    pub(crate) fn submit<T, E, W, D>(&self, work: W, done: D) -> Result<(), StoreError>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        W: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        D: FnOnce(Result<T, E>) + Send + 'static,
    {
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        let job = Work {
            work: Some(work),
            outcome: None,
            done,
        };
        queue.try_send(Box::new(job)).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }

    /// Does work and waits until it is on the disk.
    pub(crate) fn write<T, E, W>(&self, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        W: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (answer, wait) = sync_channel(1);
        let done = move |outcome| {
            let _ = answer.send(outcome);
        };
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        let job = Work {
            work: Some(work),
            outcome: None,
            done,
        };
        queue.send(Box::new(job)).map_err(|_| StoreError::Closed)?;
        wait.recv().map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        // The last handle may be dropped by an answer, on the writer thread itself.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// Why a whole group was taken back, as each of its members is told.
#[derive(Debug, Clone, Copy)]
enum GroupError {
    Busy,
    Full,
    Corrupt,
    ReadOnly,
    Failed,
}

impl From<GroupError> for StoreError {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::Busy => Self::Busy,
            GroupError::Full => Self::Full,
            GroupError::Corrupt => Self::Corrupt,
            GroupError::ReadOnly => Self::ReadOnly,
            GroupError::Failed => Self::Commit,
        }
    }
}

impl From<rusqlite::Error> for GroupError {
    fn from(error: rusqlite::Error) -> Self {
        match StoreError::from(error) {
            StoreError::Busy => Self::Busy,
            StoreError::Full => Self::Full,
            StoreError::Corrupt => Self::Corrupt,
            StoreError::ReadOnly => Self::ReadOnly,
            _ => Self::Failed,
        }
    }
}

/// A piece of work and whoever waits for it.
trait Job: Send {
    /// Does the work; says whether it is to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Tells the outcome, once it is known what became of the transaction.
    fn answer(self: Box<Self>, committed: Result<(), GroupError>);
}

struct Work<T, E, W, D> {
    work: Option<W>,
    outcome: Option<Result<T, E>>,
    done: D,
}

impl<T, E, W, D> Job for Work<T, E, W, D>
where
    T: Send,
    E: From<StoreError> + Send,
    W: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send,
    D: FnOnce(Result<T, E>) + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        self.outcome = self.work.take().map(|work| work(tx));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, committed: Result<(), GroupError>) {
        let outcome = match (self.outcome, committed) {
            // The work's own failure explains more than that of its group.
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(StoreError::from(error).into()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            // The work panicked.
            (None, Ok(())) => Err(StoreError::Closed.into()),
        };
        (self.done)(outcome);
    }
}

fn run(mut connection: Connection, jobs: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_JOBS_MAX {
            let Ok(next) = jobs.try_recv() else { break };
            group.push(next);
        }
        let committed = commit(&mut connection, &mut group);
        for job in group {
            // A waiter that panics takes nobody else with it.
            let _ = catch_unwind(AssertUnwindSafe(|| job.answer(committed)));
        }
    }
}

fn commit(connection: &mut Connection, group: &mut [Box<dyn Job>]) -> Result<(), GroupError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in group {
        transaction.execute_batch("SAVEPOINT job")?;
        let mut tx = Tx {
            connection: &transaction,
        };
        let keep = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx))).unwrap_or(false);
        // After some failures SQLite has taken the whole transaction back by itself; a full disk is
        // the one that is met in practice. What earlier members wrote is gone as well.
        if transaction.is_autocommit() {
            return Err(GroupError::Full);
        }
        if !keep {
            transaction.execute_batch("ROLLBACK TO job")?;
        }
        transaction.execute_batch("RELEASE job")?;
    }
    Ok(transaction.commit()?)
}
