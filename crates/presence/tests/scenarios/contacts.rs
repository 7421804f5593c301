// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contacts and groups.

use lanyard_presence::limits::CONTACTS_PER_PERSON_MAX;
use lanyard_presence::xml::contacts::ContactsDocument;
use lanyard_presence::xml::service::{ContactFault, read_group_added};
use lanyard_presence::{RosterError, RosterStore};
use lanyard_sip::{Headers, Name};

use crate::world::{Client, World, set_contact, soap, text};

const EVENT: &str = "vnd-microsoft-roaming-contacts";
const M: &str = "xmlns:m=\"http://schemas.microsoft.com/winrtc/2002/11/sip\"";

#[test]
fn the_list_comes_with_the_answer_and_a_change_reaches_the_other_endpoint_alone() {
    let mut world = World::new();
    let desk = world.sign_in("alice", "01010101");
    let phone = world.sign_in("alice", "02020202");
    insta::assert_snapshot!(
        "contacts_answer",
        text(&world.subscribe_own(&desk, EVENT, ("", "")))
    );
    world.subscribe_own(&phone, EVENT, ("", ""));

    let answer = world.soap(
        &desk,
        &set_contact("Bob@contoso.test", "Bobby &amp; Co", "1", 1),
    );
    assert_eq!(answer.status(), Some(200));
    assert!(world.take(&desk).is_empty(), "who asked counts by itself");
    insta::assert_snapshot!("contacts_delta", text(&world.take_one(&phone)));

    // The store has it, and a later subscription shows it.
    let stored = world.store.load(&desk.person()).expect("roster");
    assert_eq!(stored.delta, 2);
    let list = world.subscribe_own(&desk, EVENT, ("", ""));
    let Ok(ContactsDocument::List(list)) = ContactsDocument::parse(list.body()) else {
        panic!("no list")
    };
    assert_eq!((list.delta, list.contacts.len()), (2, 1));
    assert_eq!(list.contacts[0].name, "Bobby & Co");
    assert_eq!(list.contacts[0].uri.address(), "bob@contoso.test");
}

#[test]
fn every_accepted_operation_counts_one_and_groups_get_new_numbers() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let other = world.sign_in("alice", "02020202");
    world.subscribe_own(&other, EVENT, ("", ""));
    let add = |name: &str, delta: u32| {
        format!(
            "<m:addGroup {M}><m:name>{name}</m:name><m:externalURI/><m:deltaNum>{delta}</m:deltaNum></m:addGroup>"
        )
    };
    let answer = world.soap(&alice, &add("Team", 1));
    assert_eq!(read_group_added(answer.body()), Ok(2));
    insta::assert_snapshot!("group_added", text(&answer));
    assert_eq!(
        world
            .soap(&alice, &set_contact("bob@contoso.test", "", "1 2", 2))
            .status(),
        Some(200)
    );
    let rename = format!(
        "<m:modifyGroup {M}><m:groupID>2</m:groupID><m:name>Friends</m:name><m:externalURI/><m:deltaNum>3</m:deltaNum></m:modifyGroup>"
    );
    assert_eq!(world.soap(&alice, &rename).status(), Some(200));
    let delete = format!(
        "<m:deleteGroup {M}><m:groupID>2</m:groupID><m:deltaNum>4</m:deltaNum></m:deleteGroup>"
    );
    assert_eq!(world.soap(&alice, &delete).status(), Some(200));
    let remove = format!(
        "<m:deleteContact {M}><m:URI>sip:bob@contoso.test</m:URI><m:deltaNum>5</m:deltaNum></m:deleteContact>"
    );
    assert_eq!(world.soap(&alice, &remove).status(), Some(200));
    // A deleted group's number is never used again.
    assert_eq!(
        read_group_added(world.soap(&alice, &add("New", 6)).body()),
        Ok(3)
    );

    let deltas: Vec<String> = world
        .take(&other)
        .iter()
        .map(|m| String::from_utf8_lossy(m.body()).into_owned())
        .collect();
    insta::assert_snapshot!("contacts_deltas", deltas.join("\n"));
    let stored = world.store.load(&alice.person()).expect("roster");
    assert_eq!(
        (stored.delta, stored.contacts.len(), stored.groups.len()),
        (7, 0, 2)
    );
}

