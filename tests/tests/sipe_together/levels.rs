// SPDX-License-Identifier: MIT OR Apache-2.0
//! What somebody may see of somebody else.

use super::{
    ALICE, ALICE_PIN, BOB, BOB_PIN, ERIN, becomes, buddy, contact, erin, is_online, ours,
    second_client,
};
use lanyard_tests::process::eventually;
use lanyard_tests::sipe::{EVENT_LIMIT, in_a_sipe_world};
use serde_json::Value;

#[test]
fn sipe_sees_nothing_of_whoever_blocks_it_in_our_client() {
    in_a_sipe_world(
        "levels::sipe_sees_nothing_of_whoever_blocks_it_in_our_client",
        |world| {
            let mut erin = erin(world)?;
            let (alice, mut watch) = ours(world, ALICE, ALICE_PIN)?;
            erin.command(&format!("add {ALICE} Friends"))?;
            erin.wait_for_buddies("Alice is on line", |l| is_online(l, ALICE))?;
            alice.must(&["contacts", "add", ERIN], &[])?;

            alice.must(&["block", ERIN], &[])?;
            erin.expect_event(&["buddy-off", ALICE])?;
            assert_eq!(
                contact(&alice, ERIN).map(|one| one["level"].clone()),
                Some("blocked".into())
            );
            let list = alice.must(&["contacts", "list"], &[])?;
            assert!(list.contains("blocked"), "{list}");
            // Nothing that she does meanwhile is seen, and nothing comes through.
            alice.must(&["status", "busy"], &[])?;
            erin.command(&format!("im {ALICE} are you there?"))?;
            erin.expect("an undelivered notice", EVENT_LIMIT, |e| {
                e[0].starts_with("conversation-") && e[1] == ALICE
            })?;
            assert_eq!(
                erin.count(|e| e[0] == "buddy-status" && e[1] == ALICE && e[2] == "busy"),
                0
            );
            assert!(
                !watch
                    .all()
                    .iter()
                    .any(|event| event["text"] == "are you there?")
            );

            alice.must(&["unblock", ERIN], &[])?;
            erin.expect_event(&["buddy-on", ALICE])?;
            erin.wait_for_buddies("Alice is busy", |l| {
                buddy(l, ALICE).is_some_and(|alice| alice[2] == "busy")
            })?;
            erin.command(&format!("im {ALICE} and now?"))?;
            watch.expect("and now?", EVENT_LIMIT, |event| event["text"] == "and now?")?;
            Ok(())
        },
    );
}

#[test]
fn sipe_decides_what_our_client_sees() {
    in_a_sipe_world("levels::sipe_decides_what_our_client_sees", |world| {
        let mut erin = erin(world)?;
        let (alice, mut watch) = ours(world, ALICE, ALICE_PIN)?;
        alice.must(&["contacts", "add", ERIN], &[])?;
        erin.command(&format!("add {ALICE} Friends"))?;
        erin.wait_for_buddies("Alice is on line", |l| is_online(l, ALICE))?;
        erin.command("status busy in a meeting until four")?;
        let note = |text: &'static str| {
            move |event: &Value| {
                event["event"] == "contact" && event["address"] == ERIN && event["note"] == text
            }
        };
        watch.expect("the note", EVENT_LIMIT, note("in a meeting until four"))?;
        // Notes are for colleagues and closer people.
        erin.command(&format!("menu {ALICE} Public"))?;
        erin.expect_event(&["pressed", "Public", "yes"])?;
        watch.expect("no note for the public", EVENT_LIMIT, |event| {
            note("")(event) && event["availability"] == "busy"
        })?;
        erin.command(&format!("menu {ALICE} Personal"))?;
        erin.expect_event(&["pressed", "Personal", "yes"])?;
        watch.expect(
            "the note again",
            EVENT_LIMIT,
            note("in a meeting until four"),
        )?;
        erin.command(&format!("menu {ALICE} Blocked"))?;
        erin.expect_event(&["pressed", "Blocked", "yes"])?;
        watch.expect("nothing at all", EVENT_LIMIT, becomes(ERIN, "offline"))?;
        erin.command(&format!("menu {ALICE} Team"))?;
        erin.expect_event(&["pressed", "Team", "yes"])?;
        watch.expect("back", EVENT_LIMIT, becomes(ERIN, "busy"))?;
        Ok(())
    });
}

#[test]
fn sipe_and_our_client_decide_levels_one_after_the_other() {
    in_a_sipe_world(
        "levels::sipe_and_our_client_decide_levels_one_after_the_other",
        |world| {
            let (alice, _) = ours(world, ALICE, ALICE_PIN)?;
            let (bob, mut seen) = ours(world, BOB, BOB_PIN)?;
            bob.must(&["contacts", "add", ALICE], &[])?;
            alice.must(&["contacts", "add", BOB], &[])?;
            alice.must(&["status", "available", "--note", "at my desk"], &[])?;
            let sees = |note: &'static str| {
                move |event: &Value| {
                    event["event"] == "contact"
                        && event["address"] == ALICE
                        && event["note"] == note
                }
            };
            seen.expect("the note", EVENT_LIMIT, sees("at my desk"))?;
            let level = |word: &'static str| {
                eventually(word, EVENT_LIMIT, || {
                    (contact(&alice, BOB)?["level"] == word).then_some(())
                })
            };
            alice.must(&["level", BOB, "public"], &[])?;
            seen.expect("no note", EVENT_LIMIT, sees(""))?;
            // The person's other client goes on from there, and ours shows what it did.
            let mut sipe = second_client(world, ALICE)?;
            sipe.wait_for_buddies("Bob", |l| is_online(l, BOB))?;
            sipe.command(&format!("menu {BOB} Personal"))?;
            sipe.expect_event(&["pressed", "Personal", "yes"])?;
            level("personal")?;
            seen.expect("the note again", EVENT_LIMIT, sees("at my desk"))?;
            alice.must(&["level", BOB, "team"], &[])?;
            level("team")?;
            let levels = alice.json(&["level"])?;
            assert_eq!(levels[0]["address"], BOB);
            assert_eq!(levels[0]["level"], "team");
            alice.must(&["level", BOB, "reset"], &[])?;
            assert_eq!(
                contact(&alice, BOB).map(|one| one["level"].clone()),
                Some(Value::Null)
            );
            let told = alice.must_fail(&["level", BOB, "secret"], &[])?;
            assert!(told.contains("LY-1648"), "{told}");
            Ok(())
        },
    );
}
