// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting, watching and ending the programs under test.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Where the programs under test were built.
///
/// `LANYARD_BIN_DIR` names another folder (the demo uses the release build).
#[must_use]
pub fn program(name: &str) -> PathBuf {
    if let Some(dir) = std::env::var_os("LANYARD_BIN_DIR") {
        return PathBuf::from(dir).join(name);
    }
    // A test runs as target/PROFILE/deps/NAME-HASH, a program as target/PROFILE/NAME.
    let mut dir = std::env::current_exe().unwrap_or_default();
    dir.pop();
    if dir.ends_with("deps") {
        dir.pop();
    }
    dir.join(name)
}

/// A child that is killed and reaped when the test lets go of it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// What the program is called in messages.
    pub name: String,
    /// Where its output goes.
    pub log: PathBuf,
}

impl Running {
    /// Starts a program with its output in a log file.
    ///
    /// # Errors
    /// The log cannot be made or the program cannot be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .context("log file")?;
        let err = out.try_clone()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self {
            child,
            name: name.into(),
            log: log.into(),
        })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that it printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal by name (`TERM`, `HUP`, `KILL`).
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill")
            .args([&format!("-{signal}"), &self.pid().to_string()])
            .status()?;
        if !status.success() {
            bail!("kill -{signal} {} failed", self.name);
        }
        Ok(())
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn wait_end(&mut self, limit: Duration) -> Result<std::process::ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if start.elapsed() > limit {
                bail!("{} did not end within {limit:?}", self.name);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a text stands in the log.
    ///
    /// # Errors
    /// It ended, or the text did not come in time; the message holds the log.
    pub fn wait_printed(&mut self, text: &str, limit: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            let printed = self.printed();
            if printed.contains(text) {
                return Ok(());
            }
            if !self.is_alive() {
                bail!("{} ended before it printed {text:?}:\n{printed}", self.name);
            }
            if start.elapsed() > limit {
                bail!(
                    "{} did not print {text:?} within {limit:?}:\n{printed}",
                    self.name
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets the program run on after this value is gone.
    pub fn leave_running(self) {
        std::mem::forget(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its number may belong to another program once it has ended.
        if !self.is_alive() {
            return;
        }
        // Ask first, so that the program can end its own children; then insist.
        let _ = self.signal("TERM");
        if self.wait_end(Duration::from_secs(3)).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Repeats a check until it gives a value.
///
/// # Errors
/// It gave none in time.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> Option<T>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = check() {
            return Ok(value);
        }
        if start.elapsed() > limit {
            bail!("not within {limit:?}: {what}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A pipe whose reading end a child inherits: the way that secrets reach a program.
#[derive(Debug)]
pub struct SecretPipe {
    reader: OwnedFd,
}

impl SecretPipe {
    /// Makes a pipe that holds one line.
    ///
    /// # Errors
    /// The pipe cannot be made or written.
    pub fn new(secret: &str) -> Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        let mut writer = writer;
        writeln!(writer, "{secret}")?;
        drop(writer);
        // Pipes of std are close-on-exec; a duplicate without the flag is what the child gets.
        let reader = rustix::io::dup(reader.as_fd())?;
        Ok(Self { reader })
    }

    /// The number of the descriptor in this process and in its children.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.reader.as_raw_fd()
    }
}

/// The words before a program, for `env`, that set its date another `seconds` from now. Timers go
/// on as they do. (`faketime` itself stays between us and the program, and takes our signals.)
#[must_use]
pub fn at_another_time(seconds: i64) -> [String; 3] {
    [
        // The loader puts the folder of this architecture in the place of $LIB.
        "LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1".into(),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".into(),
        format!("FAKETIME={seconds:+}s"),
    ]
}

/// Runs a program to its end under a time limit.
///
/// # Errors
/// It cannot be started or did not end in time.
pub fn run_limited(command: &mut Command, stdin: &str, limit: Duration) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        let _ = pipe.write_all(stdin.as_bytes());
    }
    let mut out = child.stdout.take().context("stdout")?;
    let mut err = child.stderr.take().context("stderr")?;
    let out = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = out.read_to_end(&mut bytes);
        bytes
    });
    let err = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = err.read_to_end(&mut bytes);
        bytes
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            bail!("{command:?} did not end within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    // A background process may have inherited the pipes: do not wait for it for ever.
    let stdout = out.join().unwrap_or_default();
    let stderr = err.join().unwrap_or_default();
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}
