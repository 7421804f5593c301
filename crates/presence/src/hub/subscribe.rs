// SPDX-License-Identifier: MIT OR Apache-2.0
//! Subscriptions: own data, presence of others, renewal and end.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanyard_sip::{Envelope, Headers, Message, Name, OutMessage, SipUri};

use super::effect::{ConnectionId, Effects, Now};
use super::refusal::Refusal;
use super::state::{Changed, Kind, Subscription, SubscriptionId};
use super::timers::Timer;
use super::{Halt, Hub, names, person_of};
use crate::limits;
use crate::model::uri::PersonUri;
use crate::xml::batch::{BatchAction, BatchRequest};
use crate::xml::content_type;
use crate::xml::provisioning::Provisioning;
use crate::xml::roaming_self::RoamingWanted;

/// No spaces: clients split at commas and do not trim.
pub(super) const ALLOW_EVENTS: &str = "vnd-microsoft-provisioning,vnd-microsoft-roaming-contacts,\
vnd-microsoft-roaming-ACL,presence,presence.wpending,vnd-microsoft-roaming-self,\
vnd-microsoft-provisioning-v2";

/// A body and its type.
pub(super) type Document = (String, Bytes);

impl Hub {
    pub(super) fn subscribe(
        &mut self,
        now: Now,
        connection: ConnectionId,
        message: &Message,
        envelope: &Envelope<'_>,
        fx: &mut Effects,
    ) -> Result<(), Halt> {
        if let Some(tag) = envelope.to.tag() {
            return self.resubscribe(now, connection, message, envelope, tag, fx);
        }
        let event = message.event().ok_or(Refusal::Event)?;
        let own = self
            .connections
            .get(&connection)
            .ok_or(Refusal::NotRegistered)?
            .person
            .clone();
        let kind = match event.package.to_ascii_lowercase().as_str() {
            "vnd-microsoft-roaming-contacts" => Kind::RoamingContacts,
            "vnd-microsoft-roaming-self" => Kind::RoamingSelf,
            "presence.wpending" => Kind::WatchersPending,
            "presence" => Kind::Presence,
            "vnd-microsoft-provisioning-v2" => {
                if !names(&envelope.to, &own) {
                    return Err(Refusal::NotYours.into());
                }
                return self.provision(connection, &own, message, fx);
            }
            _ => return Err(Refusal::Event.into()),
        };
        if kind != Kind::Presence && !names(&envelope.to, &own) {
            return Err(Refusal::NotYours.into());
        }
        self.need(std::iter::once(&own))?;
        let batch = self.presence_wish(kind, &own, message, envelope)?;
        if let Some(batch) = &batch {
            self.need(
                batch
                    .resources
                    .iter()
                    .map(|r| &r.uri)
                    .filter(|uri| self.known(uri)),
            )?;
        }
        self.room_to_watch(connection, batch.as_ref())?;
        let wanted = if kind == Kind::RoamingSelf {
            RoamingWanted::parse(message.body()).map_err(Refusal::Body)?
        } else {
            RoamingWanted::ALL
        };
        if message.expires_secs() == Some(0) {
            // A subscription that never was, ended: nothing to remember.
            let mut out = self.ok(message);
            self.subscription_headers(&mut out, message, 0, None);
            fx.send(connection, out);
            return Ok(());
        }
        let id = self.add_subscription(now, connection, message, envelope, kind, wanted)?;
        let mut documents = self.first_documents(now, id, batch.as_ref(), fx);
        let first = if documents.is_empty() {
            None
        } else {
            Some(documents.remove(0))
        };
        self.accept(now, connection, message, id, first, fx);
        for document in documents {
            self.notify(id, document, fx);
        }
        if let Some(batch) = batch {
            self.tell_newly_watched(now, &own, &batch, fx);
        }
        Ok(())
    }

