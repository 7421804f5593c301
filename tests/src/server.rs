// SPDX-License-Identifier: MIT OR Apache-2.0
//! A deployment of `lanyard-server` of a test's own.

use crate::process::{Running, program, run_limited};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// The domain of all test deployments.
pub const DOMAIN: &str = "contoso.test";
/// The host name of all test deployments.
pub const HOST: &str = "lync.contoso.test";
/// How long a verb may take.
const VERB_LIMIT: Duration = Duration::from_secs(60);

/// The ports of a deployment.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// SIP over TLS.
    pub sip: u16,
    /// HTTPS.
    pub https: u16,
    /// The card listener.
    pub card: u16,
    /// Plain HTTP.
    pub http: u16,
    /// Health and metrics.
    pub metrics: u16,
}

impl Ports {
    /// The well-known ports: for a namespace of the test's own.
    pub const WELL_KNOWN: Self = Self {
        sip: 5061,
        https: 443,
        card: 49443,
        http: 80,
        metrics: 9464,
    };
    /// Ports that need no privilege.
    pub const UNPRIVILEGED: Self = Self {
        sip: 15061,
        https: 18443,
        card: 49443,
        http: 18080,
        metrics: 19464,
    };
}

/// A data directory, and the server on it while it runs.
#[derive(Debug)]
pub struct Server {
    /// The data directory.
    pub data: PathBuf,
    /// Where it listens.
    pub ports: Ports,
    log: PathBuf,
    level: String,
    environment: Vec<(String, String)>,
    running: Option<Running>,
}

impl Server {
    /// Runs `init` in a folder; nothing serves yet.
    ///
    /// # Errors
    /// `init` failed.
    pub fn init(folder: &Path, ports: Ports) -> Result<Self> {
        let server = Self {
            data: folder.join("server"),
            ports,
            log: folder.join("server.log"),
            level: "info".into(),
            environment: Vec::new(),
            running: None,
        };
        let data = server.data.display().to_string();
        let output = server.raw(&[
            "init",
            "--data",
            &data,
            "--domain",
            DOMAIN,
            "--host",
            HOST,
            "--organisation",
            "Contoso",
            "--san",
            "localhost",
        ])?;
        succeeded("init", &output)?;
        Ok(server)
    }

    /// Sets the log level of the next start.
    pub fn log_level(&mut self, level: &str) {
        self.level = level.into();
    }

    /// Sets an environment variable for the server and its verbs.
    pub fn set_environment(&mut self, key: &str, value: &str) {
        self.environment.push((key.into(), value.into()));
    }

    /// The root certificate that clients trust.
    #[must_use]
    pub fn root_certificate(&self) -> PathBuf {
        self.data.join("ca/root.pem")
    }

    /// The path of the log.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// The command line of the server program with this deployment's environment.
    #[must_use]
    pub fn command(&self, program_path: &Path) -> Command {
        let mut command = Command::new(program_path);
        let ports = self.ports;
        for (key, port) in [
            ("SIP", ports.sip),
            ("HTTPS", ports.https),
            ("CARD", ports.card),
            ("HTTP", ports.http),
            ("METRICS", ports.metrics),
        ] {
            command.env(
                format!("LANYARD_LISTEN__{key}"),
                format!("127.0.0.1:{port}"),
            );
        }
        command.env("LANYARD_LOG__LEVEL", &self.level);
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        command
    }

    /// Starts `serve` and waits until it says that it is ready.
    ///
    /// # Errors
    /// It ended or did not become ready; the message holds its log.
    pub fn start(&mut self) -> Result<()> {
        self.start_as(&program("lanyard-server"), &[])
    }

    /// Starts `serve` under another program (for example `faketime`).
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_as(&mut self, program_path: &Path, before: &[&str]) -> Result<()> {
        let _ = std::fs::remove_file(&self.log);
        let mut command = self.command(program_path);
        command
            .args(before)
            .arg("serve")
            .arg("--data")
            .arg(&self.data);
        let mut running = Running::start("lanyard-server", &mut command, &self.log)?;
        running.wait_printed("ready", Duration::from_secs(20))?;
        self.running = Some(running);
        Ok(())
    }

    /// The running server.
    ///
    /// # Errors
    /// It does not run.
    pub fn running(&mut self) -> Result<&mut Running> {
        self.running.as_mut().context("the server is not running")
    }

    /// Stops the server as an administrator does, and waits.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            running.signal("TERM")?;
            running.wait_end(Duration::from_secs(15))?;
        }
        Ok(())
    }

    /// Kills the server without a chance to tidy up.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            running.signal("KILL")?;
            running.wait_end(Duration::from_secs(30))?;
        }
        Ok(())
    }

    /// Lets the server run on after this value is gone, and says its process id.
    pub fn leave_running(&mut self) -> Option<u32> {
        let running = self.running.take()?;
        let pid = running.pid();
        running.leave_running();
        Some(pid)
    }

    /// Runs a verb, whatever comes of it. `--data` is added.
    ///
    /// # Errors
    /// It cannot be started or hangs.
    pub fn verb(&self, arguments: &[&str]) -> Result<Output> {
        let data = self.data.display().to_string();
        let mut all = arguments.to_vec();
        all.extend(["--data", &data]);
        self.raw(&all)
    }

    /// Runs a verb that must succeed, and gives what it printed.
    ///
    /// # Errors
    /// It failed; the message holds what it printed.
    pub fn must(&self, arguments: &[&str]) -> Result<String> {
        let output = self.verb(arguments)?;
        succeeded(&arguments.join(" "), &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a verb with `--json` that must succeed.
    ///
    /// # Errors
    /// It failed or printed no JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut all = arguments.to_vec();
        all.push("--json");
        let text = self.must(&all)?;
        serde_json::from_str(&text).with_context(|| format!("no JSON from {arguments:?}: {text}"))
    }

    /// A one-time enrolment code for a person.
    ///
    /// # Errors
    /// The verb failed.
    pub fn enrol_code(&self, address: &str) -> Result<String> {
        let value = self.json(&["user", "enrol-code", address])?;
        let code = value.get("code").and_then(Value::as_str);
        Ok(code
            .with_context(|| format!("no code in {value}"))?
            .to_owned())
    }

    fn raw(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(&program("lanyard-server"));
        run_limited(command.args(arguments), "", VERB_LIMIT)
    }
}

/// Fails with all that was printed when a program did not succeed.
///
/// # Errors
/// The program failed.
pub fn succeeded(what: &str, output: &Output) -> Result<()> {
    if !output.status.success() {
        bail!(
            "{what} failed ({}):\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
