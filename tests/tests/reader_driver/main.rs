// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our own reader driver inside a real pcscd.

mod crash;
mod desk;
mod pad;
mod people;

use anyhow::{Context as _, Result, bail, ensure};
use desk::{Desk, PATIENCE, Program};
use lanyard_piv::{Algorithm, Command, DynamicAuthentication, ObjectId, Slot};
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::pcsc::{Make, Pcscd};
use lanyard_tests::process::eventually;
use std::thread;
use std::time::{Duration, Instant};

/// Our control code: whose card lies in the slot.
const CONTROL_OWNER: u32 = 0x4233_4C59;
const CONTROL_FEATURES: u32 = 0x4200_0D48;

#[test]
fn cards_come_into_slots_of_several_readers_and_go_again() {
    in_own_namespace(
        "cards_come_into_slots_of_several_readers_and_go_again",
        || {
            let desk = Desk::new(Make::Ours, 2)?;
            let program = Program::new()?;
            let mut alice = desk.person("alice", 2)?;
            let mut bob = desk.person("bob", 1)?;
            alice.start(&desk.pcscd.slot(0))?;
            bob.start(&desk.pcscd.slot(1))?;
            for (reader, slot) in [(0, 0), (0, 1), (1, 0)] {
                let mut card = program.card(&desk.name(reader, slot))?;
                ensure!(card.tries_left()? == 3);
            }
            program.goes(&desk.name(1, 1))?;

            // One card of two is destroyed: its slot is empty, the other one stays.
            lanyard_virtual_card::destroy(&alice.places, desk::Owner::instance(0)?)?;
            let gone = eventually("one slot is empty", PATIENCE, || {
                (0..2).find(|slot| {
                    let name = desk.name(0, *slot);
                    let mut looks = [pcsc::ReaderState::new(
                        std::ffi::CString::new(name).unwrap_or_default(),
                        pcsc::State::UNAWARE,
                    )];
                    program
                        .0
                        .get_status_change(Duration::ZERO, &mut looks)
                        .is_ok_and(|()| looks[0].event_state().contains(pcsc::State::EMPTY))
                })
            })?;
            ensure!(program.card(&desk.name(0, 1 - gone))?.tries_left()? == 3);
            ensure!(program.card(&desk.name(1, 0))?.tries_left()? == 3);
            Ok(())
        },
    );
}

#[test]
fn cards_come_back_when_the_service_does() {
    in_own_namespace("cards_come_back_when_the_service_does", || {
        let Desk { folder, pcscd } = Desk::new(Make::Ours, 1)?;
        let mut alice = desk::Owner::new(&folder.path().join("alice"), 1)?;
        alice.start(&pcscd.slot(0))?;
        let name = pcscd.reader_name(0);
        ensure!(Program::new()?.card(&name)?.tries_left()? == 3);
        pcscd.stop()?;
        let pcscd = Pcscd::start_ours(folder.path(), 1)?;
        ensure!(Program::new()?.card(&name)?.tries_left()? == 3);
        drop(pcscd);
        Ok(())
    });
}

#[test]
fn the_reader_says_how_long_commands_may_be_and_takes_them() {
    in_own_namespace(
        "the_reader_says_how_long_commands_may_be_and_takes_them",
        || {
            let desk = Desk::new(Make::Ours, 1)?;
            let mut alice = desk.person("alice", 1)?;
            alice.start(&desk.pcscd.slot(0))?;
            let program = Program::new()?;
            let mut card = program.card(&desk.name(0, 0))?;

            let mut buffer = [0; 256];
            let features = card
                .card()?
                .control(CONTROL_FEATURES.into(), &[], &mut buffer)?;
            let [0x12, 4, code @ ..] = features else {
                bail!("the only feature is the list of properties: {features:02X?}");
            };
            let code = u32::from_be_bytes(code.try_into()?);
            let properties = card.card()?.control(code.into(), &[], &mut buffer)?;
            let [10, 4, size @ ..] = properties else {
                bail!("no greatest size of data: {properties:02X?}");
            };
            let size = u32::from_le_bytes(size.first_chunk().copied().context("four bytes")?);
            ensure!(size > 60_000, "{size}");

            // An object of 3,000 bytes in one command of extended length, and back.
            card.prove_management()?;
            let contents = vec![0xA5; 3000];
            let object = [&[0x53, 0x82, 0x0B, 0xB8][..], &contents].concat();
            let data = [&[0x5C, 3, 0x5F, 0xC1, 0x05][..], &object].concat();
            let length = u16::try_from(data.len())?.to_be_bytes();
            let put = [&[0, 0xDB, 0x3F, 0xFF, 0][..], &length, &data].concat();
            ensure!(card.bytes(&put)? == [0x90, 0]);
            let get = [
                0, 0xCB, 0x3F, 0xFF, 0, 0, 5, 0x5C, 3, 0x5F, 0xC1, 0x05, 0, 0,
            ];
            let answer = card.bytes(&get)?;
            ensure!(
                answer.ends_with(&[0x90, 0]) && answer.starts_with(&object),
                "{} bytes",
                answer.len()
            );

            // Longer than the reader can carry: a status word, and the card stays.
            ensure!(card.bytes(&[0; 65_537])? == [0x67, 0]);
            ensure!(
                card.exchange(&Command::get_data(ObjectId::CHUID))?
                    .status()
                    .is_success()
            );
            Ok(())
        },
    );
}

