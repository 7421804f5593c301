// SPDX-License-Identifier: MIT OR Apache-2.0
//! Readers, insertion and removal, and everything that can be wrong with them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lanyard_card::{Cancel, CardFault, CardWay, Cards, LastTry, ReaderState, Scheme, Slotted};
use lanyard_piv::{Algorithm, Slot};
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::pcsc::Pcscd;
use lanyard_tests::process::eventually;
use lanyard_tests::standin::{Hand, StandIn};

use crate::desk::{Desk, LIMIT, PATIENCE, blank_pin};

#[test]
fn no_service_no_reader_and_no_card_are_told_apart() {
    in_own_namespace(
        "readers::no_service_no_reader_and_no_card_are_told_apart",
        || {
            let cards = Cards::new(CardWay::Pcsc, None).with_exchange_limit(LIMIT);
            ensure!(cards.list().err() == Some(CardFault::NoService));
            ensure!(cards.readers().err() == Some(CardFault::NoService));

            let folder = tempfile::tempdir()?;
            let none = Pcscd::start(folder.path(), 0)?;
            ensure!(cards.list()?.why_no_card() == Some(CardFault::NoReader));
            none.stop()?;

            // The same value goes on with the next service.
            let empty = Pcscd::start(folder.path(), 1)?;
            let listing = eventually("the reader", PATIENCE, || {
                cards
                    .list()
                    .ok()
                    .filter(|listing| !listing.readers.is_empty())
            })?;
            ensure!(listing.why_no_card() == Some(CardFault::NoCard));
            let reader = &listing.readers[0].reader;
            ensure!(cards.open(reader).err() == Some(CardFault::NoCard));

            let _card = StandIn::insert(&folder.path().join("card"), &empty.slot(0))?;
            eventually("the card", PATIENCE, || {
                (cards.list().ok()?.why_no_card().is_none()).then_some(())
            })?;
            Ok(())
        },
    );
}

#[test]
fn the_service_may_restart_under_us() {
    in_own_namespace("readers::the_service_may_restart_under_us", || {
        let mut desk = Desk::new()?;
        let reader = desk.reader()?;
        let mut session = desk.cards.open(&reader)?;
        desk.pcscd.stop()?;
        let broken = session.pin_status().err().context("the service is gone")?;
        ensure!(
            matches!(broken, CardFault::NoService | CardFault::Removed),
            "{broken:?}"
        );
        drop(session);
        ensure!(desk.cards.list().err() == Some(CardFault::NoService));
        ensure!(desk.cards.open(&reader).err() == Some(CardFault::NoService));

        drop(desk.card);
        desk.pcscd = Pcscd::start(desk.folder.path(), 1)?;
        desk.card = StandIn::insert(&desk.folder.path().join("card"), &desk.pcscd.slot(0))?;
        desk.summary()?;
        Ok(())
    });
}

#[test]
fn removal_and_insertion_are_noticed_at_once_also_between_two_looks() {
    in_own_namespace(
        "readers::removal_and_insertion_are_noticed_at_once_also_between_two_looks",
        || {
            let desk = Desk::new()?;
            let cancel = Cancel::new();
            let wait = |known: &[ReaderState]| desk.cards.wait_for_change(known, PATIENCE, &cancel);
            let present = desk.cards.readers()?;
            ensure!(present[0].slotted == Slotted::Card, "{present:?}");

            desk.card.tell(Hand::Out)?;
            let start = Instant::now();
            let gone = wait(&present)?;
            ensure!(gone[0].slotted == Slotted::Empty, "{gone:?}");
            ensure!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());

            desk.card.tell(Hand::In)?;
            let back = wait(&gone)?;
            ensure!(back[0].slotted == Slotted::Card, "{back:?}");
            // Looked at only before and after, nothing but the counter tells.
            ensure!(back[0].events != present[0].events && back != present);

            let quiet = desk
                .cards
                .wait_for_change(&back, Duration::from_millis(700), &cancel)?;
            ensure!(quiet == back);
            let other = cancel.clone();
            let thread = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                other.cancel();
            });
            ensure!(wait(&back) == Err(CardFault::Cancelled));
            ensure!(thread.join().is_ok());
            Ok(())
        },
    );
}

