// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole hosts of others that judge a card by their own lights: OpenSC's p11test and keyroost.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lanyard_tests::process::run_limited;
use serde_json::Value;

use crate::desk::{Desk, OTHER_PIN, PIN, PUK, judge, judge_cheaply, opensc_module};

/// They do hundreds of operations each, on a busy computer.
const LONG: Duration = Duration::from_secs(120);

#[test]
fn judge_p11test_of_opensc_finds_no_fault_in_rsa_keys() {
    let name = "hosts::judge_p11test_of_opensc_finds_no_fault_in_rsa_keys";
    let keys = [
        ("9a", "RSA2048"),
        ("9c", "ECCP256"),
        ("9d", "RSA2048"),
        ("9e", "ECCP256"),
    ];
    judge_cheaply(name, |desk| examine(desk, &keys));
}

#[test]
fn judge_p11test_of_opensc_finds_no_fault_in_ecc_keys() {
    let name = "hosts::judge_p11test_of_opensc_finds_no_fault_in_ecc_keys";
    // No RSA in 9C here: OpenSC 0.23 tries an OAEP block twice with one PIN and then gives up on the
    // key, with the independent card as well. No P-384: it reads no public key of that kind. keyroost
    // and yubico-piv-tool judge those.
    let keys = [
        ("9a", "ECCP256"),
        ("9c", "ECCP256"),
        ("9d", "ECCP256"),
        ("9e", "ECCP256"),
    ];
    judge_cheaply(name, |desk| examine(desk, &keys));
}

/// All tests but the one that waits for a hand pass, and each key that OpenSC shows did something.
pub fn examine(desk: &Desk, keys: &[(&str, &str)]) -> Result<()> {
    desk.choose_pin()?;
    for (slot, algorithm) in keys {
        desk.enrol(slot, algorithm)?;
    }
    let report = p11test(desk)?;
    let results = report["results"].as_array().context("results")?;
    for result in results {
        let (name, outcome) = (&result["test_id"], &result["result"]);
        let wanted = if name == "wait_test" { "skip" } else { "pass" };
        ensure!(outcome == wanted, "{name}: {result:#}");
    }
    ensure!(results.len() == 11, "{} tests of p11test", results.len());
    let used = results
        .iter()
        .find(|result| result["test_id"] == "readonly_tests")
        .and_then(|result| result["data"].as_array())
        .context("readonly_tests")?;
    // OpenSC numbers the certificates of 9A, 9C, 9D and 9E from 1.
    for id in ["01", "02", "03", "04"] {
        let works = |row: &&Value| {
            let yes = |column: usize| row[column] == "YES";
            row[0] == id && (yes(2) || yes(3))
        };
        let derives = keys
            .iter()
            .any(|(slot, algorithm)| id == "03" && *slot == "9d" && algorithm.starts_with("ECC"));
        ensure!(
            derives || used.iter().any(|row| works(&row)),
            "key {id} did nothing: {used:?}"
        );
    }
    Ok(())
}

/// Runs p11test; gives its report.
fn p11test(desk: &Desk) -> Result<Value> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/judges/p11test");
    ensure!(
        program.exists(),
        "OpenSC's p11test is needed: 'cargo xtask setup' builds it"
    );
    let module = opensc_module()?;
    let mut command = desk.command(program);
    command
        .arg("-m")
        .arg(module)
        .args(["-s", "0", "-p", PIN, "-o", "p11test.json"]);
    let output = run_limited(&mut command, "", LONG)?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{words}");
    let report = fs::read_to_string(desk.folder.path().join("p11test.json"))?;
    serde_json::from_str(&report).with_context(|| report)
}

#[test]
fn judge_keyroost_personalises_and_tests_every_kind_of_key() {
    judge(
        "hosts::judge_keyroost_personalises_and_tests_every_kind_of_key",
        |desk| {
            desk.choose_pin()?;
            let mut command = desk.command(keyroost()?);
            command.arg(desk.reader_name());
            let lines = format!("{PIN}\n{OTHER_PIN}\n{PUK}\n");
            let output = run_limited(&mut command, &lines, LONG)?;
            let words = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{words}");
            ensure!(words.contains("claims version None"), "{words}");
            ensure!(words.matches("Sign: Passed").count() == 7, "{words}");
            ensure!(words.matches("Decrypt: Passed").count() == 3, "{words}");
            ensure!(words.contains("82 EccP256 KeyAgree: Passed"), "{words}");
            ensure!(words.matches("KeyAgree: Refused").count() == 3, "{words}");
            for slot in ["9A", "9C", "9D", "9E", "82", "95"] {
                let request = format!("request-{slot}.pem");
                let verify = ["req", "-in", &request, "-noout", "-verify", "-subject"];
                let words = desk.tool("openssl", &verify)?;
                ensure!(words.contains("verify OK"), "{slot}: {words}");
            }
            ensure!(desk.tries_left()? == 3, "all tries are there at the end");
            Ok(())
        },
    );
}

/// The program, built when it is not there: it is a workspace of its own.
fn keyroost() -> Result<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("keyroost-host");
    let program = folder.join("target/debug/keyroost-host");
    if !program.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--locked"])
            .current_dir(&folder)
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .context("cargo")?;
        ensure!(
            built.status.success(),
            "keyroost-host: {}",
            String::from_utf8_lossy(&built.stderr)
        );
    }
    Ok(program)
}
