// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registrations.

use std::time::Duration;

use lanyard_presence::limits::{ENDPOINTS_PER_PERSON_MAX, GRACE};
use lanyard_presence::{EndEvent, EndReason, SessionFilter};
use lanyard_sip::{Headers, Message, Name};

use crate::world::{World, text};

#[test]
fn a_registration_is_answered_line_for_line_as_clients_want_it() {
    let mut world = World::new();
    let alice = world.connect("alice", "abb2cb12b77f");
    let answer = world.register(&alice, "");
    insta::assert_snapshot!(text(&answer));
    let again = world.register(&alice, "");
    assert_eq!(
        again.header(Name::PresenceState),
        Some("register-action=\"refreshed\"")
    );
}

#[test]
fn an_instance_that_does_not_follow_from_the_epid_is_refused() {
    let mut world = World::new();
    let alice = world.connect("alice", "abb2cb12b77f");
    let bytes = alice.register_text("").replace("0e324752", "0e324753");
    let message = Message::parse(bytes.into_bytes()).expect("request");
    let registration = lanyard_presence::Registration {
        connection: alice.connection,
        person: alice.person(),
    };
    let effects = world.hub.register(world.now, &registration, &message);
    world.run(effects);
    let answer = world.take_one(&alice);
    assert_eq!(answer.status(), Some(403));
    assert!(text(&answer).contains("instance does not match its epid"));
    assert!(world.hub.sessions().is_empty());
}

#[test]
fn nobody_registers_as_somebody_else() {
    let mut world = World::new();
    let mallory = world.connect("bob", "01010101");
    let message = Message::parse(mallory.register_text("").into_bytes()).expect("request");
    let registration = lanyard_presence::Registration {
        connection: mallory.connection,
        person: crate::world::uri("alice@contoso.test"),
    };
    let effects = world.hub.register(world.now, &registration, &message);
    world.run(effects);
    assert_eq!(world.take_one(&mallory).status(), Some(403));
}

#[test]
fn a_lifetime_that_is_too_short_is_refused_and_a_long_one_is_cut() {
    let mut world = World::new();
    let alice = world.connect("alice", "01010101");
    let answer = world.register(&alice, "Expires: 10\r\n");
    assert_eq!(
        (answer.status(), answer.header(Name::MinExpires)),
        (Some(423), Some("60"))
    );
    let answer = world.register(&alice, "Expires: 999999\r\n");
    assert_eq!(answer.header(Name::Expires), Some("7200"));
}

#[test]
fn the_same_endpoint_on_a_new_connection_replaces_the_old_one() {
    let mut world = World::new();
    let old = world.sign_in("alice", "01010101");
    let new = world.connect("alice", "01010101");
    let answer = world.register(&new, "");
    assert_eq!(
        answer.header(Name::PresenceState),
        Some("register-action=\"refreshed\"")
    );
    assert_eq!(world.closed, [old.connection]);
    assert_eq!(world.hub.sessions().len(), 1);
    // The end of the old connection, when it comes, does not touch the new one.
    world.lose(&old);
    world.pass(GRACE * 2);
    assert_eq!(world.hub.sessions().len(), 1);
}

#[test]
fn a_registration_that_is_not_refreshed_ends() {
    let mut world = World::new();
    let alice = world.connect("alice", "01010101");
    world.register(&alice, "Expires: 60\r\n");
    world.pass(Duration::from_secs(40));
    world.register(&alice, "Expires: 60\r\n");
    world.pass(Duration::from_secs(40));
    assert_eq!(world.hub.sessions().len(), 1);
    world.pass(Duration::from_secs(21));
    assert!(world.hub.sessions().is_empty());
    assert_eq!(world.closed, [alice.connection]);
}

#[test]
fn a_person_may_have_many_endpoints_but_not_endlessly_many() {
    let mut world = World::new();
    for n in 0..ENDPOINTS_PER_PERSON_MAX {
        world.sign_in("alice", &format!("{n:012x}"));
    }
    let one_more = world.connect("alice", "ffffffffffff");
    let answer = world.register(&one_more, "");
    assert_eq!(answer.status(), Some(403));
    assert!(text(&answer).contains("endpoints of one person"));
    assert_eq!(world.hub.sessions().len(), ENDPOINTS_PER_PERSON_MAX);
}

#[test]
fn one_connection_carries_one_endpoint() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let other = crate::world::Client {
        epid: "02020202".to_owned(),
        ..alice
    };
    assert_eq!(world.register(&other, "").status(), Some(403));
}

#[test]
fn signing_out_ends_the_session_at_once() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let answer = world.register(&alice, "Expires: 0\r\n");
    assert_eq!(
        (answer.status(), answer.header(Name::Expires)),
        (Some(200), Some("0"))
    );
    assert!(world.hub.sessions().is_empty());
}

#[test]
fn an_ended_session_is_told_the_reason_and_closed_and_others_go_on() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let bob = world.sign_in("bob", "02020202");
    let reason = EndReason {
        event: EndEvent::Rejected,
        diagnostics_id: 1501,
        text: "Your session was ended because your card was reported lost or revoked. (LY-1501)"
            .to_owned(),
    };
    let filter = SessionFilter::Person(alice.person());
    let effects = world.hub.end_sessions(world.now, &filter, &reason);
    world.run(effects);
    let farewell = world.take_one(&alice);
    insta::assert_snapshot!(text(&farewell));
    let body = std::str::from_utf8(farewell.body()).expect("text");
    assert_eq!(EndEvent::from_body(body), Some(EndEvent::Rejected));
    assert_eq!(world.closed, [alice.connection]);
    assert!(world.take(&bob).is_empty());
    let left = world.hub.sessions();
    assert_eq!((left.len(), &left[0].person), (1, &bob.person()));
}

#[test]
fn a_request_of_a_connection_without_registration_is_refused() {
    let mut world = World::new();
    let alice = world.connect("alice", "01010101");
    let request = alice.request(
        "MESSAGE",
        "sip:bob@contoso.test",
        "sip:bob@contoso.test",
        "c",
        "",
        ("text/plain", "hi"),
    );
    world.send(&alice, &request);
    assert_eq!(world.take_one(&alice).status(), Some(403));
}

#[test]
fn provisioning_is_told_once_and_makes_no_dialog() {
    let mut world = World::new();
    let alice = world.sign_in("alice", "01010101");
    let body = "<provisioningGroupList xmlns=\"http://schemas.microsoft.com/2006/09/sip/provisioninggrouplist\">\
                <provisioningGroup name=\"ServerConfiguration\"/></provisioningGroupList>";
    let answer = world.subscribe_own(
        &alice,
        "vnd-microsoft-provisioning-v2",
        (
            "application/vnd-microsoft-roaming-provisioning-v2+xml",
            body,
        ),
    );
    insta::assert_snapshot!(text(&answer));
}
