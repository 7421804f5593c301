// SPDX-License-Identifier: MIT OR Apache-2.0
//! Conversations of several people without a conference server, as clients of this family hold them among themselves.
//!
//! Everybody has a dialog with everybody else, and all of these dialogs have one Call-ID. One member invites: the
//! *roster manager*, whose invitation names all members (`EndPoints`). The invited then invites everybody named
//! there (`TriggeredInvite`), which is how those learn of the new member. Other members ask the manager (REFER).
//! A message goes to each member through its own dialog; whoever leaves says goodbye (BYE) to each.

mod actions;
mod joining;

use std::collections::BTreeMap;

use lanyard_fault::Fault;
use lanyard_presence::PersonUri;
use lanyard_sip::{Headers, Message, Method, Name, NameAddr, OutMessage, split_list};

use super::conversations::PLAIN_TEXT;
use super::dialog::Dialog;
use super::{Action, Now, Purpose, Session, Token, fresh_id};
use crate::address::SignInAddress;
use crate::problem::Problem;
use crate::view::{ConversationView, Delivery, MemberView, MessageView};

pub(super) use actions::ROSTER_ACTION;

/// The option of clients that can talk in such conversations.
pub(super) const MULTIPARTY: &str = "com.microsoft.rtc-multiparty";
/// People in one conversation besides the person of this session: everybody sends everything to everybody.
pub const MEMBERS_MAX: usize = 32;
/// Conversations of several at one time.
const CONVERSATIONS_MAX: usize = 64;
/// Longest Call-ID that may name a conversation, in bytes.
const CALL_ID_BYTES_MAX: usize = 200;

/// The names of the headers that `lanyard_sip` has no constants for.
const END_POINTS: &str = "EndPoints";
const ROSTER_MANAGER: &str = "Roster-Manager";
const TRIGGERED_INVITE: &str = "TriggeredInvite";

/// Where somebody is brought into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The conversation of several with this id.
    In(String),
    /// A new conversation with this person.
    With(SignInAddress),
}

/// What an invitation says of its conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Party {
    end_points: Vec<PersonUri>,
    manager: Option<PersonUri>,
    referred_by: Option<String>,
    triggered: bool,
}

impl Party {
    /// Reads it; `None` for an invitation to talk to one person alone.
    pub(super) fn of(invite: &Message) -> Option<Self> {
        let end_points = invite.headers_named(END_POINTS).flat_map(split_list);
        let end_points = end_points.filter_map(person);
        let triggered = invite.header_named(TRIGGERED_INVITE);
        let party = Self {
            end_points: end_points.take(MEMBERS_MAX.saturating_add(1)).collect(),
            manager: invite.header_named(ROSTER_MANAGER).and_then(person),
            referred_by: None,
            triggered: triggered.is_some_and(|text| text.eq_ignore_ascii_case("true")),
        };
        let is_one = party.triggered || party.manager.is_some() || !party.end_points.is_empty();
        is_one.then_some(party)
    }

    pub(super) fn write(&self, invite: &mut OutMessage) {
        if let Some(manager) = &self.manager {
            invite.push(ROSTER_MANAGER, manager.sip());
        }
        if !self.end_points.is_empty() {
            let all: Vec<String> = self
                .end_points
                .iter()
                .map(|one| format!("<{}>", one.sip()))
                .collect();
            invite.push(END_POINTS, all.join(", "));
        }
        if let Some(referred_by) = &self.referred_by {
            invite.push(Name::ReferredBy, referred_by);
        }
        if self.triggered {
            invite.push(TRIGGERED_INVITE, "TRUE");
        }
        invite.push(Name::Require, MULTIPARTY);
    }
}

fn person(text: &str) -> Option<PersonUri> {
    let address = NameAddr::parse(text).ok()?;
    PersonUri::parse(&address.sip_uri().ok()?.address()).ok()
}

/// A conversation of several.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// The dialogs that messages go through.
    members: BTreeMap<PersonUri, String>,
    /// Who invites; unknown until somebody says so.
    manager: Option<PersonUri>,
    /// Whom we have invited, by the dialog, and who waits for it.
    invited: BTreeMap<String, Asked>,
    /// Whom to invite once the first member is in.
    queue: Vec<(PersonUri, Asked)>,
    /// Faces know of it.
    told: bool,
}

