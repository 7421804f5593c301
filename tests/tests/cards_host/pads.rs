// SPDX-License-Identifier: MIT OR Apache-2.0
//! PINs typed at a reader's own keys, played by our reader driver: they pass us by.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lanyard_card::{CardFault, CardSigner, CardWay, Cards, LastTry, PinEntry, PinStatus};
use lanyard_piv::Algorithm;
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::pcsc::Pcscd;
use lanyard_tests::standin::StandIn;

use crate::desk::{Authority, Desk, LIMIT, PIN, WRONG_PIN, pin};
use crate::tls::Gate;

/// A blank card in a reader with keys.
fn desk() -> Result<Desk> {
    let folder = tempfile::tempdir()?;
    let pcscd = Pcscd::start_with_pad(folder.path(), 1)?;
    let card = StandIn::insert(&folder.path().join("card"), &pcscd.slot(0))?;
    let cards = Cards::new(CardWay::Pcsc, None).with_exchange_limit(LIMIT);
    let desk = Desk {
        folder,
        pcscd,
        card,
        cards: Arc::new(cards),
    };
    ensure!(desk.summary()?.has_pad, "the reader's keys are not seen");
    Ok(desk)
}

#[test]
fn a_pin_typed_at_the_reader_is_verified_counted_and_can_be_cancelled() {
    in_own_namespace(
        "pads::a_pin_typed_at_the_reader_is_verified_counted_and_can_be_cancelled",
        || {
            let desk = desk()?;
            let types = |lines: &str| desk.pcscd.pad_types(0, lines);
            types(StandIn::PIN)?;
            desk.open()?.verify_on_pad(LastTry::Refuse)?;
            // After us nobody finds it verified.
            ensure!(desk.open()?.pin_status()? == PinStatus::TriesLeft(3));

            types("cancel")?;
            let cancelled = desk.open()?.verify_on_pad(LastTry::Refuse);
            ensure!(cancelled == Err(CardFault::PadCancelled), "{cancelled:?}");
            ensure!(desk.open()?.pin_status()? == PinStatus::TriesLeft(3));

            for tries_left in [2, 1] {
                types(WRONG_PIN)?;
                let wrong = desk.open()?.verify_on_pad(LastTry::Refuse);
                ensure!(
                    wrong == Err(CardFault::WrongPin { tries_left }),
                    "{wrong:?}"
                );
            }
            // The reader is not even asked for the last one without consent.
            types(StandIn::PIN)?;
            let unasked = desk.open()?.verify_on_pad(LastTry::Refuse);
            ensure!(unasked == Err(CardFault::LastTry), "{unasked:?}");
            desk.open()?.verify_on_pad(LastTry::Allow)?;
            ensure!(desk.open()?.pin_status()? == PinStatus::TriesLeft(3));
            Ok(())
        },
    );
}

#[test]
fn the_pin_is_changed_at_the_reader() {
    in_own_namespace("pads::the_pin_is_changed_at_the_reader", || {
        let desk = desk()?;
        let types = |lines: &str| desk.pcscd.pad_types(0, lines);
        types(&format!("{}\n{PIN}\n{WRONG_PIN}", StandIn::PIN))?;
        let differ = desk.open()?.change_pin_on_pad(LastTry::Refuse);
        ensure!(differ == Err(CardFault::PadMismatch), "{differ:?}");
        types(&format!("{}\n{PIN}\n{PIN}", StandIn::PIN))?;
        desk.open()?.change_pin_on_pad(LastTry::Refuse)?;
        desk.open()?.verify(&pin(PIN), LastTry::Refuse)?;
        Ok(())
    });
}

#[test]
fn a_handshake_is_signed_with_a_pin_that_never_passed_us() {
    in_own_namespace(
        "pads::a_handshake_is_signed_with_a_pin_that_never_passed_us",
        || {
            let desk = desk()?;
            let authority = Authority::new()?;
            let gate = Gate::open(&authority)?;
            let card = desk.personalise(&authority, Algorithm::EccP256)?;
            let version = &rustls::version::TLS13;
            let cards = || Arc::clone(&desk.cards);
            desk.pcscd.pad_types(0, StandIn::PIN)?;
            let signer =
                CardSigner::authentication(cards(), &card, PinEntry::Pad, LastTry::Refuse)?;
            ensure!(gate.knock(&signer, version)? == "welcome");
            // One PIN, one signature; then the card is locked again.
            ensure!(gate.knock(&signer, version).is_err());
            ensure!(signer.fault() == Some(CardFault::PinSpent));
            ensure!(desk.open()?.pin_status()? == PinStatus::TriesLeft(3));

            // A PIN that was typed and not used is void as well.
            desk.pcscd.pad_types(0, StandIn::PIN)?;
            let unused =
                CardSigner::authentication(cards(), &card, PinEntry::Pad, LastTry::Refuse)?;
            unused.forget();
            ensure!(desk.open()?.pin_status()? == PinStatus::TriesLeft(3));

            desk.pcscd.pad_types(0, WRONG_PIN)?;
            let wrong = CardSigner::authentication(cards(), &card, PinEntry::Pad, LastTry::Refuse);
            let wrong = wrong.err().context("a wrong PIN was taken")?;
            ensure!(wrong == CardFault::WrongPin { tries_left: 2 }, "{wrong:?}");
            Ok(())
        },
    );
}

#[test]
fn a_reader_without_keys_says_so_and_nothing_is_sent() {
    in_own_namespace(
        "pads::a_reader_without_keys_says_so_and_nothing_is_sent",
        || {
            let desk = Desk::new()?;
            ensure!(!desk.summary()?.has_pad);
            let missing = desk.open()?.verify_on_pad(LastTry::Allow);
            ensure!(missing == Err(CardFault::PadMissing), "{missing:?}");
            ensure!(desk.open()?.pin_status()? == PinStatus::TriesLeft(3));
            Ok(())
        },
    );
}
