// SPDX-License-Identifier: MIT OR Apache-2.0
//! The front door for people who work on Lanyard.
//!
//! `cargo xtask demo` and `cargo xtask test` are the two commands of the README; `.ci/run` calls
//! the second one and nothing else.
#![allow(clippy::print_stdout)] // This program talks to the person at the terminal.

mod bench;
mod ci;
mod demo;
mod opensc;
mod run;
mod setup;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo [--keep] [--card-path auto|pcsc|socket]
               from a blank card to a conversation, on the real programs
  test         set-up, format, clippy, tidy and all tests (what CI runs)
  setup        installs the system packages that the tests need
  tidy         file lengths, forbidden words, licence headers, edges between crates
  bench [--persons N]
               CPU per operation, memory, and latency of cards, as JSON
  ci           test, then documentation, cargo-deny and live fuzzing (for people)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("demo") => demo::run(&rest),
        Some("test") => test::run(),
        Some("setup") => setup::ensure(setup::Purpose::Test)
            .and_then(|_| opensc::p11test())
            .map(|_| ()),
        Some("tidy") => tidy::run(),
        Some("bench") => bench::run(&rest),
        Some("ci") => ci::run(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
