// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the hub remembers.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lanyard_sip::{InstanceId, Message};
use time::OffsetDateTime;

use crate::hub::effect::{ConnectionId, Token};
use crate::hub::persist::{InFlight, Work};
use crate::model::roster::{PublicationKey, Roster};
use crate::model::uri::PersonUri;
use crate::xml::publish::ExpireType;
use crate::xml::roaming_self::RoamingWanted;
use crate::xml::state::State;

/// One registered endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct EndpointId(pub(super) u64);

/// One subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SubscriptionId(pub(super) u64);

/// A connection with a registration.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) endpoint: EndpointId,
    pub(super) person: PersonUri,
    /// Its queue of outgoing messages is full: only what must not be lost is sent.
    pub(super) congested: bool,
    /// Requests that wait for rosters, in order.
    pub(super) parked: VecDeque<Message>,
    /// What the first of them waits for: a number for this wait, and how many rosters are missing.
    pub(super) ticket: u64,
    pub(super) missing: usize,
    /// Searches of the directory since then.
    pub(super) searches: (Instant, u32),
}

/// A registered endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) person: PersonUri,
    pub(super) epid: Arc<str>,
    pub(super) instance: InstanceId,
    /// `None` during the grace time.
    pub(super) connection: Option<ConnectionId>,
    /// Where requests go: the URI of the Contact.
    pub(super) contact: String,
    pub(super) user_agent: String,
    pub(super) since: OffsetDateTime,
    /// When the registration ends, or the grace time.
    pub(super) ends_at: Instant,
    pub(super) subscriptions: BTreeSet<SubscriptionId>,
    /// It took its own subscriptions back: it is on its way out, and a lost connection needs no grace.
    pub(super) leaving: bool,
    /// Requests of its own that are not answered.
    pub(super) transactions: usize,
}

/// A person of whom something is in memory.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) roster: RosterState,
    /// Registered endpoints, oldest first; those within their grace time as well.
    pub(super) endpoints: Vec<EndpointId>,
    /// Publications that are not durable.
    pub(super) live: BTreeMap<PublicationKey, LivePublication>,
    /// Subscriptions to this person's presence, with the container that each may see.
    pub(super) watchers: HashMap<SubscriptionId, u32>,
    /// Subscriptions of the person's own endpoints to the person's own data.
    pub(super) own: BTreeSet<SubscriptionId>,
    /// Connections whose first parked request waits for the roster.
    pub(super) waiters: Vec<(ConnectionId, u64)>,
    /// A change that is being made durable.
    pub(super) in_flight: Option<InFlight>,
    /// What waits for it.
    pub(super) queue: VecDeque<Work>,
    /// Categories that changed since the last flush.
    pub(super) dirty: BTreeSet<String>,
    pub(super) last_flush: Option<Instant>,
    pub(super) flush_set: bool,
    /// Serialised views by container and filter.
    pub(super) views: HashMap<(u32, u16), Bytes>,
    /// Aggregates by input container.
    pub(super) aggregates: BTreeMap<u32, State>,
    /// What watchers of a container were told last, by category.
    pub(super) seen: HashMap<u32, BTreeMap<String, u64>>,
    /// The last aggregate that the person's own endpoints were shown, and how many there were.
    pub(super) shown: Option<State>,
    pub(super) aggregate_version: u32,
    pub(super) idle_since: Instant,
    /// The next time at which something begins or ends by the clock, when a timer is set for it.
    pub(super) clock_at: Option<Instant>,
}

/// Whether a roster is in memory.
#[derive(Debug)]
pub(super) enum RosterState {
    Absent,
    Loading,
    Ready(Box<Roster>),
}

/// A publication that ends with its endpoint or with the last endpoint.
#[derive(Debug, Clone)]
pub(super) struct LivePublication {
    pub(super) version: u32,
    pub(super) expire_type: ExpireType,
    pub(super) publish_time: OffsetDateTime,
    pub(super) content: Arc<str>,
    /// Who published it last.
    pub(super) endpoint: EndpointId,
}

/// What a subscription is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    RoamingContacts,
    RoamingSelf,
    WatchersPending,
    Presence,
}

/// A subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) kind: Kind,
    pub(super) endpoint: EndpointId,
    pub(super) person: PersonUri,
    pub(super) connection: ConnectionId,
    /// The dialog: our From, the client's To, Call-ID and tags.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) call_id: String,
    pub(super) local_tag: String,
    pub(super) remote_tag: String,
    pub(super) remote_target: String,
    pub(super) cseq: u32,
    pub(super) ends_at: Instant,
    pub(super) benotify: bool,
    /// A NOTIFY is not answered.
    pub(super) unanswered: bool,
    /// Own data: what is wanted, and what changed.
    pub(super) wanted: RoamingWanted,
    pub(super) changed: Changed,
    /// Presence: whom, and which categories.
    pub(super) resources: HashSet<PersonUri>,
    pub(super) single: bool,
    pub(super) filter: u16,
    /// People of whom something was not sent because the client was slow.
    pub(super) missed: BTreeSet<PersonUri>,
}

/// What own endpoints were not told yet.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) categories: BTreeSet<String>,
    pub(super) containers: bool,
    pub(super) subscribers: bool,
    /// The whole contact list is due, because a delta could not be sent.
    pub(super) contacts: bool,
}

impl Changed {
    pub(super) fn any(&self) -> bool {
        !self.categories.is_empty() || self.containers || self.subscribers || self.contacts
    }
}

impl Person {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            roster: RosterState::Absent,
            endpoints: Vec::new(),
            live: BTreeMap::new(),
            watchers: HashMap::new(),
            own: BTreeSet::new(),
            waiters: Vec::new(),
            in_flight: None,
            queue: VecDeque::new(),
            dirty: BTreeSet::new(),
            last_flush: None,
            flush_set: false,
            views: HashMap::new(),
            aggregates: BTreeMap::new(),
            seen: HashMap::new(),
            shown: None,
            aggregate_version: 0,
            idle_since: now,
            clock_at: None,
        }
    }

    pub(super) fn roster(&self) -> Option<&Roster> {
        match &self.roster {
            RosterState::Ready(roster) => Some(roster),
            RosterState::Absent | RosterState::Loading => None,
        }
    }

    pub(super) fn roster_mut(&mut self) -> Option<&mut Roster> {
        match &mut self.roster {
            RosterState::Ready(roster) => Some(roster),
            RosterState::Absent | RosterState::Loading => None,
        }
    }

    /// Whether nothing but the roster keeps this person in memory.
    pub(super) fn is_idle(&self) -> bool {
        self.endpoints.is_empty()
            && self.watchers.is_empty()
            && self.waiters.is_empty()
            && self.in_flight.is_none()
            && self.queue.is_empty()
            && !matches!(self.roster, RosterState::Loading)
    }

    pub(super) fn awaits(&self, token: Token) -> bool {
        self.in_flight
            .as_ref()
            .is_some_and(|flight| flight.token == token)
    }
}
