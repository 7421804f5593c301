// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys of a reader: the PIN goes from there to the card, and this program never sees it.
//!
//! PC/SC part 10, revision 2.02: a reader names its features and the control code of each; the
//! structures are packed, numbers in them little-endian.

use std::time::Duration;

use lanyard_piv::{
    PIN_BYTES, PIN_DIGITS_MAX, PIN_DIGITS_MIN, Response, StatusWord, ins, key_reference,
};

use crate::channel::Control;
use crate::fault::CardFault;
use crate::session::{CardSession, LastTry};

/// FEATURE_VERIFY_PIN_DIRECT (2.2).
const VERIFY_PIN_DIRECT: u8 = 0x06;
/// FEATURE_MODIFY_PIN_DIRECT (2.2).
const MODIFY_PIN_DIRECT: u8 = 0x07;
/// How long the reader waits for the first key, in seconds.
pub const PAD_SECS: u8 = 60;
/// How much longer the reader may take to answer before it counts as mute.
const PAD_GRACE_SECS: u64 = 30;
/// Digits as ASCII, flush left, places counted in bytes (2.5.2, bmFormatString).
const FORMAT: u8 = 0x82;
/// The PIN is filled up to eight bytes, and its length stands nowhere (bmPINBlockString).
const BLOCK: u8 = 0x08;
/// Entry ends with the key for it (bEntryValidationCondition).
const ENDS_WITH_KEY: u8 = 0x02;
/// The old PIN is asked, and the new one twice (2.5.3, bConfirmPIN).
const ASK_OLD_AND_CONFIRM: u8 = 0x03;
/// English, of the readers that speak several (wLangId).
const LANGUAGE: u16 = 0x0409;
const FILLED: [u8; PIN_BYTES] = [0xFF; PIN_BYTES];

/// The control codes under which a reader takes a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PinPad {
    /// For verifying.
    pub verify: Option<u32>,
    /// For changing.
    pub modify: Option<u32>,
}

impl PinPad {
    /// Reads the answer to CM_IOCTL_GET_FEATURE_REQUEST (2.2): tag, length 4, code, big-endian.
    pub(crate) fn parse(mut list: &[u8]) -> Self {
        let mut pad = Self::default();
        while let [tag, 4, a, b, c, d, rest @ ..] = list {
            let code = Some(u32::from_be_bytes([*a, *b, *c, *d]));
            match *tag {
                VERIFY_PIN_DIRECT => pad.verify = code,
                MODIFY_PIN_DIRECT => pad.modify = code,
                _ => {}
            }
            list = rest;
        }
        pad
    }
}

/// PIN_VERIFY_STRUCTURE (2.5.2).
fn verify_structure() -> Vec<u8> {
    let mut bytes = vec![PAD_SECS, PAD_SECS, FORMAT, BLOCK, 0];
    bytes.extend_from_slice(&digits_allowed());
    bytes.extend_from_slice(&[ENDS_WITH_KEY, 1]);
    bytes.extend_from_slice(&LANGUAGE.to_le_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0]);
    let mut command = vec![0x00, ins::VERIFY, 0x00, key_reference::PIN, 0x08];
    command.extend_from_slice(&FILLED);
    finish(bytes, &command)
}

/// PIN_MODIFY_STRUCTURE (2.5.3).
fn modify_structure() -> Vec<u8> {
    let mut bytes = vec![PAD_SECS, PAD_SECS, FORMAT, BLOCK, 0, 0x00, 0x08];
    bytes.extend_from_slice(&digits_allowed());
    bytes.extend_from_slice(&[ASK_OLD_AND_CONFIRM, ENDS_WITH_KEY, 3]);
    bytes.extend_from_slice(&LANGUAGE.to_le_bytes());
    bytes.extend_from_slice(&[0, 1, 2, 0, 0, 0]);
    let change = ins::CHANGE_REFERENCE_DATA;
    let mut command = vec![0x00, change, 0x00, key_reference::PIN, 0x10];
    command.extend_from_slice(&FILLED);
    command.extend_from_slice(&FILLED);
    finish(bytes, &command)
}

/// wPINMaxExtraDigit: fewest digits in the high byte, most in the low one.
fn digits_allowed() -> [u8; 2] {
    let byte = |digits: usize| u8::try_from(digits).unwrap_or(u8::MAX);
    [byte(PIN_DIGITS_MAX), byte(PIN_DIGITS_MIN)]
}

