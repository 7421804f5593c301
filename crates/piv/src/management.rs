// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card management key (`9B`): whoever holds it may write keys and certificates.

use std::fmt;

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::commands::key_reference;

/// A kind of management key (SP 800-78-4, table 6-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ManagementAlgorithm {
    /// `03`: three-key triple DES, for old cards.
    TripleDes,
    /// `08`: AES with 128 bits.
    Aes128,
    /// `0A`: AES with 192 bits.
    Aes192,
    /// `0C`: AES with 256 bits; ours.
    Aes256,
}

impl ManagementAlgorithm {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::TripleDes, Self::Aes128, Self::Aes192, Self::Aes256];

    /// The identifier of commands.
    #[must_use]
    pub fn id(self) -> u8 {
        match self {
            Self::TripleDes => 0x03,
            Self::Aes128 => 0x08,
            Self::Aes192 => 0x0A,
            Self::Aes256 => 0x0C,
        }
    }

    /// The kind behind an identifier; `00` is the old name of triple DES.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        if id == 0 {
            return Some(Self::TripleDes);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.id() == id)
    }

    /// Length of the key.
    #[must_use]
    pub fn key_bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// Length of a block, which is also the length of witness and challenge.
    #[must_use]
    pub fn block_bytes(self) -> usize {
        if self == Self::TripleDes { 8 } else { 16 }
    }
}

impl fmt::Display for ManagementAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TripleDes => "3DES",
            Self::Aes128 => "AES-128",
            Self::Aes192 => "AES-192",
            Self::Aes256 => "AES-256",
        })
    }
}

/// Why a management key cannot be made or used.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManagementKeyError {
    /// Not 16, 24 or 32 bytes.
    #[error("a management key has 16, 24 or 32 bytes")]
    Length,
    /// Not hexadecimal digits.
    #[error("a management key is written in hexadecimal digits")]
    NotHex,
    /// The algorithm takes a key of another length.
    #[error("the key's length does not fit {0}")]
    Algorithm(ManagementAlgorithm),
    /// What shall be encrypted is not exactly one block.
    #[error("{0} works on exactly one block")]
    Block(ManagementAlgorithm),
}

/// The management key: zeroed on drop, never printed, compared in constant time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ManagementKey(Vec<u8>);

impl ManagementKey {
    /// The key that blank cards have: 01 to 08, three times.
    #[must_use]
    pub fn blank_card() -> Self {
        Self([1, 2, 3, 4, 5, 6, 7, 8].repeat(3))
    }

