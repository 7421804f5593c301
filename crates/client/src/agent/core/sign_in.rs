// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way in: the sign-in machine's outputs, and the renewal of a certificate that ends soon.

use lanyard_fault::Fault;
use time::Duration;

use super::{Core, Effect};
use crate::address::SignInAddress;
use crate::agent::protocol::ReplyBody;
use crate::cards::Remembered;
use crate::files::Settings;
use crate::problem::Problem;
use crate::session::{Now, Session};
use crate::signin::{Input, Order, Output, SignIn};
use crate::view::{Event, Stage};

/// The certificate is renewed so long before its end.
const RENEW_AHEAD: Duration = Duration::minutes(30);
/// After a renewal that failed, the person is asked again after this time.
const RENEW_AGAIN: Duration = Duration::minutes(5);
/// Why the PIN is asked for in a session that goes on.
const RENEW_REASON: &str = "Your sign-in ends soon. The PIN renews it, and the session goes on.";

impl Core {
    pub(super) fn begin_sign_in(
        &mut self,
        now: Now,
        address: &SignInAddress,
    ) -> Result<ReplyBody, Problem> {
        let busy = self.session.is_some() || self.sign_in.is_some() || self.leaving.is_some();
        if busy {
            if self.view.address.as_ref() == Some(address) && self.leaving.is_none() {
                if self.view.locked {
                    self.begin_unlock(now);
                }
                // A second start attaches to what is already under way.
                return Ok(ReplyBody {
                    session: Some(self.view.clone()),
                    ..ReplyBody::default()
                });
            }
            let who = self
                .view
                .address
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let detail = format!("It is {who}.");
            return Err(Problem::new(Fault::AlreadySignedIn).with_detail(detail));
        }
        self.open_files(address);
        self.view.address = Some(address.clone());
        self.view.problem = None;
        self.view.own = crate::view::OwnView::default();
        let mut sign_in = SignIn::new(address, self.order())?;
        let outputs = sign_in.begin();
        self.sign_in = Some(sign_in);
        self.renewing = false;
        self.sign_in_outputs(now, outputs);
        Ok(ReplyBody {
            session: Some(self.view.clone()),
            ..ReplyBody::default()
        })
    }

    pub(super) fn order(&self) -> Order {
        let settings = self
            .files
            .as_ref()
            .map(|files| files.settings())
            .unwrap_or_default();
        Order {
            allowed_domains: self.config.allowed_domains.clone(),
            device: self.endpoint_device(),
            roots: std::sync::Arc::clone(&self.roots),
            remembered: Remembered {
                last_card: settings.last_card,
                refused: settings.refused,
                issuers: self.config.card_issuers.clone(),
                pin_pad: self.config.pin_pad,
            },
        }
    }

    /// The identifier that the registrar derives from this endpoint's epid, too.
    fn endpoint_device(&self) -> uuid::Uuid {
        let address = self.view.address.as_ref();
        let session = address.and_then(|address| Session::new(address, self.endpoint).ok());
        session.map_or(self.endpoint, |session| session.instance().uuid())
    }

