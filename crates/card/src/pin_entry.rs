// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ways in which a PIN reaches a card.

use std::fmt;

use lanyard_piv::Pin;
use zeroize::Zeroizing;

/// Most bytes of a token's PIN.
const TOKEN_PIN_BYTES_MAX: usize = 255;

/// Why a text is no PIN of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenPinError {
    /// Shorter or longer than this token takes, in bytes.
    #[error("it does not have {least} to {most} characters")]
    Length {
        /// Fewest bytes.
        least: usize,
        /// Most bytes.
        most: usize,
    },
    /// It holds a character that cannot be typed.
    #[error("it holds a control character")]
    Control,
}

/// The PIN of a card that is no PIV card: any text. Zeroed on drop; `Debug` shows nothing of it.
#[derive(Clone)]
pub struct TokenPin(Zeroizing<String>);

impl TokenPin {
    /// Takes what a person typed. The bounds are what the token says; 0 stands for *not said*.
    ///
    /// # Errors
    ///
    /// When it is too short, too long, or no text that can be typed.
    pub fn parse(text: &str, bounds: (usize, usize)) -> Result<Self, TokenPinError> {
        let least = bounds.0.max(1);
        let most = match bounds.1 {
            0 => TOKEN_PIN_BYTES_MAX,
            most => most.min(TOKEN_PIN_BYTES_MAX),
        };
        if !(least..=most).contains(&text.len()) {
            return Err(TokenPinError::Length { least, most });
        }
        if text.chars().any(char::is_control) {
            return Err(TokenPinError::Control);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for TokenPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenPin(..)")
    }
}

/// Where the PIN comes from.
#[derive(Debug, Clone)]
pub enum PinEntry {
    /// Typed at this computer, for a PIV card.
    Typed(Pin),
    /// Typed at this computer, for a card that is no PIV card.
    Token(TokenPin),
    /// To be typed at the reader's own keys: this program never sees it.
    Pad,
}

impl From<Pin> for PinEntry {
    fn from(pin: Pin) -> Self {
        Self::Typed(pin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_how_long_its_pin_is() {
        assert!(TokenPin::parse("1234", (4, 8)).is_ok());
        assert!(TokenPin::parse("Grüße", (0, 0)).is_ok());
        let refused = TokenPin::parse("123", (4, 8)).err();
        assert_eq!(refused, Some(TokenPinError::Length { least: 4, most: 8 }));
        assert!(TokenPin::parse("123456789", (4, 8)).is_err());
        assert!(TokenPin::parse("", (0, 0)).is_err());
        let refused = TokenPin::parse("12\n34", (0, 0)).err();
        assert_eq!(refused, Some(TokenPinError::Control));
    }

    #[test]
    fn a_token_pin_is_not_shown() {
        let pin = TokenPin::parse("s3cret", (0, 0)).unwrap();
        let shown = format!("{:?}", PinEntry::Token(pin));
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
