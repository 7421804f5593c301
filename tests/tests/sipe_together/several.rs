// SPDX-License-Identifier: MIT OR Apache-2.0
//! Conversations of several people.

use super::{
    ALICE, ALICE_PIN, BOB, BOB_PIN, DORA, DORA_PIN, ERIN, FRED, erin, fred, hears, is_online,
    is_over, is_with, ours,
};
use lanyard_tests::sipe::{EVENT_LIMIT, in_a_sipe_world};
use lanyard_tests::terminal::Terminal;
use lanyard_tests::world::in_a_world;

#[test]
fn three_of_our_clients_talk_in_one_conversation() {
    in_a_world(
        "several::three_of_our_clients_talk_in_one_conversation",
        |world| {
            let (alice, mut at_alice) = ours(world, ALICE, ALICE_PIN)?;
            let (bob, mut at_bob) = ours(world, BOB, BOB_PIN)?;
            let (dora, mut at_dora) = ours(world, DORA, DORA_PIN)?;
            alice.send(BOB, "before")?;

            alice.must(&["invite", DORA, "--with", BOB], &[])?;
            let id = is_with(&mut at_alice, &[BOB, DORA])?;
            is_with(&mut at_bob, &[ALICE, DORA])?;
            assert_eq!(is_with(&mut at_dora, &[ALICE, BOB])?, id);
            for (who, text) in [
                (&alice, "from Alice 🦀"),
                (&bob, "from Bob"),
                (&dora, "from Dora"),
            ] {
                who.must(&["say", &id, text], &[])?;
            }
            assert_eq!(hears(&mut at_bob, ALICE, "from Alice 🦀")?, id);
            hears(&mut at_bob, DORA, "from Dora")?;
            hears(&mut at_dora, ALICE, "from Alice 🦀")?;
            hears(&mut at_dora, BOB, "from Bob")?;
            hears(&mut at_alice, BOB, "from Bob")?;
            hears(&mut at_alice, DORA, "from Dora")?;

            // What is said to one person stays between the two.
            bob.send(ALICE, "just you")?;
            at_alice.expect("just you", EVENT_LIMIT, |event| {
                event["text"] == "just you" && event["conversation"].is_null()
            })?;
            assert!(
                !at_dora
                    .all()
                    .iter()
                    .any(|event| event["text"] == "just you")
            );

            // Somebody who is there cannot be invited, nor somebody who is not.
            let told = alice.must_fail(&["invite", DORA, "--in", &id], &[])?;
            assert!(told.contains("LY-1647"), "{told}");
            world.add_user("away@contoso.test", &[])?;
            // Dora asks the one who invites, who finds nobody at home.
            let told = dora.must_fail(&["invite", "away@contoso.test", "--in", &id], &[])?;
            assert!(told.contains("LY-1644"), "{told}");

            // Whoever leaves is not written to any more.
            bob.must(&["leave", &id], &[])?;
            is_over(&mut at_bob, &id)?;
            is_with(&mut at_alice, &[DORA])?;
            is_with(&mut at_dora, &[ALICE])?;
            dora.must(&["say", &id, "only two left"], &[])?;
            hears(&mut at_alice, DORA, "only two left")?;
            assert!(
                !at_bob
                    .all()
                    .iter()
                    .any(|event| event["text"] == "only two left")
            );
            let told = bob.must_fail(&["say", &id, "too late"], &[])?;
            assert!(told.contains("LY-1643"), "{told}");
            // Whoever vanishes is missed by the others.
            dora.must(&["sign-out"], &[])?;
            is_over(&mut at_alice, &id)?;
            Ok(())
        },
    );
}

#[test]
fn people_at_terminals_bring_a_third_one_in_and_see_who_writes() {
    in_a_world(
        "several::people_at_terminals_bring_a_third_one_in_and_see_who_writes",
        |world| {
            let (alice, _) = ours(world, ALICE, ALICE_PIN)?;
            let (bob, _) = ours(world, BOB, BOB_PIN)?;
            let (dora, _) = ours(world, DORA, DORA_PIN)?;
            let at_alice = Terminal::open(&alice, &["open"])?;
            let at_bob = Terminal::open(&bob, &["open"])?;
            let at_dora = Terminal::open(&dora, &["open"])?;
            for terminal in [&at_alice, &at_bob, &at_dora] {
                terminal.wait_for("❯")?;
            }
            at_alice.enter(&format!("/to {BOB}"))?;
            at_alice.enter(&format!("/invite {DORA}"))?;
            at_bob.wait_for("You are in a conversation with")?;
            at_dora.wait_for("You are in a conversation with")?;
            at_alice.wait_for("with bob, dora ❯")?;
            at_dora.wait_for("has joined the conversation")?;
            at_alice.enter("hello both")?;
            at_bob.wait_for("hello both")?;
            at_dora.wait_for("hello both")?;
            at_dora.enter("hello from the third")?;
            at_alice.wait_for("hello from the third")?;
            at_bob.wait_for("hello from the third")?;
            at_bob.enter("/leave")?;
            at_alice.wait_for("has left the conversation")?;
            at_bob.wait_for("You have left the conversation")?;
            Ok(())
        },
    );
}

