// SPDX-License-Identifier: MIT OR Apache-2.0
//! Publications: versions are checked all together, then everything is accepted or nothing.

use std::collections::{BTreeMap, BTreeSet};

use time::{Duration, OffsetDateTime};

use super::Hub;
use super::effect::{Effects, Now};
use super::persist::{LiveEdit, Origin, Plan, Then};
use super::refusal::Refusal;
use super::state::{EndpointId, LivePublication, Person};
use super::timers::Timer;
use crate::limits;
use crate::model::roster::{Publication, PublicationKey, RosterEdit};
use crate::model::uri::PersonUri;
use crate::xml::content_type;
use crate::xml::fault::{Fault, FaultOperation};
use crate::xml::publish::{ExpireType, PublishItem, PublishRequest};
use crate::xml::roaming_self::RoamingData;

impl Hub {
    pub(super) fn plan_publish(
        &mut self,
        now: Now,
        uri: &PersonUri,
        origin: Origin,
        fx: &mut Effects,
    ) -> Result<(), Refusal> {
        let request = PublishRequest::parse(origin.request.body()).map_err(Refusal::Body)?;
        if request.uri != *uri {
            return Err(Refusal::NotYours);
        }
        let person = self.persons.get(uri).ok_or(Refusal::NotRegistered)?;
        let faults = stale(person, &request.items);
        if !faults.is_empty() {
            let fault = Fault {
                code: Fault::WRONG_DELTA.to_owned(),
                operations: faults,
            };
            self.answer_fault(&origin, &fault, fx);
            return Ok(());
        }
        let categories: BTreeSet<String> = request
            .items
            .iter()
            .map(|item| item.key.category.clone())
            .collect();
        let (edits, live) = accept(person, request.items, origin.endpoint, now)?;
        let plan = Plan {
            origin: Some(origin),
            edits,
            live,
            then: Then::Published { categories },
        };
        self.submit(now, uri, plan, fx);
        Ok(())
    }

    /// Publications are in force: the publisher gets its new versions with the answer, everybody
    /// else is told.
    pub(super) fn published(
        &mut self,
        now: Now,
        uri: &PersonUri,
        origin: Option<Origin>,
        categories: &BTreeSet<String>,
        fx: &mut Effects,
    ) {
        let except = origin.as_ref().map(|origin| origin.endpoint);
        if let Some(person) = self.persons.get_mut(uri) {
            // The answer shows the aggregate that results.
            person.aggregates.clear();
        }
        if let Some(origin) = origin {
            let own = self.own_categories(now, uri, Some(categories));
            let data = RoamingData {
                categories: Some(own),
                ..RoamingData::default()
            };
            let out = self.ok(&origin.request);
            let out = out.with_body(content_type::ROAMING_SELF, data.to_xml());
            fx.send(origin.connection, out);
        }
        self.changed(now, uri, categories.iter().map(String::as_str), except, fx);
        self.watch_clock(now, uri);
    }

    /// An endpoint is gone, and with it what was bound to it.
    pub(super) fn unpublish_endpoint(
        &mut self,
        now: Now,
        uri: &PersonUri,
        id: EndpointId,
        fx: &mut Effects,
    ) {
        let Some(person) = self.persons.get_mut(uri) else {
            return;
        };
        let last = person.endpoints.is_empty();
        // Whether somebody is signed in counts for the state.
        let mut categories = BTreeSet::from(["state".to_owned()]);
        person.live.retain(|key, publication| {
            let ends = match publication.expire_type {
                ExpireType::Endpoint => publication.endpoint == id || last,
                _ => last,
            };
            if ends {
                categories.insert(key.category.clone());
            }
            !ends
        });
        self.changed(now, uri, categories.iter().map(String::as_str), None, fx);
    }

    /// Something of a person begins or ends by the clock.
    pub(super) fn clock_due(&mut self, now: Now, uri: &PersonUri, fx: &mut Effects) {
        let Some(person) = self.persons.get_mut(uri) else {
            return;
        };
        if person.clock_at.is_some_and(|at| at <= now.instant) {
            person.clock_at = None;
        }
        let mut categories = BTreeSet::from(["state".to_owned()]);
        if let Some(roster) = person.roster_mut() {
            roster.publications.retain(|key, publication| {
                let ended = publication.expires_at.is_some_and(|at| at <= now.utc);
                if ended {
                    categories.insert(key.category.clone());
                }
                !ended
            });
        }
        self.changed(now, uri, categories.iter().map(String::as_str), None, fx);
        self.watch_clock(now, uri);
    }

    /// Sets a timer for the next publication that ends.
    fn watch_clock(&mut self, now: Now, uri: &PersonUri) {
        let Some(roster) = self.persons.get(uri).and_then(Person::roster) else {
            return;
        };
        let next = roster
            .publications
            .values()
            .filter_map(|p| p.expires_at)
            .min();
        if let Some(next) = next {
            self.set_clock(now, uri, next);
        }
    }

