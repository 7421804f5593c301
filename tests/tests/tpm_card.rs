// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtual card in the TPM, from its making to its end, with the real programs and a software TPM.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lanyard_tests::person::{CardPath, Person};
use lanyard_tests::process::run_limited;
use lanyard_tests::swtpm::Swtpm;
use lanyard_tests::world::{World, in_a_world};

const ALICE: &str = "alice@contoso.test";
const PIN: &str = "735219";

/// A computer with a TPM and a card daemon.
fn computer_with_tpm(world: &mut World) -> Result<(Person, Swtpm)> {
    let folder = world.folder.join("chip");
    fs::create_dir_all(&folder)?;
    let chip = Swtpm::start_certified(&folder);
    world.add_user(ALICE, &[])?;
    let mut alice = world.computer("alice", ALICE)?;
    alice.give_tpm(&chip.device());
    world.start_cardd(&alice)?;
    Ok((alice, chip))
}

/// The virtual cards' indices in the chip, as tpm2-tools sees them.
fn indices(chip: &Swtpm) -> Result<usize> {
    let mut command = std::process::Command::new("tpm2_getcap");
    command.env("TPM2TOOLS_TCTI", tcti(&chip.socket()));
    command.arg("handles-nv-index");
    let output = run_limited(&mut command, "", lanyard_tests::person::COMMAND_LIMIT)?;
    ensure!(output.status.success(), "tpm2_getcap: {output:?}");
    let words = String::from_utf8_lossy(&output.stdout).to_uppercase();
    Ok(words
        .lines()
        .filter(|line| {
            line.contains("0X18")
                || line.contains("0X19")
                || line.contains("0X1A")
                || line.contains("0X1B")
        })
        .count())
}

/// The chip's words when asked for its variable properties.
fn lockout_counter(chip: &Swtpm) -> Result<String> {
    let mut command = std::process::Command::new("tpm2_getcap");
    command.env("TPM2TOOLS_TCTI", tcti(&chip.socket()));
    command.arg("properties-variable");
    let output = run_limited(&mut command, "", lanyard_tests::person::COMMAND_LIMIT)?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = words
        .lines()
        .find(|line| line.contains("LOCKOUT_COUNTER"))
        .context(words.clone())?;
    Ok(line.trim().to_owned())
}

fn tcti(socket: &Path) -> String {
    format!("swtpm:path={}", socket.display())
}

#[test]
fn row_f_with_a_card_in_the_tpm_from_making_to_destroying() {
    in_a_world(
        "row_f_with_a_card_in_the_tpm_from_making_to_destroying",
        |world| {
            let (alice, chip) = computer_with_tpm(world)?;
            let words = alice.create_card("My card", &["--attestation", "aik-and-cert"])?;
            ensure!(words.contains("in the TPM"), "{words}");
            ensure!(!words.contains("no hardware protection"), "{words}");
            ensure!(indices(&chip)? == 2, "two counting indices");
            world.wait_for_cards(&alice, 1)?;
            let list = alice.must(&["card", "list"], &[])?;
            ensure!(list.contains("virtual card in the TPM"), "{list}");
            // Where policy wants hardware, this card is welcome.
            let kinds = ["policy", "set", "--default", "--card-kinds"];
            world
                .server
                .must(&[&kinds[..], &["physical,virtual-tpm"]].concat())?;
            let code = world.server.enrol_code(ALICE)?;
            alice.enrol(&code, PIN)?;
            alice.sign_in(PIN)?;
            world.must_be_signed_in(&alice)?;
            alice.must(&["sign-out"], &[])?;

            let status = alice.must(&["card", "status"], &[])?;
            ensure!(status.contains("virtual card in the TPM"), "{status}");
            // A clumsy person costs nobody else anything.
            let error = alice.must_fail(&["sign-in", ALICE], &[("--pin-fd", "111222")])?;
            ensure!(
                error.contains("LY-1205") && error.contains("2 tries"),
                "{error}"
            );
            let lockout = lockout_counter(&chip)?;
            ensure!(lockout.ends_with("0x0"), "{lockout}");
            alice.must(&["card", "destroy", "--yes"], &[])?;
            ensure!(
                indices(&chip)? == 0,
                "nothing of the card stays in the chip"
            );
            Ok(())
        },
    );
}

