// SPDX-License-Identifier: MIT OR Apache-2.0
//! What faces want.

use lanyard_fault::Fault;

use super::{Asker, Core, Effect};
use crate::address::SignInAddress;
use crate::agent::protocol::{Intent, ReplyBody, Secret, SecretKind};
use crate::files::AccountFiles;
use crate::problem::Problem;
use crate::session::{GroupChange, Now, Place};
use crate::view::{ContactView, ConversationView, Event, Stage};

impl Core {
    /// A face wants something.
    pub(in crate::agent) fn intent(&mut self, now: Now, asker: Asker, intent: Intent) {
        let works_locked = matches!(
            intent,
            Intent::Attach { .. }
                | Intent::Status
                | Intent::SignIn { .. }
                | Intent::Cancel
                | Intent::UseCard
                | Intent::ChooseCard { .. }
                | Intent::UsePad { .. }
                | Intent::SignOut { .. }
                | Intent::DeleteSignInInfo { .. }
                | Intent::Exit
        );
        if self.view.locked && !works_locked {
            return self.reply(asker, Err(Fault::Locked.into()));
        }
        let result = match intent {
            Intent::Attach { display } => self.attach(asker, display),
            Intent::Status => Ok(self.session_body()),
            Intent::SignIn { address } => self.begin_sign_in(now, &address),
            Intent::Cancel => self.cancel(now),
            Intent::UseCard => self.use_card(now),
            Intent::ChooseCard { number } => self.choose_card(now, number),
            Intent::UsePad { last_try } => self.use_pad(now, last_try),
            Intent::SetStatus {
                availability,
                automatic,
                note,
            } => self.set_status(
                now,
                availability.map(Some).or(automatic.then_some(None)),
                note,
            ),
            Intent::Contacts => self.signed_in().map(|()| ReplyBody {
                contacts: Some(self.contacts()),
                groups: Some(self.groups()),
                ..ReplyBody::default()
            }),
            Intent::Levels => self.signed_in().map(|()| ReplyBody {
                levels: self.session.as_ref().map(|session| session.levels()),
                ..ReplyBody::default()
            }),
            Intent::Conversations => self.signed_in().map(|()| ReplyBody {
                conversations: Some(self.conversations()),
                ..ReplyBody::default()
            }),
            Intent::ConversationHistory { conversation } => {
                self.conversation_history(&conversation)
            }
            Intent::History { with } => self.history(&with),
            Intent::Typing { to, on } => self.signed_in().map(|()| {
                if let Some(session) = &mut self.session {
                    session.send_typing(now, &to, on);
                    self.session_actions(now);
                }
                ReplyBody::default()
            }),
            Intent::Send { .. }
            | Intent::Say { .. }
            | Intent::Invite { .. }
            | Intent::Leave { .. }
            | Intent::AddContact { .. }
            | Intent::RemoveContact { .. }
            | Intent::AddGroup { .. }
            | Intent::RenameGroup { .. }
            | Intent::DeleteGroup { .. }
            | Intent::AddToGroup { .. }
            | Intent::RemoveFromGroup { .. }
            | Intent::MoveToGroup { .. }
            | Intent::SetLevel { .. } => {
                return self.session_request(now, asker, intent);
            }
            Intent::Find { .. } | Intent::Person { .. } | Intent::Photo { .. } => {
                return self.directory_request(now, asker, intent);
            }
            Intent::SignOut {
                delete_sign_in_info,
            } => {
                return self.sign_out(now, asker, delete_sign_in_info);
            }
            Intent::DeleteSignInInfo { address } => {
                return self.delete_sign_in_info(now, asker, address);
            }
            Intent::Exit => return self.exit(now, asker),
        };
        self.reply(asker, result);
    }