    pub(super) fn sign_in_outputs(&mut self, now: Now, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Show(stage) => self.show(now, stage),
                Output::Sip { host, port } => self.probe(now, host, port),
                Output::Failed(problem) => self.sign_in_failed(now, problem),
                Output::Credential(credential) => {
                    self.remember_card();
                    self.note_card_end();
                    self.keep_card(now);
                    self.sts_uri = self
                        .sign_in
                        .as_ref()
                        .and_then(|one| one.sts_uri().map(str::to_owned));
                    self.sign_in = None;
                    let half: Duration = (credential.not_after() - now.wall) / 2_i32;
                    self.renew_at = Some(credential.not_after() - half.min(RENEW_AHEAD));
                    self.view.renew_by = Some(credential.not_after());
                    if self.renewing {
                        self.renewing = false;
                        self.unlock();
                        self.stage(now, Stage::SignedIn);
                    }
                    self.watch_card();
                    if let Some(session) = &mut self.session {
                        session.provide(now, credential);
                    }
                    self.session_actions(now);
                }
                // The readers go on to be looked at for the session's sake.
                Output::StopWatching if self.wants_watch() => {}
                other => self.effects.push(Effect::SignIn(other)),
            }
        }
    }

    fn show(&mut self, now: Now, stage: Stage) {
        // A renewal disturbs only for the PIN.
        let asks = stage.asks() || self.view.locked;
        if !self.renewing || asks {
            self.stage(now, stage);
        } else {
            self.stage(now, Stage::SignedIn);
        }
    }

    /// Connects to the registrar to hear which certificate it wants.
    fn probe(&mut self, now: Now, host: String, port: u16) {
        let Some(address) = self.view.address.clone() else {
            return;
        };
        self.server = Some((host, port));
        self.was_registered = false;
        match Session::new(&address, self.endpoint) {
            Ok(mut session) => {
                if let Some(files) = &self.files {
                    session.seed_contacts(&files.contacts());
                }
                session.connect();
                self.session = Some(session);
                self.session_actions(now);
            }
            Err(problem) => self.sign_in_failed(now, problem),
        }
    }

    fn sign_in_failed(&mut self, now: Now, problem: Problem) {
        self.remember_refusal(&problem);
        self.sign_in = None;
        if self.renewing {
            self.renewing = false;
            self.renew_at = Some(now.wall + RENEW_AGAIN);
            self.watch_card();
            let text = format!("The sign-in was not renewed. {problem}");
            self.effects.push(Effect::Event(Event::Notice { text }));
            return self.stage(now, Stage::SignedIn);
        }
        self.end_session(now, Some(problem));
    }

    pub(super) fn cancel(&mut self, now: Now) -> Result<ReplyBody, Problem> {
        if self.sign_in.take().is_none() {
            let pending = self.session.is_some() && !self.was_registered;
            if !pending {
                return Err(Problem::new(Fault::NotNow));
            }
        }
        self.effects.push(Effect::SignIn(Output::StopWatching));
        if self.renewing {
            self.renewing = false;
            self.renew_at = Some(now.wall + RENEW_AGAIN);
            self.watch_card();
            self.stage(now, Stage::SignedIn);
        } else {
            self.end_session(now, None);
        }
        Ok(ReplyBody::default())
    }

    pub(super) fn use_card(&mut self, now: Now) -> Result<ReplyBody, Problem> {
        if self.sign_in.is_none() {
            return Err(Problem::new(Fault::NotNow));
        }
        self.sign_in_input(now, Input::UseCard);
        Ok(ReplyBody::default())
    }

    pub(super) fn choose_card(&mut self, now: Now, number: usize) -> Result<ReplyBody, Problem> {
        if self.sign_in.is_none() {
            return Err(Problem::new(Fault::NotNow));
        }
        self.sign_in_input(now, Input::ChooseCard(number));
        Ok(ReplyBody::default())
    }

    pub(super) fn use_pad(&mut self, now: Now, last_try: bool) -> Result<ReplyBody, Problem> {
        let sign_in = self.sign_in.as_mut().ok_or(Fault::NotNow)?;
        let outputs = sign_in.use_pad(last_try)?;
        self.sign_in_outputs(now, outputs);
        Ok(ReplyBody::default())
    }

    pub(super) fn renewal_tick(&mut self, now: Now) {
        let Some(session) = &mut self.session else {
            return;
        };
        if !self.was_registered || self.leaving.is_some() {
            return;
        }
        if session
            .credential_ends()
            .is_some_and(|ends| ends <= now.wall)
        {
            self.sign_in = None;
            session.expire(Problem::new(Fault::SessionCertificateEnds));
            return self.session_actions(now);
        }
        let due = self.renew_at.is_some_and(|at| at <= now.wall);
        let (true, true, Some(sts_uri), Some(address)) = (
            due,
            self.sign_in.is_none(),
            self.sts_uri.clone(),
            self.view.address.clone(),
        ) else {
            return;
        };
        self.renew_at = None;
        if let Ok(mut renewal) = SignIn::renewal(&address, self.order(), &sts_uri, RENEW_REASON) {
            self.renewing = true;
            let outputs = renewal.begin();
            self.sign_in = Some(renewal);
            self.sign_in_outputs(now, outputs);
        }
    }

    /// The card that was used is preferred the next time.
    fn remember_card(&mut self) {
        let used = self
            .sign_in
            .as_ref()
            .and_then(|one| one.used_card()?.remembered_as());
        self.change_settings(|settings| settings.last_card = used.or(settings.last_card.take()));
    }

    /// A card that the server refuses for good comes last the next time.
    fn remember_refusal(&mut self, problem: &Problem) {
        let for_good = [
            Fault::CardCertificateRevoked,
            Fault::CardCertificateForeign,
            Fault::CardCertificatePurpose,
            Fault::CardKindRefused,
        ];
        let used = self.sign_in.as_ref().and_then(SignIn::used_card);
        let serial = used.and_then(|card| Some(card.certificate.as_ref()?.serial.clone()));
        if let (Some(serial), true) = (serial, for_good.iter().any(|one| problem.is(*one))) {
            self.change_settings(|settings| {
                if !settings.refused.contains(&serial) {
                    settings.refused.push(serial);
                }
            });
        }
    }

    fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        let Some(files) = &self.files else { return };
        let before = files.settings();
        let mut settings = before.clone();
        change(&mut settings);
        if settings != before
            && let Err(problem) = files.write_settings(&settings)
        {
            tracing::warn!(%problem, "the settings were not written");
        }
    }
}
