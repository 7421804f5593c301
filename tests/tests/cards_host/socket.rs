// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our own virtual card by its socket, where no PC/SC service is needed.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lanyard_card::{
    CardFault, CardKind, CardPath, CardSession, CardWay, Cards, LastTry, PinStatus, Scheme,
};
use lanyard_piv::{Algorithm, ManagementKey, Slot};
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::pcsc::Pcscd;
use lanyard_tests::process::{Running, eventually, program};
use lanyard_virtual_card::{CardName, CardSpec, Places, create};

use crate::desk::{LIMIT, PATIENCE, PIN, WRONG_PIN, check, new_pin, pin};

pub const TRANSPORT_PIN: &str = "12345678";

pub struct Home {
    pub folder: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
        })
    }

    fn sockets(&self) -> PathBuf {
        self.folder.path().join("run/lanyard/cards")
    }

    fn cards(&self) -> Cards {
        Cards::new(CardWay::Socket, Some(self.sockets())).with_exchange_limit(LIMIT)
    }

    fn serve_virtual_card(&self) -> Result<Running> {
        self.serve(&[])
    }

    pub fn serve(&self, arguments: &[&str]) -> Result<Running> {
        let folder = self.folder.path();
        let places = Places::new(
            &folder.join("data/lanyard/cards"),
            &folder.join("run/lanyard"),
        );
        create(&places, CardSpec::new(CardName::parse("socket")?))?;
        self.serve_again(arguments)
    }

    /// Serves the card that is there.
    pub fn serve_again(&self, arguments: &[&str]) -> Result<Running> {
        let folder = self.folder.path();
        let mut command = std::process::Command::new(program("lanyard-cardd"));
        command
            .arg("--foreground")
            .args(arguments)
            .env("XDG_DATA_HOME", folder.join("data"))
            .env("XDG_RUNTIME_DIR", folder.join("run"))
            .env("LANYARD_CARDD_READER", "none");
        let mut running = Running::start("lanyard-cardd", &mut command, &folder.join("cardd.log"))?;
        running.wait_printed("ready", PATIENCE)?;
        Ok(running)
    }
}

fn open(cards: &Cards) -> Result<CardSession> {
    let listing = cards.list()?;
    let card = listing.cards().next().context("a card")?;
    Ok(cards.open(&card.reader)?)
}

#[test]
fn our_own_card_is_used_by_its_socket_from_blank_to_signing() -> Result<()> {
    let home = Home::new()?;
    let cards = home.cards();
    ensure!(cards.list()?.why_no_card() == Some(CardFault::NoReader));
    let _cardd = home.serve_virtual_card()?;
    let card = eventually("the card", PATIENCE, || {
        cards.list().ok()?.cards().next().cloned()
    })?;
    ensure!(
        card.kind == CardKind::VirtualFile && card.guid.is_some(),
        "{card:?}"
    );
    ensure!(
        card.pin.is_default == Some(true) && card.pin.tries_left == Some(3),
        "{card:?}"
    );

    let mut session = open(&cards)?;
    session.authenticate_admin(&ManagementKey::blank_card())?;
    let key = session.generate(Slot::Authentication, Algorithm::EccP256)?;
    let presence = session.generate(Slot::CardAuthentication, Algorithm::EccP384)?;
    drop(session);
    // With the management key authenticated it would sign: that is the enrolment station's way.
    let mut session = open(&cards)?;
    session.verify(&pin(TRANSPORT_PIN), LastTry::Refuse)?;
    let early = session.sign(Slot::Authentication, Scheme::EcdsaP256Sha256, b"too early");
    ensure!(early == Err(CardFault::PinMustChange), "{:?}", early.err());
    session.change_pin(&pin(TRANSPORT_PIN), &new_pin(PIN), LastTry::Refuse)?;
    session.verify(&pin(PIN), LastTry::Refuse)?;
    let signature = session.sign(Slot::Authentication, Scheme::EcdsaP256Sha256, b"message")?;
    check(&key, Scheme::EcdsaP256Sha256, b"message", &signature)?;
    let signature = session.sign(Slot::CardAuthentication, Scheme::EcdsaP384Sha384, b"here")?;
    check(&presence, Scheme::EcdsaP384Sha384, b"here", &signature)?;
    drop(session);

    let mut session = open(&cards)?;
    ensure!(session.pin_status()? == PinStatus::TriesLeft(3));
    let wrong = session.verify(&pin(WRONG_PIN), LastTry::Refuse);
    ensure!(wrong == Err(CardFault::WrongPin { tries_left: 2 }));
    let signed = session.sign(Slot::Authentication, Scheme::EcdsaP256Sha256, b"message");
    ensure!(signed == Err(CardFault::PinNotVerified));
    Ok(())
}

