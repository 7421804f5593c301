// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting in the background without a shell's help: the process starts itself anew, and the
//! first one waits until the second serves.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use lanyard_virtual_card::Places;

use crate::daemon::{READY, Shown};
use crate::problem::Problem;

/// The log of the process in the background, beside its lock.
const LOG_FILE: &str = "cardd.log";
const LOG_MODE: u32 = 0o600;
/// A longer log is begun anew at the next start.
const LOG_BYTES_MAX: u64 = 1024 * 1024;
/// More than any message that the process in the background writes before it is ready.
const WORDS_BYTES_MAX: usize = 4096;

/// Starts the daemon in the background; returns when it serves.
pub fn start(shown: &Shown) -> Result<(), Problem> {
    let places = Places::from_env()?;
    places.make_run()?;
    let log = places.daemon_lock().with_file_name(LOG_FILE);
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(LOG_MODE)
        .open(log)?;
    if log.metadata()?.len() > LOG_BYTES_MAX {
        log.set_len(0)?;
    }
    let mut command = Command::new(env::current_exe().map_err(Problem::Start)?);
    command.arg("--detached");
    command.arg("--reader").arg(shown.reader.to_string());
    for address in &shown.vpcd {
        command.arg("--vpcd").arg(address.to_string());
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(Problem::Start)?;
    let mut words = Vec::new();
    let mut output = child
        .stdout
        .take()
        .ok_or(io::ErrorKind::BrokenPipe)
        .map_err(io::Error::from)?;
    let mut piece = [0; 256];
    while words.len() < WORDS_BYTES_MAX {
        match output.read(&mut piece)? {
            0 => break,
            count => words.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
        if words == format!("{READY}\n").as_bytes() {
            return Ok(());
        }
    }
    let status = child
        .wait()?
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    Err(Problem::Background {
        words,
        status: status.max(1),
    })
}

/// Leaves the session of the terminal, so that closing it does not end the daemon.
pub fn detach() -> Result<(), Problem> {
    rustix::process::setsid().map_err(io::Error::from)?;
    env::set_current_dir("/")?;
    Ok(())
}

/// Lets go of the pipe to the process that waits for readiness.
pub fn leave_terminal() -> io::Result<()> {
    let null = File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(null)?)
}
