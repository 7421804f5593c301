// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a watcher may see of a person, and what the person's own endpoints see.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use time::OffsetDateTime;

use super::aggregate::{aggregate, next_change};
use super::state::{Person, RosterState};
use super::{Hub, Now};
use crate::model::availability::Availability;
use crate::model::roster::{MemberKind, Roster};
use crate::model::uri::PersonUri;
use crate::xml::categories::{Categories, Category};
use crate::xml::contact_card::ContactCard;
use crate::xml::node::Element;
use crate::xml::state::{State, StateKind};

/// Input of the aggregate for everybody but the team; the person's own endpoints see it as well.
const INPUT_ALL: u32 = 2;
/// Input of the aggregate for the team.
const INPUT_TEAM: u32 = 3;
/// The instance of the aggregate, which no client publishes.
const AGGREGATE_INSTANCE: u32 = 1;

const STATE: &str = "state";
const CARD: &str = "contactCard";

/// Who is in which container, by the kinds of members.
#[derive(Debug, Default)]
pub(super) struct Ranks<'a> {
    own_domains: &'a [String],
    users: HashMap<&'a str, u32>,
    domains: HashMap<&'a str, u32>,
    same_enterprise: Option<u32>,
    federated: Option<u32>,
    everyone: Option<u32>,
}

impl Ranks<'_> {
    /// The most special membership counts. Somebody who is in none sees what the default container
    /// holds.
    pub(super) fn of(&self, watcher: &PersonUri) -> u32 {
        let is_own = self.own_domains.iter().any(|d| d == watcher.domain());
        let kin = if is_own {
            self.same_enterprise
        } else {
            self.federated
        };
        let by_name = self.users.get(watcher.address()).copied();
        by_name
            .or_else(|| self.domains.get(watcher.domain()).copied())
            .or(kin)
            .or(self.everyone)
            .unwrap_or(0)
    }
}

impl Hub {
    /// The container that decides what a watcher sees: the most special membership counts, then the
    /// highest number. Somebody who is in none sees what the default container holds.
    pub(super) fn container_of(&self, roster: &Roster, watcher: &PersonUri) -> u32 {
        let same = self
            .config
            .domains
            .iter()
            .any(|domain| domain == watcher.domain());
        for kind in MemberKind::ALL {
            let is_member = |value: &str| match kind {
                MemberKind::User => value == watcher.address(),
                MemberKind::Domain => value == watcher.domain(),
                MemberKind::SameEnterprise => same,
                MemberKind::Federated => !same,
                MemberKind::PublicCloud => false,
                MemberKind::Everyone => true,
            };
            let found = roster.containers.iter().rev().find(|(_, container)| {
                container
                    .members
                    .iter()
                    .any(|m| m.kind == kind && is_member(&m.value))
            });
            if let Some((id, _)) = found {
                return *id;
            }
        }
        0
    }

    /// The same for many watchers: the members of all containers, each looked at once.
    pub(super) fn ranks<'a>(&'a self, roster: &'a Roster) -> Ranks<'a> {
        let mut ranks = Ranks {
            own_domains: &self.config.domains,
            ..Ranks::default()
        };
        // In the order of their numbers: the highest stays.
        for (id, container) in &roster.containers {
            for member in &container.members {
                let value = member.value.as_str();
                match member.kind {
                    MemberKind::User => {
                        ranks.users.insert(value, *id);
                    }
                    MemberKind::Domain => {
                        ranks.domains.insert(value, *id);
                    }
                    MemberKind::SameEnterprise => ranks.same_enterprise = Some(*id),
                    MemberKind::Federated => ranks.federated = Some(*id),
                    MemberKind::Everyone => ranks.everyone = Some(*id),
                    MemberKind::PublicCloud => {}
                }
            }
        }
        ranks
    }

    /// Whether this person has put that one into the blocked container. Rosters that are not loaded
    /// block nobody; callers load them first.
    pub(super) fn blocks(&self, person: &PersonUri, other: &PersonUri) -> bool {
        let roster = self.persons.get(person).and_then(Person::roster);
        roster.is_some_and(|r| self.container_of(r, other) == Roster::CONTAINER_BLOCKED)
    }