    /// What a presence subscription asks for: the batched form, or one person named by `To`.
    fn presence_wish(
        &self,
        kind: Kind,
        own: &PersonUri,
        message: &Message,
        envelope: &Envelope<'_>,
    ) -> Result<Option<BatchRequest>, Halt> {
        if kind != Kind::Presence {
            return Ok(None);
        }
        if message
            .content_type()
            .is_some_and(|media| media.is(content_type::BATCH))
        {
            let batch = BatchRequest::parse(message.body()).map_err(Refusal::Body)?;
            if batch.uri != *own || !names(&envelope.to, own) {
                return Err(Refusal::NotYours.into());
            }
            return Ok(Some(batch));
        }
        if message.header(Name::ContentType).is_some() {
            return Err(Refusal::MediaType.into());
        }
        let target = person_of(envelope.to.uri).ok_or(Refusal::UnknownPerson)?;
        if !self.known(&target) {
            return Err(Refusal::UnknownPerson.into());
        }
        let resource = crate::xml::batch::BatchResource {
            uri: target,
            newly_added: false,
        };
        Ok(Some(BatchRequest {
            uri: own.clone(),
            action: BatchAction::Subscribe,
            resources: vec![resource],
            categories: Vec::new(),
        }))
    }

    fn add_subscription(
        &mut self,
        now: Now,
        connection: ConnectionId,
        message: &Message,
        envelope: &Envelope<'_>,
        kind: Kind,
        wanted: RoamingWanted,
    ) -> Result<SubscriptionId, Refusal> {
        let open = self
            .connections
            .get(&connection)
            .ok_or(Refusal::NotRegistered)?;
        let (endpoint_id, person) = (open.endpoint, open.person.clone());
        let endpoint = self
            .endpoints
            .get_mut(&endpoint_id)
            .ok_or(Refusal::NotRegistered)?;
        if endpoint.subscriptions.len() >= limits::SUBSCRIPTIONS_PER_ENDPOINT_MAX {
            return Err(Refusal::Limit("subscriptions of one endpoint"));
        }
        let remote_tag = envelope.from.tag().unwrap_or_default().to_owned();
        let id = SubscriptionId(self.ids.number());
        let local_tag = self.ids.tag();
        let target = message
            .contact()
            .filter(|c| c.uri.len() <= limits::URI_BYTES_MAX && SipUri::parse(c.uri).is_ok())
            .map_or_else(|| endpoint.contact.clone(), |c| c.uri.to_owned());
        endpoint.subscriptions.insert(id);
        endpoint.leaving = false;
        let single = message.header(Name::ContentType).is_none();
        let subscription = Subscription {
            kind,
            endpoint: endpoint_id,
            person: person.clone(),
            connection,
            from: format!("{};tag={local_tag}", super::value(message, Name::To)),
            to: super::value(message, Name::From).to_owned(),
            call_id: envelope.call_id.to_owned(),
            local_tag: local_tag.clone(),
            remote_tag,
            remote_target: target,
            cseq: 0,
            ends_at: now.instant,
            benotify: message.supports("ms-benotify"),
            unanswered: false,
            wanted,
            changed: Changed::default(),
            resources: HashSet::new(),
            single,
            filter: 0,
            missed: BTreeSet::new(),
        };
        self.dialogs
            .insert((envelope.call_id.to_owned(), local_tag), id);
        self.subscriptions.insert(id, subscription);
        if kind != Kind::Presence
            && let Some(person) = self.persons.get_mut(&person)
        {
            person.own.insert(id);
        }
        Ok(id)
    }

    /// The documents that a new or renewed subscription begins with; the first goes with the answer.
    fn first_documents(
        &mut self,
        now: Now,
        id: SubscriptionId,
        batch: Option<&BatchRequest>,
        fx: &mut Effects,
    ) -> Vec<Document> {
        let Some(kind) = self.subscriptions.get(&id).map(|s| s.kind) else {
            return Vec::new();
        };
        match kind {
            Kind::Presence => match batch {
                Some(batch) => self.watch(now, id, batch, fx),
                None => self.full_presence(now, id),
            },
            _ => self.own_document(now, id).into_iter().collect(),
        }
    }

