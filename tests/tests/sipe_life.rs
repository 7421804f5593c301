// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pidgin-sipe over its life: registered anew, proving its key anew, idle, beside our own client on
//! the same account, through a restart of the server, and gone without a word.

use anyhow::{Context, Result, bail};
use lanyard_tests::passwords::{PASSWORD_GROUP, add_password_user, set_password};
use lanyard_tests::person::{Person, Watch};
use lanyard_tests::process::eventually;
use lanyard_tests::sipe::{EVENT_LIMIT, Event, SIGN_IN_LIMIT, Sipe, in_a_sipe_world};
use lanyard_tests::world::World;
use serde_json::Value;
use std::time::{Duration, Instant};

const ALICE: &str = "alice@contoso.test";
const ALICE_PIN: &str = "407316";
const ALICE_PASSWORD: &str = "alice has a password too";
const ERIN: &str = "erin@contoso.test";
const ERIN_PASSWORD: &str = "erin has a long password";
const FRED: &str = "fred@contoso.test";
const FRED_PASSWORD: &str = "fred: another, just as long";
/// How soon everybody must be back after the server is.
const BACK_LIMIT: Duration = Duration::from_secs(60);

fn erin(world: &World) -> Result<Sipe> {
    add_password_user(&world.server, ERIN, "Erin Example", ERIN_PASSWORD)?;
    Sipe::sign_in(world, ERIN, ERIN_PASSWORD)
}

/// Alice with her card at our own client, and what she sees.
fn alice(world: &mut World) -> Result<(Person, Watch)> {
    let alice = world.enrolled(ALICE, ALICE_PIN)?;
    alice.sign_in(ALICE_PIN)?;
    let watch = alice.watch()?;
    Ok((alice, watch))
}

/// The server again, with other settings.
fn restart_with(world: &mut World, settings: &[(&str, &str)]) -> Result<()> {
    world.server.stop()?;
    for (key, value) in settings {
        let key = format!("LANYARD_LIMITS__{key}");
        world.server.set_environment(&key, value);
    }
    world.server.start()
}

fn buddy<'a>(list: &'a [Event], address: &str) -> Option<&'a Event> {
    list.iter().find(|buddy| buddy[0] == address)
}

fn is_online(list: &[Event], address: &str) -> bool {
    buddy(list, address).is_some_and(|buddy| buddy[3] == "online")
}

fn is_offline(list: &[Event], address: &str) -> bool {
    buddy(list, address).is_some_and(|buddy| buddy[3] == "offline")
}

/// The availability of a contact as our own client has it.
fn seen_by(person: &Person, address: &str) -> Option<String> {
    let list = person.json(&["contacts", "list"]).ok()?;
    let list = list.as_array().or_else(|| list["contacts"].as_array())?;
    let contact = list.iter().find(|contact| contact["address"] == address)?;
    contact["availability"].as_str().map(str::to_owned)
}

fn must_see(person: &Person, address: &str, availability: &str) -> Result<()> {
    let what = format!("{address} is {availability}");
    let mut last = None;
    eventually(&what, BACK_LIMIT, || {
        last = seen_by(person, address);
        (last.as_deref() == Some(availability)).then_some(())
    })
    .with_context(|| format!("{address} is {last:?}"))
}

fn message<'a>(text: &'a str, from: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |event| {
        event["event"] == "message"
            && event["delivery"] == "received"
            && event["with"] == from
            && event["text"] == text
    }
}

fn says(event: &[String], from: &str, text: &str) -> bool {
    event[0] == "im" && event[1] == from && event[2].contains(text)
}

/// How often a text stands in what SIPE printed about its work.
fn printed(sipe: &Sipe, text: &str) -> usize {
    sipe.debug().matches(text).count()
}

/// Words in both directions, each delivered once.
fn must_talk(sipe: &mut Sipe, person: &Person, watch: &mut Watch, text: &str) -> Result<()> {
    let (there, back) = (format!("{text} there"), format!("{text} and back"));
    sipe.command(&format!("im {} {there}", person.address))?;
    watch.expect(&there, EVENT_LIMIT, message(&there, &sipe.address))?;
    person.send(&sipe.address, &back)?;
    sipe.expect(&back, EVENT_LIMIT, |e| says(e, &person.address, &back))?;
    Ok(())
}

