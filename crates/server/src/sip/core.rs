// SPDX-License-Identifier: MIT OR Apache-2.0
//! The node's hub, the connections it speaks through, and the sessions that administrators see.

use super::outbox::{Outbox, Outgoing, Put, Waiting, outbox};
use crate::sessions::{SessionEnd, SessionInfo, SessionSelector, Sessions};
use lanyard_directory::SipAddress;
use lanyard_presence::hub::EndEvent;
use lanyard_presence::{
    ConnectionId, Effect, Effects, EndReason, Hub, Now, PersonUri, Registration, RosterStore,
    SessionFilter,
};
use lanyard_sip::Message;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// How often the hub looks at its timers.
pub const TICK_MS: u64 = 100;

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
    outgoing: Outbox,
    session: Option<LiveSession>,
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
    pub fn connect(&self) -> (ConnectionId, Waiting) {
        let id = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed));
        let (outgoing, waiting) = outbox();
        let session = None;
        held(&self.links).insert(id, Link { outgoing, session });
        (id, waiting)
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
            if let Some(link) = held(&self.links).get_mut(id) {
                let _ = link.outgoing.put(Outgoing::Close);
            }
        }
    }

    /// The connection's task has sent most of what waited.
    pub fn drained(self: &Arc<Self>, id: ConnectionId) {
        let was = held(&self.links)
            .get_mut(&id)
            .is_some_and(|link| link.outgoing.take_congested());
        if was {
            self.with_hub(|hub| hub.drained(now(), id));
        }
    }

    /// Calls the hub and hands out what it wants done, in order, before anybody else can call it.
    fn with_hub(self: &Arc<Self>, call: impl FnOnce(&mut Hub) -> Effects) {
        let mut hub = held(&self.hub);
        let mut effects = call(&mut hub);
        while !effects.is_empty() {
            let slow = self.carry_out(effects);
            for id in slow.congested {
                hub.congested(id);
            }
            effects = Effects::default();
            for id in slow.overrun {
                effects.extend(self.end_overrun(&mut hub, id));
            }
        }
    }

    /// A client that does not take what it is sent loses its session; it is told why behind what
    /// waits already.
    fn end_overrun(self: &Arc<Self>, hub: &mut Hub, id: ConnectionId) -> Effects {
        tracing::warn!(
            connection = id.0,
            "a client reads too slowly and is disconnected"
        );
        let reason = reason(
            lanyard_fault::Fault::SessionEndedSlowReader,
            EndEvent::Deactivated,
        );
        let effects = hub.end_sessions(now(), &SessionFilter::Connection(id), &reason);
        let mut links = held(&self.links);
        let Some(mut link) = links.remove(&id) else {
            return effects;
        };
        drop(links);
        // Without its link nothing else reaches it any more: its last words are put in here, and
        // when they have been taken its task ends and reports the loss.
        let mut others = Effects::default();
        for effect in effects {
            match effect {
                Effect::Send { to, message } if to == id => {
                    link.outgoing.last(Outgoing::Message(message));
                }
                Effect::Close { connection } if connection == id => {}
                other => others.add(other),
            }
        }
        link.outgoing.last(Outgoing::Close);
        others
    }

    /// Hands out effects; gives the connections whose queue has become long, or too long.
    fn carry_out(self: &Arc<Self>, effects: Effects) -> Slow {
        let mut links = held(&self.links);
        let mut slow = Slow::default();
        for effect in effects {
            match effect {
                Effect::Send { to, message } => {
                    let link = links.get_mut(&to);
                    match link.map(|link| link.outgoing.put(Outgoing::Message(message))) {
                        Some(Put::Congested) => slow.congested.push(to),
                        Some(Put::Overrun) => slow.overrun.push(to),
                        Some(Put::Waits | Put::Over) | None => {}
                    }
                }
                Effect::Close { connection } => {
                    if let Some(link) = links.get_mut(&connection) {
                        link.outgoing.put(Outgoing::Close);
                    }
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
        slow
    }
}

/// Connections that do not keep up.
#[derive(Default)]
struct Slow {
    congested: Vec<ConnectionId>,
    overrun: Vec<ConnectionId>,
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
            | SessionEnd::PasswordChanged
            | SessionEnd::PresenceMissing => EndEvent::Rejected,
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
