// SPDX-License-Identifier: MIT OR Apache-2.0
//! The chain: where it ends, and whether it is whole.

use std::error::Error as StdError;

use super::event::{AuditEntry, AuditEvent, EventHash};
use super::head::SignedHead;

/// The end of a chain: its last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The place of the last row; 0 when there is none.
    pub seq: u64,
    /// Its hash; [`EventHash::ZERO`] when there is none.
    pub hash: EventHash,
}

impl Head {
    /// The head of a trail without rows.
    pub const EMPTY: Self = Self {
        seq: 0,
        hash: EventHash::ZERO,
    };
}

/// Checks rows one after another, in the order of their places.
#[derive(Debug, Clone)]
pub struct Verifier {
    head: Head,
}

impl Verifier {
    /// Begins before the first row.
    pub fn new() -> Self {
        Self { head: Head::EMPTY }
    }

    /// Checks the next row.
    pub fn check(&mut self, event: &AuditEvent) -> Result<(), ChainBroken> {
        let expected = self.head.seq.saturating_add(1);
        let broken = |fault| {
            Err(ChainBroken {
                seq: expected,
                fault,
            })
        };
        if event.seq != expected {
            return broken(ChainFault::Missing);
        }
        if event.prev_hash != self.head.hash {
            return broken(ChainFault::NotLinked);
        }
        if event.computed_hash() != event.hash {
            return broken(ChainFault::Changed);
        }
        self.head = Head {
            seq: event.seq,
            hash: event.hash,
        };
        Ok(())
    }

    /// The last row that was checked.
    pub fn head(&self) -> Head {
        self.head
    }
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new()
    }
}

/// Checks a whole trail, from its first row on, in the order of places.
pub fn verify(events: impl IntoIterator<Item = AuditEvent>) -> Result<Head, ChainBroken> {
    let mut verifier = Verifier::new();
    events
        .into_iter()
        .try_for_each(|event| verifier.check(&event))?;
    Ok(verifier.head())
}

/// Where a trail was tampered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit trail is broken at row {seq}: {fault}")]
pub struct ChainBroken {
    /// The first row that is not as it was written.
    pub seq: u64,
    /// What is wrong with it.
    pub fault: ChainFault,
}

/// What is wrong with a row.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// The row is not there, or rows are out of order.
    #[error("it is missing")]
    Missing,
    /// It does not continue the row before.
    #[error("it does not continue the row before it")]
    NotLinked,
    /// Its contents are not those that were hashed.
    #[error("its contents were changed")]
    Changed,
    /// The row is not the one whose hash the authority signed.
    #[error("it is not the row that was signed")]
    NotAsSigned,
    /// Nobody with the authority's key has signed this head.
    #[error("the signature over it is wrong")]
    BadSignature,
}

/// Where the trail is kept. Rows are only ever added.
pub trait AuditLog: Send + Sync {
    /// Adds a row, durably: reads the head, seals the entry with it and writes the row in one transaction.
    fn append(&self, entry: &AuditEntry) -> Result<AuditEvent, AuditLogError>;

    /// The last row.
    fn head(&self) -> Result<Head, AuditLogError>;

    /// Up to `limit` rows after this place, in order.
    fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<AuditEvent>, AuditLogError>;

    /// Keeps a signed head.
    fn save_signed_head(&self, head: &SignedHead) -> Result<(), AuditLogError>;

    /// All signed heads, in order.
    fn signed_heads(&self) -> Result<Vec<SignedHead>, AuditLogError>;
}

/// Why the trail cannot be read or written.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum AuditLogError {
    /// The store failed.
    #[error("the audit trail cannot be reached")]
    Storage(#[source] Box<dyn StdError + Send + Sync>),
    /// A row holds what no row can hold: somebody wrote into it.
    #[error("row {seq} of the audit trail cannot be read")]
    Unreadable {
        /// Which row.
        seq: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Actor;
    use crate::audit::{Action, seal};
    use proptest::prelude::*;
    use time::macros::datetime;

    fn trail(rows: u64) -> Vec<AuditEvent> {
        let mut events: Vec<AuditEvent> = Vec::new();
        for row in 0..rows {
            let mut details = serde_json::Map::new();
            details.insert("row".to_owned(), row.into());
            let entry = AuditEntry::new(
                datetime!(2026-11-22 12:00 UTC) + time::Duration::seconds(row as i64),
                Actor::Administrator("root".to_owned()),
                Action::UserAdded,
                format!("user{row}@contoso.test"),
            )
            .with_details(&details);
            events.push(seal(
                events.last().map(|event| (event.seq, event.hash)),
                &entry,
            ));
        }
        events
    }

    #[test]
    fn an_untouched_trail_is_whole() {
        let events = trail(10);
        let last = events.last().unwrap();
        let head = Head {
            seq: 10,
            hash: last.hash,
        };
        assert_eq!(verify(events.clone()), Ok(head));
        assert_eq!(verify(Vec::new()), Ok(Head::EMPTY));
    }

    #[test]
    fn tampering_is_found_at_the_very_row() {
        type Tamper = fn(&mut AuditEvent);
        let tampers: [Tamper; 6] = [
            |event| event.subject.push('x'),
            |event| event.details = event.details.replace("row", "raw"),
            |event| event.time += time::Duration::milliseconds(1),
            |event| event.actor = Actor::Administrator("rood".to_owned()),
            |event| event.action = Action::UserRemoved,
            |event| event.hash.0[0] ^= 1,
        ];
        for tamper in tampers {
            for row in 0..10usize {
                let mut events = trail(10);
                tamper(&mut events[row]);
                assert_eq!(
                    verify(events),
                    Err(ChainBroken {
                        seq: row as u64 + 1,
                        fault: ChainFault::Changed
                    })
                );
            }
        }
    }

    #[test]
    fn a_removed_an_inserted_and_a_swapped_row_are_found() {
        let mut removed = trail(10);
        removed.remove(4);
        assert_eq!(
            verify(removed),
            Err(ChainBroken {
                seq: 5,
                fault: ChainFault::Missing
            })
        );

        let mut inserted = trail(10);
        inserted.insert(4, inserted[4].clone());
        assert_eq!(
            verify(inserted),
            Err(ChainBroken {
                seq: 6,
                fault: ChainFault::Missing
            })
        );

        let mut swapped = trail(10);
        swapped.swap(4, 5);
        assert_eq!(
            verify(swapped),
            Err(ChainBroken {
                seq: 5,
                fault: ChainFault::Missing
            })
        );
    }

    #[test]
    fn a_row_that_was_changed_and_hashed_anew_breaks_the_next_link() {
        let mut events = trail(10);
        events[4].subject = "somebody.else@contoso.test".to_owned();
        events[4].hash = events[4].computed_hash();
        assert_eq!(
            verify(events),
            Err(ChainBroken {
                seq: 6,
                fault: ChainFault::NotLinked
            })
        );
    }

    proptest! {
        #[test]
        fn moving_bytes_between_fields_changes_the_hash(a in ".{0,8}", b in ".{1,8}") {
            let mut one = trail(1).remove(0);
            let mut other = one.clone();
            one.subject = format!("{a}{b}");
            one.details = String::new();
            other.subject = a;
            other.details = b;
            prop_assert_ne!(one.computed_hash(), other.computed_hash());
        }
    }
}
