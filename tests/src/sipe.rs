// SPDX-License-Identifier: MIT OR Apache-2.0
//! A foreign client: pidgin-sipe without a user interface, driven through pipes.
//!
//! The driver is a program of its own licence under `tests/sipe-driver`; it is built here with the
//! C compiler and linked to nothing of ours.

use crate::dns::{NameServer, Zone};
use crate::namespace::use_own_name_server;
use crate::passwords::allow_passwords;
use crate::process::eventually;
use crate::server::{DOMAIN, HOST, succeeded};
use crate::world::{World, in_a_world};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Events with the moment when each came.
type Arrived = Vec<(Instant, Event)>;

/// How long a sign-in with everything around it may take.
pub const SIGN_IN_LIMIT: Duration = Duration::from_secs(30);
/// How long anything else may take before a test gives up.
pub const EVENT_LIMIT: Duration = Duration::from_secs(15);

/// What the driver is built from and with.
const SOURCES: [&str; 2] = ["driver.c", "sax1fix.c"];
const LIBRARIES: [&str; 2] = ["purple", "libxml-2.0"];

/// A line of the driver: its word and its fields.
pub type Event = Vec<String>;

/// Runs a test in a namespace in which foreign clients are served: names lead to the server, the
/// legacy handshake is on, and the members of [`crate::passwords::PASSWORD_GROUP`] may use a password.
pub fn in_a_sipe_world(name: &str, body: impl FnOnce(&mut World) -> Result<()>) {
    in_a_world(name, |world| {
        let here = Ipv4Addr::LOCALHOST;
        NameServer::start(Zone {
            hosts: vec![
                (HOST.into(), here),
                (format!("lyncdiscoverinternal.{DOMAIN}"), here),
            ],
            services: Vec::new(),
        })?;
        use_own_name_server(&world.folder)?;
        world.server.stop()?;
        world
            .server
            .set_environment("LANYARD_SIP__LEGACY_TLS_DSK", "true");
        world.server.start()?;
        allow_passwords(&world.server)?;
        build_driver(&world.folder)?;
        body(world)
    });
}

fn driver_path(folder: &Path) -> PathBuf {
    folder.join("sipe-driver")
}

fn build_driver(folder: &Path) -> Result<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("sipe-driver");
    let flags = Command::new("pkg-config")
        .args(["--cflags", "--libs"])
        .args(LIBRARIES)
        .output()
        .context("pkg-config")?;
    succeeded("pkg-config purple libxml-2.0", &flags)?;
    let flags = String::from_utf8(flags.stdout)?;
    let output = Command::new("cc")
        .args(["-Wall", "-rdynamic", "-o"])
        .arg(driver_path(folder))
        .args(SOURCES.map(|name| sources.join(name)))
        .args(flags.split_whitespace())
        .arg("-ldl")
        .output()
        .context("cc")?;
    succeeded("building the SIPE driver", &output)
}

/// A person at pidgin-sipe.
#[derive(Debug)]
pub struct Sipe {
    /// The sign-in address.
    pub address: String,
    /// Where the client's debug output goes.
    pub log: PathBuf,
    child: Child,
    commands: ChildStdin,
    events: Arc<(Mutex<Arrived>, Condvar)>,
    seen: usize,
}

