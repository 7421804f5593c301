// SPDX-License-Identifier: MIT OR Apache-2.0
//! The life of a card on the real programs: personalised, blocked and unblocked by the desk, renewed, lost.

mod renewal;

use anyhow::{Context, Result, bail};
use lanyard_tests::person::Person;
use lanyard_tests::process::{program, run_limited};
use lanyard_tests::standin::StandIn;
use lanyard_tests::swtpm::Swtpm;
use lanyard_tests::world::{World, in_a_world};
use renewal::{key_on_the_card, serial};
use serde_json::Value;
use std::time::Duration;

const ALICE: &str = "alice@contoso.test";
const PIN: &str = "407316";
const NEW_PIN: &str = "618203";
/// The management key of a blank card, as hexadecimal digits.
const BLANK_KEY: &str = "010203040506070801020304050607080102030405060708";
const CHECKED: [&str; 4] = ["--checked", "called-back", "--checked", "card-facts"];

/// Three wrong PINs, the last one with consent.
fn block(person: &Person) -> Result<()> {
    for wrong in ["111222", "333444"] {
        person.must_fail(&["sign-in", &person.address], &[("--pin-fd", wrong)])?;
    }
    let last = ["sign-in", &person.address, "--use-last-try"];
    let error = person.must_fail(&last, &[("--pin-fd", "555666")])?;
    if !error.contains("LY-1206") {
        bail!("the card is not blocked: {error}");
    }
    Ok(())
}

fn challenge(person: &Person) -> Result<String> {
    let shown = person.json(&["card", "unblock", "--challenge"])?;
    Ok(shown["challenge"]
        .as_str()
        .with_context(|| format!("no challenge: {shown}"))?
        .to_owned())
}

fn response(world: &World, challenge: &str) -> Result<String> {
    let mut arguments = vec!["card", "unblock", ALICE, "--challenge", challenge];
    arguments.extend(CHECKED);
    let answer = world.server.json(&arguments)?;
    Ok(answer["response"]
        .as_str()
        .with_context(|| format!("no response: {answer}"))?
        .to_owned())
}

fn trail(world: &World) -> Result<String> {
    Ok(world
        .server
        .json(&["audit", "show", "--limit", "200"])?
        .to_string())
}

