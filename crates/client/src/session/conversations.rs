// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instant messages out: a dialog for each person, messages one after the other, and what became of each.

use std::collections::{HashMap, VecDeque};

use lanyard_fault::Fault;
use lanyard_presence::PersonUri;
use lanyard_presence::xml::content_type;
use lanyard_presence::xml::keyboard::KeyboardActivity;
use lanyard_sip::{Headers, Message, Method, Name};
use time::OffsetDateTime;

use super::dialog::Dialog;
use super::multiparty::{Group, Shared};
use super::registration::diagnosed;
use super::{Action, Now, Purpose, Session, Token, fresh_id};
use crate::address::SignInAddress;
use crate::problem::{Problem, printable};
use crate::view::{Delivery, MessageView};

/// Longest text of one message, in bytes.
pub const TEXT_BYTES_MAX: usize = 32 * 1024;
/// Dialogs at one time.
pub(super) const DIALOGS_MAX: usize = 256;
/// Messages that wait for one dialog.
const WAITING_MAX: usize = 64;
/// The type of a message's text.
pub(super) const PLAIN_TEXT: &str = "text/plain; charset=UTF-8";

/// Conversations by their dialogs.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    /// By our tag.
    pub(super) dialogs: HashMap<String, Dialog>,
    /// Which dialog messages to one person alone go through.
    current: HashMap<PersonUri, String>,
    waiting: HashMap<PersonUri, VecDeque<Outgoing>>,
    in_flight: HashMap<String, Outgoing>,
    /// Conversations of several, by Call-ID.
    pub(super) groups: HashMap<String, Group>,
    /// Messages on their way to several.
    pub(super) shared: HashMap<String, Shared>,
}

#[derive(Debug, Clone)]
struct Outgoing {
    view: MessageView,
    token: Option<Token>,
    retried: bool,
}

impl Outgoing {
    fn failed(mut self, reason: &Problem, actions: &mut Vec<Action>) {
        self.view.delivery = Delivery::NotDelivered {
            reason: reason.clone(),
        };
        actions.push(Action::Message(self.view));
        if let Some(token) = self.token {
            actions.push(Action::Done {
                token,
                outcome: Err(reason.clone()),
            });
        }
    }
}

impl Conversations {
    /// The connection is gone: no dialog survives it.
    pub(super) fn drop_dialogs(&mut self) {
        self.dialogs.clear();
        self.current.clear();
    }

    /// Everything that was on its way is not delivered.
    pub(super) fn fail_all(&mut self, reason: &Problem) -> Vec<Action> {
        let mut actions = Vec::new();
        let waiting = self.waiting.drain().flat_map(|(_, queue)| queue);
        for message in waiting.chain(self.in_flight.drain().map(|(_, message)| message)) {
            message.failed(reason, &mut actions);
        }
        for (_, message) in self.shared.drain() {
            message.failed(reason, &mut actions);
        }
        actions
    }

    /// The dialog that a request inside one belongs to.
    pub(super) fn of_request(&self, request: &Message) -> Option<&Dialog> {
        let to = request.to_addr()?;
        let dialog = self.dialogs.get(to.tag()?)?;
        dialog.owns(request).then_some(dialog)
    }

    pub(super) fn is_full(&self) -> bool {
        self.dialogs.len() >= DIALOGS_MAX
    }

    /// A dialog that stands: from now on messages go through it.
    pub(super) fn establish(&mut self, dialog: Dialog) {
        self.current
            .insert(dialog.with.clone(), dialog.id().to_owned());
        self.dialogs.insert(dialog.id().to_owned(), dialog);
    }

    /// A message came through this dialog: the endpoint behind it is where the person is now.
    pub(super) fn prefer(&mut self, id: &str) {
        if let Some(dialog) = self.dialogs.get(id) {
            self.current.insert(dialog.with.clone(), id.to_owned());
        }
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Dialog> {
        let dialog = self.dialogs.remove(id)?;
        self.not_current(&dialog);
        Some(dialog)
    }

    /// Messages to this person alone go through another dialog from now on.
    pub(super) fn not_current(&mut self, dialog: &Dialog) {
        let current = self.current.get(&dialog.with);
        if current.is_some_and(|current| current == dialog.id()) {
            self.current.remove(&dialog.with);
        }
    }
}

impl Session {
    /// Sends a message. Its fate comes as [`Action::Message`] and [`Action::Done`].
    pub fn send_text(&mut self, now: Now, to: &SignInAddress, text: &str, token: Token) {
        let refused = self.unsendable(text);
        let uri = PersonUri::parse(to.as_str()).map_err(|_| Fault::AddressMalformed.into());
        let uri = match refused.map_or(uri, Err) {
            Ok(uri) => uri,
            Err(problem) => return self.tell(Some(token), Err(problem)),
        };
        let view = MessageView {
            id: fresh_id(),
            with: to.clone(),
            conversation: None,
            name: self.name_of(&uri),
            mine: true,
            text: text.to_owned(),
            at: now.wall,
            delivery: Delivery::Sending,
        };
        let queue = self.conversations.waiting.entry(uri.clone()).or_default();
        if queue.len() >= WAITING_MAX {
            return self.tell(Some(token), Err(Fault::MessageNotDelivered.into()));
        }
        self.typing.said(&uri);
        queue.push_back(Outgoing {
            view: view.clone(),
            token: Some(token),
            retried: false,
        });
        self.actions.push(Action::Message(view));
        self.pump(now, &uri);
    }

