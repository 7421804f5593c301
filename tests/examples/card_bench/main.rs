// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the way to a card costs: through pcscd with our own reader driver, and with vpcd.
//!
//! `card_bench FILE` stores its figures as JSON; `cargo xtask bench` runs it, in a namespace of its own.
//! Three cards go both ways: one in a file that costs next to nothing to open, so that the way is what
//! is measured, one in a file as people have it, and one in a software TPM.

#![allow(clippy::print_stdout)] // The figures are for a person as well.

mod card;
mod handshake;
mod insertion;
mod modules;

use anyhow::{Context as _, Result, ensure};
use card::{Authority, personalise};
use insertion::{Watch, insertions};
use lanyard_piv::{Algorithm, Command, DynamicAuthentication, Pin, Slot};
use lanyard_tests::namespace;
use lanyard_tests::pcsc::{Make, Pcscd};
use lanyard_tests::process::{Running, eventually, program};
use lanyard_tests::swtpm::Swtpm;
use lanyard_virtual_card::{CardName, CardSpec, KdfCost, KeeperChoice, Places, create};
use pcsc::{Context, Protocols, Scope, ShareMode, State};
use serde_json::{Value, json};
use std::ffi::CString;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

const PIN: &str = "35914782";
const PATIENCE: Duration = Duration::from_secs(30);
const ROUND_TRIPS: usize = 1000;
const SIGNATURES: usize = 200;

/// The cards that are measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// In a file, which costs next to nothing to open.
    OpenFile,
    /// In a file, as people have it.
    SealedFile,
    /// In a software TPM.
    Tpm,
}

impl Kind {
    const ALL: [Self; 3] = [Self::OpenFile, Self::SealedFile, Self::Tpm];

    const fn name(self) -> &'static str {
        match self {
            Self::OpenFile => "card in a file that opens at once",
            Self::SealedFile => "card in a sealed file",
            Self::Tpm => "card in the TPM (swtpm)",
        }
    }

    /// How many handshakes: each proves the PIN, which takes long on purpose where a file is sealed.
    const fn handshakes(self) -> u32 {
        match self {
            Self::SealedFile => 20,
            _ => 100,
        }
    }
}

fn main() -> Result<()> {
    let output = std::env::args().nth(1).context("usage: card_bench FILE")?;
    if output == modules::FOR_TPM2_PKCS11 {
        println!("{}", modules::inside_tpm2_pkcs11()?);
        return Ok(());
    }
    namespace::settle()?;
    let folder = tempfile::tempdir()?;
    let mut figures = json!({});
    for (name, make) in [("own driver", Make::Ours), ("vpcd", Make::Vpcd)] {
        let place = folder.path().join(name.replace(' ', "-"));
        std::fs::create_dir(&place)?;
        figures[name] = measure(make, &place).with_context(|| name.to_owned())?;
    }
    let place = folder.path().join("tpm2-pkcs11");
    figures["tpm2-pkcs11"] = json!({
        "signature P-256 by its PKCS #11, key in swtpm, us": modules::tpm2_pkcs11(&place)?,
    });
    let text = serde_json::to_string_pretty(&figures)?;
    println!("{text}");
    std::fs::write(output, text + "\n")?;
    Ok(())
}

fn measure(make: Make, folder: &Path) -> Result<Value> {
    let pcscd = Pcscd::start_with(make, folder, 2)?;
    let (inserted, removed) = insertions(&pcscd)?;
    let mut figures = json!({
        "insertion to notice, us": spread(inserted),
        "removal to notice, us": spread(removed),
    });
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let place = folder.join(number.to_string());
        std::fs::create_dir(&place)?;
        let measured = with_card(make, &pcscd, kind, &place);
        figures[kind.name()] = measured.with_context(|| kind.name())?;
        Watch::new(&pcscd, 0)?.until(State::EMPTY)?;
    }
    pcscd.stop()?;
    Ok(figures)
}

