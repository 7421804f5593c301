// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is told what, and when.
//!
//! A change is told at once when nothing was told for a while, else at the end of the coalescing
//! time. A watcher that is slow gets the newest state later instead of every state in between.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use lanyard_sip::{Method, Name, OutMessage};

use super::Hub;
use super::effect::{ConnectionId, Effects, Now};
use super::publish::published_names;
use super::state::{Changed, EndpointId, Kind, SubscriptionId};
use super::subscribe::Document;
use super::timers::Timer;
use super::view::fingerprint;
use crate::model::roster::{Roster, Subscriber};
use crate::model::uri::PersonUri;
use crate::xml::categories::{Categories, Category};
use crate::xml::contacts::ContactList;
use crate::xml::roaming_self::RoamingData;
use crate::xml::wpending::PendingWatchers;
use crate::xml::{content_type, rlmi};

impl Hub {
    /// The connection's queue of outgoing messages is full. Until [`Hub::drained`] is called, it gets
    /// answers and messages of people, but no presence.
    pub fn congested(&mut self, connection: ConnectionId) {
        if let Some(open) = self.connections.get_mut(&connection) {
            open.congested = true;
        }
    }

    /// The connection can take notifications again: it gets the newest state of what it missed.
    pub fn drained(&mut self, now: Now, connection: ConnectionId) -> Effects {
        let mut fx = Effects::default();
        let Some(open) = self.connections.get_mut(&connection) else {
            return fx;
        };
        open.congested = false;
        let endpoint = open.endpoint;
        let ids: Vec<SubscriptionId> = match self.endpoints.get(&endpoint) {
            Some(endpoint) => endpoint.subscriptions.iter().copied().collect(),
            None => Vec::new(),
        };
        for id in ids {
            self.catch_up(now, id, &mut fx);
        }
        fx
    }

    /// The directory's card of a person changed: watchers and the person's own endpoints are told.
    pub fn person_changed(&mut self, now: Now, person: &PersonUri) -> Effects {
        let mut fx = Effects::default();
        self.changed(now, person, ["contactCard"], None, &mut fx);
        fx
    }

    /// Sends what a subscription missed.
    pub(super) fn catch_up(&mut self, now: Now, id: SubscriptionId, fx: &mut Effects) {
        self.tell_own(now, id, fx);
        while self.can_tell(id) {
            let Some(subscription) = self.subscriptions.get_mut(&id) else {
                return;
            };
            let Some(uri) = subscription.missed.pop_first() else {
                return;
            };
            let (single, filter, watcher) = (
                subscription.single,
                subscription.filter,
                subscription.person.clone(),
            );
            let Some(container) = self
                .persons
                .get(&uri)
                .and_then(|p| p.watchers.get(&id))
                .copied()
            else {
                continue;
            };
            let view = self.view(now, &uri, container, filter);
            let document = if single {
                (content_type::CATEGORIES.to_owned(), view)
            } else {
                rlmi::write_body(&watcher, &[(uri, Some(view))])
            };
            self.notify(id, document, fx);
        }
    }

