// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that are killed while people work with them: what was said is there afterwards, and
//! people go on. (What becomes of requests on the wire is shown beside the raw client.)

use anyhow::{Result, bail};
use lanyard_tests::person::{CardPath, Person};
use lanyard_tests::process::eventually;
use lanyard_tests::world::{World, in_a_world};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::Duration;

const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";
const PIN: &str = "407316";
const BOB_PIN: &str = "92846150";
/// How soon a session must be back after the server is.
const BACK_LIMIT: Duration = Duration::from_secs(30);

/// The process of this person's computer that has these words in its command line.
fn process_of(person: &Person, words: &str) -> Result<u32> {
    let root = person.root.as_os_str().as_bytes();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let own = read("environ").windows(root.len()).any(|w| w == root);
        if own && line.contains(words) {
            return Ok(pid);
        }
    }
    bail!("no process of {} runs {words}", person.address)
}

fn kill(pid: u32) -> Result<()> {
    let status = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status()?;
    if !status.success() {
        bail!("kill {pid}");
    }
    Ok(())
}

/// Waits until the session is there again by itself.
fn must_come_back(world: &World, person: &Person) -> Result<()> {
    let what = format!("{} is signed in again", person.address);
    eventually(&what, BACK_LIMIT, || world.must_be_signed_in(person).ok())
}

#[test]
fn sessions_come_back_by_themselves_after_the_server_was_killed() {
    let name = "sessions_come_back_by_themselves_after_the_server_was_killed";
    in_a_world(name, |world| {
        let alice = world.enrolled(ALICE, PIN)?;
        let bob = world.enrolled(BOB, BOB_PIN)?;
        alice.sign_in(PIN)?;
        bob.sign_in(BOB_PIN)?;
        let mut bobs = bob.watch()?;
        for round in 0..2 {
            // What a command has confirmed is kept; it is killed between two of them.
            let friend = format!("friend{round}@contoso.test");
            world.add_user(&friend, &[])?;
            alice.must(&["contacts", "add", &friend], &[])?;
            world.server.kill()?;
            world.server.start()?;
            must_come_back(world, &alice)?;
            must_come_back(world, &bob)?;
            for n in 0..=round {
                let list = alice.must(&["contacts", "list", "--json"], &[])?;
                if !list.contains(&format!("friend{n}@contoso.test")) {
                    bail!("a contact was confirmed and is gone: {list}");
                }
            }
            let text = format!("still here after {round}");
            alice.send(BOB, &text)?;
            bobs.expect("the message", BACK_LIMIT, |event| {
                event["event"] == "message" && event["text"] == text.as_str()
            })?;
            world.server.must(&["audit", "verify"])?;
        }
        Ok(())
    });
}

#[test]
fn a_card_lost_while_the_server_was_down_does_not_come_back() {
    let name = "a_card_lost_while_the_server_was_down_does_not_come_back";
    in_a_world(name, |world| {
        let alice = world.enrolled(ALICE, PIN)?;
        alice.sign_in(PIN)?;
        let mut events = alice.watch()?;
        world.server.kill()?;
        // With the server down the verb works on the data directory itself.
        world.server.must(&["card", "lost", ALICE])?;
        world.server.start()?;
        let (_, event) = events.expect("the session ends", BACK_LIMIT, |event| {
            event["event"] == "session" && event["stage"] == "idle"
        })?;
        let told = event["problem"].to_string();
        if !told.contains("LY-1302") && !told.contains("LY-1501") {
            bail!("it ended without the reason: {event}");
        }
        if !world.sessions()?.is_empty() {
            bail!("the server holds a session of a lost card");
        }
        Ok(())
    });
}

#[test]
fn a_background_process_that_was_killed_leaves_nothing_in_the_way() {
    let name = "a_background_process_that_was_killed_leaves_nothing_in_the_way";
    in_a_world(name, |world| {
        let alice = world.enrolled(ALICE, PIN)?;
        for _ in 0..2 {
            alice.sign_in(PIN)?;
            kill(process_of(&alice, " agent ")?)?;
            eventually("the session ends", Duration::from_secs(30), || {
                world.sessions().ok().filter(Vec::is_empty)
            })?;
            // Its key died with it: there is no way back in without the card.
            let error = alice.must_fail(&["send", ALICE, "x"], &[])?;
            if !error.contains("LY-18") {
                bail!("not told that nobody is signed in: {error}");
            }
        }
        alice.sign_in(PIN)?;
        world.must_be_signed_in(&alice)
    });
}

#[test]
fn a_card_daemon_that_was_killed_is_started_again_by_whoever_needs_it() {
    let name = "a_card_daemon_that_was_killed_is_started_again_by_whoever_needs_it";
    in_a_world(name, |world| {
        world.add_user(ALICE, &[])?;
        let alice = world.computer("alice", ALICE)?;
        alice.configure(&world.server, CardPath::Socket, true)?;
        // Nobody started the daemon: the first command that needs it does.
        alice.create_card("card", &[])?;
        alice.enrol(&world.server.enrol_code(ALICE)?, PIN)?;
        kill(process_of(&alice, "lanyard-cardd")?)?;
        alice.sign_in(PIN)?;
        world.must_be_signed_in(&alice)?;
        // The session does not need the card any more, the next one does.
        kill(process_of(&alice, "lanyard-cardd")?)?;
        alice.must(&["status", "busy"], &[])?;
        alice.must(&["sign-out"], &[])?;
        alice.sign_in(PIN)?;
        world.must_be_signed_in(&alice)
    });
}