/// What one card does in the first reader.
fn with_card(make: Make, pcscd: &Pcscd, kind: Kind, folder: &Path) -> Result<Value> {
    let places = Places::new(
        &folder.join("data/lanyard/cards"),
        &folder.join("run/lanyard"),
    );
    let mut spec = CardSpec::new(CardName::parse("bench")?);
    let mut chip = None;
    match kind {
        Kind::OpenFile => spec.kdf = KdfCost::LEAST,
        Kind::SealedFile => {}
        Kind::Tpm => {
            let started = Swtpm::start(folder);
            spec.keeper = KeeperChoice::Tpm {
                device: started.device().parse()?,
                attestation: None,
            };
            chip = Some(started);
        }
    }
    create(&places, spec)?;
    let cardd = start_cardd(folder, &places, &pcscd.slot(0), make)?;
    let context = Context::establish(Scope::User)?;
    let reader = CString::new(pcscd.reader_name(0))?;
    let card = eventually("the card", PATIENCE, || {
        context
            .connect(&reader, ShareMode::Shared, Protocols::ANY)
            .ok()
    })?;
    let mut transmit = |command: &[u8]| -> Result<Vec<u8>> {
        let mut buffer = vec![0; pcsc::MAX_BUFFER_SIZE_EXTENDED];
        Ok(card.transmit(command, &mut buffer)?.to_vec())
    };
    let authority = Authority::new()?;
    personalise(&mut transmit, &places, &authority)?;

    let query = Command::verify_query().to_bytes()?;
    let round_trips = each(ROUND_TRIPS, || transmit(&query).map(|_| ()))?;
    transmit(&Command::verify(&Pin::parse(PIN)?).to_bytes()?)?;
    let sign = DynamicAuthentication::sign(vec![7; 32]);
    let sign = Command::use_key(Slot::Authentication, Algorithm::EccP256, &sign).to_bytes()?;
    let signatures = each(SIGNATURES, || {
        let answer = transmit(&sign)?;
        ensure!(answer.ends_with(&[0x90, 0]), "{answer:02X?}");
        Ok(())
    })?;
    card.disconnect(pcsc::Disposition::ResetCard)
        .map_err(|(_, error)| error)?;
    drop(context);
    let through_opensc = modules::opensc().context("OpenSC's PKCS #11")?;
    let mut pids = vec![pcscd.pid(), cardd.pid(), std::process::id()];
    pids.extend(chip.as_ref().map(Swtpm::pid));
    let (wall, cpu) = handshake::handshakes(&authority, kind.handshakes(), &pids)?;
    Ok(json!({
        "command, round trip, us": spread(round_trips),
        "signature P-256 by the card's own command, us": spread(signatures),
        "signature P-256 by OpenSC's PKCS #11, us": spread(through_opensc),
        "TLS handshake with the card, us": spread(wall),
        "CPU of program, pcscd, card daemon and TPM for each, us": cpu,
    }))
}

/// Median and 95th percentile, in microseconds.
fn spread(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |percent: usize| {
        let place = times.len().saturating_sub(1) * percent / 100;
        times.get(place).map_or(0, Duration::as_micros) as u64
    };
    json!({ "p50": at(50), "p95": at(95) })
}

fn each(count: usize, mut work: impl FnMut() -> Result<()>) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        work()?;
        times.push(began.elapsed());
    }
    Ok(times)
}

fn start_cardd(folder: &Path, places: &Places, slot: &str, make: Make) -> Result<Running> {
    let mut command = std::process::Command::new(program("lanyard-cardd"));
    command.arg("--foreground");
    match make {
        Make::Vpcd => command.args(["--reader", "none", "--vpcd", slot]),
        _ => command.args(["--reader", slot]),
    };
    command
        .env("HOME", folder)
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("XDG_RUNTIME_DIR", folder.join("run"))
        .env("LANYARD_LOG", "warn");
    let running = Running::start("lanyard-cardd", &mut command, &folder.join("cardd.log"))?;
    let socket = places.control();
    eventually("the daemon", PATIENCE, || {
        UnixStream::connect(&socket).ok().map(|_| ())
    })?;
    Ok(running)
}
