// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon that holds the virtual cards: found beside this program or in PATH, started when none runs.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lanyard_fault::Fault;
use lanyard_virtual_card::{Daemon, Places as CardPlaces, daemon, list};

use crate::places::Places;
use crate::problem::Problem;

/// The daemon's program.
const PROGRAM: &str = "lanyard-cardd";
/// Time for the daemon to serve the cards, in milliseconds.
const START_MS_MAX: u64 = 5_000;
/// Pause between two looks, in milliseconds.
const LOOK_AGAIN_MS: u64 = 25;

/// The places in the words of the virtual cards.
pub(super) fn card_places(places: &Places) -> CardPlaces {
    CardPlaces::new(&places.cards(), &places.runtime)
}

/// Sees to it that the person's virtual cards are served. Without virtual cards there is nothing to do.
///
/// # Errors
/// When the daemon cannot be started.
pub fn ensure_daemon(places: &Places) -> Result<(), Problem> {
    let cards = card_places(places);
    // A card whose file is damaged is not served, and does not keep the others waiting.
    let instances: Vec<_> = list(&cards)
        .into_iter()
        .filter(|card| card.card.is_ok())
        .map(|card| card.instance)
        .collect();
    if instances.is_empty() {
        return Ok(());
    }
    let end = Instant::now() + Duration::from_millis(START_MS_MAX);
    if daemon(&cards) == Daemon::Absent {
        start()?;
    }
    // A card that was made just now is served a moment later.
    let all_there = || {
        instances
            .iter()
            .all(|instance| cards.socket(*instance).exists())
    };
    while !(all_there() && daemon(&cards) != Daemon::Absent) {
        if Instant::now() >= end {
            return Err(Problem::new(Fault::CardDaemonUnavailable));
        }
        thread::sleep(Duration::from_millis(LOOK_AGAIN_MS));
    }
    Ok(())
}

fn start() -> Result<(), Problem> {
    let beside = env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join(PROGRAM)));
    let program = beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from(PROGRAM));
    let mut child = Command::new(program)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| {
            let detail = format!("{PROGRAM} cannot be started: {error}.");
            Problem::new(Fault::CardDaemonUnavailable).with_detail(detail)
        })?;
    // It goes on without us; waiting only keeps it from becoming a zombie.
    thread::spawn(move || drop(child.wait()));
    Ok(())
}