#[test]
fn without_a_tpm_a_card_is_refused_unless_the_file_is_accepted() {
    in_a_world(
        "without_a_tpm_a_card_is_refused_unless_the_file_is_accepted",
        |world| {
            world.add_user(ALICE, &[])?;
            let mut alice = world.computer("alice", ALICE)?;
            alice.give_tpm("swtpm:/nowhere/tpm.sock");
            world.start_cardd(&alice)?;
            let error = alice.must_fail(&["card", "create", "--name", "card"], &[])?;
            ensure!(
                error.contains("LY-1250") && error.contains("--sealed-file"),
                "{error}"
            );
            let listed = alice.json(&["card", "list"])?;
            ensure!(!listed.to_string().contains("\"guid\":\""), "{listed}");
            let words = alice.create_card("card", &["--sealed-file"])?;
            ensure!(words.contains("no hardware protection"), "{words}");
            let error = alice.must_fail(
                &[
                    "card",
                    "create",
                    "--sealed-file",
                    "--attestation",
                    "aik-only",
                ],
                &[],
            )?;
            ensure!(error.contains("LY-1258"), "{error}");
            // What a PIV card cannot do is refused with the reason.
            let policy = [
                "card",
                "create",
                "--sealed-file",
                "--pin-policy",
                "minlen=4,maxlen=127",
            ];
            let error = alice.must_fail(&policy, &[])?;
            ensure!(
                error.contains("LY-1257") && error.contains("6 to 8"),
                "{error}"
            );
            Ok(())
        },
    );
}

#[test]
fn a_chip_that_is_switched_off_is_told_and_its_card_comes_back_with_it() {
    in_a_world(
        "a_chip_that_is_switched_off_is_told_and_its_card_comes_back_with_it",
        |world| {
            let (alice, mut chip) = computer_with_tpm(world)?;
            alice.configure(&world.server, CardPath::Socket, true)?;
            alice.create_card("card", &[])?;
            alice.enrol(&world.server.enrol_code(ALICE)?, PIN)?;
            alice.sign_in(PIN)?;
            alice.must(&["sign-out"], &[])?;
            // The chip goes while its card is served: no try is spent.
            chip.kill();
            alice.must_fail(&["sign-in", ALICE], &[("--pin-fd", PIN)])?;
            // It is away when the daemon starts: told in words.
            world.daemons.clear();
            let daemon = alice.start_cardd(None)?;
            let error = alice.must_fail(
                &["card", "change-pin"],
                &[("--pin-fd", PIN), ("--new-pin-fd", "618203")],
            )?;
            ensure!(error.contains("LY-1255"), "{error}");
            chip.power_on();
            world.wait_for_cards(&alice, 1)?;
            alice.sign_in(PIN)?;
            world.must_be_signed_in(&alice)?;
            drop(daemon);
            Ok(())
        },
    );
}

/// Flushes transient objects (`-t`), loaded sessions (`-l`) or saved ones (`-s`).
fn flush(chip: &Swtpm, what: &str) -> Result<()> {
    let mut command = std::process::Command::new("tpm2_flushcontext");
    command.env("TPM2TOOLS_TCTI", tcti(&chip.socket()));
    command.arg(what);
    let output = run_limited(&mut command, "", lanyard_tests::person::COMMAND_LIMIT)?;
    ensure!(output.status.success(), "tpm2_flushcontext: {output:?}");
    Ok(())
}

/// The number of the running card daemon, as its lock tells it.
fn daemon_number(alice: &Person) -> Result<String> {
    let lock = alice.root.join("run/lanyard/cardd.lock");
    Ok(fs::read_to_string(lock)?.trim().to_owned())
}

