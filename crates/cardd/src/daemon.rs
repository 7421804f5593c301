// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon: looks which cards there are, and serves each.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use lanyard_fault::Fault;
use lanyard_virtual_card::link::{
    SharedKeeper, SocketServer, Stop, Stopper, VpcdAddress, run_vpcd, stop_pair,
};
use lanyard_virtual_card::{
    ClaimError, DaemonLock, HoldError, InstanceId, Keeper, Places, Presence, ReadError, hold,
};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::problem::Problem;
use crate::watch::{Event, Watch};

/// What is printed when all cards are served.
pub const READY: &str = "ready";

/// Serves until a signal comes. `when_ready` runs after the word was printed.
pub fn run(
    vpcd: &[VpcdAddress],
    when_ready: impl FnOnce() -> io::Result<()>,
) -> Result<(), Problem> {
    let places = Places::from_env()?;
    places.make_cards()?;
    places.make_run()?;
    let _lock = DaemonLock::claim(&places)?;
    // Keys are in memory while a PIN is verified: no core dumps, no debugger of the same person.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "the memory of this process cannot be protected");
    }
    let mut watch = Watch::start(places.cards())?;
    let slots = vpcd
        .iter()
        .flat_map(VpcdAddress::slots)
        .map(Slot::free)
        .collect();
    let mut daemon = Daemon {
        places,
        slots,
        served: BTreeMap::new(),
        refused: BTreeMap::new(),
    };
    daemon.look();
    writeln!(io::stdout(), "{READY}")?;
    io::stdout().flush()?;
    when_ready()?;
    tracing::info!(cards = daemon.served.len(), "serving");
    while watch.wait()? == Event::Look {
        daemon.look();
    }
    tracing::info!("ending");
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
    slots: Vec<Slot>,
    served: BTreeMap<InstanceId, Served>,
    /// Cards that cannot be served, and what was logged about them: once, not every two seconds.
    refused: BTreeMap<InstanceId, String>,
}

impl Daemon {
    /// Takes in what is new and lets go of what is gone.
    fn look(&mut self) {
        for instance in InstanceId::all() {
            let present = Presence::in_directory(&self.places.card(instance));
            if let Some(served) = self.served.get(&instance)
                && present != Some(served.presence)
            {
                self.remove(instance);
            }
            match present {
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
        match Served::start(&self.places, instance, address) {
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
        if let Some(served) = self.served.remove(&instance) {
            served.end();
            tracing::info!(%instance, "card removed");
        }
        for slot in &mut self.slots {
            slot.card = slot.card.filter(|card| *card != instance);
        }
    }

    fn end(&mut self) {
        for (_, served) in std::mem::take(&mut self.served) {
            served.end();
        }
    }
}

/// A card that is being served.
struct Served {
    presence: Presence,
    stopper: Stopper,
    threads: Vec<JoinHandle<()>>,
}

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
        vpcd: Option<VpcdAddress>,
    ) -> Result<Self, ServeError> {
        let card = hold(places, instance)?;
        let presence = card.presence()?;
        let (guid, protection) = (card.guid(), card.protection());
        let card: SharedKeeper = Arc::new(Mutex::new(card));
        let socket = SocketServer::bind(&places.socket(instance)).map_err(ServeError::Socket)?;
        let (stopper, stop) = stop_pair()?;
        let mut threads = Vec::new();
        let spawned = spawn_all(&mut threads, instance, card, stop, socket, vpcd);
        let served = Self {
            presence,
            stopper,
            threads,
        };
        if let Err(error) = spawned {
            served.end();
            return Err(error.into());
        }
        tracing::info!(%instance, %guid, %protection, "card served");
        Ok(served)
    }

    /// Ends all sessions and waits for them.
    fn end(self) {
        drop(self.stopper);
        for thread in self.threads {
            // A thread that panicked has ended, too.
            let _ = thread.join();
        }
    }
}

fn spawn_all(
    threads: &mut Vec<JoinHandle<()>>,
    instance: InstanceId,
    card: SharedKeeper,
    stop: Stop,
    socket: SocketServer,
    vpcd: Option<VpcdAddress>,
) -> io::Result<()> {
    let name = |what: &str| thread::Builder::new().name(format!("{what} {}", instance.directory()));
    let (shared, ends) = (card.clone(), stop.clone());
    threads.push(name("socket").spawn(move || socket.run(&shared, &ends))?);
    if let Some(address) = vpcd {
        threads.push(name("vpcd").spawn(move || run_vpcd(&address, &card, &stop))?);
    }
    Ok(())
}
