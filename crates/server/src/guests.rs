// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections of whoever has not shown yet who they are: so many and no more.
//!
//! Anybody can open connections and stop in the middle of a handshake. Nobody honest waits behind
//! them: when there is no room left, the one that has dawdled longest makes room for the newcomer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Guests of one listener at a time. A handshake under way holds some 30 KiB.
pub const GUESTS_MAX: usize = 4_096;
/// A guest younger than this is not sent away for a newcomer: in a storm of honest clients those who
/// came first are served first, and the newest have to try again.
pub const DAWDLES_AFTER: Duration = Duration::from_secs(2);

/// The guests of one listener.
#[derive(Debug)]
pub struct Guests {
    max: usize,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    next: u64,
    /// In the order in which they came.
    inside: BTreeMap<u64, (Instant, Arc<Notify>)>,
}

/// One guest. It is no guest any more when this is dropped.
#[derive(Debug)]
pub struct Guest {
    guests: Arc<Guests>,
    number: u64,
    sent_away: Arc<Notify>,
}

impl Guests {
    /// Room for so many.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            list: Mutex::default(),
        })
    }

    /// Lets somebody in; `None` when there is no room and nobody who has dawdled.
    #[must_use]
    pub fn enter(self: &Arc<Self>, now: Instant) -> Option<Guest> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if list.inside.len() >= self.max {
            let (_, (since, sent_away)) = list.inside.first_key_value()?;
            if now.saturating_duration_since(*since) < DAWDLES_AFTER {
                return None;
            }
            sent_away.notify_one();
            list.inside.pop_first();
        }
        let number = list.next;
        list.next = list.next.wrapping_add(1);
        let sent_away = Arc::new(Notify::new());
        list.inside.insert(number, (now, Arc::clone(&sent_away)));
        Some(Guest {
            guests: Arc::clone(self),
            number,
            sent_away,
        })
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.inside.len()
    }
}

impl Guest {
    /// Ends when this guest has to make room.
    pub async fn sent_away(&self) {
        self.sent_away.notified().await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let list = self.guests.list.lock();
        list.unwrap_or_else(PoisonError::into_inner)
            .inside
            .remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_has_dawdled_longest_makes_room() {
        let guests = Guests::new(2);
        let now = Instant::now();
        let first = guests.enter(now).unwrap();
        let second = guests.enter(now).unwrap();
        assert!(guests.enter(now).is_none(), "nobody has dawdled yet");
        let third = guests.enter(now + DAWDLES_AFTER).unwrap();
        first.sent_away().await;
        assert_eq!(guests.count(), 2);
        // Being sent away and leaving is one thing, not two.
        drop(first);
        assert_eq!(guests.count(), 2);
        drop(second);
        assert_eq!(guests.count(), 1);
        drop(third);
        assert_eq!(guests.count(), 0);
    }
}
