// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of durable data: written first, then in memory, then told.
//!
//! One change of a person is under way at a time; what comes meanwhile waits in order. When the
//! store fails, memory is as it was and the client is told so.

use std::collections::BTreeSet;

use lanyard_sip::Message;

use super::effect::{ConnectionId, Effect, Effects, Now, Token};
use super::refusal::Refusal;
use super::state::{Changed, EndpointId, Kind, LivePublication};
use super::{Halt, Hub};
use crate::limits;
use crate::model::roster::{PublicationKey, RosterChange, RosterEdit};
use crate::model::store::RosterError;
use crate::model::uri::PersonUri;
use crate::xml::contacts::ContactDelta;

/// A change that is being made durable.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) token: Token,
    pub(super) plan: Plan,
}

/// A change and what follows when it has become durable.
#[derive(Debug)]
pub(super) struct Plan {
    /// Who asked, to be answered.
    pub(super) origin: Option<Origin>,
    pub(super) edits: Vec<RosterEdit>,
    pub(super) live: Vec<LiveEdit>,
    pub(super) then: Then,
}

/// The request that a change came from.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) connection: ConnectionId,
    pub(super) endpoint: EndpointId,
    pub(super) request: Message,
}

/// A change of a publication that is not durable.
#[derive(Debug)]
pub(super) enum LiveEdit {
    Set(PublicationKey, LivePublication),
    Remove(PublicationKey),
}

/// What follows.
#[derive(Debug)]
pub(super) enum Then {
    Contacts {
        delta: ContactDelta,
        group_added: Option<u32>,
    },
    Published {
        categories: BTreeSet<String>,
    },
    ContainersSet,
    SubscribersSet,
}

/// What waits for an earlier change of the same person.
#[derive(Debug)]
pub(super) enum Work {
    Request {
        connection: ConnectionId,
        request: Message,
    },
    Watched {
        watcher: PersonUri,
    },
}

impl Hub {
    /// Takes the outcome of [`Effect::Persist`]: answers the client and tells everybody else.
    pub fn persisted(
        &mut self,
        now: Now,
        token: Token,
        outcome: Result<(), RosterError>,
    ) -> Effects {
        let mut fx = Effects::default();
        let Some(uri) = self.tokens.remove(&token) else {
            return fx;
        };
        let Some(person) = self
            .persons
            .get_mut(&uri)
            .filter(|person| person.awaits(token))
        else {
            return fx;
        };
        let Some(flight) = person.in_flight.take() else {
            return fx;
        };
        match outcome {
            Ok(()) => self.commit(now, &uri, flight.plan, &mut fx),
            Err(error) => {
                if let Some(origin) = flight.plan.origin {
                    let refusal = Refusal::Store(error);
                    self.refuse(origin.connection, &origin.request, &refusal, &mut fx);
                }
            }
        }
        self.work_off(now, &uri, &mut fx);
        self.released(now, &uri);
        fx
    }

    /// Carries out work now, or after what is under way.
    pub(super) fn work(
        &mut self,
        now: Now,
        uri: &PersonUri,
        work: Work,
        fx: &mut Effects,
    ) -> Result<(), Halt> {
        self.need(std::iter::once(uri))?;
        let Some(person) = self.persons.get_mut(uri) else {
            return Ok(());
        };
        if person.queue.len() >= limits::CHANGES_WAITING_PER_PERSON_MAX {
            return match work {
                Work::Request { .. } => Err(Refusal::Overload.into()),
                Work::Watched { .. } => Ok(()),
            };
        }
        person.queue.push_back(work);
        self.work_off(now, uri, fx);
        Ok(())
    }

    fn work_off(&mut self, now: Now, uri: &PersonUri, fx: &mut Effects) {
        loop {
            let Some(person) = self.persons.get_mut(uri) else {
                return;
            };
            if person.in_flight.is_some() {
                return;
            }
            let Some(work) = person.queue.pop_front() else {
                return;
            };
            match work {
                Work::Request {
                    connection,
                    request,
                } => {
                    // Who is gone is not waiting for an answer; nothing was promised.
                    let Some(open) = self.connections.get(&connection) else {
                        continue;
                    };
                    let endpoint = open.endpoint;
                    let origin = Origin {
                        connection,
                        endpoint,
                        request: request.clone(),
                    };
                    if let Err(refusal) = self.plan_request(now, uri, origin, fx) {
                        self.refuse(connection, &request, &refusal, fx);
                    }
                }
                Work::Watched { watcher } => self.plan_watched(now, uri, &watcher, fx),
            }
        }
    }

    /// Makes a plan durable, or carries it out at once when it changes nothing durable.
    pub(super) fn submit(&mut self, now: Now, uri: &PersonUri, plan: Plan, fx: &mut Effects) {
        if plan.edits.is_empty() {
            self.commit(now, uri, plan, fx);
            return;
        }
        let token = Token(self.ids.number());
        let change = RosterChange {
            person: uri.clone(),
            edits: plan.edits.clone(),
        };
        let Some(person) = self.persons.get_mut(uri) else {
            return;
        };
        person.in_flight = Some(InFlight { token, plan });
        self.tokens.insert(token, uri.clone());
        fx.push(Effect::Persist { token, change });
    }

    fn commit(&mut self, now: Now, uri: &PersonUri, plan: Plan, fx: &mut Effects) {
        let Some(person) = self.persons.get_mut(uri) else {
            return;
        };
        if let Some(roster) = person.roster_mut() {
            for edit in &plan.edits {
                roster.apply(edit);
            }
        }
        for edit in plan.live {
            match edit {
                // An endpoint that left while its change was under way leaves nothing behind.
                LiveEdit::Set(key, publication)
                    if person.endpoints.contains(&publication.endpoint) =>
                {
                    person.live.insert(key, publication);
                }
                LiveEdit::Set(..) => {}
                LiveEdit::Remove(key) => {
                    person.live.remove(&key);
                }
            }
        }
        let origin = plan.origin;
        match plan.then {
            Then::Contacts { delta, group_added } => {
                self.contacts_set(now, uri, origin, &delta, group_added, fx);
            }
            Then::Published { categories } => self.published(now, uri, origin, &categories, fx),
            Then::ContainersSet => {
                self.answer_empty(origin, fx);
                self.move_watchers(now, uri, fx);
                self.part_from_blocked(uri, fx);
                let mark = |changed: &mut Changed| changed.containers = true;
                self.changed_own(now, uri, mark, &[Kind::RoamingSelf], fx);
            }
            Then::SubscribersSet => {
                self.answer_empty(origin, fx);
                let mark = |changed: &mut Changed| changed.subscribers = true;
                let kinds = [Kind::RoamingSelf, Kind::WatchersPending];
                self.changed_own(now, uri, mark, &kinds, fx);
            }
        }
    }

    fn answer_empty(&mut self, origin: Option<Origin>, fx: &mut Effects) {
        if let Some(origin) = origin {
            let out = self.ok(&origin.request);
            fx.send(origin.connection, out);
        }
    }
}
