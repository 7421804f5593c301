// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask test`: everything that must hold before a change lands.

use crate::run::{cargo, root, step};
use crate::{setup, tidy};
use anyhow::Result;

/// The tests need the server that also serves foreign clients. Every step names the feature, so that
/// nothing is built twice.
const FEATURES: [&str; 2] = ["--features", "lanyard-server/legacy"];

/// Runs the whole check.
pub fn run() -> Result<()> {
    setup::ensure(setup::Purpose::Test)?;
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
    step(
        "programs",
        cargo()
            .args(["build", "--workspace", "--bins", "--locked"])
            .args(FEATURES),
    )?;
    step(
        "tests",
        cargo()
            .args(["test", "--workspace", "--locked"])
            .args(FEATURES),
    )?;
    Ok(())
}