    /// The whole view of one container as a shared document.
    pub(super) fn view(&mut self, now: Now, uri: &PersonUri, container: u32, filter: u16) -> Bytes {
        let cached = self
            .persons
            .get(uri)
            .and_then(|p| p.views.get(&(container, filter)));
        if let Some(bytes) = cached {
            return bytes.clone();
        }
        let list = self.watched_categories(now, uri, container, None);
        let list = list.into_values().flatten();
        let list = self.filtered(list, filter);
        let bytes = Bytes::from(
            Categories {
                uri: uri.clone(),
                list,
            }
            .to_xml(),
        );
        if let Some(person) = self.persons.get_mut(uri) {
            person.views.insert((container, filter), bytes.clone());
        }
        bytes
    }

    /// Drops the categories that a filter does not ask for.
    pub(super) fn filtered(
        &self,
        list: impl Iterator<Item = Category>,
        filter: u16,
    ) -> Vec<Category> {
        let wanted = self
            .filters
            .get(usize::from(filter))
            .filter(|names| !names.is_empty());
        list.filter(|c| wanted.is_none_or(|names| names.contains(&c.name)))
            .collect()
    }

    /// What a container shows, by category; `only` restricts it to some categories, which then are
    /// all there, empty ones as well.
    pub(super) fn watched_categories(
        &mut self,
        now: Now,
        uri: &PersonUri,
        container: u32,
        only: Option<&BTreeSet<String>>,
    ) -> BTreeMap<String, Vec<Category>> {
        let mut result: BTreeMap<String, Vec<Category>> = BTreeMap::new();
        if let Some(only) = only {
            result.extend(only.iter().map(|name| (name.clone(), Vec::new())));
        }
        let wants = |name: &str| only.is_none_or(|only| only.contains(name));
        let (state, time) = self.state_for(now, uri, container);
        // Who is blocked sees what everybody sees of somebody who is not there, or who wants to look
        // so: a state and the directory's card. A note that stayed would tell the one from the other.
        let blocked = container == Roster::CONTAINER_BLOCKED;
        let absent = state == State::new(StateKind::Aggregate, Availability::Offline);
        if let Some(person) = self.persons.get(uri).filter(|_| !blocked && !absent) {
            for (name, category) in published(person, container) {
                if name != STATE && wants(name) {
                    result.entry(name.to_owned()).or_default().push(category);
                }
            }
        }
        if wants(STATE) {
            let category = plain(STATE, AGGREGATE_INSTANCE, time, state.to_xml().into());
            result.insert(STATE.to_owned(), vec![category]);
        }
        if wants(CARD)
            && let Some(card) = self.people.person(uri)
        {
            // Last, so that the directory's name wins over one that a client published.
            let content = ContactCard::from(&card).to_xml();
            let category = plain(CARD, 0, self.started, content.into());
            result.entry(CARD.to_owned()).or_default().push(category);
        }
        result
    }

    /// The state that members of a container see.
    fn state_for(&mut self, now: Now, uri: &PersonUri, container: u32) -> (State, OffsetDateTime) {
        let offline = State::new(StateKind::Aggregate, Availability::Offline);
        if container == Roster::CONTAINER_BLOCKED {
            return (offline, self.started);
        }
        let input = if container == Roster::CONTAINER_TEAM {
            INPUT_TEAM
        } else {
            INPUT_ALL
        };
        let mut state = self.aggregate_of(now, uri, input);
        if container <= Roster::CONTAINER_PUBLIC {
            state = State {
                activity: None,
                last_active: None,
                device: None,
                ..state
            };
        }
        // When somebody left is nobody's business, and would tell leaving from blocking.
        let time = if state == offline {
            self.started
        } else {
            now.utc
        };
        (state, time)
    }

    fn aggregate_of(&mut self, now: Now, uri: &PersonUri, input: u32) -> State {
        let Some(person) = self.persons.get_mut(uri) else {
            return State::new(StateKind::Aggregate, Availability::Offline);
        };
        if let Some(state) = person.aggregates.get(&input) {
            return state.clone();
        }
        let states: Vec<(State, OffsetDateTime)> = published(person, input)
            .filter(|(name, _)| *name == STATE)
            .filter_map(|(_, category)| {
                let element = Element::parse(category.content.as_bytes()).ok()?;
                Some((State::read(&element).ok()?, category.publish_time?))
            })
            .collect();
        let state = aggregate(!person.endpoints.is_empty(), &states, now.utc);
        person.aggregates.insert(input, state.clone());
        let next = next_change(&states, now.utc);
        if let Some(next) = next {
            self.set_clock(now, uri, next);
        }
        state
    }

