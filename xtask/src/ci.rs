// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask ci`: the test command and what needs more tools, for people.

use crate::run::{cargo, root, step};
use anyhow::Result;

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
