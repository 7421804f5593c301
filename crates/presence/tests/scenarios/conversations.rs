// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages between people.

use std::time::Duration;

use lanyard_presence::limits::{
    DIALOGS_PER_PAIR_MAX, GRACE, INVITE_TIMEOUT, LINGERING_PER_ENDPOINT_MAX, MESSAGE_BYTES_MAX,
    REQUEST_TIMEOUT,
};
use lanyard_sip::{Headers, Message, Name};

use crate::world::{Client, World, text};

const SDP: (&str, &str) = (
    "application/sdp",
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=session\n",
);
const BOB: &str = "sip:bob@contoso.test";

fn method(message: &Message) -> &str {
    message.method().map_or("answer", |m| m.as_str())
}

fn invite(world: &mut World, from: &Client, to: &str, call: &str) {
    let extra = format!("Supported: ms-sender\nContact: <{}>\n", from.gruu());
    let text = from.request("INVITE", to, to, call, &extra, SDP);
    world.send(from, &text);
}

/// Alice and Bob in a conversation; gives Bob's To with his tag.
fn talk(world: &mut World, alice: &Client, bob: &Client, call: &str) -> String {
    invite(world, alice, BOB, call);
    let ring = world.take_one(bob);
    let ok = bob.answer(&ring, 200, &format!("Contact: <{}>\n", bob.gruu()), SDP);
    world.send(bob, &ok);
    let accepted = world.take_one(alice);
    assert_eq!(accepted.status(), Some(200));
    let to = accepted.header(Name::To).expect("To").to_owned();
    let number = alice.cseq.get();
    let tag = format!("from{}", alice.connection.0);
    let ack = alice.request_in("ACK", &bob.gruu(), &to, (call, &tag), number, "", ("", ""));
    world.send(alice, &ack);
    assert_eq!(method(&world.take_one(bob)), "ACK");
    to
}

#[test]
fn a_conversation_goes_both_ways_with_text_of_any_kind() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    invite(&mut world, &alice, BOB, "c1");
    let ring = world.take_one(&bob);
    insta::assert_snapshot!("invite_forwarded", text(&ring));
    let ok = bob.answer(&ring, 200, &format!("Contact: <{}>\n", bob.gruu()), SDP);
    world.send(&bob, &ok);
    let accepted = world.take_one(&alice);
    insta::assert_snapshot!("invite_accepted", text(&accepted));
    let to = accepted.header(Name::To).expect("To").to_owned();
    let tag = format!("from{}", alice.connection.0);
    let ack = alice.request_in(
        "ACK",
        &bob.gruu(),
        &to,
        ("c1", &tag),
        alice.cseq.get(),
        "",
        ("", ""),
    );
    world.send(&alice, &ack);
    assert_eq!(method(&world.take_one(&bob)), "ACK");

    let words = "Grüße 👋 من برلین";
    let say = alice.request(
        "MESSAGE",
        &bob.gruu(),
        &to,
        "c1",
        "",
        ("text/plain; charset=UTF-8", words),
    );
    world.send(&alice, &say);
    let heard = world.take_one(&bob);
    assert_eq!(std::str::from_utf8(heard.body()), Ok(words));
    assert!(heard.header(Name::Authorization).is_none());
    let ok = bob.answer(&heard, 200, "", ("", ""));
    world.send(&bob, &ok);
    let delivered = world.take_one(&alice);
    assert_eq!(delivered.status(), Some(200));
    assert_eq!(delivered.header(Name::Via), Some("SIP/2.0/tls 127.0.0.1:5"));

    // Back, and typing.
    let (from, bobs_tag) = (
        format!("<{}>;tag={tag}", alice.sip()),
        format!("to{}", bob.connection.0),
    );
    for (kind, body) in [("MESSAGE", "hello"), ("INFO", "<KeyboardActivity/>")] {
        let back = bob.request_in(
            kind,
            &alice.gruu(),
            &from,
            ("c1", &bobs_tag),
            bob.number(),
            "",
            ("text/plain", body),
        );
        world.send(&bob, &back);
        let heard = world.take_one(&alice);
        assert_eq!((method(&heard), heard.body()), (kind, body.as_bytes()));
        let ok = alice.answer(&heard, 200, "", ("", ""));
        world.send(&alice, &ok);
        assert_eq!(world.take_one(&bob).status(), Some(200));
    }

    // Goodbye ends it for both.
    let bye = bob.request_in(
        "BYE",
        &alice.gruu(),
        &from,
        ("c1", &bobs_tag),
        bob.number(),
        "",
        ("", ""),
    );
    world.send(&bob, &bye);
    assert_eq!(method(&world.take_one(&alice)), "BYE");
    let late = alice.request(
        "MESSAGE",
        &bob.gruu(),
        &to,
        "c1",
        "",
        ("text/plain", "late"),
    );
    world.send(&alice, &late);
    assert_eq!(world.take_one(&alice).status(), Some(481));
    assert!(world.take(&bob).is_empty());
}

