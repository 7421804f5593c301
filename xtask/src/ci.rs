// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask ci`: the test command and what needs more tools, for people.

use crate::run::{cargo, root, step};
use anyhow::Result;
use std::process::{Command, Stdio};

/// How long each fuzz target runs live.
const FUZZ_SECS: &str = "-max_total_time=30";

/// Runs the test command, then documentation, cargo-deny and live fuzzing.
pub fn run() -> Result<()> {
    crate::test::run()?;
    step(
        "documentation",
        cargo()
            .env("RUSTDOCFLAGS", "-D warnings")
            .args(["doc", "--workspace", "--no-deps"]),
    )?;
    step(
        "cargo-deny",
        cargo().args(["deny", "check", "bans", "licenses", "sources"]),
    )?;
    miri()?;
    for entry in std::fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        let Some(name) = path.file_stem().and_then(|n| n.to_str()) else {
            continue;
        };
        step(
            &format!("fuzz {name}"),
            cargo()
                .current_dir(root().join("fuzz"))
                .args(["fuzz", "run", name, "--", FUZZ_SECS]),
        )?;
    }
    Ok(())
}

/// Lets Miri watch the one crate that holds unsafe code, where a nightly toolchain has it.
fn miri() -> Result<()> {
    let there = Command::new("cargo")
        .args(["+nightly", "miri", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        println!("── miri: not here ('rustup component add miri --toolchain nightly')");
        return Ok(());
    }
    let mut command = Command::new("cargo");
    command
        .current_dir(root())
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .args(["+nightly", "miri", "test", "-p", "lanyard-ifd", "--lib"])
        // Random inputs take Miri an hour; they call no unsafe code.
        .args(["--", "--skip", "no_structure", "--skip", "no_offset"]);
    step("miri", &mut command)
}