impl Sipe {
    /// Starts the client; it begins to sign in at once.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(world: &World, address: &str, password: &str) -> Result<Self> {
        let name = address.split('@').next().unwrap_or(address);
        let number = fs::read_dir(&world.folder)?.count();
        let home = world.folder.join(format!("sipe-{name}-{number}"));
        fs::create_dir_all(home.join("ca"))?;
        fs::copy(world.server.root_certificate(), home.join("ca/root.pem"))?;
        let log = home.join("debug.log");
        let mut child = Command::new(driver_path(&world.folder))
            .arg(home.join("purple"))
            .arg(home.join("ca"))
            .args([address, "tls-dsk", "transport=auto"])
            .env_clear()
            .env("HOME", &home)
            .env("PATH", "/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .env("SIPE_DRIVER_DEBUG", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .context("the SIPE driver")?;
        let mut commands = child.stdin.take().context("stdin of the driver")?;
        writeln!(commands, "{password}")?;
        let out = child.stdout.take().context("stdout of the driver")?;
        let events = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let shared = Arc::clone(&events);
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let event: Event = line.split('\t').map(field).collect();
                if let Ok(mut list) = shared.0.lock() {
                    list.push((Instant::now(), event));
                }
                shared.1.notify_all();
            }
        });
        Ok(Self {
            address: address.to_owned(),
            log,
            child,
            commands,
            events,
            seen: 0,
        })
    }

    /// Starts the client and waits until it is signed in and has shown its contacts.
    ///
    /// # Errors
    /// It did not sign in; the message holds the end of its debug output.
    pub fn sign_in(world: &World, address: &str, password: &str) -> Result<Self> {
        let mut sipe = Self::start(world, address, password)?;
        sipe.expect("signed on", SIGN_IN_LIMIT, |e| e[0] == "signed-on")?;
        Ok(sipe)
    }

    /// Gives a command.
    ///
    /// # Errors
    /// The driver has ended.
    pub fn command(&mut self, line: &str) -> Result<()> {
        writeln!(self.commands, "{line}").context("the driver takes no commands")
    }

    /// Waits for the next event that fits, passing over others, and says when it came.
    ///
    /// # Errors
    /// None came in time; the message holds those that did, and the end of the debug output.
    pub fn expect(
        &mut self,
        what: &str,
        limit: Duration,
        fits: impl Fn(&[String]) -> bool,
    ) -> Result<(Instant, Event)> {
        let start = Instant::now();
        let (list, changed) = &*self.events;
        let mut list = list.lock().map_err(|_| anyhow::anyhow!("event thread"))?;
        loop {
            let found = list.iter().skip(self.seen).position(|(_, e)| fits(e));
            if let Some(at) = found {
                self.seen += at + 1;
                return Ok(list[self.seen - 1].clone());
            }
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                let all: Vec<String> = list.iter().map(|(_, e)| e.join(" | ")).collect();
                bail!(
                    "{}: no event within {limit:?}: {what}; events so far:\n{}\n{}",
                    self.address,
                    all.join("\n"),
                    self.debug_tail()
                );
            }
            list = changed
                .wait_timeout(list, left)
                .map_err(|_| anyhow::anyhow!("event thread"))?
                .0;
        }
    }

    /// Waits for an event of this word whose fields begin with these.
    ///
    /// # Errors
    /// As [`Sipe::expect`].
    pub fn expect_event(&mut self, event: &[&str]) -> Result<(Instant, Event)> {
        self.expect(&event.join(" "), EVENT_LIMIT, |e| {
            e.len() >= event.len() && e.iter().zip(event).all(|(is, wanted)| is == wanted)
        })
    }

    /// How many events fit so far.
    #[must_use]
    pub fn count(&self, fits: impl Fn(&[String]) -> bool) -> usize {
        let list = self.events.0.lock();
        list.map_or(0, |list| list.iter().filter(|(_, e)| fits(e)).count())
    }

    /// The contacts as the client shows them: address, group, status, on or off line, name, and the
    /// name that the server tells.
    ///
    /// # Errors
    /// The driver does not answer.
    pub fn buddies(&mut self) -> Result<Vec<Event>> {
        self.command("buddies")?;
        let begin = self.seen;
        self.expect("the list of contacts", EVENT_LIMIT, |e| {
            e[0] == "buddies-end"
        })?;
        let list = self.events.0.lock();
        let list = list.map_err(|_| anyhow::anyhow!("event thread"))?;
        Ok(list[begin..self.seen]
            .iter()
            .filter(|(_, e)| e[0] == "buddy")
            .map(|(_, e)| e[1..].to_vec())
            .collect())
    }

    /// Waits until the contact list fits.
    ///
    /// # Errors
    /// It does not in time; the message holds the list.
    pub fn wait_for_buddies(
        &mut self,
        what: &str,
        fits: impl Fn(&[Event]) -> bool,
    ) -> Result<Vec<Event>> {
        let mut last = Vec::new();
        let found = eventually(what, EVENT_LIMIT, || {
            last = self.buddies().ok()?;
            fits(&last).then(|| last.clone())
        });
        found.with_context(|| {
            format!(
                "{} shows these contacts: {last:?}\n{}",
                self.address,
                self.debug_tail()
            )
        })
    }

    /// Signs off and ends the program.
    ///
    /// # Errors
    /// It does not end.
    pub fn sign_off(mut self) -> Result<()> {
        self.command("off")?;
        self.expect("signed off", EVENT_LIMIT, |e| e[0] == "signed-off")?;
        Ok(())
    }

    /// Ends the program without a chance to sign off.
    ///
    /// # Errors
    /// It cannot be ended.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// What the client itself printed about its work.
    #[must_use]
    pub fn debug(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn debug_tail(&self) -> String {
        let all = self.debug();
        let from = all.len().saturating_sub(12_000);
        let from = (from..all.len()).find(|at| all.is_char_boundary(*at));
        format!(
            "the end of SIPE's debug output:\n{}",
            &all[from.unwrap_or(0)..]
        )
    }
}

impl Drop for Sipe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A field as it was, without the scheme that SIPE puts before people's addresses.
fn field(written: &str) -> String {
    let written = written.strip_prefix("sip:").unwrap_or(written);
    let mut text = String::new();
    let mut chars = written.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(other) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    text
}
