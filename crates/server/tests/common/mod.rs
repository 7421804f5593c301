// SPDX-License-Identifier: MIT OR Apache-2.0
//! A deployment in a temporary directory, and the real binary run on it.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_lanyard-server");
const READY_TIMEOUT: Duration = Duration::from_secs(60);

pub struct Deployment {
    dir: tempfile::TempDir,
    pub data: PathBuf,
    pub metrics_port: u16,
}

impl Deployment {
    /// Makes a deployment for `contoso.test`.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        Self::at(dir, data)
    }

    pub fn at(dir: tempfile::TempDir, data: PathBuf) -> Self {
        let deployment = Self {
            dir,
            data,
            metrics_port: free_port(),
        };
        deployment.ok(&["init", "--domain", "contoso.test"]);
        deployment
    }

    /// The program on this deployment: every port is any free one, but that of metrics is known.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .arg("--data")
            .arg(&self.data)
            .args(arguments)
            .stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LANYARD_")) {
            command.env_remove(name);
        }
        for listener in ["SIP", "HTTPS", "CARD", "HTTP"] {
            command.env(format!("LANYARD_LISTEN__{listener}"), "127.0.0.1:0");
        }
        command.env(
            "LANYARD_LISTEN__METRICS",
            format!("127.0.0.1:{}", self.metrics_port),
        );
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a verb that must work; gives what it printed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        serde_json::from_str(&self.ok(&all)).unwrap()
    }

    /// The JSON of a command that may also have failed.
    pub fn json_unchecked(&self, arguments: &[&str]) -> serde_json::Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        serde_json::from_slice(&self.run(&all).stdout).unwrap()
    }

    /// Runs a verb that must fail without a panic; gives its one line of error.
    pub fn fails(&self, arguments: &[&str]) -> String {
        failure(&self.run(arguments))
    }

    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    pub fn serve_with(&self, variables: &[(&str, &str)]) -> Server {
        let log = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.dir.path().join("server.log"))
            .unwrap();
        let mut command = self.command(&["serve"]);
        command
            .envs(variables.iter().copied())
            .stderr(log)
            .stdout(Stdio::null());
        let mut server = Server {
            child: command.spawn().unwrap(),
        };
        let until = Instant::now() + READY_TIMEOUT;
        while !self.run(&["status"]).status.success() {
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!("the server ended with {status}: {}", self.log());
            }
            assert!(
                Instant::now() < until,
                "the server is not ready: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }

    /// Waits until the log of the server holds a text.
    pub fn wait_for_log(&self, text: &str) {
        let until = Instant::now() + READY_TIMEOUT;
        while !self.log().contains(text) {
            assert!(
                Instant::now() < until,
                "no '{text}' in the log: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn database(&self) -> PathBuf {
        self.data.join("lanyard.db")
    }
}

/// A running server; killed when dropped.
pub struct Server {
    pub child: Child,
}

impl Server {
    /// Stops it in good order; says whether it ended well.
    pub fn stop(mut self) -> bool {
        self.signal("TERM");
        self.child.wait().unwrap().success()
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The error line of a command that has failed as it should.
pub fn failure(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    assert!(
        !output.status.success(),
        "it worked: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(!error.contains("panicked"), "{error}");
    error
}

/// Runs a command with a text on its standard input.
pub fn with_input(mut command: Command, text: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU32, Ordering};
    // Below the ports that the kernel gives to whoever asks for any: one of those could be taken by
    // a neighbour between this look and the server's start.
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let nth = NEXT
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(std::process::id().wrapping_mul(97));
        let port = u16::try_from(FIRST + nth % COUNT).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o777
}
