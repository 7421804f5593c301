// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask bench`.
use anyhow::{Result, bail};
/// Runs the benches.
pub fn run(_arguments: &[&str]) -> Result<()> {
    bail!("no bench yet")
}
