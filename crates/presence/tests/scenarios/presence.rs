// SPDX-License-Identifier: MIT OR Apache-2.0
//! Presence.

use std::time::Duration;

use lanyard_presence::limits::{COALESCE, GRACE, PUBLICATIONS_PER_PERSON_MAX};
use lanyard_presence::xml::fault::Fault;
use lanyard_presence::xml::rlmi::PresenceUpdate;
use lanyard_presence::xml::roaming_self::RoamingData;
use lanyard_presence::{Availability, RosterStore};
use lanyard_sip::{Headers, Message, Name};

use crate::world::{World, note, publication, state, text, uri};

fn update(message: &Message) -> PresenceUpdate {
    let media = message.content_type().expect("type");
    PresenceUpdate::parse(&media, message.body()).expect("presence")
}

/// What the last message says of one person.
fn availability(message: &Message, who: &str) -> Option<Availability> {
    let update = update(message);
    let document = update.documents.iter().find(|d| d.uri == uri(who))?;
    document.availability()
}

const BOB: &str = "bob@contoso.test";

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
fn a_blocked_watcher_learns_nothing_and_an_unblocked_one_everything_at_once() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let alice = world.sign_in("alice", "01010101");
    let carol = world.sign_in("carol", "03030303");
    let note_200 = publication("note", 0, 200, 0, "static", &note("Lunch"));
    world.publish(&bob, &note_200);
    let seen = world.watch(&alice, &[BOB]);
    assert_eq!(
        update(&seen).documents[0].note().expect("note").text,
        "Lunch"
    );

    let block = "<container id=\"32000\" version=\"0\"><member action=\"add\" type=\"user\" \
                 value=\"alice@contoso.test\"/></container>";
    assert_eq!(world.member(&bob, block).status(), Some(200));
    let news = world.take_one(&alice);
    let document = update(&news).documents.remove(0);
    assert_eq!(document.availability(), Some(Availability::Offline));
    assert_eq!(document.note().expect("cleared").text, "");

    // Nothing that Bob does now is any news for her.
    world.pass(COALESCE * 2);
    world.publish_user(&bob, 0, 9_500);
    world.publish(
        &bob,
        &publication("note", 0, 200, 1, "static", &note("Gone")),
    );
    world.pass(COALESCE * 2);
    assert!(world.take(&alice).is_empty());

    // A new subscription looks like one to somebody who is not there, byte for byte.
    let of_bob = world.watch(&alice, &[BOB]);
    world.register(&bob, "Expires: 0\r\n");
    world.pass(COALESCE * 2);
    assert!(world.take(&alice).is_empty());
    let strip = |m: &Message| String::from_utf8_lossy(m.body()).into_owned();
    let of_absent = world.watch(&carol, &[BOB]);
    let absent = update(&of_absent).documents.remove(0).to_xml();
    let blocked = update(&of_bob).documents.remove(0).to_xml();
    assert_ne!(
        absent, blocked,
        "the note of somebody absent is shown to colleagues"
    );
    assert!(!strip(&of_bob).contains("note"));
    let state_of = |xml: &str| {
        let at = xml.find("<category name=\"state\"").expect("state");
        xml[at..].to_owned()
    };
    assert_eq!(state_of(&absent).len(), state_of(&blocked).len());
    assert!(state_of(&absent).starts_with(&state_of(&blocked)));

    let bob = world.online("bob", "02020202");
    let unblock = "<container id=\"32000\" version=\"1\"><member action=\"remove\" type=\"user\" \
                   value=\"alice@contoso.test\"/></container>";
    assert_eq!(world.member(&bob, unblock).status(), Some(200));
    let news = world.take(&alice);
    assert_eq!(news.len(), 2, "both of her subscriptions");
    assert_eq!(
        availability(&news[0], BOB),
        Some(Availability::DoNotDisturb)
    );
    assert_eq!(
        update(&news[0]).documents[0].note().expect("note").text,
        "Gone"
    );
}

#[test]
fn a_blocked_invitation_sounds_like_an_absent_person() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let alice = world.sign_in("alice", "01010101");
    let invite = |world: &mut World, to: &str, call: &str| {
        let text = alice.request("INVITE", to, to, call, "", ("application/sdp", "v=0\n"));
        world.send(&alice, &text);
        let answer = world.take_one(&alice);
        (
            answer.status(),
            answer.header(Name::MsDiagnostics).map(str::to_owned),
        )
    };
    let absent = invite(&mut world, "sip:carol@contoso.test", "c1");
    let block = "<container id=\"32000\" version=\"0\"><member action=\"add\" type=\"user\" \
                 value=\"Alice@contoso.test\"/></container>";
    world.member(&bob, block);
    let blocked = invite(&mut world, "sip:bob@contoso.test", "c2");
    assert_eq!(absent.0, Some(480));
    assert_eq!(absent, blocked);
    assert!(world.take(&bob).is_empty());
}

