// SPDX-License-Identifier: MIT OR Apache-2.0
//! The objects that say which card this is.

use super::ObjectError;
use crate::slot::Guid;
use crate::tlv::{Reader, Tag, TlvError, Writer};

const FASC_N: Tag = Tag::new(0x30);
const GUID: Tag = Tag::new(0x34);
const EXPIRES: Tag = Tag::new(0x35);
const ISSUER_SIGNATURE: Tag = Tag::new(0x3E);
const ERROR_DETECTION: Tag = Tag::new(0xFE);

/// The FASC-N of cards that no federal agency issued: agency and system code 9999, in
/// BCD with parity (SP 800-73-4 part 1, 3.1.2; TIG SCEPACS 2.3, table 5).
const NON_FEDERAL_FASC_N: [u8; 25] = [
    0xD4, 0xE7, 0x39, 0xDA, 0x73, 0x9C, 0xED, 0x39, 0xCE, 0x73, 0x9D, 0x83, 0x68, 0x58, 0x21, 0x08,
    0x42, 0x10, 0x84, 0x21, 0xC8, 0x42, 0x10, 0xC3, 0xEB,
];
/// An expiry that no card reaches; ours is in the certificates.
const FAR_FUTURE: [u8; 8] = *b"20991231";

/// The card holder unique identifier (SP 800-73-4 part 1, 3.1.2 and table 9), as far as we use it:
/// its GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chuid {
    /// The GUID of the card.
    pub guid: Guid,
}

impl Chuid {
    /// Reads the contents of the object.
    ///
    /// # Errors
    ///
    /// When it is malformed or has no GUID.
    pub fn parse(contents: &[u8]) -> Result<Self, ObjectError> {
        let mut reader = Reader::new(contents);
        let mut guid = None;
        while let Some(element) = reader.element()? {
            if element.tag == GUID {
                let bytes = element.value.try_into().map_err(|_| ObjectError::Length)?;
                if guid.replace(Guid::new(bytes)).is_some() {
                    return Err(TlvError::Repeated(GUID).into());
                }
            }
        }
        Ok(Self {
            guid: guid.ok_or(TlvError::Missing(GUID))?,
        })
    }

    /// Writes the contents of the object, unsigned.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .element(FASC_N, &NON_FEDERAL_FASC_N)
            .element(GUID, self.guid.as_bytes())
            .element(EXPIRES, &FAR_FUTURE)
            .element(ISSUER_SIGNATURE, &[])
            .element(ERROR_DETECTION, &[])
            .into_bytes()
    }
}

/// The card capability container (SP 800-73-4 part 1, 3.1.1 and table 8); old software insists on
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapabilityContainer {
    /// The last fourteen bytes of the card identifier; anything that is unique to the card.
    pub unique: [u8; 14],
}

impl CapabilityContainer {
    /// Writes the contents of the object.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // GSC-IS identifier: GSC RID, manufacturer unknown, card type file system.
        let mut identifier = vec![0xA0, 0x00, 0x00, 0x01, 0x16, 0xFF, 0x02];
        identifier.extend_from_slice(&self.unique);
        Writer::new()
            .element(Tag::new(0xF0), &identifier)
            .element(Tag::new(0xF1), &[0x21])
            .element(Tag::new(0xF2), &[0x21])
            .element(Tag::new(0xF3), &[])
            .element(Tag::new(0xF4), &[0x00])
            // Registered data model number: 10 is PIV.
            .element(Tag::new(0xF5), &[0x10])
            .element(Tag::new(0xF6), &[])
            .element(Tag::new(0xF7), &[])
            .element(Tag::new(0xFA), &[])
            .element(Tag::new(0xFB), &[])
            .element(Tag::new(0xFC), &[])
            .element(Tag::new(0xFD), &[])
            .element(ERROR_DETECTION, &[])
            .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Undoes the BCD of the FASC-N: five bits a sign, lowest bit first, the last one parity.
    fn fasc_n_signs() -> Vec<u8> {
        let bits: Vec<u8> = NON_FEDERAL_FASC_N
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |i| byte >> i & 1))
            .collect();
        bits.chunks(5)
            .map(|sign| {
                assert_eq!(sign.iter().sum::<u8>() % 2, 1, "odd parity");
                sign[..4]
                    .iter()
                    .enumerate()
                    .map(|(i, bit)| bit << i)
                    .sum::<u8>()
            })
            .collect()
    }

    #[test]
    fn our_fasc_n_says_non_federal() {
        const START: u8 = 11;
        const SEPARATOR: u8 = 13;
        let signs = fasc_n_signs();
        assert_eq!(signs[..5], [START, 9, 9, 9, 9]);
        assert_eq!(signs[5..11], [SEPARATOR, 9, 9, 9, 9, SEPARATOR]);
        let check = signs[..39].iter().fold(0, |check, sign| check ^ sign);
        assert_eq!(signs[39], check, "the last sign is the sum of the others");
    }

    #[test]
    fn a_chuid_without_a_guid_is_refused() {
        assert_eq!(
            Chuid::parse(&[0x3E, 0]),
            Err(ObjectError::Tlv(TlvError::Missing(GUID)))
        );
        assert_eq!(Chuid::parse(&[0x34, 2, 1, 2]), Err(ObjectError::Length));
    }

    #[test]
    fn the_identity_objects_are_written_as_the_tables_show() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let chuid = hex(Chuid {
            guid: Guid::new([0x11; 16]),
        }
        .encode());
        let capability = hex(CapabilityContainer { unique: [0x22; 14] }.encode());
        insta::assert_snapshot!(format!("chuid: {chuid}\nccc: {capability}"));
    }

    proptest! {
        #[test]
        fn a_chuid_is_read_as_it_was_written(guid: [u8; 16]) {
            let chuid = Chuid { guid: Guid::new(guid) };
            prop_assert_eq!(Chuid::parse(&chuid.encode()), Ok(chuid));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Chuid::parse(&bytes);
        }
    }
}
