// SPDX-License-Identifier: MIT OR Apache-2.0
//! Remembering what may be used once.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use time::OffsetDateTime;

/// Why something may not be used.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It was used before.
    #[error("it was used before")]
    Replayed,
    /// It ended already.
    #[error("it has expired")]
    Expired,
    /// The memory is full of things that have not ended. Refusing is safe, forgetting is not.
    #[error("too many uses are being remembered")]
    Full,
}

/// A bounded memory of used things; each is forgotten when it would be refused for its age.
#[derive(Debug)]
pub struct ReplayCache<K> {
    used: HashMap<K, OffsetDateTime>,
    by_end: BTreeSet<(OffsetDateTime, K)>,
    capacity: usize,
}

impl<K: Clone + Eq + Hash + Ord> ReplayCache<K> {
    /// A memory for at most `capacity` things.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            used: HashMap::new(),
            by_end: BTreeSet::new(),
            capacity,
        }
    }

    /// Marks `key` as used until `expires`. The first call is the only one that succeeds.
    pub fn use_once(
        &mut self,
        key: K,
        expires: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), ReplayError> {
        self.forget_ended(now);
        if expires <= now {
            return Err(ReplayError::Expired);
        }
        if self.used.contains_key(&key) {
            return Err(ReplayError::Replayed);
        }
        if self.used.len() >= self.capacity {
            return Err(ReplayError::Full);
        }
        self.by_end.insert((expires, key.clone()));
        self.used.insert(key, expires);
        Ok(())
    }

    /// How many things are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    fn forget_ended(&mut self, now: OffsetDateTime) {
        while let Some((end, _)) = self.by_end.first() {
            if *end > now {
                return;
            }
            if let Some((_, key)) = self.by_end.pop_first() {
                self.used.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    #[test]
    fn the_second_use_is_refused_until_the_end_and_after_it() {
        let mut cache = ReplayCache::with_capacity(10);
        let end = NOW + Duration::minutes(2);
        assert_eq!(cache.use_once(1, end, NOW), Ok(()));
        assert_eq!(
            cache.use_once(1, end, end - Duration::seconds(1)),
            Err(ReplayError::Replayed)
        );
        assert_eq!(cache.use_once(1, end, end), Err(ReplayError::Expired));
        assert!(cache.is_empty());
    }

    #[test]
    fn a_full_memory_refuses_instead_of_forgetting() {
        let mut cache = ReplayCache::with_capacity(2);
        let end = NOW + Duration::minutes(2);
        assert_eq!(cache.use_once(1, end, NOW), Ok(()));
        assert_eq!(cache.use_once(2, end + Duration::minutes(1), NOW), Ok(()));
        assert_eq!(cache.use_once(3, end, NOW), Err(ReplayError::Full));
        assert_eq!(cache.use_once(1, end, NOW), Err(ReplayError::Replayed));
        assert_eq!(cache.use_once(3, end + Duration::minutes(1), end), Ok(()));
        assert_eq!(cache.len(), 2);
    }
}
