// SPDX-License-Identifier: MIT OR Apache-2.0
//! Presence.

use std::time::Duration;

use lanyard_presence::limits::{COALESCE, GRACE, PUBLICATIONS_PER_PERSON_MAX};
use lanyard_presence::xml::fault::Fault;
use lanyard_presence::xml::rlmi::PresenceUpdate;
use lanyard_presence::xml::roaming_self::RoamingData;
use lanyard_presence::{Availability, RosterStore};
use lanyard_sip::{Headers, Message, Name};

use crate::world::{World, note, publication, text, uri};

pub fn update(message: &Message) -> PresenceUpdate {
    let media = message.content_type().expect("type");
    PresenceUpdate::parse(&media, message.body()).expect("presence")
}

/// What the last message says of one person.
pub fn availability(message: &Message, who: &str) -> Option<Availability> {
    let update = update(message);
    let document = update.documents.iter().find(|d| d.uri == uri(who))?;
    document.availability()
}

pub const BOB: &str = "bob@contoso.test";

#[test]
fn a_batched_subscription_is_answered_with_everybody_at_once() {
    let mut world = World::new();
    world.online("bob", "02020202");
    let alice = world.sign_in("alice", "01010101");
    let answer = world.watch(&alice, &[BOB, "carol@contoso.test", "nobody@contoso.test"]);
    insta::assert_snapshot!("batch_answer", text(&answer));
    assert_eq!(availability(&answer, BOB), Some(Availability::Available));
    assert_eq!(
        availability(&answer, "carol@contoso.test"),
        Some(Availability::Offline)
    );
    let update = update(&answer);
    assert_eq!(update.unknown, [uri("nobody@contoso.test")]);
    let card = update.documents[0].contact_card().expect("card");
    assert_eq!(card.display_name, "Bob \"the\" Builder, Sr.");
    assert_eq!(card.phone, "+49 30 123-45");
}

#[test]
fn a_change_reaches_watchers_at_once_and_shows_the_aggregate_alone() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let alice = world.sign_in("alice", "01010101");
    world.watch(&alice, &[BOB]);
    world.pass(COALESCE * 2);
    let answer = world.publish_user(&bob, 0, 6_500);
    assert_eq!(answer.status(), Some(200));
    insta::assert_snapshot!("publish_answer", text(&answer));
    let news = world.take_one(&alice);
    insta::assert_snapshot!("presence_benotify", text(&news));
    assert_eq!(availability(&news, BOB), Some(Availability::Busy));
    assert!(!text(&news).contains("userState"));
}

#[test]
fn states_in_between_are_left_out_and_the_newest_is_told_in_time() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let alice = world.sign_in("alice", "01010101");
    world.watch(&alice, &[BOB]);
    world.pass(COALESCE * 2);
    for (version, number) in [(0, 6_500), (1, 9_500), (2, 12_500), (3, 15_500)] {
        world.publish_user(&bob, version, number);
    }
    assert_eq!(world.take(&alice).len(), 1, "the first at once");
    world.pass(COALESCE);
    let news = world.take_one(&alice);
    assert_eq!(availability(&news, BOB), Some(Availability::Away));
    // Back and forth within the time is no news at all.
    world.pass(COALESCE * 2);
    world.publish_user(&bob, 4, 3_500);
    world.take(&alice);
    world.publish_user(&bob, 5, 6_500);
    world.publish_user(&bob, 6, 3_500);
    world.pass(COALESCE);
    assert!(world.take(&alice).is_empty());
}

#[test]
fn an_old_version_is_refused_with_the_current_one_and_nothing_changes() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    world.publish_user(&bob, 0, 6_500);
    let answer = world.publish_user(&bob, 0, 9_500);
    assert_eq!(answer.status(), Some(409));
    insta::assert_snapshot!("wrong_delta", text(&answer));
    let fault = Fault::parse(answer.body()).expect("fault");
    assert_eq!(fault.code, Fault::WRONG_DELTA);
    assert_eq!(
        (fault.operations[0].index, fault.operations[0].current),
        (1, 1)
    );
    assert_eq!(world.publish_user(&bob, 1, 9_500).status(), Some(200));
}

#[test]
fn nobody_publishes_as_somebody_else() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let body = "<publish xmlns=\"http://schemas.microsoft.com/2006/09/sip/rich-presence\">\
                <publications uri=\"sip:alice@contoso.test\"/></publish>";
    let answer = world.service(&bob, "application/msrtc-category-publish+xml", body);
    assert_eq!(answer.status(), Some(403));
    let text = bob
        .request(
            "SERVICE",
            "sip:bob@contoso.test",
            "sip:bob@contoso.test",
            "x",
            "",
            ("a/b", ""),
        )
        .replace("From: <sip:bob@", "From: <sip:alice@");
    world.send(&bob, &text);
    let answer = world.take_one(&bob);
    assert_eq!(answer.status(), Some(403));
    assert!(crate::world::text(&answer).contains("not the person who signed in"));
}