#[test]
fn all_endpoints_ring_and_the_first_to_answer_wins() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bobs: Vec<Client> = ["02020202", "03030303", "04040404"]
        .map(|epid| world.sign_in("bob", epid))
        .into();
    invite(&mut world, &alice, BOB, "c1");
    let rings: Vec<Message> = bobs.iter().map(|bob| world.take_one(bob)).collect();
    let ringing = bobs[0].answer(&rings[0], 180, "", ("", ""));
    world.send(&bobs[0], &ringing);
    assert_eq!(world.take_one(&alice).status(), Some(180));
    let ok = bobs[1].answer(&rings[1], 200, "", SDP);
    world.send(&bobs[1], &ok);
    assert_eq!(world.take_one(&alice).status(), Some(200));
    let cancel = world.take_one(&bobs[0]);
    insta::assert_snapshot!("cancel", text(&cancel));
    assert_eq!(method(&world.take_one(&bobs[2])), "CANCEL");
    // One that is cancelled in time says so; one that was nearly as fast is sent away again.
    let gone = bobs[0].answer(&rings[0], 487, "", ("", ""));
    world.send(&bobs[0], &gone);
    assert_eq!(method(&world.take_one(&bobs[0])), "ACK");
    let late = bobs[2].answer(&rings[2], 200, "", SDP);
    world.send(&bobs[2], &late);
    let sent: Vec<String> = world
        .take(&bobs[2])
        .iter()
        .map(|m| method(m).to_owned())
        .collect();
    assert_eq!(sent, ["ACK", "BYE"]);
    assert!(world.take(&alice).is_empty(), "one answer only");
}

#[test]
fn when_all_refuse_the_caller_gets_one_refusal() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let desk = world.sign_in("bob", "02020202");
    let phone = world.sign_in("bob", "03030303");
    invite(&mut world, &alice, BOB, "c1");
    let (one, two) = (world.take_one(&desk), world.take_one(&phone));
    let busy = desk.answer(&one, 486, "", ("", ""));
    world.send(&desk, &busy);
    assert!(world.take(&alice).is_empty());
    let elsewhere = phone.answer(&two, 480, "", ("", ""));
    world.send(&phone, &elsewhere);
    assert_eq!(world.take_one(&alice).status(), Some(480));
    assert_eq!(method(&world.take_one(&desk)), "ACK");
}

#[test]
fn the_caller_may_give_up() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    invite(&mut world, &alice, BOB, "c1");
    let ring = world.take_one(&bob);
    let tag = format!("from{}", alice.connection.0);
    let cancel = alice.request_in(
        "CANCEL",
        BOB,
        BOB,
        ("c1", &tag),
        alice.cseq.get(),
        "",
        ("", ""),
    );
    world.send(&alice, &cancel);
    let codes: Vec<_> = world.take(&alice).iter().map(|m| m.status()).collect();
    assert_eq!(codes, [Some(200), Some(487)]);
    assert_eq!(method(&world.take_one(&bob)), "CANCEL");
    let late = bob.answer(&ring, 200, "", SDP);
    world.send(&bob, &late);
    let sent: Vec<String> = world
        .take(&bob)
        .iter()
        .map(|m| method(m).to_owned())
        .collect();
    assert_eq!(sent, ["ACK", "BYE"]);
}

#[test]
fn unknown_absent_and_silent_people_are_told_apart() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    for (to, code) in [
        ("sip:ocschat@contoso.test", 404),
        ("sip:disabled@contoso.test", 404),
        ("sip:bob@elsewhere.test", 404),
        ("sip:carol@contoso.test", 480),
    ] {
        invite(&mut world, &alice, to, to.trim_start_matches("sip:"));
        assert_eq!(world.take_one(&alice).status(), Some(code), "{to}");
    }
    invite(&mut world, &alice, BOB, "silent");
    world.take(&bob);
    world.pass(INVITE_TIMEOUT - Duration::from_secs(1));
    assert!(world.take(&alice).is_empty());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.take_one(&alice).status(), Some(408));
    assert_eq!(method(&world.take_one(&bob)), "CANCEL");
}

