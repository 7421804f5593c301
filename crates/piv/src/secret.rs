// SPDX-License-Identifier: MIT OR Apache-2.0
//! PIN and PUK: zeroed on drop, never printed, compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Fewest digits of a PIN or PUK (SP 800-73-4 part 2, 2.4.3).
pub const PIN_DIGITS_MIN: usize = 6;
/// Most digits of a PIN or PUK.
pub const PIN_DIGITS_MAX: usize = 8;
/// Length of a PIN or PUK as it travels: short ones are padded with `FF`.
pub const PIN_BYTES: usize = 8;

const PADDING: u8 = 0xFF;
/// What a card leaves the maker with; it serves only to choose the real one.
const TRANSPORT_PIN: &str = "12345678";

/// Why a text is no PIN or PUK.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PinFormatError {
    /// Fewer than six digits.
    #[error("it has fewer than {PIN_DIGITS_MIN} digits")]
    TooShort,
    /// More than eight digits.
    #[error("it has more than {PIN_DIGITS_MAX} digits, which is all that a PIV card can hold")]
    TooLong,
    /// Something other than the digits 0 to 9.
    #[error("it holds something other than the digits 0 to 9")]
    NotDigits,
}

/// Why a PIN may not become the new one.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NewPinError {
    /// It is 12345678, which every blank card has.
    #[error("12345678 is the PIN of every blank card")]
    Transport,
    /// One digit repeated.
    #[error("it is one digit repeated")]
    Repeated,
    /// Digits counting upwards.
    #[error("its digits count upwards")]
    Ascending,
    /// Digits counting downwards.
    #[error("its digits count downwards")]
    Descending,
    /// The PIN that it shall replace.
    #[error("it is the old PIN")]
    SameAsOld,
}

/// Eight bytes: the digits, then padding.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct Digits([u8; PIN_BYTES]);

impl Digits {
    fn from_text(text: &str) -> Result<Self, PinFormatError> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PinFormatError::NotDigits);
        }
        if text.len() < PIN_DIGITS_MIN {
            return Err(PinFormatError::TooShort);
        }
        if text.len() > PIN_DIGITS_MAX {
            return Err(PinFormatError::TooLong);
        }
        let mut digits = Self([PADDING; PIN_BYTES]);
        for (place, digit) in digits.0.iter_mut().zip(text.bytes()) {
            *place = digit;
        }
        Ok(digits)
    }

    fn from_padded(padded: &[u8]) -> Result<Self, PinFormatError> {
        let bytes: [u8; PIN_BYTES] = padded.try_into().map_err(|_| {
            if padded.len() < PIN_BYTES {
                PinFormatError::TooShort
            } else {
                PinFormatError::TooLong
            }
        })?;
        let digits = Self(bytes);
        let (kept, padding) = digits.parts();
        if kept.len() < PIN_DIGITS_MIN && padding.iter().all(|byte| *byte == PADDING) {
            return Err(PinFormatError::TooShort);
        }
        if !kept.iter().all(u8::is_ascii_digit) || !padding.iter().all(|byte| *byte == PADDING) {
            return Err(PinFormatError::NotDigits);
        }
        Ok(digits)
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        let kept = self
            .0
            .iter()
            .position(|byte| *byte == PADDING)
            .unwrap_or(PIN_BYTES);
        self.0.split_at_checked(kept).unwrap_or((&self.0, &[]))
    }

    fn digits(&self) -> &[u8] {
        self.parts().0
    }

    fn same(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

macro_rules! digits_type {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        ///
        /// Six to eight digits. Zeroed on drop; `Debug` shows nothing of it.
        #[derive(Clone, ZeroizeOnDrop)]
        pub struct $name(Digits);

        impl $name {
            /// Takes what a person typed.
            ///
            /// # Errors
            ///
            /// When it is not six to eight digits.
            pub fn parse(text: &str) -> Result<Self, PinFormatError> {
                Digits::from_text(text).map(Self)
            }

            /// Takes the eight bytes of a command (SP 800-73-4 part 2, 2.4.3).
            ///
            /// # Errors
            ///
            /// When they are not digits followed by `FF` padding.
            pub fn from_padded(padded: &[u8]) -> Result<Self, PinFormatError> {
                Digits::from_padded(padded).map(Self)
            }

            /// The eight bytes that travel to the card.
            #[must_use]
            pub fn padded(&self) -> &[u8; PIN_BYTES] {
                &self.0.0
            }

            /// How many digits it has.
            #[must_use]
            pub fn digit_count(&self) -> usize {
                self.0.digits().len()
            }

            /// True for 12345678, which every blank card has.
            #[must_use]
            pub fn is_transport(&self) -> bool {
                self.0.0.ct_eq(TRANSPORT_PIN.as_bytes()).into()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.same(&other.0)
            }
        }

        impl Eq for $name {}
    };
}

digits_type!(Pin, "The PIN of a card (key reference `80`).");
digits_type!(
    Puk,
    "The PIN unblocking key of a card (key reference `81`)."
);

