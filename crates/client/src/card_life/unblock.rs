// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unblocking by the help desk: a response to the card's challenge, or, for a card of another make, a code with
//! which the PUK comes, is used and is replaced in one step, without ever being shown.

use lanyard_card::piv::{DeskChallenge, DeskResponse, Puk};
use lanyard_card::{CardFault, DeskOutcome};
use lanyard_fault::Fault;
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::Reach;
use crate::address::SignInAddress;
use crate::cards::{CardChange, card_problem, new_pin};
use crate::problem::Problem;

const UNBLOCKINGS_PATH: &str = "/api/v1/card-unblockings";
const DONE_PATH: &str = "/api/v1/card-unblockings/done";

/// How the help desk can unblock a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeskWay {
    /// It answers this challenge.
    Challenge {
        /// As it is read out.
        challenge: String,
        /// How many wrong responses it still takes.
        tries_left: u8,
    },
    /// It gives a one-time code.
    Code,
    /// Not at all: the holder keeps the PUK.
    OwnPuk,
}

/// How the desk can unblock this card. A card that shows a challenge shows the same one for an hour.
///
/// # Errors
/// When the card is gone.
pub fn desk_way(card: &CardChange<'_>) -> Result<DeskWay, Problem> {
    let mut session = card.open()?;
    let ready = session.desk_challenge().map_err(card_problem)?;
    Ok(match ready {
        Some(ready) => DeskWay::Challenge {
            challenge: shown(&ready.challenge),
            tries_left: ready.tries_left,
        },
        None if card.facts().summary.kind.is_virtual() => DeskWay::OwnPuk,
        None => DeskWay::Code,
    })
}

fn shown(challenge: &DeskChallenge) -> String {
    challenge.to_string()
}

/// Sets a new PIN with the response that the desk has read out.
///
/// # Errors
/// When the response is mistyped (that costs no try) or wrong, or the PIN may not be chosen.
pub fn unblock_with_response(
    card: &CardChange<'_>,
    response: &Zeroizing<String>,
    new: &Zeroizing<String>,
) -> Result<(), Problem> {
    let response: DeskResponse = response.parse().map_err(|error| {
        let detail = format!("{error}.");
        let mut letters = detail.chars();
        let first = letters.next().map(|c| c.to_uppercase().to_string());
        let detail = first.unwrap_or_default() + letters.as_str();
        Problem::new(Fault::DeskResponseMalformed).with_detail(detail)
    })?;
    let new = new_pin(new, None)?;
    let outcome = card
        .open()?
        .desk_unblock(&response, &new)
        .map_err(card_problem)?;
    match outcome {
        DeskOutcome::Unblocked => Ok(()),
        DeskOutcome::Wrong { tries_left } => {
            let words = match tries_left {
                0 => "It was the last try for this challenge.".to_owned(),
                1 => "One more try is left for this challenge.".to_owned(),
                left => format!("{left} tries are left for this challenge."),
            };
            Err(Problem::new(Fault::DeskResponseWrong).with_detail(words))
        }
        DeskOutcome::Blocked => Err(Problem::new(Fault::DeskResponseBlocked)),
        DeskOutcome::Late => Err(Problem::new(Fault::DeskResponseLate)),
        DeskOutcome::NotReady => Err(Problem::new(Fault::DeskNotReady)),
        DeskOutcome::NewPinRefused => {
            Err(Problem::new(Fault::PinRefused)
                .with_detail("It is the PIN that the card had before."))
        }
    }
}

#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Puks {
    puks: Vec<String>,
    next_puk: String,
}

/// Fetches the PUK with a one-time code, sets the new PIN, replaces the PUK, and reports so.
///
/// # Errors
/// When the code is refused, the card does not take the PUK, or the PIN may not be chosen.
pub fn unblock_with_code(
    reach: &Reach,
    card: &CardChange<'_>,
    address: &SignInAddress,
    code: &Zeroizing<String>,
    new: &Zeroizing<String>,
) -> Result<(), Problem> {
    // The choice is judged first: a refused one costs no code.
    let new = new_pin(new, None)?;
    let number = card
        .facts()
        .guid()
        .ok_or_else(|| Problem::new(Fault::CardUnusable))?;
    let mut session = card.open()?;
    let body = || {
        serde_json::json!({ "code": code.trim(), "address": address.as_str(), "card": number })
            .to_string()
    };
    let answer = reach.post(UNBLOCKINGS_PATH, body())?;
    let malformed = || Problem::new(Fault::EnrolmentAnswer);
    let puks: Puks = serde_json::from_str(&answer.body).map_err(|_| malformed())?;
    drop(answer);
    let next = Puk::parse(&puks.next_puk).map_err(|_| malformed())?;
    let mut used = None;
    for text in &puks.puks {
        let puk = Puk::parse(text).map_err(|_| malformed())?;
        match session.unblock(&puk, &new) {
            Ok(()) => {
                used = Some(puk);
                break;
            }
            // An earlier unblocking may have broken off after it had replaced the PUK.
            Err(CardFault::WrongPuk { tries_left }) if tries_left > 1 => {}
            Err(fault) => return Err(card_problem(fault)),
        }
    }
    let used = used.ok_or_else(|| Problem::new(Fault::PukWrong))?;
    session.change_puk(&used, &next).map_err(card_problem)?;
    drop(session);
    // The PIN is set and the PUK is replaced: a server that does not hear of it tries both the next time.
    let _ = reach.post(DONE_PATH, body());
    Ok(())
}
