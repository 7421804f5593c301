// SPDX-License-Identifier: MIT OR Apache-2.0
//! What commands read: secrets from a descriptor or the terminal, and import files.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_directory::{IMPORT_BYTES_MAX, PASSWORD_BYTES_MAX};
use lanyard_fault::Fault;

use crate::admin::{CHECKS_MIN, IdentityCheck, PhotoWish, SecretText};
use crate::photo;
use crate::problem::Problem;

/// Reads a new password: one line of the descriptor, or twice from the terminal without echo.
pub(super) fn new_password(descriptor: Option<u32>) -> Result<SecretText, Problem> {
    let refused = |detail: &dyn std::fmt::Display| Problem::with(Fault::SecretInput, detail);
    if let Some(number) = descriptor {
        return secret_line(number)
            .map_err(|error| refused(&format_args!("file descriptor {number}: {error}")));
    }
    if !std::io::stdin().is_terminal() {
        return Err(refused(&"there is no terminal; use --password-fd"));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt)
            .map(SecretText::new)
            .map_err(|error| refused(&error))
    };
    let first = ask("New password: ")?;
    let second = ask("The same again: ")?;
    if first.reveal() != second.reveal() {
        return Err(Problem::with(Fault::AdminInput, "the two passwords differ"));
    }
    Ok(first)
}

/// Goes through the list with the officer at the terminal.
pub(super) fn identity_checks() -> Result<Vec<IdentityCheck>, Problem> {
    let mut input = std::io::stdin().lines();
    let mut checks = Vec::new();
    eprintln!("Who is asking? At least {CHECKS_MIN} of these must be so:");
    for check in IdentityCheck::ALL {
        eprint!("  {} [y/N] ", check.question());
        let answer = input.next().and_then(Result::ok).unwrap_or_default();
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            checks.push(check);
        }
    }
    Ok(checks)
}

fn secret_line(number: u32) -> std::io::Result<SecretText> {
    // The descriptor stays the caller's; opening it anew needs no unsafe code.
    let file = File::open(format!("/proc/self/fd/{number}"))?;
    let mut text = zeroize::Zeroizing::new(String::new());
    // Longer input is refused later, for being too long.
    file.take(PASSWORD_BYTES_MAX as u64 + 2)
        .read_to_string(&mut text)?;
    Ok(SecretText::new(
        text.trim_end_matches(['\r', '\n']).to_owned(),
    ))
}

/// Reads a picture, checks it, and gives it as it travels.
pub(super) fn photo(path: &Path) -> Result<PhotoWish, Problem> {
    let problem = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Problem::with(
            Fault::AdminInput,
            format_args!("{}: {error}", path.display()),
        ),
        _ => Problem::file(path, &error),
    };
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(problem)?
        .take(photo::SOURCE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(problem)?;
    // The server does the same again and stores its own result.
    photo::normalise(&bytes).map_err(|error| {
        Problem::with(
            Fault::PhotoRefused,
            format_args!("{}: {error}", path.display()),
        )
    })?;
    Ok(PhotoWish::Set(STANDARD.encode(&bytes)))
}

/// Reads an import file, or standard input for `-`.
pub(super) fn import_text(path: &Path) -> Result<String, Problem> {
    let problem = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Problem::with(
            Fault::AdminInput,
            format_args!("{}: {error}", path.display()),
        ),
        _ => Problem::file(path, &error),
    };
    let mut bytes = Vec::new();
    // One byte more than is allowed, so that a longer file is known to be longer.
    let limit = IMPORT_BYTES_MAX as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(problem)?;
    } else {
        File::open(path)
            .map_err(problem)?
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(problem)?;
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error
            .as_bytes()
            .iter()
            .take(valid)
            .filter(|byte| **byte == b'\n')
            .count();
        Problem::with(
            Fault::AdminInput,
            format_args!("line {line}: the text is not UTF-8"),
        )
    })
}
