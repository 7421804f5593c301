// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deadlines. An entry is a hint: whoever set it looks again whether the time has really come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::hub::relay::TransactionId;
use crate::hub::state::{EndpointId, SubscriptionId};
use crate::model::uri::PersonUri;

/// What may be due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
    heap: BinaryHeap<Reverse<(Instant, Timer)>>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Instant, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next one that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, timer))| timer)
    }
}
