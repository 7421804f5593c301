// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may see what.

use lanyard_presence::limits::COALESCE;
use lanyard_presence::xml::fault::Fault;
use lanyard_presence::{Availability, RosterStore};
use lanyard_sip::{Headers, Message, Name};

use crate::presence::{BOB, availability, update};
use crate::world::{World, note, publication, state};

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
    let of_absent = world.watch(&carol, &[BOB]);
    let absent = update(&of_absent).documents.remove(0).to_xml();
    let blocked = update(&of_bob).documents.remove(0).to_xml();
    assert_eq!(absent, blocked);
    assert!(!blocked.contains("note") && !blocked.contains("Gone"));

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

#[test]
fn being_blocked_and_a_sign_off_come_in_the_same_bytes() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let alice = world.sign_in("alice", "01010101");
    let carol = world.sign_in("carol", "03030303");
    let news = publication("note", 0, 200, 0, "static", &note("Lunch"))
        + &publication(
            "calendarData",
            0,
            200,
            0,
            "static",
            "<calendarData xmlns=\"c\"/>",
        );
    world.publish(&bob, &news);
    world.watch(&alice, &[BOB]);
    world.watch(&carol, &[BOB]);
    world.pass(COALESCE * 2);
    let block = "<container id=\"32000\" version=\"0\"><member action=\"add\" type=\"user\" \
                 value=\"alice@contoso.test\"/></container>";
    world.member(&bob, block);
    let blocked = world.take_one(&alice);
    world.register(&bob, "Expires: 0\r\n");
    world.pass(COALESCE * 2);
    let absent = world.take_one(&carol);
    assert!(world.take(&alice).is_empty());
    assert_eq!(blocked.body(), absent.body());
    let names = |m: &Message| -> Vec<String> { m.iter().map(|h| h.text.to_owned()).collect() };
    assert_eq!(names(&blocked), names(&absent));

    // He is back: she hears nothing, the other one everything.
    let bob = world.online("bob", "02020202");
    world.pass(COALESCE * 2);
    assert!(world.take(&alice).is_empty());
    let back = world.take(&carol);
    let told = |text: &str| back.iter().any(|m| crate::world::text(m).contains(text));
    assert!(told("Lunch") && told("calendarData"), "{}", back.len());

    // Whoever wants to look off line does, in everything that others can see.
    world.publish_user(&bob, 0, 18_500);
    world.pass(COALESCE * 2);
    let hidden = world.take_one(&carol);
    assert_eq!(hidden.body(), blocked.body());
}

#[test]
fn a_change_moves_every_watcher_to_where_a_new_one_would_be() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    let watchers = [
        world.sign_in("alice", "01010101"),
        world.sign_in("carol", "03030303"),
    ];
    for watcher in &watchers {
        world.watch(watcher, &[BOB]);
    }
    let notes: String = [0, 100, 200, 300, 400]
        .map(|n| publication("note", 0, n, 0, "static", &note(&format!("for {n}"))))
        .concat();
    world.publish(&bob, &notes);
    world.pass(COALESCE * 2);
    for watcher in &watchers {
        world.take(watcher);
    }
    let member = |kind: &str, value: &str| {
        format!("<member action=\"add\" type=\"{kind}\" value=\"{value}\"/>")
    };
    let mut versions = std::collections::BTreeMap::new();
    let mut told = ["for 200".to_owned(), "for 200".to_owned()];
    for (id, who) in [
        (300, member("user", "alice@contoso.test")),
        (100, member("domain", "contoso.test")),
        (400, member("user", "alice@contoso.test")),
        (300, member("sameEnterprise", "")),
        (32_000, member("user", "carol@contoso.test")),
        (32_000, member("everyone", "")),
        (200, member("federated", "")),
    ] {
        // The version that is right is told by the refusal of a wrong one.
        let version = versions.entry(id).or_insert(0_u32);
        let change = |version: u32| {
            format!("<container id=\"{id}\" version=\"{version}\">{who}</container>")
        };
        let answer = world.member(&bob, &change(*version));
        if answer.status() == Some(409) {
            *version = Fault::parse(answer.body()).expect("fault").operations[0].current;
            assert_eq!(world.member(&bob, &change(*version)).status(), Some(200));
        }
        *version += 1;
        world.pass(COALESCE * 2);
        for (watcher, told) in watchers.iter().zip(&mut told) {
            // What the old subscription has been told, and what a new one is told.
            for news in world.take(watcher) {
                if let Some(note) = update(&news).documents[0].note() {
                    *told = note.text;
                }
            }
            let fresh = world.watch(watcher, &[BOB]);
            let fresh = update(&fresh).documents.remove(0).note();
            assert_eq!(
                *told,
                fresh.map(|note| note.text).unwrap_or_default(),
                "{id}"
            );
        }
    }

    let seen = |world: &mut World, watcher| {
        let answer = world.watch(watcher, &[BOB]);
        update(&answer)
            .documents
            .remove(0)
            .note()
            .map(|note| note.text)
    };
    assert_eq!(seen(&mut world, &watchers[0]), Some("for 400".to_owned()));
    assert_eq!(seen(&mut world, &watchers[1]), None);
}
