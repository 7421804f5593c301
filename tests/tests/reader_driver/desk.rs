// SPDX-License-Identifier: MIT OR Apache-2.0
//! A desk with a pcscd that has readers of our own driver, daemons with cards, and a program.

use anyhow::{Context as _, Result, bail};
use lanyard_piv::{
    Algorithm, Command, DynamicAuthentication, ManagementAlgorithm, ManagementKey, NewPin, Pin,
    Response, Slot,
};
use lanyard_tests::pcsc::{Make, Pcscd};
use lanyard_tests::process::{Running, eventually, program};
use lanyard_virtual_card::{CardName, CardSpec, InstanceId, KdfCost, Places, create};
use pcsc::{Card, Context, Disposition, Protocols, ReaderState, Scope, ShareMode, State};
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long anything may take. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The PIN of a new card.
pub const TRANSPORT_PIN: &str = "12345678";

/// pcscd with readers, and a folder for everything.
pub struct Desk {
    pub folder: tempfile::TempDir,
    pub pcscd: Pcscd,
}

impl Desk {
    pub fn new(make: Make, readers: u16) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let pcscd = Pcscd::start_with(make, folder.path(), readers)?;
        Ok(Self { folder, pcscd })
    }

    /// A person with so many blank cards, which lie nowhere yet.
    pub fn person(&self, name: &str, cards: usize) -> Result<Owner> {
        Owner::new(&self.folder.path().join(name), cards)
    }

    /// The PC/SC name of a slot.
    pub fn name(&self, reader: u16, slot: u16) -> String {
        let first = self.pcscd.reader_name(reader);
        format!("{}{slot:02X}", first.strip_suffix("00").unwrap_or(&first))
    }
}

/// A person with virtual cards, and the daemon that holds them.
pub struct Owner {
    root: PathBuf,
    pub places: Places,
    daemon: Option<Running>,
}

impl Owner {
    pub fn new(root: &Path, cards: usize) -> Result<Self> {
        let places = Places::new(&root.join("data/lanyard/cards"), &root.join("run/lanyard"));
        for number in 0..cards {
            let mut spec = CardSpec::new(CardName::parse(&format!("card {number}"))?);
            spec.kdf = KdfCost::LEAST;
            create(&places, spec)?;
        }
        std::fs::create_dir_all(root.join("run"))?;
        Ok(Self {
            root: root.into(),
            places,
            daemon: None,
        })
    }

    /// Starts the daemon with a reader.
    pub fn start(&mut self, reader: &str) -> Result<()> {
        let mut command = std::process::Command::new(program("lanyard-cardd"));
        command.args(["--foreground", "--reader", reader]);
        self.run(&mut command)
    }

    /// Starts the daemon by this command.
    pub fn run(&mut self, command: &mut std::process::Command) -> Result<()> {
        command
            .env("HOME", &self.root)
            .env("XDG_DATA_HOME", self.root.join("data"))
            .env("XDG_RUNTIME_DIR", self.root.join("run"))
            .env("LANYARD_LOG", "debug");
        let mut running = Running::start("lanyard-cardd", command, &self.log())?;
        let control = self.places.control();
        // Each daemon makes its control socket anew; the log may hold an earlier "ready".
        let up = eventually("the daemon is ready", PATIENCE, || {
            use std::io::Read;
            let mut stream = std::os::unix::net::UnixStream::connect(&control).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            let mut words = String::new();
            stream.read_to_string(&mut words).ok()?;
            (words == "ready\n").then_some(())
        });
        up.with_context(|| format!("alive: {}\n{}", running.is_alive(), running.printed()))?;
        self.daemon = Some(running);
        Ok(())
    }

    pub fn log(&self) -> PathBuf {
        self.root.join("cardd.log")
    }

    pub fn daemon(&mut self) -> Result<&mut Running> {
        self.daemon.as_mut().context("no daemon")
    }

    /// Stops the daemon in the middle of whatever it does: it hangs, every thread of it.
    pub fn stall(&mut self) -> Result<()> {
        let daemon = self.daemon()?;
        daemon.signal("STOP")?;
        let tasks = format!("/proc/{}/task", daemon.pid());
        eventually("the daemon hangs", PATIENCE, || {
            let stopped = std::fs::read_dir(&tasks).ok()?.flatten().all(|task| {
                let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                // The state follows the name, which ends with the last bracket.
                stat.rsplit_once(')')
                    .is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
            });
            stopped.then_some(())
        })
    }

    /// Kills the daemon as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("no daemon")?;
        daemon.signal("KILL")?;
        daemon.wait_end(PATIENCE)?;
        Ok(())
    }

    pub fn instance(number: u16) -> Result<InstanceId> {
        Ok(number.to_string().parse()?)
    }
}

/// A program that uses PC/SC.
pub struct Program(pub Context);