#[test]
fn sipe_registers_anew_and_proves_its_key_anew_while_people_talk() {
    let name = "sipe_registers_anew_and_proves_its_key_anew_while_people_talk";
    in_a_sipe_world(name, |world| {
        // SIPE comes half a minute before a registration ends: every ten seconds here. The third time
        // its proof is too old.
        let settings = [
            ("SIP_REGISTRATION_SECS", "40"),
            ("SIP_ASSOCIATION_SECS", "25"),
        ];
        restart_with(world, &settings)?;
        let mut erin = erin(world)?;
        let begun = Instant::now();
        let (alice, mut watch) = alice(world)?;
        alice.must(&["contacts", "add", ERIN], &[])?;
        must_see(&alice, ERIN, "available")?;
        must_talk(&mut erin, &alice, &mut watch, "with the first proof")?;
        eventually("a second handshake", BACK_LIMIT, || {
            (printed(&erin, "crand=\"") > 0 && handshakes(world) >= 2).then_some(())
        })?;
        // Longer than the first registration would have lasted.
        let rest = Duration::from_secs(45).saturating_sub(begun.elapsed());
        std::thread::sleep(rest);
        must_talk(&mut erin, &alice, &mut watch, "with a later proof")?;
        must_see(&alice, ERIN, "available")?;
        assert!(world.sessions()?.contains(&ERIN.to_owned()));
        let lost = erin.count(|e| e[0] == "connection-error" || e[0] == "signed-off");
        assert_eq!(lost, 0, "the connection was lost");
        Ok(())
    });
}

/// How often Erin has proved her key, as the server's log tells it.
fn handshakes(world: &World) -> usize {
    let log = std::fs::read_to_string(world.server.log_file()).unwrap_or_default();
    let signed_in = |line: &&str| line.contains("signed in") && line.contains(ERIN);
    log.lines().filter(signed_in).count()
}

#[test]
fn sipe_keeps_its_connection_alive() {
    in_a_sipe_world("sipe_keeps_its_connection_alive", |world| {
        // Its first sign of life comes after a minute; without it the connection would be closed.
        let settings = [("SIP_IDLE_SECS", "75"), ("SIP_REGISTRATION_SECS", "7200")];
        restart_with(world, &settings)?;
        let erin = erin(world)?;
        std::thread::sleep(Duration::from_secs(85));
        assert_eq!(world.sessions()?, [ERIN]);
        let lost = erin.count(|e| e[0] == "connection-error" || e[0] == "signed-off");
        assert_eq!(lost, 0, "the connection was lost");
        Ok(())
    });
}

#[test]
fn sipe_that_is_idle_is_seen_so_and_sees_our_status() {
    in_a_sipe_world(
        "sipe_that_is_idle_is_seen_so_and_sees_our_status",
        |world| {
            let mut erin = erin(world)?;
            let (alice, mut watch) = alice(world)?;
            alice.must(&["contacts", "add", ERIN], &[])?;
            erin.command(&format!("add {ALICE} Friends"))?;
            erin.wait_for_buddies("Alice is on line", |list| is_online(list, ALICE))?;
            must_see(&alice, ERIN, "available")?;
            let becomes = |availability: &'static [&'static str]| {
                move |event: &Value| {
                    event["event"] == "contact"
                        && event["address"] == ERIN
                        && event["availability"]
                            .as_str()
                            .is_some_and(|is| availability.contains(&is))
                }
            };
            erin.command("idle 900")?;
            let idle: &[&str] = &["inactive", "idle", "away", "available-idle"];
            watch.expect("Erin is idle", EVENT_LIMIT, becomes(idle))?;
            // SIPE takes its own state back from the server, so somebody has to say that it is over.
            erin.command("awake")?;
            erin.command("status available")?;
            watch.expect("Erin is awake", EVENT_LIMIT, becomes(&["available"]))?;
            for (ours, theirs) in [
                ("away", "away"),
                ("busy", "busy"),
                ("available", "available"),
            ] {
                alice.must(&["status", ours], &[])?;
                erin.expect_event(&["buddy-status", ALICE, theirs])?;
            }
            Ok(())
        },
    );
}

