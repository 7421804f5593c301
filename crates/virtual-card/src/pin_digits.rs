// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many digits a card's PINs have: `--pin-policy`, within what PIV can carry.

use lanyard_piv::Pin;
use serde::{Deserialize, Serialize};

/// Fewest digits of a PIN (SP 800-73-4 part 2, 2.4.3).
const DIGITS_MIN: u8 = 6;
/// Most digits: a PIN is eight bytes.
const DIGITS_MAX: u8 = 8;

/// The shortest and the longest PIN that a card takes as a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinDigits {
    min: u8,
    max: u8,
}

/// Such PINs cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a PIN of a PIV card has {DIGITS_MIN} to {DIGITS_MAX} digits")]
pub struct NotPinDigits;

impl Default for PinDigits {
    fn default() -> Self {
        Self {
            min: DIGITS_MIN,
            max: DIGITS_MAX,
        }
    }
}

impl PinDigits {
    /// PINs of `min` to `max` digits.
    ///
    /// # Errors
    /// When PIV has no such PINs.
    pub fn new(min: u8, max: u8) -> Result<Self, NotPinDigits> {
        let digits = Self { min, max };
        if digits.is_possible() {
            Ok(digits)
        } else {
            Err(NotPinDigits)
        }
    }

    /// Fewest digits.
    #[must_use]
    pub fn min(self) -> u8 {
        self.min
    }

    /// Most digits.
    #[must_use]
    pub fn max(self) -> u8 {
        self.max
    }

    pub(crate) fn is_possible(self) -> bool {
        DIGITS_MIN <= self.min && self.min <= self.max && self.max <= DIGITS_MAX
    }

    /// Whether it asks for no more than PIV does.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this PIN may become the new one.
    #[must_use]
    pub fn allows(self, pin: &Pin) -> bool {
        (usize::from(self.min)..=usize::from(self.max)).contains(&pin.digit_count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lengths_that_piv_has_can_be_asked_for() {
        for (min, max) in [(6, 8), (8, 8), (6, 6), (7, 8)] {
            assert!(PinDigits::new(min, max).is_ok());
        }
        for (min, max) in [(5, 8), (6, 9), (8, 6), (4, 127), (0, 0)] {
            assert_eq!(PinDigits::new(min, max), Err(NotPinDigits));
        }
        let eight = PinDigits::new(8, 8).unwrap();
        assert!(!eight.allows(&Pin::parse("407316").unwrap()));
        assert!(eight.allows(&Pin::parse("40731688").unwrap()));
    }
}
