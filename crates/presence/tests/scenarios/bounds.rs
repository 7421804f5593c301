// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every limit that a client can reach: at the limit all is well, one over is refused in words.

use lanyard_presence::limits::{
    BODY_BYTES_MAX, CHANGES_WAITING_PER_PERSON_MAX, CONTACTS_PER_PERSON_MAX,
    CONTAINERS_PER_PERSON_MAX, GROUPS_PER_CONTACT_MAX, GROUPS_PER_PERSON_MAX,
    MEMBERS_PER_PERSON_MAX, PARKED_PER_CONNECTION_MAX, PUBLICATION_BYTES_MAX,
    PUBLISHED_BYTES_PER_PERSON_MAX, RESOURCES_PER_SUBSCRIPTION_MAX, SUBSCRIPTIONS_PER_ENDPOINT_MAX,
    TEXT_CHARS_MAX, TOKEN_BYTES_MAX, TRANSACTIONS_PER_ENDPOINT_MAX, WATCHED_PER_ENDPOINT_MAX,
};
use lanyard_presence::{Registration, Roster};
use lanyard_sip::{Headers, Message, Name};

use crate::world::{World, note, publication, set_contact, soap, text};

const M: &str = "xmlns:m=\"http://schemas.microsoft.com/winrtc/2002/11/sip\"";

fn add_group(name: &str, delta: usize) -> String {
    format!(
        "<m:addGroup {M}><m:name>{name}</m:name><m:externalURI/><m:deltaNum>{delta}</m:deltaNum></m:addGroup>"
    )
}

#[test]
fn groups_and_the_groups_of_a_contact() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    // The first group is there from the beginning.
    for delta in 1..GROUPS_PER_PERSON_MAX {
        assert_eq!(
            world.soap(&alice, &add_group("g", delta)).status(),
            Some(200)
        );
    }
    let delta = GROUPS_PER_PERSON_MAX;
    assert_eq!(
        world.soap(&alice, &add_group("g", delta)).status(),
        Some(403)
    );
    let groups = |n: usize| {
        (1..=n)
            .map(|id| id.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let number = u32::try_from(delta).expect("small");
    let many = set_contact(
        "bob@contoso.test",
        "",
        &groups(GROUPS_PER_CONTACT_MAX + 1),
        number,
    );
    assert_eq!(world.soap(&alice, &many).status(), Some(403));
    let fit = set_contact(
        "bob@contoso.test",
        "",
        &groups(GROUPS_PER_CONTACT_MAX),
        number,
    );
    assert_eq!(world.soap(&alice, &fit).status(), Some(200));
}

#[test]
fn names_and_contents() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let long = "ä".repeat(TEXT_CHARS_MAX);
    assert_eq!(
        world
            .soap(&alice, &add_group(&(long.clone() + "x"), 1))
            .status(),
        Some(400)
    );
    assert_eq!(world.soap(&alice, &add_group(&long, 1)).status(), Some(200));
    let empty = note("").len();
    let fit = |version, bytes: usize| {
        publication(
            "note",
            0,
            200,
            version,
            "static",
            &note(&"x".repeat(bytes - empty)),
        )
    };
    // The content is rewritten, in nearly the same length.
    assert_eq!(
        world
            .publish(&alice, &fit(0, PUBLICATION_BYTES_MAX))
            .status(),
        Some(200)
    );
    assert_eq!(
        world
            .publish(&alice, &fit(1, PUBLICATION_BYTES_MAX + 1))
            .status(),
        Some(400)
    );
}

#[test]
fn containers_and_their_members() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let members = |from: usize, n: usize| -> String {
        (from..from + n)
            .map(|n| format!("<member action=\"add\" type=\"user\" value=\"p{n}@contoso.test\"/>"))
            .collect()
    };
    let container = |id: usize, version: u32, members: &str| {
        format!("<container id=\"{id}\" version=\"{version}\">{members}</container>")
    };
    let there = Roster::fresh()
        .containers
        .values()
        .map(|c| c.members.len())
        .sum::<usize>();
    let half = MEMBERS_PER_PERSON_MAX / 2;
    assert_eq!(
        world
            .member(&alice, &container(400, 0, &members(0, half)))
            .status(),
        Some(200)
    );
    let rest = MEMBERS_PER_PERSON_MAX - half - there;
    let over = container(300, 0, &members(0, rest + 1));
    assert_eq!(world.member(&alice, &over).status(), Some(403));
    let fit = container(300, 0, &members(0, rest));
    assert_eq!(world.member(&alice, &fit).status(), Some(200));

    let known = Roster::fresh().containers.len();
    let more = |n: usize| -> String { (0..n).map(|id| container(1_000 + id, 0, "")).collect() };
    let over = more(CONTAINERS_PER_PERSON_MAX - known + 1);
    assert_eq!(world.member(&alice, &over).status(), Some(403));
    let fit = more(CONTAINERS_PER_PERSON_MAX - known);
    assert_eq!(world.member(&alice, &fit).status(), Some(200));
}

