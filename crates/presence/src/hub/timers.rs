// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deadlines: at most one for each thing that can have one, so that whoever renews something a
//! thousand times a second leaves nothing behind. Whoever set it looks again whether the time has
//! really come.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use crate::hub::relay::TransactionId;
use crate::hub::state::{EndpointId, SubscriptionId};
use crate::model::uri::PersonUri;

/// What may be due.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A registration ends, or the grace time of a lost connection.
    Endpoint(EndpointId),
    /// A subscription ends.
    Subscription(SubscriptionId),
    /// Watchers of this person are told what changed.
    Flush(PersonUri),
    /// A state of this person begins or ends by the clock.
    Clock(PersonUri),
    /// A roster may leave memory.
    Idle(PersonUri),
    /// A request was not answered.
    Transaction(TransactionId),
}

/// All deadlines, earliest first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Instant, Timer)>,
    at: HashMap<Timer, Instant>,
}

impl Timers {
    /// Sets a deadline in place of the one that was set before.
    pub(super) fn set(&mut self, at: Instant, timer: Timer) {
        if let Some(before) = self.at.insert(timer.clone(), at) {
            if before == at {
                return;
            }
            self.order.remove(&(before, timer.clone()));
        }
        self.order.insert((at, timer));
    }

    /// What it was for is over.
    pub(super) fn clear(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The next one that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.at.remove(&timer);
        Some(timer)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_deadline_that_is_set_again_replaces_the_old_one() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        let timer = |n| Timer::Subscription(SubscriptionId(n));
        for second in 0..1_000 {
            timers.set(now + Duration::from_secs(second), timer(1));
        }
        timers.set(now, timer(2));
        assert_eq!(timers.len(), 2);
        assert_eq!(timers.pop_due(now), Some(timer(2)));
        assert_eq!(timers.pop_due(now + Duration::from_secs(998)), None);
        let late = now + Duration::from_secs(999);
        assert_eq!(timers.pop_due(late), Some(timer(1)));
        timers.set(now, timer(3));
        timers.clear(timer(3));
        assert_eq!(timers.pop_due(late), None);
        assert_eq!(timers.len(), 0);
    }
}
