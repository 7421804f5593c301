// SPDX-License-Identifier: MIT OR Apache-2.0
//! The own status: what this endpoint publishes, and what the server makes of all endpoints.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use lanyard_fault::Fault;
use lanyard_presence::PublicationKey;
use lanyard_presence::xml::categories::Categories;
use lanyard_presence::xml::content_type;
use lanyard_presence::xml::fault::Fault as WireFault;
use lanyard_presence::xml::note::Note;
use lanyard_presence::xml::publish::{ExpireType, PublishItem, PublishRequest};
use lanyard_presence::xml::roaming_self::RoamingData;
use lanyard_presence::xml::state::{State, StateKind};
use lanyard_sip::{Headers, Message};

use super::registration::diagnosed;
use super::requests::Call;
use super::{Action, Now, Purpose, Session};
use crate::problem::Problem;
use crate::view::{Availability, OwnView};

/// The container of the person's own endpoints, and the one that everybody's view is made from.
const STATE_CONTAINERS: [u32; 2] = [2, 3];
/// Containers that notes are published to.
const NOTE_CONTAINERS: [u32; 3] = [200, 300, 400];
/// The instance of the state that a person sets by hand.
const USER_STATE_INSTANCE: u32 = 0x2000_0000;
/// The instances of machines.
const MACHINE_STATE_INSTANCE: u32 = 0x3000_0000;

/// What is published and what is wanted.
#[derive(Debug, Default)]
pub(super) struct Publisher {
    pub(super) renew_at: Option<Instant>,
    versions: HashMap<(String, u32, u32), u32>,
    own: OwnView,
    /// The endpoint's own publication went out in this registration.
    machine_published: bool,
    wanted_state: Option<Option<Availability>>,
    wanted_note: Option<String>,
    in_flight: Vec<(String, u32, u32)>,
}

impl Publisher {
    pub(super) fn own(&self) -> OwnView {
        self.own.clone()
    }

    pub(super) fn want(
        &mut self,
        availability: Option<Option<Availability>>,
        note: Option<String>,
    ) {
        self.wanted_state = availability.or(self.wanted_state);
        self.wanted_note = note.or(self.wanted_note.take());
    }

    /// A new registration: the server has dropped what belonged to the endpoint.
    pub(super) fn begin(&mut self) {
        self.versions.clear();
        self.in_flight.clear();
        self.machine_published = false;
        self.renew_at = None;
    }

    /// Takes own publications; `true` when the own status changed.
    pub(super) fn read(&mut self, categories: &Categories) -> bool {
        let before = self.own.clone();
        for category in &categories.list {
            let Some(container) = category.container else {
                self.versions.retain(|(name, ..), _| *name != category.name);
                continue;
            };
            match (category.instance, category.version) {
                (Some(instance), Some(version)) => {
                    let key = (category.name.clone(), instance, container);
                    self.versions.insert(key, version);
                }
                _ => self
                    .versions
                    .retain(|(name, _, kept), _| *name != category.name || *kept != container),
            }
        }
        let aggregate = categories.state().filter(|state| state.kind.is_aggregate());
        if let Some(state) = aggregate {
            self.own.availability = Availability::from_number(state.availability);
        }
        if let Some(note) = categories.note() {
            self.own.note = note.text;
        }
        if let Some(card) = categories.contact_card()
            && !card.display_name.is_empty()
        {
            self.own.name = card.display_name;
        }
        self.own != before
    }

