// SPDX-License-Identifier: MIT OR Apache-2.0
//! Alice's client among others: what they send is written here by hand.

use std::time::Instant;

use lanyard_fault::Fault;
use lanyard_sip::{Headers, Message, Method, Name, OutMessage};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{MEMBERS_MAX, Party, Place, ROSTER_ACTION};
use crate::session::dialog::sdp;
use crate::session::rig::{Authority, Registrar, pump};
use crate::session::{Action, Now, Session, Token};
use crate::view::{ConversationView, Delivery};

const CALL: &str = "conversation-1";

struct World {
    session: Session,
    registrar: Registrar,
    now: Now,
}

fn world() -> World {
    let authority = Authority::new();
    let alice = "alice@contoso.test".parse().unwrap();
    let mut world = World {
        session: Session::new(&alice, Uuid::from_u128(1)).unwrap(),
        registrar: Registrar::new(&authority),
        now: Now {
            at: Instant::now(),
            wall: OffsetDateTime::now_utc(),
        },
    };
    world.session.connect();
    world.pump();
    let credential = authority.credential(Duration::hours(12));
    world.session.provide(world.now, credential);
    world.pump();
    world
}

impl World {
    fn pump(&mut self) -> Vec<Action> {
        pump(&mut self.session, &mut self.registrar, self.now)
    }

    /// A request of somebody else; `tag` is Alice's, in a dialog.
    fn from(who: &str, method: Method<'_>, number: u32, tag: Option<&str>) -> OutMessage {
        let to = tag.map_or(String::new(), |tag| format!(";tag={tag}"));
        OutMessage::request(method, "sip:alice@contoso.test")
            .with(Name::Via, "SIP/2.0/TLS lync.contoso.test;branch=z9hG4bK1")
            .with(Name::From, format!("<sip:{who}@contoso.test>;tag={who}1"))
            .with(Name::To, format!("<sip:alice@contoso.test>{to}"))
            .with(Name::CallId, CALL)
            .with(Name::CSeq, format!("{number} {}", method.as_str()))
            .with(Name::MaxForwards, 70)
            .with(Name::Contact, format!("<sip:{who}@contoso.test;gruu>"))
    }

