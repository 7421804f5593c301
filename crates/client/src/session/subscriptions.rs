// SPDX-License-Identifier: MIT OR Apache-2.0
//! Subscriptions to the own data and to the presence of contacts, and what comes out of them.

use std::time::{Duration, Instant};

use lanyard_presence::xml::batch::{BatchAction, BatchRequest, BatchResource};
use lanyard_presence::xml::contacts::ContactsDocument;
use lanyard_presence::xml::containers::{ContainerChange, MemberChange, SetContainerMembers};
use lanyard_presence::xml::content_type;
use lanyard_presence::xml::provisioning::{CARD_POLICY, Provisioning};
use lanyard_presence::xml::rlmi::PresenceUpdate;
use lanyard_presence::xml::roaming_self::{RoamingData, RoamingWanted};
use lanyard_presence::xml::subscribers::SetSubscribers;
use lanyard_presence::xml::wpending::PendingWatchers;
use lanyard_presence::{MemberKind, PersonUri};
use lanyard_sip::{Headers, Message, Method, Name};

use super::requests::Call;
use super::{Action, Now, Purpose, Session};

/// Event packages.
const CONTACTS: &str = "vnd-microsoft-roaming-contacts";
const PROVISIONING: &str = "vnd-microsoft-provisioning-v2";
const SELF: &str = "vnd-microsoft-roaming-self";
const PRESENCE: &str = "presence";
/// Subscriptions are renewed so long before their end, in seconds.
const RENEW_AHEAD_SECS: u64 = 120;
/// What is watched of a contact.
const WATCHED: [&str; 3] = ["state", "note", "contactCard"];
/// What is asked of the provisioning service.
const PROVISIONED: [&str; 3] = ["ServerConfiguration", "ucPolicy", CARD_POLICY];
/// People in one presence subscription.
const WATCHED_AT_ONCE_MAX: usize = 500;

impl Session {
    /// Subscribes to whatever this server offers.
    pub(super) fn subscribe_all(&mut self, now: Now, answer: &Message) {
        let events: Vec<String> = answer
            .tokens(Name::AllowEvents)
            .map(str::to_ascii_lowercase)
            .collect();
        let offers = |package: &str| events.iter().any(|event| event == package);
        self.roster.offered = offers(CONTACTS);
        if offers(CONTACTS) {
            self.subscribe_contacts(now);
        }
        if offers(PROVISIONING) {
            self.roster.provisions = true;
            self.ask_policy(now);
        }
        if offers(SELF) {
            self.subscribe_self(now);
        }
    }

    /// Asks what the server provisions: addresses of services, and policy. One answer, no subscription.
    pub fn ask_policy(&mut self, now: Now) {
        if !self.roster.provisions {
            return;
        }
        let mut call = Call::new();
        let request = self
            .me
            .subscribe(PROVISIONING, content_type::PROVISIONING, &mut call)
            .with(Name::Expires, 0)
            .with_body(
                content_type::PROVISIONING,
                Provisioning::request(&PROVISIONED),
            );
        self.send_request(now, request, Purpose::Provisioning);
    }

    pub(super) fn subscribe_contacts(&mut self, now: Now) {
        let mut call = Call::new();
        let request = self
            .me
            .subscribe(CONTACTS, content_type::ROAMING_CONTACTS, &mut call);
        self.roster.renew_at = None;
        self.send_request(now, request, Purpose::SubscribeContacts);
    }

    fn subscribe_self(&mut self, now: Now) {
        let mut call = Call::new();
        let request = self
            .me
            .subscribe(SELF, content_type::ROAMING_SELF, &mut call)
            .with_body(content_type::ROAMING_SELF, RoamingWanted::ALL.to_xml());
        self.publisher.renew_at = None;
        self.send_request(now, request, Purpose::SubscribeSelf);
    }

