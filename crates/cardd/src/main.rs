// SPDX-License-Identifier: MIT OR Apache-2.0
//! `lanyard-cardd`: the daemon that holds a person's virtual cards and shows them to programs.
//!
//! It serves each card over a unix socket of its own, and as an inserted card in a reader of our own
//! driver where there is one; in vpcd where it is told to. It asks nobody for a PIN and stores none.

mod background;
mod control;
mod daemon;
mod manager;
mod problem;
mod watch;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use lanyard_virtual_card::link::{ReaderChoice, VpcdAddress};
use tracing_subscriber::EnvFilter;

use crate::daemon::Shown;
use crate::problem::Problem;

/// Environment variable with the log filter.
const LOG_VARIABLE: &str = "LANYARD_LOG";
/// What is logged unless the variable says otherwise.
const LOG_DEFAULT: &str = "info";

/// Holds your virtual smart cards and shows them to programs.
///
/// Without options it starts in the background and returns as soon as the cards are served.
#[derive(Debug, Parser)]
#[command(name = "lanyard-cardd", version)]
struct Arguments {
    /// Stay in the foreground; prints "ready" when the cards are served.
    #[arg(long)]
    foreground: bool,

    /// The reader that shows the cards to all programs: 'auto' is yours, or the shared one, as soon
    /// as pcscd runs with Lanyard's driver; 'none'; or the path of a reader's socket.
    #[arg(
        long,
        value_name = "READER",
        default_value = "auto",
        env = "LANYARD_CARDD_READER",
        hide_env_values = true
    )]
    reader: ReaderChoice,

    /// Also insert the cards into this vpcd (a reader for tests and demos). Each has two slots,
    /// PORT and PORT+1; repeat the option for more.
    #[arg(long, value_name = "HOST:PORT")]
    vpcd: Vec<VpcdAddress>,

    /// The process that the start in the background makes.
    #[arg(long, hide = true)]
    detached: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let shown = Shown {
        reader: arguments.reader,
        vpcd: arguments.vpcd,
    };
    if !arguments.foreground && !arguments.detached {
        return match background::start(&shown) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => tell(&mut io::stderr(), &problem),
        };
    }
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| LOG_DEFAULT.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let served = if arguments.detached {
        background::detach().and_then(|()| daemon::run(&shown, background::leave_terminal))
    } else {
        daemon::run(&shown, || Ok(()))
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        // The process that started the background one reads its standard output.
        Err(problem) if arguments.detached => tell(&mut io::stdout(), &problem),
        Err(problem) => tell(&mut io::stderr(), &problem),
    }
}

/// Tells a person what went wrong.
fn tell(out: &mut dyn Write, problem: &Problem) -> ExitCode {
    // Nobody is left to be told that telling failed.
    let _ = writeln!(out, "{problem}");
    problem.exit_code()
}
