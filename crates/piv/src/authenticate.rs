// SPDX-License-Identifier: MIT OR Apache-2.0
//! The dynamic authentication template `7C` of GENERAL AUTHENTICATE.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::tlv::{self, Reader, Tag, TlvError, Writer};

const TEMPLATE: Tag = Tag::new(0x7C);
const WITNESS: Tag = Tag::new(0x80);
const CHALLENGE: Tag = Tag::new(0x81);
const RESPONSE: Tag = Tag::new(0x82);
const EXPONENTIATION: Tag = Tag::new(0x85);

/// What both sides say in GENERAL AUTHENTICATE (SP 800-73-4 part 2, table 7). An empty field asks
/// the other side for it.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct DynamicAuthentication {
    /// `80`: proof of holding the key without revealing what was asked.
    pub witness: Option<Vec<u8>>,
    /// `81`: data to be signed, decrypted or encrypted.
    pub challenge: Option<Vec<u8>>,
    /// `82`: the answer to a challenge.
    pub response: Option<Vec<u8>>,
    /// `85`: the other side's point for key agreement.
    pub exponentiation: Option<Vec<u8>>,
}

impl DynamicAuthentication {
    /// Asks for a signature over a digest (ECC) or a padded block (RSA).
    #[must_use]
    pub fn sign(input: Vec<u8>) -> Self {
        Self::of(None, Some(input), Some(Vec::new()))
    }

    /// First step of mutual authentication: asks the card for its witness.
    #[must_use]
    pub fn request_witness() -> Self {
        Self::of(Some(Vec::new()), None, None)
    }

    /// Second step of mutual authentication: the decrypted witness and our own challenge. It does
    /// not ask for the response (appendix A.1 does not either): some cards refuse that.
    #[must_use]
    pub fn prove(witness: Vec<u8>, challenge: Vec<u8>) -> Self {
        Self::of(Some(witness), Some(challenge), None)
    }

    /// First step of external authentication: asks the card for a challenge.
    #[must_use]
    pub fn request_challenge() -> Self {
        Self::of(None, Some(Vec::new()), None)
    }

    /// An answer: second step of external authentication, or a card's signature.
    #[must_use]
    pub fn answer(response: Vec<u8>) -> Self {
        Self::of(None, None, Some(response))
    }

    fn of(witness: Option<Vec<u8>>, challenge: Option<Vec<u8>>, response: Option<Vec<u8>>) -> Self {
        Self {
            witness,
            challenge,
            response,
            exponentiation: None,
        }
    }

    /// Reads the template.
    ///
    /// # Errors
    ///
    /// When it is malformed, holds an unknown element, or one twice.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlvError> {
        let mut reader = Reader::new(tlv::only(bytes, TEMPLATE)?);
        let mut template = Self::default();
        while let Some(element) = reader.element()? {
            let field = match element.tag {
                WITNESS => &mut template.witness,
                CHALLENGE => &mut template.challenge,
                RESPONSE => &mut template.response,
                EXPONENTIATION => &mut template.exponentiation,
                other => return Err(TlvError::Unexpected(other)),
            };
            if field.replace(element.value.to_vec()).is_some() {
                return Err(TlvError::Repeated(element.tag));
            }
        }
        Ok(template)
    }

    /// Writes the template; a request for the response stands first, as cards in the field want.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let asks = self
            .response
            .as_deref()
            .filter(|response| response.is_empty());
        let answers = self
            .response
            .as_deref()
            .filter(|response| !response.is_empty());
        let mut fields = Writer::new()
            .optional(WITNESS, self.witness.as_deref())
            .optional(RESPONSE, asks)
            .optional(CHALLENGE, self.challenge.as_deref())
            .optional(EXPONENTIATION, self.exponentiation.as_deref())
            .optional(RESPONSE, answers)
            .into_bytes();
        let bytes = Writer::new().element(TEMPLATE, &fields).into_bytes();
        fields.zeroize();
        bytes
    }
}

impl fmt::Debug for DynamicAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |field: &Option<Vec<u8>>| field.as_ref().map(Vec::len);
        f.debug_struct("DynamicAuthentication")
            .field("witness_bytes", &show(&self.witness))
            .field("challenge_bytes", &show(&self.challenge))
            .field("response_bytes", &show(&self.response))
            .field("exponentiation_bytes", &show(&self.exponentiation))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_to_sign_asks_first_and_then_names_the_digest() {
        let bytes = DynamicAuthentication::sign(vec![7, 8]).encode();
        assert_eq!(bytes, [0x7C, 6, 0x82, 0, 0x81, 2, 7, 8]);
    }

    #[test]
    fn unknown_and_repeated_elements_are_refused() {
        let unknown = DynamicAuthentication::parse(&[0x7C, 2, 0x86, 0]);
        assert_eq!(unknown, Err(TlvError::Unexpected(Tag::new(0x86))));
        let twice = DynamicAuthentication::parse(&[0x7C, 4, 0x82, 0, 0x82, 0]);
        assert_eq!(twice, Err(TlvError::Repeated(RESPONSE)));
        assert!(DynamicAuthentication::parse(&[0x7C, 0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn a_template_is_read_as_it_was_written(
            fields in proptest::array::uniform4(
                proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300))),
        ) {
            let [witness, challenge, response, exponentiation] = fields;
            let template = DynamicAuthentication { witness, challenge, response, exponentiation };
            prop_assert_eq!(DynamicAuthentication::parse(&template.encode()), Ok(template));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = DynamicAuthentication::parse(&bytes);
        }
    }
}