#[test]
fn a_daemon_killed_while_the_pin_changes_leaves_the_old_pin_or_the_new_one() {
    in_a_world(
        "a_daemon_killed_while_the_pin_changes_leaves_the_old_pin_or_the_new_one",
        |world| {
            let (alice, chip) = computer_with_tpm(world)?;
            alice.configure(&world.server, CardPath::Socket, true)?;
            alice.create_card("card", &[])?;
            let change = |old: &str, new: &str| {
                let secrets = [("--pin-fd", old), ("--new-pin-fd", new)];
                alice.run(&["card", "change-pin"], &secrets)
            };
            ensure!(change("12345678", PIN)?.status.success());
            let (known, other) = (PIN, "618203");
            for delay in [0, 10, 30, 60, 100, 200] {
                let number = daemon_number(&alice)?;
                let changed = std::thread::scope(|scope| {
                    let changing = scope.spawn(|| change(known, other));
                    std::thread::sleep(Duration::from_millis(delay));
                    let killed = std::process::Command::new("kill")
                        .args(["-KILL", &number])
                        .status();
                    let changed = changing.join();
                    killed?;
                    changed.map_err(|_| anyhow::anyhow!("the change panicked"))?
                })?;
                // The kernel's resource manager takes away what a dead process had loaded; a bare
                // software TPM has none, so we do it.
                for what in ["-t", "-l", "-s"] {
                    flush(&chip, what)?;
                }
                // The client starts the daemon anew. Either PIN works, and one alone.
                world.wait_for_cards(&alice, 1)?;
                let tried = change(other, "729314")?;
                let back = tried.status.success();
                if changed.status.success() {
                    ensure!(back, "the change was done, and is not there");
                }
                if !back {
                    let kept = change(known, "729314")?;
                    ensure!(
                        kept.status.success(),
                        "after {delay} ms: neither: {tried:?} {kept:?} {changed:?}"
                    );
                }
                ensure!(change("729314", known)?.status.success());
            }
            Ok(())
        },
    );
}

#[test]
fn ten_cards_are_made_with_their_own_policy_and_the_eleventh_is_refused() {
    in_a_world(
        "ten_cards_are_made_with_their_own_policy_and_the_eleventh_is_refused",
        |world| {
            let (alice, chip) = computer_with_tpm(world)?;
            // More cards than readers: each has a socket of its own.
            alice.configure(&world.server, CardPath::Socket, true)?;
            let policy = [
                "--generate",
                "--pin-policy",
                "minlen=8,maxlen=8",
                "--puk",
                "default",
            ];
            for number in 0..10 {
                let words = alice.create_card(&format!("card {number}"), &policy)?;
                let instance = format!(r"ROOT\SMARTCARDREADER\{number:04}");
                ensure!(words.contains(&instance), "{words}");
            }
            ensure!(indices(&chip)? == 20);
            let error = alice.must_fail(&["card", "create", "--name", "card 10"], &[])?;
            ensure!(error.contains("LY-1215"), "{error}");
            // Six digits are too few for these cards, eight are right.
            let change = ["card", "change-pin", "--card", "card 3"];
            let old = ("--pin-fd", "12345678");
            let error = alice.must_fail(&change, &[old, ("--new-pin-fd", "407316")])?;
            ensure!(error.contains("LY-1207"), "{error}");
            alice.must(&change, &[old, ("--new-pin-fd", "40731688")])?;
            alice.must(&["card", "destroy", "--yes", "--card", "card 3"], &[])?;
            ensure!(indices(&chip)? == 18);
            let words = alice.create_card("card 10", &[])?;
            ensure!(words.contains(r"ROOT\SMARTCARDREADER\0003"), "{words}");
            Ok(())
        },
    );
}

#[test]
fn a_card_in_the_tpm_proves_where_its_key_lives_and_a_file_cannot() {
    in_a_world(
        "a_card_in_the_tpm_proves_where_its_key_lives_and_a_file_cannot",
        |world| {
            let (alice, chip) = computer_with_tpm(world)?;
            let root = chip.state().join("../ca/swtpm-localca-rootca-cert.pem");
            let issuer = chip.state().join("../ca/issuercert.pem");
            for file in [&root, &issuer] {
                let file = file.to_str().context("path")?;
                world
                    .server
                    .must(&["attestation", "add-maker", file, "--of", "tpm"])?;
            }
            let demand = ["policy", "set", "--default", "--key-assurance"];
            world
                .server
                .must(&[&demand[..], &["tpm-certificate"]].concat())?;

            // A file says nothing about its key; nothing is lost by trying.
            alice.create_card("file", &["--sealed-file"])?;
            world.wait_for_cards(&alice, 1)?;
            let code = world.server.enrol_code(ALICE)?;
            let error = alice.must_fail(
                &["card", "enrol", ALICE],
                &[
                    ("--pin-fd", "12345678"),
                    ("--new-pin-fd", PIN),
                    ("--code-fd", &code),
                ],
            )?;
            ensure!(error.contains("LY-1470"), "{error}");
            alice.must(&["card", "destroy", "--yes"], &[])?;

            // The chip does, and the same code is still good.
            alice.create_card("chip", &["--attestation", "aik-and-cert"])?;
            world.wait_for_cards(&alice, 1)?;
            let words = alice.enrol(&code, PIN)?;
            ensure!(words.contains("Proving where the key lives"), "{words}");
            alice.sign_in(PIN)?;
            world.must_be_signed_in(&alice)?;
            alice.must(&["sign-out"], &[])?;

            // Whoever wants the chip itself listed, lists it; until then the card stays outside.
            world.server.must(&[&demand[..], &["tpm-known"]].concat())?;
            let error = alice.must_fail(&["sign-in", ALICE], &[("--pin-fd", PIN)])?;
            ensure!(error.contains("LY-1470"), "{error}");
            Ok(())
        },
    );
}