#[test]
fn subscriptions_and_the_people_in_one() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    for _ in 0..SUBSCRIPTIONS_PER_ENDPOINT_MAX {
        assert_eq!(
            world.watch(&alice, &["bob@contoso.test"]).status(),
            Some(200)
        );
    }
    let answer = world.watch(&alice, &["bob@contoso.test"]);
    assert_eq!(answer.status(), Some(403));
    assert!(text(&answer).contains("subscriptions of one endpoint"));
    let bob = world.sign_in("bob", "02020202");
    let people = |n: usize| -> String {
        (0..n)
            .map(|n| format!("<resource uri=\"sip:p{n}@contoso.test\"/>"))
            .collect()
    };
    let over = people(RESOURCES_PER_SUBSCRIPTION_MAX + 1);
    assert_eq!(world.watch_resources(&bob, &over).status(), Some(400));
    let fit = people(RESOURCES_PER_SUBSCRIPTION_MAX);
    assert_eq!(world.watch_resources(&bob, &fit).status(), Some(200));
    let rest: usize = world.take(&bob).len();
    assert_eq!(
        rest,
        RESOURCES_PER_SUBSCRIPTION_MAX.div_ceil(500) - 1,
        "in parts"
    );
}

#[test]
fn requests_that_nobody_answers() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    let to = "sip:bob@contoso.test";
    for n in 0..=TRANSACTIONS_PER_ENDPOINT_MAX {
        let call = format!("c{n}");
        let text = alice.request("INVITE", to, to, &call, "", ("application/sdp", "v=0\n"));
        world.send(&alice, &text);
    }
    assert_eq!(world.take(&bob).len(), TRANSACTIONS_PER_ENDPOINT_MAX);
    let answer = world.take_one(&alice);
    assert_eq!(
        (answer.status(), answer.header(Name::RetryAfter)),
        (Some(503), Some("5"))
    );
}

#[test]
fn identifiers_that_are_kept() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let own = alice.sip();
    for (length, code) in [(TOKEN_BYTES_MAX, 200), (TOKEN_BYTES_MAX + 1, 403)] {
        let call = "c".repeat(length);
        let text = alice.request(
            "SUBSCRIBE",
            &own,
            &own,
            &call,
            "Event: presence.wpending\n",
            ("", ""),
        );
        world.send(&alice, &text);
        let answer = world.take(&alice).remove(0);
        assert_eq!(answer.status(), Some(code));
    }
}

#[test]
fn changes_that_wait_for_the_store() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    world.hold = true;
    // One is under way, and so many wait.
    for n in 0..=CHANGES_WAITING_PER_PERSON_MAX + 1 {
        let (own, call) = (alice.sip(), format!("c{n}"));
        let body = soap(&add_group("g", n + 1));
        let text = alice.request(
            "SERVICE",
            &own,
            &own,
            &call,
            "",
            ("application/SOAP+xml", &body),
        );
        world.send(&alice, &text);
    }
    assert_eq!(world.take_one(&alice).status(), Some(503));
    world.release();
    let accepted = world
        .take(&alice)
        .iter()
        .filter(|m| m.status() == Some(200))
        .count();
    assert_eq!(
        accepted,
        GROUPS_PER_PERSON_MAX - 1,
        "until the groups are full"
    );
}

#[test]
fn requests_that_wait_for_a_roster() {
    let mut world = World::new();
    let alice = world.connect("alice", "01010101");
    let message = Message::parse(alice.register_text("").into_bytes()).expect("request");
    let registration = Registration {
        connection: alice.connection,
        person: alice.person(),
    };
    let effects = world.hub.register(world.now, &registration, &message);
    drop(effects);
    let own = alice.sip();
    for n in 0..=PARKED_PER_CONNECTION_MAX {
        let text = alice.request(
            "SUBSCRIBE",
            &own,
            &own,
            &format!("c{n}"),
            "Event: presence.wpending\n",
            ("", ""),
        );
        world.send(&alice, &text);
    }
    assert_eq!(world.take_one(&alice).status(), Some(503));
    let effects = world
        .hub
        .loaded(world.now, &alice.person(), Ok(Roster::fresh()));
    world.run(effects);
    let accepted = world
        .take(&alice)
        .iter()
        .filter(|m| m.status() == Some(200))
        .count();
    assert_eq!(accepted, PARKED_PER_CONNECTION_MAX);
}

