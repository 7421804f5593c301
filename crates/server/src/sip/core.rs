// SPDX-License-Identifier: MIT OR Apache-2.0
//! The node's hub, the connections it speaks through, and the sessions that administrators see.

use crate::sessions::{SessionEnd, SessionInfo, SessionSelector, Sessions};
use lanyard_directory::SipAddress;
use lanyard_presence::hub::EndEvent;
use lanyard_presence::{
    ConnectionId, Effect, Effects, EndReason, Hub, Now, PersonUri, Registration, RosterStore,
    SessionFilter,
};
use lanyard_sip::{Message, OutMessage};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio::sync::mpsc;

/// Messages that may wait for one connection. A client that reads so slowly that more would wait is
/// disconnected: its watchers' states are lost with it, its peers learn that a message failed.
pub const OUTGOING_MAX: usize = 2_048;
/// With this many waiting, presence is held back for the connection: it gets the newest state later.
pub const CONGESTED_AT: usize = OUTGOING_MAX / 2;
/// With no more than this many waiting, presence goes out again.
pub const DRAINED_AT: usize = OUTGOING_MAX / 4;
/// How often the hub looks at its timers.
pub const TICK_MS: u64 = 100;

/// What a connection's task is told to do.
#[derive(Debug)]
pub enum Outgoing {
    /// Sign and send.
    Message(OutMessage),
    /// Send what waits, then close.
    Close,
}

/// The hub and everything that it touches.
pub struct SipCore {
    hub: Mutex<Hub>,
    links: Mutex<HashMap<ConnectionId, Link>>,
    rosters: Arc<dyn RosterStore>,
    runtime: tokio::runtime::Handle,
    source: String,
    next: AtomicU64,
}

struct Link {
    outgoing: mpsc::Sender<Outgoing>,
    session: Option<LiveSession>,
    /// The hub holds back presence for it.
    is_congested: bool,
}

/// A session and the moment its certificate ends.
#[derive(Debug, Clone)]
pub struct LiveSession {
    /// What administrators see.
    pub info: SessionInfo,
    /// After this the session must be over.
    pub ends: OffsetDateTime,
}

impl std::fmt::Debug for SipCore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SipCore").finish_non_exhaustive()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time for the hub.
#[must_use]
pub fn now() -> Now {
    Now {
        instant: Instant::now(),
        utc: OffsetDateTime::now_utc(),
    }
}

impl SipCore {
    /// A core without connections. Must be called inside the runtime that will serve it.
    #[must_use]
    pub fn new(hub: Hub, rosters: Arc<dyn RosterStore>, source: &str) -> Arc<Self> {
        Arc::new(Self {
            hub: Mutex::new(hub),
            links: Mutex::new(HashMap::new()),
            rosters,
            runtime: tokio::runtime::Handle::current(),
            source: source.to_owned(),
            next: AtomicU64::new(1),
        })
    }