/// The certificate in slot 9A, in the words of OpenSSL, as OpenSC reads it from the card.
fn certificate_on_the_card(person: &Person) -> Result<String> {
    let mut command = person.command(Path::new("pkcs15-tool"));
    command.args(["--read-certificate", "01"]);
    let read = run_limited(&mut command, "", lanyard_tests::person::COMMAND_LIMIT)?;
    let pem = String::from_utf8_lossy(&read.stdout).into_owned();
    ensure!(pem.contains("BEGIN CERTIFICATE"), "{read:?}");
    let mut command = std::process::Command::new("openssl");
    command.args(["x509", "-noout", "-serial", "-pubkey", "-text"]);
    let told = run_limited(&mut command, &pem, lanyard_tests::person::COMMAND_LIMIT)?;
    ensure!(told.status.success(), "openssl: {told:?}");
    Ok(String::from_utf8_lossy(&told.stdout).into_owned())
}

/// What stands between two words.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Result<&'a str> {
    let (_, rest) = text.split_once(from).context(text.to_owned())?;
    Ok(rest.split_once(to).context(text.to_owned())?.0)
}

#[test]
fn a_card_in_the_tpm_stays_proved_when_it_is_renewed_with_its_key_and_with_a_new_one() {
    in_a_world(
        "a_card_in_the_tpm_stays_proved_when_it_is_renewed_with_its_key_and_with_a_new_one",
        |world| {
            // The policy in a certificate whose key was proved by the certificate of the chip.
            const PROVED: &str = "1.3.6.1.4.1.311.21.31";
            let (mut alice, chip) = computer_with_tpm(world)?;
            for file in ["swtpm-localca-rootca-cert.pem", "issuercert.pem"] {
                let file = chip.state().join("../ca").join(file);
                let file = file.to_str().context("path")?;
                world
                    .server
                    .must(&["attestation", "add-maker", file, "--of", "tpm"])?;
            }
            let demand = ["policy", "set", "--default", "--key-assurance"];
            world
                .server
                .must(&[&demand[..], &["tpm-certificate"]].concat())?;
            alice.create_card("chip", &["--attestation", "aik-and-cert"])?;
            world.wait_for_cards(&alice, 1)?;
            alice.enrol(&world.server.enrol_code(ALICE)?, PIN)?;
            let mut before = certificate_on_the_card(&alice)?;
            ensure!(before.contains(PROVED), "{before}");

            // Nothing is proved anew for the same key; a new key is proved by the chip as the first was.
            for (days, options) in [(320, &[][..]), (640, &["--new-key"][..])] {
                world.go_to(&mut alice, days)?;
                let renew = [&["card", "renew"][..], options].concat();
                alice.must(&renew, &[("--pin-fd", PIN)])?;
                let after = certificate_on_the_card(&alice)?;
                ensure!(after.contains(PROVED), "after {renew:?}: {after}");
                let serial = ("serial=", "\n");
                ensure!(
                    between(&after, serial.0, serial.1)? != between(&before, serial.0, serial.1)?,
                    "after {renew:?}: the certificate is the old one"
                );
                let key = ("-----BEGIN PUBLIC KEY-----", "-----END");
                let same = between(&after, key.0, key.1)? == between(&before, key.0, key.1)?;
                ensure!(same == options.is_empty(), "after {renew:?}: {after}");
                alice.sign_in(PIN)?;
                world.must_be_signed_in(&alice)?;
                alice.must(&["sign-out"], &[])?;
                before = after;
            }
            Ok(())
        },
    );
}
