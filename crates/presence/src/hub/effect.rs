// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes into the hub and what comes out.

use std::time::Instant;

use lanyard_sip::OutMessage;
use time::OffsetDateTime;

use crate::model::roster::RosterChange;
use crate::model::uri::PersonUri;

/// One connection of a client, numbered by the owner of the sockets; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// Names one change that the owner of the store makes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub(crate) u64);

/// The time, told from outside: for timers and for what people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For timers.
    pub instant: Instant,
    /// For publication times.
    pub utc: OffsetDateTime,
}

/// One thing to do, in order.
#[derive(Debug)]
pub enum Effect {
    /// Sign with the connection's own association and send. `From`, `To`, `Call-ID`, `CSeq`,
    /// `Expires` and `P-Asserted-Identity` stay as they are.
    Send {
        /// The connection.
        to: ConnectionId,
        /// The unsigned message.
        message: OutMessage,
    },
    /// Send what is queued, then close.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
    /// Read this person's roster, then call [`Hub::loaded`](crate::Hub::loaded).
    Load {
        /// Whose.
        person: PersonUri,
    },
    /// Make the change durable, then call [`Hub::persisted`](crate::Hub::persisted). Changes of one
    /// person come one at a time.
    Persist {
        /// To be given back.
        token: Token,
        /// The change.
        change: RosterChange,
    },
}

/// An ordered list of effects.
#[derive(Debug, Default)]
pub struct Effects {
    list: Vec<Effect>,
}

impl Effects {
    /// Adds a message.
    pub(crate) fn send(&mut self, to: ConnectionId, message: OutMessage) {
        self.list.push(Effect::Send { to, message });
    }

    /// Adds any effect.
    pub(crate) fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    /// Adds one behind the others.
    pub fn add(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// In order.
    pub fn iter(&self) -> std::slice::Iter<'_, Effect> {
        self.list.iter()
    }

    /// Adds another list behind this one.
    pub fn extend(&mut self, other: Self) {
        self.list.extend(other.list);
    }
}

impl IntoIterator for Effects {
    type Item = Effect;
    type IntoIter = std::vec::IntoIter<Effect>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Effects {
    type Item = &'a Effect;
    type IntoIter = std::slice::Iter<'a, Effect>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}