    fn items(&mut self, machine: u32, endpoint: &str) -> Vec<PublishItem> {
        let mut items = Vec::new();
        if !self.machine_published {
            let available = lanyard_presence::Availability::Available;
            let state = State {
                endpoint_id: Some(endpoint.to_owned()),
                device: Some("computer".to_owned()),
                ..State::new(StateKind::Machine, available)
            };
            let content: Arc<str> = state.to_xml().into();
            for container in STATE_CONTAINERS {
                let kept = ExpireType::Endpoint;
                items.push(self.item("state", machine, container, kept, Some(content.clone())));
            }
        }
        if let Some(wanted) = self.wanted_state {
            let content: Option<Arc<str>> = wanted.map(|availability| {
                let number = availability.number();
                let state = State {
                    availability: number,
                    ..State::new(StateKind::User, lanyard_presence::Availability::Available)
                };
                state.to_xml().into()
            });
            for container in STATE_CONTAINERS {
                let kept = ExpireType::Static;
                let instance = USER_STATE_INSTANCE;
                // What was never published cannot be taken back.
                if content.is_some() || self.is_published("state", instance, container) {
                    items.push(self.item("state", instance, container, kept, content.clone()));
                }
            }
        }
        if let Some(note) = &self.wanted_note {
            let text = note.clone();
            let content: Option<Arc<str>> =
                (!text.is_empty()).then(|| Note::personal(text).to_xml().into());
            for container in NOTE_CONTAINERS {
                if content.is_some() || self.is_published("note", 0, container) {
                    let kept = ExpireType::Static;
                    items.push(self.item("note", 0, container, kept, content.clone()));
                }
            }
        }
        items
    }

    fn is_published(&self, name: &str, instance: u32, container: u32) -> bool {
        self.versions
            .contains_key(&(name.to_owned(), instance, container))
    }

    fn item(
        &self,
        name: &str,
        instance: u32,
        container: u32,
        expire_type: ExpireType,
        content: Option<Arc<str>>,
    ) -> PublishItem {
        let version = self
            .versions
            .get(&(name.to_owned(), instance, container))
            .copied();
        PublishItem {
            key: PublicationKey {
                category: name.to_owned(),
                instance,
                container,
            },
            version: version.unwrap_or(0),
            expire_type,
            expires: if content.is_none() { Some(0) } else { None },
            content: content.unwrap_or_else(|| "".into()),
        }
    }
}

impl Session {
    /// Publishes whatever is wanted and not published.
    pub(super) fn publish(&mut self, now: Now, retried: bool) {
        // Before the versions are known every publication would start from a wrong one.
        if !self.is_registered() || !self.publisher.in_flight.is_empty() {
            return;
        }
        let epid_bits = u32::from_str_radix(self.me.epid.get(..8).unwrap_or_default(), 16);
        let machine = MACHINE_STATE_INSTANCE | (epid_bits.unwrap_or(0) & 0x0fff_ffff);
        let endpoint = self.me.instance.to_string();
        let items = self.publisher.items(machine, &endpoint);
        if items.is_empty() {
            return;
        }
        let key = |item: &PublishItem| {
            (
                item.key.category.clone(),
                item.key.instance,
                item.key.container,
            )
        };
        self.publisher.in_flight = items.iter().map(key).collect();
        let body = PublishRequest {
            uri: self.me.uri.clone(),
            items,
        }
        .to_xml();
        let mut call = Call::new();
        let request = self.me.service(content_type::PUBLISH, body, &mut call);
        // What is wanted meanwhile comes with the next request.
        self.send_request(now, request, Purpose::Publish { retried });
    }

    pub(super) fn publish_answered(&mut self, now: Now, answer: Option<&Message>, retried: bool) {
        let sent = std::mem::take(&mut self.publisher.in_flight);
        let Some(answer) = answer else { return };
        match answer.status().unwrap_or_default() {
            200..300 => {
                self.publisher.machine_published = true;
                self.publisher.wanted_state = None;
                self.publisher.wanted_note = None;
                if let Ok(RoamingData {
                    categories: Some(categories),
                    ..
                }) = RoamingData::parse(answer.body())
                    && self.publisher.read(&categories)
                {
                    self.actions.push(Action::Own(self.publisher.own()));
                }
            }
            409 if !retried => {
                let Ok(fault) = WireFault::parse(answer.body()) else {
                    return;
                };
                for operation in fault.operations {
                    let place = usize::try_from(operation.index).unwrap_or(0).checked_sub(1);
                    if let Some(key) = place.and_then(|place| sent.get(place)) {
                        self.publisher
                            .versions
                            .insert(key.clone(), operation.current);
                    }
                }
                self.publish(now, true);
            }
            _ => {
                let problem = diagnosed(answer).unwrap_or(Problem::new(Fault::StatusRefused));
                self.publisher.wanted_state = None;
                self.publisher.wanted_note = None;
                self.actions.push(Action::Notice(problem.to_string()));
            }
        }
    }
}
