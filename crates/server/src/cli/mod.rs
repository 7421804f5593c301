// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: words in, requests out, answers as tables or JSON.

mod args;
mod attestation;
mod cards;
mod input;
mod photos;
mod policies;
mod render;
mod verbs;

pub use args::Arguments;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use lanyard_authority::Actor;

use crate::problem::Problem;

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match verbs::run(arguments) {
        Ok(code) => code,
        Err(error) => {
            // One line, so that scripts and logs can keep it.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// The administrator at the keyboard.
fn administrator() -> Actor {
    Actor::Administrator(crate::admin::user_name(rustix::process::getuid().as_raw()))
}

/// Writes to standard output; a pipe that was closed is no fault of ours.
fn print(text: &str) -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Problem::file(
            std::path::Path::new("standard output"),
            &error,
        )),
        _ => Ok(()),
    }
}
