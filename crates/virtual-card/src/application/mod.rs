// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PIV application: command bytes in, answer bytes out.
//!
//! One `Application` is one session with the card, from insertion to removal. Several may share a
//! keeper: what one has verified is of no use to the others.

mod access;
mod authenticate;
mod chip;
mod desk;
mod objects;
mod references;

use std::fmt;
use std::time::{Duration, Instant};

use lanyard_piv::{
    ApplicationTemplate, Command, Incoming, OBJECT_BYTES_MAX, Outgoing, Response, StatusWord, ins,
    matches_application,
};
use zeroize::Zeroizing;

use self::access::Access;
pub use self::access::{VERIFIED_IDLE_MAX, VERIFIED_MAX};
use crate::keeper::{Keeper, KeeperError, Protection};

/// Longest joined command: the largest object, its name and lengths.
const COMMAND_BYTES_MAX: usize = OBJECT_BYTES_MAX + 32;
/// SELECT by name, first occurrence (ISO/IEC 7816-4, 11.2.2).
const SELECT_BY_NAME: u8 = 0x04;

/// What a handler answers: data with 9000, or another status word.
type Answer = Result<Vec<u8>, StatusWord>;

/// One session with the card.
pub struct Application {
    incoming: Incoming,
    outgoing: Outgoing,
    access: Access,
}

impl Default for Application {
    fn default() -> Self {
        Self::new()
    }
}

impl Application {
    /// A session as after insertion: nothing is verified. PIV is the default application, so it
    /// answers before the first SELECT as well (SP 800-73-4 part 2, 2.2).
    #[must_use]
    pub fn new() -> Self {
        Self {
            incoming: Incoming::new(COMMAND_BYTES_MAX),
            outgoing: Outgoing::new(),
            access: Access::default(),
        }
    }

    /// Forgets everything that was verified or half received, as at reset and power off.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// How long a verified PIN will still be remembered, if there is one.
    #[must_use]
    pub fn expires_in(&self, now: Instant) -> Option<Duration> {
        self.access.expires_in(now)
    }

    /// Forgets, and wipes from memory, a verified PIN whose time is over. Each command does so as
    /// well; a link calls it when no command comes.
    pub fn forget_expired(&mut self, now: Instant) {
        self.access.forget_expired(now);
    }

    /// Answers one command.
    pub fn apdu(
        &mut self,
        keeper: &mut dyn Keeper,
        now: Instant,
        bytes: &[u8],
    ) -> Zeroizing<Vec<u8>> {
        self.respond(keeper, now, bytes).to_bytes()
    }

    fn respond(&mut self, keeper: &mut dyn Keeper, now: Instant, bytes: &[u8]) -> Response {
        let Ok(command) = Command::parse(bytes) else {
            return StatusWord::WRONG_LENGTH.into();
        };
        match command.class() & !lanyard_piv::CHAINED {
            0x00 => {}
            0x0C => return StatusWord::SECURE_MESSAGING_NOT_SUPPORTED.into(),
            _ => return StatusWord::CLASS_NOT_SUPPORTED.into(),
        }
        if let Some(rest) = self.outgoing.get_response(&command) {
            return rest;
        }
        let command = match self.incoming.push(command) {
            Ok(Some(command)) => command,
            Ok(None) => return StatusWord::SUCCESS.into(),
            Err(_) => return StatusWord::WRONG_LENGTH.into(),
        };
        self.access.expire(keeper, now);
        match self.dispatch(keeper, now, &command) {
            Ok(data) => self
                .outgoing
                .start(&command, Response::new(data, StatusWord::SUCCESS)),
            Err(status) => status.into(),
        }
    }

    fn dispatch(&mut self, keeper: &mut dyn Keeper, now: Instant, command: &Command) -> Answer {
        let access = &mut self.access;
        if command.instruction() != ins::GENERAL_AUTHENTICATE {
            // A challenge lives for the very next command.
            access.forget_challenge();
        }
        match command.instruction() {
            ins::SELECT => select(keeper, command),
            ins::VERIFY => references::verify(access, keeper, now, command),
            ins::CHANGE_REFERENCE_DATA => references::change(access, keeper, now, command),
            ins::RESET_RETRY_COUNTER => references::unblock(access, keeper, command),
            ins::GENERAL_AUTHENTICATE => {
                authenticate::general_authenticate(access, keeper, now, command)
            }
            ins::GENERATE => objects::generate(access, keeper, command),
            ins::GET_DATA => objects::get_data(access, keeper, command),
            ins::PUT_DATA => objects::put_data(access, keeper, command),
            ins::GET_METADATA => objects::get_metadata(keeper, command),
            ins::CHIP => chip::chip(access, keeper, command),
            ins::DESK => desk::desk(access, keeper, now, command),
            ins::SET_MANAGEMENT_KEY => objects::set_management_key(access, keeper, command),
            // Yubico's version and serial number among them: this card is not a YubiKey.
            _ => Err(StatusWord::INSTRUCTION_NOT_SUPPORTED),
        }
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Application(..)")
    }
}

/// SELECT. Selecting PIV again changes nothing that was verified (SP 800-73-4 part 2, 3.1.1).
fn select(keeper: &dyn Keeper, command: &Command) -> Answer {
    if command.p1() != SELECT_BY_NAME {
        return Err(StatusWord::WRONG_PARAMETERS);
    }
    if !matches_application(command.data()) {
        return Err(StatusWord::NOT_FOUND);
    }
    let template = ApplicationTemplate {
        label: Some(label(keeper.protection())),
        algorithms: keeper.algorithms().iter().map(|kind| kind.id()).collect(),
    };
    Ok(template.encode())
}

/// What the card calls itself; hosts of ours tell by it where its keys lie.
fn label(protection: Protection) -> String {
    match protection {
        Protection::Tpm => format!("{} (TPM)", lanyard_piv::APPLICATION_LABEL),
        Protection::SealedFile => lanyard_piv::APPLICATION_LABEL.to_owned(),
    }
}

/// How a keeper's failure is told to the host.
fn status_of(error: KeeperError) -> StatusWord {
    match error {
        KeeperError::NotWritten => StatusWord::MEMORY_FAILURE,
        KeeperError::NoKey => StatusWord::REFERENCE_NOT_FOUND,
        KeeperError::NotOpened => StatusWord::SECURITY_STATUS_NOT_SATISFIED,
        KeeperError::Unsupported => StatusWord::FUNCTION_NOT_SUPPORTED,
        KeeperError::Input => StatusWord::WRONG_DATA,
        KeeperError::Full => StatusWord::NOT_ENOUGH_MEMORY,
        KeeperError::LockedOut => StatusWord::CONDITIONS_NOT_SATISFIED,
        KeeperError::Damaged | KeeperError::Unreachable | KeeperError::Device => {
            StatusWord::UNSPECIFIED
        }
    }
}

#[cfg(test)]
mod tests;
