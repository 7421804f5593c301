// SPDX-License-Identifier: MIT OR Apache-2.0
//! REGISTER: the challenge, the handshake inside its headers, the refresh, the sign-out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lanyard_fault::Fault;
use lanyard_sip::{Headers, Message, Name, OutMessage};
use lanyard_sip_auth::client::{Challenge, ClientError};

use super::requests::Call;
use super::{Action, Credential, Link, Now, Purpose, Session};
use crate::problem::{Problem, printable};

/// Keep-alive period where the server names none, in seconds.
const KEEP_ALIVE_SECS_DEFAULT: u64 = 60;
/// Shortest and longest keep-alive period that is taken over, in seconds.
const KEEP_ALIVE_SECS: std::ops::RangeInclusive<u64> = 5..=600;
/// The registration is refreshed so long before its end, in seconds.
const REFRESH_AHEAD_SECS: u64 = 30;
/// Longest life of one security association, in seconds: eight hours less five minutes.
const ASSOCIATION_SECS_MAX: u64 = 8 * 60 * 60 - 5 * 60;

/// Where the registration stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Step {
    #[default]
    None,
    /// The first REGISTER is out.
    Asked,
    /// The server challenged; the certificate is being fetched.
    Waiting,
    /// The handshake is under way.
    Handshake,
    /// Signed in.
    Registered,
    /// The de-registration is out.
    SigningOut,
}

/// The registration of this endpoint.
#[derive(Debug, Default)]
pub(super) struct Registration {
    step: Step,
    call: Call,
    refresh_at: Option<Instant>,
    renew_at: Option<Instant>,
    keep_alive: Option<u64>,
}

impl Registration {
    pub(super) fn is_registered(&self) -> bool {
        self.step == Step::Registered
    }

    pub(super) fn is_signing_out(&self) -> bool {
        self.step == Step::SigningOut
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.step == Step::Waiting
    }

    pub(super) fn keep_alive_secs(&self) -> u64 {
        self.keep_alive.unwrap_or(KEEP_ALIVE_SECS_DEFAULT)
    }
}

impl Session {
    /// The certificate that [`Action::NeedCredential`] asked for, or a newer one.
    pub fn provide(&mut self, now: Now, credential: Arc<Credential>) {
        self.credential = Some(credential);
        match self.link {
            Link::Up if matches!(self.registration.step, Step::Waiting | Step::Registered) => {
                self.register_again(now);
            }
            Link::Down => self.connect(),
            _ => {}
        }
    }

    /// Ends the registration.
    pub fn sign_out(&mut self, now: Now) {
        if self.link != Link::Up || !self.is_registered() {
            if self.link != Link::Down {
                self.link = Link::Down;
                self.actions.push(Action::Disconnect);
            }
            return self.actions.push(Action::SignedOut);
        }
        self.close_conversations(now);
        let request = self
            .me
            .register(&mut self.registration.call)
            .with(Name::Expires, 0)
            // The key is destroyed with the session: the server may withdraw its certificate.
            .with("Lanyard-Chat-Key", "destroyed");
        self.registration.step = Step::SigningOut;
        self.send_request(now, request, Purpose::Register);
    }

    /// The certificate has ended: so does the session.
    pub fn expire(&mut self, problem: Problem) {
        self.end(problem);
    }

    pub(super) fn register_first(&mut self, now: Now) {
        self.registration = Registration::default();
        self.ask(now);
    }

    /// The association is void: all over again on the same connection.
    pub(super) fn register_again(&mut self, now: Now) {
        self.ask(now);
    }

    pub(super) fn registration_tick(&mut self, now: Now) {
        if self.registration.step != Step::Registered || self.link != Link::Up {
            return;
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now.at);
        if due(self.registration.renew_at) {
            self.register_again(now);
        } else if due(self.registration.refresh_at) {
            self.registration.refresh_at = None;
            let request = self.me.register(&mut self.registration.call);
            self.send_request(now, request, Purpose::Register);
        }
    }