    /// The host name that diagnostics carry.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// A new connection and the queue of what it must send.
    pub fn connect(&self) -> (ConnectionId, mpsc::Receiver<Outgoing>) {
        let id = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed));
        let (outgoing, receiver) = mpsc::channel(OUTGOING_MAX);
        held(&self.links).insert(
            id,
            Link {
                outgoing,
                session: None,
                is_congested: false,
            },
        );
        (id, receiver)
    }

    /// A connection is gone; its registration lives on for the hub's grace time.
    pub fn disconnect(self: &Arc<Self>, id: ConnectionId) {
        held(&self.links).remove(&id);
        self.with_hub(|hub| hub.connection_lost(now(), id));
    }

    /// Enters the session of a connection whose security association stands. From here on
    /// [`Sessions::end`] finds it, so the caller checks the account *after* this call.
    pub fn open_session(&self, id: ConnectionId, session: LiveSession) {
        if let Some(link) = held(&self.links).get_mut(&id) {
            link.session = Some(session);
        }
    }

    /// Takes the session of a connection away, for one that turned out not to be allowed.
    pub fn forget_session(&self, id: ConnectionId) {
        if let Some(link) = held(&self.links).get_mut(&id) {
            link.session = None;
        }
    }

    /// How many connections and sessions there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let links = held(&self.links);
        (
            links.len(),
            links.values().filter(|l| l.session.is_some()).count(),
        )
    }

    /// A signed REGISTER.
    pub fn register(self: &Arc<Self>, registration: &Registration, message: &Message) {
        self.with_hub(|hub| {
            // A session that was ended since it was admitted registers nothing. Whoever ends one
            // takes it away first and tells the hub second, under the lock that is held here.
            let links = held(&self.links);
            let live = links
                .get(&registration.connection)
                .is_some_and(|l| l.session.is_some());
            drop(links);
            if live {
                hub.register(now(), registration, message)
            } else {
                Effects::default()
            }
        });
    }

    /// Any other signed message.
    pub fn handle(self: &Arc<Self>, id: ConnectionId, message: &Message) {
        self.with_hub(|hub| hub.handle(now(), id, message));
    }

    /// Looks at the timers until the server stops.
    pub async fn run_timers(self: Arc<Self>, mut stop: tokio::sync::watch::Receiver<bool>) {
        let mut tick = tokio::time::interval(Duration::from_millis(TICK_MS));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut seconds = 0_u32;
        loop {
            tokio::select! {
                () = crate::listener::stopped(&mut stop) => return,
                _ = tick.tick() => {}
            }
            self.with_hub(|hub| hub.tick(now()));
            seconds = seconds.wrapping_add(1);
            if seconds.is_multiple_of(10) {
                self.end_expired();
            }
        }
    }

    /// Ends the sessions whose chat certificate has run out.
    fn end_expired(self: &Arc<Self>) {
        let utc = OffsetDateTime::now_utc();
        let over = self.find(|session| session.ends <= utc);
        let reason = reason(
            lanyard_fault::Fault::SessionCertificateEnds,
            EndEvent::Deactivated,
        );
        self.end_connections(&over, &reason);
    }

    /// Tells every client that the server stops.
    pub fn end_all_for_stop(self: &Arc<Self>) {
        let all = self.find(|_| true);
        let reason = reason(
            lanyard_fault::Fault::SessionEndedServerStops,
            EndEvent::Deactivated,
        );
        self.end_connections(&all, &reason);
    }

    fn find(&self, wanted: impl Fn(&LiveSession) -> bool) -> Vec<ConnectionId> {
        let links = held(&self.links);
        let mut found: Vec<_> = links
            .iter()
            .filter(|(_, link)| link.session.as_ref().is_some_and(&wanted))
            .map(|(id, _)| *id)
            .collect();
        found.sort();
        found
    }

    fn end_connections(self: &Arc<Self>, ids: &[ConnectionId], reason: &EndReason) {
        for id in ids {
            if let Some(link) = held(&self.links).get_mut(id) {
                link.session = None;
            }
            self.with_hub(|hub| hub.end_sessions(now(), &SessionFilter::Connection(*id), reason));
            // A connection that never registered has nothing to say good-bye to.
            if let Some(link) = held(&self.links).get(id) {
                let _ = link.outgoing.try_send(Outgoing::Close);
            }
        }
    }

    /// The connection's task has sent most of what waited.
    pub fn drained(self: &Arc<Self>, id: ConnectionId) {
        let was = held(&self.links)
            .get_mut(&id)
            .is_some_and(|link| std::mem::take(&mut link.is_congested));
        if was {
            self.with_hub(|hub| hub.drained(now(), id));
        }
    }

    /// Calls the hub and hands out what it wants done, in order, before anybody else can call it.
    fn with_hub(self: &Arc<Self>, call: impl FnOnce(&mut Hub) -> Effects) {
        let mut hub = held(&self.hub);
        let effects = call(&mut hub);
        if !effects.is_empty() {
            for id in self.carry_out(effects) {
                hub.congested(id);
            }
        }
    }

    /// Hands out effects; gives the connections whose queue has just become long.
    fn carry_out(self: &Arc<Self>, effects: Effects) -> Vec<ConnectionId> {
        let mut links = held(&self.links);
        let mut congested = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send { to, message } => {
                    if post(&mut links, to, Outgoing::Message(message)) {
                        congested.push(to);
                    }
                }
                Effect::Close { connection } => {
                    post(&mut links, connection, Outgoing::Close);
                }
                Effect::Load { person } => {
                    let core = Arc::clone(self);
                    self.runtime.spawn_blocking(move || {
                        let roster = core.rosters.load(&person);
                        core.with_hub(|hub| hub.loaded(now(), &person, roster));
                    });
                }
                Effect::Persist { token, change } => {
                    let core = Arc::clone(self);
                    self.runtime.spawn_blocking(move || {
                        let result = core.rosters.apply(&change);
                        if let Err(error) = &result {
                            tracing::error!(%error, person = %change.person, "a contact change was not stored");
                        }
                        core.with_hub(|hub| hub.persisted(now(), token, result));
                    });
                }
            }
        }
        congested
    }
}

