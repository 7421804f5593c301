// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows of the acceptance script that are about cards of other makes and of other people.

use anyhow::{Context, Result, bail};
use lanyard_tests::person::Person;
use lanyard_tests::process::run_limited;
use lanyard_tests::server::HOST;
use lanyard_tests::standin::{Hand, StandIn};
use lanyard_tests::terminal::Terminal;
use lanyard_tests::world::in_a_world;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";
const PIN: &str = "407316";
const BOB_PIN: &str = "92846150";
/// The management key of a blank card, as hexadecimal digits.
const BLANK_KEY: &str = "010203040506070801020304050607080102030405060708";

#[test]
fn row_g_a_physical_card_is_asked_for_inserted_and_signs_in() {
    in_a_world(
        "row_g_a_physical_card_is_asked_for_inserted_and_signs_in",
        |world| {
            world.add_user(ALICE, &[])?;
            let alice = world.computer("alice", ALICE)?;
            let slot = world.next_slot();
            let card = StandIn::insert(&world.folder.join("plastic"), &slot)?;
            world.wait_for_cards(&alice, 1)?;
            let code = world.server.enrol_code(ALICE)?;
            alice.must(
                &["card", "enrol", ALICE],
                &[
                    ("--pin-fd", StandIn::PIN),
                    ("--new-pin-fd", PIN),
                    ("--code-fd", &code),
                    ("--admin-key-fd", BLANK_KEY),
                ],
            )?;
            card.tell(Hand::Out)?;
            world.wait_for_empty_readers(&alice)?;
            let window = Terminal::open(&alice, &["sign-in", ALICE])?;
            window.wait_for("Insert your smart card")?;
            // OK does nothing before there is a card.
            window.press("Enter")?;
            card.tell(Hand::In)?;
            let screen = window.wait_for("Card detected")?;
            if screen.contains("PIN:") {
                bail!("the PIN was asked before OK:\n{screen}");
            }
            window.press("Enter")?;
            window.wait_for("PIN")?;
            window.enter(PIN)?;
            let screen = window.wait_for("Signed in")?;
            if screen.contains(PIN) {
                bail!("the PIN stands on the screen:\n{screen}");
            }
            world.must_be_signed_in(&alice)
        },
    );
}

#[test]
fn row_i_somebody_elses_card_is_refused_by_the_client_and_by_the_server() {
    in_a_world(
        "row_i_somebody_elses_card_is_refused_by_the_client_and_by_the_server",
        |world| {
            world.add_user(ALICE, &["--name", "Alice Almeida"])?;
            let bob = world.enrolled(BOB, BOB_PIN)?;
            // The client says whose card it is, and asks for no PIN.
            let error = bob.must_fail(
                &["sign-in", ALICE, "--card-wait", "1"],
                &[("--pin-fd", BOB_PIN)],
            )?;
            if !error.contains("LY-1210") || !error.to_lowercase().contains("bob") {
                bail!("expected LY-1210 and whose card it is: {error}");
            }
            let status = bob.must(&["card", "list"], &[])?;
            if !status.contains("3 tries") {
                bail!("a PIN was tried: {status}");
            }
            // A raw TLS client with Bob's card and Alice's address: refused with the reason.
            let answer = raw(world, BOB_PIN, ALICE)?;
            if !answer.contains("403") || !answer.contains("LY-1307") {
                bail!("the server did not refuse with LY-1307:\n{answer}");
            }
            // The same with Bob's own address is the way in: the refusal was about the address alone.
            let answer = raw(world, BOB_PIN, BOB)?;
            if !answer.contains("200 OK") || !answer.contains("wresult") {
                bail!("Bob's own card and address were refused:\n{answer}");
            }
            Ok(())
        },
    );
}