#[test]
fn sipe_and_our_client_are_one_person_at_two_places() {
    in_a_sipe_world(
        "sipe_and_our_client_are_one_person_at_two_places",
        |world| {
            let mut erin = erin(world)?;
            let (alice, mut watch) = alice(world)?;
            world
                .server
                .must(&["group", "add-member", PASSWORD_GROUP, ALICE])?;
            set_password(&world.server, ALICE, ALICE_PASSWORD)?;
            erin.command(&format!("add {ALICE} Friends"))?;
            erin.wait_for_buddies("Alice is on line", |list| is_online(list, ALICE))?;
            let mut sipe = Sipe::sign_in(world, ALICE, ALICE_PASSWORD)?;
            // The busier of her two places counts, wherever it is chosen.
            alice.must(&["status", "busy"], &[])?;
            erin.expect_event(&["buddy-status", ALICE, "busy"])?;
            sipe.command("status do-not-disturb")?;
            erin.expect("do not disturb", EVENT_LIMIT, |e| {
                e[0] == "buddy-status" && e[1] == ALICE && e[2].contains("disturb")
            })?;
            sipe.command("status available")?;
            alice.must(&["status", "available"], &[])?;
            erin.expect_event(&["buddy-status", ALICE, "available"])?;
            // One place goes: she stays, and hears what is said to her.
            sipe.command("off")?;
            sipe.expect("signed off", EVENT_LIMIT, |e| e[0] == "signed-off")?;
            must_talk(&mut erin, &alice, &mut watch, "at one place")?;
            erin.wait_for_buddies("Alice is still there", |list| is_online(list, ALICE))?;
            // The last place goes.
            alice.must(&["sign-out"], &[])?;
            erin.wait_for_buddies("Alice is gone", |list| is_offline(list, ALICE))?;
            Ok(())
        },
    );
}

#[test]
fn sipe_and_our_client_come_back_after_a_restart_and_see_each_other() {
    let name = "sipe_and_our_client_come_back_after_a_restart_and_see_each_other";
    in_a_sipe_world(name, |world| {
        let mut erin = erin(world)?;
        erin.command("persist")?;
        let (alice, mut watch) = alice(world)?;
        alice.must(&["contacts", "add", ERIN], &[])?;
        erin.command(&format!("add {ALICE} Friends"))?;
        erin.wait_for_buddies("Alice is on line", |list| is_online(list, ALICE))?;
        must_see(&alice, ERIN, "available")?;
        for round in ["stopped", "killed"] {
            if round == "stopped" {
                world.server.stop()?;
            } else {
                world.server.kill()?;
            }
            world.server.start()?;
            erin.expect("signed on again", BACK_LIMIT, |e| e[0] == "signed-on")?;
            eventually("Alice is signed in again", BACK_LIMIT, || {
                world.must_be_signed_in(&alice).ok()
            })?;
            erin.wait_for_buddies("Alice is on line again", |l| is_online(l, ALICE))?;
            must_see(&alice, ERIN, "available")?;
            must_talk(&mut erin, &alice, &mut watch, round)?;
        }
        Ok(())
    });
}

#[test]
fn sipe_that_is_lost_is_gone_after_the_grace_time_and_so_are_we() {
    let name = "sipe_that_is_lost_is_gone_after_the_grace_time_and_so_are_we";
    in_a_sipe_world(name, |world| {
        restart_with(world, &[("SIP_GRACE_SECS", "4")])?;
        let mut erin = erin(world)?;
        add_password_user(&world.server, FRED, "Fred Förster", FRED_PASSWORD)?;
        let fred = Sipe::sign_in(world, FRED, FRED_PASSWORD)?;
        let (alice, mut watch) = alice(world)?;
        for who in [ERIN, FRED] {
            alice.must(&["contacts", "add", who], &[])?;
            must_see(&alice, who, "available")?;
        }
        erin.command(&format!("add {ALICE} Friends"))?;
        erin.wait_for_buddies("Alice is on line", |list| is_online(list, ALICE))?;
        must_talk(&mut erin, &alice, &mut watch, "before")?;

        let lost = Instant::now();
        fred.kill()?;
        let (seen, _) = watch.expect("Fred is gone", BACK_LIMIT, |event| {
            event["event"] == "contact"
                && event["address"] == FRED
                && event["availability"] == "offline"
        })?;
        let took = seen - lost;
        assert!(took >= Duration::from_secs(3), "no grace: {took:?}");

        // Our own client vanishes in the middle of a conversation: SIPE sees it, and hears goodbye.
        let goodbyes = printed(&erin, "BYE sip:");
        let pid = agent_of(&alice)?;
        let status = std::process::Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status()?;
        assert!(status.success());
        erin.expect("Alice is gone", BACK_LIMIT, |e| {
            e[0] == "buddy-off" && e[1] == ALICE
        })?;
        eventually("goodbye", EVENT_LIMIT, || {
            (printed(&erin, "BYE sip:") > goodbyes).then_some(())
        })?;
        assert!(erin.debug().contains("no longer signed in"));
        Ok(())
    });
}