#[test]
fn sipe_is_brought_into_a_conversation_and_brings_our_client_in() {
    in_a_sipe_world(
        "several::sipe_is_brought_into_a_conversation_and_brings_our_client_in",
        |world| {
            let mut erin = erin(world)?;
            let mut fred = fred(world)?;
            let (alice, mut at_alice) = ours(world, ALICE, ALICE_PIN)?;
            let (dora, mut at_dora) = ours(world, DORA, DORA_PIN)?;
            for sipe in [&mut erin, &mut fred] {
                sipe.command(&format!("add {DORA} Friends"))?;
                sipe.wait_for_buddies("Dora is on line", |l| is_online(l, DORA))?;
            }

            // There may be a conversation of two already, whoever began it.
            erin.command(&format!("im {ALICE} before"))?;
            at_alice.expect("before", EVENT_LIMIT, |event| event["text"] == "before")?;
            // Ours, SIPE, and a second SIPE as the third.
            alice.must(&["invite", FRED, "--with", ERIN], &[])?;
            let id = is_with(&mut at_alice, &[ERIN, FRED])?;
            fred.expect("Fred is in", EVENT_LIMIT, |e| e[0] == "chat-joined")?;
            erin.expect("Erin is in", EVENT_LIMIT, |e| e[0] == "chat-joined")?;
            alice.must(&["say", &id, "Grüße an beide 🦀"], &[])?;
            for sipe in [&mut erin, &mut fred] {
                sipe.expect("from Alice", EVENT_LIMIT, |e| {
                    e[0] == "chat" && e[1] == ALICE && e[2].contains("Grüße an beide 🦀")
                })?;
            }
            fred.command("chat - salut tout le monde")?;
            assert_eq!(hears(&mut at_alice, FRED, "salut tout le monde")?, id);
            erin.expect("from Fred", EVENT_LIMIT, |e| {
                e[0] == "chat" && e[1] == FRED && e[2].contains("salut tout le monde")
            })?;

            // SIPE brings in our client: it asks Alice, who invited it.
            fred.command(&format!("menu {DORA} Invite"))?;
            fred.expect("the menu", EVENT_LIMIT, |e| {
                e[0] == "pressed" && e[2] == "yes"
            })?;
            is_with(&mut at_dora, &[ALICE, ERIN, FRED])?;
            is_with(&mut at_alice, &[DORA, ERIN, FRED])?;
            erin.expect_event(&["chat-member", DORA])?;
            dora.must(&["say", &id, "danke!"], &[])?;
            hears(&mut at_alice, DORA, "danke!")?;
            for sipe in [&mut erin, &mut fred] {
                sipe.expect("from Dora", EVENT_LIMIT, |e| {
                    e[0] == "chat" && e[1] == DORA && e[2].contains("danke!")
                })?;
            }
            erin.command("chat - all four")?;
            hears(&mut at_alice, ERIN, "all four")?;
            hears(&mut at_dora, ERIN, "all four")?;

            // What two say to each other alone stays between them.
            alice.send(ERIN, "just the two of us")?;
            erin.expect("alone", EVENT_LIMIT, |e| {
                e[0] == "im" && e[1] == ALICE && e[2].contains("just the two of us")
            })?;
            // Leaving is seen on both sides.
            erin.command("chat-leave")?;
            is_with(&mut at_alice, &[DORA, FRED])?;
            is_with(&mut at_dora, &[ALICE, FRED])?;
            alice.must(&["leave", &id], &[])?;
            fred.expect_event(&["chat-member-left", ALICE])?;
            is_with(&mut at_dora, &[FRED])?;
            Ok(())
        },
    );
}

#[test]
fn sipe_becomes_the_one_who_invites_and_invites_our_client() {
    in_a_sipe_world(
        "several::sipe_becomes_the_one_who_invites_and_invites_our_client",
        |world| {
            let mut erin = erin(world)?;
            let (alice, mut at_alice) = ours(world, ALICE, ALICE_PIN)?;
            let (_bob, mut at_bob) = ours(world, BOB, BOB_PIN)?;
            let (_dora, mut at_dora) = ours(world, DORA, DORA_PIN)?;
            erin.command(&format!("add {DORA} Friends"))?;
            erin.wait_for_buddies("Dora is on line", |l| is_online(l, DORA))?;
            alice.must(&["invite", BOB, "--with", ERIN], &[])?;
            let id = is_with(&mut at_alice, &[BOB, ERIN])?;
            is_with(&mut at_bob, &[ALICE, ERIN])?;
            erin.expect("Erin is in", EVENT_LIMIT, |e| e[0] == "chat-joined")?;
            // Nobody told Erin who invites: she asks to be it, everybody agrees, and she invites Dora herself.
            erin.command(&format!("menu {DORA} Invite"))?;
            is_with(&mut at_dora, &[ALICE, BOB, ERIN])?;
            is_with(&mut at_alice, &[BOB, DORA, ERIN])?;
            is_with(&mut at_bob, &[ALICE, DORA, ERIN])?;
            assert!(erin.debug().contains("RequestRMResponse"));
            erin.command("chat - welcome Dora")?;
            assert_eq!(hears(&mut at_dora, ERIN, "welcome Dora")?, id);
            hears(&mut at_bob, ERIN, "welcome Dora")?;
            // Now Alice asks Erin when she wants to bring somebody in; somebody who is away does not come.
            world.add_user("away@contoso.test", &[])?;
            alice.must(&["invite", "away@contoso.test", "--in", &id], &[])?;
            assert!(erin.debug().contains("Refer-To: <sip:away@contoso.test>"));
            Ok(())
        },
    );
}
