// SPDX-License-Identifier: MIT OR Apache-2.0
//! The story of the demo, in every test run, over each way to a card.

#![allow(clippy::print_stdout)] // A story that fails is read step by step.

use anyhow::{Result, bail};
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::pcsc::{Make, Pcscd};
use lanyard_tests::person::CardPath;
use lanyard_tests::server::Ports;
use lanyard_tests::story::{Setting, Step, play};

fn tell(step: &Step) {
    println!(
        "{:>8.1} ms  {}  {}",
        step.took.as_secs_f64() * 1e3,
        if step.ok { "ok" } else { "FAILED" },
        step.name
    );
}

fn must_end_well(way: &str, setting: &Setting<'_>) -> Result<()> {
    let mut story = play(setting);
    // `cargo xtask test` shows what was played, and over which way to the card.
    let file = format!("story-{way}.json");
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    std::fs::write(file, serde_json::to_string_pretty(&story.summary())?)?;
    if !story.is_ok() {
        let log = story
            .server
            .as_mut()
            .map(|s| std::fs::read_to_string(s.log_file()).unwrap_or_default());
        bail!(
            "{:#}\nserver log:\n{}",
            story.summary(),
            log.unwrap_or_default()
        );
    }
    Ok(())
}

fn over_pcsc(way: &str, make: Make) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pcscd = Pcscd::start_with(make, dir.path(), 2)?;
    must_end_well(
        way,
        &Setting {
            folder: dir.path(),
            ports: Ports::UNPRIVILEGED,
            card_path: CardPath::Pcsc,
            readers: [&pcscd.slot(0), &pcscd.slot(1)],
            // Once with Alice's cards in a TPM, otherwise in files.
            chip: way == "pcsc",
            tell: &tell,
        },
    )
}

#[test]
fn the_story_over_pcsc() {
    in_own_namespace("the_story_over_pcsc", || over_pcsc("pcsc", Make::Ours));
}

#[test]
fn the_story_over_pcsc_with_vpcd() {
    in_own_namespace("the_story_over_pcsc_with_vpcd", || {
        over_pcsc("vpcd", Make::Vpcd)
    });
}

#[test]
fn the_story_over_the_cards_own_sockets() {
    in_own_namespace("the_story_over_the_cards_own_sockets", || {
        let dir = tempfile::tempdir()?;
        must_end_well(
            "socket",
            &Setting {
                folder: dir.path(),
                ports: Ports::UNPRIVILEGED,
                card_path: CardPath::Socket,
                readers: ["", ""],
                chip: false,
                tell: &tell,
            },
        )
    });
}
