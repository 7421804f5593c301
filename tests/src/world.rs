// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole deployment in a namespace: server, pcscd, people with their cards.

use crate::namespace::in_own_namespace;
use crate::pcsc::Pcscd;
use crate::person::{CardPath, Person};
use crate::process::{Running, at_another_time, eventually, program};
use crate::server::{Ports, Server};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A deployment of one test. What it starts ends with it.
#[derive(Debug)]
pub struct World {
    /// People, cards, server: everything lies below it.
    pub folder: PathBuf,
    /// The server.
    pub server: Server,
    /// The card daemons of people.
    pub daemons: Vec<Running>,
    /// The smart-card service.
    pub pcscd: Pcscd,
    readers_used: u16,
    _dir: tempfile::TempDir,
}

/// What a row of the acceptance script is told with.
const READERS: u16 = 4;

/// Runs a test in a namespace of its own with a server that runs and an empty pcscd.
///
/// On failure the message ends with the server's log.
pub fn in_a_world(name: &str, body: impl FnOnce(&mut World) -> Result<()>) {
    in_own_namespace(name, || {
        let mut world = World::new()?;
        let result = body(&mut world);
        result.map_err(|error| {
            let log = std::fs::read_to_string(world.server.log_file()).unwrap_or_default();
            anyhow::anyhow!(
                "{error:#}
-- the server's log --
{log}"
            )
        })
    });
}

impl World {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let folder = dir.path().to_path_buf();
        let pcscd = Pcscd::start_ours(&folder, READERS)?;
        let mut server = Server::init(&folder, Ports::WELL_KNOWN)?;
        server.start()?;
        Ok(Self {
            folder,
            server,
            daemons: Vec::new(),
            pcscd,
            readers_used: 0,
            _dir: dir,
        })
    }

    /// A computer for a person, reaching cards through pcscd; names lead where a rule says.
    ///
    /// # Errors
    /// Its folders cannot be made.
    pub fn computer(&self, name: &str, address: &str) -> Result<Person> {
        Person::new(
            &self.folder.join(name),
            address,
            &self.server,
            CardPath::Pcsc,
            true,
        )
    }

    /// Adds a person to the directory.
    ///
    /// # Errors
    /// The verb failed.
    pub fn add_user(&self, address: &str, more: &[&str]) -> Result<()> {
        let mut arguments = vec!["user", "add", address];
        arguments.extend(more);
        self.server.must(&arguments)?;
        Ok(())
    }

    /// The address of a reader that nothing was put into yet.
    pub fn next_slot(&mut self) -> String {
        let slot = self.pcscd.slot(self.readers_used);
        self.readers_used += 1;
        slot
    }

    /// Starts a person's card daemon with a reader of its own.
    ///
    /// # Errors
    /// It did not start.
    pub fn start_cardd(&mut self, person: &Person) -> Result<()> {
        let slot = self.next_slot();
        self.daemons.push(person.start_cardd(Some(&slot))?);
        Ok(())
    }

    /// A person with a directory entry, a computer, and a virtual card that is enrolled.
    ///
    /// # Errors
    /// A step failed.
    pub fn enrolled(&mut self, address: &str, pin: &str) -> Result<Person> {
        self.enrolled_with(address, pin, &[])
    }

    /// As [`World::enrolled`], with more options of `card create`.
    ///
    /// # Errors
    /// A step failed.
    pub fn enrolled_with(&mut self, address: &str, pin: &str, more: &[&str]) -> Result<Person> {
        let name = address.split('@').next().unwrap_or(address).to_owned();
        self.add_user(address, &[])?;
        let person = self.computer(&name, address)?;
        self.start_cardd(&person)?;
        person.create_card(&format!("{name}'s card"), more)?;
        self.wait_for_cards(&person, 1)?;
        person.enrol(&self.server.enrol_code(address)?, pin)?;
        Ok(person)
    }

    /// Another date for the server and a person's programs from now on: so many days from today.
    ///
    /// # Errors
    /// A step failed.
    pub fn go_to(&mut self, person: &mut Person, days: i64) -> Result<()> {
        person.run(&["exit"], &[])?;
        let time = at_another_time(days * 24 * 3600);
        for word in &time {
            let (key, value) = word.split_once('=').context("no assignment")?;
            person.set_environment(key, value);
        }
        self.server.stop()?;
        let program = program("lanyard-server").display().to_string();
        let words: Vec<&str> = time.iter().map(String::as_str).chain([&*program]).collect();
        self.server.start_as(Path::new("env"), &words)
    }

    /// Waits until the person's programs see so many cards.
    ///
    /// # Errors
    /// They do not in time.
    pub fn wait_for_cards(&self, person: &Person, count: usize) -> Result<()> {
        eventually(
            &format!("{count} cards are seen"),
            Duration::from_secs(15),
            || {
                let output = person.run(&["card", "list", "--json"], &[]).ok()?;
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                (text.matches("\"guid\"").count() >= count).then_some(())
            },
        )
    }

    /// Waits until the person's programs see no card, not even one that is just leaving.
    ///
    /// # Errors
    /// They still see one after a while.
    pub fn wait_for_empty_readers(&self, person: &Person) -> Result<()> {
        eventually("no card is seen", Duration::from_secs(30), || {
            let output = person.run(&["card", "list", "--json"], &[]).ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            // A card that is being pulled out is silent for a moment before it is gone.
            (!text.contains("\"guid\"") && !text.contains("LY-1203")).then_some(())
        })
    }

    /// The addresses of the sessions that the server holds.
    ///
    /// # Errors
    /// The verb failed.
    pub fn sessions(&self) -> Result<Vec<String>> {
        let value = self.server.json(&["session", "list"])?;
        let list = value.as_array().or_else(|| value["sessions"].as_array());
        let list = list.with_context(|| format!("no list: {value}"))?;
        Ok(list
            .iter()
            .filter_map(|s| s["address"].as_str())
            .map(str::to_owned)
            .collect())
    }

    /// Fails unless the person is signed in, as the client and the server see it.
    ///
    /// # Errors
    /// They are not.
    pub fn must_be_signed_in(&self, person: &Person) -> Result<()> {
        let status = person.json(&["status"])?;
        if status["stage"] != "signed-in" {
            bail!(
                "the client of {} is not signed in: {status}",
                person.address
            );
        }
        if !self.sessions()?.contains(&person.address) {
            bail!("the server holds no session of {}", person.address);
        }
        Ok(())
    }
}
