// SPDX-License-Identifier: MIT OR Apache-2.0
//! A session against a registrar that shakes hands, signs and verifies for real.

use std::time::{Duration as StdDuration, Instant};

use lanyard_fault::Fault;
use lanyard_presence::xml::content_type;
use lanyard_sip::{Headers, Method, Name, OutMessage};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::rig::{Authority, Registrar, STS, pump};
use super::{Action, Now, Session, Token};
use crate::problem::Problem;
use crate::view::{Availability, Delivery, MessageView};

const CONTACTS: &str = "vnd-microsoft-roaming-contacts";

struct World {
    session: Session,
    registrar: Registrar,
    authority: Authority,
    now: Now,
}

fn now() -> Now {
    Now {
        at: Instant::now(),
        wall: OffsetDateTime::now_utc(),
    }
}

fn world() -> World {
    let authority = Authority::new();
    let registrar = Registrar::new(&authority);
    let alice = "alice@contoso.test".parse().unwrap();
    let session = Session::new(&alice, Uuid::from_u128(1)).unwrap();
    World {
        session,
        registrar,
        authority,
        now: now(),
    }
}

impl World {
    fn pump(&mut self) -> Vec<Action> {
        pump(&mut self.session, &mut self.registrar, self.now)
    }

    fn later(&mut self, secs: u64) -> Vec<Action> {
        self.now.at += StdDuration::from_secs(secs);
        self.session.tick(self.now);
        self.pump()
    }

    /// Connects, hears which certificate is wanted, and registers with it.
    fn sign_in(&mut self) -> Vec<Action> {
        self.session.connect();
        let said = self.pump();
        assert_eq!(
            said,
            [Action::NeedCredential {
                sts_uri: STS.to_owned()
            }]
        );
        let credential = self.authority.credential(Duration::hours(12));
        self.session.provide(self.now, credential);
        self.pump()
    }

    fn from_bob(method: Method<'_>, call: &str, number: u32) -> OutMessage {
        OutMessage::request(method, "sip:alice@contoso.test")
            .with(Name::Via, "SIP/2.0/TLS lync.contoso.test;branch=z9hG4bK1")
            .with(Name::From, "\"Bob\" <sip:bob@contoso.test>;tag=bob1;epid=b")
            .with(Name::To, "<sip:alice@contoso.test>")
            .with(Name::CallId, call)
            .with(Name::CSeq, format!("{number} {}", method.as_str()))
            .with(Name::MaxForwards, 70)
    }

    fn bob_invites(&mut self, call: &str) -> String {
        let invite = Self::from_bob(Method::Invite, call, 1)
            .with(
                Name::Contact,
                "<sip:bob@contoso.test;opaque=user:epid:x;gruu>",
            )
            .with_body("application/sdp", super::dialog::sdp());
        self.registrar.push(invite);
        self.pump();
        let answer = self.registrar.heard.last().unwrap();
        assert_eq!(answer.status(), Some(200));
        answer.to_addr().unwrap().tag().unwrap().to_owned()
    }

    fn bob_says(&mut self, call: &str, tag: &str, number: u32, text: &str) -> Vec<Action> {
        let message = Self::from_bob(Method::Message, call, number);
        let mut message = message.with_body("text/plain; charset=UTF-8", text.to_owned());
        message.set(Name::To, format!("<sip:alice@contoso.test>;tag={tag}"));
        self.registrar.push(message);
        self.pump()
    }
}

fn messages(said: &[Action]) -> Vec<&MessageView> {
    fn message(action: &Action) -> Option<&MessageView> {
        match action {
            Action::Message(message) => Some(message),
            _ => None,
        }
    }
    said.iter().filter_map(message).collect()
}

#[test]
fn registration_shakes_hands_signs_and_subscribes() {
    let mut world = world();
    let said = world.sign_in();
    assert!(said.contains(&Action::Registered), "{said:?}");
    assert!(world.session.is_registered());
    assert_eq!(world.registrar.count("SUBSCRIBE"), 3);
    // Without a handshake: two rounds of it, the proof, and the first question twice.
    assert_eq!(world.registrar.count("REGISTER"), 5);
}

#[test]
fn an_unsigned_acceptance_is_not_believed() {
    let mut world = world();
    world.registrar.unsigned = true;
    let said = world.sign_in();
    assert!(!said.contains(&Action::Registered));
    assert!(!world.session.is_registered());
    let said = world.later(40);
    assert!(
        said.iter().any(|action| matches!(action, Action::Lost(_))),
        "{said:?}"
    );
}

#[test]
fn a_refused_registration_ends_with_the_servers_reason() {
    let mut world = world();
    world.registrar.status.insert("REGISTER", 403);
    world.registrar.diagnostics =
        Some("4004;reason=\"This account is disabled. (LY-1306)\";source=\"lync.contoso.test\"");
    let said = world.sign_in();
    let Some(Action::Ended(problem)) = said.last() else {
        panic!("{said:?}")
    };
    assert!(problem.is(Fault::AccountDisabled));
    assert_eq!(
        world.session.credential_ends(),
        None,
        "the chat key must be gone"
    );
}

