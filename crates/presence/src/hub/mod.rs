// SPDX-License-Identifier: MIT OR Apache-2.0
//! The node's state machine: messages and time in, an ordered list of effects out.
//!
//! The hub trusts that a message it is given was authenticated and signed on its connection; it does
//! not trust anything that is written in the message.

mod aggregate;
mod contacts;
mod containers;
mod effect;
mod ids;
mod notify;
mod persist;
mod publish;
mod refusal;
mod registrar;
mod relay;
mod service;
mod session;
mod state;
mod subscribe;
mod timers;
mod view;
mod watch;

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use lanyard_sip::{Headers, Message, Method, Name, OutMessage, reason_phrase};
use time::OffsetDateTime;

pub use effect::{ConnectionId, Effect, Effects, Now, Token};
pub use refusal::{Explanation, Refusal};
pub use session::{EndEvent, EndReason, Registration, SessionFilter, SessionInfo};

use crate::limits;
use crate::model::people::People;
use crate::model::roster::Roster;
use crate::model::store::RosterError;
use crate::model::uri::PersonUri;
use crate::xml::provisioning::Provisioning;
use ids::Ids;
use relay::Relay;
use state::{Connection, Endpoint, EndpointId, Person, RosterState, Subscription, SubscriptionId};
use timers::{Timer, Timers};

/// What a hub is told when it is made.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// The name under which clients reach this node.
    pub host: String,
    /// The port of SIP over TLS.
    pub port: u16,
    /// The domains of this organisation.
    pub domains: Vec<String>,
    /// Random, new at every start: tags and branches come from it.
    pub seed: [u64; 2],
    /// What clients are told about this deployment: nothing, unless the owner names services that are
    /// there. A client calls what it finds here.
    pub provisioning: Provisioning,
    /// The edge's words for a refusal.
    pub explain: fn(&Refusal) -> Explanation,
    /// See [`limits::REGISTER_EXPIRES_SECS_DEFAULT`].
    pub register_expires_secs: u32,
    /// See [`limits::KEEP_ALIVE_SECS`].
    pub keep_alive_secs: u32,
    /// See [`limits::GRACE`].
    pub grace: Duration,
    /// See [`limits::COALESCE`].
    pub coalesce: Duration,
}

impl HubConfig {
    /// Usual values for a host of a domain.
    #[must_use]
    pub fn new(host: impl Into<String>, domain: impl Into<String>, seed: [u64; 2]) -> Self {
        Self {
            host: host.into(),
            port: 5061,
            domains: vec![domain.into().to_lowercase()],
            seed,
            provisioning: Provisioning::default(),
            explain: Refusal::explain,
            register_expires_secs: limits::REGISTER_EXPIRES_SECS_DEFAULT,
            keep_alive_secs: limits::KEEP_ALIVE_SECS,
            grace: limits::GRACE,
            coalesce: limits::COALESCE,
        }
    }
}

/// One node: registrations, subscriptions, categories, containers, contacts, conversations.
pub struct Hub {
    config: HubConfig,
    people: Box<dyn People>,
    persons: HashMap<PersonUri, Person>,
    endpoints: HashMap<EndpointId, Endpoint>,
    connections: HashMap<ConnectionId, Connection>,
    subscriptions: HashMap<SubscriptionId, Subscription>,
    /// Subscriptions by Call-ID and our tag.
    dialogs: HashMap<(String, String), SubscriptionId>,
    /// Lists of categories that watchers asked for.
    filters: Vec<Vec<String>>,
    /// Changes that are being made durable.
    tokens: HashMap<Token, PersonUri>,
    relay: Relay,
    timers: Timers,
    ids: Ids,
    /// Shown where a time would tell something: states of people who look offline.
    started: OffsetDateTime,
}

