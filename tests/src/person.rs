// SPDX-License-Identifier: MIT OR Apache-2.0
//! A person at a computer of their own: a HOME, XDG folders, and the `lanyard` program.

use crate::process::{Running, SecretPipe, eventually, program, run_limited};
use crate::server::{HOST, Server, succeeded};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long a command of a person may take.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// Names the TPM of a computer.
const TPM_DEVICE: &str = "LANYARD_TPM_DEVICE";

/// How the person's programs reach cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardPath {
    /// Through pcscd.
    Pcsc,
    /// Through the virtual card's own socket.
    Socket,
}

impl CardPath {
    /// The word in the configuration and in the demo's summary.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pcsc => "pcsc",
            Self::Socket => "socket",
        }
    }
}

/// A person and their computer.
#[derive(Debug)]
pub struct Person {
    /// The sign-in address.
    pub address: String,
    /// Everything of this computer lies below it.
    pub root: PathBuf,
    environment: Vec<(String, String)>,
    /// A process whose mounts this computer has, when it is not the test's own.
    place: Option<u32>,
}

impl Person {
    /// A fresh computer that trusts the server's root and, when `resolve` is set, is told where the
    /// server's names lead instead of asking a name server.
    ///
    /// # Errors
    /// A folder or the configuration cannot be written.
    pub fn new(
        folder: &Path,
        address: &str,
        server: &Server,
        card_path: CardPath,
        resolve: bool,
    ) -> Result<Self> {
        let root = folder.to_path_buf();
        let dirs = [
            ("HOME", "home"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "run"),
            ("TMPDIR", "tmp"),
        ];
        let mut environment = Vec::new();
        for (key, name) in dirs {
            let dir = root.join(name);
            fs::create_dir_all(&dir)?;
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
            environment.push((key.to_owned(), dir.display().to_string()));
        }
        // A daemon that starts by itself keeps its hands off the readers of this machine.
        environment.push(("LANYARD_CARDD_READER".into(), "none".into()));
        let person = Self {
            address: address.into(),
            root,
            environment,
            place: None,
        };
        person.configure(server, card_path, resolve)?;
        Ok(person)
    }