/// Puts something into a connection's queue; a queue that is full costs the connection. True when it
/// has just become so long that presence should be held back.
fn post(links: &mut HashMap<ConnectionId, Link>, to: ConnectionId, what: Outgoing) -> bool {
    let Some(link) = links.get_mut(&to) else {
        return false;
    };
    if let Err(mpsc::error::TrySendError::Full(_)) = link.outgoing.try_send(what) {
        tracing::warn!(
            connection = to.0,
            "a client reads too slowly and is disconnected"
        );
        // Dropping the sender ends the connection's task, which then reports the loss.
        links.remove(&to);
        return false;
    }
    let waiting = OUTGOING_MAX.saturating_sub(link.outgoing.capacity());
    let turned = waiting >= CONGESTED_AT && !link.is_congested;
    link.is_congested |= turned;
    turned
}

fn reason(fault: lanyard_fault::Fault, event: EndEvent) -> EndReason {
    let text = format!("{} ({})", fault.sentence(), fault.code());
    EndReason {
        event,
        diagnostics_id: u32::from(fault.number()),
        text,
    }
}

/// The sessions as the administration verbs see them.
#[derive(Debug, Clone)]
pub struct CoreSessions(pub Arc<SipCore>);

impl Sessions for CoreSessions {
    fn list(&self) -> Vec<SessionInfo> {
        let links = held(&self.0.links);
        let mut all: Vec<_> = links
            .values()
            .filter_map(|link| link.session.clone())
            .collect();
        all.sort_by_key(|session| session.info.since);
        all.into_iter().map(|session| session.info).collect()
    }

    fn end(&self, which: &SessionSelector, why: SessionEnd) -> usize {
        let meant = self.0.find(|session| match which {
            SessionSelector::Id(id) => session.info.id == *id,
            SessionSelector::Account(account) => session.info.account == *account,
            SessionSelector::Certificates(serials) => {
                let serial = |s: &Option<String>| s.as_ref().is_some_and(|s| serials.contains(s));
                serial(&session.info.card_serial) || serial(&session.info.chat_serial)
            }
        });
        let event = match why {
            SessionEnd::CardRevoked
            | SessionEnd::AccountDisabled
            | SessionEnd::PolicyChanged
            | SessionEnd::PasswordChanged => EndEvent::Rejected,
            SessionEnd::ByAdministrator => EndEvent::Unregistered,
        };
        self.0.end_connections(&meant, &reason(why.fault(), event));
        meant.len()
    }

    fn person_changed(&self, address: &SipAddress) {
        if let Ok(person) = PersonUri::parse(&address.uri()) {
            self.0.with_hub(|hub| hub.person_changed(now(), &person));
        }
    }
}
