// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows of the acceptance script, against the real programs.

use anyhow::{Context, Result, bail};
use lanyard_tests::dns::{NameServer, Zone};
use lanyard_tests::namespace::use_own_name_server;
use lanyard_tests::person::{CardPath, Person};
use lanyard_tests::process::eventually;
use lanyard_tests::server::{DOMAIN, HOST};
use lanyard_tests::terminal::Terminal;
use lanyard_tests::world::{World, in_a_world};
use serde_json::Value;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";
const PIN: &str = "407316";
const BOB_PIN: &str = "92846150";
const EVENT_LIMIT: Duration = Duration::from_secs(20);

fn is(event: &Value, kind: &str) -> bool {
    event["event"] == kind
}

fn received(event: &Value, text: &str) -> bool {
    is(event, "message") && event["delivery"] == "received" && event["text"] == text
}

/// A fresh client of an enrolled person that knows no address of any server.
fn sign_in_found_by(
    world: &mut World,
    zone: Zone,
    server_url: Option<&str>,
) -> Result<Vec<String>> {
    let names = NameServer::start(zone)?;
    use_own_name_server(&world.folder)?;
    world.add_user(ALICE, &[])?;
    let folder = world.folder.join("alice");
    let alice = Person::new(&folder, ALICE, &world.server, CardPath::Pcsc, false)?;
    world.start_cardd(&alice)?;
    alice.create_card("card", &[])?;
    world.wait_for_cards(&alice, 1)?;
    let code = world.server.enrol_code(ALICE)?;
    let mut arguments = vec!["card", "enrol", ALICE];
    if let Some(url) = server_url {
        arguments.extend(["--server", url]);
    }
    let secrets = [
        ("--pin-fd", "12345678"),
        ("--new-pin-fd", PIN),
        ("--code-fd", &code),
    ];
    alice.must(&arguments, &secrets)?;
    alice.sign_in(PIN)?;
    world.must_be_signed_in(&alice)?;
    Ok(names.asked())
}

#[test]
fn row_a_a_fresh_client_finds_its_server_by_lyncdiscover() {
    in_a_world(
        "row_a_a_fresh_client_finds_its_server_by_lyncdiscover",
        |world| {
            let here = Ipv4Addr::LOCALHOST;
            let zone = Zone {
                hosts: vec![
                    (format!("lyncdiscover.{DOMAIN}"), here),
                    (HOST.into(), here),
                ],
                services: Vec::new(),
            };
            let asked = sign_in_found_by(world, zone, None)?;
            // The internal name comes first, as settled; it is not there.
            let first = asked
                .iter()
                .position(|a| a.ends_with(&format!(" lyncdiscoverinternal.{DOMAIN}")));
            let second = asked
                .iter()
                .position(|a| a.ends_with(&format!(" lyncdiscover.{DOMAIN}")));
            if first.is_none() || first > second {
                bail!("asked in another order: {asked:?}");
            }
            Ok(())
        },
    );
}

#[test]
fn row_a_a_fresh_client_finds_its_server_by_srv_alone() {
    in_a_world(
        "row_a_a_fresh_client_finds_its_server_by_srv_alone",
        |world| {
            let zone = Zone {
                hosts: vec![(HOST.into(), Ipv4Addr::LOCALHOST)],
                services: vec![(format!("_sipinternaltls._tcp.{DOMAIN}"), 5061, HOST.into())],
            };
            let asked = sign_in_found_by(world, zone, Some(&format!("https://{HOST}")))?;
            if !asked.contains(&format!("SRV _sipinternaltls._tcp.{DOMAIN}")) {
                bail!("SRV was not asked: {asked:?}");
            }
            Ok(())
        },
    );
}

#[test]
fn row_b_a_message_arrives_while_the_window_is_closed_and_the_window_comes_back() {
    in_a_world(
        "row_b_a_message_arrives_while_the_window_is_closed_and_the_window_comes_back",
        |world| {
            let alice = world.enrolled(ALICE, PIN)?;
            let bob = world.enrolled(BOB, BOB_PIN)?;
            bob.sign_in(BOB_PIN)?;
            let window = Terminal::open(&alice, &["sign-in", ALICE])?;
            window.wait_for("PIN")?;
            window.enter(PIN)?;
            window.wait_for("Signed in")?;
            window.enter("/close")?;
            window.wait_for("[exit 0]")?;
            drop(window);
            world.must_be_signed_in(&alice)?;
            let mut notifications = alice.watch()?;
            bob.send(ALICE, "are you there? – Ça va?")?;
            notifications.expect("the message is notified", EVENT_LIMIT, |e| {
                received(e, "are you there? – Ça va?")
            })?;
            let window = Terminal::open(&alice, &["open"])?;
            window.wait_for("are you there? – Ça va?")?;
            // A second start attaches to the running session and asks for no PIN.
            let again = alice.must(&["sign-in", ALICE], &[])?;
            if again.to_lowercase().contains("pin:") {
                bail!("the second start asked for the PIN: {again}");
            }
            Ok(())
        },
    );
}

