// SPDX-License-Identifier: MIT OR Apache-2.0
//! How fast passwords may be tried: some tries are free, then each costs twice the wait of the last.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The longest wait between two tries.
pub const WAIT_MAX: Duration = Duration::from_secs(300);
/// What was tried this long ago is forgotten.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(1800);
/// Most names or network addresses that are remembered at a time.
pub const TRACKED_MAX: usize = 16_384;

/// It is too early for another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there were too many wrong tries")]
pub struct TooEarly {
    /// When the next one is looked at.
    pub wait: Duration,
}

/// Tries by key. A try counts as a failure until it is known to have succeeded, so that tries side
/// by side gain nothing.
///
/// The memory is bounded. When it is full of fresh entries, keys that are not in it are refused.
#[derive(Debug)]
pub struct Throttle<K> {
    free: u32,
    tracked_max: usize,
    tries: HashMap<K, Tries>,
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    failed: u32,
    last: Instant,
}

impl<K: Eq + Hash> Throttle<K> {
    /// With so many tries before the first wait.
    #[must_use]
    pub fn new(free: u32, tracked_max: usize) -> Self {
        Self {
            free,
            tracked_max,
            tries: HashMap::new(),
        }
    }

    /// Begins a try.
    ///
    /// # Errors
    /// When it is too early.
    pub fn begin(&mut self, key: K, now: Instant) -> Result<(), TooEarly> {
        self.check(&key, now)?;
        if !self.tries.contains_key(&key) && self.tries.len() >= self.tracked_max {
            self.tries.retain(|_, tries| is_fresh(tries, now));
            if self.tries.len() >= self.tracked_max {
                return Err(TooEarly { wait: WAIT_MAX });
            }
        }
        let tries = self.tries.entry(key).or_insert(Tries {
            failed: 0,
            last: now,
        });
        if !is_fresh(tries, now) {
            tries.failed = 0;
        }
        tries.failed = tries.failed.saturating_add(1);
        tries.last = now;
        Ok(())
    }

    /// Whether a try may begin; none begins by this.
    ///
    /// # Errors
    /// When it is too early.
    pub fn check(&self, key: &K, now: Instant) -> Result<(), TooEarly> {
        let Some(tries) = self.tries.get(key).filter(|tries| is_fresh(tries, now)) else {
            return Ok(());
        };
        let since = now.saturating_duration_since(tries.last);
        match self.wait_after(tries.failed).checked_sub(since) {
            Some(wait) if !wait.is_zero() => Err(TooEarly { wait }),
            _ => Ok(()),
        }
    }

    /// A try has succeeded: it was no failure. The earlier ones stay.
    pub fn take_back(&mut self, key: &K) {
        if let Some(tries) = self.tries.get_mut(key) {
            tries.failed = tries.failed.saturating_sub(1);
        }
    }

    /// Forgets everything about a key.
    pub fn forget(&mut self, key: &K) {
        self.tries.remove(key);
    }

    fn wait_after(&self, failed: u32) -> Duration {
        match failed.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(beyond) => {
                Duration::from_secs(1_u64.checked_shl(beyond).unwrap_or(u64::MAX)).min(WAIT_MAX)
            }
        }
    }
}

fn is_fresh(tries: &Tries, now: Instant) -> bool {
    now.saturating_duration_since(tries.last) < FORGOTTEN_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn after_the_free_tries_the_wait_doubles_up_to_its_limit() {
        let mut throttle = Throttle::new(3, 8);
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..13 {
            throttle.begin("a", now).unwrap();
            let wait = throttle
                .check(&"a", now)
                .err()
                .map_or(Duration::ZERO, |e| e.wait);
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert!(throttle.begin("b", now).is_ok());
    }

    #[test]
    fn a_try_that_comes_too_early_is_refused_and_costs_nothing() {
        let mut throttle = Throttle::new(1, 8);
        let now = Instant::now();
        throttle.begin("a", now).unwrap();
        for _ in 0..10 {
            assert_eq!(throttle.begin("a", now), Err(TooEarly { wait: SECOND }));
        }
        throttle.begin("a", now + SECOND).unwrap();
    }

    #[test]
    fn a_success_takes_its_try_back_and_time_forgets_the_others() {
        let mut throttle = Throttle::new(2, 8);
        let now = Instant::now();
        throttle.begin("a", now).unwrap();
        throttle.begin("a", now).unwrap();
        throttle.take_back(&"a");
        assert!(throttle.begin("a", now).is_ok());
        assert!(throttle.begin("a", now).is_err());
        assert!(throttle.begin("a", now + FORGOTTEN_AFTER).is_ok());
        assert!(throttle.begin("a", now + FORGOTTEN_AFTER).is_ok());
        throttle.forget(&"a");
        assert!(throttle.begin("a", now).is_ok());
    }

    #[test]
    fn a_full_memory_refuses_new_keys_until_old_ones_are_forgotten() {
        let mut throttle = Throttle::new(3, 2);
        let now = Instant::now();
        throttle.begin(1, now).unwrap();
        throttle.begin(2, now).unwrap();
        assert_eq!(throttle.begin(3, now), Err(TooEarly { wait: WAIT_MAX }));
        assert!(throttle.begin(3, now + FORGOTTEN_AFTER).is_ok());
    }
}
