// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that can keep a person from signing in: each is told in words with its code, nothing
//! panics, and when it is put right the person signs in.

use anyhow::{Context, Result, bail};
use lanyard_tests::dns::{NameServer, Zone};
use lanyard_tests::namespace::{in_own_namespace, use_own_name_server};
use lanyard_tests::pcsc::Pcscd;
use lanyard_tests::person::{CardPath, Person};
use lanyard_tests::process::{at_another_time, eventually, program, run_limited};
use lanyard_tests::server::{HOST, Ports, Server};
use lanyard_tests::standin::{Hand, StandIn};
use lanyard_tests::terminal::Terminal;
use lanyard_tests::world::{World, in_a_world};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const ALICE: &str = "alice@contoso.test";
const PIN: &str = "407316";
const HOUR: i64 = 3600;
/// A day longer than a card lives, and shorter than the listeners' certificate.
const LATER: i64 = 366 * 24 * HOUR;
/// Where another organisation's server listens.
const OTHER_PORTS: Ports = Ports {
    card: 59443,
    ..Ports::UNPRIVILEGED
};
/// The management key of a blank card, as hexadecimal digits.
const BLANK_KEY: &str = "010203040506070801020304050607080102030405060708";

/// Runs a command that must end in this fault, told as people want to be told.
fn refused(
    person: &Person,
    arguments: &[&str],
    secrets: &[(&str, &str)],
    code: &str,
) -> Result<String> {
    let start = Instant::now();
    let output = person.run(arguments, secrets)?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    // 101 is a panic, no code a signal, 2 a command line that was not understood.
    let ended_well = matches!(output.status.code(), Some(1 | 3..=100));
    let told = error.contains(code) && error.contains(". ") && error.trim_end().ends_with('.');
    if !ended_well || !told || error.contains("panicked") {
        bail!(
            "{arguments:?}: not {code} in words but {} after {:?}: {error}{}",
            output.status,
            start.elapsed(),
            String::from_utf8_lossy(&output.stdout)
        );
    }
    Ok(error)
}

/// A sign-in that must end in this fault.
fn sign_in_refused(person: &Person, pin: &str, code: &str) -> Result<String> {
    let sign_in = ["sign-in", &person.address, "--card-wait", "1"];
    refused(person, &sign_in, &[("--pin-fd", pin)], code)
}

/// Signs in, looks, and leaves nothing running.
fn signs_in(server: &Server, person: &Person) -> Result<()> {
    person.sign_in(PIN)?;
    let sessions = server.json(&["session", "list"])?.to_string();
    if !sessions.contains(&person.address) {
        bail!("the server holds no session: {sessions}");
    }
    person.must(&["exit"], &[])?;
    Ok(())
}

/// Another date for the person's programs from now on.
fn set_clock(person: &mut Person, seconds: i64) -> Result<()> {
    person.run(&["exit"], &[])?;
    for word in at_another_time(seconds) {
        let (key, value) = word.split_once('=').context("no assignment")?;
        person.set_environment(key, value);
    }
    Ok(())
}

/// The right date again.
fn reset_clock(person: &mut Person) -> Result<()> {
    person.run(&["exit"], &[])?;
    person.set_environment("LD_PRELOAD", "");
    Ok(())
}

/// Another line in the client's configuration, in force at the next start.
fn configure(person: &Person, change: impl FnOnce(String) -> String) -> Result<()> {
    person.run(&["exit"], &[])?;
    let file = person.root.join("config/lanyard/client.toml");
    fs::write(&file, change(fs::read_to_string(&file)?))?;
    Ok(())
}