/// The background process of a person's session.
fn agent_of(person: &Person) -> Result<u32> {
    use std::os::unix::ffi::OsStrExt;
    let root = person.root.as_os_str().as_bytes();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let own = read("environ").windows(root.len()).any(|w| w == root);
        if own && line.contains(" agent ") {
            return Ok(pid);
        }
    }
    bail!("no session of {} runs", person.address)
}

#[test]
fn sipe_and_our_client_hear_why_the_server_ended_their_sessions() {
    let name = "sipe_and_our_client_hear_why_the_server_ended_their_sessions";
    in_a_sipe_world(name, |world| {
        let mut erin = erin(world)?;
        let (alice, mut watch) = alice(world)?;
        must_talk(&mut erin, &alice, &mut watch, "before")?;
        let goodbyes = printed(&erin, "BYE sip:");
        world.server.must(&["session", "end", ALICE])?;
        let (_, event) = watch.expect("the reason", EVENT_LIMIT, |event| {
            event["event"] == "session" && event["stage"] == "idle"
        })?;
        assert!(event["problem"].to_string().contains("LY-1503"), "{event}");
        // The other side of her conversation was told as well.
        eventually("goodbye", EVENT_LIMIT, || {
            (printed(&erin, "BYE sip:") > goodbyes).then_some(())
        })?;
        world.server.must(&["user", "disable", ERIN])?;
        let (_, told) = erin.expect("the reason", EVENT_LIMIT, |e| e[0] == "connection-error")?;
        assert!(told[2].to_lowercase().contains("reject"), "{told:?}");
        assert!(erin.debug().contains("LY-1502"));
        Ok(())
    });
}

#[test]
fn sipe_signs_in_by_every_form_of_its_name() {
    in_a_sipe_world("sipe_signs_in_by_every_form_of_its_name", |world| {
        world.server.must(&[
            "user",
            "add",
            ERIN,
            "--name",
            "Erin",
            "--upn",
            "e.example@contoso.test",
        ])?;
        world
            .server
            .must(&["group", "add-member", PASSWORD_GROUP, ERIN])?;
        set_password(&world.server, ERIN, ERIN_PASSWORD)?;
        for login in [
            ERIN,
            "CONTOSO\\erin",
            "contoso.test\\Erin",
            "CONTOSO\\e.example",
            "E.Example@contoso.test",
        ] {
            let who = format!("{ERIN},{login}");
            let mut sipe = Sipe::start(world, &who, ERIN_PASSWORD)?;
            sipe.expect(login, SIGN_IN_LIMIT, |e| e[0] == "signed-on")?;
            sipe.sign_off()?;
        }
        let mut wrong = Sipe::start(world, &format!("{ERIN},ELSEWHERE\\erin"), ERIN_PASSWORD)?;
        wrong.expect("a refusal", SIGN_IN_LIMIT, |e| e[0] == "connection-error")?;
        Ok(())
    });
}

#[test]
fn sipe_loses_its_session_with_its_password() {
    in_a_sipe_world("sipe_loses_its_session_with_its_password", |world| {
        let mut erin = erin(world)?;
        set_password(&world.server, ERIN, "a password of today")?;
        erin.expect("the end", EVENT_LIMIT, |e| e[0] == "connection-error")?;
        assert!(erin.debug().contains("LY-1508"));
        drop(erin);
        let mut old = Sipe::start(world, ERIN, ERIN_PASSWORD)?;
        old.expect("a refusal", SIGN_IN_LIMIT, |e| e[0] == "connection-error")?;
        drop(old);
        let mut new = Sipe::sign_in(world, ERIN, "a password of today")?;
        world.server.must(&["user", "remove-password", ERIN])?;
        new.expect("the end", EVENT_LIMIT, |e| e[0] == "connection-error")?;
        assert_eq!(world.sessions()?, Vec::<String>::new());
        Ok(())
    });
}
