// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pictures, made by a foreign program (ImageMagick), with metadata that nobody else should see.

use crate::server::succeeded;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the metadata of [`jpeg`] says.
pub const SECRET_COMMENT: &str = "taken at home, 52.5200N 13.4050E";

/// A colourful JPEG of this size with a comment inside.
///
/// # Errors
/// The program is missing or failed.
pub fn jpeg(folder: &Path, width: u32, height: u32) -> Result<PathBuf> {
    let file = folder.join(format!("picture-{width}x{height}.jpg"));
    let output = Command::new("convert")
        .args(["-size", &format!("{width}x{height}"), "plasma:red-blue"])
        .args(["-set", "comment", SECRET_COMMENT])
        .arg(&file)
        .output()
        .context("convert, of the package imagemagick")?;
    succeeded("convert", &output)?;
    Ok(file)
}