    /// Sets a timer unless an earlier one is set.
    pub(super) fn set_clock(&mut self, now: Now, uri: &PersonUri, next: OffsetDateTime) {
        #[allow(
            clippy::arithmetic_side_effects,
            reason = "the difference of two times always fits into a duration"
        )]
        let Ok(wait) = std::time::Duration::try_from(next - now.utc) else {
            return;
        };
        let Some(at) = now.instant.checked_add(wait) else {
            return;
        };
        let Some(person) = self.persons.get_mut(uri) else {
            return;
        };
        if person.clock_at.is_none_or(|set| at < set) {
            person.clock_at = Some(at);
            self.timers.set(at, Timer::Clock(uri.clone()));
        }
    }
}

/// The version of an instance as it is now; 0 when there is none.
fn version(person: &Person, key: &PublicationKey) -> u32 {
    let durable = || person.roster()?.publications.get(key).map(|p| p.version);
    person
        .live
        .get(key)
        .map(|p| p.version)
        .or_else(durable)
        .unwrap_or(0)
}

/// The items that start from another version than the current one. The same instance twice in one
/// request starts from an old version the second time.
fn stale(person: &Person, items: &[PublishItem]) -> Vec<FaultOperation> {
    let mut current: BTreeMap<&PublicationKey, u32> = BTreeMap::new();
    let mut faults = Vec::new();
    for (index, item) in (1_u32..).zip(items) {
        let now = current
            .entry(&item.key)
            .or_insert_with(|| version(person, &item.key));
        if item.version == *now {
            *now = if item.expires == Some(0) {
                0
            } else {
                now.saturating_add(1)
            };
        } else {
            faults.push(FaultOperation {
                index,
                version: Some(item.version),
                current: *now,
            });
        }
    }
    faults
}

/// The categories that a person has published something in.
pub(super) fn published_names(person: &Person) -> BTreeSet<String> {
    let roster = person.roster().into_iter();
    let durable = roster.flat_map(|roster| roster.publications.keys());
    let all = durable.chain(person.live.keys());
    all.map(|key| key.category.clone()).collect()
}

/// The contents of everything that a person has published.
fn published_bytes(person: &Person) -> usize {
    let durable = person.roster().into_iter();
    let durable = durable.flat_map(|roster| roster.publications.values());
    let durable = durable.map(|p| p.content.len());
    let live = person.live.values().map(|p| p.content.len());
    durable.chain(live).fold(0, usize::saturating_add)
}

/// Splits accepted items into what is durable and what lives with an endpoint.
fn accept(
    person: &Person,
    items: Vec<PublishItem>,
    endpoint: EndpointId,
    now: Now,
) -> Result<(Vec<RosterEdit>, Vec<LiveEdit>), Refusal> {
    let mut edits = Vec::new();
    let mut live = Vec::new();
    let durable = person.roster().map(|roster| &roster.publications);
    let stored = durable.map_or(0, BTreeMap::len);
    let mut count = stored.saturating_add(person.live.len());
    let mut bytes = published_bytes(person);
    for item in items {
        let old_live = person.live.get(&item.key).map(|p| p.content.len());
        let old_durable = durable.and_then(|list| Some(list.get(&item.key)?.content.len()));
        let (is_live, is_durable) = (old_live.is_some(), old_durable.is_some());
        bytes = bytes.saturating_sub(old_live.or(old_durable).unwrap_or(0));
        let takes_back = item.expires == Some(0);
        let to_store = matches!(item.expire_type, ExpireType::Static | ExpireType::Time);
        // An instance that changes its kind must not stay in both places.
        if is_live && (takes_back || to_store) {
            live.push(LiveEdit::Remove(item.key.clone()));
        }
        if is_durable && (takes_back || !to_store) {
            edits.push(RosterEdit::DeletePublication(item.key.clone()));
        }
        if takes_back {
            continue;
        }
        if !is_live && !is_durable {
            count = count.saturating_add(1);
        }
        if count > limits::PUBLICATIONS_PER_PERSON_MAX {
            return Err(Refusal::Limit("publications of one person"));
        }
        bytes = bytes.saturating_add(item.content.len());
        if bytes > limits::PUBLISHED_BYTES_PER_PERSON_MAX {
            return Err(Refusal::Limit("size of all publications of one person"));
        }
        let version = item.version.saturating_add(1);
        if to_store {
            let seconds = item
                .expires
                .filter(|_| item.expire_type == ExpireType::Time);
            edits.push(RosterEdit::SetPublication(Publication {
                key: item.key,
                version,
                expire_type: item.expire_type.word().to_owned(),
                publish_time: now.utc,
                expires_at: seconds.map(|s| now.utc.saturating_add(Duration::seconds(s.into()))),
                content: item.content,
            }));
        } else {
            let publication = LivePublication {
                version,
                expire_type: item.expire_type,
                publish_time: now.utc,
                content: item.content,
                endpoint,
            };
            live.push(LiveEdit::Set(item.key, publication));
        }
    }
    Ok((edits, live))
}
