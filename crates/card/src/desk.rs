// SPDX-License-Identifier: MIT OR Apache-2.0
//! What our own cards do beyond PIV: unblocking by the help desk, and a new key that takes the old one's place.

use lanyard_piv::{Command, DeskKey, DeskReadiness, DeskResponse, NewPin, Slot, StatusWord};

use crate::fault::CardFault;
use crate::session::CardSession;

/// What came of the desk's response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeskOutcome {
    /// The new PIN is set.
    Unblocked,
    /// The response does not fit the challenge.
    Wrong {
        /// How many more this challenge takes.
        tries_left: u8,
    },
    /// The challenge takes no more responses.
    Blocked,
    /// The challenge is too old, or was never shown.
    Late,
    /// The card is in nobody's care.
    NotReady,
    /// The card does not take this PIN: it is the old one.
    NewPinRefused,
}

impl CardSession {
    /// The challenge for the help desk; `None` when the card shows none.
    ///
    /// # Errors
    ///
    /// When the card is gone or its answer malformed.
    pub fn desk_challenge(&mut self) -> Result<Option<DeskReadiness>, CardFault> {
        let answer = self.exchange(Command::desk_challenge())?;
        match answer.status() {
            StatusWord::SUCCESS => DeskReadiness::parse(answer.data())
                .map(Some)
                .map_err(|_| CardFault::BadAnswer),
            // Other cards do not know the command, or have none of these.
            _ => Ok(None),
        }
    }

    /// Whether the card can be put into the care of a help desk.
    ///
    /// # Errors
    ///
    /// When the card is gone.
    pub fn knows_desk(&mut self) -> Result<bool, CardFault> {
        let status = self.exchange(Command::desk_challenge())?.status();
        Ok(matches!(
            status,
            StatusWord::SUCCESS | StatusWord::REFERENCE_NOT_FOUND
        ))
    }

    /// Gives the card its desk key; the management key and the PIN were shown before.
    ///
    /// # Errors
    ///
    /// [`CardFault::Unsupported`] when the card does not know the command.
    pub fn desk_arm(&mut self, key: &DeskKey) -> Result<(), CardFault> {
        self.must_reset();
        match self.exchange(Command::desk_arm(key))?.status() {
            StatusWord::SUCCESS => Ok(()),
            status => Err(self.refusal(status)),
        }
    }

    /// Sets a new PIN with the desk's response.
    ///
    /// # Errors
    ///
    /// When the card is gone or answers something else.
    pub fn desk_unblock(
        &mut self,
        response: &DeskResponse,
        new: &NewPin,
    ) -> Result<DeskOutcome, CardFault> {
        self.must_reset();
        let status = self
            .exchange(Command::desk_unblock(response, new))?
            .status();
        Ok(match (status, status.tries_left()) {
            (StatusWord::SUCCESS, _) => DeskOutcome::Unblocked,
            (StatusWord::BLOCKED, _) => DeskOutcome::Blocked,
            (_, Some(tries_left)) => DeskOutcome::Wrong { tries_left },
            (StatusWord::SECURITY_STATUS_NOT_SATISFIED, _) => DeskOutcome::Late,
            (StatusWord::REFERENCE_NOT_FOUND | StatusWord::INSTRUCTION_NOT_SUPPORTED, _) => {
                DeskOutcome::NotReady
            }
            (StatusWord::WRONG_DATA, _) => DeskOutcome::NewPinRefused,
            _ => return Err(self.refusal(status)),
        })
    }

    /// Moves key and certificate of a retired slot into another, both or neither.
    ///
    /// # Errors
    ///
    /// [`CardFault::Unsupported`] when the card does not know the command.
    pub fn adopt(&mut self, from: Slot, to: Slot) -> Result<(), CardFault> {
        self.must_reset();
        match self.exchange(Command::adopt(from, to))?.status() {
            StatusWord::SUCCESS => Ok(()),
            status => Err(self.refusal(status)),
        }
    }
}
