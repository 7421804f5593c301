// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which objects there are, and how GET DATA and PUT DATA name and wrap them.

use std::fmt;

use super::ObjectError;
use crate::slot::Slot;
use crate::tlv::{self, Reader, Tag, TlvError, Writer};

/// Most bytes of one object that we read or write. The largest of PIV's is the facial image, for
/// which a card keeps room for 12,710 (SP 800-73-4 part 1, appendix A).
pub const OBJECT_BYTES_MAX: usize = 16_384;

const TAG_LIST: Tag = Tag::new(0x5C);
const CONTENTS: Tag = Tag::new(0x53);

/// The name of a data object (SP 800-73-4 part 1, table 3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(Tag);

impl ObjectId {
    /// Certificate of the key with which a card attests its others (slot F9): Yubico's, and of those who follow.
    pub const ATTESTATION_CERTIFICATE: Self = Self(Tag::new(0x5F_FF01));
    /// Discovery object; wrapped in its own tag.
    pub const DISCOVERY: Self = Self(Tag::new(0x7E));
    /// Biometric information templates group; wrapped in its own tag.
    pub const BIOMETRIC_GROUP: Self = Self(Tag::new(0x7F61));
    /// Card holder unique identifier.
    pub const CHUID: Self = Self(Tag::new(0x5F_C102));
    /// Card capability container.
    pub const CAPABILITY_CONTAINER: Self = Self(Tag::new(0x5F_C107));
    /// Security object.
    pub const SECURITY: Self = Self(Tag::new(0x5F_C106));
    /// Fingerprints.
    pub const FINGERPRINTS: Self = Self(Tag::new(0x5F_C103));
    /// Facial image.
    pub const FACIAL_IMAGE: Self = Self(Tag::new(0x5F_C108));
    /// Iris images.
    pub const IRIS_IMAGES: Self = Self(Tag::new(0x5F_C121));
    /// Pairing code reference data.
    pub const PAIRING_CODE: Self = Self(Tag::new(0x5F_C123));
    /// Printed information.
    pub const PRINTED: Self = Self(Tag::new(0x5F_C109));
    /// Key history object.
    pub const KEY_HISTORY: Self = Self(Tag::new(0x5F_C10C));

    /// The object that holds a slot's certificate.
    #[must_use]
    pub fn certificate(slot: Slot) -> Self {
        Self(Tag::new(match slot {
            Slot::Authentication => 0x5F_C105,
            Slot::Signature => 0x5F_C10A,
            Slot::KeyManagement => 0x5F_C10B,
            Slot::CardAuthentication => 0x5F_C101,
            Slot::Retired(slot) => 0x5F_C10C_u32.saturating_add(u32::from(slot.number())),
        }))
    }

    /// The slot whose certificate this object holds.
    #[must_use]
    pub fn certificate_slot(self) -> Option<Slot> {
        (0x82..=0x9E)
            .filter_map(Slot::from_key_reference)
            .find(|slot| Self::certificate(*slot) == self)
    }

    /// The object with this tag, where PIV may have one: `7E`, `7F61` and `5FC101` to `5FC17F`.
    #[must_use]
    pub fn from_tag(tag: Tag) -> Option<Self> {
        let known = matches!(tag.number(), 0x7E | 0x7F61 | 0x5F_C101..=0x5F_C17F);
        known.then_some(Self(tag))
    }

    /// Its tag.
    #[must_use]
    pub fn tag(self) -> Tag {
        self.0
    }

    /// The data of GET DATA: a tag list with this one tag.
    #[must_use]
    pub fn to_tag_list(self) -> Vec<u8> {
        Writer::new()
            .element(TAG_LIST, &self.0.to_bytes())
            .into_bytes()
    }

    /// Reads the data of GET DATA.
    ///
    /// # Errors
    ///
    /// When it is no tag list with one tag of PIV.
    pub fn from_tag_list(data: &[u8]) -> Result<Self, ObjectError> {
        Self::from_tag_bytes(tlv::only(data, TAG_LIST)?)
    }

    /// Wraps an object's contents as GET DATA answers them: in `53`, or in the object's own tag.
    #[must_use]
    pub fn wrap(self, contents: &[u8]) -> Vec<u8> {
        Writer::new().element(self.wrapper(), contents).into_bytes()
    }

    /// Takes the contents out of what GET DATA answered.
    ///
    /// # Errors
    ///
    /// When the wrapper is another one, or the object is empty.
    pub fn unwrap(self, answer: &[u8]) -> Result<&[u8], ObjectError> {
        let contents = tlv::only(answer, self.wrapper())?;
        if contents.is_empty() {
            Err(ObjectError::Empty)
        } else {
            Ok(contents)
        }
    }

