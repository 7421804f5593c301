// SPDX-License-Identifier: MIT OR Apache-2.0
//! How people come into a conversation of several: invited by us, by themselves, or at somebody's request.

use lanyard_fault::Fault;
use lanyard_presence::PersonUri;
use lanyard_sip::{Headers, Message, Method, Name};

use super::{
    Asked, CALL_ID_BYTES_MAX, CONVERSATIONS_MAX, Group, MEMBERS_MAX, Party, Place, person,
};
use crate::address::SignInAddress;
use crate::problem::Problem;
use crate::session::conversations::DIALOGS_MAX;
use crate::session::dialog::Dialog;
use crate::session::{Now, Purpose, Session, Token, fresh_id};

impl Session {
    /// Brings somebody into a conversation; gives the conversation's id. The outcome comes as
    /// [`crate::session::Action::Done`].
    pub fn invite_third(
        &mut self,
        now: Now,
        place: &Place,
        who: &SignInAddress,
        token: Token,
    ) -> Option<String> {
        let begun = self.begin_invitation(now, place, who, token);
        match begun {
            Ok(id) => Some(id),
            Err(problem) => {
                self.tell(Some(token), Err(problem));
                None
            }
        }
    }

    fn begin_invitation(
        &mut self,
        now: Now,
        place: &Place,
        who: &SignInAddress,
        token: Token,
    ) -> Result<String, Problem> {
        let who = PersonUri::parse(who.as_str()).map_err(|_| Fault::AddressMalformed)?;
        if who == self.me.uri {
            return Err(Fault::AlreadyInConversation.into());
        }
        match place {
            Place::In(id) => {
                let group = self.conversations.groups.get(id);
                let group = group.ok_or(Fault::ConversationUnknown)?;
                self.has_room(id, &who)?;
                // Only one invites, so that no two newcomers miss each other.
                let manager = group.manager.as_ref().filter(|one| **one != self.me.uri);
                let dialog = manager.and_then(|one| group.members.get(one)).cloned();
                match dialog {
                    Some(dialog) => self.refer(now, &dialog, &who, token),
                    None => self.invite_into(now, id, &who, Asked::Face(token), None),
                }
                Ok(id.clone())
            }
            Place::With(with) => {
                let with = PersonUri::parse(with.as_str()).map_err(|_| Fault::AddressMalformed)?;
                if with == who || with == self.me.uri {
                    return Err(Fault::AlreadyInConversation.into());
                }
                if self.conversations.groups.len() >= CONVERSATIONS_MAX {
                    return Err(Fault::ConversationFull.into());
                }
                let id = fresh_id();
                let group = Group {
                    manager: Some(self.me.uri.clone()),
                    queue: vec![(who, Asked::Face(token))],
                    ..Group::default()
                };
                self.conversations.groups.insert(id.clone(), group);
                // The third one comes when the second is there to be named.
                self.invite_into(now, &id, &with, Asked::ByItself, None);
                Ok(id)
            }
        }
    }

    fn has_room(&self, id: &str, who: &PersonUri) -> Result<(), Problem> {
        let known = self.known_in(id);
        if known.contains(&who) {
            return Err(Fault::AlreadyInConversation.into());
        }
        if known.len() >= MEMBERS_MAX || self.conversations.is_full() {
            return Err(Fault::ConversationFull.into());
        }
        Ok(())
    }

    /// Members, and those who are being invited.
    fn known_in(&self, id: &str) -> Vec<&PersonUri> {
        let dialogs = self.conversations.dialogs.values();
        let mut known: Vec<&PersonUri> = dialogs
            .filter(|dialog| dialog.call_id == id)
            .map(|dialog| &dialog.with)
            .collect();
        known.sort_unstable();
        known.dedup();
        known
    }

