// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where keys live on the card, and what kinds of key there are.

use std::fmt;
use std::str::FromStr;

/// A place for a private key and its certificate (SP 800-73-4 part 1, table 4b).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// `9A`: PIV authentication; the key of the card sign-in, used with the PIN.
    Authentication,
    /// `9C`: digital signature; wants the PIN before each use.
    Signature,
    /// `9D`: key management (decryption).
    KeyManagement,
    /// `9E`: card authentication; proves presence without a PIN.
    CardAuthentication,
    /// `82` to `95`: twenty retired key-management keys, counted from 1.
    Retired(RetiredSlot),
}

/// The number of a retired key-management slot, 1 to 20.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RetiredSlot(u8);

impl RetiredSlot {
    /// The slot with this number; `None` outside 1 to 20.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (1..=20).contains(&number).then_some(Self(number))
    }

    /// Its number, 1 to 20.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

impl Slot {
    /// The four slots that every card has.
    pub const MAIN: [Self; 4] = [
        Self::Authentication,
        Self::Signature,
        Self::KeyManagement,
        Self::CardAuthentication,
    ];

    /// The key reference of commands.
    #[must_use]
    pub fn key_reference(self) -> u8 {
        match self {
            Self::Authentication => 0x9A,
            Self::Signature => 0x9C,
            Self::KeyManagement => 0x9D,
            Self::CardAuthentication => 0x9E,
            Self::Retired(slot) => slot.0.saturating_add(0x81),
        }
    }

    /// The slot behind a key reference.
    #[must_use]
    pub fn from_key_reference(reference: u8) -> Option<Self> {
        match reference {
            0x9A => Some(Self::Authentication),
            0x9C => Some(Self::Signature),
            0x9D => Some(Self::KeyManagement),
            0x9E => Some(Self::CardAuthentication),
            other => RetiredSlot::new(other.checked_sub(0x81)?).map(Self::Retired),
        }
    }

    /// True where the card wants no PIN before it uses the key (SP 800-73-4 part 1, 3.3).
    #[must_use]
    pub fn works_without_pin(self) -> bool {
        self == Self::CardAuthentication
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}", self.key_reference())
    }
}

/// A kind of asymmetric key (SP 800-78-4, table 6-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `07`: RSA with 2048 bits.
    Rsa2048,
    /// `11`: ECC on curve P-256.
    EccP256,
    /// `14`: ECC on curve P-384.
    EccP384,
}

impl Algorithm {
    /// All kinds that we speak.
    pub const ALL: [Self; 3] = [Self::EccP256, Self::EccP384, Self::Rsa2048];

    /// The identifier of commands.
    #[must_use]
    pub fn id(self) -> u8 {
        match self {
            Self::Rsa2048 => 0x07,
            Self::EccP256 => 0x11,
            Self::EccP384 => 0x14,
        }
    }

    /// The kind behind an identifier.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.id() == id)
    }

    /// Bytes of what the private key works on: the curve's field, or the RSA modulus.
    #[must_use]
    pub fn input_bytes(self) -> usize {
        match self {
            Self::Rsa2048 => 256,
            Self::EccP256 => 32,
            Self::EccP384 => 48,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa2048 => "RSA-2048",
            Self::EccP256 => "P-256",
            Self::EccP384 => "P-384",
        })
    }
}

/// The sixteen bytes that tell one card from every other (SP 800-73-4 part 1, 3.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid([u8; 16]);

impl Guid {
    /// Takes the bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// True for the all-zero value of a card that was never personalised.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.0 == [0; 16]
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

/// A text that is not 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a card's GUID is 32 hexadecimal digits")]
pub struct GuidError;

impl FromStr for Guid {
    type Err = GuidError;

    fn from_str(text: &str) -> Result<Self, GuidError> {
        if text.len() != 32 {
            return Err(GuidError);
        }
        let mut bytes = [0_u8; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            for digit in pair {
                let value = char::from(*digit).to_digit(16).ok_or(GuidError)?;
                let value = u8::try_from(value).map_err(|_| GuidError)?;
                *byte = byte.wrapping_shl(4) | value;
            }
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_reference_leads_back_to_its_slot() {
        let known = (0..=u8::MAX)
            .filter_map(Slot::from_key_reference)
            .collect::<Vec<_>>();
        assert_eq!(known.len(), 24);
        for slot in known {
            assert_eq!(Slot::from_key_reference(slot.key_reference()), Some(slot));
        }
        assert_eq!(Slot::from_key_reference(0x9B), None);
        assert_eq!(Slot::from_key_reference(0x82).unwrap().to_string(), "82");
        assert_eq!(Slot::from_key_reference(0x95).unwrap().to_string(), "95");
    }

    #[test]
    fn a_guid_reads_what_it_prints() {
        let guid: Guid = "00112233445566778899aabbccddeeff".parse().unwrap();
        assert_eq!(guid.to_string().parse(), Ok(guid));
        assert_eq!("0011".parse::<Guid>(), Err(GuidError));
        assert_eq!(
            "+0112233445566778899aabbccddeeff".parse::<Guid>(),
            Err(GuidError)
        );
    }
}