#[test]
fn what_is_renewed_a_thousand_times_leaves_one_deadline() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let before = world.hub.deadlines();
    for _ in 0..1_000 {
        world.register(&alice, "Expires: 7200\r\n");
        let call = world.call_id();
        let own = alice.sip();
        let text = alice.request(
            "SUBSCRIBE",
            &own,
            &own,
            &call,
            "Event: presence.wpending\nExpires: 28800\n",
            ("", ""),
        );
        world.send(&alice, &text);
        let to = world.take(&alice).remove(0);
        let to = to.header(Name::To).expect("To").to_owned();
        for expires in ["28800", "0"] {
            let extra = format!("Event: presence.wpending\nExpires: {expires}\n");
            let text = alice.request("SUBSCRIBE", &own, &to, &call, &extra, ("", ""));
            world.send(&alice, &text);
        }
        let last = world.take(&alice);
        assert!(
            last.iter()
                .all(|m| m.status().is_none_or(|code| code == 200))
        );
    }
    assert_eq!(world.hub.deadlines(), before);
}

#[test]
fn the_people_whom_one_endpoint_watches() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let people = |from: usize, n: usize| -> String {
        (from..from + n)
            .map(|n| format!("<resource uri=\"sip:p{n}@contoso.test\"/>"))
            .collect()
    };
    for from in (0..WATCHED_PER_ENDPOINT_MAX).step_by(RESOURCES_PER_SUBSCRIPTION_MAX) {
        let list = people(from, RESOURCES_PER_SUBSCRIPTION_MAX);
        let answer = world.watch_resources(&alice, &list);
        assert_eq!(answer.status(), Some(200));
    }
    let over = world.watch_resources(&alice, &people(0, 1));
    assert_eq!(over.status(), Some(403));
    assert!(text(&over).contains("people whom one endpoint watches"));
}

#[test]
fn all_that_one_person_publishes() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let content = note(&"x".repeat(PUBLICATION_BYTES_MAX - note("").len()));
    let fit = PUBLISHED_BYTES_PER_PERSON_MAX / PUBLICATION_BYTES_MAX;
    for n in 0..fit {
        let n = u32::try_from(n).expect("small");
        let item = publication("note", n, 200, 0, "static", &content);
        assert_eq!(world.publish(&alice, &item).status(), Some(200));
    }
    let over = publication("note", 999, 200, 0, "static", &note(""));
    let answer = world.publish(&alice, &over);
    assert_eq!(answer.status(), Some(403));
    assert!(text(&answer).contains("size of all publications"));
    // One that takes the place of an old one, and one that goes.
    let again = publication("note", 0, 200, 1, "endpoint", &content);
    assert_eq!(world.publish(&alice, &again).status(), Some(200));
    let gone = publication("note", 0, 200, 2, "endpoint\" expires=\"0", "");
    assert_eq!(world.publish(&alice, &gone).status(), Some(200));
    assert_eq!(world.publish(&alice, &over).status(), Some(200));
}

#[test]
fn a_contact_list_of_long_names_is_full_before_no_client_can_read_it() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let name = "&lt;".repeat(TEXT_CHARS_MAX);
    let mut count = 0;
    let refused = loop {
        let who = format!("p{count}@contoso.test");
        let delta = u32::try_from(count + 1).expect("small");
        let answer = world.soap(&alice, &set_contact(&who, &name, "1", delta));
        if answer.status() != Some(200) {
            break answer;
        }
        count += 1;
        assert!(count < CONTACTS_PER_PERSON_MAX);
    };
    assert_eq!(refused.status(), Some(403));
    assert!(text(&refused).contains("The contact list is full."));
    let list = world.subscribe_own(&alice, "vnd-microsoft-roaming-contacts", ("", ""));
    assert!(list.body().len() < BODY_BYTES_MAX && list.body().len() > BODY_BYTES_MAX / 2);
}

#[test]
fn containers_rank_no_higher_than_the_blocked_one() {
    let mut world = World::new();
    let bob = world.online("bob", "02020202");
    for id in [
        "-1",
        "4294967296",
        "99999999999999999999",
        "x",
        "",
        "32001",
        "4294967295",
    ] {
        let change = format!("<container id=\"{id}\" version=\"0\"/>");
        assert_eq!(world.member(&bob, &change).status(), Some(400), "{id}");
        let item = publication("note", 0, 200, 0, "static", &note("x"));
        let item = item.replace("container=\"200\"", &format!("container=\"{id}\""));
        assert_eq!(world.publish(&bob, &item).status(), Some(400), "{id}");
    }
    for version in ["-1", "4294967296", "x"] {
        let change = format!("<container id=\"400\" version=\"{version}\"/>");
        assert_eq!(world.member(&bob, &change).status(), Some(400), "{version}");
    }
    let stale = "<container id=\"400\" version=\"4294967295\"/>";
    let answer = world.member(&bob, stale);
    assert_eq!(answer.status(), Some(409));
    assert!(
        text(&answer).contains("curVersion=\"0\""),
        "{}",
        text(&answer)
    );
}
