// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers of endpoints on their way back, and what happens when none comes.

use lanyard_sip::{Headers, Message, Method, Name, NameAddr, OutMessage};

use super::dialogs::{Room, Side};
use super::{Key, TransactionId, relayed};
use crate::hub::effect::{ConnectionId, Effects, Now};
use crate::hub::refusal::Refusal;
use crate::hub::state::EndpointId;
use crate::hub::timers::Timer;
use crate::hub::{Hub, value};
use crate::limits;

impl Hub {
    /// Takes an answer from a client. What matches nothing is dropped: it came too late.
    pub(in crate::hub) fn response(
        &mut self,
        now: Now,
        connection: ConnectionId,
        message: &Message,
        fx: &mut Effects,
    ) {
        let Ok(envelope) = message.envelope() else {
            return;
        };
        let Some(code) = message.status() else { return };
        if envelope.cseq.method == Method::Notify {
            let tag = envelope.from.tag().unwrap_or_default();
            let key = (envelope.call_id.to_owned(), tag.to_owned());
            let id = self.dialogs.get(&key).copied();
            let same = |s: &crate::hub::state::Subscription| s.connection == connection;
            if let Some(id) = id.filter(|id| self.subscriptions.get(id).is_some_and(same)) {
                self.notified(now, id, code, fx);
            }
            return;
        }
        let Some(method) = relayed(envelope.cseq.method) else {
            return;
        };
        let number = envelope.cseq.number;
        let key = Key {
            connection,
            call_id: envelope.call_id.into(),
            tag: envelope.from.tag().unwrap_or_default().into(),
            number,
            method,
        };
        let Some((id, index)) = self.relay.by_leg.get(&key).copied() else {
            return;
        };
        if code < 200 {
            self.provisional(id, code, message, fx);
        } else if method == "INVITE" {
            self.invite_answered(now, id, index, code, message, fx);
        } else {
            self.answered(id, code, message, fx);
        }
    }

    fn provisional(&mut self, id: TransactionId, code: u16, message: &Message, fx: &mut Effects) {
        let Some(transaction) = self.relay.transactions.get(&id) else {
            return;
        };
        // 100 says only that the next hop has it.
        if transaction.finished.is_none() && code > 100 && transaction.method == "INVITE" {
            let client = transaction.client;
            if let Some(out) = self.backward(id, message, None) {
                fx.send(client, out);
            }
        }
    }

    /// The answer to anything but an invitation.
    fn answered(&mut self, id: TransactionId, code: u16, message: &Message, fx: &mut Effects) {
        let Some(transaction) = self.relay.transactions.get(&id) else {
            return;
        };
        if matches!(code, 408 | 481) {
            // RFC 3261, 12.2.1.2: the dialog is gone on the other side.
            let request = &transaction.request;
            if let (Some(from), Some(to)) = (request.from_addr(), request.to_addr())
                && let (Some(one), Some(other)) = (from.tag(), to.tag())
            {
                let call = request.call_id().unwrap_or_default();
                self.relay.dialogs.remove(call, one, other);
            }
        }
        self.finish(id, code, message, None, fx);
        self.forget_transaction(id);
    }

    fn invite_answered(
        &mut self,
        now: Now,
        id: TransactionId,
        index: usize,
        code: u16,
        message: &Message,
        fx: &mut Effects,
    ) {
        let Some(transaction) = self.relay.transactions.get_mut(&id) else {
            return;
        };
        let Some(leg) = transaction.legs.get_mut(index) else {
            return;
        };
        if leg.done {
            return;
        }
        leg.done = true;
        let finished = transaction.finished.is_some();
        if code >= 300 {
            // An answer of this hop, so this hop acknowledges it.
            self.leg_request(id, index, "ACK", message, fx);
        }
        match code {
            200..=299 if finished => {
                // Somebody else was faster, or the caller gave up: take it, and say goodbye.
                self.leg_request(id, index, "ACK", message, fx);
                self.leg_request(id, index, "BYE", message, fx);
            }
            // RFC 3261, 12.1.1: without a tag there is no dialog that anybody could speak in.
            200..=299 if message.to_addr().and_then(|to| to.tag()).is_none() => {
                self.leg_request(id, index, "ACK", message, fx);
                self.cancel_legs(id, fx);
                self.finish_with(id, &Refusal::BadAnswer, fx);
                self.linger(now, id);
            }
            200..=299 => {
                self.begin_dialog(id, index, message);
                self.finish(id, code, message, Some(index), fx);
                self.cancel_legs(id, fx);
                self.linger(now, id);
            }
            _ if finished => {}
            _ => {
                if let Some(transaction) = self.relay.transactions.get_mut(&id) {
                    let best = transaction.best.as_ref().and_then(Headers::status);
                    // RFC 3261, 16.7: a 6xx counts for all, then the lowest class.
                    if best.is_none_or(|best| code >= 600 || (best < 600 && code < best)) {
                        transaction.best = Some(message.clone());
                    }
                }
                if code >= 600 {
                    self.cancel_legs(id, fx);
                }
                self.conclude(now, id, fx);
            }
        }
    }

