// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers that name a certificate or a key: serial number, thumbprint, key identifier.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;

/// Longest serial number, in bytes (RFC 5280, 4.1.2.2).
pub const SERIAL_BYTES_MAX: usize = 20;

/// The serial number of a certificate: a positive integer of at most 20 bytes, shown in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial([u8; SERIAL_BYTES_MAX]);

impl Serial {
    /// Makes a serial number of 16 bytes from 16 random ones.
    ///
    /// The top bit is cleared, so that the number is positive, and the next one is set, so that all of them have the
    /// same length: 126 random bits remain.
    pub fn from_random(mut random: [u8; 16]) -> Self {
        random[0] = (random[0] & 0x7f) | 0x40;
        let mut bytes = [0; SERIAL_BYTES_MAX];
        bytes[SERIAL_BYTES_MAX - random.len()..].copy_from_slice(&random);
        Self(bytes)
    }

    /// Reads a positive big-endian number; leading zero bytes do not matter.
    pub fn from_be_bytes(bytes: &[u8]) -> Result<Self, SerialError> {
        let start = bytes
            .iter()
            .position(|b| *b != 0)
            .ok_or(SerialError::Zero)?;
        let significant = bytes.get(start..).unwrap_or_default();
        let mut number = [0; SERIAL_BYTES_MAX];
        let room = SERIAL_BYTES_MAX
            .checked_sub(significant.len())
            .and_then(|from| number.get_mut(from..))
            .ok_or(SerialError::TooLong)?;
        room.copy_from_slice(significant);
        Ok(Self(number))
    }

    /// The number without leading zero bytes, big-endian.
    pub fn as_be_bytes(&self) -> &[u8] {
        let start = self.0.iter().position(|b| *b != 0).unwrap_or(0);
        self.0.get(start..).unwrap_or_default()
    }
}

impl FromStr for Serial {
    type Err = SerialError;

    /// Reads hexadecimal digits; colons between bytes and capitals are allowed, as other tools print them.
    fn from_str(text: &str) -> Result<Self, SerialError> {
        let mut digits: Vec<u8> = Vec::with_capacity(2 * SERIAL_BYTES_MAX);
        for c in text.chars().filter(|c| *c != ':') {
            let digit = c.to_digit(16).ok_or(SerialError::NotHex)?;
            if digits.len() > 2 * SERIAL_BYTES_MAX + 2 {
                return Err(SerialError::TooLong);
            }
            digits.push(digit as u8);
        }
        if digits.len() % 2 == 1 {
            digits.insert(0, 0);
        }
        let bytes: Vec<u8> = digits
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | digit))
            .collect();
        Self::from_be_bytes(&bytes)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.as_be_bytes())
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

/// Why something is not a serial number.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SerialError {
    /// Not hexadecimal digits.
    #[error("a serial number is written in hexadecimal digits")]
    NotHex,
    /// Nothing, or only zeros.
    #[error("a serial number is greater than zero")]
    Zero,
    /// Below zero.
    #[error("a serial number is not negative")]
    Negative,
    /// More than 20 bytes.
    #[error("a serial number has at most {SERIAL_BYTES_MAX} bytes")]
    TooLong,
}

/// SHA-256 over a whole certificate in DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint(pub [u8; 32]);

impl Thumbprint {
    /// Hashes the bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256(bytes))
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for Thumbprint {
    type Err = ThumbprintError;

    /// Reads 64 hexadecimal digits; colons between them, as OpenSSL prints them, are passed over.
    fn from_str(text: &str) -> Result<Self, ThumbprintError> {
        let digits: Vec<u32> = text
            .chars()
            .filter(|digit| *digit != ':')
            .map(|digit| digit.to_digit(16).ok_or(ThumbprintError))
            .collect::<Result<_, _>>()?;
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(ThumbprintError);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let value = pair.iter().fold(0, |value, digit| (value << 4) | digit);
            *byte = u8::try_from(value).map_err(|_| ThumbprintError)?;
        }
        Ok(Self(bytes))
    }
}

/// The text is no thumbprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a thumbprint is 64 hexadecimal digits")]
pub struct ThumbprintError;

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

/// Names a key in certificates: the subject key identifier and the authority key identifier.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub(crate) Vec<u8>);

impl KeyId {
    /// The bytes of the identifier.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The leftmost 160 bits of SHA-256 over the bits of the public key (RFC 7093, section 2, method 1).
    pub(crate) fn of_key_bits(bits: &[u8]) -> Self {
        Self(sha256(bits).into_iter().take(20).collect())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_random_serial_has_sixteen_bytes_and_a_clear_top_bit() {
        for random in [[0u8; 16], [0xff; 16]] {
            let serial = Serial::from_random(random);
            assert_eq!(serial.as_be_bytes().len(), 16);
            assert_eq!(serial.as_be_bytes()[0] & 0x80, 0);
            assert_eq!(serial.to_string().len(), 32);
        }
    }

    #[test]
    fn spellings_of_other_tools_are_read() {
        let serial: Serial = "00:AB:cd".parse().unwrap();
        assert_eq!(serial.to_string(), "abcd");
        assert_eq!("abc".parse::<Serial>().unwrap().to_string(), "0abc");
    }

    #[test]
    fn what_is_no_serial_is_refused() {
        assert_eq!("".parse::<Serial>(), Err(SerialError::Zero));
        assert_eq!("0000".parse::<Serial>(), Err(SerialError::Zero));
        assert_eq!("xyz".parse::<Serial>(), Err(SerialError::NotHex));
        assert_eq!("11".repeat(21).parse::<Serial>(), Err(SerialError::TooLong));
        assert_eq!(
            "1".repeat(100_000).parse::<Serial>(),
            Err(SerialError::TooLong)
        );
        assert!("11".repeat(20).parse::<Serial>().is_ok());
    }

    proptest! {
        #[test]
        fn a_serial_survives_text_and_back(random in any::<[u8; 16]>()) {
            let serial = Serial::from_random(random);
            prop_assert_eq!(serial.to_string().parse::<Serial>(), Ok(serial));
            prop_assert_eq!(Serial::from_be_bytes(serial.as_be_bytes()), Ok(serial));
        }
    }
}