    /// A face hands over a secret. It is used or dropped here.
    pub(in crate::agent) fn secret(&mut self, now: Now, face: u64, secret: &Secret) {
        let asker = Asker {
            face,
            request: secret.id,
        };
        let Some(sign_in) = &mut self.sign_in else {
            return self.reply(asker, Err(Fault::NotNow.into()));
        };
        let outputs = match secret.kind {
            SecretKind::Pin | SecretKind::CardPin => {
                sign_in.typed_pin(&secret.value, secret.last_try)
            }
            SecretKind::NewPin => sign_in.typed_new_pin(&secret.value),
            SecretKind::Password => sign_in.typed_password(&secret.value),
        };
        match outputs {
            Ok(outputs) => {
                self.reply(asker, Ok(ReplyBody::default()));
                self.sign_in_outputs(now, outputs);
            }
            Err(problem) => self.reply(asker, Err(problem)),
        }
    }

    /// A face is gone.
    pub(in crate::agent) fn face_gone(&mut self, now: Now, face: u64) {
        self.displays.retain(|known| *known != face);
        self.attached.retain(|known| *known != face);
        self.waiting.retain(|_, asker| asker.face != face);
        // Nobody is left who could type a PIN: an attempt to sign in ends, a session goes on.
        if self.sign_in.is_some() && !self.renewing && self.displays.is_empty() {
            let _ = self.cancel(now);
        }
    }

    /// Whether this face wants events.
    pub(in crate::agent) fn is_attached(&self, face: u64) -> bool {
        self.attached.contains(&face)
    }

    fn attach(&mut self, asker: Asker, display: bool) -> Result<ReplyBody, Problem> {
        let face = asker.face;
        if !self.attached.contains(&face) {
            self.attached.push(face);
        }
        if display && !self.displays.contains(&face) {
            self.displays.push(face);
        }
        let session = Event::Session(self.view.clone());
        self.effects.push(Effect::EventTo(face, session));
        if !self.view.locked {
            self.show_all(face);
        }
        Ok(self.session_body())
    }

    /// Contacts, conversations and what came while nobody looked.
    pub(super) fn show_all(&mut self, face: u64) {
        if self.session.as_ref().is_some_and(|_| self.was_registered) {
            let contacts = Event::Contacts {
                contacts: self.contacts(),
                groups: self.groups(),
            };
            self.effects.push(Effect::EventTo(face, contacts));
            for conversation in self.conversations() {
                let event = Event::Conversation(conversation);
                self.effects.push(Effect::EventTo(face, event));
            }
        }
        let display = self.displays.contains(&face);
        if display && let Some(files) = &self.files {
            // What came while nobody looked.
            for message in files.take_notifications() {
                self.unread.remove(&message.with);
                self.effects
                    .push(Effect::EventTo(face, Event::Message(message)));
            }
        }
    }

    fn session_body(&self) -> ReplyBody {
        ReplyBody {
            session: Some(self.view.clone()),
            ..ReplyBody::default()
        }
    }

    pub(super) fn contacts(&self) -> Vec<ContactView> {
        let views = self
            .session
            .as_ref()
            .map(|session| session.contacts())
            .unwrap_or_default();
        views
            .into_iter()
            .map(|view| self.with_unread(view))
            .collect()
    }

    pub(super) fn groups(&self) -> Vec<String> {
        let session = self.session.as_ref();
        session.map(|session| session.groups()).unwrap_or_default()
    }

    pub(super) fn conversations(&self) -> Vec<ConversationView> {
        let session = self.session.as_ref();
        session
            .map(|session| session.conversations())
            .unwrap_or_default()
    }

    pub(super) fn with_unread(&self, mut view: ContactView) -> ContactView {
        view.unread = self.unread.get(&view.address).copied().unwrap_or(0);
        view
    }

    fn history(&mut self, with: &SignInAddress) -> Result<ReplyBody, Problem> {
        let files = self.files.as_ref().ok_or(Fault::NoSession)?;
        let messages = Some(files.history(with));
        self.unread.remove(with);
        Ok(ReplyBody {
            messages,
            ..ReplyBody::default()
        })
    }

