// SPDX-License-Identifier: MIT OR Apache-2.0
//! The life of a card, from blank to destroyed.
//!
//! A card has one state and changes it only by an event that the state allows; everything else is refused with
//! the reason. What a state means for sign-in is said here as well, so that every listener decides alike.

use std::fmt;
use std::str::FromStr;

/// Where a card stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CardState {
    /// Known by its number, without a certificate.
    Blank,
    /// It holds a certificate, but its holder has not chosen a PIN yet.
    Enrolled,
    /// In use.
    Active,
    /// Its holder cannot find it.
    Lost,
    /// It does not work any more.
    Damaged,
    /// Its certificates are over.
    Expired,
    /// Withdrawn for another reason; it may be enrolled again.
    Revoked,
    /// Gone for good.
    Destroyed,
}

/// What happens to a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardEvent {
    /// It was enrolled: issued, its holder has yet to choose a PIN.
    Enrol,
    /// It came into force: the holder has chosen a PIN.
    Activate,
    /// It was renewed.
    Renew,
    /// Its holder reported it lost.
    ReportLost,
    /// It was found again.
    Find,
    /// It does not work any more.
    ReportDamaged,
    /// Its last certificate's time is over.
    Expire,
    /// It was withdrawn.
    Revoke,
    /// It was destroyed.
    Destroy,
}

/// An event that the state of the card does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a card that is {state} cannot be {event}")]
pub struct IllegalTransition {
    /// Where the card stands.
    pub state: CardState,
    /// What was to happen.
    pub event: CardEvent,
}

impl CardState {
    /// All states.
    pub const ALL: [Self; 8] = [
        Self::Blank,
        Self::Enrolled,
        Self::Active,
        Self::Lost,
        Self::Damaged,
        Self::Expired,
        Self::Revoked,
        Self::Destroyed,
    ];

    /// The state after an event. An event that finds its own outcome changes nothing and is allowed, because
    /// whoever repeats a command wants to be sure.
    ///
    /// # Errors
    /// When a card in this state cannot go that way.
    pub fn after(self, event: CardEvent) -> Result<Self, IllegalTransition> {
        use CardEvent as E;
        let next = match (self, event) {
            // A lost, damaged or destroyed card is not enrolled: somebody else may have had it in hand.
            (
                Self::Blank | Self::Enrolled | Self::Active | Self::Expired | Self::Revoked,
                E::Enrol,
            ) => Self::Enrolled,
            (Self::Enrolled | Self::Active, E::Activate) => Self::Active,
            // Only a certificate in its time renews: a card that a clock has taken for expired is not.
            (Self::Active | Self::Expired, E::Renew) => Self::Active,
            (Self::Destroyed, E::Destroy) => Self::Destroyed,
            (Self::Destroyed, _) => return Err(self.refuses(event)),
            // A card of which nobody knows where it is may be lost whatever else it is.
            (_, E::ReportLost) => Self::Lost,
            // Found: out of force until it is enrolled anew.
            (Self::Lost | Self::Revoked, E::Find) => Self::Revoked,
            (Self::Lost, E::ReportDamaged | E::Expire | E::Revoke) => {
                return Err(self.refuses(event));
            }
            (_, E::ReportDamaged) => Self::Damaged,
            (Self::Enrolled | Self::Active | Self::Expired, E::Expire) => Self::Expired,
            (
                Self::Blank | Self::Enrolled | Self::Active | Self::Expired | Self::Revoked,
                E::Revoke,
            ) => Self::Revoked,
            // What still signs in is withdrawn first, in its own words.
            (Self::Enrolled | Self::Active, E::Destroy) => return Err(self.refuses(event)),
            (_, E::Destroy) => Self::Destroyed,
            _ => return Err(self.refuses(event)),
        };
        Ok(next)
    }

    /// Whether nothing of this card may sign in, whatever its certificates say.
    #[must_use]
    pub fn is_out(self) -> bool {
        matches!(
            self,
            Self::Lost | Self::Damaged | Self::Revoked | Self::Destroyed
        )
    }

    /// Whether it may be unblocked by the desk.
    #[must_use]
    pub fn may_be_unblocked(self) -> bool {
        matches!(self, Self::Enrolled | Self::Active)
    }