impl Program {
    pub fn new() -> Result<Self> {
        Ok(Self(Context::establish(Scope::User)?))
    }

    /// Waits until this reader is in this state, by the service's own notifications.
    pub fn wait(&self, reader: &str, state: State) -> Result<()> {
        let mut looks = [ReaderState::new(CString::new(reader)?, State::UNAWARE)];
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(std::time::Instant::now());
            match self.0.get_status_change(left, &mut looks) {
                Ok(()) => {}
                Err(pcsc::Error::Timeout) => bail!("{reader} is not {state:?}"),
                Err(error) => return Err(error).with_context(|| reader.to_owned()),
            }
            let [look] = &mut looks;
            if look.event_state().contains(state) && !look.event_state().contains(State::MUTE) {
                return Ok(());
            }
            look.sync_current_state();
        }
    }

    pub fn comes(&self, reader: &str) -> Result<()> {
        self.wait(reader, State::PRESENT)
    }

    pub fn goes(&self, reader: &str) -> Result<()> {
        self.wait(reader, State::EMPTY)
    }

    pub fn connect(&self, reader: &str) -> Result<Session> {
        let card = self
            .0
            .connect(&CString::new(reader)?, ShareMode::Shared, Protocols::ANY)
            .with_context(|| reader.to_owned())?;
        Ok(Session(Some(card)))
    }

    /// Connects when the card has come; a moment before, it may have been another.
    pub fn card(&self, reader: &str) -> Result<Session> {
        eventually(reader, PATIENCE, || {
            self.comes(reader).ok()?;
            let mut session = self.connect(reader).ok()?;
            (session.status(&Command::select()).ok()? == 0x9000).then_some(session)
        })
    }
}

/// A connection to a card.
pub struct Session(Option<Card>);

impl Session {
    pub fn card(&self) -> Result<&Card> {
        self.0.as_ref().context("no card")
    }

    pub fn bytes(&self, command: &[u8]) -> Result<Vec<u8>, pcsc::Error> {
        let card = self.0.as_ref().ok_or(pcsc::Error::InvalidHandle)?;
        let mut buffer = vec![0; pcsc::MAX_BUFFER_SIZE_EXTENDED];
        Ok(card.transmit(command, &mut buffer)?.to_vec())
    }

    pub fn exchange(&mut self, command: &Command) -> Result<Response> {
        let answer = self.bytes(&command.to_bytes()?)?;
        Ok(Response::parse(&answer)?)
    }

    pub fn status(&mut self, command: &Command) -> Result<u16> {
        Ok(self.exchange(command)?.status().value())
    }

    /// Forgets what was verified.
    pub fn reset(mut self) -> Result<()> {
        if let Some(card) = self.0.take() {
            card.disconnect(Disposition::ResetCard)
                .map_err(|(_, error)| error)?;
        }
        Ok(())
    }

    pub fn tries_left(&mut self) -> Result<u8> {
        let status = self.exchange(&Command::verify_query())?.status();
        status.tries_left().context("verified or blocked")
    }

    pub fn prove_management(&mut self) -> Result<()> {
        let (key, algorithm) = (ManagementKey::blank_card(), ManagementAlgorithm::Aes192);
        let ask = DynamicAuthentication::request_witness();
        let answer = self.exchange(&Command::authenticate_management(algorithm, &ask))?;
        let asked = DynamicAuthentication::parse(answer.data())?;
        let witness = key.decrypt(algorithm, asked.witness.as_deref().context("no witness")?)?;
        let prove = DynamicAuthentication::prove(witness, vec![1; 16]);
        let status = self.status(&Command::authenticate_management(algorithm, &prove))?;
        if status != 0x9000 {
            bail!("the management key is refused: {status:04X}");
        }
        Ok(())
    }

    pub fn generate(&mut self, algorithm: Algorithm) -> Result<()> {
        self.prove_management()?;
        let status = self.status(&Command::generate(Slot::Authentication, algorithm))?;
        if status != 0x9000 {
            bail!("no key was made: {status:04X}");
        }
        Ok(())
    }

    /// Whether the card signs with this PIN.
    pub fn signs_with(&mut self, text: &str) -> Result<bool> {
        let sign = DynamicAuthentication::sign(vec![7; 32]);
        let sign = Command::use_key(Slot::Authentication, Algorithm::EccP256, &sign);
        Ok(self.status(&Command::verify(&pin(text)?))? == 0x9000 && self.status(&sign)? == 0x9000)
    }
}

pub fn pin(text: &str) -> Result<Pin> {
    Ok(Pin::parse(text)?)
}

pub fn change(old: &str, new: &str) -> Result<Command> {
    Ok(Command::change_pin(
        &pin(old)?,
        &NewPin::check(pin(new)?, None)?,
    ))
}