    /// Gives the caller the best refusal when nobody is left who could accept.
    fn conclude(&mut self, now: Now, id: TransactionId, fx: &mut Effects) {
        let Some(transaction) = self.relay.transactions.get_mut(&id) else {
            return;
        };
        let open = transaction
            .legs
            .iter()
            .any(|leg| !leg.done && !leg.cancelled);
        if open || transaction.finished.is_some() {
            return;
        }
        match transaction.best.take() {
            Some(best) => {
                let code = best.status().unwrap_or(480);
                self.finish(id, code, &best, None, fx);
            }
            None => self.finish_with(id, &Refusal::Offline, fx),
        }
        self.linger(now, id);
    }

    /// Passes the final answer back to the sender; `accepted` is the leg that took an invitation.
    fn finish(
        &mut self,
        id: TransactionId,
        code: u16,
        message: &Message,
        accepted: Option<usize>,
        fx: &mut Effects,
    ) {
        // A peer must not send the sender elsewhere, nor ask it for credentials.
        if matches!(code, 300..=399 | 401 | 407 | 492..=494) {
            self.finish_with(id, &Refusal::BadAnswer, fx);
            return;
        }
        let identity = accepted.and_then(|index| self.leg_identity(id, index));
        let Some(out) = self.backward(id, message, identity) else {
            return;
        };
        let Some(transaction) = self.relay.transactions.get_mut(&id) else {
            return;
        };
        transaction.finished = Some(code);
        let (client, endpoint) = (transaction.client, transaction.endpoint);
        fx.send(client, out);
        self.one_less(endpoint);
    }

    /// Answers the sender ourselves.
    pub(super) fn finish_with(&mut self, id: TransactionId, refusal: &Refusal, fx: &mut Effects) {
        let Some(transaction) = self.relay.transactions.get_mut(&id) else {
            return;
        };
        if transaction.finished.is_some() {
            return;
        }
        transaction.finished = Some(refusal.code());
        let (client, endpoint) = (transaction.client, transaction.endpoint);
        let request = transaction.request.clone();
        self.one_less(endpoint);
        self.refuse(client, &request, refusal, fx);
    }

    /// An answer as the sender gets it: its own Via and identifiers, nothing of this hop.
    fn backward(
        &self,
        id: TransactionId,
        message: &Message,
        identity: Option<String>,
    ) -> Option<OutMessage> {
        let request = &self.relay.transactions.get(&id)?.request;
        let mut out = OutMessage::forward(message);
        for name in [
            Name::RecordRoute,
            Name::PPreferredIdentity,
            Name::PAssertedIdentity,
            Name::Via,
        ] {
            out.remove(name);
        }
        for via in request.headers(Name::Via) {
            out.push(Name::Via, via);
        }
        for name in [Name::From, Name::CallId, Name::CSeq] {
            out.set(name, value(request, name));
        }
        if let Some(identity) = identity {
            out.push(Name::PAssertedIdentity, identity);
        }
        Some(out)
    }

    /// Who answered an invitation, as this server knows it.
    fn leg_identity(&self, id: TransactionId, index: usize) -> Option<String> {
        let leg = self.relay.transactions.get(&id)?.legs.get(index)?;
        Some(self.identity(&leg.person))
    }

