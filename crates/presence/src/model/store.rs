// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the hub's owner needs from a durable store, and a store in memory for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::model::roster::{Roster, RosterChange};
use crate::model::uri::PersonUri;

/// Why a roster could not be read or a change was not made durable.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// The database is locked, restarting or out of reach; a later try may work.
    #[error("the store is busy")]
    Busy,
    /// There is no space for the change.
    #[error("the store's disk is full")]
    Full,
    /// A row cannot be understood, or the database is damaged.
    #[error("the store is damaged")]
    Damaged,
    /// There is no such account.
    #[error("the store knows no such person")]
    UnknownPerson,
    /// Any other failure of the store; its log tells more.
    #[error("the store failed")]
    Failed,
}

/// The durable rosters. The hub itself never calls it: its owner does, on a thread that may wait,
/// for the effects [`Load`](crate::Effect::Load) and [`Persist`](crate::Effect::Persist).
pub trait RosterStore: Send + Sync {
    /// Reads everything durable of a person. Somebody of whom nothing is stored yet has
    /// [`Roster::fresh`].
    ///
    /// # Errors
    /// When the store cannot answer.
    fn load(&self, person: &PersonUri) -> Result<Roster, RosterError>;

    /// Applies all edits in one transaction; when this returns `Ok`, they survive a power cut.
    ///
    /// The first change of a person who has no rows yet starts from [`Roster::fresh`]: the rows of
    /// the fresh roster are written with it.
    ///
    /// # Errors
    /// When nothing was changed.
    fn apply(&self, change: &RosterChange) -> Result<(), RosterError>;
}

/// A store in memory, for tests and benches.
#[derive(Debug, Default)]
pub struct MemoryRosterStore {
    rosters: Mutex<BTreeMap<PersonUri, Roster>>,
}

impl RosterStore for MemoryRosterStore {
    fn load(&self, person: &PersonUri) -> Result<Roster, RosterError> {
        let rosters = self.rosters.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(rosters.get(person).cloned().unwrap_or_else(Roster::fresh))
    }

    fn apply(&self, change: &RosterChange) -> Result<(), RosterError> {
        let mut rosters = self.rosters.lock().unwrap_or_else(PoisonError::into_inner);
        let roster = rosters
            .entry(change.person.clone())
            .or_insert_with(Roster::fresh);
        for edit in &change.edits {
            roster.apply(edit);
        }
        Ok(())
    }
}
