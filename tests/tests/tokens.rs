// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards that are no PIV cards, through PKCS #11 modules: signing in with them, and everything that
//! can be wrong with modules.

use anyhow::{Context, Result, bail};
use lanyard_tests::person::Person;
use lanyard_tests::process::run_limited;
use lanyard_tests::server::succeeded;
use lanyard_tests::standin::StandIn;
use lanyard_tests::terminal::Terminal;
use lanyard_tests::token::{Foreign, OPENSC, SOFTHSM, SoftHsm, TOKEN_PIN, TokenKey};
use lanyard_tests::world::in_a_world;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const ALICE: &str = "alice@contoso.test";

/// Names modules in the client's configuration, in force at the next start.
fn use_modules(person: &Person, modules: &[&str]) -> Result<()> {
    let file = person.root.join("config/lanyard/client.toml");
    let mut text = std::fs::read_to_string(&file)?;
    if let Some(at) = text.find("pkcs11_modules") {
        text.truncate(at);
    }
    let names: Vec<String> = modules.iter().map(|name| format!("\"{name}\"")).collect();
    text.push_str(&format!("pkcs11_modules = [{}]\n", names.join(", ")));
    std::fs::write(&file, text)?;
    Ok(())
}

/// Runs a command of a person, whatever comes of it; gives what it said on both ways.
fn says(person: &Person, arguments: &[&str], secrets: &[(&str, &str)]) -> Result<(bool, String)> {
    let output = person.run(arguments, secrets)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), said))
}

#[test]
fn cards_that_are_no_piv_cards_sign_in_through_their_module() {
    let name = "cards_that_are_no_piv_cards_sign_in_through_their_module";
    in_a_world(name, |world| {
        world.add_user(ALICE, &["--name", "Alice Almeida"])?;
        let mut alice = world.computer("alice", ALICE)?;
        let hsm = SoftHsm::new(&mut alice)?;
        hsm.enrol(&world.server, ALICE, "First token", TokenKey::Ec)?;
        // Without the module nobody knows of the card.
        let (_, said) = says(&alice, &["card", "list"], &[])?;
        if said.contains("Alice") {
            bail!("the token is seen without its module: {said}");
        }
        use_modules(&alice, &[SOFTHSM])?;
        let listed = alice.must(&["card", "list", "--why", "--for", ALICE], &[])?;
        for word in [
            "Alice Almeida",
            "PKCS #11",
            "SoftHSM",
            "fits for alice@contoso.test",
        ] {
            if !listed.contains(word) {
                bail!("{word:?} is not told: {listed}");
            }
        }
        let pin = |pin| [("--pin-fd", pin)];
        let error = alice.must_fail(&["sign-in", ALICE], &pin("wrong horse"))?;
        if !error.contains("LY-1205") || !error.contains("does not tell") {
            bail!("a wrong PIN is not told as such: {error}");
        }
        alice.must(&["sign-in", ALICE], &pin(TOKEN_PIN))?;
        world.must_be_signed_in(&alice)?;
        alice.must(&["exit"], &[])?;

        // A second one, newer than the one used last: nobody guesses which is meant.
        hsm.enrol(&world.server, ALICE, "Second token", TokenKey::Rsa)?;
        let error = alice.must_fail(&["sign-in", ALICE], &pin(TOKEN_PIN))?;
        if !error.contains("LY-1238") || !error.contains("Second token") {
            bail!("the choice is not asked for: {error}");
        }
        let window = Terminal::open(&alice, &["sign-in", ALICE])?;
        let screen = window.wait_for("Number of the card:")?;
        if !screen.contains("1. ") || !screen.contains("2. ") {
            bail!("two cards are not shown:\n{screen}");
        }
        window.enter("7")?;
        window.enter("2")?;
        window.wait_for("PIN of Alice Almeida (First token)")?;
        window.press("C-c")?;
        window.wait_for("[exit ")?;
        alice.run(&["exit"], &[])?;
        let second = ["sign-in", ALICE, "--card", "Second token"];
        alice.must(&second, &pin(TOKEN_PIN))?;
        world.must_be_signed_in(&alice)?;
        alice.must(&["exit"], &[])?;
        // Now the newest was used last.
        alice.must(&["sign-in", ALICE], &pin(TOKEN_PIN))?;
        alice.must(&["exit"], &[])?;

        // The PIN went to the token and stayed nowhere.
        let mut grep = Command::new("grep");
        grep.args(["--recursive", "--files-with-matches", TOKEN_PIN]);
        let found = run_limited(grep.arg(&world.folder), "", Duration::from_secs(60))?;
        if !found.stdout.is_empty() {
            let files = String::from_utf8_lossy(&found.stdout).into_owned();
            bail!("the PIN lies in: {files}");
        }

        hsm.remove("First token")?;
        hsm.remove("Second token")?;
        let sign_in = ["sign-in", ALICE, "--card-wait", "1"];
        let error = alice.must_fail(&sign_in, &pin(TOKEN_PIN))?;
        if !error.contains("LY-120") {
            bail!("that there is no card is not told: {error}");
        }
        Ok(())
    });
}

