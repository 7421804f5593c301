// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon is killed while a program changes the card through the reader: the old state or the
//! new one, never neither.

use super::desk::{self, Desk, Program};
use anyhow::ensure;
use lanyard_piv::{Algorithm, Command, PublicKey, Slot};
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::pcsc::Make;
use std::thread;
use std::time::Duration;

const PINS: [&str; 2] = ["35914782", "86421357"];
const ROUNDS: u64 = 8;

#[test]
fn a_pin_change_through_the_reader_is_done_or_not_done_however_the_daemon_is_killed() {
    const NAME: &str =
        "crash::a_pin_change_through_the_reader_is_done_or_not_done_however_the_daemon_is_killed";
    in_own_namespace(NAME, || {
        let desk = Desk::new(Make::Ours, 1)?;
        let mut alice = desk.person("alice", 1)?;
        let (socket, name) = (desk.pcscd.slot(0), desk.name(0, 0));
        alice.start(&socket)?;
        let program = Program::new()?;
        let mut card = program.card(&name)?;
        card.generate(Algorithm::EccP256)?;
        ensure!(card.status(&desk::change(desk::TRANSPORT_PIN, PINS[0])?)? == 0x9000);
        drop(card);

        let [mut old, mut new] = PINS;
        for round in 0..ROUNDS {
            let mut card = program.card(&name)?;
            let change = desk::change(old, new)?;
            // Told when the answer came before the kill.
            let told = thread::spawn(move || card.status(&change).is_ok_and(|s| s == 0x9000));
            thread::sleep(Duration::from_millis(round * 2));
            alice.kill()?;
            let told = told.join().unwrap_or(false);
            program.goes(&name)?;
            alice.start(&socket)?;
            let mut card = program.card(&name)?;
            if card.signs_with(new)? {
                (old, new) = (new, old);
            } else {
                ensure!(!told, "a change that was told is kept");
                ensure!(card.signs_with(old)?, "neither PIN works");
            }
            card.reset()?;
        }
        Ok(())
    });
}

#[test]
fn a_key_made_through_the_reader_is_the_old_or_the_new_one_however_the_daemon_is_killed() {
    const NAME: &str = "crash::a_key_made_through_the_reader_is_the_old_or_the_new_one_however_the_daemon_is_killed";
    in_own_namespace(NAME, || {
        let desk = Desk::new(Make::Ours, 1)?;
        let mut alice = desk.person("alice", 1)?;
        let (socket, name) = (desk.pcscd.slot(0), desk.name(0, 0));
        alice.start(&socket)?;
        let program = Program::new()?;
        let mut card = program.card(&name)?;
        card.generate(Algorithm::EccP256)?;
        ensure!(card.status(&desk::change(desk::TRANSPORT_PIN, PINS[0])?)? == 0x9000);
        drop(card);
        let key = |places: &lanyard_virtual_card::Places| -> Option<PublicKey> {
            let listed = lanyard_virtual_card::list(places);
            let slots = &listed.first()?.card.as_ref().ok()?.slots;
            slots
                .iter()
                .find(|slot| slot.slot == Slot::Authentication)?
                .key
                .clone()
        };

        for round in 0..ROUNDS {
            let before = key(&alice.places);
            ensure!(before.is_some());
            let mut card = program.card(&name)?;
            card.prove_management()?;
            let generate = Command::generate(Slot::Authentication, Algorithm::EccP256);
            let told = thread::spawn(move || {
                let answer = card.exchange(&generate).ok()?;
                answer.status().is_success().then(|| answer.data().to_vec())
            });
            thread::sleep(Duration::from_millis(round));
            alice.kill()?;
            let told = told.join().ok().flatten();
            program.goes(&name)?;
            let after = key(&alice.places);
            ensure!(after.is_some(), "the key is lost");
            ensure!(
                told.is_none() || after != before,
                "a key that was told is kept"
            );
            alice.start(&socket)?;
            let mut card = program.card(&name)?;
            ensure!(card.signs_with(PINS[0])?, "the key does not sign");
            card.reset()?;
        }
        Ok(())
    });
}
