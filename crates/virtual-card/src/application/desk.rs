// SPDX-License-Identifier: MIT OR Apache-2.0
//! `INS F0`, ours: unblocking by the help desk, and moving a fresh key into its place
//! (docs/card-commands.md).

use std::time::{Instant, SystemTime};

use lanyard_piv::{
    Command, DESK_KEY_BYTES, DESK_RESPONSE_SYMBOLS, DeskKey, DeskResponse, NewPin, Pin, Slot,
    StatusWord, desk_p1, key_reference,
};
use zeroize::Zeroizing;

use super::access::Access;
use super::references::status_of_reference;
use super::{Answer, status_of};
use crate::keeper::Keeper;

/// The command.
pub(super) fn desk(
    access: &mut Access,
    keeper: &mut dyn Keeper,
    now: Instant,
    command: &Command,
) -> Answer {
    if command.p1() == desk_p1::ADOPT {
        return adopt(access, keeper, now, command);
    }
    if !keeper.has_desk() {
        return Err(StatusWord::FUNCTION_NOT_SUPPORTED);
    }
    if command.p2() != key_reference::PIN {
        return Err(StatusWord::REFERENCE_NOT_FOUND);
    }
    match command.p1() {
        desk_p1::CHALLENGE if command.data().is_empty() => {
            let readiness = keeper
                .desk_challenge(SystemTime::now())
                .map_err(status_of)?;
            Ok(readiness.encode())
        }
        desk_p1::CHALLENGE => Err(StatusWord::WRONG_DATA),
        desk_p1::ARM => arm(access, keeper, now, command),
        desk_p1::UNBLOCK => unblock(access, keeper, command),
        _ => Err(StatusWord::WRONG_PARAMETERS),
    }
}

/// Takes the key. Management key and PIN are needed: who has only one of them can neither take the
/// card from the desk nor give the desk a card that it does not know.
fn arm(access: &mut Access, keeper: &mut dyn Keeper, now: Instant, command: &Command) -> Answer {
    access.require_management()?;
    let mut key = Zeroizing::new([0; DESK_KEY_BYTES]);
    if command.data().len() != DESK_KEY_BYTES {
        return Err(StatusWord::WRONG_DATA);
    }
    key.copy_from_slice(command.data());
    let opened = access.opened(now)?;
    keeper
        .arm_desk(opened, &DeskKey::new(*key))
        .map_err(status_of)?;
    Ok(Vec::new())
}

fn unblock(access: &mut Access, keeper: &mut dyn Keeper, command: &Command) -> Answer {
    let (response, new) = command
        .data()
        .split_at_checked(DESK_RESPONSE_SYMBOLS)
        .ok_or(StatusWord::WRONG_DATA)?;
    let malformed = StatusWord::WRONG_DATA;
    let response = DeskResponse::from_symbols(response).map_err(|_| malformed)?;
    let new = Pin::from_padded(new).map_err(|_| malformed)?;
    // The new PIN is judged first: a refused one costs no try.
    let new = NewPin::check(new, None).map_err(|_| malformed)?;
    keeper
        .desk_unblock(&response, &new, SystemTime::now())
        .map_err(status_of_reference)?;
    access.forget_pin();
    Ok(Vec::new())
}

fn adopt(access: &mut Access, keeper: &mut dyn Keeper, now: Instant, command: &Command) -> Answer {
    access.require_management()?;
    let to = Slot::from_key_reference(command.p2()).ok_or(StatusWord::WRONG_PARAMETERS)?;
    let from = match command.data() {
        [from] => Slot::from_key_reference(*from).ok_or(StatusWord::WRONG_DATA)?,
        _ => return Err(StatusWord::WRONG_DATA),
    };
    if !matches!(from, Slot::Retired(_)) || matches!(to, Slot::Retired(_)) {
        return Err(StatusWord::WRONG_PARAMETERS);
    }
    let opened = access.opened(now)?;
    keeper.adopt(from, to, opened).map_err(status_of)?;
    Ok(Vec::new())
}
