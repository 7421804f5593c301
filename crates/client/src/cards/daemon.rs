// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon that holds the virtual cards: started when none runs, by the service manager where it listens
//! for it, else from beside this program or from PATH.

use std::env;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lanyard_fault::Fault;
use lanyard_virtual_card::{Daemon, InstanceId, Places as CardPlaces, Protection, daemon, list};

use crate::places::Places;
use crate::problem::Problem;

/// The daemon's program.
const PROGRAM: &str = "lanyard-cardd";
/// Time for the daemon to serve the cards, in milliseconds.
const START_MS_MAX: u64 = 5_000;
/// What the daemon says on its control socket when the cards are served.
const READY: &[u8] = b"ready\n";
const WORDS_BYTES_MAX: u64 = 64;
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
    let listed: Vec<_> = list(&cards)
        .into_iter()
        .filter_map(|listed| Some((listed.instance, listed.card.ok()?.protection)))
        .collect();
    if listed.is_empty() {
        return Ok(());
    }
    let end = Instant::now() + Duration::from_millis(START_MS_MAX);
    if daemon(&cards) == Daemon::Absent && !knock(&cards) {
        start()?;
    }
    // A card that was made just now is served a moment later.
    let all_there = || {
        listed
            .iter()
            .all(|(instance, _)| cards.socket(*instance).exists())
    };
    while !(all_there() && daemon(&cards) != Daemon::Absent) {
        if Instant::now() >= end {
            return late(&cards, &listed);
        }
        thread::sleep(Duration::from_millis(LOOK_AGAIN_MS));
    }
    Ok(())
}

/// Knocks where the service manager listens for the daemon, if it does: that starts it. True when
/// the cards are served.
fn knock(cards: &CardPlaces) -> bool {
    let limit = Some(Duration::from_millis(START_MS_MAX));
    let mut words = Vec::new();
    let heard = UnixStream::connect(cards.control()).and_then(|stream| {
        stream.set_read_timeout(limit)?;
        stream.take(WORDS_BYTES_MAX).read_to_end(&mut words)
    });
    heard.is_ok() && words == READY
}

/// What it means that not all cards are served in time. A TPM that does not answer keeps its cards
/// away, and the others go on without them.
fn late(cards: &CardPlaces, listed: &[(InstanceId, Protection)]) -> Result<(), Problem> {
    let (served, missing): (Vec<_>, Vec<_>) = listed
        .iter()
        .partition(|(instance, _)| cards.socket(*instance).exists());
    let only_chips = missing
        .iter()
        .all(|(_, protection)| *protection == Protection::Tpm);
    match daemon(cards) {
        Daemon::Absent => Err(Problem::new(Fault::CardDaemonUnavailable)),
        Daemon::Running { .. } if !only_chips => Err(Problem::new(Fault::CardDaemonUnavailable)),
        Daemon::Running { .. } if served.is_empty() => Err(Problem::new(Fault::TpmMute)),
        Daemon::Running { .. } => Ok(()),
    }
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