#[test]
fn row_c_sign_out_ends_the_session_and_shows_the_sign_in_prompt() {
    in_a_world(
        "row_c_sign_out_ends_the_session_and_shows_the_sign_in_prompt",
        |world| {
            let alice = world.enrolled(ALICE, PIN)?;
            alice.sign_in(PIN)?;
            world.must_be_signed_in(&alice)?;
            let mut face = alice.watch()?;
            alice.must(&["sign-out"], &[])?;
            face.expect("every face goes back to the prompt", EVENT_LIMIT, |e| {
                is(e, "session") && e["stage"] == "idle"
            })?;
            eventually("the server holds no session", EVENT_LIMIT, || {
                world.sessions().ok().filter(Vec::is_empty)
            })?;
            let status = alice.json(&["status"])?;
            if status["stage"] != "idle" || status["address"] != ALICE {
                bail!("the prompt is not pre-filled: {status}");
            }
            Ok(())
        },
    );
}

#[test]
fn row_d_delete_my_sign_in_info_leaves_no_trace_on_the_disk() {
    in_a_world(
        "row_d_delete_my_sign_in_info_leaves_no_trace_on_the_disk",
        |world| {
            let alice = world.enrolled(ALICE, PIN)?;
            let bob = world.enrolled(BOB, BOB_PIN)?;
            bob.sign_in(BOB_PIN)?;
            alice.sign_in(PIN)?;
            alice.must(&["contacts", "add", BOB], &[])?;
            alice.send(BOB, "something that history would keep")?;
            bob.send(ALICE, "and an answer")?;
            let before = traces(&alice)?;
            if before.is_empty() {
                bail!("there was nothing to delete: the search is wrong");
            }
            let removed = alice.must(&["sign-out", "--delete-sign-in-info"], &[])?;
            if !removed.contains("history") && !removed.to_lowercase().contains("removed") {
                bail!("it does not say what was removed: {removed}");
            }
            // On-line, the chat certificate goes as well.
            let trail = world.server.json(&["audit", "show"])?;
            let trail = trail.as_array().cloned().unwrap_or_else(|| {
                trail["events"]
                    .as_array()
                    .or(trail["rows"].as_array())
                    .cloned()
                    .unwrap_or_default()
            });
            let withdrawn = trail.iter().any(|row| {
                let row = row.to_string();
                row.contains("certificate.revoked") && row.contains("ChatUser")
            });
            if !withdrawn {
                bail!("the chat certificate was not withdrawn: {trail:?}");
            }
            let left = traces(&alice)?;
            if !left.is_empty() {
                bail!("left on the disk:\n{}", left.join("\n"));
            }
            let status = alice.json(&["status"])?;
            if !status["address"].is_null() {
                bail!("the address is pre-filled: {status}");
            }
            // The card is no sign-in information: it stays, and signs in again.
            alice.sign_in(PIN)?;
            Ok(())
        },
    );
}

/// Files below the person's computer that hold the address, the person's name, a PIN, a key or a
/// message, or that are named after the address. The card itself and the configuration that the
/// administrator wrote are not the account's.
fn traces(person: &Person) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![person.root.clone(), std::env::temp_dir()];
    let skip = [
        person.root.join("data/lanyard/cards"),
        person.root.join("config/lanyard/client.toml"),
        person.root.join("lanyard-cardd.log"),
    ];
    let world = person.root.parent().map(std::path::Path::to_path_buf);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)?.flatten() {
            let path = entry.path();
            // Of the common temporary folder, the test's own server is not part of this computer.
            let own = path.starts_with(&person.root);
            if skip.contains(&path) || (!own && world.as_ref().is_some_and(|w| path.starts_with(w)))
            {
                continue;
            }
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let name = path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default();
            if own && name.contains("alice") {
                found.push(format!("{} (its name)", path.display()));
            }
            if kind.is_dir() {
                if own || name.contains("lanyard") {
                    folders.push(path);
                }
            } else if kind.is_file() && (own || name.contains("lanyard")) {
                let bytes = std::fs::read(&path).unwrap_or_default();
                for needle in [
                    ALICE,
                    PIN,
                    "something that history",
                    "PRIVATE KEY",
                    "BEGIN CERT",
                ] {
                    if bytes.windows(needle.len()).any(|w| w == needle.as_bytes()) {
                        found.push(format!("{}: {needle}", path.display()));
                    }
                }
            }
        }
    }
    Ok(found)
}