/// Why a request was not carried out.
#[derive(Debug)]
enum Halt {
    /// These rosters must be loaded first; nothing was changed.
    Missing(Vec<PersonUri>),
    /// It is answered with this.
    Refused(Refusal),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("persons", &self.persons.len())
            .field("endpoints", &self.endpoints.len())
            .field("subscriptions", &self.subscriptions.len())
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// An empty node.
    #[must_use]
    pub fn new(config: HubConfig, people: Box<dyn People>, now: Now) -> Self {
        Self {
            ids: Ids::new(config.seed),
            config,
            people,
            persons: HashMap::new(),
            endpoints: HashMap::new(),
            connections: HashMap::new(),
            subscriptions: HashMap::new(),
            dialogs: HashMap::new(),
            // The first filter wants everything.
            filters: vec![Vec::new()],
            tokens: HashMap::new(),
            relay: Relay::default(),
            timers: Timers::default(),
            started: now.utc,
        }
    }

    /// Takes one authenticated message of a registered connection. REGISTER goes to
    /// [`Hub::register`] instead.
    pub fn handle(&mut self, now: Now, connection: ConnectionId, message: &Message) -> Effects {
        let mut fx = Effects::default();
        if message.status().is_some() {
            self.response(now, connection, message, &mut fx);
            return fx;
        }
        match self.connections.get_mut(&connection) {
            Some(open) if !open.parked.is_empty() => {
                if open.parked.len() < limits::PARKED_PER_CONNECTION_MAX {
                    open.parked.push_back(message.clone());
                } else {
                    self.refuse(connection, message, &Refusal::Overload, &mut fx);
                }
            }
            _ => {
                if let Some(missing) = self.request(now, connection, message, &mut fx) {
                    self.park(now, connection, message.clone(), missing, &mut fx);
                }
            }
        }
        fx
    }

    /// Takes the roster that [`Effect::Load`] asked for.
    pub fn loaded(
        &mut self,
        now: Now,
        person: &PersonUri,
        roster: Result<Roster, RosterError>,
    ) -> Effects {
        let mut fx = Effects::default();
        let Some(known) = self.persons.get_mut(person) else {
            return fx;
        };
        if !matches!(known.roster, RosterState::Loading) {
            return fx;
        }
        let waiters = std::mem::take(&mut known.waiters);
        known.idle_since = now.instant;
        match roster {
            Ok(roster) => {
                known.roster = RosterState::Ready(Box::new(roster));
                let idle_at = now.instant.checked_add(limits::ROSTER_IDLE);
                if let Some(at) = idle_at {
                    self.timers.set(at, Timer::Idle(person.clone()));
                }
                // What is durable may count for the state, and may have ended meanwhile.
                self.clock_due(now, person, &mut fx);
                for (connection, ticket) in waiters {
                    let Some(open) = self.connections.get_mut(&connection) else {
                        continue;
                    };
                    if open.ticket == ticket {
                        open.missing = open.missing.saturating_sub(1);
                        if open.missing == 0 {
                            self.resume(now, connection, &mut fx);
                        }
                    }
                }
            }
            Err(error) => {
                known.roster = RosterState::Absent;
                for (connection, ticket) in waiters {
                    let open = self.connections.get_mut(&connection);
                    let Some(open) = open.filter(|open| open.ticket == ticket) else {
                        continue;
                    };
                    // Other rosters that it waited for do not matter any more.
                    open.missing = 0;
                    open.ticket = 0;
                    let Some(first) = open.parked.pop_front() else {
                        continue;
                    };
                    self.refuse(connection, &first, &Refusal::Store(error), &mut fx);
                    self.resume(now, connection, &mut fx);
                }
            }
        }
        fx
    }

