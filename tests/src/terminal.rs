// SPDX-License-Identifier: MIT OR Apache-2.0
//! A terminal with a person before it: tmux holds the screen, the test types and reads.

use crate::person::Person;
use crate::process::{eventually, program};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A terminal in which a program of a person runs.
#[derive(Debug)]
pub struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Opens a terminal in which `lanyard` runs with these arguments.
    ///
    /// # Errors
    /// tmux did not start.
    pub fn open(person: &Person, arguments: &[&str]) -> Result<Self> {
        let socket = person.root.join("tmux.sock");
        let mut words = vec![program("lanyard").display().to_string()];
        words.extend(arguments.iter().map(|a| (*a).to_owned()));
        let line: Vec<String> = words.iter().map(|w| format!("'{w}'")).collect();
        // The shell keeps the screen after the program has ended, with its exit status.
        let line = format!("{}; echo \"[exit $?]\"; sleep 3600", line.join(" "));
        let mut command = person.command(std::path::Path::new("tmux"));
        command.env("TERM", "xterm-256color");
        command
            .arg("-S")
            .arg(&socket)
            .args(["-f", "/dev/null", "new-session", "-d"]);
        command.args(["-x", "100", "-y", "40", "sh", "-c", &line]);
        let status = command.stdin(Stdio::null()).status().context("tmux")?;
        if !status.success() {
            bail!("tmux did not start");
        }
        Ok(Self { socket })
    }

    /// What stands on the screen, and above it.
    ///
    /// # Errors
    /// tmux is gone.
    pub fn screen(&self) -> Result<String> {
        let output = self.tmux(&["capture-pane", "-p", "-S", "-200"])?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// Types text as it is.
    ///
    /// # Errors
    /// tmux is gone.
    pub fn type_text(&self, text: &str) -> Result<()> {
        self.tmux(&["send-keys", "-l", text]).map(|_| ())
    }

    /// Presses a key by tmux's name of it (`Enter`, `C-d`).
    ///
    /// # Errors
    /// tmux is gone.
    pub fn press(&self, key: &str) -> Result<()> {
        self.tmux(&["send-keys", key]).map(|_| ())
    }

    /// Types a line.
    ///
    /// # Errors
    /// tmux is gone.
    pub fn enter(&self, text: &str) -> Result<()> {
        self.type_text(text)?;
        self.press("Enter")
    }

    /// Waits until a text stands on the screen, and gives the screen.
    ///
    /// # Errors
    /// It did not in time; the message holds the screen.
    pub fn wait_for(&self, text: &str) -> Result<String> {
        let found = eventually(text, Duration::from_secs(25), || {
            self.screen().ok().filter(|screen| screen.contains(text))
        });
        found.with_context(|| format!("the screen:\n{}", self.screen().unwrap_or_default()))
    }

    fn tmux(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(&self.socket)
            .args(arguments)
            .output()?;
        if !output.status.success() {
            bail!(
                "tmux {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(output.stdout)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]);
    }
}
