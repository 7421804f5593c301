// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the firmware's dispatcher does between the reader and the application.

use iso7816::command::FromSliceError;
use iso7816::{Command, Instruction, Status};
use piv_authenticator::{Authenticator, Options};

use crate::platform::Client;

/// Most bytes of a command or an answer; the firmware's own figure.
const MESSAGE_BYTES_MAX: usize = 7609;
const AID: [u8; 11] = [
    0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00,
];
const ISSUER_BYTES: usize = 5;
/// A command that does not say how much it expects is answered all the same, as real cards do.
const EXPECTED_BYTES_DEFAULT: usize = 256;

/// One session of the card.
pub struct Card<'a> {
    application: Authenticator<Client<'a>>,
    /// The first pieces of a chained command.
    waiting: Option<Command<MESSAGE_BYTES_MAX>>,
    answer: heapless::Vec<u8, MESSAGE_BYTES_MAX>,
    handed_out: usize,
}

impl<'a> Card<'a> {
    pub fn new(client: Client<'a>) -> Self {
        // Without a UUID of ours the application draws one when its memory is empty, and keeps it.
        let application = Authenticator::new(client, Options::new());
        Self {
            application,
            waiting: None,
            answer: heapless::Vec::new(),
            handed_out: 0,
        }
    }

    /// Answers one APDU.
    pub fn answer(&mut self, apdu: &[u8]) -> Vec<u8> {
        self.handle(apdu)
            .unwrap_or_else(|status| <[u8; 2]>::from(status).to_vec())
    }

    fn handle(&mut self, apdu: &[u8]) -> Result<Vec<u8>, Status> {
        let lengthened = with_whole_aid(apdu);
        let apdu = lengthened.as_deref().unwrap_or(apdu);
        let command: Command<MESSAGE_BYTES_MAX> = apdu.try_into().map_err(|error| match error {
            FromSliceError::InvalidClass => Status::ClassNotSupported,
            _ => Status::WrongLength,
        })?;
        if let Some(waiting) = &mut self.waiting {
            waiting
                .extend_from_command(&command)
                .map_err(|_| Status::WrongLength)?;
        }
        if !command.class().chain().last_or_only() {
            self.waiting.get_or_insert(command);
            return Ok(vec![0x90, 0x00]);
        }
        let command = self.waiting.take().unwrap_or(command);
        if command.instruction() != Instruction::GetResponse {
            self.answer.clear();
            self.handed_out = 0;
            self.application
                .respond(command.as_view(), &mut self.answer)?;
        }
        Ok(self.piece(command.expected()))
    }

    fn piece(&mut self, expected: usize) -> Vec<u8> {
        let expected = if expected == 0 {
            EXPECTED_BYTES_DEFAULT
        } else {
            expected
        };
        let rest = &self.answer[self.handed_out..];
        let count = expected.min(rest.len());
        let mut piece = rest[..count].to_vec();
        self.handed_out += count;
        let status = match rest.len() - count {
            0 => Status::Success,
            left => Status::MoreAvailable(u8::try_from(left).unwrap_or(0)),
        };
        piece.extend(<[u8; 2]>::from(status));
        piece
    }
}

/// Hosts select by a prefix of the AID; the firmware's dispatcher puts the whole one in its place.
fn with_whole_aid(apdu: &[u8]) -> Option<Vec<u8>> {
    let name = match apdu {
        [0x00, 0xA4, 0x04, 0x00, length, rest @ ..] => rest.get(..usize::from(*length))?,
        _ => return None,
    };
    if name.len() < ISSUER_BYTES || !AID.starts_with(name) {
        return None;
    }
    let mut whole = vec![0x00, 0xA4, 0x04, 0x00, AID.len() as u8];
    whole.extend_from_slice(&AID);
    whole.push(0x00);
    Some(whole)
}