    fn refer(&mut self, now: Now, dialog: &str, who: &PersonUri, token: Token) {
        let me = self.me.clone();
        let Some(dialog) = self.conversations.dialogs.get_mut(dialog) else {
            return self.tell(Some(token), Err(Fault::ConversationUnknown.into()));
        };
        let refer = dialog
            .next(&me, Method::Refer)
            .with(Name::Contact, format!("<{}>", me.contact))
            .with(Name::ReferTo, format!("<{}>", who.sip()))
            .with(
                Name::ReferredBy,
                format!("<{}>;tag={};epid={}", me.uri.sip(), dialog.id(), me.epid),
            )
            .with(Name::Require, super::MULTIPARTY);
        self.send_request(now, refer, Purpose::Refer { token });
    }

    pub(in crate::session) fn refer_answered(&mut self, token: Token, answer: Option<&Message>) {
        let status = answer.and_then(Headers::status).unwrap_or(408);
        let outcome = match status {
            200..300 => Ok(()),
            _ => Err(Problem::new(Fault::InvitationFailed)),
        };
        self.tell(Some(token), outcome);
    }

    /// Invites somebody as the one who invites.
    fn invite_into(
        &mut self,
        now: Now,
        id: &str,
        who: &PersonUri,
        asked: Asked,
        referred_by: Option<String>,
    ) {
        let own = self.me.uri.clone();
        let mut end_points = vec![own.clone()];
        end_points.extend(self.known_in(id).into_iter().cloned());
        end_points.push(who.clone());
        if let Some(group) = self.conversations.groups.get_mut(id) {
            group.manager = Some(own.clone());
        }
        let party = Party {
            end_points,
            manager: Some(own),
            referred_by,
            triggered: false,
        };
        self.dial(now, id, who, asked, &party);
    }

    fn dial(&mut self, now: Now, id: &str, who: &PersonUri, asked: Asked, party: &Party) {
        let mut dialog = Dialog::outgoing_in(who, id);
        let request = dialog.invite(&self.me, Some(party));
        let dialog_id = dialog.id().to_owned();
        if let Some(group) = self.conversations.groups.get_mut(id) {
            group.invited.insert(dialog_id.clone(), asked);
        }
        self.conversations.dialogs.insert(dialog_id.clone(), dialog);
        self.send_request(now, request, Purpose::Invite { dialog: dialog_id });
    }

    /// Somebody whom we invited has answered.
    pub(in crate::session) fn third_answered(
        &mut self,
        now: Now,
        mut dialog: Dialog,
        answer: Option<&Message>,
    ) {
        let id = dialog.call_id.clone();
        let status = answer.and_then(Headers::status).unwrap_or(408);
        let group = self.conversations.groups.get_mut(&id);
        let asked = group.and_then(|group| group.invited.remove(dialog.id()));
        let asked = asked.unwrap_or(Asked::ByItself);
        let who = dialog.with.clone();
        match answer {
            Some(answer) if (200..300).contains(&status) => {
                dialog.accepted(answer);
                let acknowledge = dialog.acknowledge(&self.me);
                self.learn_identity(&who, answer);
                if let Some(group) = self.conversations.groups.get_mut(&id) {
                    group.members.insert(who, dialog.id().to_owned());
                }
                self.conversations
                    .dialogs
                    .insert(dialog.id().to_owned(), dialog);
                self.send(now, acknowledge);
                self.came(now, asked, Ok(()));
                self.settle(&id);
                self.invite_queued(now, &id);
            }
            _ => {
                self.conversations.remove(dialog.id());
                let reason = self.undelivered(status, answer, &who);
                let mut problem = Problem::new(Fault::InvitationFailed);
                problem.detail = reason.detail.or(Some(reason.sentence));
                // Those who were to come after the first one do not come either.
                let queued = match self.conversations.groups.get_mut(&id) {
                    Some(group) if group.members.is_empty() => std::mem::take(&mut group.queue),
                    _ => Vec::new(),
                };
                self.came(now, asked, Err((status, problem.clone())));
                for (_, asked) in queued {
                    self.came(now, asked, Err((status, problem.clone())));
                }
                self.settle(&id);
            }
        }
    }

    fn invite_queued(&mut self, now: Now, id: &str) {
        let group = self.conversations.groups.get_mut(id);
        let queue = group.map(|group| std::mem::take(&mut group.queue));
        for (who, asked) in queue.into_iter().flatten() {
            self.invite_into(now, id, &who, asked, None);
        }
    }