    /// Moves this computer to mounts of its own, with an empty `/run/pcscd`: another machine as far
    /// as cards are concerned. They end with the test's namespace.
    ///
    /// # Errors
    /// The mounts cannot be made.
    pub fn elsewhere(mut self) -> Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c"]);
        command.arg("mount -t tmpfs tmpfs /run/pcscd && echo settled && exec sleep 3600");
        let mut holder = self.start("elsewhere", &mut command)?;
        holder.wait_printed("settled", Duration::from_secs(30))?;
        self.place = Some(holder.pid());
        holder.leave_running();
        Ok(self)
    }

    /// Writes the client's configuration anew.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn configure(&self, server: &Server, card_path: CardPath, resolve: bool) -> Result<()> {
        let mut text = format!(
            "trust_anchors = [\"{}\"]\ncard_path = \"{}\"\n",
            server.root_certificate().display(),
            card_path.word()
        );
        if resolve {
            text.push_str(&resolve_rules(server));
        }
        let dir = self.root.join("config/lanyard");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("client.toml"), text)?;
        Ok(())
    }

    /// Sets an environment variable for all programs that are started from now on.
    pub fn set_environment(&mut self, key: &str, value: &str) {
        self.environment.push((key.into(), value.into()));
    }

    /// The environment of this computer, as `KEY=value` pairs.
    #[must_use]
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// A program with this computer's environment and no other.
    #[must_use]
    pub fn command(&self, program_path: &Path) -> Command {
        let mut command = match self.place {
            None => Command::new(program_path),
            Some(pid) => {
                let mut command = Command::new("nsenter");
                command
                    .args(["--target", &pid.to_string(), "--mount", "--"])
                    .arg(program_path);
                command
            }
        };
        command.env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LANG", "C.UTF-8");
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        command.current_dir(&self.root);
        command
    }

    /// The `lanyard` program with these arguments.
    #[must_use]
    pub fn lanyard(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&program("lanyard"));
        command.args(arguments);
        command
    }

    /// Runs `lanyard`, handing secrets over by descriptors: `("--pin-fd", "735219")`.
    ///
    /// # Errors
    /// It cannot be started or hangs.
    pub fn run(&self, arguments: &[&str], secrets: &[(&str, &str)]) -> Result<Output> {
        self.run_with_input(arguments, secrets, "")
    }

    /// As [`Person::run`], with text on the standard input.
    ///
    /// # Errors
    /// As [`Person::run`].
    pub fn run_with_input(
        &self,
        arguments: &[&str],
        secrets: &[(&str, &str)],
        input: &str,
    ) -> Result<Output> {
        let mut command = self.lanyard(arguments);
        let pipes = hand_over(&mut command, secrets)?;
        let output = run_limited(&mut command, input, COMMAND_LIMIT);
        drop(pipes);
        output
    }

    /// Runs `lanyard` and gives what it printed.
    ///
    /// # Errors
    /// It failed; the message holds what it printed.
    pub fn must(&self, arguments: &[&str], secrets: &[(&str, &str)]) -> Result<String> {
        let output = self.run(arguments, secrets)?;
        succeeded(
            &format!("{}: lanyard {}", self.address, arguments.join(" ")),
            &output,
        )?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs `lanyard`, which must fail, and gives its standard error.
    ///
    /// # Errors
    /// It succeeded.
    pub fn must_fail(&self, arguments: &[&str], secrets: &[(&str, &str)]) -> Result<String> {
        let output = self.run(arguments, secrets)?;
        if output.status.success() {
            bail!(
                "lanyard {} succeeded and should not have:\n{}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stdout)
            );
        }
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Runs `lanyard … --json`.
    ///
    /// # Errors
    /// It failed or printed no JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut all = arguments.to_vec();
        all.push("--json");
        let text = self.must(&all, &[])?;
        serde_json::from_str(&text).with_context(|| format!("no JSON from {arguments:?}: {text}"))
    }

    /// Gives this computer a TPM: its virtual cards are made there from now on.
    pub fn give_tpm(&mut self, device: &str) {
        self.set_environment(TPM_DEVICE, device);
    }

    /// Creates a virtual card with the default PIN: in a file, unless the computer was given a TPM.
    ///
    /// # Errors
    /// It failed.
    pub fn create_card(&self, name: &str, more: &[&str]) -> Result<String> {
        let mut arguments = vec!["card", "create", "--name", name];
        arguments.extend(more);
        let in_tpm = self.environment.iter().any(|(key, _)| key == TPM_DEVICE);
        if !in_tpm && !more.contains(&"--sealed-file") {
            arguments.push("--sealed-file");
        }
        self.must(&arguments, &[])
    }

    /// Enrols the card: changes the transport PIN to `pin`, then sends the one-time code.
    ///
    /// # Errors
    /// It failed.
    pub fn enrol(&self, code: &str, pin: &str) -> Result<String> {
        self.must(
            &["card", "enrol", &self.address],
            &[
                ("--pin-fd", "12345678"),
                ("--new-pin-fd", pin),
                ("--code-fd", code),
            ],
        )
    }

    /// Signs in with a PIN; the session goes on in the background.
    ///
    /// # Errors
    /// It failed; the message holds what it printed.
    pub fn sign_in(&self, pin: &str) -> Result<String> {
        self.must(&["sign-in", &self.address], &[("--pin-fd", pin)])
    }

    /// Follows the session's events; returns when the current state, which comes first, is there.
    ///
    /// # Errors
    /// `lanyard watch` cannot be started, or there is no session's process to watch.
    pub fn watch(&self) -> Result<Watch> {
        let watch = Watch::start(self.lanyard(&["watch"]))?;
        eventually("the current state", COMMAND_LIMIT, || {
            (!watch.all().is_empty()).then_some(())
        })?;
        Ok(watch)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// It was not delivered.
    pub fn send(&self, to: &str, text: &str) -> Result<String> {
        self.must(&["send", to, text], &[])
    }

    /// Starts a long-running program of this computer with a log of its own.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, name: &str, command: &mut Command) -> Result<Running> {
        Running::start(name, command, &self.root.join(format!("{name}.log")))
    }

    /// Starts the daemon that holds the virtual cards, linked to a reader of pcscd: the socket of one
    /// of our own, or the port of vpcd.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_cardd(&self, reader: Option<&str>) -> Result<Running> {
        let mut command = self.command(&program("lanyard-cardd"));
        command.arg("--foreground");
        match reader {
            Some(socket) if socket.contains('/') => command.args(["--reader", socket]),
            Some(port) => command.args(["--reader", "none", "--vpcd", port]),
            None => command.args(["--reader", "none"]),
        };
        let mut running = self.start("lanyard-cardd", &mut command)?;
        running.wait_printed("ready", Duration::from_secs(10))?;
        Ok(running)
    }
}

