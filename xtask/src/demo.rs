// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask demo`.
use anyhow::{Result, bail};
/// Plays the story.
pub fn run(_arguments: &[&str]) -> Result<()> {
    bail!("no demo yet")
}