#[test]
fn a_card_pulled_during_a_session_or_while_signing_is_told_as_removed() {
    in_own_namespace(
        "readers::a_card_pulled_during_a_session_or_while_signing_is_told_as_removed",
        || {
            let desk = Desk::new()?;
            desk.open_as_admin()?
                .generate(Slot::CardAuthentication, Algorithm::EccP256)?;
            let mut session = desk.open()?;
            desk.card.tell(Hand::OutWhenSigning)?;
            let signed = session.sign(
                Slot::CardAuthentication,
                Scheme::EcdsaP256Sha256,
                b"message",
            );
            ensure!(signed == Err(CardFault::Removed), "{signed:?}");
            drop(session);
            ensure!(desk.open().err() == Some(CardFault::NoCard));

            desk.card.tell(Hand::In)?;
            desk.summary()?;
            let mut session = desk.open()?;
            session.verify(&blank_pin(), LastTry::Refuse)?;
            let known = desk.cards.readers()?;
            desk.card.tell(Hand::Out)?;
            desk.cards
                .wait_for_change(&known, PATIENCE, &Cancel::new())?;
            let status = session.pin_status();
            ensure!(status == Err(CardFault::Removed), "{status:?}");
            Ok(())
        },
    );
}

#[test]
fn a_mute_card_ends_in_a_fact_within_the_limit() {
    in_own_namespace(
        "readers::a_mute_card_ends_in_a_fact_within_the_limit",
        || {
            let desk = Desk::new()?;
            desk.open_as_admin()?
                .generate(Slot::CardAuthentication, Algorithm::EccP256)?;
            let mut session = desk.open()?;
            desk.card.tell(Hand::MuteWhenSigning)?;
            let start = Instant::now();
            let signed = session.sign(
                Slot::CardAuthentication,
                Scheme::EcdsaP256Sha256,
                b"message",
            );
            ensure!(signed == Err(CardFault::CardMute), "{signed:?}");
            // Once stuck it answers at once.
            ensure!(session.pin_status() == Err(CardFault::CardMute));
            drop(session);
            ensure!(
                start.elapsed() < LIMIT * 2 + PATIENCE,
                "{:?}",
                start.elapsed()
            );
            mute_cards_do_not_hold_up_a_listing(&desk)?;

            // It comes back to its senses: so do we.
            desk.card.tell(Hand::In)?;
            eventually("the card answers again", PATIENCE, || desk.open().ok())?;
            Ok(())
        },
    );
}

fn mute_cards_do_not_hold_up_a_listing(desk: &Desk) -> Result<()> {
    let start = Instant::now();
    let listing = desk.cards.list()?;
    ensure!(
        start.elapsed() < LIMIT * 2 + PATIENCE,
        "{:?}",
        start.elapsed()
    );
    ensure!(
        listing.why_no_card() == Some(CardFault::CardMute),
        "{listing:?}"
    );
    Ok(())
}

#[test]
fn a_card_that_another_program_holds_is_in_use() {
    in_own_namespace(
        "readers::a_card_that_another_program_holds_is_in_use",
        || {
            let desk = Desk::new()?;
            let reader = desk.reader()?;
            let held = desk.cards.open(&reader)?;
            let start = Instant::now();
            ensure!(desk.cards.open(&reader).err() == Some(CardFault::InUse));
            ensure!(
                start.elapsed() < LIMIT * 2 + PATIENCE,
                "{:?}",
                start.elapsed()
            );
            drop(held);
            // The one that gave up does not get in the way of the next.
            eventually("the card is free", PATIENCE, || {
                desk.cards.open(&reader).ok()
            })?;
            Ok(())
        },
    );
}

#[test]
fn foreign_tools_and_we_take_turns() {
    in_own_namespace("readers::foreign_tools_and_we_take_turns", || {
        let desk = Desk::new()?;
        let reader = desk.reader()?;
        for _ in 0..3 {
            let output = std::process::Command::new("opensc-tool")
                .args(["--reader", "0", "--name"])
                .output()
                .context("opensc-tool")?;
            let name = String::from_utf8_lossy(&output.stdout);
            ensure!(
                name.contains("Personal Identity Verification Card"),
                "{name}"
            );
            desk.cards
                .open(&reader)?
                .verify(&blank_pin(), LastTry::Refuse)?;
        }
        Ok(())
    });
}
