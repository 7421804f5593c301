// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon: looks which cards there are, and serves each.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lanyard_fault::Fault;
use lanyard_virtual_card::link::{
    ReaderChoice, SharedKeeper, SocketServer, Stop, Stopper, VpcdAddress, run_reader, run_vpcd,
    stop_pair,
};
use lanyard_virtual_card::{
    ClaimError, DaemonLock, HoldError, InstanceId, OpenError, Places, Presence, ReadError,
    TpmError, hold,
};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::control::Control;
use crate::manager;
use crate::problem::Problem;
use crate::watch::{Event, Watch};

/// What is printed when all cards are served.
pub const READY: &str = "ready";
/// How long the end waits for a card that is working. What it has promised is on the disk anyway.
const END_MAX: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Where cards are shown besides their own sockets.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// A reader of our own driver.
    pub reader: ReaderChoice,
    /// Virtual readers of vsmartcard, for tests.
    pub vpcd: Vec<VpcdAddress>,
}

/// Serves until a signal comes. `when_ready` runs after the word was printed.
pub fn run(shown: &Shown, when_ready: impl FnOnce() -> io::Result<()>) -> Result<(), Problem> {
    let places = Places::from_env()?;
    places.make_cards()?;
    places.make_run()?;
    let _lock = DaemonLock::claim(&places)?;
    // Keys are in memory while a PIN is verified: no core dumps, no debugger of the same person.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "the memory of this process cannot be protected");
    }
    let mut watch = Watch::start(places.cards())?;
    // Whoever connects meanwhile waits there until the cards are served.
    let control = Control::bind(&places)?;
    let slots = shown
        .vpcd
        .iter()
        .flat_map(VpcdAddress::slots)
        .map(Slot::free)
        .collect();
    let mut daemon = Daemon {
        places,
        reader: shown.reader.clone(),
        slots,
        served: BTreeMap::new(),
        ending: BTreeMap::new(),
        refused: BTreeMap::new(),
    };
    daemon.look();
    let control = control.start()?;
    writeln!(io::stdout(), "{READY}")?;
    io::stdout().flush()?;
    manager::tell("READY=1");
    when_ready()?;
    tracing::info!(cards = daemon.served.len(), "serving");
    while watch.wait()? == Event::Look {
        daemon.look();
    }
    tracing::info!("ending");
    manager::tell("STOPPING=1");
    drop(control);
    daemon.end();
    Ok(())
}

/// A slot of a vpcd, and the card in it.
struct Slot {
    address: VpcdAddress,
    card: Option<InstanceId>,
}

impl Slot {
    fn free(address: VpcdAddress) -> Self {
        Self {
            address,
            card: None,
        }
    }
}

struct Daemon {
    places: Places,
    reader: ReaderChoice,
    slots: Vec<Slot>,
    served: BTreeMap<InstanceId, Served>,
    /// Cards that are gone and still at work. Nobody waits for them; a new card in the place of such
    /// a one is served when it has ended.
    ending: BTreeMap<InstanceId, Served>,
    /// Cards that cannot be served, and what was logged about them: once, not every two seconds.
    refused: BTreeMap<InstanceId, String>,
}

impl Daemon {
    /// Takes in what is new and lets go of what is gone.
    fn look(&mut self) {
        self.ending.retain(|_, served| !served.has_ended());
        for instance in InstanceId::all() {
            let present = Presence::in_directory(&self.places.card(instance));
            if let Some(served) = self.served.get(&instance)
                && present != Some(served.presence)
            {
                self.remove(instance);
            }
            match present {
                Some(_) if self.ending.contains_key(&instance) => {}
                Some(_) if !self.served.contains_key(&instance) => self.insert(instance),
                None => {
                    self.refused.remove(&instance);
                }
                Some(_) => {}
            }
        }
    }

    /// Serves a card that has appeared.
    fn insert(&mut self, instance: InstanceId) {
        let slot = self.slots.iter().position(|slot| slot.card.is_none());
        let address = slot
            .and_then(|slot| self.slots.get(slot))
            .map(|slot| slot.address.clone());
        match Served::start(&self.places, instance, &self.reader, address) {
            Ok(served) => {
                self.refused.remove(&instance);
                self.served.insert(instance, served);
                if let Some(slot) = slot.and_then(|slot| self.slots.get_mut(slot)) {
                    slot.card = Some(instance);
                } else if !self.slots.is_empty() {
                    tracing::warn!(%instance, "no reader slot is free; the card has its socket");
                }
            }
            Err(error) => {
                let words = format!("{} [{}]", error.fault(), error.chain());
                if self.refused.get(&instance) != Some(&words) {
                    tracing::error!(%instance, code = error.fault().code(), "{words}");
                    self.refused.insert(instance, words);
                }
            }
        }
    }