fn finish(mut structure: Vec<u8>, command: &[u8]) -> Vec<u8> {
    let count = u32::try_from(command.len()).unwrap_or(u32::MAX);
    structure.extend_from_slice(&count.to_le_bytes());
    structure.extend_from_slice(command);
    structure
}

impl CardSession {
    /// What the reader offers. A reader that does not know the question has no pad.
    ///
    /// # Errors
    ///
    /// When card or reader are gone.
    pub fn pin_pad(&mut self) -> Result<PinPad, CardFault> {
        match self.control(Control::Features, &[]) {
            Ok(list) => Ok(PinPad::parse(&list)),
            Err(CardFault::Unsupported) => Ok(PinPad::default()),
            Err(fault) => Err(fault),
        }
    }

    /// Verifies the PIN that the person types at the reader: exactly one VERIFY is sent, or none.
    /// Blocks until it is typed, cancelled, or the reader's time is over.
    ///
    /// # Errors
    ///
    /// As [`CardSession::verify`]; [`CardFault::PadMissing`], [`CardFault::PadCancelled`],
    /// [`CardFault::PadTimedOut`].
    pub fn verify_on_pad(&mut self, last_try: LastTry) -> Result<(), CardFault> {
        let code = self.pin_pad()?.verify.ok_or(CardFault::PadMissing)?;
        self.guard_last_try(last_try)?;
        let status = self.on_pad(code, &verify_structure())?;
        self.pin_outcome(status)
    }

    /// Changes the PIN; old and new one are typed at the reader.
    ///
    /// # Errors
    ///
    /// As [`CardSession::verify_on_pad`]; [`CardFault::PadMismatch`] when the two new ones differ.
    pub fn change_pin_on_pad(&mut self, last_try: LastTry) -> Result<(), CardFault> {
        let code = self.pin_pad()?.modify.ok_or(CardFault::PadMissing)?;
        self.guard_last_try(last_try)?;
        let status = self.on_pad(code, &modify_structure())?;
        self.pin_outcome(status)
    }

    fn on_pad(&mut self, code: u32, structure: &[u8]) -> Result<StatusWord, CardFault> {
        self.must_reset();
        let answer = self.control(Control::Code(code), structure)?;
        let answer = Response::parse(&answer).map_err(|_| CardFault::BadAnswer)?;
        let status = answer.status();
        Err(match status.value() {
            0x6400 => CardFault::PadTimedOut,
            0x6401 => CardFault::PadCancelled,
            0x6402 => CardFault::PadMismatch,
            0x6403 => CardFault::NewPinRefused,
            _ => return Ok(status),
        })
    }
}

/// How long a reader may take to answer a command of ours.
pub(crate) fn pad_limit() -> Duration {
    Duration::from_secs(u64::from(PAD_SECS).saturating_mul(3))
        .saturating_add(Duration::from_secs(PAD_GRACE_SECS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_are_those_of_part_10() {
        let verify = verify_structure();
        assert_eq!(verify.len(), 19 + 13);
        // Timeouts, format, block, length format, at most 8 and at least 6 digits, ends with key.
        assert_eq!(verify[..8], [60, 60, 0x82, 0x08, 0, 8, 6, 2]);
        assert_eq!(verify[15..19], [13, 0, 0, 0]);
        assert_eq!(verify[19..24], [0, 0x20, 0, 0x80, 8]);
        let modify = modify_structure();
        assert_eq!(modify.len(), 24 + 21);
        assert_eq!(modify[5..10], [0, 8, 8, 6, 3]);
        assert_eq!(modify[20..24], [21, 0, 0, 0]);
        assert_eq!(modify[24..29], [0, 0x24, 0, 0x80, 16]);
    }

    #[test]
    fn a_list_of_features_is_read_as_far_as_it_is_one() {
        let list = [
            0x12, 4, 0x42, 0x33, 0, 0x12, 0x06, 4, 0x42, 0x33, 0, 0x06, 0x07, 4, 1, 2, 3,
        ];
        let pad = PinPad::parse(&list);
        assert_eq!((pad.verify, pad.modify), (Some(0x4233_0006), None));
        assert_eq!(PinPad::parse(&[]), PinPad::default());
    }
}