#[test]
fn row_h_a_blocked_card_is_unblocked_by_the_help_desk_over_the_telephone() {
    in_a_world(
        "row_h_a_blocked_card_is_unblocked_by_the_help_desk_over_the_telephone",
        |world| {
            let alice = world.enrolled(ALICE, PIN)?;
            let status = alice.must(&["card", "status"], &[])?;
            if !status.contains("3 tries are left") {
                bail!("the tries are not told: {status}");
            }
            block(&alice)?;
            let status = alice.must(&["card", "status"], &[])?;
            if !status.contains("Blocked") {
                bail!("the card is not said to be blocked: {status}");
            }
            let shown = challenge(&alice)?;
            // The same one while the call lasts.
            if challenge(&alice)? != shown {
                bail!("the challenge changed during the call");
            }
            // Nobody is helped whom the desk has not made sure of, and a slip of the tongue is noticed.
            let refused = world.server.verb(&[
                "card",
                "unblock",
                ALICE,
                "--challenge",
                &shown,
                "--checked",
                "called-back",
            ])?;
            let refused = String::from_utf8_lossy(&refused.stderr).into_owned();
            if !refused.contains("LY-1450") {
                bail!("one check was enough: {refused}");
            }
            let mut slip = vec!["card", "unblock", ALICE, "--challenge", "00000-00001"];
            slip.extend(CHECKED);
            let refused = world.server.verb(&slip)?;
            let refused = String::from_utf8_lossy(&refused.stderr).into_owned();
            if !refused.contains("LY-1448") {
                bail!("a wrong challenge was taken: {refused}");
            }
            // Without the words on the command line the officer goes through the list.
            let mut asked = world.server.command(&program("lanyard-server"));
            asked.args(["card", "unblock", ALICE, "--challenge", &shown, "--data"]);
            asked.arg(&world.server.data);
            let answers = "y\n\nno\ny\n\n";
            let output = run_limited(&mut asked, answers, Duration::from_secs(60))?;
            let list = String::from_utf8_lossy(&output.stderr).into_owned();
            if !output.status.success() || !list.contains("called the holder back") {
                bail!("the list was not gone through: {list}");
            }
            let answer = response(world, &shown)?;
            if answer.len() != 19 {
                bail!("not four groups of four: {answer}");
            }
            // A mistyped response costs no try, a wrong one does, and the right one still works.
            let unblock = |response: &str, pin: &str| {
                let secrets = [("--response-fd", response), ("--new-pin-fd", pin)];
                alice.run(&["card", "unblock"], &secrets)
            };
            let said = |output: &std::process::Output| {
                String::from_utf8_lossy(&output.stderr).into_owned()
            };
            let mistyped = unblock("0000-0000-0000-0001", NEW_PIN)?;
            if !said(&mistyped).contains("LY-1443") {
                bail!("a mistyped response was taken: {}", said(&mistyped));
            }
            let wrong = unblock("0000-0000-0000-0000", NEW_PIN)?;
            if !said(&wrong).contains("LY-1444") || !said(&wrong).contains("4 tries") {
                bail!("a wrong response was not counted: {}", said(&wrong));
            }
            let trivial = unblock(&answer, "12345678")?;
            if !said(&trivial).contains("LY-1207") {
                bail!("a trivial PIN was taken: {}", said(&trivial));
            }
            let done = unblock(&answer, NEW_PIN)?;
            if !done.status.success() {
                bail!("the right response was refused: {}", said(&done));
            }
            // It cannot be replayed.
            let replay = unblock(&answer, "729314")?;
            if replay.status.success() {
                bail!("the response was good twice");
            }
            alice.sign_in(NEW_PIN)?;
            world.must_be_signed_in(&alice)?;
            // What was done is in the trail, with the checks, and no response in it or in the log.
            let trail = trail(world)?;
            for word in [
                "card.unblocked",
                "card.unblock-refused",
                "called-back",
                "card-facts",
                "superior-confirmed",
            ] {
                if !trail.contains(word) {
                    bail!("the trail does not say {word}: {trail}");
                }
            }
            let log = std::fs::read_to_string(world.server.log_file())?;
            for place in [&trail, &log] {
                if place.contains(&answer) || place.contains(&answer.replace('-', "")) {
                    bail!("the response stands where it can be read");
                }
            }
            world.server.must(&["audit", "verify"])?;
            Ok(())
        },
    );
}

#[test]
fn a_card_of_another_make_is_unblocked_with_a_code_and_gets_another_puk() {
    in_a_world(
        "a_card_of_another_make_is_unblocked_with_a_code_and_gets_another_puk",
        |world| {
            world.add_user(ALICE, &[])?;
            let alice = world.computer("alice", ALICE)?;
            let slot = world.next_slot();
            let _card = StandIn::insert(&world.folder.join("plastic"), &slot)?;
            world.wait_for_cards(&alice, 1)?;
            let code = world.server.enrol_code(ALICE)?;
            let said = alice.must(
                &["card", "enrol", ALICE],
                &[
                    ("--pin-fd", StandIn::PIN),
                    ("--new-pin-fd", PIN),
                    ("--code-fd", &code),
                    ("--admin-key-fd", BLANK_KEY),
                ],
            )?;
            if !said.contains("your help desk can unblock it") {
                bail!("the card is in nobody's care: {said}");
            }
            // The PUK that every blank card has is not its PUK any more.
            let old = [("--puk-fd", StandIn::PUK), ("--new-pin-fd", "729314")];
            let error = alice.must_fail(&["card", "unblock", "--puk"], &old)?;
            if !error.contains("LY-1232") {
                bail!("the first PUK still works: {error}");
            }
            let mut last = PIN;
            for pin in [NEW_PIN, "729314"] {
                block(&alice)?;
                let mut arguments = vec!["card", "unblock", ALICE];
                arguments.extend(CHECKED);
                let answer = world.server.json(&arguments)?;
                let code = answer["code"].as_str().context("no code")?.to_owned();
                let wrong = [("--code-fd", "AAAA-BBBB-CCCC"), ("--new-pin-fd", pin)];
                let error = alice.must_fail(&["card", "unblock"], &wrong)?;
                if !error.contains("LY-1442") {
                    bail!("a wrong code was taken: {error}");
                }
                let right = [("--code-fd", code.as_str()), ("--new-pin-fd", pin)];
                let said = alice.must(&["card", "unblock"], &right)?;
                if said.contains(last) {
                    bail!("a PIN is shown: {said}");
                }
                // Used up.
                let again = [("--code-fd", code.as_str()), ("--new-pin-fd", "839425")];
                let error = alice.must_fail(&["card", "unblock"], &again)?;
                if !error.contains("LY-1442") {
                    bail!("the code was good twice: {error}");
                }
                alice.sign_in(pin)?;
                world.must_be_signed_in(&alice)?;
                alice.must(&["exit"], &[])?;
                last = pin;
            }
            Ok(())
        },
    );
}