#[test]
fn several_machines_make_one_state_and_go_with_their_endpoints() {
    let mut world = World::new();
    let desk = world.online("bob", "02020202");
    let phone = world.online("bob", "03030303");
    let alice = world.sign_in("alice", "01010101");
    world.watch(&alice, &[BOB]);
    let told = |world: &mut World| -> Option<Availability> {
        world.pass(COALESCE * 2);
        world
            .take(&alice)
            .last()
            .and_then(|news| availability(news, BOB))
    };
    world.publish_machine(&phone, 1, 15_500);
    assert_eq!(told(&mut world), None, "the desk is still in use");
    world.register(&desk, "Expires: 0\r\n");
    assert_eq!(told(&mut world), Some(Availability::Away));
    world.register(&phone, "Expires: 0\r\n");
    assert_eq!(told(&mut world), Some(Availability::Offline));
}

#[test]
fn a_lost_connection_is_no_news_within_the_grace_time() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let alice = world.sign_in("alice", "01010101");
    world.watch(&alice, &[BOB]);
    world.lose(&bob);
    world.pass(GRACE - Duration::from_secs(1));
    let back = world.sign_in("bob", "02020202");
    world.pass(GRACE * 2);
    assert!(world.take(&alice).is_empty(), "watchers saw nothing");
    world.lose(&back);
    world.pass(GRACE + COALESCE);
    let news = world.take_one(&alice);
    assert_eq!(availability(&news, BOB), Some(Availability::Offline));
}

#[test]
fn an_endpoint_on_its_way_out_needs_no_grace() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let alice = world.sign_in("alice", "01010101");
    world.watch(&alice, &[BOB]);
    let own = world.subscribe_own(&bob, "vnd-microsoft-roaming-self", ("", ""));
    let to = own.header(Name::To).expect("To").to_owned();
    let call = own.call_id().expect("Call-ID").to_owned();
    let end = bob.request(
        "SUBSCRIBE",
        &bob.sip(),
        &to,
        &call,
        "Event: vnd-microsoft-roaming-self\nExpires: 0\n",
        ("", ""),
    );
    world.send(&bob, &end);
    let answer = world.take_one(&bob);
    assert_eq!(
        answer.header(Name::SubscriptionState),
        Some("terminated;expires=0")
    );
    world.lose(&bob);
    world.pass(COALESCE);
    assert_eq!(
        availability(&world.take_one(&alice), BOB),
        Some(Availability::Offline)
    );
}

#[test]
fn own_endpoints_see_all_own_data_and_each_others_changes() {
    let mut world = World::new();
    let desk = world.online("bob", "02020202");
    let body = "<roamingList xmlns=\"http://schemas.microsoft.com/2006/09/sip/roaming-self\">\
                <roaming type=\"categories\"/><roaming type=\"containers\"/>\
                <roaming type=\"subscribers\"/></roamingList>";
    let kind = "application/vnd-microsoft-roaming-self+xml";
    let answer = world.subscribe_own(&desk, "vnd-microsoft-roaming-self", (kind, body));
    insta::assert_snapshot!("roaming_self_answer", text(&answer));
    let phone = world.sign_in("bob", "03030303");
    world.pass(COALESCE * 2);
    world.take(&desk);
    world.publish_machine(&phone, 0, 5_000);
    world.pass(COALESCE * 2);
    let news = world.take_one(&desk);
    insta::assert_snapshot!("roaming_self_benotify", text(&news));
    let data = RoamingData::parse(news.body()).expect("data");
    let states = data.categories.expect("categories").list.len();
    assert_eq!(
        states, 5,
        "two machines in two containers and the aggregate"
    );
}

#[test]
fn a_watcher_that_stops_reading_gets_the_newest_state_when_it_reads_again() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let alice = world.sign_in("alice", "01010101");
    world.watch(&alice, &[BOB]);
    world.hub.congested(alice.connection);
    for (version, number) in [(0, 6_500), (1, 9_500), (2, 15_500)] {
        world.pass(COALESCE * 2);
        world.publish_user(&bob, version, number);
    }
    assert!(world.take(&alice).is_empty());
    let effects = world.hub.drained(world.now, alice.connection);
    world.run(effects);
    assert_eq!(
        availability(&world.take_one(&alice), BOB),
        Some(Availability::Away)
    );
}

