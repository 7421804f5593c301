// SPDX-License-Identifier: MIT OR Apache-2.0
//! Faults of cards in words.

use lanyard_card::CardFault;
use lanyard_card::piv::NewPinError;
use lanyard_fault::Fault;

use crate::problem::Problem;

/// A fault of a card as a person reads it.
#[must_use]
pub fn card_problem(fault: CardFault) -> Problem {
    match fault {
        CardFault::WrongPin { tries_left } => {
            Problem::new(Fault::PinWrong).with_detail(tries_in_words(tries_left))
        }
        CardFault::WrongPinUncounted => Problem::new(Fault::PinWrong)
            .with_detail("The card does not tell how many tries are left."),
        CardFault::WrongPuk { tries_left } => {
            Problem::new(Fault::PukWrong).with_detail(tries_in_words(tries_left))
        }
        _ => Problem::new(plain(fault)).with_details_of(fault),
    }
}

fn plain(fault: CardFault) -> Fault {
    match fault {
        CardFault::NoService => Fault::PcscUnavailable,
        CardFault::NoReader => Fault::NoReader,
        CardFault::NoCard => Fault::NoCard,
        CardFault::CardMute => Fault::CardMute,
        CardFault::Removed | CardFault::OtherCard => Fault::CardRemoved,
        CardFault::Interrupted | CardFault::InUse | CardFault::ForeignSocket => Fault::CardInUse,
        CardFault::ForeignCard => Fault::CardOfSomebodyElse,
        CardFault::PinBlocked => Fault::PinBlocked,
        CardFault::LastTry => Fault::LastTryUnconfirmed,
        CardFault::PinMustChange => Fault::PinMustChange,
        CardFault::PukBlocked => Fault::PukBlocked,
        CardFault::NewPinRefused => Fault::PinRefused,
        CardFault::AdminRefused | CardFault::AdminNotAuthenticated => Fault::AdminKeyRefused,
        CardFault::NoKey(_) | CardFault::NoCertificate(_) => Fault::CardNotEnrolled,
        CardFault::TokenKeyMissing => Fault::CardKeyMissing,
        CardFault::TokenPinRefused => Fault::TokenPinFormat,
        CardFault::PadMissing => Fault::PadMissing,
        CardFault::PadCancelled => Fault::PadCancelled,
        CardFault::PadTimedOut => Fault::PadTimedOut,
        CardFault::PadMismatch => Fault::PadMismatch,
        CardFault::ModuleUnusable => Fault::Pkcs11ModuleUnusable,
        CardFault::ModuleMute => Fault::Pkcs11ModuleMute,
        _ => Fault::CardUnusable,
    }
}

trait Details {
    fn with_details_of(self, fault: CardFault) -> Self;
}

impl Details for Problem {
    /// The rare ones keep the card's own fact, which helps a help desk.
    fn with_details_of(self, fault: CardFault) -> Self {
        if !self.is(Fault::CardUnusable) {
            return self;
        }
        let mut fact = fault.to_string();
        if let Some(first) = fact.get(..1).map(str::to_uppercase) {
            fact.replace_range(..1, &first);
        }
        self.with_detail(format!("{fact}."))
    }
}

/// How many tries are left, as a sentence.
#[must_use]
pub fn tries_in_words(tries: u8) -> String {
    match tries {
        0 => "No tries are left.".to_owned(),
        1 => "Only one try is left before it locks.".to_owned(),
        tries => format!("{tries} tries are left."),
    }
}

/// Why a PIN may not become the new one.
#[must_use]
pub fn new_pin_problem(error: NewPinError) -> Problem {
    let detail = match error {
        NewPinError::Transport => "12345678 is the PIN of every blank card.",
        NewPinError::Repeated => "It is one digit repeated.",
        NewPinError::Ascending => "Its digits count upwards.",
        NewPinError::Descending => "Its digits count downwards.",
        NewPinError::SameAsOld => "It is the old PIN.",
        _ => "It is too simple.",
    };
    Problem::new(Fault::PinRefused).with_detail(detail)
}

/// What was typed is no PIN.
#[must_use]
pub fn pin_format_problem() -> Problem {
    Problem::new(Fault::PinFormat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_told_in_words() {
        let problem = card_problem(CardFault::WrongPin { tries_left: 1 });
        assert_eq!(
            problem.to_string(),
            "LY-1205: The PIN is wrong. Only one try is left before it locks. Type the PIN again."
        );
    }

    #[test]
    fn rare_faults_keep_the_cards_own_fact() {
        let problem = card_problem(CardFault::Full);
        assert_eq!(
            problem.detail.as_deref(),
            Some("The card's memory is full.")
        );
    }
}