#[test]
fn a_message_that_nobody_answers_is_reported_once() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    let to = talk(&mut world, &alice, &bob, "c1");
    let say = alice.request("MESSAGE", &bob.gruu(), &to, "c1", "", ("text/plain", "x"));
    world.send(&alice, &say);
    let heard = world.take_one(&bob);
    world.pass(REQUEST_TIMEOUT);
    assert_eq!(world.take_one(&alice).status(), Some(408));
    let late = bob.answer(&heard, 200, "", ("", ""));
    world.send(&bob, &late);
    assert!(world.take(&alice).is_empty());
}

#[test]
fn a_lost_connection_ends_what_waits_for_it() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    let to = talk(&mut world, &alice, &bob, "c1");
    let say = alice.request("MESSAGE", &bob.gruu(), &to, "c1", "", ("text/plain", "x"));
    world.send(&alice, &say);
    world.lose(&bob);
    assert_eq!(world.take_one(&alice).status(), Some(480));
    let again = alice.request("MESSAGE", &bob.gruu(), &to, "c1", "", ("text/plain", "y"));
    world.send(&alice, &again);
    assert_eq!(world.take_one(&alice).status(), Some(480));
    // Back within the grace time, the conversation goes on.
    let back = world.sign_in("bob", "02020202");
    let third = alice.request("MESSAGE", &bob.gruu(), &to, "c1", "", ("text/plain", "z"));
    world.send(&alice, &third);
    assert_eq!(world.take_one(&back).body(), b"z");
    world.lose(&back);
    world.pass(GRACE);
    world.take(&alice);
    let fourth = alice.request("MESSAGE", &bob.gruu(), &to, "c1", "", ("text/plain", "!"));
    world.send(&alice, &fourth);
    assert_eq!(world.take_one(&alice).status(), Some(481));
}

#[test]
fn a_third_person_gets_nothing_into_a_conversation() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    let carol = world.sign_in("carol", "03030303");
    let to = talk(&mut world, &alice, &bob, "c1");
    let tag = format!("from{}", alice.connection.0);
    // With her own name but the others' tags, and with a name that is not hers.
    let say = carol.request_in(
        "MESSAGE",
        &bob.gruu(),
        &to,
        ("c1", &tag),
        9,
        "",
        ("text/plain", "x"),
    );
    world.send(&carol, &say);
    assert_eq!(world.take_one(&carol).status(), Some(481));
    let forged = say.replace("From: <sip:carol@", "From: <sip:alice@");
    world.send(&carol, &forged);
    assert_eq!(world.take_one(&carol).status(), Some(403));
    assert!(world.take(&bob).is_empty() && world.take(&alice).is_empty());
}

#[test]
fn the_server_says_who_sends_whatever_the_client_claims() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    let claim = "P-Asserted-Identity: <sip:boss@contoso.test>\n\
                 P-Preferred-Identity: <sip:boss@contoso.test>\nRoute: <sip:evil.test;lr>\n";
    let text = alice.request("INVITE", BOB, BOB, "c1", claim, SDP);
    world.send(&alice, &text);
    let ring = world.take_one(&bob);
    assert_eq!(
        ring.header(Name::PAssertedIdentity),
        Some("\"Alice Liddell\" <sip:alice@contoso.test>")
    );
    assert!(!crate::world::text(&ring).contains("boss"));
    assert!(ring.header(Name::Route).is_none());
}

#[test]
fn one_endpoint_can_be_meant_by_its_gruu() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let desk = world.sign_in("bob", "02020202");
    let phone = world.sign_in("bob", "03030303");
    invite(&mut world, &alice, &phone.gruu(), "c1");
    assert_eq!(method(&world.take_one(&phone)), "INVITE");
    assert!(world.take(&desk).is_empty());
    // Also to another endpoint of one's own, and not to the one that sends.
    invite(&mut world, &desk, BOB, "c2");
    assert_eq!(method(&world.take_one(&phone)), "INVITE");
    assert!(world.take(&desk).is_empty());
}