#[test]
fn row_e_exit_ends_session_and_program_and_a_new_start_works() {
    in_a_world(
        "row_e_exit_ends_session_and_program_and_a_new_start_works",
        |world| {
            let alice = world.enrolled(ALICE, PIN)?;
            alice.sign_in(PIN)?;
            let mut face = alice.watch()?;
            alice.must(&["exit"], &[])?;
            face.expect("faces end too", EVENT_LIMIT, |e| is(e, "exit"))?;
            let socket = alice.root.join("run/lanyard/default.sock");
            eventually("the background process is gone", EVENT_LIMIT, || {
                std::os::unix::net::UnixStream::connect(&socket)
                    .is_err()
                    .then_some(())
            })?;
            eventually("the server holds no session", EVENT_LIMIT, || {
                world.sessions().ok().filter(Vec::is_empty)
            })?;
            // The address is remembered; the chat key was not.
            alice.must(&["sign-in"], &[("--pin-fd", PIN)])?;
            world.must_be_signed_in(&alice)
        },
    );
}

#[test]
fn row_f_a_virtual_card_is_created_enrolled_and_used_without_an_insert_prompt() {
    in_a_world(
        "row_f_a_virtual_card_is_created_enrolled_and_used_without_an_insert_prompt",
        |world| {
            world.add_user(ALICE, &[])?;
            let alice = world.computer("alice", ALICE)?;
            world.start_cardd(&alice)?;
            let words = alice.create_card("My card", &[])?;
            if !words.contains("no hardware protection") {
                bail!("a sealed file must say what it is: {words}");
            }
            world.wait_for_cards(&alice, 1)?;
            let code = world.server.enrol_code(ALICE)?;
            // Without a new PIN there is no enrolment: the key is not used with the first one.
            let error = alice.must_fail(
                &["card", "enrol", ALICE],
                &[
                    ("--pin-fd", "12345678"),
                    ("--new-pin-fd", "12345678"),
                    ("--code-fd", &code),
                ],
            )?;
            if !error.contains("LY-1207") {
                bail!("refused without LY-1207: {error}");
            }
            alice.enrol(&code, PIN)?;
            // The background process runs before the sign-in, so that all its stages are seen.
            let mut command = alice.lanyard(&["agent"]);
            let _agent = alice.start("agent", &mut command)?;
            let socket = alice.root.join("run/lanyard/default.sock");
            eventually(
                "the background process is there",
                Duration::from_secs(10),
                || std::os::unix::net::UnixStream::connect(&socket).ok(),
            )?;
            let mut states = alice.watch()?;
            states.expect("nobody is signed in", EVENT_LIMIT, |e| {
                is(e, "session") && e["stage"] == "idle"
            })?;
            alice.sign_in(PIN)?;
            let mut stages = Vec::new();
            states.expect("signed in", EVENT_LIMIT, |e| {
                is(e, "session") && e["stage"] == "signed-in"
            })?;
            for event in states.all() {
                if is(&event, "session") {
                    stages.push(event["stage"].as_str().unwrap_or_default().to_owned());
                }
            }
            if stages.iter().any(|stage| stage == "insert-card") {
                bail!("a virtual card is always inserted: {stages:?}");
            }
            let prompts = stages
                .windows(2)
                .filter(|w| w[0] != "enter-pin" && w[1] == "enter-pin");
            if prompts.count() != 1 {
                bail!("not exactly one PIN prompt: {stages:?}");
            }
            let status = alice.must(&["card", "status"], &[])?;
            if !status.contains(ALICE) && !status.to_lowercase().contains("active") {
                bail!("card status does not say for whom: {status}");
            }
            Ok(())
        },
    );
}

