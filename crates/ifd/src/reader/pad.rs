// SPDX-License-Identifier: MIT OR Apache-2.0
//! A PIN pad, for tests of programs that use one (PC/SC part 10, 2.5). Only a reader that was
//! configured so has it.
//!
//! The person at the pad is a file beside the reader's socket, `SOCKET.pad`: one PIN a line, or the
//! word `cancel`. It is taken away when it was read. No file in time is nobody at the pad.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::slot::Slot;
use super::{CardError, Device};

/// Fewest digits that the pad takes.
pub const DIGITS_MIN: u8 = 4;
/// Most digits that the pad takes.
pub const DIGITS_MAX: u8 = 8;

const NOBODY: [u8; 2] = [0x64, 0x00];
const CANCELLED: [u8; 2] = [0x64, 0x01];
const NOT_REPEATED: [u8; 2] = [0x64, 0x02];
const WRONG_SIZE: [u8; 2] = [0x64, 0x03];
const WRONG_PARAMETERS: [u8; 2] = [0x6B, 0x80];

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const FILE_BYTES_MAX: u64 = 64;
/// ASCII digits, from the left; the unit of positions is the byte.
const FORMAT: u8 = 0x82;
const FORMAT_MASK: u8 = 0x87;
const COMMAND_HEADER_BYTES: usize = 5;
/// Flags of `bConfirmPIN`.
const ASKS_AGAIN: u8 = 1;
const ASKS_OLD: u8 = 2;

/// A PIN_VERIFY_STRUCTURE or a PIN_MODIFY_STRUCTURE.
#[derive(Debug, PartialEq, Eq)]
struct Wish<'a> {
    timeout: Duration,
    digits: (u8, u8),
    /// Where in the command each PIN goes.
    old: Option<usize>,
    new: usize,
    asks_again: bool,
    block: usize,
    command: &'a [u8],
}

impl<'a> Wish<'a> {
    fn verify(bytes: &'a [u8]) -> Option<Self> {
        let (fixed, command) = bytes.split_first_chunk::<19>()?;
        let [
            time,
            _,
            format,
            block,
            _,
            most,
            least,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            length @ ..,
        ] = *fixed;
        Self::new(
            time,
            format,
            block,
            (least, most),
            length,
            command,
            None,
            0,
            0,
        )
    }

