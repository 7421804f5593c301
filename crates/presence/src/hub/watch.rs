// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who watches whom: people come into a presence subscription, leave it, and move between
//! containers.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::Hub;
use super::effect::{Effects, Now};
use super::state::{Person, SubscriptionId};
use super::subscribe::Document;
use super::view::fingerprint;
use crate::limits;
use crate::model::roster::Roster;
use crate::model::uri::PersonUri;
use crate::xml::batch::{BatchAction, BatchRequest};
use crate::xml::categories::Category;
use crate::xml::{content_type, rlmi};

impl Hub {
    /// Adds people to a presence subscription or takes them away; gives the documents to begin with.
    pub(super) fn watch(
        &mut self,
        now: Now,
        id: SubscriptionId,
        batch: &BatchRequest,
        fx: &mut Effects,
    ) -> Vec<Document> {
        let filter = self.filter_of(&batch.categories);
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return Vec::new();
        };
        subscription.filter = filter;
        let watcher = subscription.person.clone();
        let mut people: Vec<(PersonUri, Option<Bytes>)> = Vec::with_capacity(batch.resources.len());
        for resource in &batch.resources {
            let uri = &resource.uri;
            if batch.action == BatchAction::Unsubscribe {
                self.unwatch(now, id, uri);
                continue;
            }
            let view = if self.known(uri) {
                self.begin_watch(now, id, uri, &watcher, fx)
            } else {
                None
            };
            people.push((uri.clone(), view));
        }
        self.presence_documents(id, people)
    }

    /// Everything again, for a renewal that names nobody.
    pub(super) fn full_presence(&mut self, now: Now, id: SubscriptionId) -> Vec<Document> {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return Vec::new();
        };
        subscription.missed.clear();
        let filter = subscription.filter;
        let mut uris: Vec<PersonUri> = subscription.resources.iter().cloned().collect();
        uris.sort_unstable();
        let mut people = Vec::with_capacity(uris.len());
        for uri in uris {
            let container = self
                .persons
                .get(&uri)
                .and_then(|p| p.watchers.get(&id))
                .copied();
            let view = container.map(|container| self.view(now, &uri, container, filter));
            people.push((uri, view));
        }
        self.presence_documents(id, people)
    }

    fn begin_watch(
        &mut self,
        now: Now,
        id: SubscriptionId,
        uri: &PersonUri,
        watcher: &PersonUri,
        fx: &mut Effects,
    ) -> Option<Bytes> {
        // What is not told yet would be told relative to what this watcher never saw.
        if self
            .persons
            .get(uri)
            .is_some_and(|person| !person.dirty.is_empty())
        {
            self.flush(now, uri, fx);
        }
        let subscription = self.subscriptions.get_mut(&id)?;
        if subscription.resources.len() >= limits::RESOURCES_PER_SUBSCRIPTION_MAX {
            return None;
        }
        subscription.resources.insert(uri.clone());
        subscription.missed.remove(uri);
        let filter = subscription.filter;
        let container = {
            let roster = self.persons.get(uri).and_then(Person::roster)?;
            if uri == watcher {
                Roster::CONTAINER_PERSONAL
            } else {
                self.container_of(roster, watcher)
            }
        };
        self.persons.get_mut(uri)?.watchers.insert(id, container);
        self.note_seen(now, uri, container);
        Some(self.view(now, uri, container, filter))
    }

    /// Remembers what the first watcher of a container was told.
    fn note_seen(&mut self, now: Now, uri: &PersonUri, container: u32) {
        let known = self
            .persons
            .get(uri)
            .is_some_and(|p| p.seen.contains_key(&container));
        if !known {
            let all = self.watched_categories(now, uri, container, None);
            let prints = all
                .iter()
                .map(|(name, list)| (name.clone(), fingerprint(list)));
            let prints = prints.collect();
            if let Some(person) = self.persons.get_mut(uri) {
                person.seen.insert(container, prints);
            }
        }
    }

    fn unwatch(&mut self, now: Now, id: SubscriptionId, uri: &PersonUri) {
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.resources.remove(uri);
            subscription.missed.remove(uri);
        }
        if let Some(person) = self.persons.get_mut(uri) {
            person.watchers.remove(&id);
        }
        self.released(now, uri);
    }

    /// Cuts a long list into parts that every client can read.
    fn presence_documents(
        &self,
        id: SubscriptionId,
        people: Vec<(PersonUri, Option<Bytes>)>,
    ) -> Vec<Document> {
        let Some(subscription) = self.subscriptions.get(&id) else {
            return Vec::new();
        };
        if subscription.single
            && let [(_, Some(view))] = people.as_slice()
        {
            return vec![(content_type::CATEGORIES.to_owned(), view.clone())];
        }
        let mut documents = Vec::new();
        let mut part: Vec<(PersonUri, Option<Bytes>)> = Vec::new();
        let mut bytes = 0_usize;
        for one in people {
            let size = one.1.as_ref().map_or(0, Bytes::len);
            let full = part.len() >= limits::RESOURCES_PER_ANSWER_MAX
                || bytes.saturating_add(size) > limits::ANSWER_BYTES_MAX;
            if full && !part.is_empty() {
                documents.push(rlmi::write_body(&subscription.person, &part));
                part.clear();
                bytes = 0;
            }
            bytes = bytes.saturating_add(size);
            part.push(one);
        }
        if !part.is_empty() || documents.is_empty() {
            documents.push(rlmi::write_body(&subscription.person, &part));
        }
        documents
    }

    /// The number of a list of categories. When too many different ones are in use, everything is
    /// sent, which is always right.
    fn filter_of(&mut self, categories: &[String]) -> u16 {
        let mut wanted = categories.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let place = match self.filters.iter().position(|known| *known == wanted) {
            Some(place) => place,
            None if self.filters.len() < limits::CATEGORY_FILTERS_MAX => {
                self.filters.push(wanted);
                self.filters.len().saturating_sub(1)
            }
            None => 0,
        };
        u16::try_from(place).unwrap_or(0)
    }

    /// Members of containers changed: whoever now sees another container is told what it shows, and
    /// that everything which it does not show is gone.
    pub(super) fn move_watchers(&mut self, now: Now, uri: &PersonUri, fx: &mut Effects) {
        let Some(person) = self.persons.get(uri) else {
            return;
        };
        let Some(roster) = person.roster() else {
            return;
        };
        let ranks = self.ranks(roster);
        let mut moved: Vec<(SubscriptionId, u32, u32)> = Vec::new();
        for (id, old) in &person.watchers {
            let Some(subscription) = self.subscriptions.get(id) else {
                continue;
            };
            let new = ranks.of(&subscription.person);
            if new != *old && subscription.person != *uri {
                moved.push((*id, *old, new));
            }
        }
        moved.sort_unstable();
        let mut told: BTreeMap<u32, BTreeMap<String, u64>> = BTreeMap::new();
        if let Some(person) = self.persons.get_mut(uri) {
            for (id, old, _) in &moved {
                let seen = || person.seen.get(old).cloned().unwrap_or_default();
                told.entry(*old).or_insert_with(seen);
                // What waits to be told is for those whose view stays.
                person.watchers.remove(id);
            }
            if !person.dirty.is_empty() {
                self.flush(now, uri, fx);
            }
        }
        for (id, old, new) in moved {
            if let Some(person) = self.persons.get_mut(uri) {
                person.watchers.insert(id, new);
            }
            self.note_seen(now, uri, new);
            let mut shown = self.watched_categories(now, uri, new, None);
            let told = told.get(&old);
            // In the order and form of any other change, so that being blocked looks like a sign-off.
            let mut names: BTreeSet<String> = shown.keys().cloned().collect();
            names.extend(told.into_iter().flat_map(BTreeMap::keys).cloned());
            let mut news: Vec<Category> = Vec::new();
            for name in names {
                let list = shown.remove(&name).unwrap_or_default();
                let before = told.and_then(|told| told.get(&name).copied());
                if before.unwrap_or_else(|| fingerprint(&[])) == fingerprint(&list) {
                    continue;
                }
                if list.is_empty() {
                    news.push(Category::cleared(&name, None));
                } else {
                    news.extend(list);
                }
            }
            if !news.is_empty() {
                self.tell_watchers(uri, vec![id], &news, fx);
            }
        }
    }
}
