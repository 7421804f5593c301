// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask test`: everything that must hold before a change lands.

use crate::run::{cargo, root, step};
use crate::{opensc, setup, tidy};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The tests need the server that also serves foreign clients. Every step names the feature, so that
/// nothing is built twice.
const FEATURES: [&str; 2] = ["--features", "lanyard-server/legacy"];

/// Runs the whole check.
pub fn run() -> Result<()> {
    setup::ensure(setup::Purpose::Test)?;
    opensc::p11test()?;
    step("format", cargo().args(["fmt", "--all", "--check"]))?;
    tidy::run()?;
    step(
        "clippy",
        cargo()
            .args(["clippy", "--workspace", "--all-targets", "--locked"])
            .args(FEATURES)
            .args(["--", "-D", "warnings"]),
    )?;
    // The independent card is a workspace of its own with a large tree of its own.
    step(
        "independent card",
        cargo()
            .current_dir(root().join("tests/standin-card"))
            .args(["build", "--locked"]),
    )?;
    // So is the independent host.
    step(
        "independent host",
        cargo()
            .current_dir(root().join("tests/keyroost-host"))
            .args(["build", "--locked"]),
    )?;
    step(
        "programs",
        cargo()
            .args(["build", "--workspace", "--bins", "--locked"])
            .args(FEATURES),
    )?;
    // pcscd loads our reader driver from beside the programs.
    step(
        "reader driver",
        cargo().args(["build", "-p", "lanyard-ifd", "--locked"]),
    )?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    // Each way to a card: our own reader driver, vpcd, the cards' own sockets.
    let stories = [("pcsc", "pcsc"), ("vpcd", "pcsc"), ("socket", "socket")]
        .map(|(way, path)| (way, path, target.join(format!("tmp/story-{way}.json"))));
    for (_, _, file) in &stories {
        let _ = std::fs::remove_file(file);
    }
    step(
        "tests",
        cargo()
            .args(["test", "--workspace", "--locked"])
            .args(FEATURES),
    )?;
    for (way, path, file) in &stories {
        show_story(way, path, file)?;
    }
    Ok(())
}

/// Prints what a test has played, so that a reader of the log sees over which way to the card.
fn show_story(way: &str, path: &str, file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("the story over {way}"))?;
    let summary: serde_json::Value = serde_json::from_str(&text)?;
    let steps = summary["steps"].as_array().map_or(0, Vec::len);
    println!(
        "── story over {way}: card_path {}, ok {}, {steps} steps, revocation_to_end_ms {}",
        summary["card_path"], summary["ok"], summary["revocation_to_end_ms"]
    );
    if summary["ok"] != true || summary["card_path"] != path {
        bail!("the story over {way} did not end well");
    }
    Ok(())
}
