// SPDX-License-Identifier: MIT OR Apache-2.0
//! GET METADATA: what a card tells about a PIN or a key. An extension of Yubico's that many cards
//! speak; ours uses it to say that the PIN is still the transport PIN.

use crate::tlv::{Reader, Tag, TlvError, Writer};

const ALGORITHM: Tag = Tag::new(0x01);
const IS_DEFAULT: Tag = Tag::new(0x05);
const TRIES: Tag = Tag::new(0x06);

/// A retry counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// Tries after a success.
    pub total: u8,
    /// Tries now.
    pub left: u8,
}

/// The fields of GET METADATA that we use; others are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metadata {
    /// `01`: the algorithm of the key (also of the management key; `FF` for PIN and PUK).
    pub algorithm: Option<u8>,
    /// `05`: the PIN, PUK or key is still the one of a blank card.
    pub is_default: Option<bool>,
    /// `06`: the retry counter of PIN or PUK.
    pub tries: Option<Tries>,
}

impl Metadata {
    /// Reads the card's answer.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlvError> {
        let mut reader = Reader::new(bytes);
        let mut metadata = Self::default();
        while let Some(element) = reader.element()? {
            match (element.tag, element.value) {
                (ALGORITHM, [algorithm]) => metadata.algorithm = Some(*algorithm),
                (IS_DEFAULT, [flag]) => metadata.is_default = Some(*flag != 0),
                (TRIES, [total, left]) => {
                    metadata.tries = Some(Tries {
                        total: *total,
                        left: *left,
                    });
                }
                (tag @ (ALGORITHM | IS_DEFAULT | TRIES), _) => {
                    return Err(TlvError::Unexpected(tag));
                }
                _ => {}
            }
        }
        Ok(metadata)
    }

    /// Writes the card's answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        if let Some(algorithm) = self.algorithm {
            writer = writer.element(ALGORITHM, &[algorithm]);
        }
        if let Some(is_default) = self.is_default {
            writer = writer.element(IS_DEFAULT, &[u8::from(is_default)]);
        }
        if let Some(tries) = self.tries {
            writer = writer.element(TRIES, &[tries.total, tries.left]);
        }
        writer.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn metadata_is_read_as_it_was_written(
            algorithm: Option<u8>, is_default: Option<bool>, tries: Option<(u8, u8)>,
        ) {
            let tries = tries.map(|(total, left)| Tries { total, left });
            let metadata = Metadata { algorithm, is_default, tries };
            prop_assert_eq!(Metadata::parse(&metadata.encode()), Ok(metadata));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Metadata::parse(&bytes);
        }
    }

    #[test]
    fn unknown_fields_are_passed_over_and_wrong_lengths_refused() {
        let parsed = Metadata::parse(&[2, 2, 1, 1, 5, 1, 1]).unwrap();
        assert_eq!(parsed.is_default, Some(true));
        assert!(Metadata::parse(&[6, 1, 3]).is_err());
    }
}