/// Who waits for somebody to come in.
#[derive(Debug)]
enum Asked {
    /// Nobody: it was due.
    ByItself,
    /// A face.
    Face(Token),
    /// Another member, whose request is answered then.
    Member(Box<Message>),
}

/// A message on its way to several people.
#[derive(Debug)]
pub(super) struct Shared {
    view: MessageView,
    token: Token,
    left: usize,
    missed: Vec<String>,
}

impl Shared {
    pub(super) fn failed(mut self, reason: &Problem, actions: &mut Vec<Action>) {
        self.view.delivery = Delivery::NotDelivered {
            reason: reason.clone(),
        };
        actions.push(Action::Message(self.view));
        actions.push(Action::Done {
            token: self.token,
            outcome: Err(reason.clone()),
        });
    }
}

impl Session {
    /// The conversations of several.
    #[must_use]
    pub fn conversations(&self) -> Vec<ConversationView> {
        let told = self
            .conversations
            .groups
            .iter()
            .filter(|(_, group)| group.told);
        told.map(|(id, group)| self.conversation_view(id, group, false))
            .collect()
    }

    fn conversation_view(&self, id: &str, group: &Group, ended: bool) -> ConversationView {
        let member = |uri: &PersonUri| {
            let address = uri.address().parse().ok()?;
            let name = self.name_of(uri);
            Some(MemberView { address, name })
        };
        let mut members: Vec<MemberView> = group.members.keys().filter_map(member).collect();
        members.sort_by_key(|one| (one.name.to_lowercase(), one.address.clone()));
        ConversationView {
            id: id.to_owned(),
            members,
            ended,
        }
    }

    /// Says something to everybody in a conversation. Its fate comes as [`Action::Message`] and [`Action::Done`].
    pub fn say(&mut self, now: Now, conversation: &str, text: &str, token: Token) {
        if let Some(problem) = self.unsendable(text) {
            return self.tell(Some(token), Err(problem));
        }
        let Some(group) = self.conversations.groups.get(conversation) else {
            return self.tell(Some(token), Err(Fault::ConversationUnknown.into()));
        };
        let dialogs: Vec<String> = group.members.values().cloned().collect();
        if dialogs.is_empty() {
            return self.tell(Some(token), Err(Fault::ConversationUnknown.into()));
        }
        let view = MessageView {
            id: fresh_id(),
            with: self.me.address.clone(),
            conversation: Some(conversation.to_owned()),
            name: self.me.name.clone(),
            mine: true,
            text: text.to_owned(),
            at: now.wall,
            delivery: Delivery::Sending,
        };
        self.actions.push(Action::Message(view.clone()));
        let id = view.id.clone();
        let shared = Shared {
            view,
            token,
            left: dialogs.len(),
            missed: Vec::new(),
        };
        self.conversations.shared.insert(id.clone(), shared);
        let me = self.me.clone();
        for dialog_id in dialogs {
            let purpose = Purpose::Message {
                dialog: dialog_id.clone(),
                id: id.clone(),
            };
            match self.conversations.dialogs.get_mut(&dialog_id) {
                Some(dialog) => {
                    let request = dialog
                        .next(&me, Method::Message)
                        .with_body(PLAIN_TEXT, text.to_owned());
                    self.send_request(now, request, purpose);
                }
                None => self.shared_answered(&dialog_id, &id, None),
            }
        }
    }

    /// One of several has answered a message.
    pub(super) fn shared_answered(&mut self, dialog_id: &str, id: &str, answer: Option<&Message>) {
        let status = answer.and_then(Headers::status).unwrap_or(408);
        let dialog = self.conversations.dialogs.get(dialog_id).cloned();
        let name = dialog.as_ref().map(|dialog| self.name_of(&dialog.with));
        let Some(shared) = self.conversations.shared.get_mut(id) else {
            return;
        };
        shared.left = shared.left.saturating_sub(1);
        if !(200..300).contains(&status) {
            shared.missed.extend(name);
        }
        if shared.left == 0
            && let Some(shared) = self.conversations.shared.remove(id)
        {
            self.shared_done(shared);
        }
        // Whoever is not there any more does not come back into this conversation.
        if let (408 | 480 | 481, Some(dialog)) = (status, dialog) {
            self.dialog_over(&dialog);
        }
    }

