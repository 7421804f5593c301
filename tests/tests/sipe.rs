// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client that nobody here wrote: pidgin-sipe against the real server, beside our own.

use anyhow::{Context, Result};
use lanyard_tests::passwords::{PASSWORD_GROUP, add_password_user, set_password};
use lanyard_tests::person::{Person, Watch};
use lanyard_tests::process::eventually;
use lanyard_tests::sipe::{EVENT_LIMIT, Event, SIGN_IN_LIMIT, Sipe, in_a_sipe_world};
use lanyard_tests::world::World;
use serde_json::Value;
use std::time::{Duration, Instant};

const ALICE: &str = "alice@contoso.test";
const ALICE_PIN: &str = "407316";
const ERIN: &str = "erin@contoso.test";
const ERIN_PASSWORD: &str = "erin has a long password";
const FRED: &str = "fred@contoso.test";
const FRED_PASSWORD: &str = "fred: another, just as long";
/// Within this time a change must be seen at the other end.
const AT_ONCE: Duration = Duration::from_secs(1);
/// SIPE itself waits a second after a change of status before it says anything to the server.
const SIPE_WAITS: Duration = Duration::from_secs(1);

/// Erin at SIPE.
fn erin(world: &World) -> Result<Sipe> {
    add_password_user(&world.server, ERIN, "Erin Example", ERIN_PASSWORD)?;
    Sipe::sign_in(world, ERIN, ERIN_PASSWORD)
}

/// Fred at SIPE.
fn fred(world: &World) -> Result<Sipe> {
    add_password_user(&world.server, FRED, "Fred Förster", FRED_PASSWORD)?;
    Sipe::sign_in(world, FRED, FRED_PASSWORD)
}

/// Alice with her card at our own client, and what she sees.
fn alice(world: &mut World) -> Result<(Person, Watch)> {
    let alice = world.enrolled(ALICE, ALICE_PIN)?;
    alice.sign_in(ALICE_PIN)?;
    let watch = alice.watch()?;
    Ok((alice, watch))
}

fn buddy<'a>(list: &'a [Event], address: &str) -> Option<&'a Event> {
    list.iter().find(|buddy| buddy[0] == address)
}

fn is_online(list: &[Event], address: &str) -> bool {
    buddy(list, address).is_some_and(|buddy| buddy[3] == "online")
}

/// The availability of a contact as our own client has it.
fn seen_by(person: &Person, address: &str) -> Option<String> {
    let list = person.json(&["contacts", "list"]).ok()?;
    let list = list.as_array().or_else(|| list["contacts"].as_array())?;
    let contact = list.iter().find(|contact| contact["address"] == address)?;
    contact["availability"].as_str().map(str::to_owned)
}

fn message<'a>(text: &'a str, from: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |event| {
        event["event"] == "message"
            && event["delivery"] == "received"
            && event["with"] == from
            && event["text"] == text
    }
}

/// The text of a message without the marks that libpurple puts around it.
fn says(event: &[String], from: &str, text: &str) -> bool {
    let wanted = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    event[0] == "im" && event[1] == from && event[2].contains(&wanted)
}

#[test]
fn sipe_finds_the_server_signs_in_and_sees_its_contacts() {
    in_a_sipe_world(
        "sipe_finds_the_server_signs_in_and_sees_its_contacts",
        |world| {
            let mut first = erin(world)?;
            assert_eq!(world.sessions()?, [ERIN]);
            first.command(&format!("add {FRED} Friends"))?;
            add_password_user(&world.server, FRED, "Fred Förster", FRED_PASSWORD)?;
            first.wait_for_buddies("Fred is a contact", |list| buddy(list, FRED).is_some())?;
            first.sign_off()?;
            eventually("the session is over", EVENT_LIMIT, || {
                world.sessions().ok()?.is_empty().then_some(())
            })?;
            // A fresh client of the same person, with nothing on its disk, shows the contact: a sign-on
            // alone would prove little.
            let mut second = Sipe::sign_in(world, ERIN, ERIN_PASSWORD)?;
            let list = second
                .wait_for_buddies("the contact is visible", |list| buddy(list, FRED).is_some())?;
            let fred = buddy(&list, FRED).context("Fred")?;
            assert_eq!(fred[1], "Friends");
            let debug = second.debug();
            for step in [
                "LyncDiscoverInternal.contoso.test",
                "WebTicketServiceWinNegotiate",
                "GetAndPublishCert",
                "TLS-DSK",
            ] {
                assert!(debug.contains(step), "SIPE never came to {step}");
            }
            Ok(())
        },
    );
}