    fn modify(bytes: &'a [u8]) -> Option<Self> {
        let (fixed, command) = bytes.split_first_chunk::<24>()?;
        let [
            time,
            _,
            format,
            block,
            _,
            old,
            new,
            most,
            least,
            confirm,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            length @ ..,
        ] = *fixed;
        let old = (confirm & ASKS_OLD != 0).then_some(old);
        Self::new(
            time,
            format,
            block,
            (least, most),
            length,
            command,
            old,
            new,
            confirm,
        )
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of two C structures")]
    fn new(
        time: u8,
        format: u8,
        block: u8,
        digits: (u8, u8),
        length: [u8; 4],
        command: &'a [u8],
        old: Option<u8>,
        new: u8,
        confirm: u8,
    ) -> Option<Self> {
        let fits = format & FORMAT_MASK == FORMAT
            && usize::try_from(u32::from_le_bytes(length)) == Ok(command.len())
            && digits.0 <= digits.1;
        if !fits {
            return None;
        }
        let position = usize::from(format >> 3 & 0x0F);
        let place = |offset: u8| {
            position
                .saturating_add(usize::from(offset))
                .saturating_add(COMMAND_HEADER_BYTES)
        };
        Some(Self {
            timeout: match time {
                0 => TIMEOUT_DEFAULT,
                seconds => Duration::from_secs(seconds.into()),
            },
            digits,
            old: old.map(place),
            new: place(new),
            asks_again: confirm & ASKS_AGAIN != 0,
            block: usize::from(block & 0x0F),
            command,
        })
    }

    /// The command with what was typed in it, or what the pad answers instead.
    fn fill(&self, typed: &str) -> Result<Zeroizing<Vec<u8>>, [u8; 2]> {
        let mut lines = typed.lines().map(str::trim);
        if typed.trim() == "cancel" {
            return Err(CANCELLED);
        }
        let mut command = Zeroizing::new(self.command.to_vec());
        let mut last = "";
        for place in self.old.into_iter().chain([self.new]) {
            last = lines.next().unwrap_or_default();
            self.put(&mut command, place, last)?;
        }
        if self.asks_again && lines.next() != Some(last) {
            return Err(NOT_REPEATED);
        }
        Ok(command)
    }

    fn put(&self, command: &mut [u8], place: usize, pin: &str) -> Result<(), [u8; 2]> {
        let length = u8::try_from(pin.len()).map_err(|_| WRONG_SIZE)?;
        if !(self.digits.0..=self.digits.1).contains(&length)
            || !pin.bytes().all(|byte| byte.is_ascii_digit())
            || pin.len() > self.block
        {
            return Err(WRONG_SIZE);
        }
        let end = place.checked_add(pin.len()).ok_or(WRONG_PARAMETERS)?;
        let room = command.get_mut(place..end).ok_or(WRONG_PARAMETERS)?;
        room.copy_from_slice(pin.as_bytes());
        Ok(())
    }
}

/// Asks the person at the pad for the PIN and hands it to the card.
pub fn verify(device: &Device, slot: &Slot, wish: &[u8]) -> Result<Zeroizing<Vec<u8>>, CardError> {
    serve(device, slot, Wish::verify(wish))
}

/// Asks the person at the pad for the old and the new PIN and hands them to the card.
pub fn modify(device: &Device, slot: &Slot, wish: &[u8]) -> Result<Zeroizing<Vec<u8>>, CardError> {
    serve(device, slot, Wish::modify(wish))
}

fn serve(
    device: &Device,
    slot: &Slot,
    wish: Option<Wish<'_>>,
) -> Result<Zeroizing<Vec<u8>>, CardError> {
    let own = |words: [u8; 2]| Ok(Zeroizing::new(words.to_vec()));
    let Some(wish) = wish else {
        return own(WRONG_PARAMETERS);
    };
    let file = pad_file(&device.socket);
    let began = Instant::now();
    let typed = loop {
        if !slot.is_present() {
            return Err(CardError::Absent);
        }
        if let Some(typed) = take(&file) {
            break typed;
        }
        if began.elapsed() >= wish.timeout {
            return own(NOBODY);
        }
        thread::sleep(LOOK_AGAIN);
    };
    match wish.fill(&typed) {
        Ok(command) => slot.transmit(&command),
        Err(words) => own(words),
    }
}

/// The file that plays the person.
fn pad_file(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(".pad");
    name.into()
}

fn take(file: &Path) -> Option<Zeroizing<String>> {
    let mut typed = Zeroizing::new(String::new());
    let opened = File::open(file).ok()?;
    opened
        .take(FILE_BYTES_MAX)
        .read_to_string(&mut typed)
        .ok()?;
    if typed.trim().is_empty() {
        // Somebody is still writing.
        return None;
    }
    fs::remove_file(file).ok()?;
    Some(typed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verify_wish() -> Vec<u8> {
        let mut wish = vec![5, 0, 0x82, 8, 0, 8, 6, 2, 1, 9, 4, 0, 0, 0, 0, 13, 0, 0, 0];
        wish.extend_from_slice(&[0, 0x20, 0, 0x80, 8]);
        wish.extend_from_slice(&[0xFF; 8]);
        wish
    }

    fn modify_wish(confirm: u8) -> Vec<u8> {
        let mut wish = vec![
            0, 0, 0x82, 8, 0, 0, 8, 8, 6, confirm, 2, 3, 9, 4, 0, 1, 2, 0, 0, 0,
        ];
        wish.extend_from_slice(&[21, 0, 0, 0, 0, 0x24, 0, 0x80, 16]);
        wish.extend_from_slice(&[0xFF; 16]);
        wish
    }

    #[test]
    fn the_digits_stand_in_front_of_the_padding() {
        let bytes = verify_wish();
        let wish = Wish::verify(&bytes).unwrap();
        assert_eq!(wish.timeout, Duration::from_secs(5));
        let command = wish.fill("407316\n").unwrap();
        assert_eq!(&command[5..], b"407316\xFF\xFF");
        assert_eq!(command[..5], [0, 0x20, 0, 0x80, 8]);
    }

    #[test]
    fn the_pad_judges_before_the_card_is_asked() {
        let bytes = verify_wish();
        let wish = Wish::verify(&bytes).unwrap();
        for (typed, words) in [
            ("cancel\n", CANCELLED),
            ("12345", WRONG_SIZE),
            ("123456789", WRONG_SIZE),
            ("12345x", WRONG_SIZE),
        ] {
            assert_eq!(wish.fill(typed).unwrap_err(), words, "{typed}");
        }
    }

    #[test]
    fn a_change_asks_for_the_old_pin_and_twice_for_the_new_one() {
        let bytes = modify_wish(3);
        let wish = Wish::modify(&bytes).unwrap();
        assert_eq!(wish.timeout, TIMEOUT_DEFAULT);
        let command = wish.fill("407316\n35914782\n35914782\n").unwrap();
        assert_eq!(&command[5..], b"407316\xFF\xFF35914782");
        let other = wish.fill("407316\n35914782\n35914783\n");
        assert_eq!(other.unwrap_err(), NOT_REPEATED);
        let bytes = modify_wish(0);
        let command = Wish::modify(&bytes).unwrap().fill("35914782").unwrap();
        assert_eq!(&command[13..], b"35914782");
    }

    proptest! {
        #[test]
        fn no_structure_breaks_the_pad(bytes: Vec<u8>, typed in "[0-9\n]{0,40}") {
            for wish in [Wish::verify(&bytes), Wish::modify(&bytes)].into_iter().flatten() {
                let _ = wish.fill(&typed);
            }
        }

        #[test]
        fn no_offset_writes_outside_the_command(changes in prop::collection::vec((0usize..45, any::<u8>()), 0..6)) {
            let mut bytes = modify_wish(3);
            for (place, byte) in changes {
                bytes[place] = byte;
            }
            if let Some(wish) = Wish::modify(&bytes)
                && let Ok(command) = wish.fill("407316\n35914782\n35914782") {
                prop_assert_eq!(command.len(), wish.command.len());
            }
        }
    }
}