    /// Why a text cannot be sent at all.
    pub(super) fn unsendable(&self, text: &str) -> Option<Problem> {
        if text.trim().is_empty() {
            Some(Problem::new(Fault::MessageEmpty))
        } else if text.len() > TEXT_BYTES_MAX {
            Some(Problem::new(Fault::TextTooLong))
        } else if !self.is_registered() {
            Some(Problem::new(Fault::SessionLost))
        } else {
            None
        }
    }

    /// Tells the other side that the person types; without a dialog nobody would see it.
    pub fn send_typing(&mut self, now: Now, to: &SignInAddress, on: bool) {
        let Ok(uri) = PersonUri::parse(to.as_str()) else {
            return;
        };
        let Some(dialog) = self
            .current_dialog(&uri)
            .filter(|dialog| dialog.established)
        else {
            return;
        };
        let id = dialog.id().to_owned();
        if !self.typing.is_due(now, &uri, on) {
            return;
        }
        let activity = if on {
            KeyboardActivity::Typing
        } else {
            KeyboardActivity::Idle
        };
        let me = self.me.clone();
        if let Some(dialog) = self.conversations.dialogs.get_mut(&id) {
            let info = dialog
                .next(&me, Method::Info)
                .with_body(content_type::XML, activity.to_xml());
            self.send_request(now, info, Purpose::InDialog);
        }
    }

    /// Ends every dialog in good order.
    pub(super) fn close_conversations(&mut self, now: Now) {
        let me = self.me.clone();
        let mut dialogs = std::mem::take(&mut self.conversations.dialogs);
        self.conversations.current.clear();
        self.conversations_ended();
        for dialog in dialogs.values_mut().filter(|dialog| dialog.established) {
            let bye = dialog.next(&me, Method::Bye);
            self.send_request(now, bye, Purpose::InDialog);
        }
    }

    fn current_dialog(&self, uri: &PersonUri) -> Option<&Dialog> {
        self.conversations
            .dialogs
            .get(self.conversations.current.get(uri)?)
    }

    /// Sends what waits for somebody, or makes the dialog that it needs.
    pub(super) fn pump(&mut self, now: Now, uri: &PersonUri) {
        let dialog_id = match self.current_dialog(uri) {
            None => return self.invite(now, uri),
            Some(dialog) if !dialog.established => return,
            Some(dialog) => dialog.id().to_owned(),
        };
        let me = self.me.clone();
        while let Some(message) = self
            .conversations
            .waiting
            .get_mut(uri)
            .and_then(VecDeque::pop_front)
        {
            let Some(dialog) = self.conversations.dialogs.get_mut(&dialog_id) else {
                return;
            };
            let request = dialog
                .next(&me, Method::Message)
                .with_body(PLAIN_TEXT, message.view.text.clone());
            let id = message.view.id.clone();
            self.conversations.in_flight.insert(id.clone(), message);
            let purpose = Purpose::Message {
                dialog: dialog_id.clone(),
                id,
            };
            self.send_request(now, request, purpose);
        }
    }

    fn invite(&mut self, now: Now, uri: &PersonUri) {
        if self.conversations.is_full() {
            return self.fail_waiting(uri, &Problem::new(Fault::MessageNotDelivered));
        }
        let mut dialog = Dialog::outgoing(uri);
        let request = dialog.invite(&self.me, None);
        let purpose = Purpose::Invite {
            dialog: dialog.id().to_owned(),
        };
        self.conversations.establish(dialog);
        self.send_request(now, request, purpose);
    }