/// GnuTLS with the card through OpenSC: nothing of ours between card and server.
fn raw(world: &lanyard_tests::world::World, pin: &str, address: &str) -> Result<String> {
    let realm = format!("https%3A%2F%2F{HOST}%2FPassiveAuth%2FPassiveAuth.aspx");
    let request = format!(
        "GET /adfs/ls/?wa=wsignin1.0&wtrealm={realm}&wctx=&sipuri={address} HTTP/1.1\\r\\n\
         Host: {HOST}\\r\\nAccept: application/json, text/html\\r\\nConnection: close\\r\\n\\r\\n"
    );
    let mut tokens = Command::new("p11tool");
    let tokens = run_limited(tokens.arg("--list-tokens"), "", Duration::from_secs(30))?;
    let tokens = String::from_utf8_lossy(&tokens.stdout).into_owned();
    let url = tokens
        .lines()
        .filter_map(|line| line.trim().strip_prefix("URL: "))
        .find(|url| url.contains("piv") || url.contains("PIV"))
        .with_context(|| format!("no PIV token: {tokens}"))?
        .to_owned();
    // printf reads its own signs in the text.
    let request = request.replace('%', "%%");
    let script = format!(
        "(printf '{request}'; sleep 3) | gnutls-cli --port {} --sni-hostname {HOST} \
         --verify-hostname {HOST} --x509cafile {} \
         --x509certfile '{url};id=%01;type=cert' \
         --x509keyfile '{url};id=%01;type=private;pin-value={pin}' 127.0.0.1 2>&1",
        world.server.ports.card,
        world.server.root_certificate().display(),
    );
    let output = run_limited(
        Command::new("sh").args(["-c", &script]),
        "",
        Duration::from_secs(40),
    )?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Alice with a plastic card in a reader, enrolled, and this policy in force.
fn with_plastic_card(
    world: &mut lanyard_tests::world::World,
    policy: &[&str],
) -> Result<(Person, StandIn)> {
    world.add_user(ALICE, &[])?;
    let set = ["policy", "set", "--default"];
    world.server.must(&[&set[..], policy].concat())?;
    let alice = world.computer("alice", ALICE)?;
    let slot = world.next_slot();
    let card = StandIn::insert(&world.folder.join("plastic"), &slot)?;
    world.wait_for_cards(&alice, 1)?;
    let code = world.server.enrol_code(ALICE)?;
    alice.must(
        &["card", "enrol", ALICE],
        &[
            ("--pin-fd", StandIn::PIN),
            ("--new-pin-fd", PIN),
            ("--code-fd", &code),
            ("--admin-key-fd", BLANK_KEY),
        ],
    )?;
    Ok((alice, card))
}

/// How long the agent may take to notice and act; machines are busy.
const NOTICED: Duration = Duration::from_secs(60);

#[test]
fn a_card_that_is_taken_out_ends_the_session_and_one_that_comes_back_in_time_does_not() {
    in_a_world(
        "a_card_that_is_taken_out_ends_the_session_and_one_that_comes_back_in_time_does_not",
        |world| {
            let policy = [
                "--card-removal",
                "sign-out",
                "--card-removal-grace-seconds",
                "20",
            ];
            let (alice, card) = with_plastic_card(world, &policy)?;
            alice.sign_in(PIN)?;
            world.must_be_signed_in(&alice)?;
            let mut watch = alice.watch()?;
            let out = |event: &Value| event["card_out"] == true;
            let back = |event: &Value| event["stage"] == "signed-in" && event["card_out"] != true;
            card.tell(Hand::Out)?;
            watch.expect("the card is out", NOTICED, out)?;
            card.tell(Hand::In)?;
            watch.expect("the card is back", NOTICED, back)?;
            world.must_be_signed_in(&alice)?;
            card.tell(Hand::Out)?;
            let ended = |event: &Value| event["stage"] == "idle";
            let (_, event) = watch.expect("the session ends", NOTICED, ended)?;
            if event["problem"]["code"] != "LY-1543" {
                bail!("without the reason: {event}");
            }
            if !world.sessions()?.is_empty() {
                bail!("the server still has the session");
            }
            Ok(())
        },
    );
}

#[test]
fn a_card_that_is_taken_out_locks_until_card_and_pin_are_shown_again() {
    in_a_world(
        "a_card_that_is_taken_out_locks_until_card_and_pin_are_shown_again",
        |world| {
            let policy = [
                "--card-removal",
                "lock",
                "--card-removal-grace-seconds",
                "0",
            ];
            let (alice, card) = with_plastic_card(world, &policy)?;
            alice.sign_in(PIN)?;
            let mut watch = alice.watch()?;
            card.tell(Hand::Out)?;
            let locked = |event: &Value| event["locked"] == true;
            watch.expect("it locks", NOTICED, locked)?;
            let error = alice.must_fail(&["contacts", "list"], &[])?;
            if !error.contains("LY-1544") {
                bail!("a locked session shows contacts: {error}");
            }
            // The session itself goes on.
            if world.sessions()?.len() != 1 {
                bail!("the session has ended");
            }
            card.tell(Hand::In)?;
            world.wait_for_cards(&alice, 1)?;
            alice.sign_in(PIN)?;
            let status = alice.must(&["status"], &[])?;
            if status.contains("Locked") {
                bail!("card and PIN did not unlock: {status}");
            }
            alice.must(&["contacts", "list"], &[])?;
            Ok(())
        },
    );
}

#[test]
fn a_card_that_does_not_show_that_it_is_there_loses_its_session() {
    in_a_world(
        "a_card_that_does_not_show_that_it_is_there_loses_its_session",
        |world| {
            world.server.stop()?;
            world
                .server
                .set_environment("LANYARD_LIMITS__PRESENCE_GRACE_SECS", "10");
            world.server.start()?;
            // The removal itself is of no interest here: the server finds out by itself.
            let policy = ["--presence-proof-minutes", "1", "--card-removal", "nothing"];
            let (alice, card) = with_plastic_card(world, &policy)?;
            alice.sign_in(PIN)?;
            let mut watch = alice.watch()?;
            // Longer than one interval and the grace time: it has proved itself meanwhile.
            std::thread::sleep(Duration::from_secs(80));
            world.must_be_signed_in(&alice)?;
            card.tell(Hand::Out)?;
            let told = |event: &Value| event.to_string().contains("LY-1545");
            watch.expect("the person is told", NOTICED * 2, told)?;
            let ended = |event: &Value| event["stage"] == "idle";
            let (_, event) = watch.expect("the session ends", NOTICED * 2, ended)?;
            if event["problem"]["code"] != "LY-1540" {
                bail!("without the reason: {event}");
            }
            Ok(())
        },
    );
}