    fn from_tag_bytes(bytes: &[u8]) -> Result<Self, ObjectError> {
        // A bare tag is read as an element of length 0.
        let mut element = bytes.to_vec();
        element.push(0);
        let element = Reader::new(&element)
            .element()?
            .filter(|found| found.value.is_empty());
        let tag = element
            .map(|found| found.tag)
            .ok_or(ObjectError::UnknownObject)?;
        if tag.to_bytes() != bytes {
            return Err(ObjectError::UnknownObject);
        }
        Self::from_tag(tag).ok_or(ObjectError::UnknownObject)
    }

    fn wrapper(self) -> Tag {
        if self.has_own_wrapper() {
            self.0
        } else {
            CONTENTS
        }
    }

    fn has_own_wrapper(self) -> bool {
        matches!(self, Self::DISCOVERY | Self::BIOMETRIC_GROUP)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

/// The data of PUT DATA (SP 800-73-4 part 2, 3.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutData<'a> {
    /// The object to write.
    pub object: ObjectId,
    /// Its new contents; empty removes the object.
    pub contents: &'a [u8],
}

impl<'a> PutData<'a> {
    /// Reads the data.
    ///
    /// # Errors
    ///
    /// When it is malformed or names no object of PIV.
    pub fn parse(data: &'a [u8]) -> Result<Self, ObjectError> {
        let mut reader = Reader::new(data);
        let first = reader.element()?.ok_or(ObjectError::UnknownObject)?;
        let parsed = if first.tag == TAG_LIST {
            let object = ObjectId::from_tag_bytes(first.value)?;
            Self {
                object,
                contents: reader.expect(object.wrapper())?,
            }
        } else {
            let object = ObjectId::from_tag(first.tag).filter(|id| id.has_own_wrapper());
            Self {
                object: object.ok_or(TlvError::Unexpected(TAG_LIST))?,
                contents: first.value,
            }
        };
        reader.end()?;
        Ok(parsed)
    }

    /// Writes the data.
    #[must_use]
    pub fn encode(object: ObjectId, contents: &[u8]) -> Vec<u8> {
        let wrapped = object.wrap(contents);
        if object.has_own_wrapper() {
            return wrapped;
        }
        let mut data = object.to_tag_list();
        data.extend_from_slice(&wrapped);
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn certificates_have_the_objects_of_the_standard() {
        let of = |reference| {
            ObjectId::certificate(Slot::from_key_reference(reference).unwrap()).to_string()
        };
        assert_eq!(of(0x9A), "5FC105");
        assert_eq!(of(0x9C), "5FC10A");
        assert_eq!(of(0x9D), "5FC10B");
        assert_eq!(of(0x9E), "5FC101");
        assert_eq!(of(0x82), "5FC10D");
        assert_eq!(of(0x95), "5FC120");
        for reference in (0x82..=0x95).chain(0x9A..=0x9E) {
            let Some(slot) = Slot::from_key_reference(reference) else {
                continue;
            };
            assert_eq!(ObjectId::certificate(slot).certificate_slot(), Some(slot));
        }
        assert_eq!(ObjectId::CHUID.certificate_slot(), None);
    }

    #[test]
    fn names_that_piv_does_not_have_are_refused() {
        assert_eq!(
            ObjectId::from_tag_list(&[0x5C, 1, 0x7E]),
            Ok(ObjectId::DISCOVERY)
        );
        assert_eq!(
            ObjectId::from_tag_list(&[0x5C, 3, 0x5F, 0xC1, 2]),
            Ok(ObjectId::CHUID)
        );
        for list in [
            &[0x5C, 0][..],
            &[0x5C, 1, 0x53],
            &[0x5C, 2, 0x7E, 0x7E],
            &[0x5C, 3, 0x5F, 0xC2, 2],
            &[0x5C, 4, 0x5F, 0xC1, 2, 0],
            &[0x5D, 1, 0x7E],
        ] {
            assert!(ObjectId::from_tag_list(list).is_err(), "{list:02x?}");
        }
    }

    proptest! {
        #[test]
        fn written_objects_are_read_again(
            tag in prop_oneof![Just(0x7Eu32), Just(0x7F61), 0x5F_C101u32..=0x5F_C17F],
            contents in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let object = ObjectId::from_tag(Tag::new(tag)).unwrap();
            prop_assert_eq!(ObjectId::from_tag_list(&object.to_tag_list()), Ok(object));
            let data = PutData::encode(object, &contents);
            prop_assert_eq!(PutData::parse(&data), Ok(PutData { object, contents: &contents }));
            let answer = object.wrap(&contents);
            let expected = if contents.is_empty() {
                Err(ObjectError::Empty)
            } else {
                Ok(contents.as_slice())
            };
            prop_assert_eq!(object.unwrap(&answer), expected);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = PutData::parse(&bytes);
            let _ = ObjectId::from_tag_list(&bytes);
        }
    }
}