    /// When [`Hub::tick`] should be called at the latest.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does what has become due.
    pub fn tick(&mut self, now: Now) -> Effects {
        let mut fx = Effects::default();
        while let Some(timer) = self.timers.pop_due(now.instant) {
            match timer {
                Timer::Endpoint(id) => self.endpoint_due(now, id, &mut fx),
                Timer::Subscription(id) => self.subscription_due(now, id),
                Timer::Flush(person) => self.flush(now, &person, &mut fx),
                Timer::Clock(person) => self.clock_due(now, &person, &mut fx),
                Timer::Idle(person) => self.forget_idle(now, &person),
                Timer::Transaction(id) => self.transaction_due(now, id, &mut fx),
            }
        }
        fx
    }

    /// What is remembered of endpoints, by kind; all zero when nobody is signed in and all time is up.
    #[doc(hidden)]
    #[must_use]
    pub fn remembered(&self) -> [usize; 6] {
        let watched = self
            .persons
            .values()
            .map(|person| person.watchers.len())
            .sum();
        [
            self.endpoints.len(),
            self.connections.len(),
            self.subscriptions.len(),
            self.dialogs.len(),
            watched,
            self.relay.under_way(),
        ]
    }

    /// Deadlines that are set: at most one for each thing that is remembered.
    #[doc(hidden)]
    #[must_use]
    pub fn deadlines(&self) -> usize {
        self.timers.len()
    }

    /// The durable data of a person as memory has it.
    #[doc(hidden)]
    #[must_use]
    pub fn roster(&self, person: &PersonUri) -> Option<&Roster> {
        self.persons.get(person)?.roster()
    }

    /// Reads the directory for this hub's owner.
    #[must_use]
    pub fn people(&self) -> &dyn People {
        &*self.people
    }

    /// Carries out a request; gives back the people whose rosters must be loaded first.
    fn request(
        &mut self,
        now: Now,
        connection: ConnectionId,
        message: &Message,
        fx: &mut Effects,
    ) -> Option<Vec<PersonUri>> {
        match self.dispatch(now, connection, message, fx) {
            Ok(()) => None,
            Err(Halt::Missing(people)) => Some(people),
            Err(Halt::Refused(refusal)) => {
                self.refuse(connection, message, &refusal, fx);
                None
            }
        }
    }

    fn dispatch(
        &mut self,
        now: Now,
        connection: ConnectionId,
        message: &Message,
        fx: &mut Effects,
    ) -> Result<(), Halt> {
        let envelope = message.envelope().map_err(Refusal::Defect)?;
        let open = self
            .connections
            .get(&connection)
            .ok_or(Refusal::NotRegistered)?;
        if !names(&envelope.from, &open.person) {
            return Err(Refusal::ForeignFrom.into());
        }
        if message.body().len() > limits::BODY_BYTES_MAX {
            return Err(Refusal::TooLarge.into());
        }
        for token in [envelope.call_id, envelope.from.tag().unwrap_or_default()] {
            if token.len() > limits::TOKEN_BYTES_MAX {
                return Err(Refusal::Limit("length of Call-ID and tags").into());
            }
        }
        match envelope.cseq.method {
            Method::Subscribe => self.subscribe(now, connection, message, &envelope, fx),
            Method::Service => self.service(now, connection, message, &envelope, fx),
            Method::Register | Method::Notify | Method::BeNotify | Method::Publish => {
                Err(Refusal::Method.into())
            }
            _ => self.relay_request(now, connection, message, &envelope, fx),
        }
    }

    /// Answers a request with a refusal. An ACK is never answered.
    fn refuse(
        &mut self,
        connection: ConnectionId,
        request: &Message,
        refusal: &Refusal,
        fx: &mut Effects,
    ) {
        if request.method() == Some(Method::Ack) {
            return;
        }
        let explanation = (self.config.explain)(refusal);
        let tag = self.ids.tag();
        let out = refusal::answer(request, refusal, &explanation, &self.config.host, &tag);
        fx.send(connection, out);
    }

    /// The head of a successful answer.
    fn ok(&mut self, request: &Message) -> OutMessage {
        let tag = self.ids.tag();
        OutMessage::response_to(request, 200, reason_phrase(200)).with_to_tag(&tag)
    }