#[test]
fn an_address_that_leads_to_no_server_is_told_apart_from_one_that_is_none() {
    let name = "an_address_that_leads_to_no_server_is_told_apart_from_one_that_is_none";
    in_a_world(name, |world| {
        NameServer::start(Zone::default())?;
        use_own_name_server(&world.folder)?;
        let alice = world.enrolled(ALICE, PIN)?;
        for address in ["alice", "alice@", "@contoso.test", "a b@contoso.test", ""] {
            refused(
                &alice,
                &["sign-in", address],
                &[("--pin-fd", PIN)],
                "LY-1001",
            )?;
        }
        let elsewhere = ["sign-in", "alice@nowhere.test"];
        refused(&alice, &elsewhere, &[("--pin-fd", PIN)], "LY-1002")?;
        // A server that answers for a domain that does not live there shows another name.
        configure(&alice, |text| {
            text.replace(
                "lyncdiscoverinternal.contoso",
                "lyncdiscoverinternal.fabrikam",
            )
        })?;
        let other = ["sign-in", "alice@fabrikam.test"];
        refused(&alice, &other, &[("--pin-fd", PIN)], "LY-1103")?;
        configure(&alice, |text| text.replace("fabrikam", "contoso"))?;
        configure(&alice, |text| format!("trust_anchor = []\n{text}"))?;
        let error = refused(&alice, &["sign-in", ALICE], &[("--pin-fd", PIN)], "LY-1804")?;
        if !error.contains("'trust_anchors'") {
            bail!("the nearest key is not named: {error}");
        }
        configure(&alice, |text| text.replace("trust_anchor = []\n", ""))?;
        signs_in(&world.server, &alice)
    });
}

#[test]
fn a_server_that_is_away_or_not_trusted_is_told_and_no_pin_is_spent() {
    let name = "a_server_that_is_away_or_not_trusted_is_told_and_no_pin_is_spent";
    in_a_world(name, |world| {
        let mut alice = world.enrolled(ALICE, PIN)?;
        world.server.stop()?;
        sign_in_refused(&alice, PIN, "LY-1101")?;
        world.server.start()?;
        signs_in(&world.server, &alice)?;

        let root = format!("\"{}\"", world.server.root_certificate().display());
        configure(&alice, |text| text.replace(&root, ""))?;
        sign_in_refused(&alice, PIN, "LY-1102")?;
        configure(&alice, |text| {
            text.replace("trust_anchors = []", &format!("trust_anchors = [{root}]"))
        })?;
        signs_in(&world.server, &alice)?;

        for hours in [1, -1] {
            set_clock(&mut alice, hours * HOUR)?;
            sign_in_refused(&alice, PIN, "LY-1104")?;
        }
        reset_clock(&mut alice)?;
        signs_in(&world.server, &alice)?;

        // Three wrong PINs would block the card; none of these was counted.
        let cards = alice.must(&["card", "list"], &[])?;
        if !cards.contains("3 tries") {
            bail!("a PIN was spent: {cards}");
        }
        Ok(())
    });
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    let name = "a_server_that_says_nothing_is_given_up_in_time";
    in_a_world(name, |world| {
        let alice = world.enrolled(ALICE, PIN)?;
        world.server.running()?.signal("STOP")?;
        let start = Instant::now();
        let error = sign_in_refused(&alice, PIN, "LY-11");
        world.server.running()?.signal("CONT")?;
        let error = error?;
        if !error.contains("LY-1105") && !error.contains("LY-1101") {
            bail!("told otherwise: {error}");
        }
        if start.elapsed() > Duration::from_secs(45) {
            bail!("it took {:?}", start.elapsed());
        }
        signs_in(&world.server, &alice)
    });
}

