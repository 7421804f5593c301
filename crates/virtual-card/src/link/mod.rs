// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card's side of a reader: frames over a stream, until the stream or the daemon ends.
//!
//! The framing is vpcd's: two bytes of length, big-endian, then a body. A body of one byte is a
//! control: 00 off, 01 on, 02 reset, 04 "send the ATR"; anything longer is a command. Only 04 and
//! commands are answered. A reader of our own driver speaks first, see [`run_reader`], and hears 05
//! each second while a command is worked on.

mod frames;
mod heart;
mod reader;
mod socket;
mod stop;
mod vpcd;

use std::sync::{Arc, Mutex};

pub use self::frames::{End, serve};
pub use self::reader::{READERS_DIRECTORY, ReaderChoice, ReaderChoiceError, run as run_reader};
pub use self::socket::{SESSIONS_MAX, SocketServer};
pub use self::stop::{Stop, Stopper, Wait, stop_pair, wait};
pub use self::vpcd::{VpcdAddress, VpcdAddressError, run as run_vpcd};
use crate::Keeper;

/// One card, shared by the sessions that its links hold.
pub type SharedKeeper = Arc<Mutex<dyn Keeper>>;

/// Historical bytes: category 80; 73: selected by full or partial name, chaining and extended
/// lengths; 57: the maker's seven letters (ISO/IEC 7816-4, 12.1.1).
const HISTORICAL: [u8; 13] = [
    0x80, 0x73, 0xC0, 0x21, 0xC0, 0x57, b'L', b'a', b'n', b'y', b'a', b'r', b'd',
];

/// The answer to reset: T=1, our historical bytes, check byte (ISO/IEC 7816-3, 8.2).
#[must_use]
pub fn answer_to_reset() -> Vec<u8> {
    let mut atr = vec![0x3B, 0x80 | HISTORICAL.len() as u8, 0x01];
    atr.extend_from_slice(&HISTORICAL);
    let check = atr.iter().skip(1).fold(0, |check, byte| check ^ byte);
    atr.push(check);
    atr
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_reset_has_a_right_check_byte() {
        let atr = answer_to_reset();
        assert_eq!(atr.iter().skip(1).fold(0, |check, byte| check ^ byte), 0);
        assert_eq!(usize::from(atr[1] & 0x0F), atr.len() - 4);
    }
}