#[test]
fn a_wrong_code_costs_a_used_card_nothing() {
    in_a_world("a_wrong_code_costs_a_used_card_nothing", |world| {
        let alice = world.enrolled(ALICE, PIN)?;
        let before = alice.json(&["card", "status"])?;
        let secrets = [("--pin-fd", PIN), ("--code-fd", "AAAA-BBBB-CCCC")];
        // Without a word nothing is overwritten; with it, the code is asked about first.
        let error = alice.must_fail(&["card", "enrol", ALICE], &secrets)?;
        if !error.contains("LY-1240") {
            bail!("a used card was not asked about: {error}");
        }
        let error = alice.must_fail(&["card", "enrol", ALICE, "--overwrite"], &secrets)?;
        if !error.contains("LY-1401") {
            bail!("expected LY-1401: {error}");
        }
        if alice.json(&["card", "status"])? != before {
            bail!("the card was changed");
        }
        alice.sign_in(PIN)?;
        world.must_be_signed_in(&alice)?;
        alice.must(&["exit"], &[])?;
        // The right code replaces key and certificate; the card's own management key came with the check.
        let code = world.server.enrol_code(ALICE)?;
        let secrets = [("--pin-fd", PIN), ("--code-fd", code.as_str())];
        alice.must(&["card", "enrol", ALICE, "--overwrite"], &secrets)?;
        let after = alice.json(&["card", "status"])?;
        if after["certificate"]["serial"] == before["certificate"]["serial"] {
            bail!("the certificate is the old one: {after}");
        }
        alice.sign_in(PIN)?;
        world.must_be_signed_in(&alice)
    });
}

#[test]
fn an_enrolled_card_has_its_own_keys_and_whoever_made_the_code_has_approved_it() {
    in_a_world(
        "an_enrolled_card_has_its_own_keys_and_whoever_made_the_code_has_approved_it",
        |world| {
            let alice = world.enrolled(ALICE, PIN)?;
            let cards = alice.root.join("data/lanyard/cards");
            let mut beside = Vec::new();
            for card in std::fs::read_dir(&cards)?.flatten() {
                beside.extend(
                    std::fs::read_dir(card.path())
                        .into_iter()
                        .flatten()
                        .flatten(),
                );
            }
            if beside.iter().any(|file| file.file_name() == "admin-key") {
                bail!("the old management key still lies beside the card");
            }
            let shown = world.server.json(&["card", "show", ALICE])?;
            let life = &shown["life"];
            if life["state"] != "active" || life["care"] != "challenge" {
                bail!("not written down: {shown}");
            }
            let trail = trail(world)?;
            let admin = format!("admin:{}", whoami()?);
            let issued = serde_json::from_str::<Value>(&trail)?;
            let approved = issued.as_array().context("no rows")?.iter().any(|row| {
                row["action"] == "certificate.issued"
                    && row["details"]["profile"] == "SmartcardUser"
                    && row["details"]["approver"] == admin.as_str()
            });
            if !approved || !trail.contains("card.keys-handed-out") {
                bail!("no row says that {admin} has approved: {trail}");
            }
            // A card whose holder keeps the PUK stays in the holder's hands.
            let bob = world.enrolled_with("bob@contoso.test", PIN, &["--puk", "default"])?;
            let shown = world.server.json(&["card", "show", "bob@contoso.test"])?;
            if shown["life"]["care"] != "own" {
                bail!("an own PUK was taken away: {shown}");
            }
            let error = bob.must_fail(&["card", "unblock", "--challenge"], &[])?;
            if !error.contains("LY-1446") {
                bail!("a card in nobody's care shows a challenge: {error}");
            }
            Ok(())
        },
    );
}

