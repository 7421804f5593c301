// SPDX-License-Identifier: MIT OR Apache-2.0
//! Row K of the acceptance script: a password where policy allows it, and nowhere else.

use lanyard_tests::passwords::{add_password_user, allow_passwords, set_password};
use lanyard_tests::world::in_a_world;
use std::time::Duration;

const ALICE: &str = "alice@contoso.test";
const ALICE_PIN: &str = "407316";
const ERIN: &str = "erin@contoso.test";
const PASSWORD: &str = "erin has a long password";

#[test]
fn row_k_a_person_whose_policy_allows_it_signs_in_with_a_password() {
    in_a_world(
        "row_k_a_person_whose_policy_allows_it_signs_in_with_a_password",
        |world| {
            allow_passwords(&world.server)?;
            add_password_user(&world.server, ERIN, "Erin", PASSWORD)?;
            let erin = world.computer("erin", ERIN)?;
            let refused = erin.must_fail(&["sign-in", ERIN], &[("--password-fd", "a guess")])?;
            assert!(refused.contains("LY-1312"), "{refused}");
            erin.must(&["sign-in", ERIN], &[("--password-fd", PASSWORD)])?;
            world.must_be_signed_in(&erin)?;

            // She talks with somebody who has a card.
            let alice = world.enrolled(ALICE, ALICE_PIN)?;
            alice.sign_in(ALICE_PIN)?;
            let mut watch = alice.watch()?;
            erin.send(ALICE, "without a card")?;
            watch.expect("Erin's message", Duration::from_secs(20), |event| {
                event["event"] == "message" && event["text"] == "without a card"
            })?;
            Ok(())
        },
    );
}

#[test]
fn row_k_a_card_only_person_is_never_asked_for_a_password() {
    in_a_world(
        "row_k_a_card_only_person_is_never_asked_for_a_password",
        |world| {
            allow_passwords(&world.server)?;
            world.add_user(ALICE, &[])?;
            set_password(&world.server, ALICE, "alice had a password")?;
            let alice = world.computer("alice", ALICE)?;
            let arguments = ["sign-in", ALICE, "--card-wait", "3"];
            let secrets = [("--password-fd", "alice had a password")];
            let refused = alice.must_fail(&arguments, &secrets)?;
            assert!(refused.contains("LY-12"), "{refused}");
            assert!(!refused.to_lowercase().contains("password"), "{refused}");
            assert_eq!(world.sessions()?, Vec::<String>::new());
            Ok(())
        },
    );
}

#[test]
fn row_k_a_password_session_ends_when_policy_asks_for_a_card() {
    in_a_world(
        "row_k_a_password_session_ends_when_policy_asks_for_a_card",
        |world| {
            allow_passwords(&world.server)?;
            add_password_user(&world.server, ERIN, "Erin", PASSWORD)?;
            let erin = world.computer("erin", ERIN)?;
            erin.must(&["sign-in", ERIN], &[("--password-fd", PASSWORD)])?;
            let mut watch = erin.watch()?;
            let told = world
                .server
                .must(&["group", "remove-member", "passwords", ERIN])?;
            assert!(told.contains("passwords"), "{told}");
            watch.expect("the reason", Duration::from_secs(20), |event| {
                event["event"] == "session" && event.to_string().contains("LY-1507")
            })?;
            assert_eq!(world.sessions()?, Vec::<String>::new());
            Ok(())
        },
    );
}