/// A PIN that may be set: none of the trivial ones and not the old one.
///
/// Writing a PIN to a card takes this type, so that the rules cannot be walked past.
#[derive(Clone)]
pub struct NewPin(Pin);

impl NewPin {
    /// Checks a candidate against the rules and the PIN that it replaces, where that is known.
    ///
    /// # Errors
    ///
    /// When the candidate is trivial or the old PIN.
    pub fn check(candidate: Pin, old: Option<&Pin>) -> Result<Self, NewPinError> {
        if candidate.is_transport() {
            return Err(NewPinError::Transport);
        }
        if old.is_some_and(|old| *old == candidate) {
            return Err(NewPinError::SameAsOld);
        }
        // Counting past the end (…8 9 0 1…) is counting as well, hence the remainder.
        let steps = |step: u8| {
            candidate.0.digits().windows(2).all(|pair| match pair {
                [first, second] => {
                    let next = first.saturating_sub(b'0').saturating_add(step) % 10;
                    second.saturating_sub(b'0') == next
                }
                _ => false,
            })
        };
        if steps(0) {
            return Err(NewPinError::Repeated);
        }
        if steps(1) {
            return Err(NewPinError::Ascending);
        }
        if steps(9) {
            return Err(NewPinError::Descending);
        }
        Ok(Self(candidate))
    }

    /// The PIN itself.
    #[must_use]
    pub fn pin(&self) -> &Pin {
        &self.0
    }

    /// Gives the PIN up.
    #[must_use]
    pub fn into_pin(self) -> Pin {
        self.0
    }
}

impl fmt::Debug for NewPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPin(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pin(text: &str) -> Pin {
        Pin::parse(text).unwrap()
    }

    #[test]
    fn six_to_eight_digits_are_a_pin_and_nothing_else_is() {
        assert_eq!(pin("482913").padded(), b"482913\xff\xff");
        assert_eq!(pin("48291375").padded(), b"48291375");
        assert_eq!(Pin::parse("48291"), Err(PinFormatError::TooShort));
        assert_eq!(Pin::parse("482913755"), Err(PinFormatError::TooLong));
        assert_eq!(Pin::parse("48a913"), Err(PinFormatError::NotDigits));
        assert_eq!(Pin::parse("４８２９１３"), Err(PinFormatError::NotDigits));
        assert_eq!(Pin::parse(""), Err(PinFormatError::TooShort));
    }

    #[test]
    fn padding_may_only_stand_behind_the_digits() {
        assert_eq!(Pin::from_padded(b"482913\xff\xff"), Ok(pin("482913")));
        assert_eq!(
            Pin::from_padded(b"48\xff91375"),
            Err(PinFormatError::NotDigits)
        );
        assert_eq!(
            Pin::from_padded(b"48291\xff\xff\xff"),
            Err(PinFormatError::TooShort)
        );
        assert_eq!(
            Pin::from_padded(b"482913\x00\x00"),
            Err(PinFormatError::NotDigits)
        );
        assert_eq!(Pin::from_padded(b"482913"), Err(PinFormatError::TooShort));
        assert_eq!(
            Pin::from_padded(b"482913\xff\xff\xff"),
            Err(PinFormatError::TooLong)
        );
    }

    #[test]
    fn trivial_pins_are_refused_as_new_ones() {
        let check = |text: &str| NewPin::check(pin(text), None).map(|_| ());
        assert_eq!(check("12345678"), Err(NewPinError::Transport));
        assert_eq!(check("777777"), Err(NewPinError::Repeated));
        assert_eq!(check("123456"), Err(NewPinError::Ascending));
        assert_eq!(check("67890123"), Err(NewPinError::Ascending));
        assert_eq!(check("876543"), Err(NewPinError::Descending));
        assert_eq!(check("32109876"), Err(NewPinError::Descending));
        assert_eq!(check("482913"), Ok(()));
        assert_eq!(check("123457"), Ok(()));
    }

    #[test]
    fn the_old_pin_is_refused_as_the_new_one() {
        let old = pin("482913");
        assert_eq!(
            NewPin::check(pin("482913"), Some(&old)).err(),
            Some(NewPinError::SameAsOld)
        );
        assert!(NewPin::check(pin("482914"), Some(&old)).is_ok());
    }

    #[test]
    fn debug_shows_no_digit() {
        let new = NewPin::check(pin("482913"), None).unwrap();
        let puk = Puk::parse("482913").unwrap();
        assert_eq!(
            format!("{:?} {new:?} {puk:?}", pin("482913")),
            "Pin(..) NewPin(..) Puk(..)"
        );
    }

    proptest! {
        #[test]
        fn every_pin_survives_the_padding(text in "[0-9]{6,8}") {
            let pin = pin(&text);
            prop_assert_eq!(pin.digit_count(), text.len());
            prop_assert_eq!(Pin::from_padded(pin.padded()), Ok(pin));
        }
    }
}
