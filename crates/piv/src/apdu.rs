// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command and response APDUs (ISO/IEC 7816-4, 5.1), short and extended.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::status::StatusWord;

/// Most data bytes of one command in the short form.
pub const SHORT_DATA_BYTES_MAX: usize = 255;
/// Most data bytes of one command in the extended form.
pub const COMMAND_DATA_BYTES_MAX: usize = 65_535;
/// Most bytes that a command in the short form can ask for.
pub const EXPECTED_BYTES_SHORT_MAX: u32 = 256;
/// Most bytes that a command in the extended form can ask for.
pub const EXPECTED_BYTES_EXTENDED_MAX: u32 = 65_536;
/// The class bit that says "more of this command follows" (ISO/IEC 7816-4, 5.4.1).
pub const CHAINED: u8 = 0x10;

/// Why bytes are no command APDU.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApduError {
    /// Fewer than the four header bytes.
    #[error("a command has at least four bytes")]
    NoHeader,
    /// The length field and the bytes behind it do not agree.
    #[error("the command's length field does not fit its length")]
    Length,
    /// More data than the extended form can hold.
    #[error("more than {COMMAND_DATA_BYTES_MAX} bytes of data")]
    TooLong,
}

/// A command to a card. Its data may be a PIN, so it is zeroed on drop and never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Command {
    class: u8,
    instruction: u8,
    p1: u8,
    p2: u8,
    data: Vec<u8>,
    expected: Option<u32>,
}

impl Command {
    /// A command of class 00 without data that expects no answer beyond its status.
    #[must_use]
    pub fn new(instruction: u8, p1: u8, p2: u8) -> Self {
        Self {
            class: 0,
            instruction,
            p1,
            p2,
            data: Vec::new(),
            expected: None,
        }
    }