#[test]
fn a_change_that_starts_from_an_old_list_is_refused_and_the_list_follows() {
    let mut world = World::new();
    let desk = world.sign_in("alice", "01010101");
    let phone = world.sign_in("alice", "02020202");
    world.subscribe_own(&phone, EVENT, ("", ""));
    world.soap(&desk, &set_contact("bob@contoso.test", "", "1", 1));
    world.take(&phone);
    let answer = world.soap(&phone, &set_contact("carol@contoso.test", "", "1", 1));
    assert_eq!(answer.status(), Some(409));
    let fault = ContactFault::parse(answer.body()).expect("fault");
    assert_eq!(
        (&*fault.code, fault.delta),
        (ContactFault::WRONG_DELTA, Some(2))
    );
    let list = world.take_one(&phone);
    assert_eq!(list.method().map(|m| m.as_str()), Some("BENOTIFY"));
    assert!(matches!(
        ContactsDocument::parse(list.body()),
        Ok(ContactsDocument::List(_))
    ));
    assert_eq!(
        world
            .store
            .load(&desk.person())
            .expect("roster")
            .contacts
            .len(),
        1
    );
}

#[test]
fn an_answer_waits_until_the_change_is_durable_and_later_changes_wait_in_order() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    world.hold = true;
    for (delta, who) in [(1, "bob"), (2, "carol")] {
        let call = format!("hold{delta}");
        let body = soap(&set_contact(&format!("{who}@contoso.test"), "", "1", delta));
        let own = alice.sip();
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
    assert!(world.take(&alice).is_empty(), "nothing was promised");
    assert_eq!(world.held.len(), 1, "one change of a person at a time");
    world.release();
    let codes: Vec<_> = world.take(&alice).iter().map(|m| m.status()).collect();
    assert_eq!(codes, [Some(200), Some(200)]);
    assert_eq!(world.store.load(&alice.person()).expect("roster").delta, 3);
}

#[test]
fn a_store_that_fails_changes_nothing_and_says_why() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    world.store_fails = Some(RosterError::Full);
    let answer = world.soap(&alice, &set_contact("bob@contoso.test", "", "1", 1));
    assert_eq!(
        (answer.status(), answer.header(Name::RetryAfter)),
        (Some(503), Some("5"))
    );
    assert!(text(&answer).contains("disk is full"));
    world.store_fails = Some(RosterError::Damaged);
    assert_eq!(
        world
            .soap(&alice, &set_contact("bob@contoso.test", "", "1", 1))
            .status(),
        Some(500)
    );
    world.store_fails = None;
    // The number has not moved.
    assert_eq!(
        world
            .soap(&alice, &set_contact("bob@contoso.test", "", "1", 1))
            .status(),
        Some(200)
    );
}

#[test]
fn nobody_changes_the_list_of_somebody_else() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    world.sign_in("bob", "02020202");
    let body = soap(&set_contact("carol@contoso.test", "", "1", 1));
    let answer = world.service_to(
        &alice,
        "sip:bob@contoso.test",
        "application/SOAP+xml",
        &body,
    );
    assert_eq!(answer.status(), Some(403));
}

