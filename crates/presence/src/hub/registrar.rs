// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registrations: they begin, are refreshed, end, and are ended.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use lanyard_sip::{Envelope, Headers, InstanceId, Message, Method, Name, OutMessage, gruu};

use super::effect::{ConnectionId, Effect, Effects, Now};
use super::refusal::{Refusal, diagnostics};
use super::session::{EndReason, Registration, SessionFilter, SessionInfo};
use super::state::{Connection, Endpoint, EndpointId, Person, RosterState};
use super::subscribe::ALLOW_EVENTS;
use super::timers::Timer;
use super::{Hub, names};
use crate::limits;
use crate::model::uri::PersonUri;
use crate::xml::content_type;

/// What a REGISTER says, checked.
struct Wish {
    epid: String,
    instance: InstanceId,
    contact: String,
    expires_secs: u32,
}

impl Hub {
    /// Takes an authenticated REGISTER.
    pub fn register(
        &mut self,
        now: Now,
        registration: &Registration,
        message: &Message,
    ) -> Effects {
        let mut fx = Effects::default();
        if let Err(refusal) = self.try_register(now, registration, message, &mut fx) {
            self.refuse(registration.connection, message, &refusal, &mut fx);
        }
        fx
    }

    /// The connection is gone. Its endpoint stays for the grace time, unless it was leaving.
    pub fn connection_lost(&mut self, now: Now, connection: ConnectionId) -> Effects {
        let mut fx = Effects::default();
        let Some(open) = self.connections.remove(&connection) else {
            return fx;
        };
        self.connection_unusable(now, connection, open.endpoint, &mut fx);
        let leaving = self.endpoints.get(&open.endpoint).is_none_or(|e| e.leaving);
        if leaving || self.config.grace.is_zero() {
            self.remove_endpoint(now, open.endpoint, &mut fx);
        } else if let Some(endpoint) = self.endpoints.get_mut(&open.endpoint) {
            endpoint.connection = None;
            endpoint.ends_at = after(now.instant, self.config.grace);
            self.timers
                .set(endpoint.ends_at, Timer::Endpoint(open.endpoint));
        }
        fx
    }

    /// Ends sessions with a reason that the client can show; then their connections are closed.
    pub fn end_sessions(
        &mut self,
        now: Now,
        filter: &SessionFilter,
        reason: &EndReason,
    ) -> Effects {
        let mut fx = Effects::default();
        let mut ended: Vec<EndpointId> = self
            .endpoints
            .iter()
            .filter(|(_, endpoint)| matches_filter(endpoint, filter))
            .map(|(id, _)| *id)
            .collect();
        ended.sort_unstable();
        for id in ended {
            if let Some(endpoint) = self.endpoints.get(&id)
                && let Some(connection) = endpoint.connection
            {
                let farewell = self.farewell(id, reason);
                if let Some(farewell) = farewell {
                    fx.send(connection, farewell);
                }
                fx.push(Effect::Close { connection });
                self.connections.remove(&connection);
                self.connection_unusable(now, connection, id, &mut fx);
            }
            self.remove_endpoint(now, id, &mut fx);
        }
        fx
    }