/// Opens a pipe per secret and names its descriptor on the command line.
fn hand_over(command: &mut Command, secrets: &[(&str, &str)]) -> Result<Vec<SecretPipe>> {
    let mut pipes = Vec::new();
    for (option, secret) in secrets {
        let pipe = SecretPipe::new(secret)?;
        command.arg(option).arg(pipe.number().to_string());
        pipes.push(pipe);
    }
    Ok(pipes)
}

/// Where each name of the deployment leads on this machine.
fn resolve_rules(server: &Server) -> String {
    let ports = server.ports;
    let mut rules = Vec::new();
    for (host, told, listens) in [
        (HOST, ports.https, ports.https),
        (HOST, ports.card, ports.card),
        (HOST, ports.sip, ports.sip),
        (HOST, ports.http, ports.http),
        ("lyncdiscoverinternal.contoso.test", 443, ports.https),
        ("lyncdiscoverinternal.contoso.test", 80, ports.http),
    ] {
        rules.push(format!("  \"{host}:{told}=127.0.0.1:{listens}\""));
    }
    format!("resolve = [\n{}\n]\n", rules.join(",\n"))
}

/// Events with the time of their coming, and a bell for the next.
type Events = (Mutex<Vec<(Instant, Value)>>, Condvar);

/// The events of a session, as they come.
#[derive(Debug)]
pub struct Watch {
    child: Child,
    events: Arc<Events>,
    seen: usize,
}

impl Watch {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = child.stdout.take().context("stdout of watch")?;
        let events = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let shared = Arc::clone(&events);
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if let Ok(mut list) = shared.0.lock() {
                    list.push((Instant::now(), value));
                }
                shared.1.notify_all();
            }
        });
        Ok(Self {
            child,
            events,
            seen: 0,
        })
    }

    /// Waits for the next event that fits, passing over others, and says when it came.
    ///
    /// # Errors
    /// None came in time; the message holds those that did.
    pub fn expect(
        &mut self,
        what: &str,
        limit: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<(Instant, Value)> {
        let start = Instant::now();
        let (list, changed) = &*self.events;
        let mut list = list.lock().map_err(|_| anyhow::anyhow!("watch thread"))?;
        loop {
            if let Some(at) = list
                .iter()
                .skip(self.seen)
                .position(|(_, event)| fits(event))
            {
                self.seen += at + 1;
                return Ok(list[self.seen - 1].clone());
            }
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                let all: Vec<String> = list.iter().map(|(_, e)| e.to_string()).collect();
                bail!(
                    "no event within {limit:?}: {what}; events so far:\n{}",
                    all.join("\n")
                );
            }
            list = changed
                .wait_timeout(list, left)
                .map_err(|_| anyhow::anyhow!("watch thread"))?
                .0;
        }
    }
}

impl Watch {
    /// All events so far.
    #[must_use]
    pub fn all(&self) -> Vec<Value> {
        let list = self.events.0.lock();
        list.map(|list| list.iter().map(|(_, event)| event.clone()).collect())
            .unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
