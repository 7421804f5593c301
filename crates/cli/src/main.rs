// SPDX-License-Identifier: MIT OR Apache-2.0
//! `lanyard`: the terminal face of the client, card commands, enrolment.
//!
//! It knows no protocol: it words what `client` says and hands over what the person types.

mod args;
mod output;
mod people;
mod secrets;
mod terminal;
mod verbs;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use lanyard_client::{Places, Problem};

use args::{Arguments, Verb};

/// Exit code after a fault that was told.
const EXIT_FAILED: u8 = 1;

fn main() -> ExitCode {
    // Asked while there is one thread: afterwards the system's answer is not reliable.
    output::remember_local_offset();
    let arguments = Arguments::parse();
    let Some(verb) = arguments.verb else {
        let _ = Arguments::command().print_help();
        return ExitCode::SUCCESS;
    };
    let result = match verb {
        Verb::Agent => return verbs::agent::run(&arguments.profile),
        Verb::Pkcs11Module { module } => lanyard_client::cards::serve_pkcs11_module(&module),
        verb => Places::from_env()
            .and_then(|places| verbs::Context::new(places, arguments.profile))
            .and_then(|context| verbs::run(&context, verb)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => failed(&problem),
    }
}

fn failed(problem: &Problem) -> ExitCode {
    output::problem(problem);
    ExitCode::from(EXIT_FAILED)
}
