// SPDX-License-Identifier: MIT OR Apache-2.0
//! What faces want.

use lanyard_fault::Fault;

use super::{Asker, Core, Effect};
use crate::address::SignInAddress;
use crate::agent::protocol::{Intent, ReplyBody, Secret, SecretKind};
use crate::files::AccountFiles;
use crate::problem::Problem;
use crate::session::Now;
use crate::view::{ContactView, Event, Stage};

impl Core {
    /// A face wants something.
    pub(in crate::agent) fn intent(&mut self, now: Now, asker: Asker, intent: Intent) {
        let result = match intent {
            Intent::Attach { display } => self.attach(asker, display),
            Intent::Status => Ok(self.session_body()),
            Intent::SignIn { address } => self.begin_sign_in(now, &address),
            Intent::Cancel => self.cancel(now),
            Intent::UseCard => self.use_card(now),
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
                ..ReplyBody::default()
            }),
            Intent::History { with } => self.history(&with),
            Intent::Typing { to, on } => self.signed_in().map(|()| {
                if let Some(session) = &mut self.session {
                    session.send_typing(now, &to, on);
                    self.session_actions(now);
                }
                ReplyBody::default()
            }),
            Intent::Send { .. } | Intent::AddContact { .. } | Intent::RemoveContact { .. } => {
                return self.session_request(now, asker, intent);
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
            SecretKind::Pin => sign_in.typed_pin(&secret.value, secret.last_try),
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
        if self.session.as_ref().is_some_and(|_| self.was_registered) {
            let contacts = Event::Contacts {
                contacts: self.contacts(),
            };
            self.effects.push(Effect::EventTo(face, contacts));
        }
        if display && let Some(files) = &self.files {
            // What came while nobody looked.
            for message in files.take_notifications() {
                self.unread.remove(&message.with);
                self.effects
                    .push(Effect::EventTo(face, Event::Message(message)));
            }
        }
        Ok(self.session_body())
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

    /// Requests whose outcome comes from the server.
    fn session_request(&mut self, now: Now, asker: Asker, intent: Intent) {
        if let Err(problem) = self.signed_in() {
            return self.reply(asker, Err(problem));
        }
        let token = self.token(asker);
        if let Some(session) = &mut self.session {
            match intent {
                Intent::Send { to, text } => session.send_text(now, &to, &text, token),
                Intent::AddContact { address, name } => {
                    session.add_contact(now, &address, &name, token);
                }
                Intent::RemoveContact { address } => session.remove_contact(now, &address, token),
                _ => {}
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
