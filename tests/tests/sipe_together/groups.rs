// SPDX-License-Identifier: MIT OR Apache-2.0
//! Groups: what one client of a person changes, the other shows.

use super::{
    ALICE, ALICE_PIN, ERIN, ERIN_PASSWORD, FRED, FRED_PASSWORD, buddy, contact, ours, second_client,
};
use anyhow::Result;
use lanyard_tests::passwords::add_password_user;
use lanyard_tests::person::Person;
use lanyard_tests::process::eventually;
use lanyard_tests::sipe::{EVENT_LIMIT, Event, in_a_sipe_world};
use serde_json::json;

fn is_in(list: &[Event], address: &str, group: &str) -> bool {
    list.iter().any(|one| one[0] == address && one[1] == group)
}

/// Waits until our client shows a contact in exactly these groups.
fn shows(person: &Person, address: &str, groups: &[&str]) -> Result<()> {
    let what = format!("{address} in {groups:?}");
    eventually(&what, EVENT_LIMIT, || {
        (contact(person, address)?["groups"] == json!(groups)).then_some(())
    })
}

fn has_groups(person: &Person, groups: &[&str]) -> Result<()> {
    eventually(&format!("the groups {groups:?}"), EVENT_LIMIT, || {
        (person.json(&["group", "list"]).ok()? == json!(groups)).then_some(())
    })
}

#[test]
fn sipe_and_our_client_change_groups_and_each_sees_it() {
    in_a_sipe_world(
        "groups::sipe_and_our_client_change_groups_and_each_sees_it",
        |world| {
            add_password_user(&world.server, FRED, "Fred Förster", FRED_PASSWORD)?;
            add_password_user(&world.server, ERIN, "Erin Example", ERIN_PASSWORD)?;
            let (alice, _watch) = ours(world, ALICE, ALICE_PIN)?;
            let mut sipe = second_client(world, ALICE)?;

            // Ours makes, SIPE shows.
            alice.must(&["group", "add", "Team Süd"], &[])?;
            alice.must(&["contacts", "add", FRED, "--group", "team süd"], &[])?;
            sipe.wait_for_buddies("Fred is in the team", |l| is_in(l, FRED, "Team Süd"))?;
            alice.must(&["group", "rename", "Team Süd", "Équipe"], &[])?;
            sipe.wait_for_buddies("the new name", |l| is_in(l, FRED, "Équipe"))?;
            alice.must(&["group", "add", "Friends"], &[])?;
            alice.must(&["group", "add-member", "Friends", FRED], &[])?;
            sipe.wait_for_buddies("both groups", |l| {
                is_in(l, FRED, "Équipe") && is_in(l, FRED, "Friends")
            })?;
            alice.must(&["group", "remove-member", "Équipe", FRED], &[])?;
            sipe.wait_for_buddies("one group less", |l| {
                !is_in(l, FRED, "Équipe") && is_in(l, FRED, "Friends")
            })?;
            alice.must(&["group", "move", "Équipe", FRED], &[])?;
            sipe.wait_for_buddies("moved", |l| {
                is_in(l, FRED, "Équipe") && !is_in(l, FRED, "Friends")
            })?;

            // SIPE makes, ours shows.
            sipe.command(&format!("add {ERIN} Choir"))?;
            shows(&alice, ERIN, &["Choir"])?;
            sipe.command("rename-group Choir Chorus")?;
            shows(&alice, ERIN, &["Chorus"])?;
            sipe.command(&format!("move {ERIN} Friends"))?;
            shows(&alice, ERIN, &["Friends"])?;
            sipe.command("remove-group Chorus")?;
            has_groups(&alice, &["Friends", "Équipe"])?;

            // A group that goes leaves its people.
            alice.must(&["group", "delete", "Équipe"], &[])?;
            shows(&alice, FRED, &[])?;
            sipe.wait_for_buddies("Fred stays", |l| {
                buddy(l, FRED).is_some() && !is_in(l, FRED, "Équipe")
            })?;
            alice.must(&["contacts", "remove", FRED], &[])?;
            sipe.wait_for_buddies("Fred goes", |l| buddy(l, FRED).is_none())?;

            for (wrong, code) in [
                (&["group", "add", "friends"][..], "LY-1641"),
                (&["group", "add", "~"], "LY-1642"),
                (&["group", "delete", "nobody knows"], "LY-1640"),
                (&["group", "add-member", "nobody knows", ERIN], "LY-1640"),
                (&["group", "add-member", "Friends", FRED], "LY-1602"),
            ] {
                let told = alice.must_fail(wrong, &[])?;
                assert!(told.contains(code), "{wrong:?}: {told}");
            }

            // All of it was stored.
            alice.must(&["sign-out"], &[])?;
            alice.sign_in(ALICE_PIN)?;
            has_groups(&alice, &["Friends"])?;
            shows(&alice, ERIN, &["Friends"])?;
            Ok(())
        },
    );
}
