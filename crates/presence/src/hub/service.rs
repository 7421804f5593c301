// SPDX-License-Identifier: MIT OR Apache-2.0
//! SERVICE requests: what a client asks the server to do for its own person.

use lanyard_sip::{Envelope, Headers, Message, OutMessage, reason_phrase};

use super::effect::{ConnectionId, Effects, Now};
use super::persist::{Origin, Plan, Then, Work};
use super::refusal::Refusal;
use super::{Halt, Hub, names};
use crate::limits;
use crate::model::roster::{RosterEdit, Subscriber};
use crate::model::uri::PersonUri;
use crate::xml::batch::BatchRequest;
use crate::xml::content_type;
use crate::xml::fault::Fault;
use crate::xml::search::SearchRequest;
use crate::xml::subscribers::SetSubscribers;

impl Hub {
    pub(super) fn service(
        &mut self,
        now: Now,
        connection: ConnectionId,
        message: &Message,
        envelope: &Envelope<'_>,
        fx: &mut Effects,
    ) -> Result<(), Halt> {
        let open = self
            .connections
            .get(&connection)
            .ok_or(Refusal::NotRegistered)?;
        let own = open.person.clone();
        if !names(&envelope.to, &own) {
            return Err(Refusal::NotYours.into());
        }
        if is(message, content_type::SOAP)
            && let Ok(search) = SearchRequest::parse(message.body())
        {
            self.search(now, connection, message, &search, fx)?;
            return Ok(());
        }
        let work = Work::Request {
            connection,
            request: message.clone(),
        };
        self.work(now, &own, work, fx)
    }

    /// Reads a request and plans what it changes. The person's roster is loaded and nothing of the
    /// person is under way.
    pub(super) fn plan_request(
        &mut self,
        now: Now,
        uri: &PersonUri,
        origin: Origin,
        fx: &mut Effects,
    ) -> Result<(), Refusal> {
        let request = origin.request.clone();
        if is(&request, content_type::SOAP) {
            self.plan_contacts(now, uri, origin, fx)
        } else if is(&request, content_type::PUBLISH) {
            self.plan_publish(now, uri, origin, fx)
        } else if is(&request, content_type::SET_CONTAINER_MEMBERS) {
            self.plan_containers(now, uri, origin, fx)
        } else if is(&request, content_type::SET_SUBSCRIBER) {
            self.plan_subscribers(now, uri, origin, fx)
        } else {
            Err(Refusal::MediaType)
        }
    }

    /// 409 with the current versions.
    pub(super) fn answer_fault(&mut self, origin: &Origin, fault: &Fault, fx: &mut Effects) {
        let tag = self.ids.tag();
        let out = OutMessage::response_to(&origin.request, 409, reason_phrase(409));
        let out = out
            .with_to_tag(&tag)
            .with_body(content_type::FAULT, fault.to_xml());
        fx.send(origin.connection, out);
    }

    fn plan_subscribers(
        &mut self,
        now: Now,
        uri: &PersonUri,
        origin: Origin,
        fx: &mut Effects,
    ) -> Result<(), Refusal> {
        let request = SetSubscribers::parse(origin.request.body()).map_err(Refusal::Body)?;
        let roster = self.persons.get(uri).and_then(|person| person.roster());
        let roster = roster.ok_or(Refusal::NotRegistered)?;
        let mut edits = Vec::new();
        for (watcher, acknowledged) in request.list {
            if let Some(known) = roster.subscribers.get(&watcher)
                && known.acknowledged != acknowledged
            {
                edits.push(RosterEdit::SetSubscriber(Subscriber {
                    acknowledged,
                    ..known.clone()
                }));
            }
        }
        let plan = Plan {
            origin: Some(origin),
            edits,
            live: Vec::new(),
            then: Then::SubscribersSet,
        };
        self.submit(now, uri, plan, fx);
        Ok(())
    }

    /// People whom a watcher has just added are asked about it, once.
    pub(super) fn tell_newly_watched(
        &mut self,
        now: Now,
        watcher: &PersonUri,
        batch: &BatchRequest,
        fx: &mut Effects,
    ) {
        for resource in batch
            .resources
            .iter()
            .filter(|r| r.newly_added && r.uri != *watcher)
        {
            if self.known(&resource.uri) {
                let work = Work::Watched {
                    watcher: watcher.clone(),
                };
                // Rosters were loaded for the subscription; a full queue only loses the question.
                let _ = self.work(now, &resource.uri, work, fx);
            }
        }
    }

    pub(super) fn plan_watched(
        &mut self,
        now: Now,
        uri: &PersonUri,
        watcher: &PersonUri,
        fx: &mut Effects,
    ) {
        let Some(roster) = self.persons.get(uri).and_then(|person| person.roster()) else {
            return;
        };
        if roster.contacts.contains_key(watcher)
            || roster.subscribers.contains_key(watcher)
            || roster.subscribers.len() >= limits::SUBSCRIBERS_PER_PERSON_MAX
            || self.blocks(uri, watcher)
        {
            return;
        }
        let card = self.people.person(watcher);
        let display_name = card.map(|card| card.display_name).unwrap_or_default();
        let row = Subscriber {
            uri: watcher.clone(),
            display_name,
            acknowledged: false,
        };
        let plan = Plan {
            origin: None,
            edits: vec![RosterEdit::SetSubscriber(row)],
            live: Vec::new(),
            then: Then::SubscribersSet,
        };
        self.submit(now, uri, plan, fx);
    }

    /// The older way to look for people, for clients that do not know the address book of the web.
    fn search(
        &mut self,
        now: Now,
        connection: ConnectionId,
        message: &Message,
        search: &SearchRequest,
        fx: &mut Effects,
    ) -> Result<(), Refusal> {
        let open = self
            .connections
            .get_mut(&connection)
            .ok_or(Refusal::NotRegistered)?;
        // Everybody waits while the directory is looked through.
        let (since, count) = &mut open.searches;
        if now.instant.saturating_duration_since(*since) >= limits::SEARCHES_PERIOD {
            (*since, *count) = (now.instant, 0);
        }
        *count = count.saturating_add(1);
        if *count > limits::SEARCHES_MAX {
            return Err(Refusal::Overload);
        }
        let limit = search.limit.min(limits::SEARCH_RESULTS_MAX);
        let mut found = self.people.search(&search.text, limit.saturating_add(1));
        found.retain(|card| card.enabled);
        let more = found.len() > limit;
        found.truncate(limit);
        let out = self.ok(message);
        fx.send(
            connection,
            out.with_body(content_type::SOAP, crate::xml::search::write(&found, more)),
        );
        Ok(())
    }
}

fn is(message: &Message, kind: &str) -> bool {
    message.content_type().is_some_and(|media| media.is(kind))
}