    /// The same command with data.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.data.zeroize();
        self.data = data.into();
        self
    }

    /// The same command, expecting up to this many bytes of answer (clamped to 1 to 65,536).
    #[must_use]
    pub fn with_expected(mut self, bytes: u32) -> Self {
        self.expected = Some(bytes.clamp(1, EXPECTED_BYTES_EXTENDED_MAX));
        self
    }

    /// The same command with another class byte.
    #[must_use]
    pub fn with_class(mut self, class: u8) -> Self {
        self.class = class;
        self
    }

    /// Reads a command in any of the four cases, short or extended.
    ///
    /// # Errors
    ///
    /// When the header is missing or the lengths do not agree.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApduError> {
        let (&[class, instruction, p1, p2], body) =
            bytes.split_first_chunk::<4>().ok_or(ApduError::NoHeader)?;
        let (data, expected): (&[u8], Option<u32>) = match body {
            [] => (&[], None),
            [expected] => (&[], Some(short_expected(*expected))),
            [0, high, low] => (&[], Some(extended_expected(*high, *low))),
            [0, high, low, rest @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                if length == 0 {
                    return Err(ApduError::Length);
                }
                match rest.split_at_checked(length).ok_or(ApduError::Length)? {
                    (data, []) => (data, None),
                    (data, [high, low]) => (data, Some(extended_expected(*high, *low))),
                    _ => return Err(ApduError::Length),
                }
            }
            [length, rest @ ..] => {
                let length = usize::from(*length);
                if length == 0 {
                    return Err(ApduError::Length);
                }
                match rest.split_at_checked(length).ok_or(ApduError::Length)? {
                    (data, []) => (data, None),
                    (data, [expected]) => (data, Some(short_expected(*expected))),
                    _ => return Err(ApduError::Length),
                }
            }
        };
        Ok(Self {
            class,
            instruction,
            p1,
            p2,
            data: data.to_vec(),
            expected,
        })
    }

    /// Writes the command: in the short form where it fits, else in the extended one.
    ///
    /// # Errors
    ///
    /// When the data is longer than the extended form can hold.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, ApduError> {
        let length = u16::try_from(self.data.len()).map_err(|_| ApduError::TooLong)?;
        // Room for header, both extended length fields and the data: no copy of a PIN is left
        // behind by a growing vector.
        let mut out = Zeroizing::new(Vec::with_capacity(
            self.data.len().saturating_add(4 + 3 + 2),
        ));
        out.extend_from_slice(&[self.class, self.instruction, self.p1, self.p2]);
        let [high, low] = length.to_be_bytes();
        if self.is_short() {
            if length > 0 {
                out.push(low);
                out.extend_from_slice(&self.data);
            }
            if let Some(expected) = self.expected {
                // 256 is written as 0.
                out.push(u8::try_from(expected).unwrap_or(0));
            }
            return Ok(out);
        }
        out.push(0);
        if length > 0 {
            out.extend_from_slice(&[high, low]);
            out.extend_from_slice(&self.data);
        }
        if let Some(expected) = self.expected {
            // 65,536 is written as 0.
            out.extend_from_slice(&u16::try_from(expected).unwrap_or(0).to_be_bytes());
        }
        Ok(out)
    }

    /// Cuts the command into short ones joined by the chaining bit (SP 800-73-4 part 2, 3.3.2).
    /// A command that is short enough comes back alone.
    #[must_use]
    pub fn split(mut self) -> Vec<Self> {
        let expected = self
            .expected
            .map(|bytes| bytes.min(EXPECTED_BYTES_SHORT_MAX));
        let pieces = self.data.chunks(SHORT_DATA_BYTES_MAX);
        let last = pieces.len().saturating_sub(1);
        if last == 0 {
            self.expected = expected;
            return vec![self];
        }
        pieces
            .enumerate()
            .map(|(index, piece)| {
                let (class, expected) = if index == last {
                    (self.class, expected)
                } else {
                    (self.class | CHAINED, None)
                };
                Self {
                    class,
                    instruction: self.instruction,
                    p1: self.p1,
                    p2: self.p2,
                    data: piece.to_vec(),
                    expected,
                }
            })
            .collect()
    }

    /// The class byte.
    #[must_use]
    pub fn class(&self) -> u8 {
        self.class
    }

    /// True when more of this command follows.
    #[must_use]
    pub fn is_chained(&self) -> bool {
        self.class & CHAINED != 0
    }

    /// The instruction byte.
    #[must_use]
    pub fn instruction(&self) -> u8 {
        self.instruction
    }

    /// The first parameter.
    #[must_use]
    pub fn p1(&self) -> u8 {
        self.p1
    }

    /// The second parameter.
    #[must_use]
    pub fn p2(&self) -> u8 {
        self.p2
    }

    /// The data.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// How many bytes of answer are expected at most; `None` when the command does not say.
    #[must_use]
    pub fn expected(&self) -> Option<u32> {
        self.expected
    }

    /// Joins the data of a following chained command to this one, and takes over its class and
    /// expected length.
    pub(crate) fn absorb(&mut self, mut next: Self) {
        // A growing vector would leave its old bytes behind: move by hand and zero the old ones.
        let length = self.data.len().saturating_add(next.data.len());
        let mut joined = Vec::with_capacity(length);
        joined.extend_from_slice(&self.data);
        joined.append(&mut next.data);
        self.data.zeroize();
        self.data = joined;
        self.class = next.class;
        self.expected = next.expected;
    }

    fn is_short(&self) -> bool {
        self.data.len() <= SHORT_DATA_BYTES_MAX
            && self
                .expected
                .is_none_or(|bytes| bytes <= EXPECTED_BYTES_SHORT_MAX)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Command({:02X} {:02X} {:02X} {:02X}, {} bytes, expects {:?})",
            self.class,
            self.instruction,
            self.p1,
            self.p2,
            self.data.len(),
            self.expected
        )
    }
}

fn short_expected(byte: u8) -> u32 {
    if byte == 0 {
        EXPECTED_BYTES_SHORT_MAX
    } else {
        u32::from(byte)
    }
}

fn extended_expected(high: u8, low: u8) -> u32 {
    match u16::from_be_bytes([high, low]) {
        0 => EXPECTED_BYTES_EXTENDED_MAX,
        bytes => u32::from(bytes),
    }
}

/// Why bytes are no response APDU: not even a status word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the card's answer is shorter than a status word")]
pub struct ResponseError;

/// What a card answered. Its data may be secret, so it is zeroed on drop and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    data: Zeroizing<Vec<u8>>,
    status: StatusWord,
}

impl Response {
    /// An answer with data.
    #[must_use]
    pub fn new(data: impl Into<Vec<u8>>, status: StatusWord) -> Self {
        Self {
            data: Zeroizing::new(data.into()),
            status,
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// When it is shorter than a status word.
    pub fn parse(bytes: &[u8]) -> Result<Self, ResponseError> {
        let (data, status) = bytes.split_last_chunk::<2>().ok_or(ResponseError)?;
        Ok(Self::new(
            data,
            StatusWord::new(u16::from_be_bytes(*status)),
        ))
    }

    /// Writes the answer.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.data.len().saturating_add(2)));
        out.extend_from_slice(&self.data);
        out.extend_from_slice(&self.status.to_bytes());
        out
    }

    /// The data before the status word.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The status word.
    #[must_use]
    pub fn status(&self) -> StatusWord {
        self.status
    }
}

impl From<StatusWord> for Response {
    fn from(status: StatusWord) -> Self {
        Self::new(Vec::new(), status)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({} bytes, {})", self.data.len(), self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(bytes: &[u8]) -> (Vec<u8>, Option<u32>) {
        let command = Command::parse(bytes).unwrap();
        (command.data().to_vec(), command.expected())
    }