#[test]
fn a_message_goes_through_one_invitation_and_is_delivered() {
    let mut world = world();
    world.sign_in();
    let bob = "bob@contoso.test".parse().unwrap();
    world
        .session
        .send_text(world.now, &bob, "Grüße 🏯", Token(1));
    world.session.send_text(world.now, &bob, "second", Token(2));
    let said = world.pump();
    let delivered = messages(&said)
        .into_iter()
        .filter(|message| message.delivery == Delivery::Delivered)
        .map(|message| message.text.clone());
    assert_eq!(delivered.collect::<Vec<_>>(), ["Grüße 🏯", "second"]);
    assert!(said.contains(&Action::Done {
        token: Token(1),
        outcome: Ok(())
    }));
    assert!(said.contains(&Action::Done {
        token: Token(2),
        outcome: Ok(())
    }));
    let registrar = &world.registrar;
    assert_eq!((registrar.count("INVITE"), registrar.count("ACK")), (1, 1));
    assert_eq!(registrar.count("MESSAGE"), 2);
}

#[test]
fn a_message_to_somebody_who_is_away_is_not_delivered_in_words() {
    for (status, expected) in [
        (480, Fault::MessageNotDelivered),
        (404, Fault::PersonUnknown),
        (486, Fault::MessageNotDelivered),
    ] {
        let mut world = world();
        world.sign_in();
        world.registrar.status.insert("INVITE", status);
        let bob = "bob@contoso.test".parse().unwrap();
        world.session.send_text(world.now, &bob, "hi", Token(1));
        let said = world.pump();
        let outcome = said.iter().find_map(|action| match action {
            Action::Done {
                outcome: Err(problem),
                ..
            } => Some(problem),
            _ => None,
        });
        assert!(outcome.unwrap().is(expected), "{status}");
    }
}

#[test]
fn an_unanswered_message_is_not_delivered_and_empty_ones_are_not_sent() {
    let mut world = world();
    world.sign_in();
    let bob = "bob@contoso.test".parse().unwrap();
    world.session.send_text(world.now, &bob, " \n", Token(1));
    let empty = Problem::new(Fault::MessageEmpty);
    assert_eq!(
        world.pump(),
        [Action::Done {
            token: Token(1),
            outcome: Err(empty)
        }]
    );
    let long = "x".repeat(super::conversations::TEXT_BYTES_MAX + 1);
    world.session.send_text(world.now, &bob, &long, Token(2));
    let long = Problem::new(Fault::TextTooLong);
    assert_eq!(
        world.pump(),
        [Action::Done {
            token: Token(2),
            outcome: Err(long)
        }]
    );
    assert_eq!(world.registrar.count("INVITE"), 0);
}

#[test]
fn an_invitation_is_answered_and_its_messages_arrive_intact() {
    let mut world = world();
    world.sign_in();
    let tag = world.bob_invites("call-1");
    let said = world.bob_says("call-1", &tag, 2, "ありがとう! 👍🏽");
    let texts: Vec<_> = messages(&said)
        .iter()
        .map(|message| message.text.clone())
        .collect();
    assert_eq!(texts, ["ありがとう! 👍🏽"]);
    assert_eq!(world.registrar.heard.last().unwrap().status(), Some(200));
    // The answer goes through the same dialog: nobody is invited anew.
    let bob = "bob@contoso.test".parse().unwrap();
    world
        .session
        .send_text(world.now, &bob, "de nada", Token(1));
    world.pump();
    assert_eq!(world.registrar.count("INVITE"), 0);
    assert_eq!(world.registrar.count("MESSAGE"), 1);
}

#[test]
fn messages_outside_a_dialog_and_unsigned_ones_do_not_arrive() {
    let mut world = world();
    world.sign_in();
    let said = world.bob_says("no-call", "no-tag", 2, "hello");
    assert!(messages(&said).is_empty());
    assert_eq!(world.registrar.heard.last().unwrap().status(), Some(481));
    let heard = world.registrar.heard.len();
    let tag = world.bob_invites("call-1");
    let mut forged =
        World::from_bob(Method::Message, "call-1", 2).with_body("text/plain", "forged".to_owned());
    forged.set(Name::To, format!("<sip:alice@contoso.test>;tag={tag}"));
    world.registrar.push_unsigned(&forged);
    assert!(messages(&world.pump()).is_empty());
    // The invitation was answered, the forged message was not.
    assert_eq!(world.registrar.heard.len(), heard + 1);
}

#[test]
fn the_end_of_the_session_is_told_with_its_reason_and_the_key_is_gone() {
    let mut world = world();
    world.sign_in();
    let notify = World::from_bob(Method::BeNotify, "end", 1)
        .with(Name::Event, "registration-notify")
        .with(
            Name::MsDiagnostics,
            "4141;reason=\"Your card was reported lost. (LY-1501)\";source=\"lync.contoso.test\"",
        )
        .with_body(
            content_type::REGISTRATION_EVENT,
            "deregistered;event=rejected",
        );
    world.registrar.push(notify);
    let said = world.pump();
    let Some(Action::Ended(problem)) = said.last() else {
        panic!("{said:?}")
    };
    assert!(problem.is(Fault::SessionEndedCardRevoked));
    assert_eq!(world.session.credential_ends(), None);
}