#[test]
fn sipe_and_our_client_see_each_others_presence_at_once() {
    in_a_sipe_world(
        "sipe_and_our_client_see_each_others_presence_at_once",
        |world| {
            let mut erin = erin(world)?;
            let (alice, mut watch) = alice(world)?;
            alice.must(&["contacts", "add", ERIN], &[])?;
            erin.command(&format!("add {ALICE} Friends"))?;
            erin.wait_for_buddies("Alice is on line", |list| is_online(list, ALICE))?;
            eventually("Erin is available", EVENT_LIMIT, || {
                (seen_by(&alice, ERIN)? == "available").then_some(())
            })?;

            let begun = Instant::now();
            alice.must(&["status", "busy"], &[])?;
            let (seen, _) = erin.expect_event(&["buddy-status", ALICE, "busy"])?;
            assert!(seen - begun < AT_ONCE, "{:?}", seen - begun);

            for (word, availability) in [
                ("busy", "busy"),
                ("do-not-disturb", "do-not-disturb"),
                ("away", "away"),
                ("available", "available"),
            ] {
                let begun = Instant::now();
                erin.command(&format!("status {word}"))?;
                let (seen, _) = watch.expect(availability, EVENT_LIMIT, |event| {
                    event["event"] == "contact"
                        && event["address"] == ERIN
                        && event["availability"] == availability
                })?;
                let took = seen - begun;
                assert!(took < SIPE_WAITS + AT_ONCE, "{word}: {took:?}");
            }

            erin.sign_off()?;
            watch.expect("Erin is off line", EVENT_LIMIT, |event| {
                event["event"] == "contact"
                    && event["address"] == ERIN
                    && event["availability"] == "offline"
            })?;
            Ok(())
        },
    );
}

#[test]
fn sipe_blocks_and_unblocks_a_person() {
    in_a_sipe_world("sipe_blocks_and_unblocks_a_person", |world| {
        let mut erin = erin(world)?;
        let (alice, mut watch) = alice(world)?;
        alice.must(&["contacts", "add", ERIN], &[])?;
        eventually("Erin is available", EVENT_LIMIT, || {
            (seen_by(&alice, ERIN)? == "available").then_some(())
        })?;
        let is = |availability: &'static str| {
            move |event: &Value| {
                event["event"] == "contact"
                    && event["address"] == ERIN
                    && event["availability"] == availability
            }
        };
        erin.command(&format!("block {ALICE}"))?;
        watch.expect("Erin looks off line", EVENT_LIMIT, is("offline"))?;
        // Nothing that she does afterwards leaks.
        erin.command("status busy")?;
        std::thread::sleep(SIPE_WAITS + AT_ONCE);
        assert!(!watch.all().iter().any(is("busy")));
        erin.command(&format!("unblock {ALICE}"))?;
        watch.expect("Erin is seen again", EVENT_LIMIT, is("busy"))?;
        Ok(())
    });
}