    #[test]
    fn all_seven_forms_are_read() {
        assert_eq!(parsed(&[0, 0x20, 0, 0x80]), (vec![], None));
        assert_eq!(parsed(&[0, 0xC0, 0, 0, 0]), (vec![], Some(256)));
        assert_eq!(parsed(&[0, 0xC0, 0, 0, 9]), (vec![], Some(9)));
        assert_eq!(parsed(&[0, 0xDB, 0, 0, 2, 1, 2]), (vec![1, 2], None));
        assert_eq!(
            parsed(&[0, 0xDB, 0, 0, 2, 1, 2, 0]),
            (vec![1, 2], Some(256))
        );
        assert_eq!(parsed(&[0, 0xC0, 0, 0, 0, 0, 0]), (vec![], Some(65_536)));
        assert_eq!(parsed(&[0, 0xDB, 0, 0, 0, 0, 1, 7]), (vec![7], None));
        assert_eq!(
            parsed(&[0, 0xDB, 0, 0, 0, 0, 1, 7, 1, 0]),
            (vec![7], Some(256))
        );
    }

    #[test]
    fn lengths_that_do_not_agree_are_refused() {
        for bytes in [
            &[0, 0xDB, 0, 0, 2, 1][..],
            &[0, 0xDB, 0, 0, 2, 1, 2, 0, 0],
            &[0, 0xDB, 0, 0, 0, 0],
            &[0, 0xDB, 0, 0, 0, 0, 0, 0],
            &[0, 0xDB, 0, 0, 0, 0, 2, 1],
            &[0, 0xDB, 0, 0, 0, 0, 1, 7, 0],
        ] {
            assert_eq!(
                Command::parse(bytes),
                Err(ApduError::Length),
                "{bytes:02x?}"
            );
        }
        assert_eq!(Command::parse(&[0, 0x20, 0]), Err(ApduError::NoHeader));
    }

    #[test]
    fn data_at_the_limit_is_written_and_one_byte_over_is_not() {
        let command = Command::new(0xDB, 0, 0).with_data(vec![1; COMMAND_DATA_BYTES_MAX]);
        assert_eq!(Command::parse(&command.to_bytes().unwrap()), Ok(command));
        let over = Command::new(0xDB, 0, 0).with_data(vec![1; COMMAND_DATA_BYTES_MAX + 1]);
        assert_eq!(over.to_bytes().err(), Some(ApduError::TooLong));
    }

    #[test]
    fn debug_shows_no_data() {
        let command = Command::new(0x20, 0, 0x80).with_data(*b"48291375");
        assert_eq!(
            format!("{command:?}"),
            "Command(00 20 00 80, 8 bytes, expects None)"
        );
        let response = Response::new(*b"48291375", StatusWord::SUCCESS);
        assert_eq!(format!("{response:?}"), "Response(8 bytes, 9000)");
    }

    #[test]
    fn an_answer_without_a_status_word_is_refused() {
        assert_eq!(Response::parse(&[0x90]), Err(ResponseError));
        assert_eq!(
            Response::parse(&[1, 0x90, 0]),
            Ok(Response::new([1], StatusWord::SUCCESS))
        );
    }

    proptest! {
        #[test]
        fn every_command_is_read_as_it_was_written(
            class: u8, instruction: u8, p1: u8, p2: u8,
            data in proptest::collection::vec(any::<u8>(), 0..600),
            expected in proptest::option::of(1u32..=65_536),
        ) {
            let mut command =
                Command::new(instruction, p1, p2).with_class(class).with_data(data);
            if let Some(expected) = expected {
                command = command.with_expected(expected);
            }
            prop_assert_eq!(Command::parse(&command.to_bytes().unwrap()), Ok(command));
        }

        #[test]
        fn no_bytes_panic_and_what_is_read_is_the_same_when_written_and_read_again(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            if let Ok(command) = Command::parse(&bytes) {
                prop_assert_eq!(Command::parse(&command.to_bytes().unwrap()), Ok(command));
            }
        }
    }
}