    fn shared_done(&mut self, shared: Shared) {
        if !shared.missed.is_empty() {
            let names = shared.missed.join(", ");
            let reason = Problem::new(Fault::MessageNotDelivered)
                .with_detail(format!("It did not reach {names}."));
            return shared.failed(&reason, &mut self.actions);
        }
        let Shared {
            mut view, token, ..
        } = shared;
        view.delivery = Delivery::Delivered;
        self.actions.push(Action::Message(view));
        self.tell(Some(token), Ok(()));
    }

    /// Leaves a conversation.
    pub fn leave(&mut self, now: Now, conversation: &str, token: Token) {
        let Some(group) = self.conversations.groups.remove(conversation) else {
            return self.tell(Some(token), Err(Fault::ConversationUnknown.into()));
        };
        let dialogs = self.conversations.dialogs.values();
        let mine = dialogs.filter(|dialog| dialog.call_id == conversation);
        let ids: Vec<String> = mine.map(|dialog| dialog.id().to_owned()).collect();
        let me = self.me.clone();
        for id in ids {
            // One that is still being asked is told when it answers.
            let established = |dialog: &&mut Dialog| dialog.established;
            if let Some(dialog) = self.conversations.dialogs.get_mut(&id).filter(established) {
                let bye = dialog.next(&me, Method::Bye);
                self.send_request(now, bye, Purpose::InDialog);
                self.conversations.remove(&id);
            }
        }
        self.over(conversation, group);
        self.tell(Some(token), Ok(()));
    }

    /// A dialog has ended: in a conversation of several, its member has left.
    pub(super) fn dialog_over(&mut self, dialog: &Dialog) {
        self.conversations.remove(dialog.id());
        let Some(group) = self.conversations.groups.get_mut(&dialog.call_id) else {
            return;
        };
        if group.manager.as_ref() == Some(&dialog.with) {
            group.manager = None;
        }
        if group.members.remove(&dialog.with).is_some() {
            let of_member = |other: &Dialog| {
                other.call_id == dialog.call_id && other.with == dialog.with && other.established
            };
            self.conversations
                .dialogs
                .retain(|_, other| !of_member(other));
        }
        self.settle(&dialog.call_id);
    }

    /// Tells how a conversation is now, and ends it when nobody is left in it.
    fn settle(&mut self, id: &str) {
        let Some(group) = self.conversations.groups.get(id) else {
            return;
        };
        let waits = !group.invited.is_empty();
        if group.members.is_empty() && !waits {
            if let Some(group) = self.conversations.groups.remove(id) {
                self.over(id, group);
            }
            return;
        }
        // Nothing to show before somebody is there.
        if group.members.is_empty() && !group.told {
            return;
        }
        let view = self.conversation_view(id, group, false);
        if let Some(group) = self.conversations.groups.get_mut(id) {
            group.told = true;
        }
        self.actions.push(Action::Conversation(view));
    }

    fn over(&mut self, id: &str, group: Group) {
        if group.told {
            let view = self.conversation_view(id, &group, true);
            self.actions.push(Action::Conversation(view));
        }
        let gone = Problem::new(Fault::ConversationUnknown);
        let asked = group.invited.into_values();
        for asked in asked.chain(group.queue.into_iter().map(|(_, asked)| asked)) {
            if let Asked::Face(token) = asked {
                self.tell(Some(token), Err(gone.clone()));
            }
        }
    }

    /// The session ends, or its connection is lost: no conversation of several survives that.
    pub(super) fn conversations_ended(&mut self) {
        let groups: Vec<(String, Group)> = self.conversations.groups.drain().collect();
        for (id, group) in groups {
            self.over(&id, group);
        }
    }

    pub(super) fn drop_conversations(&mut self) {
        self.conversations_ended();
        self.conversations.drop_dialogs();
    }
}

#[cfg(test)]
mod tests;