    pub(super) fn subscriptions_tick(&mut self, now: Now) {
        if !self.is_registered() {
            return;
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now.at);
        if due(self.roster.renew_at) {
            self.subscribe_contacts(now);
        }
        if due(self.publisher.renew_at) {
            self.subscribe_self(now);
        }
        if due(self.roster.presence_renew_at) {
            self.roster.presence_renew_at = None;
            self.watch(now, self.roster.watched(), false);
        }
    }

    pub(super) fn contacts_answered(&mut self, now: Now, answer: Option<&Message>) {
        let Some(answer) = accepted(answer) else {
            return;
        };
        self.roster.renew_at = renewal(now, answer);
        self.contacts_document(now, answer.body(), true);
    }

    pub(super) fn self_answered(&mut self, now: Now, answer: Option<&Message>) {
        let Some(answer) = accepted(answer) else {
            return;
        };
        self.publisher.renew_at = renewal(now, answer);
        self.self_document(now, answer.body());
        // The first publication makes this endpoint count; it needs the versions just read.
        self.publish(now, false);
    }

    pub(super) fn presence_answered(&mut self, now: Now, answer: Option<&Message>) {
        let Some(answer) = accepted(answer) else {
            return;
        };
        if let Some(at) = renewal(now, answer) {
            let next = self
                .roster
                .presence_renew_at
                .map_or(at, |known| known.min(at));
            self.roster.presence_renew_at = Some(next);
        }
        self.presence_document(now, answer);
    }

    /// A notification inside a subscription.
    pub(super) fn notified(&mut self, now: Now, package: &str, message: &Message) {
        match package {
            CONTACTS => self.contacts_document(now, message.body(), false),
            SELF => self.self_document(now, message.body()),
            PRESENCE => self.presence_document(now, message),
            "presence.wpending" => self.watchers_document(message.body()),
            _ => {}
        }
    }

    fn contacts_document(&mut self, now: Now, body: &[u8], anew: bool) {
        if body.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let document = match ContactsDocument::parse(body) {
            Ok(document) => document,
            Err(error) => return tracing::warn!(%error, "a contact document was not understood"),
        };
        let fresh = match document {
            ContactsDocument::List(list) => self.roster.replace(list, anew),
            ContactsDocument::Delta(delta) => self.roster.apply(delta),
        };
        self.actions.push(Action::Contacts(self.roster.views()));
        self.watch(now, fresh, true);
    }

    /// Watches these people; `added` tells the server that they are new in the list.
    pub(super) fn watch(&mut self, now: Now, people: Vec<PersonUri>, added: bool) {
        for some in people.chunks(WATCHED_AT_ONCE_MAX) {
            let resources = some.iter();
            let resources = resources
                .map(|uri| BatchResource {
                    uri: uri.clone(),
                    newly_added: added,
                })
                .collect();
            let batch = BatchRequest {
                uri: self.me.uri.clone(),
                action: BatchAction::Subscribe,
                resources,
                categories: WATCHED.map(str::to_owned).to_vec(),
            };
            let accept = [
                content_type::CATEGORIES,
                content_type::RLMI,
                "multipart/related",
            ];
            let mut call = Call::new();
            let request = self
                .me
                .own_request(Method::Subscribe, &mut call)
                .with(Name::Event, PRESENCE)
                .with(Name::Accept, accept.join(", "))
                .with(Name::Require, "adhoclist, categoryList")
                .with(Name::Supported, "eventlist")
                .with(Name::Supported, "com.microsoft.autoextend")
                .with(Name::Supported, "ms-benotify")
                .with(Name::ProxyRequire, "ms-benotify")
                .with(Name::Supported, "ms-piggyback-first-notify")
                .with(Name::Contact, format!("<{}>", self.me.contact))
                .with_body(content_type::BATCH, batch.to_xml());
            self.send_request(now, request, Purpose::SubscribePresence);
        }
    }