    /// Something of a person changed. The endpoint that changed it has been told by its answer.
    pub(super) fn changed<'a>(
        &mut self,
        now: Now,
        uri: &PersonUri,
        categories: impl IntoIterator<Item = &'a str>,
        except: Option<EndpointId>,
        fx: &mut Effects,
    ) {
        let names: BTreeSet<String> = categories.into_iter().map(str::to_owned).collect();
        let Some(person) = self.persons.get_mut(uri) else {
            return;
        };
        person.views.clear();
        if names.contains("state") {
            person.aggregates.clear();
        }
        for id in person.own.clone() {
            if let Some(own) = self.subscriptions.get_mut(&id)
                && own.kind == Kind::RoamingSelf
                && own.wanted.categories
                && Some(own.endpoint) != except
            {
                own.changed.categories.extend(names.iter().cloned());
            }
        }
        person.dirty.extend(names);
        self.flush_soon(now, uri, fx);
    }

    /// Containers or watchers of a person changed: all of the person's own endpoints are told, the
    /// one that changed it as well, because it learns the new versions so.
    pub(super) fn changed_own(
        &mut self,
        now: Now,
        uri: &PersonUri,
        mark: impl Fn(&mut Changed),
        kinds: &[Kind],
        fx: &mut Effects,
    ) {
        let Some(person) = self.persons.get(uri) else {
            return;
        };
        for id in person.own.clone() {
            if let Some(own) = self.subscriptions.get_mut(&id)
                && kinds.contains(&own.kind)
            {
                mark(&mut own.changed);
                self.tell_own(now, id, fx);
            }
        }
    }

    fn flush_soon(&mut self, now: Now, uri: &PersonUri, fx: &mut Effects) {
        let Some(person) = self.persons.get_mut(uri) else {
            return;
        };
        if person.flush_set {
            return;
        }
        let due = person
            .last_flush
            .and_then(|last| last.checked_add(self.config.coalesce));
        match due {
            Some(due) if due > now.instant => {
                person.flush_set = true;
                self.timers.set(due, Timer::Flush(uri.clone()));
            }
            _ => self.flush(now, uri, fx),
        }
    }

    /// Tells everybody who may know what changed since the last time.
    pub(super) fn flush(&mut self, now: Now, uri: &PersonUri, fx: &mut Effects) {
        let Some(person) = self.persons.get_mut(uri) else {
            return;
        };
        person.flush_set = false;
        let mut dirty = std::mem::take(&mut person.dirty);
        if dirty.contains("state") {
            // Whether anything else is shown depends on it.
            dirty.extend(published_names(person));
        }
        let own: Vec<SubscriptionId> = person.own.iter().copied().collect();
        if dirty.is_empty() && own.is_empty() {
            return;
        }
        person.last_flush = Some(now.instant);
        for id in own {
            self.tell_own(now, id, fx);
        }
        let mut by_container: BTreeMap<u32, Vec<SubscriptionId>> = BTreeMap::new();
        let Some(person) = self.persons.get_mut(uri) else {
            return;
        };
        for (id, container) in &person.watchers {
            by_container.entry(*container).or_default().push(*id);
        }
        person
            .seen
            .retain(|container, _| by_container.contains_key(container));
        for (container, watchers) in by_container {
            let news = self.news(now, uri, container, &dirty);
            if !news.is_empty() {
                self.tell_watchers(uri, watchers, &news, fx);
            }
        }
    }

    /// The changed categories that look different for the members of a container.
    fn news(
        &mut self,
        now: Now,
        uri: &PersonUri,
        container: u32,
        dirty: &BTreeSet<String>,
    ) -> Vec<Category> {
        let mut news = Vec::new();
        for (name, list) in self.watched_categories(now, uri, container, Some(dirty)) {
            let Some(person) = self.persons.get_mut(uri) else {
                break;
            };
            let print = fingerprint(&list);
            let seen = person.seen.entry(container).or_default();
            // Of a category that never was there, its absence is what was seen.
            if seen
                .insert(name.clone(), print)
                .unwrap_or_else(|| fingerprint(&[]))
                == print
            {
                continue;
            }
            if list.is_empty() {
                news.push(Category::cleared(&name, None));
            } else {
                news.extend(list);
            }
        }
        news
    }

    /// One serialisation for all watchers that see the same.
    pub(super) fn tell_watchers(
        &mut self,
        uri: &PersonUri,
        mut watchers: Vec<SubscriptionId>,
        news: &[Category],
        fx: &mut Effects,
    ) {
        let mut bodies: HashMap<u16, Option<Bytes>> = HashMap::new();
        watchers.sort_unstable();
        for id in watchers {
            let able = self.can_tell(id);
            let Some(subscription) = self.subscriptions.get_mut(&id) else {
                continue;
            };
            if !able {
                subscription.missed.insert(uri.clone());
                continue;
            }
            let filter = subscription.filter;
            let body = match bodies.get(&filter) {
                Some(body) => body.clone(),
                None => {
                    let list = self.filtered(news.iter().cloned(), filter);
                    let document = || {
                        Categories {
                            uri: uri.clone(),
                            list: list.clone(),
                        }
                        .to_xml()
                    };
                    let body = (!list.is_empty()).then(|| Bytes::from(document()));
                    bodies.insert(filter, body.clone());
                    body
                }
            };
            if let Some(body) = body {
                self.notify(id, (content_type::CATEGORIES.to_owned(), body), fx);
            }
        }
    }

    /// Whether a notification can be sent now.
    pub(super) fn can_tell(&self, id: SubscriptionId) -> bool {
        let Some(subscription) = self.subscriptions.get(&id) else {
            return false;
        };
        let open = self.connections.get(&subscription.connection);
        !subscription.unanswered && open.is_some_and(|open| !open.congested)
    }

    /// Whether the whole contact list will be sent, so that a delta has no place to start from.
    pub(super) fn list_is_due(&self, id: SubscriptionId) -> bool {
        self.subscriptions
            .get(&id)
            .is_some_and(|own| own.changed.contacts)
    }

    pub(super) fn make_list_due(&mut self, id: SubscriptionId) {
        if let Some(own) = self.subscriptions.get_mut(&id) {
            own.changed.contacts = true;
        }
    }

    /// Tells an own endpoint what changed.
    pub(super) fn tell_own(&mut self, now: Now, id: SubscriptionId, fx: &mut Effects) {
        let due = self.subscriptions.get(&id).is_some_and(|s| s.changed.any());
        if due
            && self.can_tell(id)
            && let Some(document) = self.own_changes(now, id)
        {
            self.notify(id, document, fx);
        }
    }

    /// What an own endpoint was not told yet.
    fn own_changes(&mut self, now: Now, id: SubscriptionId) -> Option<Document> {
        let subscription = self.subscriptions.get_mut(&id)?;
        let changed = std::mem::take(&mut subscription.changed);
        let uri = subscription.person.clone();
        match subscription.kind {
            Kind::RoamingSelf => {
                let names = (!changed.categories.is_empty()).then_some(&changed.categories);
                let wanted = subscription.wanted;
                let categories = names.map(|names| self.own_categories(now, &uri, Some(names)));
                let roster = self.persons.get(&uri)?.roster()?;
                let data = RoamingData {
                    categories,
                    containers: (changed.containers && wanted.containers)
                        .then(|| roster.containers.clone()),
                    subscribers: (changed.subscribers && wanted.subscribers)
                        .then(|| subscribers(roster)),
                };
                (data != RoamingData::default())
                    .then(|| (content_type::ROAMING_SELF.to_owned(), data.to_xml().into()))
            }
            _ => self.own_document(now, id),
        }
    }

    /// The whole document of an own subscription.
    pub(super) fn own_document(&mut self, now: Now, id: SubscriptionId) -> Option<Document> {
        let subscription = self.subscriptions.get_mut(&id)?;
        subscription.changed = Changed::default();
        let (kind, wanted, uri) = (
            subscription.kind,
            subscription.wanted,
            subscription.person.clone(),
        );
        let categories = (kind == Kind::RoamingSelf && wanted.categories)
            .then(|| self.own_categories(now, &uri, None));
        let roster = self.persons.get(&uri)?.roster()?;
        Some(match kind {
            Kind::RoamingContacts => (
                content_type::ROAMING_CONTACTS.to_owned(),
                ContactList::of(roster).to_xml().into(),
            ),
            Kind::RoamingSelf => {
                let data = RoamingData {
                    categories,
                    containers: wanted.containers.then(|| roster.containers.clone()),
                    subscribers: wanted.subscribers.then(|| subscribers(roster)),
                };
                (content_type::ROAMING_SELF.to_owned(), data.to_xml().into())
            }
            Kind::WatchersPending => {
                let waiting = roster.subscribers.values().filter(|s| !s.acknowledged);
                let list = waiting
                    .map(|s| (s.uri.clone(), s.display_name.clone()))
                    .collect();
                let document = PendingWatchers { list }.to_xml();
                (content_type::WPENDING.to_owned(), document.into())
            }
            Kind::Presence => return None,
        })
    }

    /// Sends one notification in a subscription's dialog.
    pub(super) fn notify(&mut self, id: SubscriptionId, document: Document, fx: &mut Effects) {
        let branch = self.ids.branch();
        let via = self.via(&branch);
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        subscription.cseq = subscription.cseq.saturating_add(1);
        let method = if subscription.benotify {
            Method::BeNotify
        } else {
            Method::Notify
        };
        subscription.unanswered = !subscription.benotify;
        let event = match subscription.kind {
            Kind::RoamingContacts => "vnd-microsoft-roaming-contacts",
            Kind::RoamingSelf => "vnd-microsoft-roaming-self",
            Kind::WatchersPending => "presence.wpending",
            Kind::Presence => "presence",
        };
        let mut out = OutMessage::request(method, &subscription.remote_target);
        out.push(Name::Via, via);
        out.push(Name::MaxForwards, 70);
        out.push(Name::From, &subscription.from);
        out.push(Name::To, &subscription.to);
        out.push(Name::CallId, &subscription.call_id);
        out.push(
            Name::CSeq,
            format_args!("{} {}", subscription.cseq, method.as_str()),
        );
        out.push(Name::Event, event);
        out.push(Name::SubscriptionState, "active");
        let (kind, body) = document;
        fx.send(subscription.connection, out.with_body(kind, body));
    }

    /// The client's answer to a NOTIFY.
    pub(super) fn notified(&mut self, now: Now, id: SubscriptionId, code: u16, fx: &mut Effects) {
        if code < 200 {
            return;
        }
        if code >= 300 {
            // RFC 6665, 4.2.2: the client knows this subscription no more.
            self.drop_subscription(now, id);
            return;
        }
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.unanswered = false;
        }
        self.catch_up(now, id, fx);
    }
}

fn subscribers(roster: &Roster) -> Vec<Subscriber> {
    roster.subscribers.values().cloned().collect()
}