fn whoami() -> Result<String> {
    let output = std::process::Command::new("id").arg("-un").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[test]
fn a_person_sees_their_cards_and_reports_one_lost_with_another() {
    in_a_world(
        "a_person_sees_their_cards_and_reports_one_lost_with_another",
        |world| {
            let first = world.enrolled(ALICE, PIN)?;
            let second = world.computer("second", ALICE)?.elsewhere()?;
            second.start_cardd(None)?.leave_running();
            second.configure(&world.server, lanyard_tests::person::CardPath::Socket, true)?;
            second.create_card("second card", &[])?;
            world.wait_for_cards(&second, 1)?;
            second.enrol(&world.server.enrol_code(ALICE)?, NEW_PIN)?;
            second.sign_in(NEW_PIN)?;
            let pin = [("--pin-fd", PIN)];
            let list = |person: &Person, pin: &str| -> Result<Vec<Value>> {
                let text = person.must(&["my-cards", "list", "--json"], &[("--pin-fd", pin)])?;
                Ok(serde_json::from_str(&text)?)
            };
            let cards = list(&first, PIN)?;
            let named = |cards: &[Value], name: &str| {
                cards.iter().find(|card| card["name"] == name).cloned()
            };
            let mine = named(&cards, "alice's card").context("no first card")?;
            let other = named(&cards, "second card").context("no second card")?;
            if cards.len() != 2 || mine["this"] != true || other["this"] != false {
                bail!("not these two: {cards:?}");
            }
            if !mine["last_used_at"].is_null() || other["last_used_at"].is_null() {
                bail!("the last use is not told: {cards:?}");
            }
            first.must(&["my-cards", "rename", "second card", "old laptop"], &pin)?;
            let error = first.must_fail(&["my-cards", "lost", "second card", "--yes"], &pin)?;
            if !error.contains("LY-1456") {
                bail!("a card by an old name: {error}");
            }
            let said = first.must(&["my-cards", "lost", "old laptop", "--yes"], &pin)?;
            if !said.contains("One session") {
                bail!("the session was not ended: {said}");
            }
            if world.sessions()?.contains(&ALICE.to_owned()) {
                bail!("the session outlived the report");
            }
            for (verb, pin) in [("sign-in", NEW_PIN), ("list", NEW_PIN)] {
                let arguments = match verb {
                    "sign-in" => vec!["sign-in", ALICE],
                    _ => vec!["my-cards", "list"],
                };
                let error = second.must_fail(&arguments, &[("--pin-fd", pin)])?;
                if !error.contains("LY-1302") {
                    bail!("{verb} with a lost card: {error}");
                }
            }
            let cards = list(&first, PIN)?;
            let lost = named(&cards, "old laptop").context("renamed")?;
            if lost["state"] != "lost" {
                bail!("not lost: {lost}");
            }
            first.sign_in(PIN)?;
            world.must_be_signed_in(&first)?;
            // Lost is lost until it is found: no code enrols it again.
            let code = world.server.enrol_code(ALICE)?;
            let secrets = [("--pin-fd", NEW_PIN), ("--code-fd", code.as_str())];
            let again = ["card", "enrol", ALICE, "--overwrite"];
            let error = second.must_fail(&again, &secrets)?;
            if !error.contains("LY-1440") {
                bail!("a lost card was enrolled: {error}");
            }
            let number = lost["card"].as_str().context("no number")?.to_owned();
            world.server.must(&["card", "found", &number])?;
            second.must(&again, &secrets)?;
            second.sign_in(NEW_PIN)?;
            Ok(())
        },
    );
}

#[test]
fn a_destroyed_card_never_comes_back() {
    in_a_world("a_destroyed_card_never_comes_back", |world| {
        let alice = world.enrolled(ALICE, PIN)?;
        let number = world.server.json(&["card", "list", ALICE])?[0]["guid"]
            .as_str()
            .context("no number")?
            .to_owned();
        let refused = world.server.verb(&["card", "destroyed", &number])?;
        if refused.status.success() {
            bail!("a card in force was destroyed without a word");
        }
        world.server.must(&["card", "damaged", &number])?;
        let error = alice.must_fail(&["sign-in", ALICE], &[("--pin-fd", PIN)])?;
        if !error.contains("LY-1302") {
            bail!("a damaged card signs in: {error}");
        }
        let shown = world.server.json(&["card", "destroyed", &number])?;
        if shown["life"]["state"] != "destroyed" {
            bail!("not destroyed: {shown}");
        }
        let refused = world.server.verb(&["card", "found", &number])?;
        if refused.status.success() {
            bail!("a destroyed card was found");
        }
        Ok(())
    });
}

#[test]
fn row_h_a_card_in_the_tpm_is_unblocked_by_the_desk_and_gets_a_new_key() {
    in_a_world(
        "row_h_a_card_in_the_tpm_is_unblocked_by_the_desk_and_gets_a_new_key",
        |world| {
            let folder = world.folder.join("chip");
            std::fs::create_dir_all(&folder)?;
            let chip = Swtpm::start(&folder);
            world.add_user(ALICE, &[])?;
            let mut alice = world.computer("alice", ALICE)?;
            alice.give_tpm(&chip.device());
            world.start_cardd(&alice)?;
            alice.create_card("card in the chip", &[])?;
            world.wait_for_cards(&alice, 1)?;
            alice.enrol(&world.server.enrol_code(ALICE)?, PIN)?;
            block(&alice)?;
            let answer = response(world, &challenge(&alice)?)?;
            let secrets = [
                ("--response-fd", answer.as_str()),
                ("--new-pin-fd", NEW_PIN),
            ];
            alice.must(&["card", "unblock"], &secrets)?;
            alice.sign_in(NEW_PIN)?;
            world.must_be_signed_in(&alice)?;
            alice.must(&["exit"], &[])?;
            if alice.run(&["card", "unblock"], &secrets)?.status.success() {
                bail!("the response was good twice");
            }
            // The card daemon has the old date, which only makes it trust challenges for less long.
            world.go_to(&mut alice, 350)?;
            let (first, key) = (serial(&alice)?, key_on_the_card(&alice)?);
            alice.must(&["card", "renew", "--new-key"], &[("--pin-fd", NEW_PIN)])?;
            if serial(&alice)? == first || key_on_the_card(&alice)? == key {
                bail!("the key is the old one");
            }
            alice.sign_in(NEW_PIN)?;
            world.must_be_signed_in(&alice)
        },
    );
}

/// A person with a card that is not enrolled, and its number.
fn with_blank_card(world: &mut World) -> Result<(Person, String)> {
    world.add_user(ALICE, &[])?;
    let alice = world.computer("alice", ALICE)?;
    world.start_cardd(&alice)?;
    alice.create_card("her name for it", &[])?;
    world.wait_for_cards(&alice, 1)?;
    let listed = alice.json(&["card", "list"])?.to_string();
    let (_, rest) = listed.split_once("\"guid\":\"").context(listed.clone())?;
    let guid = rest.get(..32).context(listed.clone())?.to_owned();
    Ok((alice, guid))
}

#[test]
fn a_blank_card_is_registered_and_its_enrolment_keeps_make_and_name() {
    in_a_world(
        "a_blank_card_is_registered_and_its_enrolment_keeps_make_and_name",
        |world| {
            let (alice, guid) = with_blank_card(world)?;
            let kind = ["--kind", "virtual-file"];
            let words = ["--make", "Contoso Print", "--label", "drawer 17"];
            let register = [&["card", "register", &guid][..], &kind, &words].concat();
            let said = world.server.must(&register)?;
            if !said.contains("blank") || !said.contains("drawer 17") {
                bail!("not registered: {said}");
            }
            let refused = |arguments: &[&str], code: &str| -> Result<()> {
                let output = world.server.verb(arguments)?;
                let error = String::from_utf8_lossy(&output.stderr).into_owned();
                if output.status.success() || !error.contains(code) {
                    bail!("{arguments:?} was not refused with {code}: {error}");
                }
                Ok(())
            };
            refused(&register, "LY-1709")?;
            for list in [&["card", "list"][..], &["card", "list", "--blank"]] {
                if !world.server.must(list)?.contains(&guid) {
                    bail!("{list:?} does not show it");
                }
            }
            if world.server.must(&["card", "list", ALICE])?.contains(&guid) {
                bail!("it has a holder already");
            }
            // Lost from the drawer: whoever has found it enrols nothing.
            world.server.must(&["card", "lost", &guid])?;
            let code = world.server.enrol_code(ALICE)?;
            let secrets = [
                ("--pin-fd", "12345678"),
                ("--new-pin-fd", PIN),
                ("--code-fd", &*code),
            ];
            let error = alice.must_fail(&["card", "enrol", ALICE], &secrets)?;
            if !error.contains("LY-1440") {
                bail!("a lost card was enrolled, or not refused in words: {error}");
            }
            world.server.must(&["card", "found", &guid])?;
            alice.enrol(&code, PIN)?;
            alice.sign_in(PIN)?;
            world.must_be_signed_in(&alice)?;
            let shown = world.server.json(&["card", "show", ALICE])?;
            let life = &shown["life"];
            if (&life["state"], &life["make"], &life["name"])
                != (
                    &Value::from("active"),
                    &Value::from("Contoso Print"),
                    &Value::from("drawer 17"),
                )
                || shown["guid"] != guid.as_str()
            {
                bail!("not as it was registered: {shown}");
            }
            let left = world.server.json(&["card", "list", "--blank"])?;
            if left != serde_json::json!([]) {
                bail!("still in the stock: {left}");
            }
            // Somebody holds it: back into the stock only when it is out of force.
            refused(&register, "LY-1718")?;
            if !trail(world)?.contains("card.registered") {
                bail!("nothing in the trail");
            }
            world.server.must(&["card", "revoke", ALICE])?;
            world.server.must(&register)?;
            Ok(())
        },
    );
}

#[test]
fn a_card_of_another_kind_that_claims_the_number_leaves_the_registered_one_where_it_is() {
    in_a_world(
        "a_card_of_another_kind_that_claims_the_number_leaves_the_registered_one_where_it_is",
        |world| {
            let (alice, guid) = with_blank_card(world)?;
            let words = ["--make", "Contoso Print"];
            let register = [&["card", "register", &guid][..], &words].concat();
            world.server.must(&register)?;
            alice.enrol(&world.server.enrol_code(ALICE)?, PIN)?;
            let held = world.server.json(&["card", "list", ALICE])?.to_string();
            let stock = world.server.json(&["card", "list", "--blank"])?;
            if held.contains("Contoso Print") || stock[0]["guid"] != guid.as_str() {
                bail!("a file has taken the place of a card: {held} {stock}");
            }
            Ok(())
        },
    );
}
