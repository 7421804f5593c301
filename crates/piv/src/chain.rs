// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card's side of long commands and long answers.

use zeroize::Zeroizing;

use crate::apdu::{Command, EXPECTED_BYTES_SHORT_MAX, Response};
use crate::commands::ins;
use crate::status::StatusWord;

/// Joins chained commands (SP 800-73-4 part 2, 3.3.2).
#[derive(Debug)]
pub struct Incoming {
    waiting: Option<Command>,
    data_bytes_max: usize,
}

/// Why a chain was dropped.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IncomingError {
    /// The joined data is longer than this card takes; answer `6700`.
    #[error("the joined command is longer than the card takes")]
    TooLong,
}

impl Incoming {
    /// An empty chain whose joined data may have this many bytes.
    #[must_use]
    pub fn new(data_bytes_max: usize) -> Self {
        Self {
            waiting: None,
            data_bytes_max,
        }
    }

    /// Takes one command: gives the whole one when it is complete, `None` while more must follow
    /// (answer `9000`). A command that does not continue the chain drops what was collected.
    ///
    /// # Errors
    ///
    /// When the joined data grows past the limit; the chain is dropped.
    pub fn push(&mut self, command: Command) -> Result<Option<Command>, IncomingError> {
        let joined = match self.waiting.take() {
            Some(mut first) if continues(&first, &command) => {
                first.absorb(command);
                first
            }
            _ => command,
        };
        if joined.data().len() > self.data_bytes_max {
            return Err(IncomingError::TooLong);
        }
        if joined.is_chained() {
            self.waiting = Some(joined);
            return Ok(None);
        }
        Ok(Some(joined))
    }

    /// Forgets a half-received command, as a card does at reset.
    pub fn clear(&mut self) {
        self.waiting = None;
    }
}

fn continues(first: &Command, next: &Command) -> bool {
    (first.instruction(), first.p1(), first.p2()) == (next.instruction(), next.p1(), next.p2())
        && (first.class() | next.class()) & !crate::apdu::CHAINED
            == first.class() & !crate::apdu::CHAINED
}

/// Hands out an answer in the pieces that the commands ask for (`61xx` and GET RESPONSE).
#[derive(Debug, Default)]
pub struct Outgoing {
    rest: Zeroizing<Vec<u8>>,
    status: Option<StatusWord>,
}

impl Outgoing {
    /// Nothing waits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a new answer and gives its first piece. A command that names no expected length is
    /// answered with up to 256 bytes: hosts send the management-key commands that way.
    pub fn start(&mut self, command: &Command, response: Response) -> Response {
        self.rest = Zeroizing::new(response.data().to_vec());
        self.status = Some(response.status());
        self.piece(command.expected())
    }

    /// Answers GET RESPONSE; `6985` when nothing waits. Gives `None` for every other command,
    /// which also forgets what waited.
    pub fn get_response(&mut self, command: &Command) -> Option<Response> {
        if command.instruction() != ins::GET_RESPONSE {
            self.clear();
            return None;
        }
        if self.status.is_none() {
            return Some(StatusWord::CONDITIONS_NOT_SATISFIED.into());
        }
        Some(self.piece(command.expected()))
    }

    /// Forgets what waited.
    pub fn clear(&mut self) {
        self.rest = Zeroizing::default();
        self.status = None;
    }

    fn piece(&mut self, expected: Option<u32>) -> Response {
        let wanted = usize::try_from(expected.unwrap_or(EXPECTED_BYTES_SHORT_MAX))
            .unwrap_or(usize::MAX)
            .min(self.rest.len());
        let (piece, rest) = self
            .rest
            .split_at_checked(wanted)
            .unwrap_or((&self.rest, &[]));
        let piece = piece.to_vec();
        let rest = Zeroizing::new(rest.to_vec());
        let status = self.status.unwrap_or(StatusWord::SUCCESS);
        if rest.is_empty() {
            self.clear();
            return Response::new(piece, status);
        }
        let waiting = rest.len();
        self.rest = rest;
        Response::new(piece, StatusWord::more(waiting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stranger_in_the_chain_drops_what_was_collected() {
        let mut incoming = Incoming::new(1000);
        let first = Command::new(ins::PUT_DATA, 0x3F, 0xFF)
            .with_data([1; 255])
            .with_class(0x10);
        assert_eq!(incoming.push(first), Ok(None));
        let select = Command::new(ins::SELECT, 4, 0).with_data([2]);
        assert_eq!(incoming.push(select.clone()), Ok(Some(select)));
        let last = Command::new(ins::PUT_DATA, 0x3F, 0xFF).with_data([3]);
        assert_eq!(incoming.push(last.clone()), Ok(Some(last)));
    }

    #[test]
    fn a_chain_at_the_limit_is_taken_and_one_byte_over_is_not() {
        for (length, ok) in [(300, true), (301, false)] {
            let mut incoming = Incoming::new(300);
            let mut last = Ok(None);
            for piece in Command::new(ins::PUT_DATA, 0x3F, 0xFF)
                .with_data(vec![7; length])
                .split()
            {
                last = incoming.push(piece);
            }
            assert_eq!(last.is_ok(), ok, "{length}");
        }
    }

    #[test]
    fn get_response_without_anything_waiting_is_refused() {
        let mut outgoing = Outgoing::new();
        let answer = outgoing
            .get_response(&Command::new(ins::GET_RESPONSE, 0, 0))
            .unwrap();
        assert_eq!(answer.status(), StatusWord::CONDITIONS_NOT_SATISFIED);
    }

    proptest! {
        #[test]
        fn a_split_command_is_joined_again(
            data in proptest::collection::vec(any::<u8>(), 0..2000),
            expected in proptest::option::of(1u32..=256),
        ) {
            let mut command = Command::new(ins::PUT_DATA, 0x3F, 0xFF).with_data(data);
            if let Some(expected) = expected {
                command = command.with_expected(expected);
            }
            let mut incoming = Incoming::new(2000);
            let mut joined = None;
            for piece in command.clone().split() {
                prop_assert!(joined.is_none());
                prop_assert!(piece.data().len() <= 255);
                joined = incoming.push(piece).unwrap();
            }
            prop_assert_eq!(joined, Some(command));
        }

        #[test]
        fn a_long_answer_arrives_whole_whatever_is_asked_for(
            data in proptest::collection::vec(any::<u8>(), 0..3000), expected in 1u32..=256,
        ) {
            let mut outgoing = Outgoing::new();
            let get = Command::new(ins::GET_RESPONSE, 0, 0).with_expected(expected);
            let mut got = Vec::new();
            let answer = Response::new(data.clone(), StatusWord::SUCCESS);
            let mut piece = outgoing.start(&get, answer);
            loop {
                got.extend_from_slice(piece.data());
                if piece.status().is_success() {
                    break;
                }
                prop_assert!(piece.status().more_available().is_some());
                piece = outgoing.get_response(&get).unwrap();
            }
            prop_assert_eq!(got, data);
        }
    }
}