    fn conversation_history(&self, conversation: &str) -> Result<ReplyBody, Problem> {
        let files = self.files.as_ref().ok_or(Fault::NoSession)?;
        Ok(ReplyBody {
            messages: Some(files.conversation_history(conversation)),
            ..ReplyBody::default()
        })
    }

    fn set_status(
        &mut self,
        now: Now,
        availability: Option<Option<crate::view::Availability>>,
        note: Option<String>,
    ) -> Result<ReplyBody, Problem> {
        self.signed_in()?;
        if let Some(session) = &mut self.session {
            session.set_status(now, availability, note);
        }
        self.session_actions(now);
        Ok(self.session_body())
    }

    /// Questions about people.
    fn directory_request(&mut self, now: Now, asker: Asker, intent: Intent) {
        if let Err(problem) = self.signed_in() {
            return self.reply(asker, Err(problem));
        }
        match intent {
            Intent::Find { words, limit } => self.find(now, asker, &words, limit),
            Intent::Person { address } => self.person(now, asker, address),
            Intent::Photo { address } => self.photo(now, asker, address),
            _ => {}
        }
    }

    /// Requests whose outcome comes from the server.
    fn session_request(&mut self, now: Now, asker: Asker, intent: Intent) {
        if let Err(problem) = self.signed_in() {
            return self.reply(asker, Err(problem));
        }
        let token = self.token(asker);
        if let Some(session) = &mut self.session {
            match intent {
                Intent::Send { to, text } => session.send_text(now, &to, &text, token),
                Intent::Say { conversation, text } => session.say(now, &conversation, &text, token),
                Intent::Leave { conversation } => session.leave(now, &conversation, token),
                Intent::Invite {
                    address,
                    conversation,
                    with,
                } => {
                    let place = conversation.map(Place::In).or(with.map(Place::With));
                    let begun =
                        place.and_then(|place| session.invite_third(now, &place, &address, token));
                    match begun {
                        Some(id) => drop(self.inviting.insert(token, id)),
                        // Refused, which was told; or nobody said where.
                        None => {
                            self.session_actions(now);
                            if let Some(asker) = self.waiting.remove(&token) {
                                self.reply(asker, Err(Fault::ConversationUnknown.into()));
                            }
                        }
                    }
                }
                Intent::AddContact {
                    address,
                    name,
                    group,
                } => session.add_contact(now, &address, &name, group.as_deref(), token),
                Intent::RemoveContact { address } => session.remove_contact(now, &address, token),
                Intent::SetLevel { address, level } => {
                    session.set_level(now, &address, level, token);
                }
                other => {
                    if let Some(change) = group_change(other) {
                        session.change_groups(now, &change, token);
                    }
                }
            }
        }
        self.session_actions(now);
    }

    fn signed_in(&self) -> Result<(), Problem> {
        let registered = self
            .session
            .as_ref()
            .is_some_and(|session| session.is_registered());
        match &self.view.stage {
            _ if registered => Ok(()),
            Stage::Reconnecting { reason, .. } => {
                Err(Problem::new(Fault::SessionLost).with_detail(reason.sentence.clone()))
            }
            _ => Err(Problem::new(Fault::NoSession)),
        }
    }

    pub(super) fn open_files(&mut self, address: &SignInAddress) {
        self.files = Some(AccountFiles::new(&self.places, &self.profile, address));
    }
}

fn group_change(intent: Intent) -> Option<GroupChange> {
    Some(match intent {
        Intent::AddGroup { group } => GroupChange::Add { group },
        Intent::RenameGroup { group, to } => GroupChange::Rename { group, to },
        Intent::DeleteGroup { group } => GroupChange::Delete { group },
        Intent::AddToGroup { address, group } => GroupChange::Put { address, group },
        Intent::RemoveFromGroup { address, group } => GroupChange::Take { address, group },
        Intent::MoveToGroup { address, group } => GroupChange::Move { address, group },
        _ => return None,
    })
}
