// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking for secrets where none may be.

use anyhow::{Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// A secret, in the forms in which it could slip out.
#[derive(Debug)]
pub struct Secret {
    /// What it is called in messages. The secret itself is not repeated there.
    pub name: String,
    forms: Vec<String>,
}

impl Secret {
    /// The secret as it is, as hexadecimal digits, as a list of numbers, and in base64.
    #[must_use]
    pub fn new(name: &str, value: &[u8]) -> Self {
        let join = |form: fn(&u8) -> String, between: &str| {
            let all: Vec<String> = value.iter().map(form).collect();
            all.join(between)
        };
        let mut forms = vec![
            letters(value),
            join(|b| format!("{b:02x}"), ""),
            join(|b| format!("{b:02X}"), ""),
            join(|b| format!("{b:02x}"), " "),
            join(|b| format!("{b:02X}"), " "),
            join(|b| format!("{b:02X}"), ":"),
            join(|b| format!("{b}"), ", "),
        ];
        // Whatever stands before and after: only the groups that are wholly the secret's.
        for skipped in 0..3.min(value.len()) {
            let whole = (value.len() - skipped) / 3 * 3;
            if whole >= 6 {
                forms.push(base64(&value[skipped..skipped + whole]));
            }
        }
        Self {
            name: name.into(),
            forms,
        }
    }

    /// Only the text itself: for what is a word of a format rather than a value.
    #[must_use]
    pub fn word(word: &str) -> Self {
        Self {
            name: format!("the word {word}"),
            forms: vec![word.to_owned()],
        }
    }

    /// Whether the secret stands in these bytes.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.stands_in(&letters(bytes))
    }

    fn stands_in(&self, text: &str) -> bool {
        self.forms.iter().any(|form| text.contains(form.as_str()))
    }
}

/// One letter for each byte: the search in texts is fast also where programs are built for tests.
fn letters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Base64 of whole groups of three bytes.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks_exact(3) {
        let number = group
            .iter()
            .fold(0_usize, |n, byte| n << 8 | usize::from(*byte));
        for shift in [18, 12, 6, 0] {
            text.push(char::from(LETTERS[number >> shift & 63]));
        }
    }
    text
}

/// All files below a folder, but for those below the folders or files that are left out.
///
/// # Errors
/// A folder cannot be read.
pub fn files(folder: &Path, left_out: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            if left_out.contains(&path) {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Fails when one of the secrets stands in one of the files.
///
/// # Errors
/// It does; the message names both, and the line of a text.
pub fn must_be_nowhere(secrets: &[Secret], files: &[PathBuf]) -> Result<()> {
    let mut found = Vec::new();
    for file in files {
        let text = letters(&fs::read(file)?);
        for secret in secrets.iter().filter(|secret| secret.stands_in(&text)) {
            let line = text.lines().position(|line| secret.stands_in(line));
            let line = line.map_or_else(String::new, |line| format!(", line {}", line + 1));
            found.push(format!("{} in {}{line}", secret.name, file.display()));
        }
    }
    if !found.is_empty() {
        bail!("secrets were found:\n{}", found.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form_and_wherever_it_begins() {
        let secret = Secret::new("PIN", b"92846150");
        for text in [
            "PIN 92846150.",
            "00 20 00 80 08 39 32 38 34 36 31 35 30",
            "0020008008 3932383436313530",
            "[57, 50, 56, 52, 54, 49, 53, 48]",
            "UElOIDkyODQ2MTUw",
            "eDkyODQ2MTUw",
            "eHg5Mjg0NjE1MA==",
        ] {
            assert!(secret.is_in(text.as_bytes()), "{text}");
        }
        assert!(!secret.is_in(b"9284615 0, 3932383436"));
    }
}