    /// Tells whoever waits what became of an invitation.
    fn came(&mut self, now: Now, asked: Asked, outcome: Result<(), (u16, Problem)>) {
        match asked {
            Asked::ByItself => {}
            Asked::Face(token) => {
                self.tell(Some(token), outcome.map_err(|(_, problem)| problem));
            }
            Asked::Member(request) => {
                let code = outcome.map_or_else(|(code, _)| code, |()| 202);
                self.answer(now, &request, code);
            }
        }
    }

    /// We were invited into a conversation of several, or a newcomer in one of ours presents itself.
    pub(in crate::session) fn drawn_in(
        &mut self,
        now: Now,
        request: &Message,
        dialog: Dialog,
        party: &Party,
    ) {
        let id = dialog.call_id.clone();
        let known = self.conversations.groups.contains_key(&id);
        if !known
            && (self.conversations.groups.len() >= CONVERSATIONS_MAX
                || id.len() > CALL_ID_BYTES_MAX)
        {
            return self.answer(now, request, 486);
        }
        let is_member = self.known_in(&id).contains(&&dialog.with);
        if !is_member && self.known_in(&id).len() >= MEMBERS_MAX {
            return self.answer(now, request, 486);
        }
        self.take_over(&id);
        let group = self.conversations.groups.entry(id.clone()).or_default();
        if let Some(manager) = &party.manager {
            group.manager = Some(manager.clone());
        }
        let tag = dialog.id().to_owned();
        group.members.insert(dialog.with.clone(), tag.clone());
        self.conversations.dialogs.insert(tag.clone(), dialog);
        self.answer_invite(now, request, Some(&tag));
        let triggered = Party {
            triggered: true,
            ..Party::default()
        };
        for other in &party.end_points {
            let known = self.known_in(&id);
            let room = known.len() < MEMBERS_MAX && self.conversations.dialogs.len() < DIALOGS_MAX;
            if room && *other != self.me.uri && !known.contains(&other) {
                self.dial(now, &id, other, Asked::ByItself, &triggered);
            }
        }
        self.settle(&id);
    }

    /// A dialog with one person becomes part of the conversation that is known by the same Call-ID.
    fn take_over(&mut self, id: &str) {
        if self.conversations.groups.contains_key(id) {
            return;
        }
        let dialogs = self.conversations.dialogs.values();
        let same = dialogs.filter(|dialog| dialog.call_id == id && dialog.established);
        let same: Vec<Dialog> = same.cloned().collect();
        for dialog in same {
            self.conversations.not_current(&dialog);
            let group = self.conversations.groups.entry(id.to_owned()).or_default();
            group
                .members
                .insert(dialog.with.clone(), dialog.id().to_owned());
        }
    }

    /// Another member asks us to invite somebody.
    pub(in crate::session) fn referred(&mut self, now: Now, request: &Message) {
        let Some(dialog) = self.conversations.of_request(request).cloned() else {
            return self.answer(now, request, 481);
        };
        let id = dialog.call_id.clone();
        let Some(group) = self.conversations.groups.get(&id) else {
            return self.answer(now, request, 403);
        };
        let ours = group.manager.as_ref().is_none_or(|one| *one == self.me.uri);
        let Some(who) = request.header(Name::ReferTo).and_then(person) else {
            return self.answer(now, request, 400);
        };
        match self.has_room(&id, &who) {
            _ if !ours => self.answer(now, request, 403),
            Err(problem) if problem.is(Fault::AlreadyInConversation) => {
                self.answer(now, request, 202);
            }
            Err(_) => self.answer(now, request, 486),
            Ok(()) if who == self.me.uri => self.answer(now, request, 202),
            Ok(()) => {
                let by = request.header(Name::ReferredBy).map(str::to_owned);
                let asked = Asked::Member(Box::new(request.clone()));
                self.invite_into(now, &id, &who, asked, by);
            }
        }
    }
}