#[test]
fn sipe_and_our_client_talk_both_ways() {
    in_a_sipe_world("sipe_and_our_client_talk_both_ways", |world| {
        let mut erin = erin(world)?;
        let (alice, mut watch) = alice(world)?;
        let long = "long ".repeat(3_000) + "end";
        let texts = [
            "Hello Alice",
            "Grüße & <b>no mark-up</b>",
            "emoji 🦀🇪🇺 ✓",
            &long,
        ];
        for text in texts {
            // libpurple's texts are HTML: what a person types is escaped by its windows.
            let typed = text
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            erin.command(&format!("im {ALICE} {typed}"))?;
            watch.expect(text, EVENT_LIMIT, message(text, ERIN))?;
        }
        for text in texts {
            alice.send(ERIN, text)?;
            erin.expect(text, EVENT_LIMIT, |e| says(e, ALICE, text))?;
        }
        // Rich text is reduced to what it says.
        erin.command(&format!("im {ALICE} <b>bold</b> and <i>slanted</i>"))?;
        let plain = "bold and slanted";
        watch.expect(plain, EVENT_LIMIT, message(plain, ERIN))?;
        erin.command(&format!("typing {ALICE}"))?;
        watch.expect("Erin is typing", EVENT_LIMIT, |event| {
            event["event"] == "typing" && event["with"] == ERIN
        })?;
        erin.command(&format!("close {ALICE}"))?;
        // A conversation that was closed begins anew.
        alice.send(ERIN, "still there?")?;
        erin.expect("after the close", EVENT_LIMIT, |e| {
            says(e, ALICE, "still there?")
        })?;
        let all = watch.all();
        for text in texts {
            let times = all.iter().filter(|e| message(text, ERIN)(e)).count();
            assert_eq!(times, 1, "{text}");
        }
        Ok(())
    });
}

#[test]
fn sipe_talks_to_sipe() {
    in_a_sipe_world("sipe_talks_to_sipe", |world| {
        let mut erin = erin(world)?;
        let mut fred = fred(world)?;
        erin.command(&format!("add {FRED} Friends"))?;
        erin.wait_for_buddies("Fred is on line", |list| is_online(list, FRED))?;
        erin.command(&format!("im {FRED} Salut Fred ☕"))?;
        fred.expect("from Erin", EVENT_LIMIT, |e| says(e, ERIN, "Salut Fred ☕"))?;
        fred.command(&format!("im {ERIN} Salut Erin"))?;
        erin.expect("from Fred", EVENT_LIMIT, |e| says(e, FRED, "Salut Erin"))?;
        fred.command(&format!("typing {ERIN}"))?;
        erin.expect_event(&["typing", FRED])?;
        let begun = Instant::now();
        fred.command("status away")?;
        let (seen, _) = erin.expect_event(&["buddy-status", FRED, "away"])?;
        let took = seen - begun;
        assert!(took < SIPE_WAITS + AT_ONCE, "{took:?}");
        // A message to somebody who is not there is not swallowed.
        fred.sign_off()?;
        erin.expect_event(&["buddy-off", FRED])?;
        erin.command(&format!("close {FRED}"))?;
        erin.command(&format!("im {FRED} anybody home?"))?;
        erin.expect("an undelivered notice", EVENT_LIMIT, |e| {
            e[0].starts_with("conversation-") && e[1] == FRED && e[2].contains("anybody home?")
        })?;
        Ok(())
    });
}

#[test]
fn sipe_and_our_client_share_one_contact_list() {
    in_a_sipe_world("sipe_and_our_client_share_one_contact_list", |world| {
        // One person, with a card at our client and a password at SIPE, at the same time.
        let person = world.enrolled(ALICE, ALICE_PIN)?;
        world
            .server
            .must(&["group", "add-member", PASSWORD_GROUP, ALICE])?;
        set_password(&world.server, ALICE, "alice has a password too")?;
        add_password_user(&world.server, FRED, "Fred Förster", FRED_PASSWORD)?;
        add_password_user(&world.server, ERIN, "Erin Example", ERIN_PASSWORD)?;
        person.sign_in(ALICE_PIN)?;
        let mut sipe = Sipe::sign_in(world, ALICE, "alice has a password too")?;

        person.must(&["contacts", "add", FRED], &[])?;
        sipe.wait_for_buddies("Fred comes from the other client", |l| {
            buddy(l, FRED).is_some()
        })?;
        sipe.command(&format!("add {ERIN} Friends"))?;
        eventually("Erin comes from SIPE", EVENT_LIMIT, || {
            seen_by(&person, ERIN)
        })?;
        sipe.command(&format!("alias {ERIN} Erin from work"))?;
        eventually("the new name", EVENT_LIMIT, || {
            let list = person.json(&["contacts", "list"]).ok()?;
            list.to_string().contains("Erin from work").then_some(())
        })?;
        sipe.command("rename-group Friends Family")?;
        eventually("the group's new name", EVENT_LIMIT, || {
            let list = person.json(&["contacts", "list"]).ok()?;
            list.to_string().contains("Family").then_some(())
        })?;
        person.must(&["contacts", "remove", FRED], &[])?;
        sipe.wait_for_buddies("Fred is removed", |l| buddy(l, FRED).is_none())?;
        sipe.command(&format!("remove {ERIN}"))?;
        eventually("Erin is removed", EVENT_LIMIT, || {
            seen_by(&person, ERIN).is_none().then_some(())
        })?;
        sipe.command("remove-group Family")?;
        // All of it was stored: a fresh client starts with the same list.
        sipe.sign_off()?;
        let mut again = Sipe::sign_in(world, ALICE, "alice has a password too")?;
        again.wait_for_buddies("nobody is left", |l| {
            buddy(l, FRED).is_none() && buddy(l, ERIN).is_none()
        })?;
        Ok(())
    });
}

