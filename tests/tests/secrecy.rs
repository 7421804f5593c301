// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that can be logged is logged, and everything that people type flows: none of it
//! stands in any log, nor in any other file where it has no place.

use anyhow::{Context, Result, bail};
use lanyard_tests::person::Person;
use lanyard_tests::secrets::{Secret, files, must_be_nowhere};
use lanyard_tests::world::{World, in_a_world};
use std::fs;
use std::path::PathBuf;
use std::process::Output;

const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";
// Eight digits each: a time in microseconds has six and could look like one.
const PIN: &str = "40731692";
const LATER_PIN: &str = "61820394";
const WRONG_PIN: &str = "55027713";
const PUK: &str = "83920165";
const BOB_PIN: &str = "92846150";
const PASSWORD: &str = "correct horse battery staple";
const TEXT: &str = "a sentence for Bob alone";

/// What a person's commands printed, kept to be searched as well.
struct Printed(Vec<u8>);

impl Printed {
    fn run(
        &mut self,
        person: &Person,
        arguments: &[&str],
        secrets: &[(&str, &str)],
        succeeds: bool,
    ) -> Result<()> {
        let Output {
            status,
            stdout,
            stderr,
        } = person.run(arguments, secrets)?;
        self.0.extend(stdout);
        self.0.extend(&stderr);
        if status.success() != succeeds {
            bail!("{arguments:?}: {}", String::from_utf8_lossy(&stderr));
        }
        Ok(())
    }
}

/// Everybody's programs tell all they can.
fn talkative(world: &mut World, name: &str, address: &str) -> Result<Person> {
    world.add_user(address, &[])?;
    let mut person = world.computer(name, address)?;
    person.set_environment("LANYARD_LOG", "trace");
    person.set_environment("RUST_LOG", "trace");
    world.start_cardd(&person)?;
    Ok(person)
}

#[test]
fn no_log_and_no_file_holds_what_was_typed() {
    in_a_world("no_log_and_no_file_holds_what_was_typed", |world| {
        world.server.stop()?;
        world.server.log_level("trace");
        world.server.start()?;
        let alice = talkative(world, "alice", ALICE)?;
        let bob = talkative(world, "bob", BOB)?;
        let mut printed = Printed(Vec::new());
        let mut secrets = vec![
            Secret::new("Alice's PIN", PIN.as_bytes()),
            Secret::new("her later PIN", LATER_PIN.as_bytes()),
            Secret::new("her wrong PIN", WRONG_PIN.as_bytes()),
            Secret::new("her PUK", PUK.as_bytes()),
            Secret::new("Bob's PIN", BOB_PIN.as_bytes()),
            Secret::new("Alice's password", PASSWORD.as_bytes()),
            // The beginnings of a P-256 key in PKCS#8 and in SEC1, DER, and of PEM.
            Secret::new("a PKCS#8 key", &PKCS8),
            Secret::new("an EC key", &[0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20]),
            Secret::word("PRIVATE KEY"),
        ];
        let password = lanyard_tests::process::SecretPipe::new(PASSWORD)?;
        let fd = password.number().to_string();
        let set = ["user", "set-password", ALICE, "--password-fd", &fd];
        world.server.must(&set)?;

        for (person, pin, more) in [
            (&alice, PIN, &[("--puk-fd", PUK)][..]),
            (&bob, BOB_PIN, &[]),
        ] {
            let name = format!("card of {}", person.address);
            let mut create = vec!["card", "create", "--sealed-file", "--name", &name];
            if !more.is_empty() {
                create.extend(["--puk", "prompt"]);
            }
            printed.run(person, &create, more, true)?;
            world.wait_for_cards(person, 1)?;
            let code = world.server.enrol_code(&person.address)?;
            let typed = [
                ("--pin-fd", "12345678"),
                ("--new-pin-fd", pin),
                ("--code-fd", &code),
            ];
            let enrol = ["card", "enrol", &person.address, "--card", &name];
            printed.run(person, &enrol, &typed, true)?;
            secrets.push(Secret::new("a one-time code", code.as_bytes()));
            let bare: String = code.chars().filter(|c| c.is_alphanumeric()).collect();
            secrets.push(Secret::new("a one-time code", bare.as_bytes()));
            secrets.extend(admin_keys(person)?);
        }
        if secrets.iter().filter(|s| s.name == "an admin key").count() == 0 {
            bail!("no admin key was found: the search is wrong");
        }
        let sign_in = ["sign-in", ALICE];
        printed.run(&alice, &sign_in, &[("--pin-fd", WRONG_PIN)], false)?;
        printed.run(&alice, &sign_in, &[("--pin-fd", PIN)], true)?;
        printed.run(&bob, &["sign-in", BOB], &[("--pin-fd", BOB_PIN)], true)?;
        printed.run(&bob, &["contacts", "add", ALICE], &[], true)?;
        printed.run(&alice, &["send", BOB, TEXT], &[], true)?;
        printed.run(&alice, &["sign-out"], &[], true)?;
        let card = "card of alice@contoso.test";
        let change = ["card", "change-pin", "--card", card];
        let typed = [("--pin-fd", PIN), ("--new-pin-fd", LATER_PIN)];
        printed.run(&alice, &change, &typed, true)?;
        let unblock = ["card", "unblock", "--card", card];
        let typed = [("--puk-fd", PUK), ("--new-pin-fd", PIN)];
        printed.run(&alice, &unblock, &typed, true)?;
        printed.run(&alice, &sign_in, &[("--pin-fd", PIN)], true)?;
        world.must_be_signed_in(&alice)?;
        world.server.must(&["card", "lost", ALICE])?;
        let output = world.folder.join("printed.log");
        fs::write(&output, &printed.0)?;

        let logs = logs(world, &[&alice, &bob])?;
        // Nobody reads the messages of others in the server's log, nor steals their tickets there.
        let in_logs = [
            Secret::word("RPSAuth="),
            Secret::word("Assertion "),
            Secret::word("wresult"),
            Secret::word("cwt="),
            Secret::word("SignatureValue"),
            Secret::word("BinarySecret"),
            Secret::new("a message", TEXT.as_bytes()),
        ];
        must_be_nowhere(&in_logs, &logs)?;
        must_be_nowhere(&secrets, &logs)?;
        // The other files: databases, sealed cards, state. Keys have their places.
        let mut left_out = vec![world.server.data.join("ca"), world.server.data.join("tls")];
        for person in [&alice, &bob] {
            left_out.extend(admin_key_files(person)?);
        }
        must_be_nowhere(&secrets, &files(&world.folder, &left_out)?)
    });
}

