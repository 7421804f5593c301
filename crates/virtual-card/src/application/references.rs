// SPDX-License-Identifier: MIT OR Apache-2.0
//! PIN and PUK: VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER
//! (SP 800-73-4 part 2, 3.2.1 to 3.2.3).

use std::time::Instant;

use lanyard_piv::{Command, NewPin, Pin, Puk, StatusWord, key_reference, reference_change};

use super::access::Access;
use super::{Answer, status_of};
use crate::keeper::{Keeper, ReferenceError};

/// P1 of VERIFY that asks to forget the PIN.
const FORGET: u8 = 0xFF;

/// VERIFY: checks the PIN; without data it only asks.
pub(super) fn verify(
    access: &mut Access,
    keeper: &mut dyn Keeper,
    now: Instant,
    command: &Command,
) -> Answer {
    if command.p2() != key_reference::PIN {
        return Err(StatusWord::REFERENCE_NOT_FOUND);
    }
    let tries_left = keeper.pin_status().tries.left;
    match (command.p1(), command.data()) {
        (FORGET, []) => {
            access.forget_pin();
            Ok(Vec::new())
        }
        (0x00, []) if access.is_pin_verified() => Ok(Vec::new()),
        (0x00, _) if tries_left == 0 => Err(StatusWord::BLOCKED),
        (0x00, []) => Err(StatusWord::tries(tries_left)),
        (0x00, data) => {
            // What has not the form of a PIN cannot be right, so it costs no try.
            let pin = Pin::from_padded(data).map_err(|_| StatusWord::WRONG_DATA)?;
            let opened = keeper
                .verify(&pin)
                .map_err(|error| refused(access, error))?;
            access.pin_verified(opened, keeper.pin_epoch(), now);
            Ok(Vec::new())
        }
        _ => Err(StatusWord::WRONG_PARAMETERS),
    }
}

/// CHANGE REFERENCE DATA: a new PIN or PUK by means of the old one.
pub(super) fn change(
    access: &mut Access,
    keeper: &mut dyn Keeper,
    now: Instant,
    command: &Command,
) -> Answer {
    if command.p1() != 0x00 {
        return Err(StatusWord::WRONG_PARAMETERS);
    }
    let blocked = match command.p2() {
        key_reference::PIN => keeper.pin_status().tries.left == 0,
        key_reference::PUK => keeper.puk_status().tries.left == 0,
        _ => return Err(StatusWord::REFERENCE_NOT_FOUND),
    };
    if blocked {
        return Err(StatusWord::BLOCKED);
    }
    let malformed = |_| StatusWord::WRONG_DATA;
    let (old, new) = reference_change(command.data()).map_err(malformed)?;
    if command.p2() == key_reference::PUK {
        let old = Puk::from_padded(old).map_err(malformed)?;
        let new = Puk::from_padded(new).map_err(malformed)?;
        keeper.change_puk(&old, &new).map_err(status_of_reference)?;
        return Ok(Vec::new());
    }
    let old = Pin::from_padded(old).map_err(malformed)?;
    let new = Pin::from_padded(new).map_err(malformed)?;
    // The new PIN is judged first: a refused one costs no try.
    let new = NewPin::check(new, Some(&old)).map_err(|_| StatusWord::WRONG_DATA)?;
    let opened = keeper
        .change_pin(&old, &new)
        .map_err(|error| refused(access, error))?;
    access.pin_verified(opened, keeper.pin_epoch(), now);
    Ok(Vec::new())
}

/// RESET RETRY COUNTER: a new PIN by means of the PUK.
pub(super) fn unblock(access: &mut Access, keeper: &mut dyn Keeper, command: &Command) -> Answer {
    if command.p1() != 0x00 {
        return Err(StatusWord::WRONG_PARAMETERS);
    }
    if command.p2() != key_reference::PIN {
        return Err(StatusWord::REFERENCE_NOT_FOUND);
    }
    if keeper.puk_status().tries.left == 0 {
        return Err(StatusWord::BLOCKED);
    }
    let malformed = |_| StatusWord::WRONG_DATA;
    let (puk, new) = reference_change(command.data()).map_err(malformed)?;
    let puk = Puk::from_padded(puk).map_err(malformed)?;
    let new = Pin::from_padded(new).map_err(malformed)?;
    let new = NewPin::check(new, None).map_err(|_| StatusWord::WRONG_DATA)?;
    keeper
        .unblock(&puk, &new)
        .map_err(|error| refused(access, error))?;
    access.forget_pin();
    Ok(Vec::new())
}

/// A PIN or PUK was refused: what was verified before no longer counts.
fn refused(access: &mut Access, error: ReferenceError) -> StatusWord {
    if error != ReferenceError::SameAsOld {
        access.forget_pin();
    }
    status_of_reference(error)
}

pub(super) fn status_of_reference(error: ReferenceError) -> StatusWord {
    match error {
        ReferenceError::Wrong { tries_left } => StatusWord::tries(tries_left),
        ReferenceError::Blocked => StatusWord::BLOCKED,
        ReferenceError::SameAsOld | ReferenceError::Refused => StatusWord::WRONG_DATA,
        ReferenceError::Keeper(error) => status_of(error),
    }
}
