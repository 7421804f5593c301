// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the agent decides: reconnects, renewals, the ways to leave, and what is kept for a face that is not there.

mod directory;
mod keeping;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration as StdDuration, Instant};

use lanyard_fault::Fault;
use lanyard_sip::{Method, Name, OutMessage};
use rustls::RootCertStore;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Asker, Core, Effect, SipEvent};
use crate::agent::protocol::{Intent, ReplyBody};
use crate::config::ClientConfig;
use crate::net::NetFault;
use crate::places::{Places, Profile};
use crate::problem::Problem;
use crate::session::rig::{Authority, Registrar, STS};
use crate::session::{Now, Session};
use crate::signin::{Input, Output};
use crate::view::{Event, Stage};

const TERMINAL: Asker = Asker {
    face: 1,
    request: 10,
};

struct World {
    core: Core,
    registrar: Registrar,
    authority: Authority,
    now: Now,
    /// The server takes part.
    reachable: bool,
}

impl World {
    /// A core whose person is signed in with a chat certificate of this length.
    fn signed_in(dir: &Path, life: Duration) -> Self {
        let places = Places {
            config: dir.join("config"),
            state: dir.join("state"),
            data: dir.join("data"),
            cache: dir.join("cache"),
            runtime: dir.join("run"),
        };
        let roots = Arc::new(RootCertStore::empty());
        let config = Arc::new(ClientConfig::default());
        let mut core = Core::new(places, Profile::default(), config, roots);
        let authority = Authority::new();
        let registrar = Registrar::new(&authority);
        let alice = "alice@contoso.test".parse().unwrap();
        core.open_files(&alice);
        core.view.address = Some(alice.clone());
        core.server = Some(("lync.contoso.test".into(), 5061));
        core.sts_uri = Some(STS.to_owned());
        core.view.stage = Stage::SigningIn;
        let now = Now {
            at: Instant::now(),
            wall: OffsetDateTime::now_utc(),
        };
        let mut session = Session::new(&alice, Uuid::from_u128(1)).unwrap();
        session.provide(now, authority.credential(life));
        core.session = Some(session);
        core.session_actions(now);
        let mut world = Self {
            core,
            registrar,
            authority,
            now,
            reachable: true,
        };
        world.settle();
        assert_eq!(world.core.view.stage, Stage::SignedIn);
        world
    }

    /// Carries out effects until nothing moves; gives those that faces or the world would see.
    fn settle(&mut self) -> Vec<Effect> {
        let mut said = Vec::new();
        loop {
            let effects = self.core.take_effects();
            if effects.is_empty() {
                return said;
            }
            for effect in effects {
                match effect {
                    Effect::SipConnect { generation, .. } => {
                        let event = if self.reachable {
                            SipEvent::Connected {
                                local: "127.0.0.1:50000".into(),
                            }
                        } else {
                            SipEvent::Closed(NetFault::Unreachable)
                        };
                        self.core.sip_event(self.now, generation, event);
                    }
                    Effect::SipSend(bytes) if self.reachable => {
                        for answer in self.registrar.exchange(&bytes) {
                            let generation = self.core.generation;
                            self.core
                                .sip_event(self.now, generation, SipEvent::Bytes(answer));
                        }
                    }
                    Effect::SipSend(_) | Effect::SipClose => {}
                    other => said.push(other),
                }
            }
        }
    }

    fn intent(&mut self, intent: Intent) -> Vec<Effect> {
        self.core.intent(self.now, TERMINAL, intent);
        self.settle()
    }

    fn later(&mut self, secs: u64) -> Vec<Effect> {
        self.now.at += StdDuration::from_secs(secs);
        self.now.wall += Duration::seconds(i64::try_from(secs).unwrap());
        self.core.tick(self.now);
        self.settle()
    }

    /// The server sends something, as if by itself.
    fn push(&mut self, message: OutMessage) -> Vec<Effect> {
        self.registrar.push(message);
        for bytes in self.registrar.exchange(&[]) {
            let generation = self.core.generation;
            self.core
                .sip_event(self.now, generation, SipEvent::Bytes(bytes));
        }
        self.settle()
    }
}

fn reply(said: &[Effect]) -> Option<Result<ReplyBody, Problem>> {
    said.iter().find_map(|effect| match effect {
        Effect::Reply {
            asker: TERMINAL,
            result,
        } => Some(match result {
            Ok(body) => Ok((**body).clone()),
            Err(problem) => Err(problem.clone()),
        }),
        _ => None,
    })
}

fn from_bob(method: Method<'_>, number: u32, tag: &str) -> OutMessage {
    OutMessage::request(method, "sip:alice@contoso.test")
        .with(Name::Via, "SIP/2.0/TLS lync.contoso.test;branch=z9hG4bK1")
        .with(Name::From, "<sip:bob@contoso.test>;tag=bob1")
        .with(Name::To, format!("<sip:alice@contoso.test>{tag}"))
        .with(Name::CallId, "call-1")
        .with(Name::CSeq, format!("{number} {}", method.as_str()))
}

#[test]
fn a_lost_connection_is_made_again_with_the_chat_key() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::signed_in(dir.path(), Duration::hours(12));
    world.reachable = false;
    let generation = world.core.generation;
    world
        .core
        .sip_event(world.now, generation, SipEvent::Closed(NetFault::Broken));
    world.settle();
    assert!(matches!(
        world.core.view.stage,
        Stage::Reconnecting { retry_in: 1, .. }
    ));
    world.later(1);
    assert!(matches!(
        world.core.view.stage,
        Stage::Reconnecting { retry_in: 2, .. }
    ));
    let refused = world.intent(Intent::Contacts);
    assert!(reply(&refused).unwrap().unwrap_err().is(Fault::SessionLost));
    world.reachable = true;
    world.registrar = Registrar::new(&world.authority);
    world.later(2);
    assert_eq!(world.core.view.stage, Stage::SignedIn);
    assert_eq!(world.core.view.problem, None);
}