const PKCS8: [u8; 16] = [
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
];

/// The files in which a person's admin keys lie.
fn admin_key_files(person: &Person) -> Result<Vec<PathBuf>> {
    let cards = files(&person.root.join("data/lanyard/cards"), &[])?;
    Ok(cards
        .into_iter()
        .filter(|path| path.ends_with("admin-key"))
        .collect())
}

/// The admin keys themselves: the file holds hexadecimal digits or the bytes.
fn admin_keys(person: &Person) -> Result<Vec<Secret>> {
    let mut keys = Vec::new();
    for file in admin_key_files(person)? {
        let bytes = fs::read(file)?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        let digits: Option<Vec<u8>> = (0..text.len() / 2)
            .map(|n| u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok())
            .collect();
        let key = digits.filter(|key| key.len() >= 16).unwrap_or(bytes);
        keys.push(Secret::new("an admin key", &key));
    }
    Ok(keys)
}

/// All logs, after a look at whether they were as talkative as can be.
fn logs(world: &World, people: &[&Person]) -> Result<Vec<PathBuf>> {
    let mut logs = vec![
        world.server.log_file().to_path_buf(),
        world.folder.join("printed.log"),
    ];
    for person in people {
        let found = files(&person.root, &[])?
            .into_iter()
            .filter(|path| path.extension().is_some_and(|kind| kind == "log"));
        logs.extend(found);
    }
    for (name, level) in [
        ("server.log", "TRACE"),
        ("agent.log", "DEBUG"),
        ("lanyard-cardd.log", "DEBUG"),
    ] {
        let log = logs.iter().find(|path| path.ends_with(name));
        let text = fs::read_to_string(log.with_context(|| format!("no {name}: {logs:?}"))?)?;
        if !text.contains(level) {
            bail!("{name} is not as talkative as was asked for:\n{text}");
        }
    }
    Ok(logs)
}