#[test]
fn of_every_card_it_is_told_why_it_is_left_out() {
    let name = "of_every_card_it_is_told_why_it_is_left_out";
    in_a_world(name, |world| {
        world.add_user(ALICE, &[])?;
        let mut alice = world.computer("alice", ALICE)?;
        let hsm = SoftHsm::new(&mut alice)?;
        hsm.init("Many")?;
        let usual = Foreign {
            id: "01",
            holder: "Fits",
            address: ALICE,
            curve: "P-256",
            made: "-1d",
            for_sign_in: true,
        };
        let other = |id, holder| Foreign {
            id,
            holder,
            ..usual
        };
        let mut certificates = [
            (usual, None),
            (other("02", "Expired"), Some("LY-1211")),
            (other("03", "Early"), Some("LY-1212")),
            (other("04", "Bob"), Some("LY-1210")),
            (other("05", "Web"), Some("LY-1304")),
            (other("06", "Odd"), Some("LY-1279")),
        ];
        for (certificate, _) in &mut certificates {
            match certificate.holder {
                "Expired" => certificate.made = "-99d",
                "Early" => certificate.made = "+99d",
                "Bob" => certificate.address = "bob@contoso.test",
                "Web" => certificate.for_sign_in = false,
                "Odd" => certificate.curve = "P-521",
                _ => {}
            }
            hsm.write_foreign("Many", certificate)?;
        }
        // An authority's own is nobody's card.
        hsm.write_authority("Many", "07")?;
        use_modules(&alice, &[SOFTHSM])?;
        let mut expected: Vec<_> = certificates
            .iter()
            .map(|(one, code)| (one.holder.to_owned(), code.map(str::to_owned)))
            .collect();
        expected.sort();
        let found = told(&alice)?;
        if found != expected {
            bail!("told {found:?}, expected {expected:?}");
        }
        // The one that fits has no key on the token, which shows only behind the PIN.
        let error = alice.must_fail(&["sign-in", ALICE], &[("--pin-fd", TOKEN_PIN)])?;
        if !error.contains("LY-1278") {
            bail!("the missing key is not told: {error}");
        }
        // Where the organisation names its authorities, cards of others are left out, and the error
        // of the sign-in says of every card why.
        let file = alice.root.join("config/lanyard/client.toml");
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(&file, format!("card_issuers = [\"Contoso CA\"]\n{text}"))?;
        alice.run(&["exit"], &[])?;
        let fits = told(&alice)?
            .into_iter()
            .find(|(holder, _)| holder == "Fits");
        if fits != Some(("Fits".into(), Some("LY-1280".into()))) {
            bail!("a foreign card is not left out: {fits:?}");
        }
        let error = alice.must_fail(&["sign-in", ALICE], &[("--pin-fd", TOKEN_PIN)])?;
        for word in ["Bob", "Fabrikam CA", "not meant for sign-in"] {
            if !error.contains(word) {
                bail!("{word:?} is not told: {error}");
            }
        }
        Ok(())
    });
}

