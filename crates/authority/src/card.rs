// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the authority knows of a card: its number and its kind, as it was told.

use std::fmt;
use std::str::FromStr;

/// A card, as the authority was told about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Card {
    /// Its number.
    pub guid: CardGuid,
    /// What it is made of.
    pub kind: CardKind,
}

/// The globally unique number of a card (the GUID of its CHUID), shown as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardGuid(pub [u8; 16]);

impl CardGuid {
    /// The number as a UUID with hyphens.
    pub fn hyphenated(&self) -> String {
        let hex = self.to_string();
        let mut out = String::with_capacity(36);
        for (index, digit) in hex.chars().enumerate() {
            if matches!(index, 8 | 12 | 16 | 20) {
                out.push('-');
            }
            out.push(digit);
        }
        out
    }
}

impl fmt::Display for CardGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CardGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardGuid({self})")
    }
}

impl FromStr for CardGuid {
    type Err = CardError;

    /// Reads 32 hexadecimal digits, with or without hyphens.
    fn from_str(text: &str) -> Result<Self, CardError> {
        let mut bytes = [0u8; 16];
        let mut count = 0usize;
        for c in text.chars().filter(|c| *c != '-') {
            let digit = c.to_digit(16).ok_or(CardError::NotAGuid)?;
            let byte = bytes.get_mut(count / 2).ok_or(CardError::NotAGuid)?;
            *byte = (*byte << 4) | digit as u8;
            count += 1;
        }
        if count == 32 {
            Ok(Self(bytes))
        } else {
            Err(CardError::NotAGuid)
        }
    }
}

/// What a card is made of, as policy distinguishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CardKind {
    /// A virtual card whose key lies in a sealed file: no hardware protection.
    VirtualFile,
    /// A virtual card whose key lies in the computer's security chip.
    VirtualTpm,
    /// A card of plastic.
    Physical,
}

impl CardKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::VirtualFile, Self::VirtualTpm, Self::Physical];

    /// The word in files and interfaces.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::VirtualFile => "virtual-file",
            Self::VirtualTpm => "virtual-tpm",
            Self::Physical => "physical",
        }
    }
}

impl fmt::Display for CardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CardKind {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(CardError::UnknownKind)
    }
}

/// Why a text does not describe a card.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Not 16 bytes in hexadecimal digits.
    #[error("a card's number has 32 hexadecimal digits")]
    NotAGuid,
    /// A kind that does not exist.
    #[error("a card's kind is virtual-file, virtual-tpm or physical")]
    UnknownKind,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_with_and_without_hyphens() {
        let guid = CardGuid(*b"0123456789abcdef");
        assert_eq!(guid.to_string().parse(), Ok(guid));
        assert_eq!(guid.hyphenated().parse(), Ok(guid));
        assert_eq!(guid.hyphenated(), "30313233-3435-3637-3839-616263646566");
        for text in ["", "00", "zz", &"0".repeat(33), &"0".repeat(31)] {
            assert_eq!(
                text.parse::<CardGuid>(),
                Err(CardError::NotAGuid),
                "{text:?}"
            );
        }
    }

    #[test]
    fn every_kind_survives_text_and_back() {
        for kind in CardKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("paper".parse::<CardKind>(), Err(CardError::UnknownKind));
    }
}
