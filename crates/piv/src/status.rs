// SPDX-License-Identifier: MIT OR Apache-2.0
//! Status words: how a card says what came of a command.

use std::fmt;

/// The two bytes at the end of every response (ISO/IEC 7816-4, 5.6; SP 800-73-4 part 1, table 6).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusWord(u16);

impl StatusWord {
    /// `9000`: done.
    pub const SUCCESS: Self = Self(0x9000);
    /// `6300`: authentication failed, no counter told.
    pub const AUTHENTICATION_FAILED: Self = Self(0x6300);
    /// `6581`: the card could not write its memory.
    pub const MEMORY_FAILURE: Self = Self(0x6581);
    /// `6700`: wrong length.
    pub const WRONG_LENGTH: Self = Self(0x6700);
    /// `6882`: secure messaging is not supported.
    pub const SECURE_MESSAGING_NOT_SUPPORTED: Self = Self(0x6882);
    /// `6884`: command chaining is not supported (or came at the wrong place).
    pub const CHAINING_NOT_SUPPORTED: Self = Self(0x6884);
    /// `6982`: security status not satisfied (no PIN verified, no administrator authenticated).
    pub const SECURITY_STATUS_NOT_SATISFIED: Self = Self(0x6982);
    /// `6983`: the PIN or PUK is blocked.
    pub const BLOCKED: Self = Self(0x6983);
    /// `6985`: conditions of use not satisfied.
    pub const CONDITIONS_NOT_SATISFIED: Self = Self(0x6985);
    /// `6A80`: the data is wrong.
    pub const WRONG_DATA: Self = Self(0x6A80);
    /// `6A81`: the function is not supported.
    pub const FUNCTION_NOT_SUPPORTED: Self = Self(0x6A81);
    /// `6A82`: no such application, object or key.
    pub const NOT_FOUND: Self = Self(0x6A82);
    /// `6A84`: not enough memory.
    pub const NOT_ENOUGH_MEMORY: Self = Self(0x6A84);
    /// `6A86`: wrong parameter P1 or P2.
    pub const WRONG_PARAMETERS: Self = Self(0x6A86);
    /// `6A88`: no such key reference.
    pub const REFERENCE_NOT_FOUND: Self = Self(0x6A88);
    /// `6D00`: instruction not known.
    pub const INSTRUCTION_NOT_SUPPORTED: Self = Self(0x6D00);
    /// `6E00`: class not known.
    pub const CLASS_NOT_SUPPORTED: Self = Self(0x6E00);
    /// `6F00`: the card could not say what went wrong.
    pub const UNSPECIFIED: Self = Self(0x6F00);

    /// `63Cx`: wrong, with this many tries left (15 and more are told as 15).
    #[must_use]
    pub fn tries(left: u8) -> Self {
        Self(0x63C0 | u16::from(left.min(15)))
    }

    /// `61xx`: this many more bytes wait for GET RESPONSE (256 and more are told as 0).
    #[must_use]
    pub fn more(waiting_bytes: usize) -> Self {
        Self(0x6100 | u16::from(u8::try_from(waiting_bytes).unwrap_or(0)))
    }

    /// Takes the number.
    #[must_use]
    pub const fn new(value: u16) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    pub fn value(self) -> u16 {
        self.0
    }

    /// The two bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }

    /// True for `9000`.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::SUCCESS
    }

    /// The counter of `63Cx`.
    #[must_use]
    pub fn tries_left(self) -> Option<u8> {
        match self.0.to_be_bytes() {
            [0x63, low @ 0xC0..=0xCF] => Some(low & 0x0F),
            _ => None,
        }
    }

    /// The bytes that wait, of `61xx`; 0 means 256 or more.
    #[must_use]
    pub fn more_available(self) -> Option<u8> {
        match self.0.to_be_bytes() {
            [0x61, waiting] => Some(waiting),
            _ => None,
        }
    }

    /// The exact length that the card wants asked for, of `6Cxx`.
    #[must_use]
    pub fn correct_expected(self) -> Option<u8> {
        match self.0.to_be_bytes() {
            [0x6C, exact] => Some(exact),
            _ => None,
        }
    }
}

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusWord({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_as_they_are_written() {
        for left in 0..=15 {
            assert_eq!(StatusWord::tries(left).tries_left(), Some(left));
        }
        assert_eq!(StatusWord::tries(200).tries_left(), Some(15));
        assert_eq!(StatusWord::AUTHENTICATION_FAILED.tries_left(), None);
        assert_eq!(StatusWord::more(255).more_available(), Some(255));
        assert_eq!(StatusWord::more(256).more_available(), Some(0));
        assert_eq!(StatusWord::new(0x6C10).correct_expected(), Some(0x10));
    }
}
