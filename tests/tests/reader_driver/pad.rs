// SPDX-License-Identifier: MIT OR Apache-2.0
//! The emulated PIN pad, with the structures of PC/SC part 10 in the raw.

use super::desk::{self, Desk, Program};
use anyhow::{Context as _, Result, ensure};
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::pcsc::Make;

const VERIFY: u32 = 0x4233_0006;
const MODIFY: u32 = 0x4233_0007;
const FEATURES: u32 = 0x4200_0D48;

fn verify(seconds: u8) -> Vec<u8> {
    let mut wish = vec![
        seconds, 0, 0x82, 8, 0, 8, 6, 2, 1, 9, 4, 0, 0, 0, 0, 13, 0, 0, 0,
    ];
    wish.extend_from_slice(&[0, 0x20, 0, 0x80, 8]);
    wish.extend_from_slice(&[0xFF; 8]);
    wish
}

fn modify() -> Vec<u8> {
    let mut wish = vec![
        20, 0, 0x82, 8, 0, 0, 8, 8, 6, 3, 2, 3, 9, 4, 0, 1, 2, 0, 0, 0,
    ];
    wish.extend_from_slice(&[21, 0, 0, 0, 0, 0x24, 0, 0x80, 16]);
    wish.extend_from_slice(&[0xFF; 16]);
    wish
}

#[test]
fn a_pin_typed_at_the_pad_reaches_the_card_and_no_program() {
    in_own_namespace(
        "pad::a_pin_typed_at_the_pad_reaches_the_card_and_no_program",
        || {
            let desk = Desk::new(Make::OursWithPad, 1)?;
            let mut alice = desk.person("alice", 1)?;
            alice.start(&desk.pcscd.slot(0))?;
            let program = Program::new()?;
            let mut card = program.card(&desk.name(0, 0))?;
            let mut buffer = [0; 64];
            let features = card.card()?.control(FEATURES.into(), &[], &mut buffer)?;
            for (tag, code) in [(6, VERIFY), (7, MODIFY)] {
                let entry = [&[tag, 4][..], &code.to_be_bytes()].concat();
                ensure!(
                    features.windows(6).any(|window| window == entry),
                    "{features:02X?}"
                );
            }
            let mut ask =
                |card: &desk::Session, code: u32, wish: &[u8], typed: &str| -> Result<Vec<u8>> {
                    if !typed.is_empty() {
                        desk.pcscd.pad_types(0, typed)?;
                    }
                    let words = card.card()?.control(code.into(), wish, &mut buffer);
                    Ok(words.context("the pad")?.to_vec())
                };
            ensure!(
                ask(&card, VERIFY, &verify(1), "")? == [0x64, 0x00],
                "nobody types"
            );
            ensure!(ask(&card, VERIFY, &verify(20), "cancel")? == [0x64, 0x01]);
            ensure!(ask(&card, VERIFY, &verify(20), "12345")? == [0x64, 0x03]);
            ensure!(card.tries_left()? == 3, "the card was asked nothing so far");
            ensure!(ask(&card, VERIFY, &verify(20), "99999999")? == [0x63, 0xC2]);
            let differ = "12345678\n35914782\n35914783";
            ensure!(ask(&card, MODIFY, &modify(), differ)? == [0x64, 0x02]);
            let same = "12345678\n35914782\n35914782";
            ensure!(ask(&card, MODIFY, &modify(), same)? == [0x90, 0x00]);
            ensure!(ask(&card, VERIFY, &verify(20), "35914782")? == [0x90, 0x00]);
            card.reset()?;
            Ok(())
        },
    );
}
