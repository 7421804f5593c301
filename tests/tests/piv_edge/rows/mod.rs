// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a PIV card must answer, row by row.
//!
//! `cites` names the assertion of SP 800-85A-4 (`AS05.…`) where its number is known to us, else the
//! section of SP 800-73-4 part 2 that the row was made from. The assertion numbers were taken from
//! vendors' public evidence lists and not from the text of SP 800-85A-4 itself, which was not at
//! hand: a number that such a list does not tell is not guessed here.
//!
//! Without a row, because the card has no such thing: AS05.06 and AS05.11 (one application is all there
//! is to select), AS05.13A, AS05.13B, AS05.16, AS05.18, AS05.24A and AS05.42 (biometrics, the global
//! PIN, pairing, contactless use, secure messaging). That they are refused is in the rows on key
//! references and classes.
//!
//! Each row begins with a fresh copy of a card whose PIN is 123456, PUK 12345678, management key
//! 3DES 01 to 08 three times; with keys in 9A (RSA-2048), 9C (P-384), 9D and 9E (P-256).

mod keys;
mod objects;
mod references;
mod transport;

use crate::cards::{Card, PIN, PUK};
use crate::wire::{bytes, hex};
use anyhow::Result;

/// One assertion, played on a fresh card.
pub struct Row {
    /// What is asserted; also the row's name.
    pub says: &'static str,
    /// Where that stands.
    pub cites: &'static str,
    /// What is played.
    pub steps: Vec<Step>,
}

/// Whether the data of an answer is right.
pub type Check = fn(&[u8]) -> bool;

/// One thing that a host does, and what the card must answer.
pub enum Step {
    /// One command as it stands; any of these status words is right.
    Send(Vec<u8>, &'static [u16]),
    /// One command whose whole answer is collected by GET RESPONSE.
    Whole(Vec<u8>, u16, Check),
    /// A command that travels in pieces.
    Chained([u8; 4], Vec<u8>, u16, Check),
    /// Mutual authentication with three times these eight bytes as key.
    Management([u8; 8], u16),
    /// Several commands whose answers belong together; `9000` when they fit.
    Play(fn(&mut dyn Card) -> Result<String>),
    /// The reset line.
    Reset,
}

impl Step {
    /// What must be seen.
    pub fn wanted(&self) -> Vec<String> {
        let words: &[u16] = match self {
            Self::Send(_, statuses) => statuses,
            Self::Whole(_, status, _)
            | Self::Chained(_, _, status, _)
            | Self::Management(_, status) => std::slice::from_ref(status),
            Self::Play(_) | Self::Reset => &[0x9000],
        };
        words.iter().map(|word| format!("{word:04X}")).collect()
    }

    /// Plays it; gives what was seen, in words.
    ///
    /// # Errors
    /// The card is gone or has hung.
    pub fn play(&self, card: &mut dyn Card) -> Result<String> {
        Ok(match self {
            Self::Send(command, _) => {
                let answer = card.apdu(command)?;
                hex(answer.last_chunk::<2>().map_or(&[][..], |word| &word[..]))
            }
            Self::Whole(command, _, check) => judged(card.whole(command)?, *check),
            Self::Chained(header, data, _, check) => judged(card.chained(*header, data)?, *check),
            Self::Management(key, _) => format!("{:04X}", card.prove_management(*key)?),
            Self::Play(play) => play(card)?,
            Self::Reset => {
                card.reset()?;
                "9000".to_owned()
            }
        })
    }
}

fn judged((data, status): (Vec<u8>, u16), check: Check) -> String {
    if check(&data) {
        format!("{status:04X}")
    } else {
        format!("{status:04X} with {}", hex(&data))
    }
}

/// All rows.
pub fn all() -> Vec<Row> {
    [
        objects::select(),
        objects::get_data(),
        objects::put_data(),
        references::verify(),
        references::change(),
        references::unblock(),
        keys::management(),
        keys::private(),
        keys::generate(),
        transport::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn row(says: &'static str, cites: &'static str, steps: Vec<Step>) -> Row {
    Row { says, cites, steps }
}

/// One command as it stands, answered with this status word.
fn send(command: &str, status: u16) -> Step {
    let status: &'static [u16] = Box::leak(Box::new([status]));
    Step::Send(bytes(command), status)
}

/// One command as it stands, to which the standard allows several answers.
fn either(command: &str, statuses: &'static [u16]) -> Step {
    Step::Send(bytes(command), statuses)
}

fn whole(command: &str, status: u16, check: Check) -> Step {
    Step::Whole(bytes(command), status, check)
}

/// VERIFY with the right PIN.
fn pin() -> Step {
    send(&format!("00 20 00 80 08 {PIN}"), 0x9000)
}

/// VERIFY with a wrong PIN.
fn wrong_pin(status: u16) -> Step {
    send("00 20 00 80 08 39 39 39 31 31 31 FF FF", status)
}

/// VERIFY without data: the state of the PIN.
fn asked(status: u16) -> Step {
    send("00 20 00 80", status)
}

/// The management key is proved.
fn manager() -> Step {
    Step::Management([1, 2, 3, 4, 5, 6, 7, 8], 0x9000)
}

/// RESET RETRY COUNTER with the right PUK and the PIN 482913.
fn unblocked(status: u16) -> Step {
    send(
        &format!("00 2C 00 80 10 {PUK} 34 38 32 39 31 33 FF FF"),
        status,
    )
}

fn anything(_: &[u8]) -> bool {
    true
}

fn nothing(data: &[u8]) -> bool {
    data.is_empty()
}
