// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signing in with a PIN that is typed at the reader, and an organisation that wants no other way.
#![cfg(feature = "pcsc")]

use anyhow::{Result, ensure};
use lanyard_tests::pcsc::Pcscd;
use lanyard_tests::person::Person;
use lanyard_tests::standin::StandIn;
use lanyard_tests::terminal::Terminal;
use lanyard_tests::world::{World, in_a_world};

const ALICE: &str = "alice@contoso.test";
const PIN: &str = "407316";
/// The management key of a blank card, as hexadecimal digits.
const BLANK_KEY: &str = "010203040506070801020304050607080102030405060708";

/// Alice with an enrolled plastic card in a reader that has keys.
fn alice_at_a_pad(world: &mut World) -> Result<(Person, StandIn)> {
    world.pcscd.terminate()?;
    world.pcscd = Pcscd::start_with_pad(&world.folder, 1)?;
    world.add_user(ALICE, &[])?;
    let alice = world.computer("alice", ALICE)?;
    let card = StandIn::insert(&world.folder.join("plastic"), &world.pcscd.slot(0))?;
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

fn configure(person: &Person, line: &str) -> Result<()> {
    let file = person.root.join("config/lanyard/client.toml");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, format!("{line}\n{text}"))?;
    Ok(())
}

#[test]
fn a_pin_typed_at_the_reader_signs_in_and_is_never_asked_for_at_the_computer() {
    let name = "a_pin_typed_at_the_reader_signs_in_and_is_never_asked_for_at_the_computer";
    in_a_world(name, |world| {
        let (alice, _card) = alice_at_a_pad(world)?;
        let listed = alice.must(&["card", "list"], &[])?;
        ensure!(listed.contains("can be typed on the reader"), "{listed}");
        // The person presses the wrong key first.
        world.pcscd.pad_types(0, "cancel")?;
        let window = Terminal::open(&alice, &["sign-in", ALICE])?;
        let screen = window.wait_for("LY-1272")?;
        ensure!(screen.contains("on the reader."), "{screen}");
        let keyboard = screen.lines().any(|line| line.starts_with("PIN of"));
        ensure!(!keyboard, "the keyboard was asked:\n{screen}");
        // Nothing begins again by itself.
        window.wait_for("Press Enter to type the PIN on the reader")?;
        world.pcscd.pad_types(0, PIN)?;
        window.press("Enter")?;
        window.wait_for("Signed in")?;
        world.must_be_signed_in(&alice)?;
        // The PIN was at the reader only.
        let log = std::fs::read_to_string(world.server.log_file())?;
        ensure!(!log.contains(PIN) && !window.screen()?.contains(PIN));
        Ok(())
    });
}

#[test]
fn where_the_reader_is_demanded_the_keyboard_is_never_taken_instead() {
    let name = "where_the_reader_is_demanded_the_keyboard_is_never_taken_instead";
    in_a_world(name, |world| {
        let (alice, card) = alice_at_a_pad(world)?;
        configure(&alice, "pin_pad = \"require\"")?;
        let error = alice.must_fail(&["sign-in", ALICE], &[("--pin-fd", PIN)])?;
        ensure!(error.contains("LY-1271"), "{error}");
        let change = ["card", "change-pin"];
        let pins = [("--pin-fd", PIN), ("--new-pin-fd", "918273")];
        let error = alice.must_fail(&change, &pins)?;
        ensure!(error.contains("LY-1271"), "{error}");
        let listed = alice.must(&["card", "list"], &[])?;
        ensure!(listed.contains("3 tries"), "a PIN was tried: {listed}");

        world
            .pcscd
            .pad_types(0, &format!("{PIN}\n918273\n918273"))?;
        alice.must(&["card", "change-pin", "--on-reader"], &[])?;
        world.pcscd.pad_types(0, "918273")?;
        alice.must(&["sign-in", ALICE], &[])?;
        world.must_be_signed_in(&alice)?;
        alice.must(&["exit"], &[])?;

        // A reader without keys is of no use then, and that is said.
        drop(card);
        world.pcscd.terminate()?;
        world.pcscd = Pcscd::start_ours(&world.folder, 1)?;
        let _card = StandIn::insert(&world.folder.join("plastic"), &world.pcscd.slot(0))?;
        world.wait_for_cards(&alice, 1)?;
        let sign_in = ["sign-in", ALICE, "--card-wait", "1"];
        let error = alice.must_fail(&sign_in, &[("--pin-fd", "918273")])?;
        ensure!(error.contains("LY-1271"), "{error}");
        let why = ["card", "list", "--why", "--for", ALICE];
        let listed = alice.must(&why, &[])?;
        ensure!(
            listed.contains("left out") && listed.contains("LY-1271"),
            "{listed}"
        );
        Ok(())
    });
}