    fn ask(&mut self, now: Now) {
        self.registration.step = Step::Asked;
        let request = self.me.register(&mut self.registration.call);
        self.send_unsigned(now, request, Purpose::Register);
    }

    pub(super) fn register_answered(&mut self, now: Now, answer: Option<&Message>) {
        let Some(answer) = answer else {
            if self.registration.step == Step::SigningOut {
                return self.actions.push(Action::SignedOut);
            }
            return self.give_up(Problem::new(Fault::ServerTimedOut));
        };
        match answer.status().unwrap_or_default() {
            401 => self.challenged(now, answer),
            200..300 => self.accepted(now, answer),
            status => self.refused(status, answer),
        }
    }

    fn challenged(&mut self, now: Now, answer: &Message) {
        match self.registration.step {
            Step::Asked => self.begin_handshake(now, answer),
            Step::Handshake => match self.security.challenged(now.at, answer) {
                Ok(()) => self.register_with_proof(now),
                Err(error) => {
                    tracing::warn!(%error, "the handshake failed");
                    self.end(diagnosed(answer).unwrap_or(Fault::SignInRefused.into()));
                }
            },
            Step::Registered => self.register_again(now),
            Step::SigningOut => self.actions.push(Action::SignedOut),
            Step::None | Step::Waiting => {
                self.end(diagnosed(answer).unwrap_or(Fault::SignInRefused.into()));
            }
        }
    }

    fn begin_handshake(&mut self, now: Now, answer: &Message) {
        let challenge = match Challenge::of(answer) {
            Ok(challenge) => challenge,
            Err(error) => {
                tracing::warn!(%error, "the server's challenge is of no use");
                return self.end(diagnosed(answer).unwrap_or(Fault::SignInRefused.into()));
            }
        };
        let Some(credential) = self.credential.clone() else {
            let Some(sts_uri) = challenge.sts_uri else {
                return self.end(Fault::SignInRefused.into());
            };
            self.registration.step = Step::Waiting;
            return self.actions.push(Action::NeedCredential { sts_uri });
        };
        let begun = credential
            .connector(&challenge.targetname)
            .map_err(ClientError::Handshake)
            .and_then(|connector| self.security.begin(now.at, &challenge, &connector));
        match begun {
            Ok(()) => {
                self.registration.step = Step::Handshake;
                self.register_with_proof(now);
            }
            Err(error) => {
                tracing::warn!(%error, "the handshake could not begin");
                self.end(Fault::SignInRefused.into());
            }
        }
    }

    /// The next step of the handshake, or after the last one the first signed message.
    fn register_with_proof(&mut self, now: Now) {
        let mut request = self.me.register(&mut self.registration.call);
        match self.security.authorize(&mut request) {
            Ok(()) => self.send_unsigned(now, request, Purpose::Register),
            Err(error) => {
                tracing::warn!(%error, "the handshake cannot go on");
                self.end(Fault::SignInRefused.into());
            }
        }
    }

    /// As it stands: it carries its proof already, or can have none.
    fn send_unsigned(&mut self, now: Now, request: OutMessage, purpose: Purpose) {
        if self.expect(now, &request, purpose) {
            self.transmit(now, &request);
        }
    }