    /// Takes the bytes.
    ///
    /// # Errors
    ///
    /// When there are not 16, 24 or 32 of them.
    pub fn new(bytes: &[u8]) -> Result<Self, ManagementKeyError> {
        if !matches!(bytes.len(), 16 | 24 | 32) {
            return Err(ManagementKeyError::Length);
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Reads hexadecimal digits, as people type them.
    ///
    /// # Errors
    ///
    /// When they are no digits, or not the right number of them.
    pub fn from_hex(text: &str) -> Result<Self, ManagementKeyError> {
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ManagementKeyError::NotHex);
        }
        if !matches!(text.len(), 32 | 48 | 64) {
            return Err(ManagementKeyError::Length);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(32));
        for pair in text.as_bytes().chunks_exact(2) {
            let pair = str::from_utf8(pair).map_err(|_| ManagementKeyError::NotHex)?;
            let byte = u8::from_str_radix(pair, 16).map_err(|_| ManagementKeyError::NotHex)?;
            bytes.push(byte);
        }
        Self::new(&bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The algorithms that take a key of this length, the likelier one first.
    #[must_use]
    pub fn algorithms(&self) -> &'static [ManagementAlgorithm] {
        match self.0.len() {
            16 => &[ManagementAlgorithm::Aes128],
            24 => &[ManagementAlgorithm::TripleDes, ManagementAlgorithm::Aes192],
            _ => &[ManagementAlgorithm::Aes256],
        }
    }

    /// True for the key that blank cards have.
    #[must_use]
    pub fn is_blank_card(&self) -> bool {
        *self == Self::blank_card()
    }

    /// Encrypts one block.
    ///
    /// # Errors
    ///
    /// When the key or the block does not fit the algorithm.
    pub fn encrypt(
        &self,
        algorithm: ManagementAlgorithm,
        block: &[u8],
    ) -> Result<Vec<u8>, ManagementKeyError> {
        match algorithm {
            ManagementAlgorithm::TripleDes => self.encrypt_with::<des::TdesEde3>(algorithm, block),
            ManagementAlgorithm::Aes128 => self.encrypt_with::<aes::Aes128>(algorithm, block),
            ManagementAlgorithm::Aes192 => self.encrypt_with::<aes::Aes192>(algorithm, block),
            ManagementAlgorithm::Aes256 => self.encrypt_with::<aes::Aes256>(algorithm, block),
        }
    }

    /// Decrypts one block.
    ///
    /// # Errors
    ///
    /// When the key or the block does not fit the algorithm.
    pub fn decrypt(
        &self,
        algorithm: ManagementAlgorithm,
        block: &[u8],
    ) -> Result<Vec<u8>, ManagementKeyError> {
        match algorithm {
            ManagementAlgorithm::TripleDes => self.decrypt_with::<des::TdesEde3>(algorithm, block),
            ManagementAlgorithm::Aes128 => self.decrypt_with::<aes::Aes128>(algorithm, block),
            ManagementAlgorithm::Aes192 => self.decrypt_with::<aes::Aes192>(algorithm, block),
            ManagementAlgorithm::Aes256 => self.decrypt_with::<aes::Aes256>(algorithm, block),
        }
    }

    fn encrypt_with<C: KeyInit + BlockCipherEncrypt>(
        &self,
        algorithm: ManagementAlgorithm,
        block: &[u8],
    ) -> Result<Vec<u8>, ManagementKeyError> {
        let cipher = self.cipher::<C>(algorithm)?;
        let mut block = aes::cipher::Block::<C>::try_from(block)
            .map_err(|_| ManagementKeyError::Block(algorithm))?;
        cipher.encrypt_block(&mut block);
        Ok(block.to_vec())
    }

    fn decrypt_with<C: KeyInit + BlockCipherDecrypt>(
        &self,
        algorithm: ManagementAlgorithm,
        block: &[u8],
    ) -> Result<Vec<u8>, ManagementKeyError> {
        let cipher = self.cipher::<C>(algorithm)?;
        let mut block = aes::cipher::Block::<C>::try_from(block)
            .map_err(|_| ManagementKeyError::Block(algorithm))?;
        cipher.decrypt_block(&mut block);
        Ok(block.to_vec())
    }

    fn cipher<C: KeyInit>(&self, algorithm: ManagementAlgorithm) -> Result<C, ManagementKeyError> {
        C::new_from_slice(&self.0).map_err(|_| ManagementKeyError::Algorithm(algorithm))
    }
}

impl fmt::Debug for ManagementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManagementKey(..)")
    }
}

impl PartialEq for ManagementKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for ManagementKey {}

/// Why the data of SET MANAGEMENT KEY is refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetManagementKeyError {
    /// Not algorithm, `9B`, length and that many bytes.
    #[error("the data of SET MANAGEMENT KEY is malformed")]
    Malformed,
    /// An algorithm that we do not speak.
    #[error("management-key algorithm {0:02X} is not known")]
    Algorithm(u8),
}

/// The data of SET MANAGEMENT KEY: algorithm, `9B`, length, key.
#[derive(Debug, PartialEq, Eq)]
pub struct SetManagementKey {
    /// The kind of the new key.
    pub algorithm: ManagementAlgorithm,
    /// The new key.
    pub key: ManagementKey,
}

impl SetManagementKey {
    /// Reads the data.
    ///
    /// # Errors
    ///
    /// When it is malformed or the key does not fit the algorithm.
    pub fn parse(data: &[u8]) -> Result<Self, SetManagementKeyError> {
        let [algorithm, key_reference::MANAGEMENT, length, key @ ..] = data else {
            return Err(SetManagementKeyError::Malformed);
        };
        let algorithm = ManagementAlgorithm::from_id(*algorithm)
            .ok_or(SetManagementKeyError::Algorithm(*algorithm))?;
        if usize::from(*length) != key.len() || key.len() != algorithm.key_bytes() {
            return Err(SetManagementKeyError::Malformed);
        }
        let key = ManagementKey::new(key).map_err(|_| SetManagementKeyError::Malformed)?;
        Ok(Self { algorithm, key })
    }

