// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests from person to person, and their answers on the way back.
//!
//! The server is the only hop: it shows each side its own Via and keeps the other side's to itself,
//! so that clients which leave out the branch are matched by Call-ID and CSeq.

mod answer;
mod dialogs;
mod parting;

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use lanyard_sip::{Envelope, Headers, Message, Method, Name, OutMessage, SipUri};

use super::effect::{ConnectionId, Effects, Now};
use super::refusal::Refusal;
use super::state::EndpointId;
use super::timers::Timer;
use super::{Halt, Hub, person_of};
use crate::limits;
use crate::model::uri::PersonUri;
use dialogs::Dialogs;

/// One request under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TransactionId(u64);

/// What matches requests and answers on one connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    connection: ConnectionId,
    call_id: Box<str>,
    /// Of From: in a conversation of several, all dialogs have one Call-ID, and each counts by itself.
    tag: Box<str>,
    number: u32,
    method: &'static str,
}

/// A request that was passed on to one or more endpoints.
#[derive(Debug)]
struct Transaction {
    method: &'static str,
    client: ConnectionId,
    endpoint: EndpointId,
    request: Message,
    key: Key,
    legs: Vec<Leg>,
    /// The final status that the sender got.
    finished: Option<u16>,
    /// The answer to give when nobody accepts.
    best: Option<Message>,
    deadline: Instant,
}

/// One endpoint that a request was passed on to.
#[derive(Debug)]
struct Leg {
    endpoint: EndpointId,
    person: PersonUri,
    connection: ConnectionId,
    key: Key,
    branch: String,
    target: String,
    done: bool,
    cancelled: bool,
}

/// Everything under way between people.
#[derive(Debug, Default)]
pub(super) struct Relay {
    transactions: HashMap<TransactionId, Transaction>,
    by_client: HashMap<Key, TransactionId>,
    by_leg: HashMap<Key, (TransactionId, usize)>,
    /// Answered invitations of an endpoint that are still remembered, oldest first.
    lingering: HashMap<EndpointId, VecDeque<TransactionId>>,
    dialogs: Dialogs,
}

impl Relay {
    /// Everything that is remembered.
    pub(super) fn under_way(&self) -> usize {
        let (by_client, by_leg) = (self.by_client.len(), self.by_leg.len());
        let tables = [
            self.transactions.len(),
            by_client,
            by_leg,
            self.lingering.len(),
            self.dialogs.len(),
        ];
        tables.into_iter().fold(0, usize::saturating_add)
    }
}

impl Hub {
    pub(super) fn relay_request(
        &mut self,
        now: Now,
        connection: ConnectionId,
        message: &Message,
        envelope: &Envelope<'_>,
        fx: &mut Effects,
    ) -> Result<(), Halt> {
        match envelope.cseq.method {
            Method::Ack => {
                self.relay_ack(connection, message, envelope, fx);
                return Ok(());
            }
            Method::Cancel => return self.relay_cancel(connection, message, envelope, fx),
            _ => {}
        }
        let method = relayed(envelope.cseq.method).ok_or(Refusal::Method)?;
        if message.max_forwards() == Some(0) {
            return Err(Refusal::TooManyHops.into());
        }
        if message.body().len() > limits::MESSAGE_BYTES_MAX {
            return Err(Refusal::TooLarge.into());
        }
        let key = key(connection, envelope, method);
        if self.relay.by_client.contains_key(&key) {
            return Err(Refusal::Merged.into());
        }
        let open = self
            .connections
            .get(&connection)
            .ok_or(Refusal::NotRegistered)?;
        let (me, own) = (open.endpoint, open.person.clone());
        let route = [Name::Via, Name::From, Name::To];
        let route = route.into_iter().flat_map(|name| message.headers(name));
        if route.map(str::len).fold(0, usize::saturating_add) > limits::ROUTE_BYTES_MAX {
            return Err(Refusal::Limit("length of Via, From and To").into());
        }
        let busy = self
            .endpoints
            .get(&me)
            .is_none_or(|endpoint| endpoint.transactions >= limits::TRANSACTIONS_PER_ENDPOINT_MAX);
        if busy {
            return Err(Refusal::Overload.into());
        }
        let targets = match envelope.to.tag() {
            Some(to_tag) => {
                let from_tag = envelope.from.tag().unwrap_or_default();
                let call = envelope.call_id;
                let peer = self.relay.dialogs.peer(call, me, from_tag, to_tag);
                let peer = peer.ok_or(Refusal::NoDialog)?;
                let number = envelope.cseq.number;
                self.relay.dialogs.used(call, me, from_tag, number);
                if method == "BYE" {
                    // Over for the one who says so, whatever the other answers.
                    self.relay.dialogs.remove(call, from_tag, to_tag);
                } else if self
                    .endpoints
                    .get(&peer)
                    .is_some_and(|e| self.blocks(&e.person, &own))
                {
                    // Blocked in the middle of a conversation: as if the other had left.
                    return Err(Refusal::Offline.into());
                }
                vec![peer]
            }
            None => match envelope.cseq.method {
                Method::Invite => self.callees(message, me, &own)?,
                Method::Options => {
                    let mut out = self.ok(message);
                    out.push("Allow", ALLOWED);
                    fx.send(connection, out);
                    return Ok(());
                }
                _ => return Err(Refusal::NoDialog.into()),
            },
        };
        self.pass_on(now, connection, me, message, key, &targets, fx)
    }

