// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often a person who has proved who they are may ask for something: so much at once, then so
//! much a second.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Requests by key. What is full again is forgotten.
#[derive(Debug)]
pub struct Pace<K> {
    burst: u32,
    per_second: u32,
    tracked_max: usize,
    taken: HashMap<K, Taken>,
}

/// What was taken and has not come back, in thousandths of a request.
#[derive(Debug, Clone, Copy)]
struct Taken {
    thousandths: u64,
    at: Instant,
}

const ONE: u64 = 1_000;

impl<K: Eq + Hash> Pace<K> {
    /// So many at once, and so many more each second; for at most so many keys at a time.
    #[must_use]
    pub fn new(burst: u32, per_second: u32, tracked_max: usize) -> Self {
        Self {
            burst,
            per_second: per_second.max(1),
            tracked_max,
            taken: HashMap::new(),
        }
    }

    /// Takes one.
    ///
    /// # Errors
    /// How long to wait for the next.
    pub fn take(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        if !self.taken.contains_key(&key) && self.taken.len() >= self.tracked_max {
            let rate = self.per_second;
            self.taken.retain(|_, taken| left(taken, rate, now) > 0);
            if self.taken.len() >= self.tracked_max {
                return Err(Duration::from_secs(1));
            }
        }
        let full = u64::from(self.burst).saturating_mul(ONE);
        let taken = self.taken.entry(key).or_insert(Taken {
            thousandths: 0,
            at: now,
        });
        let used = left(taken, self.per_second, now).saturating_add(ONE);
        if used > full {
            let millis = used.saturating_sub(full) / u64::from(self.per_second);
            return Err(Duration::from_millis(millis.max(1)));
        }
        *taken = Taken {
            thousandths: used,
            at: now,
        };
        Ok(())
    }
}

fn left(taken: &Taken, per_second: u32, now: Instant) -> u64 {
    let millis = now.saturating_duration_since(taken.at).as_millis();
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    // A thousandth of a request for each millisecond and request a second.
    taken
        .thousandths
        .saturating_sub(millis.saturating_mul(u64::from(per_second)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_at_once_then_so_much_a_second() {
        let mut pace = Pace::new(3, 2, 8);
        let now = Instant::now();
        for _ in 0..3 {
            pace.take("a", now).unwrap();
        }
        assert_eq!(pace.take("a", now), Err(Duration::from_millis(500)));
        assert!(pace.take("b", now).is_ok(), "others do not wait");
        let later = now + Duration::from_millis(500);
        pace.take("a", later).unwrap();
        assert!(pace.take("a", later).is_err());
        let rested = now + Duration::from_secs(60);
        for _ in 0..3 {
            pace.take("a", rested).unwrap();
        }
        assert!(pace.take("a", rested).is_err());
    }

    #[test]
    fn a_refused_request_costs_nothing() {
        let mut pace = Pace::new(1, 1, 8);
        let now = Instant::now();
        pace.take("a", now).unwrap();
        for _ in 0..100 {
            assert!(pace.take("a", now).is_err());
        }
        assert!(pace.take("a", now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_rested() {
        let mut pace = Pace::new(2, 1, 2);
        let now = Instant::now();
        pace.take(1, now).unwrap();
        pace.take(2, now).unwrap();
        assert!(pace.take(3, now).is_err());
        assert!(pace.take(3, now + Duration::from_secs(2)).is_ok());
    }
}
