// SPDX-License-Identifier: MIT OR Apache-2.0
//! The objects that say what the card's application can do.

use super::ObjectError;
use crate::commands::AID;
use crate::tlv::{self, Tag, TlvError, Writer};

const TEMPLATE: Tag = Tag::new(0x61);
const APPLICATION: Tag = Tag::new(0x4F);
const AUTHORITY: Tag = Tag::new(0x79);
const LABEL: Tag = Tag::new(0x50);
const ALGORITHMS: Tag = Tag::new(0xAC);
const ALGORITHM: Tag = Tag::new(0x80);
const OBJECT_IDENTIFIER: Tag = Tag::new(0x06);
const PIN_POLICY: Tag = Tag::new(0x5F2F);
const ON_CARD: Tag = Tag::new(0xC1);
const OFF_CARD: Tag = Tag::new(0xC2);
const ERROR_DETECTION: Tag = Tag::new(0xFE);

/// The label of our own card.
pub const APPLICATION_LABEL: &str = "Lanyard virtual card";
/// The bytes of the AID that name the issuer, NIST.
const ISSUER_BYTES: usize = 5;

/// The application property template that SELECT answers (SP 800-73-4 part 2, table 3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApplicationTemplate {
    /// `50`: what the maker calls the application.
    pub label: Option<String>,
    /// `AC`: identifiers of the algorithms; empty when the card does not tell.
    pub algorithms: Vec<u8>,
}

impl ApplicationTemplate {
    /// Reads the answer of SELECT.
    ///
    /// # Errors
    ///
    /// When it is malformed or names no application.
    pub fn parse(answer: &[u8]) -> Result<Self, ObjectError> {
        let template = tlv::only(answer, TEMPLATE)?;
        tlv::find(template, APPLICATION)?.ok_or(TlvError::Missing(APPLICATION))?;
        let label = tlv::find(template, LABEL)?;
        let label = label.map(|label| {
            // The label is for eyes only: what is not printable is left out.
            label
                .iter()
                .filter(|byte| (0x20..0x7F).contains(*byte))
                .map(|b| *b as char)
                .collect()
        });
        let mut algorithms = Vec::new();
        if let Some(list) = tlv::find(template, ALGORITHMS)? {
            let mut reader = tlv::Reader::new(list);
            while let Some(element) = reader.element()? {
                if let (ALGORITHM, [id]) = (element.tag, element.value) {
                    algorithms.push(*id);
                }
            }
        }
        Ok(Self { label, algorithms })
    }

    /// Writes the answer of SELECT.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (issuer, extension) = AID.split_at_checked(ISSUER_BYTES).unwrap_or((&AID, &[]));
        let authority = Writer::new().element(APPLICATION, issuer).into_bytes();
        let mut template = Writer::new()
            .element(APPLICATION, extension)
            .element(AUTHORITY, &authority)
            .optional(LABEL, self.label.as_ref().map(String::as_bytes));
        if !self.algorithms.is_empty() {
            let mut list = Writer::new();
            for id in &self.algorithms {
                list = list.element(ALGORITHM, &[*id]);
            }
            list = list.element(OBJECT_IDENTIFIER, &[0]);
            template = template.element(ALGORITHMS, &list.into_bytes());
        }
        Writer::new()
            .element(TEMPLATE, &template.into_bytes())
            .into_bytes()
    }
}

/// The discovery object (SP 800-73-4 part 1, 3.3.2): which PIN the card wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discovery {
    /// The two bytes of the PIN usage policy.
    pub pin_policy: [u8; 2],
}

impl Discovery {
    /// The policy of a card with only the PIV application PIN.
    pub const APPLICATION_PIN_ONLY: Self = Self {
        pin_policy: [0x40, 0x00],
    };

    /// Reads the contents of the object (inside its tag 7E).
    ///
    /// # Errors
    ///
    /// When it is malformed or has no PIN usage policy.
    pub fn parse(contents: &[u8]) -> Result<Self, ObjectError> {
        let policy = tlv::find(contents, PIN_POLICY)?.ok_or(TlvError::Missing(PIN_POLICY))?;
        Ok(Self {
            pin_policy: policy.try_into().map_err(|_| ObjectError::Length)?,
        })
    }

    /// Writes the contents of the object.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .element(APPLICATION, &AID)
            .element(PIN_POLICY, &self.pin_policy)
            .into_bytes()
    }
}

/// The key history object (SP 800-73-4 part 1, 3.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyHistory {
    /// Retired keys whose certificates are on the card.
    pub on_card: u8,
    /// Retired keys whose certificates are elsewhere.
    pub off_card: u8,
}

impl KeyHistory {
    /// Reads the contents of the object.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn parse(contents: &[u8]) -> Result<Self, ObjectError> {
        let count = |tag| match tlv::find(contents, tag)? {
            Some([count]) => Ok(*count),
            Some(_) => Err(ObjectError::Length),
            None => Err(TlvError::Missing(tag).into()),
        };
        Ok(Self {
            on_card: count(ON_CARD)?,
            off_card: count(OFF_CARD)?,
        })
    }

    /// Writes the contents of the object.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .element(ON_CARD, &[self.on_card])
            .element(OFF_CARD, &[self.off_card])
            .element(ERROR_DETECTION, &[])
            .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_answer_of_select_is_written_as_the_table_shows() {
        let template = ApplicationTemplate {
            label: Some(APPLICATION_LABEL.to_owned()),
            algorithms: vec![0x07, 0x11, 0x14],
        };
        let bytes = template.encode();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        insta::assert_snapshot!(hex);
        assert_eq!(ApplicationTemplate::parse(&bytes), Ok(template));
    }

    #[test]
    fn an_answer_without_the_template_is_refused() {
        assert!(ApplicationTemplate::parse(&[0x4F, 2, 1, 2]).is_err());
        assert!(ApplicationTemplate::parse(&[]).is_err());
        assert!(ApplicationTemplate::parse(&[0x61, 0]).is_err());
    }

    #[test]
    fn discovery_is_the_eighteen_bytes_that_everybody_sends() {
        let contents = Discovery::APPLICATION_PIN_ONLY.encode();
        assert_eq!(contents.len(), 0x12);
        assert_eq!(
            Discovery::parse(&contents),
            Ok(Discovery::APPLICATION_PIN_ONLY)
        );
    }

    proptest! {
        #[test]
        fn a_key_history_is_read_as_it_was_written(on_card: u8, off_card: u8) {
            let history = KeyHistory { on_card, off_card };
            prop_assert_eq!(KeyHistory::parse(&history.encode()), Ok(history));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = ApplicationTemplate::parse(&bytes);
            let _ = Discovery::parse(&bytes);
            let _ = KeyHistory::parse(&bytes);
        }
    }
}