    /// Keeps a request until rosters are there.
    fn park(
        &mut self,
        now: Now,
        connection: ConnectionId,
        message: Message,
        missing: Vec<PersonUri>,
        fx: &mut Effects,
    ) {
        let Some(open) = self.connections.get_mut(&connection) else {
            return;
        };
        open.parked.push_front(message);
        self.await_rosters(now, connection, missing, fx);
    }

    fn await_rosters(
        &mut self,
        now: Now,
        connection: ConnectionId,
        missing: Vec<PersonUri>,
        fx: &mut Effects,
    ) {
        let ticket = self.ids.number();
        let Some(open) = self.connections.get_mut(&connection) else {
            return;
        };
        open.ticket = ticket;
        open.missing = missing.len();
        for uri in missing {
            let person = self
                .persons
                .entry(uri.clone())
                .or_insert_with(|| Person::new(now.instant));
            person.waiters.push((connection, ticket));
            if matches!(person.roster, RosterState::Absent) {
                person.roster = RosterState::Loading;
                fx.push(Effect::Load { person: uri });
            }
        }
    }

    /// Goes on with what waits on a connection.
    fn resume(&mut self, now: Now, connection: ConnectionId, fx: &mut Effects) {
        while let Some(open) = self.connections.get(&connection) {
            let Some(first) = open.parked.front().cloned() else {
                return;
            };
            if let Some(missing) = self.request(now, connection, &first, fx) {
                self.await_rosters(now, connection, missing, fx);
                return;
            }
            if let Some(open) = self.connections.get_mut(&connection) {
                open.parked.pop_front();
            }
        }
    }

    /// The person of an address in a message, if the directory knows one that may be used.
    fn known(&self, uri: &PersonUri) -> bool {
        self.people.person(uri).is_some_and(|card| card.enabled)
    }

    /// Fails with the people among these whose rosters are not in memory, each once.
    fn need<'a>(&self, people: impl Iterator<Item = &'a PersonUri>) -> Result<(), Halt> {
        let missing: BTreeSet<PersonUri> = people
            .filter(|uri| self.persons.get(*uri).and_then(Person::roster).is_none())
            .cloned()
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Halt::Missing(missing.into_iter().collect()))
        }
    }

    fn forget_idle(&mut self, now: Now, uri: &PersonUri) {
        let Some(person) = self.persons.get(uri) else {
            return;
        };
        if !person.is_idle() {
            // Whoever ends the last use sets the next timer.
            return;
        }
        match person.idle_since.checked_add(limits::ROSTER_IDLE) {
            Some(at) if at > now.instant => self.timers.set(at, Timer::Idle(uri.clone())),
            _ => {
                self.persons.remove(uri);
                for timer in [Timer::Idle, Timer::Flush, Timer::Clock] {
                    self.timers.clear(timer(uri.clone()));
                }
            }
        }
    }

    /// Called when something stopped using a person.
    fn released(&mut self, now: Now, uri: &PersonUri) {
        let Some(person) = self.persons.get_mut(uri) else {
            return;
        };
        if person.is_idle() {
            person.idle_since = now.instant;
            if let Some(at) = now.instant.checked_add(limits::ROSTER_IDLE) {
                self.timers.set(at, Timer::Idle(uri.clone()));
            }
        }
    }
}

/// Whether an address of a message names this person; URI parameters do not matter.
fn names(address: &lanyard_sip::NameAddr<'_>, person: &PersonUri) -> bool {
    address
        .sip_uri()
        .is_ok_and(|uri| uri.address() == person.address())
}

/// The person that an address of a message names.
fn person_of(uri: &str) -> Option<PersonUri> {
    PersonUri::parse(&lanyard_sip::SipUri::parse(uri).ok()?.aor()).ok()
}

/// The first value of a header, or empty.
fn value(message: &Message, name: Name) -> &str {
    message.header(name).unwrap_or_default()
}
