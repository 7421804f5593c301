// SPDX-License-Identifier: MIT OR Apache-2.0
//! The firmware's platform in software: memory in files, random numbers of the operating system.
//!
//! The `virt` platform that comes with Trussed has random numbers of a constant seed: two fresh
//! cards of it make the same keys.

use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread;

use rand_core::OsRng;
use trussed::pipe::{ServiceEndpoint, TrussedChannel};
use trussed::platform;
use trussed::service::Service;
use trussed::types::CoreContext;
use trussed::virt::{StorageConfig, Store, StoreConfig, UserInterface};
use trussed_core::types::PathBuf;

use crate::backends::{BACKENDS, Backends};
use crate::card::Card;

/// The application's client of the platform.
pub type Client<'a> = trussed::ClientImplementation<'a, Call, Backends>;

struct Platform<'a> {
    random: OsRng,
    store: Store<'a>,
    interface: UserInterface,
}

impl<'a> platform::Platform for Platform<'a> {
    type R = OsRng;
    type S = Store<'a>;
    type UI = UserInterface;

    fn rng(&mut self) -> &mut OsRng {
        &mut self.random
    }

    fn store(&self) -> Store<'a> {
        self.store
    }

    fn user_interface(&mut self) -> &mut UserInterface {
        &mut self.interface
    }
}

/// Wakes the service's thread.
pub struct Call(Sender<()>);

impl platform::Syscall for Call {
    fn syscall(&mut self) {
        // The service ends only when this sender is dropped.
        let _ = self.0.send(());
    }
}

/// Runs one session of the card whose memory is in this directory.
pub fn with_card<T>(state: &Path, session: impl FnOnce(&mut Card<'_>) -> T) -> T {
    let mut memory = StoreConfig::ram();
    memory.internal = StorageConfig::filesystem(state.join("internal"));
    memory.external = StorageConfig::filesystem(state.join("external"));
    memory.with_store(|store| {
        let platform = Platform {
            random: OsRng,
            store,
            interface: UserInterface::new(),
        };
        let channel = TrussedChannel::new();
        let (requester, responder) = channel.split().expect("the channel is fresh");
        let name = PathBuf::try_from("piv").expect("a short name");
        let mut endpoints = [ServiceEndpoint::new(
            responder,
            CoreContext::new(name),
            BACKENDS,
        )];
        let mut service = Service::with_dispatch(platform, Backends::new());
        let (call, calls) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                while calls.recv().is_ok() {
                    service.process(&mut endpoints);
                }
            });
            let mut card = Card::new(Client::new(requester, Call(call), None));
            session(&mut card)
        })
    })
}
