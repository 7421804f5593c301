// SPDX-License-Identifier: MIT OR Apache-2.0
//! The background process: apart from the terminal, told to be ready by one line.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use lanyard_client::agent::{READY, run as run_agent};
use lanyard_client::{Places, Profile};

/// Runs the agent in this process until it is told to exit.
pub fn run(profile: &Profile) -> ExitCode {
    // A session of its own: the terminal's end and its Ctrl-C do not reach it.
    let _ = rustix::process::setsid();
    let result = Places::from_env().and_then(|places| run_agent(&places, profile, ready));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Whoever started us reads the reason.
            let line = serde_json::to_string(&problem).unwrap_or_default();
            let _ = writeln!(std::io::stdout(), "{line}");
            ExitCode::FAILURE
        }
    }
}

fn ready() {
    let _ = writeln!(std::io::stdout(), "{READY}");
    // Whoever waits for the end of our output waits no longer.
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}