    /// The word in rows and interfaces.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::Enrolled => "enrolled",
            Self::Active => "active",
            Self::Lost => "lost",
            Self::Damaged => "damaged",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Destroyed => "destroyed",
        }
    }

    fn refuses(self, event: CardEvent) -> IllegalTransition {
        IllegalTransition { state: self, event }
    }
}

impl CardEvent {
    /// All events.
    pub const ALL: [Self; 9] = [
        Self::Enrol,
        Self::Activate,
        Self::Renew,
        Self::ReportLost,
        Self::Find,
        Self::ReportDamaged,
        Self::Expire,
        Self::Revoke,
        Self::Destroy,
    ];
}

impl fmt::Display for CardState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for CardEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enrol => "enrolled",
            Self::Activate => "put in force",
            Self::Renew => "renewed",
            Self::ReportLost => "reported lost",
            Self::Find => "found",
            Self::ReportDamaged => "reported damaged",
            Self::Expire => "expired",
            Self::Revoke => "withdrawn",
            Self::Destroy => "destroyed",
        })
    }
}

impl FromStr for CardState {
    type Err = crate::registry::UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(crate::registry::UnknownName)
    }
}

/// Who unblocks a card's PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CardCare {
    /// Its holder, with a PUK of their own: a card that nobody manages.
    #[default]
    Own,
    /// The desk, by challenge and response: our own virtual cards.
    Challenge,
    /// The desk, with the PUK that only the server knows: PIV cards of other makes.
    Puk,
}

impl CardCare {
    /// All ways.
    pub const ALL: [Self; 3] = [Self::Own, Self::Challenge, Self::Puk];

    /// The word in rows and interfaces.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Challenge => "challenge",
            Self::Puk => "puk",
        }
    }
}

impl FromStr for CardCare {
    type Err = crate::registry::UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|care| care.as_str() == text)
            .ok_or(crate::registry::UnknownName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_card_lives_from_blank_to_destroyed() {
        let mut state = CardState::Blank;
        for (event, next) in [
            (CardEvent::Enrol, CardState::Enrolled),
            (CardEvent::Activate, CardState::Active),
            (CardEvent::Renew, CardState::Active),
            (CardEvent::Expire, CardState::Expired),
            (CardEvent::Enrol, CardState::Enrolled),
            (CardEvent::Activate, CardState::Active),
            (CardEvent::ReportLost, CardState::Lost),
            (CardEvent::Find, CardState::Revoked),
            (CardEvent::ReportDamaged, CardState::Damaged),
            (CardEvent::Destroy, CardState::Destroyed),
        ] {
            state = state.after(event).unwrap();
            assert_eq!(state, next);
        }
    }

    #[test]
    fn the_refusal_says_what_was_refused() {
        let refused = CardState::Lost.after(CardEvent::Enrol).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a card that is lost cannot be enrolled"
        );
        let refused = CardState::Active.after(CardEvent::Destroy).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a card that is active cannot be destroyed"
        );
    }

    #[test]
    fn words_are_read_back() {
        for state in CardState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        for care in CardCare::ALL {
            assert_eq!(care.as_str().parse(), Ok(care));
        }
        assert!("stolen".parse::<CardState>().is_err());
    }

    proptest! {
        /// Whatever happens in whatever order: a card that is out comes back only through an enrolment, a lost
        /// one only after it was found, and a destroyed one never.
        #[test]
        fn no_way_leads_back_but_through_an_enrolment(
            events in proptest::collection::vec(proptest::sample::select(CardEvent::ALL.to_vec()), 0..40),
        ) {
            let mut state = CardState::Blank;
            for event in events {
                let Ok(next) = state.after(event) else { continue };
                if state == CardState::Destroyed {
                    prop_assert_eq!(next, CardState::Destroyed);
                }
                if state.is_out() && !next.is_out() {
                    prop_assert_eq!((state, event), (CardState::Revoked, CardEvent::Enrol));
                }
                if state == CardState::Lost && next != CardState::Lost {
                    prop_assert!(matches!(event, CardEvent::Find | CardEvent::Destroy));
                }
                if next == CardState::Active && state != CardState::Active {
                    let ways = [
                        (CardState::Enrolled, CardEvent::Activate),
                        (CardState::Expired, CardEvent::Renew),
                    ];
                    prop_assert!(ways.contains(&(state, event)), "{} {}", state, event);
                }
                // Said twice it is as true as said once.
                if let Ok(again) = next.after(event) {
                    prop_assert_eq!(again, next);
                }
                state = next;
            }
        }
    }
}
