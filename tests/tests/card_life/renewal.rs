// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card is renewed before its end, with reminders, with its key or a new one.

use super::{ALICE, PIN};
use anyhow::{Context, Result, bail};
use lanyard_tests::person::Person;
use lanyard_tests::process::{eventually, run_limited};
use lanyard_tests::world::{World, in_a_world};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub fn serial(person: &Person) -> Result<String> {
    let status = person.json(&["card", "status"])?;
    Ok(status["certificate"]["serial"]
        .as_str()
        .with_context(|| format!("no serial: {status}"))?
        .to_owned())
}

/// Where the certificates of the person's card stand, by serial.
fn standing(world: &World, serial: &str) -> Result<String> {
    let card = world.server.json(&["card", "show", serial])?;
    let all = card["certificates"].as_array().context("certificates")?;
    let one = all.iter().find(|one| one["serial"] == serial);
    Ok(one.context("no such certificate")?["status"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

#[test]
fn a_card_is_renewed_with_its_key_and_the_session_goes_on() {
    in_a_world(
        "renewal::a_card_is_renewed_with_its_key_and_the_session_goes_on",
        |world| {
            let mut alice = world.enrolled(ALICE, PIN)?;
            let first = serial(&alice)?;
            let pin = [("--pin-fd", PIN)];
            let error = alice.must_fail(&["card", "renew"], &pin)?;
            if !error.contains("LY-1451") {
                bail!("renewed far too early: {error}");
            }
            for (days, words) in [(334, None), (345, Some("in 19 days")), (364, Some("hours"))] {
                world.go_to(&mut alice, days)?;
                let list = alice.must(&["card", "list"], &[])?;
                let reminds = list.contains("LY-1457");
                if reminds != words.is_some() || !words.is_none_or(|words| list.contains(words)) {
                    bail!("on day {days}: {list}");
                }
            }
            let mut command = alice.lanyard(&["agent"]);
            let _agent = alice.start("agent", &mut command)?;
            let socket = alice.root.join("run/lanyard/default.sock");
            eventually(
                "the background process is there",
                Duration::from_secs(30),
                || std::os::unix::net::UnixStream::connect(&socket).ok(),
            )?;
            let mut face = alice.watch()?;
            alice.sign_in(PIN)?;
            face.expect("the session reminds", Duration::from_secs(30), |event| {
                event["event"] == "notice" && event["text"].to_string().contains("LY-1457")
            })?;
            let status = alice.must(&["status"], &[])?;
            if !status.contains("LY-1457") || !status.contains("lanyard card renew") {
                bail!("the session does not remind: {status}");
            }
            let said = alice.must(&["card", "renew"], &pin)?;
            if !said.contains("Its PIN is as before") {
                bail!("not renewed: {said}");
            }
            let second = serial(&alice)?;
            if second == first {
                bail!("the certificate is the old one");
            }
            // The old one is superseded; the session that it has earned goes on.
            if (standing(world, &first)?, standing(world, &second)?)
                != ("revoked".to_owned(), "active".to_owned())
            {
                bail!("the old certificate was not superseded");
            }
            world.must_be_signed_in(&alice)?;
            alice.must(&["sign-out"], &[])?;
            alice.sign_in(PIN)?;
            world.must_be_signed_in(&alice)?;
            let list = alice.must(&["card", "list"], &[])?;
            if list.contains("LY-1457") {
                bail!("a renewed card reminds: {list}");
            }
            let error = alice.must_fail(&["card", "renew"], &pin)?;
            if !error.contains("LY-1451") {
                bail!("renewed twice: {error}");
            }
            // Lost is lost for all certificates and all that hangs on them.
            world.server.must(&["card", "lost", ALICE])?;
            if world.sessions()?.contains(&ALICE.to_owned()) {
                bail!("the session outlived the report");
            }
            Ok(())
        },
    );
}

#[test]
fn a_card_gets_a_new_key_and_is_never_without_one() {
    in_a_world(
        "renewal::a_card_gets_a_new_key_and_is_never_without_one",
        |world| {
            let mut alice = world.enrolled(ALICE, PIN)?;
            world.go_to(&mut alice, 350)?;
            let first = serial(&alice)?;
            let key = key_on_the_card(&alice)?;
            // Broken off after the server has issued: the old certificate signs in, and the renewal can be begun again.
            let mut renewal = alice.lanyard(&["card", "renew", "--new-key", "--pin-fd", "0"]);
            interrupt_after(&mut renewal, PIN, "Writing the certificate")?;
            alice.sign_in(PIN)?;
            world.must_be_signed_in(&alice)?;
            alice.must(&["exit"], &[])?;
            // Whoever was quick has it behind them already.
            if serial(&alice)? == first {
                let pin = [("--pin-fd", PIN)];
                alice.must(&["card", "renew", "--new-key"], &pin)?;
            }
            if serial(&alice)? == first || key_on_the_card(&alice)? == key {
                bail!("the key is the old one");
            }
            if standing(world, &first)? != "revoked" {
                bail!("the old certificate was not superseded");
            }
            alice.sign_in(PIN)?;
            world.must_be_signed_in(&alice)
        },
    );
}

/// The public key in slot 9A, as OpenSC reads it from the certificate on the card.
pub fn key_on_the_card(person: &Person) -> Result<String> {
    let mut command = person.command(Path::new("pkcs15-tool"));
    command.args(["--read-public-key", "01"]);
    let output = run_limited(&mut command, "", Duration::from_secs(30))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !text.contains("BEGIN PUBLIC KEY") {
        bail!("no key: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

/// Starts a program, gives it a line, and kills it as soon as it says this.
fn interrupt_after(command: &mut Command, line: &str, words: &str) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().context("stdin")?;
    input.write_all(format!("{line}\n").as_bytes())?;
    drop(input);
    let said = BufReader::new(child.stdout.take().context("stdout")?)
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains(words));
    child.kill()?;
    child.wait()?;
    if said {
        Ok(())
    } else {
        bail!("it never said {words:?}")
    }
}