#[test]
fn a_card_that_works_for_long_holds_up_no_other() {
    in_own_namespace("a_card_that_works_for_long_holds_up_no_other", || {
        let desk = Desk::new(Make::Ours, 2)?;
        let mut alice = desk.person("alice", 1)?;
        let mut bob = desk.person("bob", 1)?;
        alice.start(&desk.pcscd.slot(0))?;
        bob.start(&desk.pcscd.slot(1))?;
        let name = desk.name(0, 0);
        drop(Program::new()?.card(&name)?);
        let busy = thread::spawn(move || -> Result<()> {
            let mut card = Program::new()?.card(&name)?;
            card.prove_management()?;
            let generate = Command::generate(Slot::KeyManagement, Algorithm::Rsa2048);
            let status = card.status(&generate)?;
            ensure!(
                status == 0x9000 || status == 0x6180 || status >> 8 == 0x61,
                "{status:04X}"
            );
            Ok(())
        });
        let program = Program::new()?;
        let mut other = program.card(&desk.name(1, 0))?;
        let mut commands = 0u32;
        while !busy.is_finished() {
            ensure!(other.tries_left()? == 3);
            commands += 1;
        }
        busy.join()
            .map_err(|_| anyhow::anyhow!("the busy program failed"))??;
        ensure!(commands > 10, "the other card answered {commands} times");
        Ok(())
    });
}

#[test]
fn a_daemon_that_hangs_loses_its_card_and_holds_up_no_other() {
    in_own_namespace(
        "a_daemon_that_hangs_loses_its_card_and_holds_up_no_other",
        || {
            let desk = Desk::new(Make::Ours, 2)?;
            let mut alice = desk.person("alice", 1)?;
            let mut bob = desk.person("bob", 1)?;
            alice.start(&desk.pcscd.slot(0))?;
            bob.start(&desk.pcscd.slot(1))?;
            let name = desk.name(0, 0);
            let program = Program::new()?;
            let card = program.card(&name)?;
            // Another program: the calls of one wait for each other in its own library.
            let bystander = Program::new()?;
            let mut other = bystander.card(&desk.name(1, 0))?;

            alice.stall()?;
            // A reset asks the card for its ATR, which it does not send.
            let reset = thread::spawn(move || {
                let began = Instant::now();
                (card.reset().is_err(), began.elapsed())
            });
            let mut commands = 0u32;
            while !reset.is_finished() {
                ensure!(other.tries_left()? == 3);
                commands += 1;
            }
            let (_, took) = reset.join().map_err(|_| anyhow::anyhow!("panicked"))?;
            ensure!(took < PATIENCE, "{took:?}");
            ensure!(commands > 10, "the other card answered {commands} times");
            program.goes(&name)?;

            alice.daemon()?.signal("CONT")?;
            ensure!(program.card(&name)?.tries_left()? == 3);
            Ok(())
        },
    );
}

#[test]
fn a_program_can_ask_whose_card_it_is() {
    in_own_namespace("a_program_can_ask_whose_card_it_is", || {
        let desk = Desk::new(Make::Ours, 1)?;
        let mut alice = desk.person("alice", 1)?;
        alice.start(&desk.pcscd.slot(0))?;
        let program = Program::new()?;
        let card = program.card(&desk.name(0, 0))?;
        let mut buffer = [0; 16];
        let uid = card
            .card()?
            .control(CONTROL_OWNER.into(), &[], &mut buffer)?;
        ensure!(uid == rustix::process::geteuid().as_raw().to_be_bytes());
        let unknown = card.card()?.control(0x4233_0000, &[], &mut buffer);
        ensure!(unknown.is_err());
        Ok(())
    });
}

#[test]
fn opensc_reads_the_card_in_our_reader_and_signs_with_it() {
    in_own_namespace(
        "opensc_reads_the_card_in_our_reader_and_signs_with_it",
        || {
            let desk = Desk::new(Make::Ours, 1)?;
            let mut alice = desk.person("alice", 1)?;
            alice.start(&desk.pcscd.slot(0))?;
            let program = Program::new()?;
            let mut card = program.card(&desk.name(0, 0))?;
            card.generate(Algorithm::EccP256)?;
            ensure!(card.status(&desk::change(desk::TRANSPORT_PIN, "35914782")?)? == 0x9000);
            ensure!(card.signs_with("35914782")?);
            card.reset()?;
            let output = std::process::Command::new("opensc-tool")
                .args(["-r", "0", "-n"])
                .output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            ensure!(text.contains("Personal Identity Verification"), "{text}");
            let mut card = program.card(&desk.name(0, 0))?;
            let sign = DynamicAuthentication::sign(vec![7; 32]);
            let sign = Command::use_key(Slot::Authentication, Algorithm::EccP256, &sign);
            ensure!(
                card.status(&sign)? == 0x6982,
                "the PIN was forgotten with the reset"
            );
            Ok(())
        },
    );
}