    /// Answers 200, with the first document in it when the client knows that form.
    fn accept(
        &mut self,
        now: Now,
        connection: ConnectionId,
        message: &Message,
        id: SubscriptionId,
        first: Option<Document>,
        fx: &mut Effects,
    ) {
        let wished = message
            .expires_secs()
            .unwrap_or(limits::SUBSCRIBE_EXPIRES_SECS_MAX);
        let expires = wished.clamp(
            limits::SUBSCRIBE_EXPIRES_SECS_MIN,
            limits::SUBSCRIBE_EXPIRES_SECS_MAX,
        );
        let ends_at = later(now.instant, expires);
        self.timers.set(ends_at, Timer::Subscription(id));
        let piggyback = message.supports("ms-piggyback-first-notify");
        let mut out = OutMessage::response_to(message, 200, "OK");
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        subscription.ends_at = ends_at;
        let mut out_of_band = None;
        out = out.with_to_tag(&subscription.local_tag);
        let number = if piggyback && first.is_some() {
            subscription.cseq = subscription.cseq.saturating_add(1);
            Some(subscription.cseq)
        } else {
            None
        };
        self.subscription_headers(&mut out, message, expires, number);
        match first {
            Some((kind, body)) if piggyback => out = out.with_body(kind, body),
            other => out_of_band = other,
        }
        fx.send(connection, out);
        if let Some(document) = out_of_band {
            self.notify(id, document, fx);
        }
    }

    fn subscription_headers(
        &self,
        out: &mut OutMessage,
        message: &Message,
        expires: u32,
        piggyback: Option<u32>,
    ) {
        out.push(
            Name::Contact,
            format_args!(
                "<sip:{}:{};transport=tls>",
                self.config.host, self.config.port
            ),
        );
        out.push(Name::Expires, expires);
        out.push(Name::Event, super::value(message, Name::Event));
        let state = if expires == 0 { "terminated" } else { "active" };
        out.push(
            Name::SubscriptionState,
            format_args!("{state};expires={expires}"),
        );
        if let Some(number) = piggyback {
            out.push(Name::MsPiggybackCseq, number);
        }
        out.push(Name::Supported, "ms-benotify");
        out.push(Name::Supported, "ms-piggyback-first-notify");
    }

    /// A request within a subscription's dialog: renewal, another list, or the end.
    fn resubscribe(
        &mut self,
        now: Now,
        connection: ConnectionId,
        message: &Message,
        envelope: &Envelope<'_>,
        tag: &str,
        fx: &mut Effects,
    ) -> Result<(), Halt> {
        let key = (envelope.call_id.to_owned(), tag.to_owned());
        let id = *self.dialogs.get(&key).ok_or(Refusal::NoDialog)?;
        let subscription = self.subscriptions.get(&id).ok_or(Refusal::NoDialog)?;
        let remote = envelope.from.tag().unwrap_or_default();
        if subscription.connection != connection || subscription.remote_tag != remote {
            return Err(Refusal::NoDialog.into());
        }
        let (kind, own) = (subscription.kind, subscription.person.clone());
        if message.expires_secs() == Some(0) {
            let mut out = self.ok(message);
            self.subscription_headers(&mut out, message, 0, None);
            fx.send(connection, out);
            self.end_subscription(now, id);
            return Ok(());
        }
        self.need(std::iter::once(&own))?;
        let has_batch = message
            .content_type()
            .is_some_and(|media| media.is(content_type::BATCH));
        let batch = if kind == Kind::Presence && has_batch {
            self.presence_wish(kind, &own, message, envelope)?
        } else {
            None
        };
        if let Some(batch) = &batch {
            self.need(
                batch
                    .resources
                    .iter()
                    .map(|r| &r.uri)
                    .filter(|uri| self.known(uri)),
            )?;
        }
        self.room_to_watch(connection, batch.as_ref())?;
        let mut documents = self.first_documents(now, id, batch.as_ref(), fx);
        let first = if documents.is_empty() {
            None
        } else {
            Some(documents.remove(0))
        };
        self.accept(now, connection, message, id, first, fx);
        for document in documents {
            self.notify(id, document, fx);
        }
        if let Some(batch) = batch {
            self.tell_newly_watched(now, &own, &batch, fx);
        }
        Ok(())
    }

