// SPDX-License-Identifier: MIT OR Apache-2.0
//! PIN and PUK of the independent card.

use anyhow::{Result, ensure};
use lanyard_card::{CardFault, LastTry, PinStatus, Scheme};
use lanyard_piv::Slot;
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::standin::StandIn;

use crate::desk::{Desk, PIN, WRONG_PIN, blank_pin, new_pin, pin, puk};

#[test]
fn wrong_pins_are_counted_the_last_try_is_kept_and_the_puk_unblocks() {
    in_own_namespace(
        "pins::wrong_pins_are_counted_the_last_try_is_kept_and_the_puk_unblocks",
        || {
            let desk = Desk::new()?;
            ensure!(desk.summary()?.pin.tries_left == Some(3));
            let try_wrong = |last_try| desk.open()?.verify(&pin(WRONG_PIN), last_try);
            ensure!(try_wrong(LastTry::Refuse) == Err(CardFault::WrongPin { tries_left: 2 }));
            ensure!(try_wrong(LastTry::Refuse) == Err(CardFault::WrongPin { tries_left: 1 }));
            for _ in 0..3 {
                ensure!(try_wrong(LastTry::Refuse) == Err(CardFault::LastTry));
            }
            ensure!(desk.open()?.pin_status()? == PinStatus::TriesLeft(1));
            ensure!(try_wrong(LastTry::Allow) == Err(CardFault::PinBlocked));
            ensure!(try_wrong(LastTry::Allow) == Err(CardFault::PinBlocked));
            ensure!(desk.summary()?.pin.is_blocked());
            // Blocked means blocked, also for the right one.
            let right = desk.open()?.verify(&blank_pin(), LastTry::Allow);
            ensure!(right == Err(CardFault::PinBlocked));

            let unblock = |text: &str| desk.open()?.unblock(&puk(text), &new_pin(PIN));
            ensure!(unblock("87654321") == Err(CardFault::WrongPuk { tries_left: 2 }));
            ensure!(unblock(StandIn::PUK) == Ok(()));
            ensure!(desk.summary()?.pin.tries_left == Some(3));
            desk.open()?.verify(&pin(PIN), LastTry::Refuse)?;
            Ok(())
        },
    );
}

#[test]
fn pin_and_puk_are_changed_and_survive_the_removal_of_the_card() {
    in_own_namespace(
        "pins::pin_and_puk_are_changed_and_survive_the_removal_of_the_card",
        || {
            let mut desk = Desk::new()?;
            let mut session = desk.open()?;
            session.change_pin(&blank_pin(), &new_pin(PIN), LastTry::Refuse)?;
            session.change_puk(&puk(StandIn::PUK), &puk("64281937"))?;
            drop(session);
            let guid = desk.summary()?.guid;

            drop(desk.card);
            desk.card = StandIn::insert(&desk.folder.path().join("card"), &desk.pcscd.slot(0))?;
            ensure!(desk.summary()?.guid == guid);
            let old = desk.open()?.verify(&blank_pin(), LastTry::Refuse);
            ensure!(old == Err(CardFault::WrongPin { tries_left: 2 }));
            desk.open()?.verify(&pin(PIN), LastTry::Refuse)?;
            let old = desk
                .open()?
                .unblock(&puk(StandIn::PUK), &new_pin(WRONG_PIN));
            ensure!(old == Err(CardFault::WrongPuk { tries_left: 2 }));
            desk.open()?
                .unblock(&puk("64281937"), &new_pin(WRONG_PIN))?;
            Ok(())
        },
    );
}

#[test]
fn a_wrong_puk_three_times_blocks_the_puk() {
    in_own_namespace("pins::a_wrong_puk_three_times_blocks_the_puk", || {
        let desk = Desk::new()?;
        let unblock = |text: &str| desk.open()?.unblock(&puk(text), &new_pin(PIN));
        ensure!(unblock("87654321") == Err(CardFault::WrongPuk { tries_left: 2 }));
        ensure!(unblock("87654321") == Err(CardFault::WrongPuk { tries_left: 1 }));
        ensure!(unblock("87654321") == Err(CardFault::PukBlocked));
        ensure!(unblock(StandIn::PUK) == Err(CardFault::PukBlocked));
        Ok(())
    });
}

#[test]
fn no_other_program_finds_the_pin_verified_after_us() {
    in_own_namespace(
        "pins::no_other_program_finds_the_pin_verified_after_us",
        || {
            let desk = Desk::new()?;
            let mut session = desk.open_as_admin()?;
            session.generate(Slot::Authentication, lanyard_piv::Algorithm::EccP256)?;
            session.verify(&blank_pin(), LastTry::Refuse)?;
            session.sign(Slot::Authentication, Scheme::EcdsaP256Sha256, b"mine")?;
            ensure!(session.pin_status()? == PinStatus::Verified);
            drop(session);

            let mut next = desk.open()?;
            ensure!(next.pin_status()? == PinStatus::TriesLeft(3));
            let signed = next.sign(Slot::Authentication, Scheme::EcdsaP256Sha256, b"theirs");
            ensure!(signed == Err(CardFault::PinNotVerified));
            let made = next.generate(Slot::Authentication, lanyard_piv::Algorithm::EccP256);
            ensure!(made == Err(CardFault::AdminNotAuthenticated));
            // Not even a program that keeps its connection open while ours ends badly.
            drop(next);
            leave_verified_by_a_panic(&desk)?;
            ensure!(desk.open()?.pin_status()? == PinStatus::TriesLeft(3));
            Ok(())
        },
    );
}

fn leave_verified_by_a_panic(desk: &Desk) -> Result<()> {
    let mut session = desk.open()?;
    session.verify(&blank_pin(), LastTry::Refuse)?;
    let thread = std::thread::spawn(move || {
        let _held = session;
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    ensure!(thread.join().is_err());
    Ok(())
}