#[test]
fn the_certificate_is_renewed_half_an_hour_before_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::signed_in(dir.path(), Duration::hours(2));
    world.core.renew_at = Some(world.now.wall + Duration::minutes(90));
    assert!(
        world
            .later(60 * 89)
            .iter()
            .all(|effect| !matches!(effect, Effect::SignIn(_)))
    );
    let said = world.later(61);
    let asked = said.iter().find_map(|effect| match effect {
        Effect::SignIn(Output::Http { id, request }) => Some((*id, request.url.clone())),
        _ => None,
    });
    let (id, url) = asked.expect("the renewal begins with the known service");
    assert_eq!(url, format!("{STS}/mex"));
    assert_eq!(
        world.core.view.stage,
        Stage::SignedIn,
        "nobody is disturbed before the PIN"
    );
    // It does not work out: the session goes on, and the person is told.
    world.core.sign_in_input(
        world.now,
        Input::Http {
            id,
            answer: Err(NetFault::Unreachable),
        },
    );
    let said = world.settle();
    assert!(
        said.iter()
            .any(|effect| matches!(effect, Effect::Event(Event::Notice { .. })))
    );
    assert_eq!(world.core.view.stage, Stage::SignedIn);
    assert!(world.core.renew_at.is_some(), "asked again later");
}

#[test]
fn a_certificate_that_ends_ends_the_session_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::signed_in(dir.path(), Duration::minutes(10));
    world.later(601);
    assert_eq!(world.core.view.stage, Stage::Idle);
    let problem = world.core.view.problem.clone().unwrap();
    assert!(problem.is(Fault::SessionCertificateEnds));
    assert!(
        world.core.session.is_none(),
        "the chat key goes with the session"
    );
}

#[test]
fn signing_out_answers_when_the_registrar_has() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::signed_in(dir.path(), Duration::hours(12));
    let said = world.intent(Intent::SignOut {
        delete_sign_in_info: false,
    });
    assert!(reply(&said).unwrap().is_ok());
    assert_eq!(world.core.view.stage, Stage::Idle);
    assert!(
        world.core.view.address.is_some(),
        "pre-filled the next time"
    );
    let again = world.intent(Intent::SignOut {
        delete_sign_in_info: false,
    });
    assert!(reply(&again).unwrap().unwrap_err().is(Fault::NoSession));
}

#[test]
fn a_registrar_that_is_silent_does_not_hold_anybody_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::signed_in(dir.path(), Duration::hours(12));
    world.reachable = false;
    let said = world.intent(Intent::Exit);
    assert!(reply(&said).is_none());
    assert_eq!(world.core.view.stage, Stage::SigningOut);
    let said = world.later(4);
    assert!(reply(&said).unwrap().is_ok());
    assert!(said.iter().any(|effect| matches!(effect, Effect::Exit)));
}

#[test]
fn deleting_while_signed_in_signs_out_first_and_lists_what_went() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::signed_in(dir.path(), Duration::hours(12));
    let said = world.intent(Intent::DeleteSignInInfo { address: None });
    let forgotten = reply(&said).unwrap().unwrap().forgotten.unwrap();
    assert!(
        forgotten
            .removed
            .iter()
            .any(|thing| thing.contains("last-account"))
    );
    assert_eq!(world.core.view.address, None);
    assert!(world.core.session.is_none());
}

#[test]
fn somebody_else_cannot_sign_in_beside_a_session_and_the_same_person_attaches() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::signed_in(dir.path(), Duration::hours(12));
    let bob = world.intent(Intent::SignIn {
        address: "bob@contoso.test".parse().unwrap(),
    });
    assert!(reply(&bob).unwrap().unwrap_err().is(Fault::AlreadySignedIn));
    let alice = world.intent(Intent::SignIn {
        address: "alice@contoso.test".parse().unwrap(),
    });
    assert_eq!(
        reply(&alice).unwrap().unwrap().session.unwrap().stage,
        Stage::SignedIn
    );
}

#[test]
fn messages_wait_for_a_face_that_shows_them_and_are_shown_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::signed_in(dir.path(), Duration::hours(12));
    let offer = "v=0\r\nm=message 5060 sip null\r\n".to_owned();
    let invite = from_bob(Method::Invite, 1, "")
        .with(Name::Contact, "<sip:bob@contoso.test>")
        .with_body("application/sdp", offer);
    world.push(invite);
    let answer = world.registrar.heard.last().unwrap().clone();
    let to = lanyard_sip::Headers::to_addr(&answer)
        .unwrap()
        .tag()
        .unwrap()
        .to_owned();
    let message = from_bob(Method::Message, 2, &format!(";tag={to}"))
        .with_body("text/plain", "while you were away".to_owned());
    world.push(message);
    let shown = |said: &[Effect]| {
        let is = |effect: &&Effect| matches!(effect, Effect::EventTo(1, Event::Message(_)));
        said.iter().filter(is).count()
    };
    // A program that watches does not show anything to anybody.
    assert_eq!(shown(&world.intent(Intent::Attach { display: false })), 0);
    assert_eq!(shown(&world.intent(Intent::Attach { display: true })), 1);
    world.core.face_gone(world.now, TERMINAL.face);
    assert_eq!(shown(&world.intent(Intent::Attach { display: true })), 0);
    let with = "bob@contoso.test".parse().unwrap();
    let history = reply(&world.intent(Intent::History { with }))
        .unwrap()
        .unwrap();
    assert_eq!(history.messages.unwrap()[0].text, "while you were away");
}
