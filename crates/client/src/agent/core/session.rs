// SPDX-License-Identifier: MIT OR Apache-2.0
//! The session's actions, its end, and the reconnects with the chat key.

use std::time::Duration;

use lanyard_fault::Fault;

use super::{Core, Effect, Retry};
use crate::agent::protocol::ReplyBody;
use crate::problem::Problem;
use crate::session::{Action, Now};
use crate::signin::{Input, Output};
use crate::view::{Delivery, Event, MessageView, Stage};

/// Pauses between tries to reconnect, in seconds; the last one repeats.
const RETRY_SECS: [u64; 6] = [1, 2, 4, 8, 15, 30];

impl Core {
    pub(super) fn session_actions(&mut self, now: Now) {
        while let Some(session) = &mut self.session {
            let actions = session.take_actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.session_action(now, action);
            }
        }
    }

    fn session_action(&mut self, now: Now, action: Action) {
        match action {
            Action::Connect => {
                self.generation = self.generation.wrapping_add(1);
                let Some((host, port)) = self.server.clone() else {
                    return;
                };
                let generation = self.generation;
                self.effects.push(Effect::SipConnect {
                    generation,
                    host,
                    port,
                });
            }
            Action::Send(bytes) => self.effects.push(Effect::SipSend(bytes)),
            Action::Disconnect => {
                self.generation = self.generation.wrapping_add(1);
                self.effects.push(Effect::SipClose);
            }
            Action::NeedCredential { sts_uri } => self.need_credential(now, sts_uri),
            Action::Registered => self.registered(now),
            Action::SignedOut => self.signed_out(now),
            Action::Ended(problem) => {
                self.sign_in = None;
                self.effects.push(Effect::SignIn(Output::StopWatching));
                self.end_session(now, Some(problem));
            }
            Action::Lost(problem) => self.lost(now, problem),
            Action::Own(own) => {
                self.view.own = own;
                self.tell_session();
            }
            Action::Contacts(contacts) => {
                if let Some(files) = &self.files
                    && let Err(problem) = files.write_contacts(&contacts)
                {
                    tracing::warn!(%problem, "the contact cache was not written");
                }
                let contacts = contacts
                    .into_iter()
                    .map(|view| self.with_unread(view))
                    .collect();
                let groups = self.groups();
                self.effects
                    .push(Effect::Event(Event::Contacts { contacts, groups }));
            }
            Action::Contact(view) => {
                let view = self.with_unread(view);
                self.effects.push(Effect::Event(Event::Contact(view)));
            }
            Action::Person(person) => {
                self.effects.push(Effect::Event(Event::Person(person)));
            }
            Action::Message(message) => self.message(message),
            Action::Conversation(view) => {
                self.effects.push(Effect::Event(Event::Conversation(view)));
            }
            Action::CardPolicy(policy) => self.card_policy(now, policy),
            Action::Typing { with, on } => {
                self.effects.push(Effect::Event(Event::Typing { with, on }));
            }
            Action::Notice(text) => self.effects.push(Effect::Event(Event::Notice { text })),
            Action::Done { token, outcome } => {
                let invited = self.inviting.remove(&token);
                if let Some(asker) = self.waiting.remove(&token) {
                    let body = outcome.map(|()| self.outcome_body(invited.as_deref()));
                    self.reply(asker, body);
                }
            }
        }
    }

    /// What goes with a good outcome: to an invitation, the conversation that it led to.
    fn outcome_body(&self, invited: Option<&str>) -> ReplyBody {
        let found = |id: &str| {
            let mut all = self.conversations();
            all.retain(|one| one.id == id);
            all
        };
        ReplyBody {
            conversations: invited.map(found),
            ..ReplyBody::default()
        }
    }

    fn need_credential(&mut self, now: Now, sts_uri: String) {
        if self.sign_in.is_some() && !self.renewing {
            return self.sign_in_input(now, Input::StsUri(sts_uri));
        }
        // The key is gone although a session was wanted: only the person can go on.
        self.end_session(now, Some(Fault::SessionCertificateEnds.into()));
    }

    fn registered(&mut self, now: Now) {
        self.was_registered = true;
        self.retry = None;
        self.view.problem = None;
        if let Some(files) = &self.files
            && let Err(problem) = files.remember()
        {
            tracing::warn!(%problem, "the address was not remembered");
        }
        // A renewal that waits for the PIN keeps its prompt.
        if !self.renewing {
            self.stage(now, Stage::SignedIn);
        }
        self.effects.push(Effect::Event(Event::Contacts {
            contacts: self.contacts(),
            groups: self.groups(),
        }));
    }

    fn message(&mut self, message: MessageView) {
        if let Some(files) = &self.files {
            if let Err(problem) = files.append_message(&message) {
                tracing::warn!(%problem, "a message was not written to the history");
            }
            let nobody_sees = self.displays.is_empty() || self.view.locked;
            if message.delivery == Delivery::Received && nobody_sees {
                if message.conversation.is_none() {
                    let count = self.unread.entry(message.with.clone()).or_default();
                    *count = count.saturating_add(1);
                }
                if let Err(problem) = files.append_notification(&message) {
                    tracing::warn!(%problem, "a notification was not recorded");
                }
            }
        }
        self.effects.push(Effect::Event(Event::Message(message)));
    }

    fn lost(&mut self, now: Now, problem: Problem) {
        if self.leaving.is_some() {
            return self.signed_out(now);
        }
        if !self.was_registered {
            if self.sign_in.is_some() {
                return self.sign_in_input(now, Input::SipFailed(problem));
            }
            return self.end_session(now, Some(problem));
        }
        let attempt = self.retry.map_or(0, |retry| retry.attempt);
        let place = usize::try_from(attempt)
            .unwrap_or(usize::MAX)
            .min(RETRY_SECS.len() - 1);
        let retry_in = RETRY_SECS.get(place).copied().unwrap_or(30);
        let at = now.at + Duration::from_secs(retry_in);
        self.retry = Some(Retry {
            at,
            attempt: attempt.saturating_add(1),
        });
        self.stage(
            now,
            Stage::Reconnecting {
                reason: problem,
                retry_in,
            },
        );
    }

    pub(super) fn retry_tick(&mut self, now: Now) {
        let due = self.retry.is_some_and(|retry| retry.at <= now.at);
        let waiting = matches!(self.view.stage, Stage::Reconnecting { .. });
        if let (true, true, Some(session)) = (due, waiting, &mut self.session) {
            session.connect();
            if let Some(retry) = &mut self.retry {
                // Not again before this try has an outcome.
                retry.at = now.at + Duration::from_secs(60);
            }
            self.session_actions(now);
        }
    }

    /// The session is over; the agent stays. The chat key goes with the session.
    pub(super) fn end_session(&mut self, now: Now, problem: Option<Problem>) {
        if let Some(mut session) = self.session.take() {
            session.forget_credential();
            self.generation = self.generation.wrapping_add(1);
            self.effects.push(Effect::SipClose);
        }
        self.keep_nothing();
        self.sign_in = None;
        self.renewing = false;
        self.retry = None;
        self.renew_at = None;
        self.sts_uri = None;
        self.was_registered = false;
        self.view.renew_by = None;
        self.view.card_ends = None;
        self.view.own = crate::view::OwnView::default();
        let reason = problem.clone().unwrap_or(Fault::NoSession.into());
        self.inviting.clear();
        self.directory_ended(&reason);
        for (_, asker) in std::mem::take(&mut self.waiting) {
            self.reply(asker, Err(reason.clone()));
        }
        let changed = self.view.problem != problem;
        self.view.problem = problem;
        if self.view.stage == Stage::Idle && changed {
            self.tell_session();
        }
        self.stage(now, Stage::Idle);
    }
}