#[test]
fn readers_and_cards_that_are_not_there_or_do_not_answer_are_told_apart() {
    let name = "readers_and_cards_that_are_not_there_or_do_not_answer_are_told_apart";
    in_own_namespace(name, || {
        let dir = tempfile::tempdir()?;
        let mut server = Server::init(dir.path(), Ports::WELL_KNOWN)?;
        server.start()?;
        server.must(&["user", "add", ALICE])?;
        let folder = dir.path().join("alice");
        let alice = Person::new(&folder, ALICE, &server, CardPath::Pcsc, true)?;
        sign_in_refused(&alice, PIN, "LY-1213")?;
        let pcscd = Pcscd::start(dir.path(), 0)?;
        sign_in_refused(&alice, PIN, "LY-1201")?;
        pcscd.stop()?;
        let pcscd = Pcscd::start(dir.path(), 1)?;
        sign_in_refused(&alice, PIN, "LY-1202")?;

        let card = StandIn::insert(&dir.path().join("plastic"), &pcscd.slot(0))?;
        wait_for_card(&alice)?;
        sign_in_refused(&alice, PIN, "LY-1209")?;
        let code = server.enrol_code(ALICE)?;
        alice.must(
            &["card", "enrol", ALICE],
            &[
                ("--pin-fd", StandIn::PIN),
                ("--new-pin-fd", PIN),
                ("--code-fd", &code),
                ("--admin-key-fd", BLANK_KEY),
            ],
        )?;
        signs_in(&server, &alice)?;

        for (hand, code) in [
            (Hand::OutWhenSigning, "LY-1204"),
            (Hand::MuteWhenSigning, "LY-1203"),
            (Hand::Mute, "LY-1203"),
            (Hand::Out, "LY-1202"),
        ] {
            card.tell(hand)?;
            // The card looks at its next message from the reader, within half a second on an idle computer.
            std::thread::sleep(Duration::from_millis(1500));
            sign_in_refused(&alice, PIN, code).with_context(|| format!("{hand:?}"))?;
            alice.run(&["exit"], &[])?;
            card.tell(Hand::Out)?;
            std::thread::sleep(Duration::from_millis(1500));
            card.tell(Hand::In)?;
            wait_for_card(&alice)?;
            signs_in(&server, &alice).with_context(|| format!("after {hand:?}"))?;
        }
        Ok(())
    });
}

fn wait_for_card(person: &Person) -> Result<()> {
    let limit = Duration::from_secs(15);
    lanyard_tests::process::eventually("the card is seen", limit, || {
        let output = person.run(&["card", "list", "--json"], &[]).ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains("\"guid\"").then_some(())
    })
}

#[test]
fn wrong_pins_are_counted_and_what_is_no_pin_is_not() {
    let name = "wrong_pins_are_counted_and_what_is_no_pin_is_not";
    in_a_world(name, |world| {
        let alice = world.enrolled_with(ALICE, PIN, &["--puk", "default"])?;
        for no_pin in ["", "12", "407316407316", "40731x"] {
            let code = if no_pin.is_empty() { "LY-1" } else { "LY-1231" };
            sign_in_refused(&alice, no_pin, code)?;
        }
        let error = sign_in_refused(&alice, "111222", "LY-1205")?;
        if !error.contains("2 tries") {
            bail!("something else was counted: {error}");
        }
        signs_in(&world.server, &alice)?;
        // A good PIN begins the count anew.
        sign_in_refused(&alice, "111222", "LY-1205")?;
        sign_in_refused(&alice, "333444", "LY-1205")?;
        sign_in_refused(&alice, "555666", "LY-1230")?;
        let last = ["sign-in", ALICE, "--use-last-try"];
        refused(&alice, &last, &[("--pin-fd", "555666")], "LY-1206")?;
        sign_in_refused(&alice, PIN, "LY-1206")?;
        let change = ["card", "change-pin"];
        let typed = [("--pin-fd", PIN), ("--new-pin-fd", "618203")];
        refused(&alice, &change, &typed, "LY-1206")?;
        let unblock = ["card", "unblock"];
        let wrong = [("--puk-fd", "87654320"), ("--new-pin-fd", PIN)];
        refused(&alice, &unblock, &wrong, "LY-1232")?;
        for trivial in ["111111", "123456", "987654", "12345678"] {
            let typed = [("--puk-fd", "12345678"), ("--new-pin-fd", trivial)];
            refused(&alice, &unblock, &typed, "LY-1207")?;
        }
        // The forgotten PIN is no new one.
        let old = [("--puk-fd", "12345678"), ("--new-pin-fd", PIN)];
        refused(&alice, &unblock, &old, "LY-1207")?;
        let typed = [("--puk-fd", "12345678"), ("--new-pin-fd", "618203")];
        alice.must(&unblock, &typed)?;
        sign_in_refused(&alice, PIN, "LY-1205")?;
        alice.sign_in("618203")?;
        world.must_be_signed_in(&alice)
    });
}