#[test]
fn three_thousand_contacts_fit_and_one_more_does_not() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    for n in 0..CONTACTS_PER_PERSON_MAX {
        let delta = u32::try_from(n).expect("small") + 1;
        let answer = world.soap(
            &alice,
            &set_contact(&format!("p{n}@contoso.test"), "", "1", delta),
        );
        assert_eq!(answer.status(), Some(200));
    }
    let delta = u32::try_from(CONTACTS_PER_PERSON_MAX).expect("small") + 1;
    let answer = world.soap(&alice, &set_contact("bob@contoso.test", "", "1", delta));
    assert_eq!(answer.status(), Some(403));
    let fault = ContactFault::parse(answer.body()).expect("fault");
    assert_eq!(&*fault.code, ContactFault::LIMIT);

    let list = world.subscribe_own(&alice, EVENT, ("", ""));
    let Ok(ContactsDocument::List(list)) = ContactsDocument::parse(list.body()) else {
        panic!("no list")
    };
    assert_eq!(list.contacts.len(), CONTACTS_PER_PERSON_MAX);

    // All of them are watched at once, in parts that clients can read.
    let people: Vec<String> = (0..CONTACTS_PER_PERSON_MAX)
        .map(|n| format!("p{n}@contoso.test"))
        .collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let resources: String = people
        .iter()
        .map(|p| format!("<resource uri=\"sip:{p}\"/>"))
        .collect();
    let answer = world.watch_resources(&alice, &resources);
    assert_eq!(answer.status(), Some(200));
    assert!(answer.body().len() < 1024 * 1024);
}

#[test]
fn bad_bodies_are_told_apart() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><x>&a;</x>";
    for (kind, body, code, words) in [
        ("application/SOAP+xml", bomb, 400, "document type"),
        ("application/SOAP+xml", "<x", 400, "well-formed"),
        (
            "application/SOAP+xml",
            "<Envelope xmlns=\"urn:wrong\"/>",
            400,
            "SOAP envelope",
        ),
        ("application/unheard-of", "x", 415, "type of the body"),
        (
            "application/msrtc-category-publish+xml",
            "<publish xmlns=\"urn:wrong\"/>",
            400,
            "publish request",
        ),
    ] {
        let answer = world.service(&alice, kind, body);
        assert_eq!(answer.status(), Some(code), "{body}");
        assert!(text(&answer).contains(words), "{}", text(&answer));
    }
    let missing_group = world.soap(&alice, &set_contact("bob@contoso.test", "", "9", 1));
    assert_eq!(missing_group.status(), Some(403));
}

#[test]
fn the_directory_is_searched_over_the_same_wire() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let call = format!(
        "<m:directorySearch {M}><m:filter m:href=\"#searchArray\"/><m:maxResults>100</m:maxResults>\
         </m:directorySearch><m:Array {M} m:id=\"searchArray\">\
         <m:row m:attrib=\"givenName\" m:value=\"bob\"/></m:Array>"
    );
    let answer = world.soap(&alice, &call);
    insta::assert_snapshot!("search_answer", String::from_utf8_lossy(answer.body()));
    let found = lanyard_presence::xml::search::read(answer.body()).expect("answer");
    assert_eq!(found[0].title, "Engineer");
    // One of several: the client is told that there are more.
    let few = call.replace(">100<", ">1<").replace("\"bob\"", "\"l\"");
    let answer = world.soap(&alice, &few);
    assert!(
        text(&answer).contains("<m:moreAvailable>true<"),
        "{}",
        text(&answer)
    );
    // Who looks for people without end waits for the rest of the minute; others do not.
    let answers = |world: &mut World, who: &Client| {
        let status = |_| world.soap(who, &call).status();
        let all: Vec<_> = (0..lanyard_presence::limits::SEARCHES_MAX + 1)
            .map(status)
            .collect();
        all.last().copied().flatten()
    };
    assert_eq!(answers(&mut world, &alice), Some(503));
    let bob = world.sign_in("bob", "02020202");
    assert_eq!(world.soap(&bob, &call).status(), Some(200));
    world.pass(lanyard_presence::limits::SEARCHES_PERIOD);
    assert_eq!(world.soap(&alice, &call).status(), Some(200));
}