    /// Everything that the person's own endpoints see of these categories, or of all.
    pub(super) fn own_categories(
        &mut self,
        now: Now,
        uri: &PersonUri,
        only: Option<&BTreeSet<String>>,
    ) -> Categories {
        let wants = |name: &str| only.is_none_or(|only| only.contains(name));
        let mut list: Vec<Category> = Vec::new();
        if let Some(person) = self.persons.get(uri) {
            list.extend(own_published(person).filter(|category| wants(&category.name)));
        }
        if wants(STATE) {
            let state = self.aggregate_of(now, uri, INPUT_ALL);
            let version = self.persons.get_mut(uri).map_or(0, |person| {
                if person.shown.as_ref() != Some(&state) {
                    person.shown = Some(state.clone());
                    person.aggregate_version = person.aggregate_version.saturating_add(1);
                }
                person.aggregate_version
            });
            list.push(Category {
                version: Some(version),
                container: Some(INPUT_ALL),
                expire_type: Some("user".to_owned()),
                ..plain(STATE, AGGREGATE_INSTANCE, now.utc, state.to_xml().into())
            });
        }
        if wants(CARD)
            && let Some(card) = self.people.person(uri)
        {
            list.push(Category {
                version: Some(1),
                container: Some(0),
                expire_type: Some("static".to_owned()),
                ..plain(
                    CARD,
                    0,
                    self.started,
                    ContactCard::from(&card).to_xml().into(),
                )
            });
        }
        for name in only.into_iter().flatten() {
            if !list.iter().any(|category| category.name == *name) {
                list.push(Category::cleared(name, None));
            }
        }
        Categories {
            uri: uri.clone(),
            list,
        }
    }
}

/// What tells whether a watcher must be told: content, not times and versions.
pub(super) fn fingerprint(list: &[Category]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for category in list {
        (category.instance, &category.content).hash(&mut hasher);
    }
    hasher.finish()
}

fn plain(name: &str, instance: u32, time: OffsetDateTime, content: Arc<str>) -> Category {
    Category {
        instance: Some(instance),
        publish_time: Some(time),
        content,
        ..Category::cleared(name, None)
    }
}

/// What a person published into a container, as watchers get it.
fn published(person: &Person, container: u32) -> impl Iterator<Item = (&str, Category)> {
    let durable = match &person.roster {
        RosterState::Ready(roster) => Some(roster.publications.values()),
        RosterState::Absent | RosterState::Loading => None,
    };
    let durable = durable
        .into_iter()
        .flatten()
        .map(|p| (&p.key, p.publish_time, &p.content));
    let live = person
        .live
        .iter()
        .map(|(key, p)| (key, p.publish_time, &p.content));
    durable
        .chain(live)
        .filter(move |(key, ..)| key.container == container)
        .map(|(key, time, content)| {
            let category = plain(&key.category, key.instance, time, Arc::clone(content));
            (key.category.as_str(), category)
        })
}

/// What a person published, as the person's own endpoints get it.
fn own_published(person: &Person) -> impl Iterator<Item = Category> {
    let durable = person
        .roster()
        .into_iter()
        .flat_map(|roster| roster.publications.values());
    let durable = durable.map(|p| Category {
        container: Some(p.key.container),
        version: Some(p.version),
        expire_type: Some(p.expire_type.clone()),
        ..plain(
            &p.key.category,
            p.key.instance,
            p.publish_time,
            Arc::clone(&p.content),
        )
    });
    let live = person.live.iter().map(|(key, p)| Category {
        container: Some(key.container),
        version: Some(p.version),
        expire_type: Some(p.expire_type.word().to_owned()),
        ..plain(
            &key.category,
            key.instance,
            p.publish_time,
            Arc::clone(&p.content),
        )
    });
    durable.chain(live)
}
