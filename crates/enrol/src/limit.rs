// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often something may be tried.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The window in which the attempts of one network address are counted.
pub const ATTEMPT_WINDOW: Duration = Duration::from_secs(60);
/// Most keys that are counted at a time.
pub const TRACKED_MAX: usize = 16_384;

/// There were too many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there were too many attempts")]
pub struct TooMany {
    /// When the next attempt is looked at.
    pub wait: Duration,
}

/// Counts attempts by key, in windows that begin with the first attempt.
///
/// The memory is bounded. When it is full of running windows, keys that are not yet in it are
/// refused: that is the only answer that somebody with many addresses cannot turn into freedom.
#[derive(Debug)]
pub struct Attempts<K> {
    window: Duration,
    tracked_max: usize,
    counts: HashMap<K, Count>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Instant,
    attempts: u32,
}

impl<K: Eq + Hash> Attempts<K> {
    /// A counter with this window.
    #[must_use]
    pub fn new(window: Duration, tracked_max: usize) -> Self {
        Self {
            window,
            tracked_max,
            counts: HashMap::new(),
        }
    }

    /// Whether another attempt is allowed; it is not counted by this.
    pub fn check(&self, key: &K, max: u32, now: Instant) -> Result<(), TooMany> {
        match self.counts.get(key) {
            Some(count) if !self.is_over(count, now) && count.attempts >= max => {
                let end = count.since.checked_add(self.window).unwrap_or(now);
                Err(TooMany {
                    wait: end.saturating_duration_since(now),
                })
            }
            _ => Ok(()),
        }
    }

    /// Counts an attempt that is allowed, or refuses it.
    pub fn count(&mut self, key: K, max: u32, now: Instant) -> Result<(), TooMany> {
        self.check(&key, max, now)?;
        if !self.counts.contains_key(&key) && self.counts.len() >= self.tracked_max {
            let window = self.window;
            self.counts
                .retain(|_, count| now.saturating_duration_since(count.since) < window);
            if self.counts.len() >= self.tracked_max {
                return Err(TooMany { wait: window });
            }
        }
        let window = self.window;
        let count = self.counts.entry(key).or_insert(Count {
            since: now,
            attempts: 0,
        });
        if now.saturating_duration_since(count.since) >= window {
            *count = Count {
                since: now,
                attempts: 0,
            };
        }
        count.attempts = count.attempts.saturating_add(1);
        Ok(())
    }

    /// Forgets the attempts of a key.
    pub fn forget(&mut self, key: &K) {
        self.counts.remove(key);
    }

    fn is_over(&self, count: &Count, now: Instant) -> bool {
        now.saturating_duration_since(count.since) >= self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    #[test]
    fn attempts_are_allowed_up_to_the_limit_and_after_the_window() {
        let (mut attempts, now) = (Attempts::new(WINDOW, 10), Instant::now());
        for _ in 0..3 {
            assert_eq!(attempts.count("a", 3, now), Ok(()));
        }
        let later = now + Duration::from_secs(20);
        let refused = Err(TooMany {
            wait: Duration::from_secs(40),
        });
        assert_eq!(attempts.check(&"a", 3, later), refused);
        assert_eq!(attempts.count("a", 3, later), refused);
        assert_eq!(attempts.count("b", 3, later), Ok(()));
        assert_eq!(attempts.count("a", 3, now + WINDOW), Ok(()));
        assert_eq!(attempts.check(&"a", 2, now + WINDOW), Ok(()));
    }

    #[test]
    fn a_success_clears_the_count() {
        let (mut attempts, now) = (Attempts::new(WINDOW, 10), Instant::now());
        attempts.count("a", 1, now).unwrap();
        attempts.forget(&"a");
        assert_eq!(attempts.count("a", 1, now), Ok(()));
    }

    #[test]
    fn a_full_memory_refuses_new_keys_until_windows_end() {
        let (mut attempts, now) = (Attempts::new(WINDOW, 2), Instant::now());
        attempts.count(1, 5, now).unwrap();
        attempts.count(2, 5, now).unwrap();
        assert_eq!(attempts.count(3, 5, now), Err(TooMany { wait: WINDOW }));
        assert_eq!(attempts.count(1, 5, now), Ok(()));
        assert_eq!(attempts.count(3, 5, now + WINDOW), Ok(()));
    }
}