#[test]
fn loops_repetitions_and_large_messages_are_refused() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    let text = alice
        .request("INVITE", BOB, BOB, "c0", "", SDP)
        .replace("Max-Forwards: 70", "Max-Forwards: 0");
    world.send(&alice, &text);
    assert_eq!(world.take_one(&alice).status(), Some(483));
    let text = alice.request("INVITE", BOB, BOB, "c1", "", SDP);
    world.send(&alice, &text);
    world.send(&alice, &text);
    assert_eq!(world.take_one(&alice).status(), Some(482));
    assert_eq!(world.take(&bob).len(), 1);
    let to = talk(&mut world, &alice, &bob, "c2");
    let exact = "x".repeat(MESSAGE_BYTES_MAX);
    let say = alice.request("MESSAGE", BOB, &to, "c2", "", ("text/plain", &exact));
    world.send(&alice, &say);
    assert_eq!(world.take_one(&bob).body().len(), MESSAGE_BYTES_MAX);
    let say = alice.request(
        "MESSAGE",
        BOB,
        &to,
        "c2",
        "",
        ("text/plain", &(exact + "x")),
    );
    world.send(&alice, &say);
    assert_eq!(world.take_one(&alice).status(), Some(413));
    assert!(world.take(&bob).is_empty());
}

#[test]
fn a_peer_can_neither_redirect_nor_ask_for_credentials() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    for code in [302, 401, 407] {
        invite(&mut world, &alice, BOB, &format!("c{code}"));
        let ring = world.take_one(&bob);
        let answer = bob.answer(&ring, code, "Contact: <sip:evil@evil.test>\n", ("", ""));
        world.send(&bob, &answer);
        let answer = world.take_one(&alice);
        assert_eq!(answer.status(), Some(502));
        assert!(!text(&answer).contains("evil"));
        world.take(&bob);
    }
}

#[test]
fn an_acceptance_without_a_tag_is_none() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    invite(&mut world, &alice, BOB, "c1");
    let ring = world.take_one(&bob);
    let ok = bob.answer(&ring, 200, "", SDP).replace(";tag=to2", "");
    world.send(&bob, &ok);
    assert_eq!(world.take_one(&alice).status(), Some(502));
    assert_eq!(method(&world.take_one(&bob)), "ACK");
}

#[test]
fn a_message_outside_of_a_conversation_goes_nowhere() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    let say = alice.request("MESSAGE", BOB, BOB, "c1", "", ("text/plain", "x"));
    world.send(&alice, &say);
    assert_eq!(world.take_one(&alice).status(), Some(481));
    assert!(world.take(&bob).is_empty());
    let options = alice.request(
        "OPTIONS",
        "sip:contoso.test",
        "sip:contoso.test",
        "c2",
        "",
        ("", ""),
    );
    world.send(&alice, &options);
    assert_eq!(world.take_one(&alice).status(), Some(200));
}

#[test]
fn blocking_in_the_middle_of_a_conversation_ends_what_the_blocked_one_can_say() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    let to = talk(&mut world, &alice, &bob, "c1");
    let block = "<container id=\"32000\" version=\"0\"><member action=\"add\" type=\"user\" \
                 value=\"alice@contoso.test\"/></container>";
    assert_eq!(world.member(&bob, block).status(), Some(200));
    // She hears goodbye, as if he had left; and so does he, as if she had.
    let blocked = world.take_one(&alice);
    assert_eq!(method(&blocked), "BYE");
    assert_eq!(method(&world.take_one(&bob)), "BYE");
    let say = alice.request("MESSAGE", &bob.gruu(), &to, "c1", "", ("text/plain", "x"));
    world.send(&alice, &say);
    let told_blocked = world.take_one(&alice);
    assert_eq!(told_blocked.status(), Some(481));

    // The same with somebody who is really gone.
    let carol = world.sign_in("carol", "03030303");
    invite(&mut world, &alice, "sip:carol@contoso.test", "c2");
    let ring = world.take_one(&carol);
    let extra = format!("Contact: <{}>\n", carol.gruu());
    world.send(&carol, &carol.answer(&ring, 200, &extra, SDP));
    let accepted = world.take_one(&alice);
    let to = accepted.header(Name::To).expect("To").to_owned();
    world.lose(&carol);
    assert!(world.take(&alice).is_empty(), "she may come back");
    world.pass(GRACE);
    let absent = world.take_one(&alice);
    let say = alice.request("MESSAGE", &carol.gruu(), &to, "c2", "", ("text/plain", "x"));
    world.send(&alice, &say);
    let told_absent = world.take_one(&alice);
    for (one, other) in [(&blocked, &absent), (&told_blocked, &told_absent)] {
        let names = |m: &Message| -> Vec<String> {
            m.iter().map(|header| header.text.to_owned()).collect()
        };
        assert_eq!(names(one), names(other));
        for name in [Name::MsDiagnostics, Name::MaxForwards] {
            assert_eq!(one.header(name), other.header(name));
        }
        assert_eq!(
            one.headers_named("Reason").next(),
            other.headers_named("Reason").next()
        );
    }
}