    /// The endpoints that an invitation goes to. Whoever is blocked hears what everybody hears of
    /// somebody who is not signed in.
    fn callees(
        &mut self,
        message: &Message,
        me: EndpointId,
        own: &PersonUri,
    ) -> Result<Vec<EndpointId>, Halt> {
        let uri = message.uri().unwrap_or_default();
        let target = person_of(uri).ok_or(Refusal::UnknownPerson)?;
        if !self.known(&target) {
            return Err(Refusal::UnknownPerson.into());
        }
        self.need(std::iter::once(&target))?;
        if self.blocks(&target, own) {
            return Err(Refusal::Offline.into());
        }
        let instance = SipUri::parse(uri).ok().and_then(|uri| uri.gruu_instance());
        let person = self.persons.get(&target).ok_or(Refusal::Offline)?;
        let found: Vec<EndpointId> = person
            .endpoints
            .iter()
            .filter(|id| **id != me)
            .filter(|id| {
                self.endpoints.get(id).is_some_and(|endpoint| {
                    endpoint.connection.is_some()
                        && instance.is_none_or(|wanted| endpoint.instance == wanted)
                })
            })
            .copied()
            .collect();
        if found.is_empty() {
            Err(Refusal::Offline.into())
        } else {
            Ok(found)
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "all parts of one request, read once"
    )]
    fn pass_on(
        &mut self,
        now: Now,
        client: ConnectionId,
        me: EndpointId,
        message: &Message,
        client_key: Key,
        targets: &[EndpointId],
        fx: &mut Effects,
    ) -> Result<(), Halt> {
        let id = TransactionId(self.ids.number());
        let mut legs: Vec<Leg> = Vec::with_capacity(targets.len());
        for target in targets {
            let branch = self.ids.branch();
            let Some(endpoint) = self.endpoints.get(target) else {
                continue;
            };
            let Some(connection) = endpoint.connection else {
                continue;
            };
            let key = Key {
                connection,
                ..client_key.clone()
            };
            if self.relay.by_leg.contains_key(&key) {
                return Err(Refusal::Merged.into());
            }
            legs.push(Leg {
                endpoint: *target,
                person: endpoint.person.clone(),
                connection,
                key,
                branch,
                target: endpoint.contact.clone(),
                done: false,
                cancelled: false,
            });
        }
        if legs.is_empty() {
            return Err(Refusal::Offline.into());
        }
        let forward = self.forwarded(client, message);
        for (index, leg) in legs.iter().enumerate() {
            let mut out = forward.clone();
            out.set_uri(&leg.target);
            out.set(Name::Via, self.via(&leg.branch));
            fx.send(leg.connection, out);
            self.relay.by_leg.insert(leg.key.clone(), (id, index));
        }
        let method = client_key.method;
        let wait = if method == "INVITE" {
            limits::INVITE_TIMEOUT
        } else {
            limits::REQUEST_TIMEOUT
        };
        let deadline = now.instant.checked_add(wait).unwrap_or(now.instant);
        self.timers.set(deadline, Timer::Transaction(id));
        self.relay.by_client.insert(client_key.clone(), id);
        if let Some(endpoint) = self.endpoints.get_mut(&me) {
            endpoint.transactions = endpoint.transactions.saturating_add(1);
        }
        let transaction = Transaction {
            method,
            client,
            endpoint: me,
            request: kept(message),
            key: client_key,
            legs,
            finished: None,
            best: None,
            deadline,
        };
        self.relay.transactions.insert(id, transaction);
        Ok(())
    }