#[test]
fn sipe_is_refused_for_a_card_required_person_with_every_password() {
    in_a_sipe_world(
        "sipe_is_refused_for_a_card_required_person_with_every_password",
        |world| {
            add_password_user(&world.server, ERIN, "Erin Example", ERIN_PASSWORD)?;
            // Alice has a password from earlier days, and needs a card.
            world.add_user(ALICE, &[])?;
            set_password(&world.server, ALICE, "alice had a password")?;
            for password in ["alice had a password", "a guess"] {
                let mut sipe = Sipe::start(world, ALICE, password)?;
                sipe.expect("a refusal", SIGN_IN_LIMIT, |e| e[0] == "connection-error")?;
                assert!(sipe.debug().contains("28029"));
            }
            let mut wrong = Sipe::start(world, ERIN, "not her password")?;
            wrong.expect("a refusal", SIGN_IN_LIMIT, |e| e[0] == "connection-error")?;
            // Somebody else's name and password for her address.
            add_password_user(&world.server, FRED, "Fred Förster", FRED_PASSWORD)?;
            let mut other = Sipe::start(world, &format!("{ERIN},{FRED}"), FRED_PASSWORD)?;
            other.expect("a refusal", SIGN_IN_LIMIT, |e| e[0] == "connection-error")?;
            assert!(other.debug().contains("28901"));
            assert_eq!(world.sessions()?, Vec::<String>::new());
            Ok(())
        },
    );
}

#[test]
fn sipe_is_told_when_its_session_ends() {
    in_a_sipe_world("sipe_is_told_when_its_session_ends", |world| {
        let mut erin = erin(world)?;
        world.server.must(&["session", "end", ERIN])?;
        erin.expect("the reason", EVENT_LIMIT, |e| e[0] == "connection-error")?;
        assert_eq!(world.sessions()?, Vec::<String>::new());
        drop(erin);
        let mut again = Sipe::sign_in(world, ERIN, ERIN_PASSWORD)?;
        world.server.must(&["user", "disable", ERIN])?;
        again.expect("the reason", EVENT_LIMIT, |e| e[0] == "connection-error")?;
        drop(again);
        let mut refused = Sipe::start(world, ERIN, ERIN_PASSWORD)?;
        refused.expect("a refusal", SIGN_IN_LIMIT, |e| e[0] == "connection-error")?;
        Ok(())
    });
}

#[test]
fn sipe_that_vanishes_goes_off_line() {
    in_a_sipe_world("sipe_that_vanishes_goes_off_line", |world| {
        let mut erin = erin(world)?;
        let fred = fred(world)?;
        erin.command(&format!("add {FRED} Friends"))?;
        erin.wait_for_buddies("Fred is on line", |list| is_online(list, FRED))?;
        fred.kill()?;
        erin.expect("Fred is off line", Duration::from_secs(60), |e| {
            e[0] == "buddy-off" && e[1] == FRED
        })?;
        Ok(())
    });
}

