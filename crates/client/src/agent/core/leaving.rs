// SPDX-License-Identifier: MIT OR Apache-2.0
//! Three ways to leave, and *Delete my sign-in info*.

use std::time::Duration;

use lanyard_fault::Fault;

use super::{Asker, Core, Effect, Leaving};
use crate::address::SignInAddress;
use crate::agent::protocol::ReplyBody;
use crate::files;
use crate::problem::Problem;
use crate::session::Now;
use crate::signin::Output;
use crate::view::{Event, Stage};

/// Time for a sign-out in good order; then the connection is just closed, in seconds.
const SIGN_OUT_SECS_MAX: u64 = 3;

impl Core {
    pub(super) fn sign_out(&mut self, now: Now, asker: Asker, delete: bool) {
        if self.session.is_none() && self.sign_in.is_none() {
            if delete {
                return self.delete_sign_in_info(now, asker, None);
            }
            return self.reply(asker, Err(Fault::NoSession.into()));
        }
        self.leave(now, Some(asker), delete, false);
    }

    pub(super) fn delete_sign_in_info(
        &mut self,
        now: Now,
        asker: Asker,
        address: Option<SignInAddress>,
    ) {
        let in_use = self.session.is_some() || self.sign_in.is_some();
        let address = address.or_else(|| self.view.address.clone());
        let Some(address) = address else {
            let detail = "No address is remembered in this profile.";
            let problem = Problem::new(Fault::NoSession).with_detail(detail);
            return self.reply(asker, Err(problem));
        };
        if in_use && self.view.address.as_ref() == Some(&address) {
            return self.leave(now, Some(asker), true, false);
        }
        let body = self.forget(&address);
        self.reply(asker, Ok(body));
        self.tell_session();
    }

    pub(super) fn exit(&mut self, now: Now, asker: Asker) {
        self.leave(now, Some(asker), false, true);
    }

    /// The agent is told to stop by the system.
    pub(in crate::agent) fn terminate(&mut self, now: Now) {
        self.leave(now, None, false, true);
    }

    pub(super) fn leave(&mut self, now: Now, asker: Option<Asker>, delete: bool, exit: bool) {
        let until = now.at + Duration::from_secs(SIGN_OUT_SECS_MAX);
        match &mut self.leaving {
            Some(leaving) => {
                leaving.askers.extend(asker);
                leaving.delete |= delete;
                leaving.exit |= exit;
                return;
            }
            None => {
                let askers = asker.into_iter().collect();
                self.leaving = Some(Leaving {
                    askers,
                    delete,
                    exit,
                    until,
                });
            }
        }
        if self.sign_in.take().is_some() {
            self.effects.push(Effect::SignIn(Output::StopWatching));
        }
        match &mut self.session {
            Some(session) => {
                session.sign_out(now);
                self.stage(now, Stage::SigningOut);
                self.session_actions(now);
            }
            None => self.signed_out(now),
        }
    }

    pub(super) fn leaving_tick(&mut self, now: Now) {
        if self
            .leaving
            .as_ref()
            .is_some_and(|leaving| leaving.until <= now.at)
        {
            self.signed_out(now);
        }
    }

    /// The server knows, or does not answer: the session is over here in any case.
    pub(super) fn signed_out(&mut self, now: Now) {
        let Some(leaving) = self.leaving.take() else {
            return;
        };
        let address = self.view.address.clone();
        let problem = self.keeping.ending.take();
        self.end_session(now, problem);
        let mut body = ReplyBody::default();
        if let (true, Some(address)) = (leaving.delete, address) {
            body = self.forget(&address);
            self.tell_session();
        }
        for asker in leaving.askers {
            self.reply(asker, Ok(body.clone()));
        }
        if leaving.exit {
            self.effects.push(Effect::Event(Event::Exit));
            self.effects.push(Effect::Exit);
        }
    }

    fn forget(&mut self, address: &SignInAddress) -> ReplyBody {
        if self.view.address.as_ref() == Some(address) {
            // Nothing is pre-filled afterwards, and nothing of the account stays in memory.
            self.view = crate::view::SessionView::idle(None);
            self.files = None;
            self.unread.clear();
        }
        let forgotten = files::forget(&self.places, &self.profile, address);
        ReplyBody {
            forgotten: Some(forgotten),
            ..ReplyBody::default()
        }
    }
}