#[test]
fn a_card_that_is_out_of_force_is_told_with_the_reason() {
    let name = "a_card_that_is_out_of_force_is_told_with_the_reason";
    in_a_world(name, |world| {
        // In its holder's own care: one that belongs to an organisation is not enrolled by another.
        let alice = world.enrolled_with(ALICE, PIN, &["--puk", "default"])?;
        world.server.must(&["user", "disable", ALICE])?;
        sign_in_refused(&alice, PIN, "LY-1306")?;
        world.server.must(&["user", "enable", ALICE])?;
        signs_in(&world.server, &alice)?;
        let kinds = ["policy", "set", "--default", "--card-kinds"];
        world.server.must(&[&kinds[..], &["physical"]].concat())?;
        sign_in_refused(&alice, PIN, "LY-1309")?;
        world.server.must(&[&kinds[..], &["unset"]].concat())?;
        signs_in(&world.server, &alice)?;
        world.server.must(&["card", "lost", ALICE])?;
        sign_in_refused(&alice, PIN, "LY-1302")?;
        world.server.must(&["card", "found", ALICE])?;
        enrol_again(world, &alice, &[])?;
        signs_in(&world.server, &alice)?;

        // Another organisation of the same name, with an authority of its own.
        let folder = world.folder.join("other");
        fs::create_dir_all(&folder)?;
        let mut other = Server::init(&folder, OTHER_PORTS)?;
        other.start()?;
        other.must(&["user", "add", ALICE])?;
        let code = other.enrol_code(ALICE)?;
        let both = format!(
            "trust_anchors = [\"{}\", ",
            other.root_certificate().display()
        );
        let port = other.ports.https;
        let rule = format!("resolve = [\n  \"{HOST}:{port}=127.0.0.1:{port}\",");
        configure(&alice, |text| {
            text.replace("trust_anchors = [", &both)
                .replace("resolve = [", &rule)
        })?;
        let url = format!("https://{HOST}:{port}");
        enrol_with(&alice, &code, &["--overwrite", "--server", &url])?;
        sign_in_refused(&alice, PIN, "LY-1303")?;
        enrol_again(world, &alice, &["--overwrite"])?;
        signs_in(&world.server, &alice)
    });
}

fn enrol_again(world: &World, alice: &Person, more: &[&str]) -> Result<()> {
    let more: Vec<&str> = if more.is_empty() {
        vec!["--overwrite"]
    } else {
        more.to_vec()
    };
    enrol_with(alice, &world.server.enrol_code(ALICE)?, &more)
}

/// Enrols a card whose PIN is chosen already.
fn enrol_with(alice: &Person, code: &str, more: &[&str]) -> Result<()> {
    let arguments = [&["card", "enrol", ALICE], more].concat();
    alice.must(&arguments, &[("--pin-fd", PIN), ("--code-fd", code)])?;
    Ok(())
}

/// Restarts the server with this date.
fn restart(server: &mut Server, ahead: i64) -> Result<()> {
    server.stop()?;
    if ahead == 0 {
        return server.start();
    }
    let program = program("lanyard-server").display().to_string();
    let time = at_another_time(ahead);
    let words: Vec<&str> = time.iter().map(String::as_str).chain([&*program]).collect();
    server.start_as(Path::new("env"), &words)
}