    /// Writes the data.
    #[must_use]
    pub fn encode(algorithm: ManagementAlgorithm, key: &ManagementKey) -> Vec<u8> {
        let length = u8::try_from(key.0.len()).unwrap_or(u8::MAX);
        let mut data = Vec::with_capacity(key.0.len().saturating_add(3));
        data.extend_from_slice(&[algorithm.id(), key_reference::MANAGEMENT, length]);
        data.extend_from_slice(&key.0);
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn blocks_are_encrypted_as_the_standards_show() {
        // FIPS 197, appendix C, and SP 800-67 (three keys, "The qufck").
        let plain = "00112233445566778899aabbccddeeff";
        for (algorithm, key, plain, cipher) in [
            (
                ManagementAlgorithm::Aes128,
                "000102030405060708090a0b0c0d0e0f",
                plain,
                "69c4e0d86a7b0430d8cdb78070b4c55a",
            ),
            (
                ManagementAlgorithm::Aes192,
                "000102030405060708090a0b0c0d0e0f1011121314151617",
                plain,
                "dda97ca4864cdfe06eaf70a0ec0d7191",
            ),
            (
                ManagementAlgorithm::Aes256,
                "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                plain,
                "8ea2b7ca516745bfeafc49904b496089",
            ),
            (
                ManagementAlgorithm::TripleDes,
                "0123456789abcdef23456789abcdef01456789abcdef0123",
                "5468652071756663",
                "a826fd8ce53b855f",
            ),
        ] {
            let key = ManagementKey::from_hex(key).unwrap();
            assert_eq!(key.encrypt(algorithm, &hex(plain)), Ok(hex(cipher)));
            assert_eq!(key.decrypt(algorithm, &hex(cipher)), Ok(hex(plain)));
        }
    }

    #[test]
    fn keys_and_blocks_that_do_not_fit_are_refused() {
        let key = ManagementKey::blank_card();
        let aes128 = ManagementAlgorithm::Aes128;
        assert_eq!(
            key.encrypt(aes128, &[0; 16]),
            Err(ManagementKeyError::Algorithm(aes128))
        );
        let aes192 = ManagementAlgorithm::Aes192;
        assert_eq!(
            key.decrypt(aes192, &[0; 8]),
            Err(ManagementKeyError::Block(aes192))
        );
        assert_eq!(
            ManagementKey::new(&[0; 23]),
            Err(ManagementKeyError::Length)
        );
        assert_eq!(
            ManagementKey::from_hex("zz"),
            Err(ManagementKeyError::NotHex)
        );
        assert_eq!(
            ManagementKey::from_hex("00"),
            Err(ManagementKeyError::Length)
        );
    }

    #[test]
    fn the_blank_key_is_known_and_not_shown() {
        let typed = "010203040506070801020304050607080102030405060708";
        let key = ManagementKey::from_hex(typed).unwrap();
        assert!(key.is_blank_card());
        assert_eq!(format!("{key:?}"), "ManagementKey(..)");
    }

    #[test]
    fn a_new_key_is_read_as_it_was_written() {
        for algorithm in ManagementAlgorithm::ALL {
            let key = ManagementKey::new(&vec![7; algorithm.key_bytes()]).unwrap();
            let data = SetManagementKey::encode(algorithm, &key);
            assert_eq!(
                SetManagementKey::parse(&data),
                Ok(SetManagementKey { algorithm, key })
            );
        }
        let short = SetManagementKey::parse(&[0x0C, 0x9B, 16, 0]);
        assert_eq!(short, Err(SetManagementKeyError::Malformed));
        let unknown = SetManagementKey::parse(&[0x0D, 0x9B, 0]);
        assert_eq!(unknown, Err(SetManagementKeyError::Algorithm(0x0D)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = SetManagementKey::parse(&bytes);
        }
    }
}