    pub(super) fn invite_answered(&mut self, now: Now, id: &str, answer: Option<&Message>) {
        let Some(mut dialog) = self.conversations.dialogs.get(id).cloned() else {
            return;
        };
        if self.conversations.groups.contains_key(&dialog.call_id) {
            return self.third_answered(now, dialog, answer);
        }
        let uri = dialog.with.clone();
        let status = answer.and_then(Headers::status).unwrap_or(408);
        match answer {
            Some(answer) if (200..300).contains(&status) => {
                dialog.accepted(answer);
                self.learn_identity(&uri, answer);
                let acknowledge = dialog.acknowledge(&self.me);
                // They may have invited us at the same time: the newer dialog carries on.
                self.conversations.establish(dialog);
                self.send(now, acknowledge);
                self.pump(now, &uri);
            }
            _ => {
                let was_current = self
                    .conversations
                    .current
                    .get(&uri)
                    .is_some_and(|current| current == id);
                self.conversations.remove(id);
                if was_current {
                    let reason = self.undelivered(status, answer, &uri);
                    self.fail_waiting(&uri, &reason);
                }
            }
        }
    }

    pub(super) fn message_answered(
        &mut self,
        now: Now,
        dialog: &str,
        id: &str,
        answer: Option<&Message>,
    ) {
        if self.conversations.shared.contains_key(id) {
            return self.shared_answered(dialog, id, answer);
        }
        let Some(mut message) = self.conversations.in_flight.remove(id) else {
            return;
        };
        let status = answer.and_then(Headers::status).unwrap_or(408);
        if (200..300).contains(&status) {
            message.view.delivery = Delivery::Delivered;
            self.actions.push(Action::Message(message.view));
            return self.tell(message.token, Ok(()));
        }
        let with = PersonUri::parse(message.view.with.as_str());
        if matches!(status, 408 | 480 | 481) {
            self.conversations.remove(dialog);
        }
        // 481: the other endpoint is gone and never saw the message; another one may be there.
        if let (481, false, Ok(uri)) = (status, message.retried, &with) {
            message.retried = true;
            let queue = self.conversations.waiting.entry(uri.clone()).or_default();
            queue.push_front(message);
            return self.pump(now, uri);
        }
        let reason = match &with {
            Ok(uri) => self.undelivered(status, answer, uri),
            Err(_) => Problem::new(Fault::MessageNotDelivered),
        };
        message.failed(&reason, &mut self.actions);
    }

    fn fail_waiting(&mut self, uri: &PersonUri, reason: &Problem) {
        for message in self.conversations.waiting.remove(uri).into_iter().flatten() {
            message.failed(reason, &mut self.actions);
        }
    }

    pub(super) fn undelivered(
        &self,
        status: u16,
        answer: Option<&Message>,
        uri: &PersonUri,
    ) -> Problem {
        let name = self.name_of(uri);
        if let Some(problem) = answer.and_then(diagnosed)
            && !problem.is(Fault::SignInRefused)
        {
            return problem;
        }
        match status {
            404 | 604 => Problem::new(Fault::PersonUnknown)
                .with_detail(format!("The address is {}.", uri.address())),
            480 | 408 | 410 | 430 => Problem::new(Fault::MessageNotDelivered)
                .with_detail(format!("{name} is unavailable or offline.")),
            486 | 600 | 603 => Problem::new(Fault::MessageNotDelivered)
                .with_detail(format!("{name} does not take messages now.")),
            _ => Problem::new(Fault::MessageNotDelivered)
                .with_detail(format!("The server answered {status}.")),
        }
    }

    /// The best name that is known for somebody: from the list, else as they call themselves.
    pub(super) fn name_of(&self, uri: &PersonUri) -> String {
        let known = self
            .roster
            .name(uri)
            .or_else(|| self.names.get(uri).cloned());
        known.unwrap_or_else(|| uri.address().to_owned())
    }

    /// Keeps how somebody calls themselves, for those who are not in the list.
    pub(super) fn learn_name(&mut self, uri: &PersonUri, message: &Message) {
        let from = message.from_addr();
        let Some(name) = from.as_ref().and_then(|from| from.display()) else {
            return;
        };
        let name = printable(&name);
        if !name.is_empty() && self.names.len() < DIALOGS_MAX {
            self.names.insert(uri.clone(), name);
        }
    }

    /// Keeps the name that the server gives for whoever answered.
    pub(super) fn learn_identity(&mut self, uri: &PersonUri, answer: &Message) {
        let identity = answer.addresses(Name::PAssertedIdentity).next();
        let name = identity.and_then(|one| one.display().map(|name| printable(&name)));
        if let Some(name) = name.filter(|name| !name.is_empty())
            && self.names.len() < DIALOGS_MAX
        {
            self.names.insert(uri.clone(), name);
        }
    }

    /// A message of somebody else, for the faces and the history.
    pub(super) fn received_text(
        &mut self,
        uri: &PersonUri,
        conversation: Option<String>,
        text: String,
        at: OffsetDateTime,
    ) {
        let Ok(with) = uri.address().parse() else {
            return;
        };
        let view = MessageView {
            id: fresh_id(),
            with,
            conversation,
            name: self.name_of(uri),
            mine: false,
            text,
            at,
            delivery: Delivery::Received,
        };
        self.actions.push(Action::Message(view));
    }
}
