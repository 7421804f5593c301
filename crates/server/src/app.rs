// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every part of a running server shares.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;
use lanyard_authority::{Authority, CardSecrets};
use lanyard_directory::{Directory, Snapshot};
use lanyard_enrol::Challenges;
use lanyard_store::Store;
use tokio::sync::watch;

use crate::config::Config;
use crate::credential::Closures;
use crate::data::DataDir;
use crate::federation::presence::Proofs;
use crate::sessions::{NoSessions, Sessions};

/// The shared state of a server. Made once by `serve` (or, without listeners, by a verb).
pub struct App {
    /// Where the files are.
    pub data: DataDir,
    /// The configuration in force; a reload replaces it.
    pub config: ArcSwap<Config>,
    /// The database. Its calls wait for the disk: use `spawn_blocking`, or the calls that take a
    /// closure for the answer.
    pub store: Store,
    /// People, groups and policies in memory.
    pub directory: Directory,
    /// The authority that issues and withdraws certificates.
    pub authority: Authority,
    /// What the keys of cards are derived from.
    pub card_secrets: ArcSwap<CardSecrets>,
    /// Whether a new revocation list has to be made although the old one is still fresh: at the
    /// start, and when the one after a withdrawal could not be made.
    pub(crate) list_is_due: AtomicBool,
    /// Challenges for TPMs that were begun and not yet answered.
    pub(crate) challenges: Mutex<Challenges>,
    /// When cards last showed that they are there.
    pub proofs: Proofs,
    /// Who lost the way of the password while this server runs.
    pub closures: Closures,
    /// One administrative change at a time, so that memory follows the database in its order.
    pub(crate) changes: Mutex<()>,
    sessions: OnceLock<Arc<dyn Sessions>>,
    reload: OnceLock<Box<ReloadTls>>,
    stop: watch::Sender<bool>,
}

/// Loads the TLS identities again; says in words what could not be done.
pub type ReloadTls = dyn Fn(&Config) -> Result<(), String> + Send + Sync;

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        data: DataDir,
        config: Config,
        store: Store,
        authority: Authority,
        card_secrets: CardSecrets,
        snapshot: Snapshot,
    ) -> Self {
        Self {
            data,
            config: ArcSwap::from_pointee(config),
            store,
            directory: Directory::new(snapshot),
            authority,
            card_secrets: ArcSwap::from_pointee(card_secrets),
            list_is_due: AtomicBool::new(true),
            challenges: Mutex::default(),
            proofs: Proofs::default(),
            closures: Closures::default(),
            changes: Mutex::new(()),
            sessions: OnceLock::new(),
            reload: OnceLock::new(),
            stop: watch::Sender::new(false),
        }
    }

    /// Names the part that holds the live sessions. Only the first call counts.
    pub fn set_sessions(&self, sessions: Arc<dyn Sessions>) {
        let _ = self.sessions.set(sessions);
    }

    /// Names what loads the TLS identities again on a reload. Only the first call counts.
    pub fn set_reload_tls(&self, reload: Box<ReloadTls>) {
        let _ = self.reload.set(reload);
    }

    /// The live sessions.
    #[must_use]
    pub fn sessions(&self) -> &dyn Sessions {
        self.sessions
            .get()
            .map_or(&NoSessions, |sessions| sessions.as_ref())
    }

    /// Loads the TLS identities again, as far as somebody has said how.
    ///
    /// # Errors
    /// What could not be done; the old identities stay in force.
    pub fn reload_tls(&self, config: &Config) -> Result<(), String> {
        self.reload.get().map_or(Ok(()), |reload| reload(config))
    }

    /// Becomes true when the server is to stop.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Tells every part to stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}