    /// Whether the endpoint of a connection may watch so many people more.
    fn room_to_watch(
        &self,
        connection: ConnectionId,
        batch: Option<&BatchRequest>,
    ) -> Result<(), Refusal> {
        let Some(batch) = batch.filter(|batch| batch.action == BatchAction::Subscribe) else {
            return Ok(());
        };
        let open = self.connections.get(&connection);
        let endpoint = open.and_then(|open| self.endpoints.get(&open.endpoint));
        let subscriptions = endpoint.into_iter().flat_map(|e| &e.subscriptions);
        let watched = subscriptions
            .filter_map(|id| self.subscriptions.get(id))
            .map(|subscription| subscription.resources.len());
        let all = watched.fold(batch.resources.len(), usize::saturating_add);
        if all > limits::WATCHED_PER_ENDPOINT_MAX {
            return Err(Refusal::Limit("people whom one endpoint watches"));
        }
        Ok(())
    }

    /// The client itself ends a subscription.
    fn end_subscription(&mut self, now: Now, id: SubscriptionId) {
        if let Some(subscription) = self.subscriptions.get(&id)
            && subscription.kind != Kind::Presence
            && let Some(endpoint) = self.endpoints.get_mut(&subscription.endpoint)
        {
            // Clients take these back on their way out, and their last REGISTER can be lost.
            endpoint.leaving = true;
        }
        self.drop_subscription(now, id);
    }

    pub(super) fn subscription_due(&mut self, now: Now, id: SubscriptionId) {
        if self
            .subscriptions
            .get(&id)
            .is_some_and(|s| s.ends_at <= now.instant)
        {
            self.drop_subscription(now, id);
        }
    }

    /// Forgets a subscription everywhere.
    pub(super) fn drop_subscription(&mut self, now: Now, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.remove(&id) else {
            return;
        };
        self.timers.clear(Timer::Subscription(id));
        self.dialogs
            .remove(&(subscription.call_id, subscription.local_tag));
        if let Some(endpoint) = self.endpoints.get_mut(&subscription.endpoint) {
            endpoint.subscriptions.remove(&id);
        }
        if let Some(person) = self.persons.get_mut(&subscription.person) {
            person.own.remove(&id);
        }
        for uri in subscription.resources {
            if let Some(person) = self.persons.get_mut(&uri) {
                person.watchers.remove(&id);
            }
            self.released(now, &uri);
        }
    }

    /// What this deployment tells its clients: one answer, no dialog.
    fn provision(
        &mut self,
        connection: ConnectionId,
        own: &PersonUri,
        message: &Message,
        fx: &mut Effects,
    ) -> Result<(), Halt> {
        let asked = Provisioning::parse_request(message.body()).map_err(Refusal::Body)?;
        let settings = self.people.settings(own);
        let provisioning = self.config.provisioning.clone().with_card_policy(settings);
        let body = provisioning.to_xml(&asked);
        let mut out = self.ok(message);
        self.subscription_headers(&mut out, message, 0, Some(1));
        fx.send(connection, out.with_body(content_type::PROVISIONING, body));
        Ok(())
    }
}

fn later(now: Instant, secs: u32) -> Instant {
    now.checked_add(Duration::from_secs(u64::from(secs)))
        .unwrap_or(now)
}
