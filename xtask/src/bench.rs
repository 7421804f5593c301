// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask bench`: what each operation costs the server, as CPU time, and where that stands.

use crate::run::{cargo, root, step};
use crate::setup::{self, Purpose};
use anyhow::{Context, Result, bail};
use lanyard_tests::namespace;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// Builds the release, puts the load on it, and stores the figures as JSON.
///
/// The server is pinned to the first processor and the load to the second. Nothing is asserted:
/// machines differ and are shared; compare figures of one run.
pub fn run(arguments: &[&str]) -> Result<()> {
    let persons = match arguments {
        [] => "1000",
        ["--persons", number] => number,
        _ => bail!("usage: cargo xtask bench [--persons NUMBER]"),
    };
    setup::ensure(Purpose::Bench)?;
    let mut build = cargo();
    build.args([
        "build",
        "--release",
        "--locked",
        "-p",
        "lanyard-server",
        "-p",
        "lanyard-load",
    ]);
    build.args([
        "-p",
        "lanyard-cli",
        "-p",
        "lanyard-cardd",
        "-p",
        "lanyard-ifd",
    ]);
    step("build (release)", &mut build)?;
    step(
        "build (release), the bench of cards",
        cargo().args([
            "build",
            "--release",
            "--locked",
            "-p",
            "lanyard-tests",
            "--example",
            "card_bench",
        ]),
    )?;
    // Signatures of virtual cards beside the chip's bare command; needs swtpm.
    let mut signatures = cargo();
    signatures.args(["run", "--release", "--locked", "-p", "lanyard-virtual-card"]);
    signatures.args(["--example", "signatures"]);
    let signatures = said("signatures", &mut signatures)?;
    // The handshake inside SIP of clients that know only TLS 1.0; needs libssl-dev.
    let mut old_clients = cargo();
    old_clients.args(["run", "--release", "--locked", "-p", "lanyard-sip-auth"]);
    old_clients.args(["--features", "legacy", "--example", "legacy_handshake"]);
    let old_clients = said("handshakes of old clients", &mut old_clients)?;
    let bin = root().join("target/release");
    let folder = root().join("target/bench");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let output = folder.join("figures.json");
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ip link set lo up; ulimit -n 16384; exec taskset --cpu-list 1 \"$@\"",
        "sh",
    ]);
    if let Some(words) = namespace::unshare()
        && let Some((program, rest)) = words.split_first()
    {
        let inner = command;
        command = Command::new(program);
        command
            .args(rest)
            .arg(inner.get_program())
            .args(inner.get_args());
    }
    command
        .arg(bin.join("lanyard-load"))
        .arg(&folder)
        .arg(bin.join("lanyard-server"));
    command
        .arg(&output)
        .arg(persons)
        .env("LANYARD_BIN_DIR", &bin);
    step("load", &mut command)?;
    let mut figures: Value = serde_json::from_slice(&std::fs::read(&output)?)?;
    figures["signatures"] = signatures;
    figures["old clients"] = old_clients;
    figures["cards"] = cards(&bin, &folder)?;
    std::fs::write(&output, serde_json::to_string_pretty(&figures)? + "\n")?;
    println!("All figures: {}", output.display());
    Ok(())
}

/// Runs a bench that prints JSON, shows that and returns it.
fn said(name: &str, command: &mut Command) -> Result<Value> {
    println!("── {name}");
    let output = command.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    if !output.status.success() {
        bail!("{name} failed ({})", output.status);
    }
    serde_json::from_str(&text).with_context(|| format!("{name} printed no JSON"))
}

/// What the way to a card costs, through our own reader driver and through vpcd.
fn cards(bin: &Path, folder: &Path) -> Result<Value> {
    let Some(words) = namespace::unshare() else {
        println!("Namespaces cannot be made here: the way to a card is not measured.");
        return Ok(Value::Null);
    };
    let (program, rest) = words.split_first().context("unshare")?;
    let output = folder.join("cards.json");
    let mut command = Command::new(program);
    command
        .args(rest)
        .arg(bin.join("examples/card_bench"))
        .arg(&output)
        .env("LANYARD_BIN_DIR", bin);
    step("cards", &mut command)?;
    Ok(serde_json::from_slice(&std::fs::read(output)?)?)
}