    /// A request as the other side gets it: without what was for this hop, with who really sent it.
    fn forwarded(&self, client: ConnectionId, message: &Message) -> OutMessage {
        let mut out = OutMessage::forward(message);
        for name in [
            Name::Route,
            Name::RecordRoute,
            Name::ProxyRequire,
            Name::PPreferredIdentity,
            Name::PAssertedIdentity,
        ] {
            out.remove(name);
        }
        let hops = message.max_forwards().unwrap_or(70).saturating_sub(1);
        out.set(Name::MaxForwards, hops);
        if let Some(open) = self.connections.get(&client) {
            out.push(Name::PAssertedIdentity, self.identity(&open.person));
        }
        out
    }

    /// `"Name" <sip:…>`, always with brackets.
    fn identity(&self, person: &PersonUri) -> String {
        let name = self
            .people
            .person(person)
            .map(|card| card.display_name)
            .unwrap_or_default();
        let plain = |c: &char| !c.is_control() && !matches!(c, '"' | '\\' | '<' | '>' | ',');
        let name: String = name.chars().filter(plain).collect();
        format!("\"{name}\" <{}>", person.sip())
    }

    /// The acknowledgement of an accepted invitation goes to whoever accepted; one of a refusal ends
    /// here, because every refusal was acknowledged when it came.
    fn relay_ack(
        &mut self,
        connection: ConnectionId,
        message: &Message,
        envelope: &Envelope<'_>,
        fx: &mut Effects,
    ) {
        let invite = key(connection, envelope, "INVITE");
        let known = self.relay.by_client.get(&invite);
        let status = known.and_then(|id| self.relay.transactions.get(id)?.finished);
        if status.is_some_and(|status| status >= 300) {
            return;
        }
        let Some(open) = self.connections.get(&connection) else {
            return;
        };
        let from_tag = envelope.from.tag().unwrap_or_default();
        let to_tag = envelope.to.tag().unwrap_or_default();
        let peer = self
            .relay
            .dialogs
            .peer(envelope.call_id, open.endpoint, from_tag, to_tag);
        let Some(peer) = peer.and_then(|peer| self.endpoints.get(&peer)) else {
            return;
        };
        let Some(to) = peer.connection else { return };
        if message.max_forwards() == Some(0) {
            return;
        }
        let target = peer.contact.clone();
        let mut out = self.forwarded(connection, message);
        let branch = self.ids.branch();
        out.set_uri(target);
        out.set(Name::Via, self.via(&branch));
        fx.send(to, out);
    }

    /// The caller gave up.
    fn relay_cancel(
        &mut self,
        connection: ConnectionId,
        message: &Message,
        envelope: &Envelope<'_>,
        fx: &mut Effects,
    ) -> Result<(), Halt> {
        let invite = key(connection, envelope, "INVITE");
        let id = *self.relay.by_client.get(&invite).ok_or(Refusal::NoDialog)?;
        let out = self.ok(message);
        fx.send(connection, out);
        if self
            .relay
            .transactions
            .get(&id)
            .is_some_and(|t| t.finished.is_none())
        {
            self.cancel_legs(id, fx);
            self.finish_with(id, &Refusal::Cancelled, fx);
        }
        Ok(())
    }
}

/// What of a request is needed for its answers. Requests wait for a minute and longer, and may have
/// large bodies.
fn kept(message: &Message) -> Message {
    let method = message.method().unwrap_or(Method::Options);
    let mut out = OutMessage::request(method, message.uri().unwrap_or_default());
    for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
        for value in message.headers(name) {
            out.push(name, value);
        }
    }
    // What was read once can be read again.
    Message::parse(out.to_bytes()).unwrap_or_else(|_| message.clone())
}

fn key(connection: ConnectionId, envelope: &Envelope<'_>, method: &'static str) -> Key {
    Key {
        connection,
        call_id: envelope.call_id.into(),
        tag: envelope.from.tag().unwrap_or_default().into(),
        number: envelope.cseq.number,
        method,
    }
}

/// The methods that go from person to person, and whose answers are awaited.
fn relayed(method: Method<'_>) -> Option<&'static str> {
    Some(match method {
        Method::Invite => "INVITE",
        Method::Message => "MESSAGE",
        Method::Info => "INFO",
        Method::Bye => "BYE",
        Method::Options => "OPTIONS",
        Method::Refer => "REFER",
        Method::Update => "UPDATE",
        Method::Prack => "PRACK",
        _ => return None,
    })
}

const ALLOWED: &str =
    "REGISTER, SUBSCRIBE, SERVICE, INVITE, ACK, BYE, CANCEL, MESSAGE, INFO, OPTIONS, REFER";
