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
/// Whoever is still in the handshake after this time makes room first. Nobody connects so fast that a
/// whole listener of guests is younger than this.
pub const SLOW_HANDSHAKE: Duration = Duration::from_millis(50);
/// Whoever has not signed in this long after the handshake makes room when no slow handshake is left.
pub const SLOW_SIGN_IN: Duration = Duration::from_secs(5);

/// The guests of one listener.
#[derive(Debug)]
pub struct Guests {
    max: usize,
    list: Mutex<List>,
}

/// Guests in the order in which they came to where they are.
type Row = BTreeMap<u64, (Instant, Arc<Notify>)>;

#[derive(Debug, Default)]
struct List {
    next: u64,
    shaking: Row,
    signing_in: Row,
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
        if list.count() >= self.max {
            let went = send_away(&mut list.shaking, SLOW_HANDSHAKE, now)
                || send_away(&mut list.signing_in, SLOW_SIGN_IN, now);
            if !went {
                return None;
            }
        }
        let number = list.number();
        let sent_away = Arc::new(Notify::new());
        list.shaking.insert(number, (now, Arc::clone(&sent_away)));
        Some(Guest {
            guests: Arc::clone(self),
            number,
            sent_away,
        })
    }
}

/// Sends the one away that has been in a row longest, when that is longer than `slow`.
fn send_away(row: &mut Row, slow: Duration, now: Instant) -> bool {
    let first = row.first_key_value();
    let is_slow = first.is_some_and(|(_, (since, sent_away))| {
        let dawdles = now.saturating_duration_since(*since) >= slow;
        if dawdles {
            sent_away.notify_one();
        }
        dawdles
    });
    if is_slow {
        row.pop_first();
    }
    is_slow
}

impl List {
    fn count(&self) -> usize {
        self.shaking.len().saturating_add(self.signing_in.len())
    }

    fn number(&mut self) -> u64 {
        self.next = self.next.wrapping_add(1);
        self.next
    }
}

impl Guest {
    /// The handshake is over.
    pub fn has_shaken(&mut self, now: Instant) {
        let list = self.guests.list.lock();
        let mut list = list.unwrap_or_else(PoisonError::into_inner);
        // Somebody who was sent away at this very moment is in no row any more.
        if list.shaking.remove(&self.number).is_some() {
            self.number = list.number();
            let entry = (now, Arc::clone(&self.sent_away));
            list.signing_in.insert(self.number, entry);
        }
    }

    /// Ends when this guest has to make room.
    pub async fn sent_away(&self) {
        self.sent_away.notified().await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let list = self.guests.list.lock();
        let mut list = list.unwrap_or_else(PoisonError::into_inner);
        list.shaking.remove(&self.number);
        list.signing_in.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(guests: &Guests) -> usize {
        guests.list.lock().unwrap().count()
    }

    #[tokio::test]
    async fn whoever_has_dawdled_longest_makes_room() {
        let guests = Guests::new(2);
        let now = Instant::now();
        let first = guests.enter(now).unwrap();
        let second = guests.enter(now).unwrap();
        assert!(guests.enter(now).is_none(), "nobody has dawdled yet");
        let third = guests.enter(now + SLOW_HANDSHAKE).unwrap();
        first.sent_away().await;
        assert_eq!(count(&guests), 2);
        // Being sent away and leaving is one thing, not two.
        drop(first);
        assert_eq!(count(&guests), 2);
        drop(second);
        assert_eq!(count(&guests), 1);
        drop(third);
        assert_eq!(count(&guests), 0);
    }

    #[tokio::test]
    async fn whoever_has_shaken_hands_stays_longer_than_whoever_has_not() {
        let guests = Guests::new(2);
        let now = Instant::now();
        let mut first = guests.enter(now).unwrap();
        first.has_shaken(now);
        let second = guests.enter(now).unwrap();
        let later = now + SLOW_HANDSHAKE;
        let mut third = guests.enter(later).unwrap();
        second.sent_away().await;
        third.has_shaken(later);
        assert!(guests.enter(later).is_none(), "both are signing in");
        let late = now + SLOW_SIGN_IN;
        assert!(guests.enter(late).is_some());
        first.sent_away().await;
        assert_eq!(count(&guests), 1);
    }
}