#[test]
fn somebody_who_vanishes_in_a_conversation_is_missed_on_the_other_side() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    let to = talk(&mut world, &alice, &bob, "c1");
    let say = alice.request("MESSAGE", &bob.gruu(), &to, "c1", "", ("text/plain", "x"));
    world.send(&alice, &say);
    let heard = world.take_one(&bob);
    world.send(&bob, &bob.answer(&heard, 200, "", ("", "")));
    world.take(&alice);
    world.lose(&alice);
    world.pass(GRACE - Duration::from_secs(1));
    assert!(world.take(&bob).is_empty());
    world.pass(Duration::from_secs(1));
    let bye = world.take_one(&bob);
    assert_eq!(method(&bye), "BYE");
    assert_eq!(bye.call_id(), Some("c1"));
    let from = bye.from_addr().expect("From");
    assert_eq!(from.uri, "sip:alice@contoso.test");
    assert_eq!(from.tag(), heard.from_addr().expect("From").tag());
    let own_tag = bye.to_addr().expect("To").tag().map(str::to_owned);
    assert!(to.contains(&format!("tag={}", own_tag.expect("tag"))));
    let number = |m: &Message| m.envelope().expect("whole").cseq.number;
    assert_eq!(number(&bye), number(&heard) + 1);
    // His answer to it has nobody to go to, and an end of his own is late.
    world.send(&bob, &bob.answer(&bye, 200, "", ("", "")));
    assert!(world.take(&bob).is_empty());
    world.register(&bob, "Expires: 0\r\n");
    world.pass(INVITE_TIMEOUT);
    assert_eq!(world.hub.remembered(), [0; 6]);
}

#[test]
fn a_flood_of_invitations_without_ack_leaves_little_behind() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    let large = format!("v=0\n{}", "a=x\n".repeat(10_000));
    for n in 0..2_000 {
        let call = format!("c{n}");
        let text = alice.request("INVITE", BOB, BOB, &call, "", ("application/sdp", &large));
        world.send(&alice, &text);
        let ring = world.take_one(&bob);
        let code = if n % 2 == 0 { 200 } else { 486 };
        world.send(&bob, &bob.answer(&ring, code, "Contact: <sip:x@y>\n", SDP));
        world.take(&bob);
        world.take(&alice);
    }
    let [.., under_way] = world.hub.remembered();
    let most = 4 * LINGERING_PER_ENDPOINT_MAX + DIALOGS_PER_PAIR_MAX;
    assert!(under_way <= most, "{under_way}");
    assert!(world.hub.deadlines() <= LINGERING_PER_ENDPOINT_MAX + 8);
}

#[test]
fn two_dialogs_of_one_conversation_count_their_requests_apart() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    let carol = world.sign_in("carol", "03030303");
    // In a conversation of several all dialogs have one Call-ID; their numbers may be the same.
    let say = |to: &str, tag: &str| {
        let body = ("application/sdp", SDP.1);
        let extra = format!(
            "Contact: <{}>\nEndPoints: <sip:alice@contoso.test>, <{BOB}>, <sip:carol@contoso.test>\n\
             Roster-Manager: sip:alice@contoso.test\nRequire: com.microsoft.rtc-multiparty\n",
            alice.gruu()
        );
        alice.request_in(
            "INVITE",
            to,
            &format!("<{to}>"),
            ("many", tag),
            1,
            &extra,
            body,
        )
    };
    let (first, second) = (say(BOB, "one"), say("sip:carol@contoso.test", "two"));
    world.send(&alice, &first);
    world.send(&alice, &second);
    for other in [&bob, &carol] {
        let ring = world.take_one(other);
        assert_eq!(method(&ring), "INVITE");
        // What a conversation of several needs to know goes through as it is.
        assert!(
            ring.header_named("EndPoints")
                .is_some_and(|all| all.contains("carol"))
        );
        assert_eq!(
            ring.header_named("Roster-Manager"),
            Some("sip:alice@contoso.test")
        );
        let ok = other.answer(&ring, 200, &format!("Contact: <{}>\n", other.gruu()), SDP);
        world.send(other, &ok);
        assert_eq!(world.take_one(&alice).status(), Some(200));
    }
}