    fn self_document(&mut self, now: Now, body: &[u8]) {
        if body.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let data = match RoamingData::parse(body) {
            Ok(data) => data,
            Err(error) => return tracing::warn!(%error, "own data was not understood"),
        };
        if let Some(containers) = &data.containers {
            self.access.replace(containers.clone());
            self.levels_changed();
            let kinds = || containers.values().flat_map(|container| &container.members);
            let has = |kind: MemberKind| kinds().any(|member| member.kind == kind);
            if !has(MemberKind::SameEnterprise) && !has(MemberKind::Federated) {
                let version = |id: u32| containers.get(&id).map_or(0, |known| known.version);
                self.admit_colleagues(now, version(lanyard_presence::Roster::CONTAINER_COLLEAGUES));
            }
        }
        for (person, name) in data.subscribers.iter().flatten().filter_map(unacknowledged) {
            self.added_by(now, person, name);
        }
        if let Some(categories) = data.categories {
            if self.publisher.read(&categories) {
                self.me.name = self.publisher.own().name;
                self.actions.push(Action::Own(self.publisher.own()));
            }
            self.card_document(&categories);
        }
    }

    fn watchers_document(&mut self, body: &[u8]) {
        let Ok(watchers) = PendingWatchers::parse(body) else {
            return;
        };
        for (person, name) in watchers.list {
            self.notice_added(&person, &name);
        }
    }

    fn added_by(&mut self, now: Now, person: PersonUri, name: String) {
        self.notice_added(&person, &name);
        let body = SetSubscribers {
            list: vec![(person, true)],
        }
        .to_xml();
        let mut call = Call::new();
        let request = self
            .me
            .service(content_type::SET_SUBSCRIBER, body, &mut call);
        self.send_request(now, request, Purpose::Containers);
    }

    fn notice_added(&mut self, person: &PersonUri, name: &str) {
        let name = if name.is_empty() {
            person.address()
        } else {
            name
        };
        let text = format!("{name} has added you to the contact list.");
        self.actions.push(Action::Notice(text));
    }

    /// Colleagues of the same organisation see the presence, as every client of this family sets it once.
    fn admit_colleagues(&mut self, now: Now, version: u32) {
        let member = lanyard_presence::Member {
            kind: MemberKind::SameEnterprise,
            value: String::new(),
        };
        let change = ContainerChange {
            id: lanyard_presence::Roster::CONTAINER_COLLEAGUES,
            version,
            members: vec![MemberChange { add: true, member }],
        };
        let body = SetContainerMembers {
            containers: vec![change],
        }
        .to_xml();
        let mut call = Call::new();
        let request = self
            .me
            .service(content_type::SET_CONTAINER_MEMBERS, body, &mut call);
        self.send_request(now, request, Purpose::Containers);
    }

    fn presence_document(&mut self, now: Now, message: &Message) {
        let Some(media) = message.content_type() else {
            return;
        };
        let update = match PresenceUpdate::parse(&media, message.body()) {
            Ok(update) => update,
            Err(error) => return tracing::warn!(%error, "presence was not understood"),
        };
        for document in &update.documents {
            self.card_document(document);
            if let Some(view) = self.roster.presence(document) {
                self.actions.push(Action::Contact(view));
            }
        }
        for person in &update.unknown {
            if let Some(view) = self.roster.unknown(person) {
                self.actions.push(Action::Contact(view));
            }
        }
        if !update.resubscribe.is_empty() {
            self.watch(now, update.resubscribe, false);
        }
    }
}

fn accepted(answer: Option<&Message>) -> Option<&Message> {
    answer.filter(|answer| matches!(answer.status(), Some(200..300)))
}

fn renewal(now: Now, answer: &Message) -> Option<Instant> {
    let secs = u64::from(answer.expires_secs().filter(|secs| *secs > 0)?);
    let ahead = RENEW_AHEAD_SECS.min(secs / 2);
    Some(now.at + Duration::from_secs(secs.saturating_sub(ahead).max(1)))
}

fn unacknowledged(subscriber: &lanyard_presence::Subscriber) -> Option<(PersonUri, String)> {
    let known = subscriber.acknowledged;
    (!known).then(|| (subscriber.uri.clone(), subscriber.display_name.clone()))
}