    /// Every session of this node, ordered by person and age.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        let mut list: Vec<SessionInfo> = self
            .endpoints
            .values()
            .map(|endpoint| SessionInfo {
                person: endpoint.person.clone(),
                epid: endpoint.epid.to_string(),
                instance: endpoint.instance,
                user_agent: endpoint.user_agent.clone(),
                since: endpoint.since,
                connection: endpoint.connection,
            })
            .collect();
        list.sort_by(|a, b| (&a.person, a.since, &a.epid).cmp(&(&b.person, b.since, &b.epid)));
        list
    }

    /// A registration or a grace time may have come to its end.
    pub(super) fn endpoint_due(&mut self, now: Now, id: EndpointId, fx: &mut Effects) {
        let Some(endpoint) = self.endpoints.get(&id) else {
            return;
        };
        if endpoint.ends_at > now.instant {
            return;
        }
        if let Some(connection) = endpoint.connection {
            self.connections.remove(&connection);
            self.connection_unusable(now, connection, id, fx);
            fx.push(Effect::Close { connection });
        }
        self.remove_endpoint(now, id, fx);
    }

    fn try_register(
        &mut self,
        now: Now,
        registration: &Registration,
        message: &Message,
        fx: &mut Effects,
    ) -> Result<(), Refusal> {
        let envelope = message.envelope().map_err(Refusal::Defect)?;
        if envelope.cseq.method != Method::Register {
            return Err(Refusal::Method);
        }
        let person = &registration.person;
        if !names(&envelope.from, person) || !names(&envelope.to, person) {
            return Err(Refusal::ForeignFrom);
        }
        let connection = registration.connection;
        if wished_expires(message) == Some(0) {
            self.deregister(now, connection, message, fx);
            return Ok(());
        }
        let wish = read_wish(message, &envelope, self.config.register_expires_secs)?;
        let bound = self.connections.get(&connection).map(|open| open.endpoint);
        let same = self.endpoint_of(person, &wish.epid);
        if bound.is_some() && bound != same {
            // One connection carries one endpoint of one person.
            return Err(Refusal::Limit("endpoints on one connection"));
        }
        let added = same.is_none();
        let id = match same {
            Some(id) => {
                self.take_over(now, id, connection, &wish, fx);
                id
            }
            None => self.add_endpoint(now, registration, &wish, message)?,
        };
        self.connections
            .entry(connection)
            .or_insert_with(|| Connection {
                endpoint: id,
                person: person.clone(),
                congested: false,
                parked: VecDeque::new(),
                ticket: 0,
                missing: 0,
                searches: (now.instant, 0),
            });
        let ends_at = after(
            now.instant,
            Duration::from_secs(u64::from(wish.expires_secs)),
        );
        if let Some(endpoint) = self.endpoints.get_mut(&id) {
            endpoint.ends_at = ends_at;
        }
        self.timers.set(ends_at, Timer::Endpoint(id));
        let answer = self.registered(message, person, &wish, added);
        fx.send(connection, answer);
        self.prefetch(now, person, fx);
        if added {
            // What outlived the last endpoint counts again.
            self.changed(now, person, ["state"], Some(id), fx);
        }
        Ok(())
    }

    /// The endpoint comes back: a refresh, or on another connection.
    fn take_over(
        &mut self,
        now: Now,
        id: EndpointId,
        connection: ConnectionId,
        wish: &Wish,
        fx: &mut Effects,
    ) {
        let old = self
            .endpoints
            .get(&id)
            .and_then(|endpoint| endpoint.connection);
        if let Some(old) = old.filter(|old| *old != connection) {
            self.connections.remove(&old);
            self.connection_unusable(now, old, id, fx);
            fx.push(Effect::Close { connection: old });
        }
        if let Some(endpoint) = self.endpoints.get_mut(&id) {
            endpoint.connection = Some(connection);
            endpoint.contact.clone_from(&wish.contact);
            endpoint.leaving = false;
        }
    }

    fn add_endpoint(
        &mut self,
        now: Now,
        registration: &Registration,
        wish: &Wish,
        message: &Message,
    ) -> Result<EndpointId, Refusal> {
        let uri = &registration.person;
        let person = self
            .persons
            .entry(uri.clone())
            .or_insert_with(|| Person::new(now.instant));
        if person.endpoints.len() >= limits::ENDPOINTS_PER_PERSON_MAX {
            return Err(Refusal::Limit(limits::ENDPOINTS_OF_ONE_PERSON));
        }
        let id = EndpointId(self.ids.number());
        person.endpoints.push(id);
        let agent = super::value(message, Name::UserAgent);
        let endpoint = Endpoint {
            person: uri.clone(),
            epid: wish.epid.as_str().into(),
            instance: wish.instance,
            connection: Some(registration.connection),
            contact: wish.contact.clone(),
            user_agent: agent.chars().take(limits::TEXT_CHARS_MAX).collect(),
            since: now.utc,
            ends_at: now.instant,
            subscriptions: BTreeSet::new(),
            leaving: false,
            transactions: 0,
        };
        self.endpoints.insert(id, endpoint);
        Ok(id)
    }

    fn deregister(
        &mut self,
        now: Now,
        connection: ConnectionId,
        message: &Message,
        fx: &mut Effects,
    ) {
        let mut out = self.ok(message);
        out.push(Name::Expires, 0);
        out.push(Name::PresenceState, "register-action=\"deleted\"");
        out.push(Name::Server, SERVER);
        fx.send(connection, out);
        if let Some(open) = self.connections.remove(&connection) {
            self.connection_unusable(now, connection, open.endpoint, fx);
            self.remove_endpoint(now, open.endpoint, fx);
        }
    }

    /// The 200, line for line as clients of this family want it.
    fn registered(
        &mut self,
        message: &Message,
        person: &PersonUri,
        wish: &Wish,
        added: bool,
    ) -> OutMessage {
        let mut out = self.ok(message);
        let expires = wish.expires_secs;
        out.push(
            Name::Contact,
            format_args!(
                "<{}>;expires={expires};+sip.instance=\"{}\";gruu=\"{}\"",
                wish.contact,
                wish.instance.to_contact_value(),
                gruu(person.address(), wish.instance),
            ),
        );
        // Independent clients look at this header, not at the parameter of the Contact.
        out.push(Name::Expires, expires);
        let action = if added { "added" } else { "refreshed" };
        out.push(
            Name::PresenceState,
            format_args!("register-action=\"{action}\""),
        );
        out.push(Name::AllowEvents, ALLOW_EVENTS);
        // One token a line: clients compare whole lines.
        out.push(Name::Supported, "adhoclist");
        out.push(Name::Supported, "msrtc-event-categories");
        out.push(Name::Server, SERVER);
        out.push(
            Name::MsKeepAlive,
            format_args!(
                "UAS; tcp=no; hop-hop=yes; end-end=no; timeout={}",
                self.config.keep_alive_secs
            ),
        );
        out
    }

    /// Loads the roster, because the next requests will need it.
    fn prefetch(&mut self, now: Now, uri: &PersonUri, fx: &mut Effects) {
        let person = self
            .persons
            .entry(uri.clone())
            .or_insert_with(|| Person::new(now.instant));
        if matches!(person.roster, RosterState::Absent) {
            person.roster = RosterState::Loading;
            fx.push(Effect::Load {
                person: uri.clone(),
            });
        }
    }

    fn endpoint_of(&self, person: &PersonUri, epid: &str) -> Option<EndpointId> {
        let person = self.persons.get(person)?;
        let named = |id: &&EndpointId| self.endpoints.get(id).is_some_and(|e| *e.epid == *epid);
        person.endpoints.iter().find(named).copied()
    }

    /// Nothing can be sent there any more: subscriptions and open requests of it end.
    fn connection_unusable(
        &mut self,
        now: Now,
        connection: ConnectionId,
        endpoint: EndpointId,
        fx: &mut Effects,
    ) {
        let ended = match self.endpoints.get_mut(&endpoint) {
            Some(endpoint) => std::mem::take(&mut endpoint.subscriptions),
            None => BTreeSet::new(),
        };
        for id in ended {
            self.drop_subscription(now, id);
        }
        self.relay_connection_lost(now, connection, fx);
    }

    /// The endpoint is gone: its publications and dialogs go with it.
    fn remove_endpoint(&mut self, now: Now, id: EndpointId, fx: &mut Effects) {
        let Some(endpoint) = self.endpoints.remove(&id) else {
            return;
        };
        self.timers.clear(Timer::Endpoint(id));
        let uri = endpoint.person;
        self.relay_endpoint_gone(id, &uri, fx);
        if let Some(person) = self.persons.get_mut(&uri) {
            person.endpoints.retain(|other| *other != id);
        }
        self.unpublish_endpoint(now, &uri, id, fx);
        self.released(now, &uri);
    }

    /// The notice of the end, in a dialog of its own.
    fn farewell(&mut self, id: EndpointId, reason: &EndReason) -> Option<OutMessage> {
        let (tag, call_id, branch) = (self.ids.tag(), self.ids.tag(), self.ids.branch());
        let endpoint = self.endpoints.get(&id)?;
        let own = endpoint.person.sip();
        let mut out = OutMessage::request(Method::BeNotify, &endpoint.contact);
        out.push(Name::Via, self.via(&branch));
        out.push(Name::MaxForwards, 70);
        out.push(Name::From, format_args!("<{own}>;tag={tag}"));
        out.push(Name::To, format_args!("<{own}>;epid={}", endpoint.epid));
        out.push(Name::CallId, call_id);
        out.push(Name::CSeq, "1 BENOTIFY");
        out.push(Name::Event, "registration-notify");
        out.push(Name::SubscriptionState, "terminated;expires=0");
        out.push(
            Name::MsDiagnostics,
            diagnostics(reason.diagnostics_id, &reason.text, &self.config.host),
        );
        let body = format!("deregistered;event={}", reason.event.word());
        Some(out.with_body(content_type::REGISTRATION_EVENT, body))
    }

    /// Our own hop.
    pub(super) fn via(&self, branch: &str) -> String {
        format!(
            "SIP/2.0/TLS {}:{};branch={branch}",
            self.config.host, self.config.port
        )
    }
}

