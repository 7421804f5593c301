// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card's file: one line of header (format, version, checksum), then the state as JSON.
//!
//! Decoding gives a whole, consistent state or an error; it never repairs.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::PinDigits;

use super::crypto::{KEY_BYTES, KdfCost, SALT_BYTES, sha256};
use super::desk::SealedDesk;

/// The version that this program writes.
const VERSION: u32 = 1;
const FORMAT: &str = "lanyard-virtual-card";
/// What the file says about itself to whoever opens it.
const PROTECTION: &str = "sealed file, no hardware protection";

/// Why a card's file cannot be used.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The file is not one of ours, or its beginning is damaged.
    #[error("this is not the file of a virtual card")]
    Foreign,
    /// A newer program wrote the file.
    #[error("the card's file has version {0}, which this program does not know")]
    Version(u32),
    /// The file was cut off or changed.
    #[error("the card's file is damaged")]
    Damaged,
}

/// Bytes that are written as base64.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Blob(pub(crate) Vec<u8>);

/// Everything that a card remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CardState {
    /// For people who open the file.
    pub(crate) protection: String,
    /// The name that the person gave to the card.
    pub(crate) name: String,
    /// The card's GUID, as in its CHUID.
    pub(crate) guid: Blob,
    /// What one guess costs.
    pub(crate) kdf: KdfCost,
    /// Whether private keys are refused until the first PIN was changed.
    pub(crate) force_pin_change: bool,
    /// How many digits a new PIN may have.
    #[serde(default, skip_serializing_if = "PinDigits::is_default")]
    pub(crate) pin_digits: PinDigits,
    pub(crate) pin: SealedReference,
    pub(crate) puk: SealedReference,
    /// The public half of the vault; its secret is what PIN and PUK seal.
    pub(crate) vault: Blob,
    /// Opens what the card uses without a PIN. It lies in the clear, so it hides nothing from
    /// whoever reads the file; it only keeps one form for all keys.
    pub(crate) device_key: Blob,
    pub(crate) management: SealedManagement,
    /// The unblockings that the help desk can answer; none for a card that nobody manages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) desk: Option<SealedDesk>,
    /// By slot, two hexadecimal digits.
    pub(crate) keys: BTreeMap<String, SealedKey>,
    /// By object tag, in hexadecimal digits.
    pub(crate) objects: BTreeMap<String, Blob>,
}

/// The PIN or the PUK: how many tries are left, and the vault's secret sealed under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedReference {
    pub(crate) tries_left: u8,
    /// Still the value the card was made with, which others may know.
    pub(crate) initial: bool,
    pub(crate) salt: Blob,
    pub(crate) sealed: Blob,
}

/// The management key, sealed under the device key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedManagement {
    /// PIV algorithm identifiers that the key answers to, the reported one first.
    pub(crate) algorithms: Vec<u8>,
    /// Still the published default.
    pub(crate) initial: bool,
    pub(crate) sealed: Blob,
}

/// A key pair: the private half in the vault, or under the device key for slot 9E.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedKey {
    /// PIV algorithm identifier.
    pub(crate) algorithm: u8,
    /// The uncompressed point; for RSA the public key as PIV's GENERATE answers it (`7F49`).
    pub(crate) public: Blob,
    pub(crate) sealed: Blob,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    sha256: Blob,
}

impl CardState {
    /// What the file says about its protection.
    pub(crate) fn protection() -> String {
        PROTECTION.to_owned()
    }

    /// The bytes of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // A map with text keys and plain fields always has a JSON form.
        let body = serde_json::to_vec_pretty(self).unwrap_or_default();
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            sha256: Blob(sha256(&body)),
        };
        let mut bytes = serde_json::to_vec(&header).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads the bytes of the file.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let end = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(FormatError::Foreign)?;
        let (header, body) = bytes.split_at(end);
        let body = body.get(1..).unwrap_or_default();
        let header: Header = serde_json::from_slice(header).map_err(|_| FormatError::Foreign)?;
        if header.format != FORMAT {
            return Err(FormatError::Foreign);
        }
        if header.version != VERSION {
            return Err(FormatError::Version(header.version));
        }
        if header.sha256.0 != sha256(body) {
            return Err(FormatError::Damaged);
        }
        let state: Self = serde_json::from_slice(body).map_err(|_| FormatError::Damaged)?;
        if state.is_consistent() {
            Ok(state)
        } else {
            Err(FormatError::Damaged)
        }
    }

    /// The checksum only finds accidents; what the code relies on is checked by itself.
    fn is_consistent(&self) -> bool {
        let reference = |reference: &SealedReference, tries_max| {
            reference.tries_left <= tries_max && reference.salt.0.len() == SALT_BYTES
        };
        reference(&self.pin, crate::PIN_TRIES_MAX)
            && reference(&self.puk, crate::PUK_TRIES_MAX)
            && self.guid.0.len() == crate::GUID_BYTES
            && self.vault.0.len() == KEY_BYTES
            && self.device_key.0.len() == KEY_BYTES
            && self.pin_digits.is_possible()
            && self.kdf.is_bearable()
            && self.desk.as_ref().is_none_or(SealedDesk::is_consistent)
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn state() -> CardState {
        let reference = |tries_left| SealedReference {
            tries_left,
            initial: true,
            salt: Blob(vec![1; SALT_BYTES]),
            sealed: Blob(vec![2; 60]),
        };
        CardState {
            protection: CardState::protection(),
            name: "Alice's card".to_owned(),
            guid: Blob(vec![3; crate::GUID_BYTES]),
            kdf: KdfCost::RECOMMENDED,
            force_pin_change: true,
            pin_digits: PinDigits::default(),
            pin: reference(3),
            puk: reference(2),
            vault: Blob(vec![4; KEY_BYTES]),
            device_key: Blob(vec![5; KEY_BYTES]),
            management: SealedManagement {
                algorithms: vec![0x0C],
                initial: false,
                sealed: Blob(vec![6; 60]),
            },
            desk: None,
            keys: BTreeMap::from([(
                "9A".to_owned(),
                SealedKey {
                    algorithm: 0x11,
                    public: Blob(vec![7; 65]),
                    sealed: Blob(vec![8; 92]),
                },
            )]),
            objects: BTreeMap::from([("5FC102".to_owned(), Blob(vec![9; 10]))]),
        }
    }

    #[test]
    fn the_written_form_is_stable() {
        insta::assert_snapshot!(String::from_utf8(state().encode()).unwrap());
    }

    #[test]
    fn a_state_is_read_back_as_it_was_written() {
        assert_eq!(CardState::decode(&state().encode()), Ok(state()));
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_noticed() {
        let bytes = state().encode();
        for length in 0..bytes.len() {
            assert!(
                CardState::decode(&bytes[..length]).is_err(),
                "cut to {length}"
            );
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x01;
            assert!(CardState::decode(&changed).is_err(), "changed at {at}");
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        let text = String::from_utf8(state().encode()).unwrap();
        let newer = text.replacen("\"version\":1", "\"version\":2", 1);
        assert_eq!(
            CardState::decode(newer.as_bytes()),
            Err(FormatError::Version(2))
        );
    }

    #[test]
    fn more_tries_than_a_card_gives_are_damage() {
        let mut state = state();
        state.pin.tries_left = 200;
        assert_eq!(
            CardState::decode(&state.encode()),
            Err(FormatError::Damaged)
        );
    }
}