    /// Somebody invites Alice; gives her tag, and what she shows.
    fn invited_by(&mut self, who: &str, headers: &[(&'static str, &str)]) -> (String, Vec<Action>) {
        let mut invite = Self::from(who, Method::Invite, 1, None);
        for (name, value) in headers {
            invite.push(*name, value);
        }
        self.registrar
            .push(invite.with_body("application/sdp", sdp()));
        let said = self.pump();
        let answers = self.registrar.heard.iter().rev();
        let mut answers = answers.filter(|one| one.status() == Some(200));
        let answer = answers.next().unwrap();
        let to = answer.to_addr().unwrap();
        (to.tag().unwrap().to_owned(), said)
    }

    fn request(&mut self, request: OutMessage) -> (Option<u16>, Vec<Action>) {
        let from = self.registrar.heard.len();
        self.registrar.push(request);
        let said = self.pump();
        let mut answers = self.registrar.heard.iter().skip(from);
        (answers.find_map(Headers::status), said)
    }

    fn invites(&self) -> Vec<&Message> {
        let heard = self.registrar.heard.iter();
        heard
            .filter(|one| one.method() == Some(Method::Invite))
            .collect()
    }
}

fn conversations(said: &[Action]) -> Vec<&ConversationView> {
    fn one(action: &Action) -> Option<&ConversationView> {
        match action {
            Action::Conversation(view) => Some(view),
            _ => None,
        }
    }
    said.iter().filter_map(one).collect()
}

fn names(view: &ConversationView) -> Vec<&str> {
    view.members
        .iter()
        .map(|one| one.address.as_str())
        .collect()
}

const THREE: [(&str, &str); 3] = [
    ("Roster-Manager", "sip:bob@contoso.test"),
    (
        "EndPoints",
        "\"Bob, B.\" <sip:bob@contoso.test>;epid=1, <sip:alice@contoso.test>, <sip:Carol@contoso.test>",
    ),
    ("Require", "com.microsoft.rtc-multiparty"),
];

#[test]
fn the_invited_invites_everybody_whom_it_does_not_know_and_shows_who_is_there() {
    let mut world = world();
    let (_, said) = world.invited_by("bob", &THREE);
    let last = conversations(&said).pop().unwrap().clone();
    assert_eq!(names(&last), ["bob@contoso.test", "carol@contoso.test"]);
    let invites = world.invites();
    assert_eq!(invites.len(), 1);
    assert_eq!(invites[0].call_id(), Some(CALL));
    assert_eq!(invites[0].header_named("TriggeredInvite"), Some("TRUE"));
    assert_eq!(invites[0].header_named("EndPoints"), None);
    assert!(invites[0].to_addr().unwrap().uri.contains("carol"));
    // The same invitation again changes nothing.
    let (_, said) = world.invited_by("bob", &THREE);
    assert_eq!(world.invites().len(), 1);
    assert_eq!(names(conversations(&said)[0]).len(), 2);
}

#[test]
fn a_message_to_several_is_delivered_when_all_have_it() {
    let mut world = world();
    world.invited_by("bob", &THREE);
    world.session.say(world.now, CALL, "hello all", Token(1));
    let said = world.pump();
    assert_eq!(world.registrar.count("MESSAGE"), 2);
    let delivered = |action: &Action| {
        matches!(action, Action::Message(one) if one.delivery == Delivery::Delivered
            && one.conversation.as_deref() == Some(CALL))
    };
    assert_eq!(said.iter().filter(|one| delivered(one)).count(), 1);
    world.registrar.status.insert("MESSAGE", 500);
    world.session.say(world.now, CALL, "lost", Token(2));
    let said = world.pump();
    let told = said.iter().find_map(|action| match action {
        Action::Done {
            token: Token(2),
            outcome,
        } => Some(outcome.clone()),
        _ => None,
    });
    let problem = told.unwrap().unwrap_err();
    assert!(problem.is(Fault::MessageNotDelivered));
    assert!(
        problem
            .detail
            .unwrap()
            .contains("bob@contoso.test, carol@contoso.test")
    );
}

#[test]
fn a_newcomer_joins_a_conversation_with_one_person_and_makes_it_one_of_several() {
    let mut world = world();
    let (tag, said) = world.invited_by("bob", &[]);
    assert_eq!(conversations(&said).len(), 0);
    let (_, said) = world.invited_by("carol", &[("TriggeredInvite", "TRUE")]);
    assert_eq!(
        names(conversations(&said)[0]),
        ["bob@contoso.test", "carol@contoso.test"]
    );
    // Bob's old dialog belongs to it now.
    let text = World::from("bob", Method::Message, 2, Some(&tag)).with_body("text/plain", "hi");
    let (status, said) = world.request(text);
    assert_eq!(status, Some(200));
    assert!(
        said.iter()
            .any(|action| matches!(action, Action::Message(one)
        if one.conversation.as_deref() == Some(CALL) && one.with.as_str() == "bob@contoso.test"))
    );
    // Whoever says goodbye is gone; with the last one the conversation is over.
    let (status, said) = world.request(World::from("bob", Method::Bye, 3, Some(&tag)));
    assert_eq!(status, Some(200));
    assert_eq!(names(conversations(&said)[0]), ["carol@contoso.test"]);
}

#[test]
fn others_agree_on_who_invites_and_are_invited_through_us_only_while_it_is_us() {
    let mut world = world();
    let (tag, _) = world.invited_by("bob", &[("TriggeredInvite", "TRUE")]);
    let refer = |number, who: &str| {
        World::from("bob", Method::Refer, number, Some(&tag))
            .with(Name::ReferTo, format!("<sip:{who}@contoso.test>"))
            .with(Name::ReferredBy, "<sip:bob@contoso.test>")
    };
    let (status, said) = world.request(refer(2, "dora"));
    assert_eq!(status, Some(202));
    assert!(names(conversations(&said)[0]).contains(&"dora@contoso.test"));
    let invite = world.invites().pop().unwrap();
    assert_eq!(
        invite.header_named("Roster-Manager"),
        Some("sip:alice@contoso.test")
    );
    assert_eq!(
        invite
            .header_named("EndPoints")
            .unwrap()
            .matches('<')
            .count(),
        3
    );
    assert_eq!(
        invite.header(Name::ReferredBy),
        Some("<sip:bob@contoso.test>")
    );
    let action = |number, body: &str| {
        let request = World::from("bob", Method::Info, number, Some(&tag));
        request.with_body(
            ROSTER_ACTION,
            format!("<action xmlns=\"m\">{body}</action>"),
        )
    };
    let (status, _) = world.request(action(
        3,
        "<RequestRM uri=\"sip:bob@contoso.test\" bid=\"1\"/>",
    ));
    assert_eq!(status, Some(200));
    // Nobody appoints somebody else.
    let (status, _) = world.request(action(4, "<SetRM uri=\"sip:mallory@contoso.test\"/>"));
    assert_eq!(status, Some(403));
    let (status, _) = world.request(action(5, "<SetRM uri=\"sip:bob@contoso.test\"/>"));
    assert_eq!(status, Some(200));
    let (status, _) = world.request(refer(6, "erin"));
    assert_eq!(status, Some(403));
    // Now we ask Bob.
    let erin = "erin@contoso.test".parse().unwrap();
    let place = Place::In(CALL.to_owned());
    world
        .session
        .invite_third(world.now, &place, &erin, Token(9));
    world.pump();
    assert_eq!(world.registrar.count("REFER"), 1);
}

#[test]
fn strangers_neither_speak_in_a_conversation_nor_fill_the_world() {
    let mut world = world();
    let (tag, _) = world.invited_by("bob", &[("TriggeredInvite", "TRUE")]);
    for method in [Method::Message, Method::Info, Method::Refer, Method::Bye] {
        let stranger = World::from("mallory", method, 2, Some(&tag));
        let (status, _) = world.request(stranger.with_body("text/plain", "x"));
        assert_eq!(status, Some(481), "{}", method.as_str());
    }
    let crowd: Vec<String> = (0..500)
        .map(|n| format!("<sip:p{n}@contoso.test>"))
        .collect();
    world.invited_by("bob", &[("EndPoints", &crowd.join(", "))]);
    assert!(world.invites().len() <= MEMBERS_MAX);
    let long = "x".repeat(2_000);
    let invite = World::from("bob", Method::Invite, 1, None).with("TriggeredInvite", "TRUE");
    let mut invite = invite.with_body("application/sdp", sdp());
    invite.set(Name::CallId, long);
    let (status, _) = world.request(invite);
    assert_eq!(status, Some(486));
}

#[test]
fn an_invitation_is_read_as_it_is_written() {
    let uri =
        |user: &str| lanyard_presence::PersonUri::parse(&format!("{user}@contoso.test")).unwrap();
    let party = Party {
        end_points: vec![uri("alice"), uri("bob")],
        manager: Some(uri("alice")),
        referred_by: None,
        triggered: true,
    };
    let mut invite = World::from("alice", Method::Invite, 1, None);
    party.write(&mut invite);
    let read = Message::parse(invite.to_bytes()).unwrap();
    assert_eq!(Party::of(&read), Some(party));
    let plain = World::from("alice", Method::Invite, 1, None);
    assert_eq!(Party::of(&Message::parse(plain.to_bytes()).unwrap()), None);
}