#[test]
fn each_watcher_sees_its_container_and_nothing_else() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let alice = world.sign_in("alice", "01010101");
    let carol = world.sign_in("carol", "03030303");
    let add = "<container id=\"300\" version=\"0\"><member action=\"add\" type=\"user\" \
               value=\"alice@contoso.test\"/></container>";
    world.member(&bob, add);
    world.watch(&alice, &[BOB]);
    world.watch(&carol, &[BOB]);
    let both = publication("note", 0, 300, 0, "static", &note("for the team"))
        + &publication("note", 0, 200, 0, "static", &note("for colleagues"));
    world.publish(&bob, &both);
    world.pass(COALESCE * 2);
    let of = |message: Message| update(&message).documents[0].note().expect("note").text;
    assert_eq!(of(world.take_one(&alice)), "for the team");
    assert_eq!(of(world.take_one(&carol)), "for colleagues");
    // Taken back in one container: the other's watchers hear nothing.
    let back = "<publication categoryName=\"note\" instance=\"0\" container=\"200\" version=\"1\" \
                expireType=\"static\" expires=\"0\"/>";
    assert_eq!(world.publish(&bob, back).status(), Some(200));
    world.pass(COALESCE * 2);
    assert_eq!(of(world.take_one(&carol)), "");
    assert!(world.take(&alice).is_empty());
}

#[test]
fn container_versions_are_checked_and_members_survive_in_the_store() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let add = "<container id=\"400\" version=\"7\"><member action=\"add\" type=\"user\" \
               value=\"alice@contoso.test\"/></container>";
    let answer = world.member(&bob, add);
    assert_eq!(answer.status(), Some(409));
    assert_eq!(
        Fault::parse(answer.body()).expect("fault").operations[0].current,
        0
    );
    world.member(&bob, &add.replace("version=\"7\"", "version=\"0\""));
    let stored = world.store.load(&bob.person()).expect("roster");
    assert_eq!(stored.containers[&400].version, 1);
    assert_eq!(
        stored.containers[&400].members[0].value,
        "alice@contoso.test"
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
fn somebody_newly_watched_is_asked_once_and_may_acknowledge() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    world.subscribe_own(&bob, "vnd-microsoft-roaming-self", ("", ""));
    let alice = world.sign_in("alice", "01010101");
    let added = "<resource uri=\"sip:bob@contoso.test\"><context/></resource>";
    world.watch_resources(&alice, added);
    let asked = world.take_one(&bob);
    insta::assert_snapshot!("new_subscriber", String::from_utf8_lossy(asked.body()));
    world.watch_resources(&alice, added);
    assert!(world.take(&bob).is_empty(), "once is enough");
    let body = "<setSubscribers xmlns=\"http://schemas.microsoft.com/2006/09/sip/presence-subscribers\">\
                <subscriber user=\"alice@contoso.test\" acknowledged=\"true\"/></setSubscribers>";
    let answer = world.service(&bob, "application/msrtc-presence-setsubscriber+xml", body);
    assert_eq!(answer.status(), Some(200));
    let stored = world.store.load(&bob.person()).expect("roster");
    assert!(stored.subscribers[&alice.person()].acknowledged);
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
    let bob = world.sign_in("bob", "02020202");
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
fn nobody_reads_the_own_data_of_somebody_else() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    for event in [
        "vnd-microsoft-roaming-self",
        "vnd-microsoft-roaming-contacts",
        "presence.wpending",
    ] {
        let text = alice
            .request(
                "SUBSCRIBE",
                BOB,
                "sip:bob@contoso.test",
                event,
                &format!("Event: {event}\n"),
                ("", ""),
            )
            .replace(" bob@", " sip:bob@");
        world.send(&alice, &text);
        assert_eq!(world.take_one(&alice).status(), Some(403), "{event}");
    }
    let text = alice.request(
        "SUBSCRIBE",
        &alice.sip(),
        &alice.sip(),
        "x",
        "Event: dialog\n",
        ("", ""),
    );
    world.send(&alice, &text);
    assert_eq!(world.take_one(&alice).status(), Some(489));
}

#[test]
fn somebody_who_appears_offline_looks_offline() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    world.publish(
        &bob,
        &publication("state", 1, 2, 0, "static", &state("userState", 18_500)),
    );
    let alice = world.sign_in("alice", "01010101");
    let hidden = world.watch(&alice, &[BOB]);
    world.register(&bob, "Expires: 0\r\n");
    let absent = world.watch(&alice, &[BOB]);
    assert_eq!(hidden.body(), absent.body());
}