#[test]
fn a_client_without_benotify_gets_notify_and_the_next_one_after_its_answer() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let alice = world.sign_in("alice", "01010101");
    let text = alice.request(
        "SUBSCRIBE",
        "sip:bob@contoso.test",
        "sip:bob@contoso.test",
        "one",
        &format!("Event: presence\nContact: <{}>\n", alice.gruu()),
        ("", ""),
    );
    world.send(&alice, &text);
    let mut all = world.take(&alice);
    assert_eq!(all.len(), 2);
    let first = all.remove(1);
    assert!(all[0].body().is_empty(), "no piggyback was offered");
    assert_eq!(first.method().map(|m| m.as_str()), Some("NOTIFY"));
    world.pass(COALESCE * 2);
    world.publish_user(&bob, 0, 6_500);
    world.pass(COALESCE * 2);
    world.publish_user(&bob, 1, 9_500);
    assert!(world.take(&alice).is_empty(), "the first is not answered");
    let ok = alice.answer(&first, 200, "", ("", ""));
    world.send(&alice, &ok);
    let second = world.take_one(&alice);
    assert_eq!(availability(&second, BOB), Some(Availability::DoNotDisturb));
    // A client that knows the subscription no more ends it.
    let gone = alice.answer(&second, 481, "", ("", ""));
    world.send(&alice, &gone);
    world.publish_user(&bob, 2, 3_500);
    world.pass(COALESCE * 2);
    assert!(world.take(&alice).is_empty());
}

#[test]
fn a_subscription_is_renewed_and_ends_without_renewal() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let alice = world.sign_in("alice", "01010101");
    let answer = world.watch(&alice, &[BOB]);
    let to = answer.header(Name::To).expect("To").to_owned();
    let call = answer.call_id().expect("Call-ID").to_owned();
    let renew = alice.request(
        "SUBSCRIBE",
        "sip:lync.contoso.test",
        &to,
        &call,
        "Event: presence\nExpires: 60\nSupported: ms-piggyback-first-notify\n",
        ("", ""),
    );
    world.send(&alice, &renew);
    let renewed = world.take_one(&alice);
    assert_eq!(
        (renewed.status(), renewed.header(Name::Expires)),
        (Some(200), Some("60"))
    );
    assert_eq!(availability(&renewed, BOB), Some(Availability::Available));
    // Somebody else cannot renew or end it.
    let carol = world.sign_in("carol", "03030303");
    let foreign = carol.request(
        "SUBSCRIBE",
        "sip:lync.contoso.test",
        &to,
        &call,
        "Event: presence\nExpires: 0\n",
        ("", ""),
    );
    world.send(&carol, &foreign);
    assert_eq!(world.take_one(&carol).status(), Some(481));
    world.pass(Duration::from_secs(61));
    world.publish_user(&bob, 0, 9_500);
    world.pass(COALESCE * 2);
    assert!(world.take(&alice).is_empty());
}

#[test]
fn a_hundred_endpoints_of_one_person_all_see_a_change() {
    let mut world = World::new();
    let clients: Vec<_> = (0..100)
        .map(|n| {
            let client = world.sign_in("alice", &format!("{n:012x}"));
            world.watch(&client, &[BOB]);
            client
        })
        .collect();
    let bob = world.online("bob", "02020202");
    world.publish_machine(&bob, 0, 3_500);
    world.pass(COALESCE * 2);
    for client in &clients {
        assert_eq!(
            availability(&world.take_one(client), BOB),
            Some(Availability::Available)
        );
    }
}

#[test]
fn publications_have_a_limit_and_too_many_change_nothing() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let items = |from: u32, count: u32| -> String {
        (from..from + count)
            .map(|n| publication("note", n, 200, 0, "static", &note("x")))
            .collect()
    };
    let max = u32::try_from(PUBLICATIONS_PER_PERSON_MAX).expect("small") - 2;
    let mut n = 0;
    while n < max {
        let count = 100.min(max - n);
        assert_eq!(world.publish(&bob, &items(n, count)).status(), Some(200));
        n += count;
    }
    assert_eq!(world.publish(&bob, &items(n, 1)).status(), Some(403));
    assert_eq!(world.publish(&bob, &items(n, 129)).status(), Some(400));
}

#[test]
fn a_static_state_survives_the_last_endpoint_and_shows_again_with_the_next() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    world.publish_user(&bob, 0, 6_500);
    world.register(&bob, "Expires: 0\r\n");
    let alice = world.sign_in("alice", "01010101");
    let answer = world.watch(&alice, &[BOB]);
    assert_eq!(availability(&answer, BOB), Some(Availability::Offline));
    world.pass(COALESCE * 2);
    world.online("bob", "02020202");
    world.pass(COALESCE * 2);
    let news = world.take(&alice);
    assert_eq!(
        availability(news.last().expect("news"), BOB),
        Some(Availability::Busy)
    );
}