#[test]
fn a_card_seen_both_ways_is_one_card_and_used_through_the_reader() {
    in_own_namespace(
        "socket::a_card_seen_both_ways_is_one_card_and_used_through_the_reader",
        || {
            let home = Home::new()?;
            let pcscd = Pcscd::start(home.folder.path(), 1)?;
            let cardd = home.serve(&["--vpcd", &pcscd.slot(0)])?;
            let cards = Cards::new(CardWay::Auto, Some(home.sockets())).with_exchange_limit(LIMIT);
            let card = eventually("the card in the reader", PATIENCE, || {
                let listing = cards.list().ok()?;
                let mut found = listing.cards();
                let card = found
                    .next()
                    .filter(|card| card.reader.path == CardPath::Pcsc)?;
                found.next().is_none().then(|| card.clone())
            })?;
            ensure!(card.kind == CardKind::VirtualFile, "{card:?}");
            let mut session = cards.open(&card.reader)?;
            session.authenticate_admin(&ManagementKey::blank_card())?;
            let key = session.generate(Slot::CardAuthentication, Algorithm::EccP256)?;
            drop(session);

            // The service goes; the same card is still there by its socket.
            pcscd.stop()?;
            let listing = cards.list()?;
            ensure!(
                listing.pcsc_fault == Some(CardFault::NoService),
                "{listing:?}"
            );
            let by_socket = listing.cards().next().context("by its socket")?;
            ensure!(by_socket.reader.path == CardPath::Socket && by_socket.guid == card.guid);
            let mut session = cards.open(&by_socket.reader)?;
            session.verify(&pin(TRANSPORT_PIN), LastTry::Refuse)?;
            let new = new_pin(PIN);
            session.change_pin(&pin(TRANSPORT_PIN), &new, LastTry::Refuse)?;
            let scheme = Scheme::EcdsaP256Sha256;
            let signature = session.sign(Slot::CardAuthentication, scheme, b"here")?;
            check(&key, scheme, b"here", &signature)?;
            drop(cardd);
            Ok(())
        },
    );
}

#[test]
fn a_card_whose_daemon_dies_is_removed() -> Result<()> {
    let home = Home::new()?;
    let mut cardd = home.serve_virtual_card()?;
    let cards = home.cards();
    let mut session = open(&cards)?;
    let reader = session.reader().clone();
    cardd.signal("KILL")?;
    cardd.wait_end(PATIENCE)?;
    ensure!(session.pin_status() == Err(CardFault::Removed));
    // Its socket is still in the directory, and nobody behind it.
    ensure!(cards.open(&reader).err() == Some(CardFault::NoCard));
    ensure!(cards.list()?.why_no_card() == Some(CardFault::NoCard));
    Ok(())
}

/// Plays a card that says only what this closure says.
fn play(
    home: &Home,
    mut talk: impl FnMut(std::os::unix::net::UnixStream) + Send + 'static,
) -> Result<()> {
    std::fs::create_dir_all(home.sockets())?;
    let listener = UnixListener::bind(home.sockets().join("0000.sock"))?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            talk(stream);
        }
    });
    Ok(())
}

#[test]
fn a_socket_that_is_silent_or_trickles_is_mute_within_the_limit() -> Result<()> {
    for trickle in [false, true] {
        let home = Home::new()?;
        play(&home, move |mut stream| {
            // A length, then a byte now and then: each one well within the limit.
            let _ = stream.write_all(&[1, 0]);
            while trickle && stream.write_all(&[0]).is_ok() {
                std::thread::sleep(Duration::from_millis(200));
            }
            let _ = stream.read_to_end(&mut Vec::new());
        })?;
        let start = Instant::now();
        let listing = home
            .cards()
            .with_exchange_limit(Duration::from_secs(1))
            .list()?;
        ensure!(
            listing.why_no_card() == Some(CardFault::CardMute),
            "{listing:?}"
        );
        ensure!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    }
    Ok(())
}

#[test]
fn a_socket_that_talks_nonsense_is_no_card() -> Result<()> {
    let home = Home::new()?;
    play(&home, |mut stream| {
        // An answer to reset, then an answer without a status word.
        let _ = stream.write_all(&[0, 1, 0x3B, 0, 1, 0x90]);
        let _ = stream.read_to_end(&mut Vec::new());
    })?;
    let listing = home.cards().list()?;
    ensure!(
        listing.why_no_card() == Some(CardFault::BadAnswer),
        "{listing:?}"
    );
    Ok(())
}