    /// Takes a card that is gone out of its readers.
    fn remove(&mut self, instance: InstanceId) {
        if let Some(mut served) = self.served.remove(&instance) {
            served.stop();
            if !served.has_ended_soon() {
                tracing::warn!(%instance, "the card that was removed is still at work");
                self.ending.insert(instance, served);
            }
            tracing::info!(%instance, "card removed");
        }
        for slot in &mut self.slots {
            slot.card = slot.card.filter(|card| *card != instance);
        }
    }

    fn end(&mut self) {
        for served in self.served.values_mut() {
            served.stop();
        }
        let began = Instant::now();
        let cards = self.served.values().chain(self.ending.values());
        for served in cards {
            while !served.has_ended() && began.elapsed() < END_MAX {
                thread::sleep(LOOK_AGAIN);
            }
        }
    }
}

/// A card that is being served.
struct Served {
    presence: Presence,
    stopper: Option<Stopper>,
    threads: Vec<JoinHandle<()>>,
}

/// How long the daemon waits for a card that was taken away: long enough for all but the slowest
/// work.
const REMOVAL_MAX: Duration = Duration::from_millis(300);

/// Why a card is not served.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("the card cannot be held")]
    Hold(#[from] HoldError),
    #[error("the card's socket cannot be made")]
    Socket(#[source] io::Error),
    #[error("the system refused what serving needs")]
    System(#[from] io::Error),
}

impl ServeError {
    fn fault(&self) -> Fault {
        match self {
            Self::Hold(HoldError::Claim(ClaimError::InUse)) => Fault::VirtualCardInUse,
            Self::Hold(HoldError::Read(ReadError::Format(_))) => Fault::VirtualCardDamaged,
            Self::Hold(HoldError::Chip(error)) => match error {
                OpenError::Chip(TpmError::Absent(_)) => Fault::TpmAbsent,
                OpenError::Chip(TpmError::Denied(_)) => Fault::TpmDenied,
                OpenError::Chip(_) => Fault::TpmMute,
                _ => Fault::TpmForgot,
            },
            _ => Fault::LocalFile,
        }
    }

    fn chain(&self) -> String {
        let mut words = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            words = format!("{words}: {error}");
            cause = error.source();
        }
        words
    }
}

impl Served {
    fn start(
        places: &Places,
        instance: InstanceId,
        reader: &ReaderChoice,
        vpcd: Option<VpcdAddress>,
    ) -> Result<Self, ServeError> {
        let card = hold(places, instance)?;
        let presence = card.presence();
        let (guid, protection) = (card.guid(), card.protection());
        let card: SharedKeeper = card.share();
        let socket = SocketServer::bind(&places.socket(instance)).map_err(ServeError::Socket)?;
        let (stopper, stop) = stop_pair()?;
        let mut threads = Vec::new();
        let links = Links {
            socket,
            reader: reader.clone(),
            vpcd,
        };
        let spawned = spawn_all(&mut threads, instance, &card, &stop, links);
        let mut served = Self {
            presence,
            stopper: Some(stopper),
            threads,
        };
        if let Err(error) = spawned {
            served.stop();
            return Err(error.into());
        }
        tracing::info!(%instance, %guid, %protection, "card served");
        Ok(served)
    }

    /// Ends all sessions; those at work end when it is done.
    fn stop(&mut self) {
        self.stopper.take();
    }

    fn has_ended(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    fn has_ended_soon(&self) -> bool {
        let began = Instant::now();
        while !self.has_ended() {
            if began.elapsed() >= REMOVAL_MAX {
                return false;
            }
            thread::sleep(LOOK_AGAIN);
        }
        true
    }
}

/// The ways to one card.
struct Links {
    socket: SocketServer,
    reader: ReaderChoice,
    vpcd: Option<VpcdAddress>,
}

fn spawn_all(
    threads: &mut Vec<JoinHandle<()>>,
    instance: InstanceId,
    card: &SharedKeeper,
    stop: &Stop,
    links: Links,
) -> io::Result<()> {
    let name = |what: &str| thread::Builder::new().name(format!("{what} {}", instance.directory()));
    let Links {
        socket,
        reader,
        vpcd,
    } = links;
    let (shared, ends) = (card.clone(), stop.clone());
    threads.push(name("socket").spawn(move || socket.run(&shared, &ends))?);
    if reader != ReaderChoice::None {
        let (shared, ends) = (card.clone(), stop.clone());
        threads.push(name("reader").spawn(move || run_reader(&reader, &shared, &ends))?);
    }
    if let Some(address) = vpcd {
        let (shared, ends) = (card.clone(), stop.clone());
        threads.push(name("vpcd").spawn(move || run_vpcd(&address, &shared, &ends))?);
    }
    Ok(())
}