#[test]
fn a_card_before_and_after_its_time_is_told_with_the_reason() {
    let name = "a_card_before_and_after_its_time_is_told_with_the_reason";
    in_a_world(name, |world| {
        let mut alice = world.enrolled(ALICE, PIN)?;
        signs_in(&world.server, &alice)?;
        restart(&mut world.server, LATER)?;
        set_clock(&mut alice, LATER)?;
        sign_in_refused(&alice, PIN, "LY-1211")?;
        enrol_again(world, &alice, &[])?;
        signs_in(&world.server, &alice)?;
        restart(&mut world.server, 0)?;
        reset_clock(&mut alice)?;
        sign_in_refused(&alice, PIN, "LY-1212")?;
        enrol_again(world, &alice, &[])?;
        signs_in(&world.server, &alice)
    });
}

#[test]
fn a_sign_in_that_waits_and_a_session_that_runs_outlive_a_restart_of_the_card_service() {
    let name = "a_sign_in_that_waits_and_a_session_that_runs_outlive_a_restart_of_the_card_service";
    in_a_world(name, |world| {
        world.add_user(ALICE, &[])?;
        let alice = world.computer("alice", ALICE)?;
        let state = world.folder.join("plastic");
        let slot = world.next_slot();
        let card = StandIn::insert(&state, &slot)?;
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
        // Whoever waited goes on waiting, and sees the card in the new service's reader.
        world.pcscd.terminate()?;
        drop(card);
        world.pcscd = Pcscd::start_ours(&world.folder, 1)?;
        let card = StandIn::insert(&state, &slot)?;
        window.wait_for("Card detected")?;
        window.press("Enter")?;
        window.wait_for("PIN of")?;
        window.enter(PIN)?;
        window.wait_for("Signed in")?;
        world.must_be_signed_in(&alice)?;

        // A session needs the card no more: it does not even notice.
        world.pcscd.terminate()?;
        drop(card);
        world.pcscd = Pcscd::start_ours(&world.folder, 1)?;
        world.must_be_signed_in(&alice)?;
        window.enter("/sign-out")?;
        window.wait_for("Signed out")?;
        let _card = StandIn::insert(&state, &slot)?;
        world.wait_for_cards(&alice, 1)?;
        alice.sign_in(PIN)?;
        world.must_be_signed_in(&alice)
    });
}

#[test]
fn a_server_that_gets_another_certificate_while_it_runs_signs_people_in_with_it() {
    in_a_world(
        "a_server_that_gets_another_certificate_while_it_runs_signs_people_in_with_it",
        |world| {
            let alice = world.enrolled(ALICE, PIN)?;
            let tls = world.server.data.join("tls");
            let (certificate, key) = (tls.join("server.pem"), tls.join("server.key"));
            let good = (fs::read(&certificate)?, fs::read(&key)?);
            // It starts with one that nobody trusts, for TLS and for the handshake inside SIP alike.
            world.server.stop()?;
            let name = format!("/CN={HOST}");
            let mut made = Command::new("openssl");
            made.args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3",
            ]);
            made.args(["-subj", &name, "-keyout"]).arg(&key);
            made.arg("-out").arg(&certificate);
            let output = run_limited(&mut made, "", Duration::from_secs(60))?;
            if !output.status.success() {
                bail!("openssl: {output:?}");
            }
            world.server.start()?;
            sign_in_refused(&alice, PIN, "LY-1102")?;
            fs::write(&certificate, good.0)?;
            fs::write(&key, good.1)?;
            let number = world.server.running()?.pid().to_string();
            let told = Command::new("kill").args(["-HUP", &number]).status()?;
            if !told.success() {
                bail!("the server was not told");
            }
            let log = world.server.log_file().to_owned();
            eventually("it has reloaded", Duration::from_secs(30), || {
                let said = fs::read_to_string(&log).ok()?;
                said.contains("was reloaded").then_some(())
            })?;
            alice.sign_in(PIN)?;
            world.must_be_signed_in(&alice)
        },
    );
}