    fn accepted(&mut self, now: Now, answer: &Message) {
        match self.registration.step {
            Step::SigningOut => return self.actions.push(Action::SignedOut),
            Step::Handshake | Step::Registered if self.security.is_established() => {}
            // Nobody proved anything to us: that is not our server.
            _ => return self.end(Fault::SignInRefused.into()),
        }
        let expires = u64::from(answer.expires_secs().unwrap_or_default());
        if expires == 0 {
            return self.end(Fault::SignInRefused.into());
        }
        let ahead = REFRESH_AHEAD_SECS.min(expires / 2);
        let refresh_in = Duration::from_secs(expires.saturating_sub(ahead).max(1));
        self.registration.refresh_at = Some(now.at + refresh_in);
        let keep_alive = answer
            .header(Name::MsKeepAlive)
            .and_then(keep_alive_timeout);
        self.registration.keep_alive = keep_alive.or(self.registration.keep_alive);
        if self.registration.step == Step::Registered {
            return;
        }
        self.registration.step = Step::Registered;
        self.registration.renew_at = Some(now.at + Duration::from_secs(ASSOCIATION_SECS_MAX));
        let instance = self.me.instance;
        let own = answer
            .addresses(Name::Contact)
            .find(|one| one.instance() == Some(instance));
        self.me.contact = own
            .and_then(|contact| contact.params.get("gruu").map(str::to_owned))
            .unwrap_or_else(|| lanyard_sip::gruu(self.me.uri.address(), instance));
        self.publisher.begin();
        self.actions.push(Action::Registered);
        self.subscribe_all(now, answer);
    }

    fn refused(&mut self, status: u16, answer: &Message) {
        if self.registration.step == Step::SigningOut {
            return self.actions.push(Action::SignedOut);
        }
        let problem = diagnosed(answer);
        match (status, problem) {
            (500.., None) => self.give_up(Problem::new(Fault::ServerUnreachable)),
            (503 | 504, Some(problem)) => self.give_up(problem),
            (404, None) => self.end(Fault::AccountUnknown.into()),
            (_, problem) => self.end(problem.unwrap_or(Fault::SignInRefused.into())),
        }
    }

    /// Refused or put out: nothing is tried again without the person.
    pub(super) fn end(&mut self, problem: Problem) {
        self.forget_credential();
        self.fail_pending(&problem);
        self.registration = Registration::default();
        self.drop_conversations();
        if self.link != Link::Down {
            self.link = Link::Down;
            self.actions.push(Action::Disconnect);
        }
        self.actions.push(Action::Ended(problem));
    }
}

/// The reason that a server gives in `ms-diagnostics`, if it is one of ours or at least in words.
pub(super) fn diagnosed(message: &impl Headers) -> Option<Problem> {
    let value = message
        .header(Name::MsDiagnostics)
        .or_else(|| message.header(Name::MsDiagnosticsPublic))?;
    let (_, rest) = value.split_once("reason=\"")?;
    let (reason, _) = rest.split_once('"')?;
    let code = reason
        .rsplit_once('(')
        .and_then(|(_, code)| code.strip_suffix(')'))
        .filter(|code| code.starts_with("LY-"));
    match code {
        Some(code) => {
            let sentence = reason
                .rsplit_once('(')
                .map_or(reason, |(sentence, _)| sentence);
            Some(Problem::from_server(code, sentence, ""))
        }
        None => {
            let words = printable(reason);
            let problem = Problem::new(Fault::SignInRefused);
            Some(problem.with_detail(format!("The server says: {words}")))
        }
    }
}

fn keep_alive_timeout(value: &str) -> Option<u64> {
    let timeout = value
        .split(';')
        .find_map(|part| part.trim().strip_prefix("timeout="))?;
    timeout
        .trim()
        .parse()
        .ok()
        .filter(|secs| KEEP_ALIVE_SECS.contains(secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_reason_becomes_a_problem_with_its_code() {
        let message = OutMessage::response(403, "Forbidden").with(
            Name::MsDiagnostics,
            "4004;reason=\"This account is disabled. (LY-1306)\";source=\"lync.contoso.test\"",
        );
        let problem = diagnosed(&message).unwrap();
        assert!(problem.is(Fault::AccountDisabled));
        assert_eq!(problem.sentence, "This account is disabled.");
    }

    #[test]
    fn keep_alive_periods_out_of_range_are_not_taken_over() {
        assert_eq!(
            keep_alive_timeout("UAS; tcp=no; hop-hop=yes; timeout=30"),
            Some(30)
        );
        assert_eq!(keep_alive_timeout("UAS; timeout=0"), None);
        assert_eq!(keep_alive_timeout("UAS"), None);
    }
}