#[test]
fn sipe_rings_beside_our_client_and_one_of_them_gets_the_message() {
    in_a_sipe_world(
        "sipe_rings_beside_our_client_and_one_of_them_gets_the_message",
        |world| {
            let mut erin = erin(world)?;
            let (alice, mut watch) = alice(world)?;
            world
                .server
                .must(&["group", "add-member", PASSWORD_GROUP, ALICE])?;
            set_password(&world.server, ALICE, "alice has a password too")?;
            let mut sipe = Sipe::sign_in(world, ALICE, "alice has a password too")?;
            assert_eq!(world.sessions()?.iter().filter(|a| *a == ALICE).count(), 2);
            erin.command(&format!("im {ALICE} who is first?"))?;
            let arrived = |watch: &Watch, sipe: &Sipe| {
                let ours = watch.all();
                let ours = ours.iter().filter(|e| message("who is first?", ERIN)(e));
                ours.count() + sipe.count(|e| says(e, ERIN, "who is first?"))
            };
            eventually("the message arrives", EVENT_LIMIT, || {
                (arrived(&watch, &sipe) > 0).then_some(())
            })?;
            std::thread::sleep(SIPE_WAITS + AT_ONCE);
            assert_eq!(arrived(&watch, &sipe), 1);
            // Either of them can begin a conversation of its own.
            sipe.command(&format!("im {ERIN} from one"))?;
            erin.expect("from SIPE", EVENT_LIMIT, |e| says(e, ALICE, "from one"))?;
            alice.send(ERIN, "from the other")?;
            erin.expect("from our client", EVENT_LIMIT, |e| {
                says(e, ALICE, "from the other")
            })?;
            // One of two endpoints goes; the person stays.
            sipe.command("off")?;
            sipe.expect("signed off", EVENT_LIMIT, |e| e[0] == "signed-off")?;
            erin.command(&format!("close {ALICE}"))?;
            erin.command(&format!("im {ALICE} still there?"))?;
            let text = "still there?";
            watch.expect(text, EVENT_LIMIT, message(text, ERIN))?;
            Ok(())
        },
    );
}

#[test]
fn sipe_is_asked_about_a_new_watcher_and_its_note_is_seen() {
    in_a_sipe_world(
        "sipe_is_asked_about_a_new_watcher_and_its_note_is_seen",
        |world| {
            let mut erin = erin(world)?;
            let (alice, mut watch) = alice(world)?;
            alice.must(&["contacts", "add", ERIN], &[])?;
            erin.expect_event(&["asked-to-add", ALICE])?;
            erin.command("status busy in a meeting until four")?;
            watch.expect("the note", EVENT_LIMIT, |event| {
                event["event"] == "contact"
                    && event["address"] == ERIN
                    && event["note"] == "in a meeting until four"
            })?;
            Ok(())
        },
    );
}

#[test]
fn sipe_is_served_only_where_the_operator_asks_for_it_and_the_doctor_says_what_that_means() {
    in_a_sipe_world(
        "sipe_is_served_only_where_the_operator_asks_for_it_and_the_doctor_says_what_that_means",
        |world| {
            let words = "TLS 1.0 with RSA key transport";
            let told = world.server.must(&["doctor"])?;
            assert!(
                told.contains("legacy sign-in") && told.contains(words),
                "{told}"
            );
            let log = std::fs::read_to_string(world.server.log_file())?;
            assert!(log.contains("WARN") && log.contains(words), "{log}");

            add_password_user(&world.server, ERIN, "Erin Example", ERIN_PASSWORD)?;
            world.server.stop()?;
            world
                .server
                .set_environment("LANYARD_SIP__LEGACY_TLS_DSK", "false");
            world.server.start()?;
            let told = world.server.must(&["doctor"])?;
            assert!(!told.contains("legacy sign-in"), "{told}");
            let mut erin = Sipe::start(world, ERIN, ERIN_PASSWORD)?;
            erin.expect("a refusal", SIGN_IN_LIMIT, |e| e[0] == "connection-error")?;
            assert_eq!(world.sessions()?, Vec::<String>::new());
            Ok(())
        },
    );
}