#[test]
fn row_h_three_wrong_pins_block_the_card_and_the_puk_unblocks_it() {
    in_a_world(
        "row_h_three_wrong_pins_block_the_card_and_the_puk_unblocks_it",
        |world| {
            let alice = world.enrolled_with(ALICE, PIN, &["--puk", "default"])?;
            for (wrong, words) in [("111222", "2 tries"), ("333444", "one try")] {
                let error = alice.must_fail(&["sign-in", ALICE], &[("--pin-fd", wrong)])?;
                if !error.contains("LY-1205") || !error.contains(words) {
                    bail!("expected LY-1205 and '{words}': {error}");
                }
            }
            // The last try is not used unasked.
            let error = alice.must_fail(&["sign-in", ALICE], &[("--pin-fd", "555666")])?;
            if error.contains("LY-1206") {
                bail!("the last try was used without asking: {error}");
            }
            let last = ["sign-in", ALICE, "--use-last-try"];
            let error = alice.must_fail(&last, &[("--pin-fd", "555666")])?;
            if !error.contains("LY-1206") {
                bail!("the card is not blocked: {error}");
            }
            let error = alice.must_fail(&["sign-in", ALICE], &[("--pin-fd", PIN)])?;
            if !error.contains("LY-1206") {
                bail!("a blocked card took the right PIN: {error}");
            }
            alice.must(
                &["card", "unblock"],
                &[("--puk-fd", "12345678"), ("--new-pin-fd", "618203")],
            )?;
            alice.sign_in("618203")?;
            world.must_be_signed_in(&alice)
        },
    );
}

#[test]
fn row_l_two_computers_with_a_card_each_are_listed_and_revoked_apart() {
    in_a_world(
        "row_l_two_computers_with_a_card_each_are_listed_and_revoked_apart",
        |world| {
            let first = world.enrolled(ALICE, PIN)?;
            // The second computer: mounts of its own, so a pcscd of its own, and its own folders.
            let second = world.computer("second", ALICE)?.elsewhere()?;
            second.start_cardd(None)?.leave_running();
            second.configure(&world.server, CardPath::Socket, true)?;
            second.create_card("card of the second computer", &[])?;
            world.wait_for_cards(&second, 1)?;
            second.enrol(&world.server.enrol_code(ALICE)?, "618203")?;
            first.sign_in(PIN)?;
            second.sign_in("618203")?;
            let here = world.sessions()?;
            if here.iter().filter(|a| *a == ALICE).count() != 2 {
                bail!("not two sessions: {here:?}");
            }
            let cards = world.server.json(&["card", "list"])?;
            let cards = cards
                .as_array()
                .cloned()
                .or_else(|| cards["cards"].as_array().cloned());
            let cards = cards.context("no list of cards")?;
            if cards.len() != 2 {
                bail!("not two cards: {cards:?}");
            }
            let own = second.json(&["card", "list"])?.to_string();
            let guid = cards
                .iter()
                .filter_map(|card| card["guid"].as_str())
                .find(|guid| own.contains(&guid.replace('-', "")) || own.contains(*guid))
                .context("the second card is not in the list")?
                .to_owned();
            let mut face = second.watch()?;
            world.server.must(&["card", "lost", &guid])?;
            face.expect("the second session ends", EVENT_LIMIT, |e| {
                is(e, "session") && e["stage"] == "idle"
            })?;
            world.must_be_signed_in(&first)?;
            let error = second.must_fail(&["sign-in", ALICE], &[("--pin-fd", "618203")])?;
            if !error.contains("LY-1302") {
                bail!("refused without LY-1302: {error}");
            }
            Ok(())
        },
    );
}

#[test]
fn row_m_a_lost_card_puts_its_holder_out_within_a_second() {
    in_a_world(
        "row_m_a_lost_card_puts_its_holder_out_within_a_second",
        |world| {
            let alice = world.enrolled(ALICE, PIN)?;
            let bob = world.enrolled(BOB, BOB_PIN)?;
            alice.sign_in(PIN)?;
            bob.sign_in(BOB_PIN)?;
            let mut face = alice.watch()?;
            face.expect("signed in", EVENT_LIMIT, |e| {
                is(e, "session") && e["stage"] == "signed-in"
            })?;
            let start = Instant::now();
            world.server.must(&["card", "lost", ALICE])?;
            // In force when the command returns: the server holds her session no more.
            if world.sessions()?.contains(&ALICE.to_owned()) {
                bail!("the session outlived the command");
            }
            let (at, event) = face.expect("the session ends", EVENT_LIMIT, |e| {
                is(e, "session") && e["stage"] == "idle"
            })?;
            let took = at.saturating_duration_since(start);
            if took > Duration::from_secs(1) {
                bail!("it took {took:?}");
            }
            if !event["problem"].to_string().contains("LY-1501") {
                bail!("no reason in words: {event}");
            }
            world.must_be_signed_in(&bob)?;
            alice.must_fail(&["send", BOB, "still here?"], &[])?;
            Ok(())
        },
    );
}