    fn begin_dialog(&mut self, id: TransactionId, index: usize, message: &Message) {
        let Some(transaction) = self.relay.transactions.get(&id) else {
            return;
        };
        let Some(leg) = transaction.legs.get(index) else {
            return;
        };
        let tag = |address: Option<NameAddr<'_>>| -> Box<str> {
            address.and_then(|a| a.tag()).unwrap_or_default().into()
        };
        let caller = Side {
            endpoint: transaction.endpoint,
            tag: tag(transaction.request.from_addr()),
        };
        let callee = Side {
            endpoint: leg.endpoint,
            tag: tag(message.to_addr()),
        };
        if callee.tag.len() > limits::TOKEN_BYTES_MAX {
            return;
        }
        let call = transaction.key.call_id.clone();
        // A re-INVITE within a dialog begins none, whichever side sends it.
        let (from, to) = (&caller.tag, &callee.tag);
        if self
            .relay
            .dialogs
            .peer(&call, caller.endpoint, from, to)
            .is_none()
        {
            let room = Room {
                of_endpoint: limits::DIALOGS_PER_ENDPOINT_MAX,
                of_pair: limits::DIALOGS_PER_PAIR_MAX,
            };
            let number = transaction.key.number;
            self.relay
                .dialogs
                .insert(&call, caller, callee, number, room);
        }
    }

    /// Cancels everybody who has not answered.
    pub(super) fn cancel_legs(&mut self, id: TransactionId, fx: &mut Effects) {
        let Some(transaction) = self.relay.transactions.get_mut(&id) else {
            return;
        };
        if transaction.method != "INVITE" {
            return;
        }
        let mut open = Vec::new();
        for (index, leg) in transaction.legs.iter_mut().enumerate() {
            if !leg.done && !leg.cancelled {
                leg.cancelled = true;
                open.push(index);
            }
        }
        let request = transaction.request.clone();
        for index in open {
            self.leg_request(id, index, "CANCEL", &request, fx);
        }
    }

    /// Sends an endpoint a request of this hop: CANCEL, ACK or BYE of an invitation. `like` gives To.
    fn leg_request(
        &mut self,
        id: TransactionId,
        index: usize,
        method: &'static str,
        like: &Message,
        fx: &mut Effects,
    ) {
        let fresh = self.ids.branch();
        let Some(transaction) = self.relay.transactions.get(&id) else {
            return;
        };
        let Some(leg) = transaction.legs.get(index) else {
            return;
        };
        // RFC 3261, 9.1 and 17.1.1.3: CANCEL and the ACK of a refusal belong to the INVITE's hop.
        let refusal = like.status().is_some_and(|code| code >= 300);
        let branch = if method == "CANCEL" || refusal {
            &leg.branch
        } else {
            &fresh
        };
        let number = transaction.key.number;
        let number = if method == "BYE" {
            number.saturating_add(1)
        } else {
            number
        };
        let mut out = OutMessage::request(Method::of(method), &leg.target);
        out.push(Name::Via, self.via(branch));
        out.push(Name::MaxForwards, 70);
        out.push(Name::From, value(&transaction.request, Name::From));
        out.push(Name::To, value(like, Name::To));
        out.push(Name::CallId, &transaction.key.call_id);
        out.push(Name::CSeq, format_args!("{number} {method}"));
        fx.send(leg.connection, out);
    }

    /// Keeps a finished invitation for its ACK and for late answers.
    fn linger(&mut self, now: Now, id: TransactionId) {
        let until = now
            .instant
            .checked_add(limits::FINISHED_LINGER)
            .unwrap_or(now.instant);
        let Some(transaction) = self.relay.transactions.get_mut(&id) else {
            return;
        };
        transaction.deadline = until;
        self.timers.set(until, Timer::Transaction(id));
        // What waits longest makes room: an answer that late would have nobody to go to.
        let lingering = self
            .relay
            .lingering
            .entry(transaction.endpoint)
            .or_default();
        lingering.retain(|other| *other != id);
        lingering.push_back(id);
        if lingering.len() > limits::LINGERING_PER_ENDPOINT_MAX
            && let Some(oldest) = lingering.pop_front()
        {
            self.forget_transaction(oldest);
        }
    }

    pub(in crate::hub) fn transaction_due(
        &mut self,
        now: Now,
        id: TransactionId,
        fx: &mut Effects,
    ) {
        let Some(transaction) = self.relay.transactions.get(&id) else {
            return;
        };
        if transaction.deadline > now.instant {
            return;
        }
        if transaction.finished.is_some() {
            self.forget_transaction(id);
            return;
        }
        let invite = transaction.method == "INVITE";
        self.cancel_legs(id, fx);
        self.finish_with(id, &Refusal::Timeout, fx);
        if invite {
            self.linger(now, id);
        } else {
            self.forget_transaction(id);
        }
    }

    /// A connection is gone: what it asked is cancelled, what it was asked it will not answer.
    pub(in crate::hub) fn relay_connection_lost(
        &mut self,
        now: Now,
        connection: ConnectionId,
        fx: &mut Effects,
    ) {
        let mut asked: Vec<TransactionId> = Vec::new();
        let mut own: Vec<TransactionId> = Vec::new();
        for (id, transaction) in &self.relay.transactions {
            if transaction.client == connection {
                own.push(*id);
            } else if transaction
                .legs
                .iter()
                .any(|l| l.connection == connection && !l.done)
            {
                asked.push(*id);
            }
        }
        own.sort_unstable();
        asked.sort_unstable();
        for id in own {
            self.cancel_legs(id, fx);
            if let Some(transaction) = self.relay.transactions.get_mut(&id)
                && transaction.finished.is_none()
            {
                transaction.finished = Some(Refusal::Cancelled.code());
                let endpoint = transaction.endpoint;
                self.one_less(endpoint);
                self.linger(now, id);
            }
        }
        for id in asked {
            if let Some(transaction) = self.relay.transactions.get_mut(&id) {
                let lost = transaction
                    .legs
                    .iter_mut()
                    .filter(|l| l.connection == connection);
                lost.for_each(|leg| leg.done = true);
            }
            self.conclude(now, id, fx);
        }
    }

    fn one_less(&mut self, endpoint: EndpointId) {
        if let Some(endpoint) = self.endpoints.get_mut(&endpoint) {
            endpoint.transactions = endpoint.transactions.saturating_sub(1);
        }
    }

    fn forget_transaction(&mut self, id: TransactionId) {
        let Some(transaction) = self.relay.transactions.remove(&id) else {
            return;
        };
        self.timers.clear(Timer::Transaction(id));
        let of = transaction.endpoint;
        if let Some(lingering) = self.relay.lingering.get_mut(&of) {
            lingering.retain(|other| *other != id);
            if lingering.is_empty() {
                self.relay.lingering.remove(&of);
            }
        }
        self.relay.by_client.remove(&transaction.key);
        for leg in transaction.legs {
            self.relay.by_leg.remove(&leg.key);
        }
    }
}