#[test]
fn a_lasting_state_shows_as_soon_as_its_person_is_back() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    world.publish_user(&bob, 0, 6_500);
    let alice = world.sign_in("alice", "01010101");
    world.watch(&alice, &[BOB]);
    world.register(&bob, "Expires: 0\r\n");
    world.pass(COALESCE * 2);
    world.take(&alice);
    let back = world.connect("bob", "04040404");
    world.register(&back, "");
    world.pass(COALESCE * 2);
    assert_eq!(
        availability(&world.take_one(&alice), BOB),
        Some(Availability::Busy)
    );
}

#[test]
fn a_meeting_begins_and_ends_by_the_clock() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let alice = world.sign_in("alice", "01010101");
    world.watch(&alice, &[BOB]);
    let meeting = "<state xmlns=\"http://schemas.microsoft.com/2006/09/sip/state\" \
        startTime=\"2026-11-22T14:00:00Z\" endTime=\"2026-11-22T15:00:00Z\" \
        xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"calendarState\">\
        <availability>6500</availability><activity token=\"in-a-meeting\"/></state>";
    let item = publication("state", 77, 2, 0, "time", meeting)
        .replace("expireType", "expires=\"36000\" expireType");
    assert_eq!(world.publish(&bob, &item).status(), Some(200));
    world.pass(COALESCE * 2);
    assert!(world.take(&alice).is_empty());
    for (minutes, expected) in [(45, Availability::Busy), (60, Availability::Available)] {
        let next = world.hub.next_timeout().expect("a timer");
        let wait = next.duration_since(world.now.instant);
        assert!(wait <= Duration::from_secs(minutes * 60), "{wait:?}");
        // Endpoints stay registered over the hours of this test.
        world.register(&bob, "Expires: 7200\r\n");
        world.register(&alice, "Expires: 7200\r\n");
        world.pass(Duration::from_secs(minutes * 60));
        assert_eq!(availability(&world.take_one(&alice), BOB), Some(expected));
    }
    // The publication itself ends as well, later.
    let stored = world.store.load(&bob.person()).expect("roster");
    let meeting = stored
        .publications
        .values()
        .find(|p| p.expire_type == "time")
        .expect("row");
    assert!(meeting.expires_at.is_some());
}

#[test]
fn a_new_name_in_the_directory_reaches_watchers() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    world.watch(&alice, &[BOB]);
    let effects = world.hub.person_changed(world.now, &uri(BOB));
    world.run(effects);
    assert!(world.take(&alice).is_empty(), "nothing is different");
    let bob = world.online("bob", "02020202");
    world.subscribe_own(&bob, "vnd-microsoft-roaming-self", ("", ""));
    world.take(&alice);
    world.pass(lanyard_presence::limits::COALESCE);
    world.take(&alice);

    crate::world::BOBS_TITLE.set("Head of Engineering".to_owned());
    let effects = world.hub.person_changed(world.now, &uri(BOB));
    world.run(effects);
    world.pass(lanyard_presence::limits::COALESCE);
    let told = |world: &mut World, who| {
        let messages = world.take(who);
        let body = messages
            .iter()
            .map(|m| String::from_utf8_lossy(m.body()).into_owned());
        let all: Vec<_> = body
            .filter(|body| body.contains("Head of Engineering"))
            .collect();
        all.len()
    };
    assert_eq!(told(&mut world, &alice), 1, "once");
    assert_eq!(told(&mut world, &bob), 1, "Bob's own client as well");
    crate::world::BOBS_TITLE.set("Engineer".to_owned());
}

#[test]
fn a_roster_that_cannot_be_read_is_an_answer_and_no_silence() {
    use lanyard_presence::{Effect, RosterError};
    let mut world = World::new();
    let alice = world.connect("alice", "01010101");
    let message = Message::parse(alice.register_text("").into_bytes()).expect("request");
    let registration = lanyard_presence::Registration {
        connection: alice.connection,
        person: alice.person(),
    };
    let effects = world.hub.register(world.now, &registration, &message);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Load { .. }))
    );
    // Two requests wait for the roster, in order.
    for call in ["c1", "c2"] {
        let own = alice.sip();
        let text = alice.request(
            "SUBSCRIBE",
            &own,
            &own,
            call,
            "Event: vnd-microsoft-roaming-contacts\n",
            ("", ""),
        );
        world.send(&alice, &text);
    }
    assert!(world.take(&alice).is_empty());
    let effects = world
        .hub
        .loaded(world.now, &alice.person(), Err(RosterError::Busy));
    world.run(effects);
    let answers: Vec<_> = world
        .take(&alice)
        .iter()
        .filter_map(Headers::status)
        .collect();
    // The first is told; for the second the roster is asked for again, and now it is there.
    assert_eq!(answers, [503, 200]);
}