/// What is told of each card: its holder, and the code of the reason why it is left out.
fn told(alice: &Person) -> Result<Vec<(String, Option<String>)>> {
    let listed = alice.json(&["card", "list", "--why", "--for", ALICE])?;
    let readers = listed["readers"].as_array().context("no readers")?;
    let one = |reader: &serde_json::Value| {
        let card = &reader["card"];
        let holder = card["certificate"]["holder"].as_str()?.to_owned();
        let code = card["sign_in"]["left_out"]["code"].as_str();
        Some((holder, code.map(str::to_owned)))
    };
    let mut found: Vec<_> = readers.iter().filter_map(one).collect();
    found.sort();
    Ok(found)
}

/// A module in C that does this when it is asked for its functions.
fn build_module(folder: &Path, name: &str, does: &str) -> Result<String> {
    let source = folder.join(format!("{name}.c"));
    let text = format!(
        "#include <stdlib.h>\n#include <unistd.h>\n#include <stdio.h>\n\
         unsigned long C_GetFunctionList(void **list) {{ {does} }}\n"
    );
    std::fs::write(&source, text)?;
    let module = folder.join(format!("{name}.so"));
    let mut command = Command::new("cc");
    command
        .args(["-shared", "-fPIC", "-o"])
        .arg(&module)
        .arg(&source);
    let output = run_limited(&mut command, "", Duration::from_secs(60))?;
    succeeded("cc", &output)?;
    Ok(module.display().to_string())
}

#[test]
fn modules_that_are_none_crash_or_talk_are_told_and_the_other_cards_go_on() {
    let name = "modules_that_are_none_crash_or_talk_are_told_and_the_other_cards_go_on";
    in_a_world(name, |world| {
        let alice = world.enrolled(ALICE, "407316")?;
        let folder = world.folder.clone();
        let text = folder.join("text.so");
        std::fs::write(&text, "this is no module")?;
        let modules = [
            text.display().to_string(),
            folder.join("missing.so").display().to_string(),
            "/lib/x86_64-linux-gnu/libm.so.6".to_owned(),
            build_module(&folder, "crashes", "abort();")?,
            build_module(&folder, "fails", "return 5;")?,
            build_module(
                &folder,
                "talks",
                "printf(\"PIN?\\n\"); fflush(stdout); write(0, \"garbage\", 7); return 5;",
            )?,
        ];
        let names: Vec<&str> = modules.iter().map(String::as_str).collect();
        use_modules(&alice, &names)?;
        let output = alice.run(&["card", "list"], &[])?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        for module in &names {
            let told = errors
                .lines()
                .any(|line| line.contains("LY-1275") && line.contains(module));
            if !told {
                bail!("{module} is not told:\n{errors}");
            }
        }
        let cards = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() || !cards.contains("enrolled") || cards.contains("PIN?\n") {
            bail!("the other card is not listed: {cards}");
        }
        alice.sign_in("407316")?;
        world.must_be_signed_in(&alice)
    });
}

#[test]
fn a_card_is_listed_once_whichever_ways_lead_to_it() {
    let name = "a_card_is_listed_once_whichever_ways_lead_to_it";
    in_a_world(name, |world| {
        world.add_user(ALICE, &[])?;
        let alice = world.computer("alice", ALICE)?;
        let slot = world.next_slot();
        let _card = StandIn::insert(&world.folder.join("plastic"), &slot)?;
        world.wait_for_cards(&alice, 1)?;
        use_modules(&alice, &[OPENSC, "p11-kit"])?;
        let code = world.server.enrol_code(ALICE)?;
        alice.must(
            &["card", "enrol", ALICE],
            &[
                ("--pin-fd", StandIn::PIN),
                ("--new-pin-fd", "407316"),
                ("--code-fd", &code),
                (
                    "--admin-key-fd",
                    "010203040506070801020304050607080102030405060708",
                ),
            ],
        )?;
        let listed = alice.json(&["card", "list"])?;
        let readers = listed["readers"].as_array().context("no readers")?;
        let cards: Vec<_> = readers
            .iter()
            .filter(|one| !one["card"].is_null())
            .collect();
        let [one] = cards.as_slice() else {
            bail!("not one card: {listed}");
        };
        if one["path"] != "pcsc" || one["card"]["make"] != "Nitrokey 3 (Trussed)" {
            bail!("the card is another one: {one}");
        }
        Ok(())
    });
}