#[test]
fn a_server_that_stops_is_waited_for_with_the_chat_key() {
    let mut world = world();
    world.sign_in();
    let notify = World::from_bob(Method::BeNotify, "end", 1)
        .with(Name::Event, "registration-notify")
        .with_body(
            content_type::REGISTRATION_EVENT,
            "deregistered;event=unregistered",
        );
    world.registrar.push(notify);
    let said = world.pump();
    assert!(
        said.iter().any(|action| matches!(action, Action::Lost(_))),
        "{said:?}"
    );
    assert!(world.session.credential_ends().is_some());
    // The server is back: the same key registers without anybody being asked.
    world.registrar = Registrar::new(&world.authority);
    world.session.connect();
    let said = world.pump();
    assert!(said.contains(&Action::Registered), "{said:?}");
}

#[test]
fn refreshes_and_keep_alives_come_in_time() {
    let mut world = world();
    world.sign_in();
    let registers = world.registrar.count("REGISTER");
    let said = world.later(29);
    assert!(said.is_empty());
    // Idle for the period that the server named.
    world.now.at += StdDuration::from_secs(2);
    world.session.tick(world.now);
    let beats = world.session.take_actions();
    assert_eq!(
        beats,
        [Action::Send(bytes::Bytes::from_static(b"\r\n\r\n"))]
    );
    world.later(240);
    assert_eq!(world.registrar.count("REGISTER"), registers + 1);
    assert!(world.session.is_registered());
}

#[test]
fn contacts_and_presence_are_shown_in_words() {
    let mut world = world();
    let list = "<contactList deltaNum=\"5\"><group id=\"1\" name=\"~\" externalURI=\"\"/>\
                <group id=\"2\" name=\"Team\" externalURI=\"\"/>\
                <contact uri=\"bob@contoso.test\" name=\"\" groups=\"2\" subscribed=\"true\" \
                externalURI=\"\"/></contactList>";
    world
        .registrar
        .bodies
        .insert(CONTACTS, (content_type::ROAMING_CONTACTS, list.to_owned()));
    world.sign_in();
    assert_eq!(world.registrar.count("SUBSCRIBE"), 4);
    let view = world.session.contacts();
    assert_eq!(view[0].groups, ["Team"]);
    assert_eq!(view[0].availability, Availability::Unknown);
    let state = "<categories xmlns=\"http://schemas.microsoft.com/2006/09/sip/categories\" \
                 uri=\"sip:bob@contoso.test\"><category name=\"state\" instance=\"1\" \
                 publishTime=\"2026-11-22T13:17:19.000\" container=\"2\" version=\"1\" \
                 expireType=\"static\"><state xmlns=\"http://schemas.microsoft.com/2006/09/sip/state\" \
                 xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
                 xsi:type=\"aggregateState\"><availability>6500</availability></state></category>\
                 </categories>";
    let notify = World::from_bob(Method::BeNotify, "presence", 1)
        .with(Name::Event, "presence")
        .with_body(content_type::CATEGORIES, state.to_owned());
    world.registrar.push(notify);
    let said = world.pump();
    let Some(Action::Contact(contact)) = said.first() else {
        panic!("{said:?}")
    };
    assert_eq!(contact.availability, Availability::Busy);
}

#[test]
fn a_contact_that_was_refused_says_why_and_an_accepted_one_is_watched() {
    let mut world = world();
    world.sign_in();
    let bob = "bob@contoso.test".parse().unwrap();
    world
        .session
        .add_contact(world.now, &bob, "", None, Token(1));
    let said = world.pump();
    assert!(said.contains(&Action::Done {
        token: Token(1),
        outcome: Ok(())
    }));
    assert_eq!(world.session.contacts().len(), 1);
    world.registrar.status.insert("SERVICE", 404);
    let carol = "carol@contoso.test".parse().unwrap();
    world
        .session
        .add_contact(world.now, &carol, "", None, Token(2));
    let said = world.pump();
    let refused = Action::Done {
        token: Token(2),
        outcome: Err(Fault::PersonUnknown.into()),
    };
    assert!(said.contains(&refused), "{said:?}");
    world.session.remove_contact(world.now, &carol, Token(3));
    let said = world.pump();
    assert!(matches!(
        said.first(),
        Some(Action::Done {
            outcome: Err(_),
            ..
        })
    ));
}

#[test]
fn signing_out_says_good_bye_in_every_conversation_and_to_the_registrar() {
    let mut world = world();
    world.sign_in();
    world.bob_invites("call-1");
    world.session.sign_out(world.now);
    let said = world.pump();
    assert_eq!(said.last(), Some(&Action::SignedOut));
    assert_eq!(world.registrar.count("BYE"), 1);
    let last = world
        .registrar
        .heard
        .iter()
        .rfind(|one| one.method() == Some(Method::Register));
    assert_eq!(last.unwrap().expires_secs(), Some(0));
}
