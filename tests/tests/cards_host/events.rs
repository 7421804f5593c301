// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens to readers and cards while nobody looks, and while the service is away.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lanyard_card::{Cancel, CardEvent, Cards, Readers, changes};
use lanyard_tests::namespace::{in_own_namespace, must};
use lanyard_tests::pcsc::Pcscd;
use lanyard_tests::process::eventually;
use lanyard_tests::standin::{Hand, StandIn};

use crate::desk::{Desk, PATIENCE};

/// Waits until the readers differ from these in the way that is wanted.
fn wait(cards: &Cards, known: &Readers, wanted: impl Fn(&Readers) -> bool) -> Result<Readers> {
    let cancel = Cancel::new();
    let mut last = known.clone();
    eventually("the readers differ", PATIENCE, || {
        last = cards
            .wait_for_change(&last, Duration::from_secs(1), &cancel)
            .ok()?;
        wanted(&last).then(|| last.clone())
    })
}

#[test]
fn a_card_that_was_swapped_between_two_looks_is_noticed() {
    in_own_namespace(
        "events::a_card_that_was_swapped_between_two_looks_is_noticed",
        || {
            let desk = Desk::new()?;
            let before = desk.cards.readers()?;
            let id = before.first().context("no reader")?.id.clone();
            // Out and in again; the service sees both, we look only afterwards.
            desk.card.tell(Hand::Out)?;
            let other = Cards::new(lanyard_card::CardWay::Pcsc, None);
            wait(&other, &before, |now| {
                changes(&before, now) == [CardEvent::Removed(id.clone())]
            })?;
            desk.card.tell(Hand::In)?;
            eventually("the card is back", PATIENCE, || {
                let now = other.readers().ok()?;
                (now.first()?.slotted == lanyard_card::Slotted::Card).then_some(())
            })?;
            let now = desk.cards.readers()?;
            ensure!(now.first().map(|one| one.slotted) == before.first().map(|one| one.slotted));
            let events = changes(&before, &now);
            ensure!(events == [CardEvent::Swapped(id.clone())], "{events:?}");
            ensure!(events.iter().all(|event| event.takes_a_card_away(&id)));
            Ok(())
        },
    );
}

#[test]
fn a_service_that_restarted_between_two_looks_does_not_hide_a_swap() {
    in_own_namespace(
        "events::a_service_that_restarted_between_two_looks_does_not_hide_a_swap",
        || {
            let mut desk = Desk::new()?;
            let before = desk.cards.readers()?;
            desk.pcscd.stop()?;
            drop(desk.card);
            desk.pcscd = Pcscd::start(desk.folder.path(), 1)?;
            // The same reader, the same number of insertions, and another card.
            desk.card = StandIn::insert(&desk.folder.path().join("other"), &desk.pcscd.slot(0))?;
            desk.summary()?;
            let now = desk.cards.readers()?;
            let id = before.first().context("no reader")?.id.clone();
            ensure!(now.first().map(|one| &one.id) == Some(&id), "{now:?}");
            let events = changes(&before, &now);
            ensure!(
                events.contains(&CardEvent::Swapped(id)),
                "{events:?}\n{before:?}\n{now:?}"
            );
            Ok(())
        },
    );
}

#[test]
fn readers_that_come_and_services_that_go_wake_whoever_waits() {
    in_own_namespace(
        "events::readers_that_come_and_services_that_go_wake_whoever_waits",
        || {
            let mut desk = Desk::new()?;
            let before = desk.cards.readers()?;
            let id = before.first().context("no reader")?.id.clone();
            desk.pcscd.terminate()?;
            let gone = wait(&desk.cards, &before, Readers::is_empty)?;
            ensure!(changes(&before, &gone).contains(&CardEvent::ReaderRemoved(id.clone())));
            // (Debian 12's pcscd takes in no further reader while it runs.)
            desk.pcscd = Pcscd::start(desk.folder.path(), 2)?;
            let is_second = |id: &lanyard_card::ReaderId| id.name == desk.pcscd.reader_name(1);
            let both = wait(&desk.cards, &gone, |now| {
                now.iter().any(|one| is_second(&one.id))
            })?;
            let events = changes(&gone, &both);
            ensure!(events.contains(&CardEvent::ReaderAdded(id)), "{events:?}");
            let second =
                |event: &CardEvent| matches!(event, CardEvent::ReaderAdded(id) if is_second(id));
            ensure!(events.iter().any(second), "{events:?}");
            Ok(())
        },
    );
}

#[test]
fn a_service_that_was_asleep_for_a_while_is_used_again() {
    in_own_namespace(
        "events::a_service_that_was_asleep_for_a_while_is_used_again",
        || {
            let desk = Desk::new()?;
            let pid = desk.pcscd.pid().to_string();
            let mut session = desk.open()?;
            must("kill", &["-STOP", &pid])?;
            // As when the computer sleeps: nothing answers, and nothing waits for ever.
            let asleep = session.pin_status();
            must("kill", &["-CONT", &pid])?;
            ensure!(asleep.is_err(), "{asleep:?}");
            drop(session);
            eventually("the card is used again", PATIENCE, || desk.open().ok())?;
            Ok(())
        },
    );
}