/// The version decides how clients name the product family.
pub(super) const SERVER: &str = "RTC/5.0";

fn matches_filter(endpoint: &Endpoint, filter: &SessionFilter) -> bool {
    match filter {
        SessionFilter::All => true,
        SessionFilter::Person(person) => endpoint.person == *person,
        SessionFilter::Connection(connection) => endpoint.connection == Some(*connection),
        SessionFilter::Endpoint { person, epid } => {
            endpoint.person == *person && *endpoint.epid == **epid
        }
    }
}

fn after(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).unwrap_or(now)
}

/// What the client asks for: the header, or the parameter of the first Contact.
fn wished_expires(message: &Message) -> Option<u32> {
    let of_contact = || message.contact()?.params.get("expires")?.parse().ok();
    message.expires_secs().or_else(of_contact)
}

fn read_wish(message: &Message, envelope: &Envelope<'_>, usual_secs: u32) -> Result<Wish, Refusal> {
    let epid = envelope.from.epid().ok_or(Refusal::NoEndpoint)?;
    let hex_or_word = |c: char| c.is_ascii_alphanumeric();
    if epid.len() > 64 || !epid.chars().all(hex_or_word) {
        return Err(Refusal::NoEndpoint);
    }
    let contact = message.contact().ok_or(Refusal::NoEndpoint)?;
    if contact.uri.len() > limits::URI_BYTES_MAX || contact.sip_uri().is_err() {
        return Err(Refusal::NoEndpoint);
    }
    let instance = InstanceId::of_epid(epid);
    // [MS-SIPAE] 3.3.5.2: the instance must follow from the epid.
    if contact.params.get("+sip.instance").is_some() && contact.instance() != Some(instance) {
        return Err(Refusal::InstanceMismatch);
    }
    let wished = wished_expires(message);
    if wished.is_some_and(|secs| secs < limits::REGISTER_EXPIRES_SECS_MIN) {
        return Err(Refusal::TooBrief {
            min_secs: limits::REGISTER_EXPIRES_SECS_MIN,
        });
    }
    // Whoever runs the server may want it briefer than clients may.
    let expires_secs = wished.unwrap_or(usual_secs);
    Ok(Wish {
        epid: epid.to_owned(),
        instance,
        contact: contact.uri.to_owned(),
        expires_secs: expires_secs.min(limits::REGISTER_EXPIRES_SECS_MAX),
    })
}
