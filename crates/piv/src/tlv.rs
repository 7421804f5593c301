// SPDX-License-Identifier: MIT OR Apache-2.0
//! BER-TLV (ISO/IEC 7816-4, 5.2.2), as strict as cards allow: definite lengths, tags of at most
//! three bytes, nothing behind the last element.

use std::fmt;

/// Most bytes of one value; PIV objects are far smaller.
pub const VALUE_BYTES_MAX: usize = 65_535;

/// Why bytes are no BER-TLV.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlvError {
    /// The bytes end inside an element.
    #[error("the data ends inside an element")]
    Truncated,
    /// A tag of more than three bytes, or one that is not written in the shortest way.
    #[error("a tag is malformed")]
    Tag,
    /// An indefinite length, or one above the limit.
    #[error("a length is indefinite or above {VALUE_BYTES_MAX}")]
    Length,
    /// The element with this tag is missing.
    #[error("element {0} is missing")]
    Missing(Tag),
    /// Another element than this one stands here.
    #[error("element {0} was expected")]
    Unexpected(Tag),
    /// Bytes follow behind the last element.
    #[error("bytes follow behind the last element")]
    Trailing,
    /// The element with this tag occurs twice.
    #[error("element {0} occurs twice")]
    Repeated(Tag),
}

/// A tag, as the number of its bytes (`53`, `5F2F`, `7F49`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(u32);

impl Tag {
    /// Takes the tag's number. Meant for constants: what is no valid tag cannot be read back.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// Its bytes, one to three.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let bytes = self.0.to_be_bytes();
        let leading = bytes.iter().take_while(|byte| **byte == 0).count().min(3);
        bytes.into_iter().skip(leading).collect()
    }

    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), TlvError> {
        let (first, mut rest) = bytes.split_first().ok_or(TlvError::Truncated)?;
        let mut number = u32::from(*first);
        if number & 0x1F != 0x1F {
            // 00 is padding in ISO/IEC 7816-4, not an element; PIV uses none.
            return if number == 0 {
                Err(TlvError::Tag)
            } else {
                Ok((Self(number), rest))
            };
        }
        for place in 0..2 {
            let (next, behind) = rest.split_first().ok_or(TlvError::Truncated)?;
            // The first following byte must not be padding, nor a number that fits one byte.
            if place == 0 && (*next == 0x80 || *next < 0x1F) {
                return Err(TlvError::Tag);
            }
            number = number.wrapping_shl(8) | u32::from(*next);
            rest = behind;
            if next & 0x80 == 0 {
                return Ok((Self(number), rest));
            }
        }
        Err(TlvError::Tag)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

/// One element: its tag and the bytes of its value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// The tag.
    pub tag: Tag,
    /// The value.
    pub value: &'a [u8],
}

impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A value may be a secret.
        write!(f, "Element({}, {} bytes)", self.tag, self.value.len())
    }
}

/// Reads elements one after the other.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next element, or `None` at the end.
    ///
    /// # Errors
    ///
    /// When what stands here is no element.
    pub fn element(&mut self) -> Result<Option<Element<'a>>, TlvError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (tag, rest) = Tag::read(self.rest)?;
        let (length, rest) = read_length(rest)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(TlvError::Truncated)?;
        self.rest = rest;
        Ok(Some(Element { tag, value }))
    }

    /// The value of the next element, which must have this tag.
    ///
    /// # Errors
    ///
    /// When another element stands here, or none.
    pub fn expect(&mut self, tag: Tag) -> Result<&'a [u8], TlvError> {
        match self.element()? {
            Some(element) if element.tag == tag => Ok(element.value),
            Some(_) => Err(TlvError::Unexpected(tag)),
            None => Err(TlvError::Missing(tag)),
        }
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    ///
    /// When bytes are left.
    pub fn end(self) -> Result<(), TlvError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(TlvError::Trailing)
        }
    }
}

/// The value of the one element that the bytes consist of.
///
/// # Errors
///
/// When the bytes are not exactly one element with this tag.
pub fn only(bytes: &[u8], tag: Tag) -> Result<&[u8], TlvError> {
    let mut reader = Reader::new(bytes);
    let value = reader.expect(tag)?;
    reader.end()?;
    Ok(value)
}

/// The value of the element with this tag, where it occurs; all elements are read and checked.
///
/// # Errors
///
/// When the bytes are malformed or the element occurs twice.
pub fn find(bytes: &[u8], tag: Tag) -> Result<Option<&[u8]>, TlvError> {
    let mut reader = Reader::new(bytes);
    let mut found = None;
    while let Some(element) = reader.element()? {
        if element.tag == tag && found.replace(element.value).is_some() {
            return Err(TlvError::Repeated(tag));
        }
    }
    Ok(found)
}

fn read_length(bytes: &[u8]) -> Result<(usize, &[u8]), TlvError> {
    let (first, rest) = bytes.split_first().ok_or(TlvError::Truncated)?;
    let count = match first {
        0..=0x7F => return Ok((usize::from(*first), rest)),
        0x81..=0x83 => usize::from(first & 0x7F),
        _ => return Err(TlvError::Length),
    };
    let (bytes, rest) = rest.split_at_checked(count).ok_or(TlvError::Truncated)?;
    let length = bytes.iter().fold(0_usize, |length, byte| {
        length.wrapping_shl(8) | usize::from(*byte)
    });
    if length > VALUE_BYTES_MAX {
        return Err(TlvError::Length);
    }
    Ok((length, rest))
}

/// Writes elements one after the other, lengths in the shortest form (which is also DER).
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Starts empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an element.
    #[must_use]
    pub fn element(mut self, tag: Tag, value: &[u8]) -> Self {
        // Reserve the whole at once: a growing vector would leave copies of a secret behind.
        self.bytes.reserve_exact(value.len().saturating_add(8));
        self.bytes.extend_from_slice(&tag.to_bytes());
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes();
        let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
        match significant.as_slice() {
            [] => self.bytes.push(0),
            [short @ 0..0x80] => self.bytes.push(*short),
            long => {
                self.bytes
                    .push(0x80 | u8::try_from(long.len()).unwrap_or(4));
                self.bytes.extend_from_slice(long);
            }
        }
        self.bytes.extend_from_slice(value);
        self
    }

    /// Adds an element where there is a value.
    #[must_use]
    pub fn optional(self, tag: Tag, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.element(tag, value),
            None => self,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T53: Tag = Tag::new(0x53);

    #[test]
    fn tags_of_one_to_three_bytes_are_read() {
        for (bytes, number) in [
            (&[0x53, 0][..], 0x53),
            (&[0x5F, 0x2F, 0], 0x5F2F),
            (&[0x7F, 0x49, 0], 0x7F49),
            (&[0x5F, 0xC1, 0x05, 0], 0x5F_C105),
        ] {
            let element = Reader::new(bytes).element().unwrap().unwrap();
            assert_eq!(element.tag, Tag::new(number));
            assert_eq!(element.tag.to_bytes(), bytes[..bytes.len() - 1]);
        }
    }

    #[test]
    fn malformed_elements_are_refused() {
        for (bytes, error) in [
            (&[0x53][..], TlvError::Truncated),
            (&[0x53, 2, 0], TlvError::Truncated),
            (&[0x53, 0x82, 1], TlvError::Truncated),
            (&[0x5F], TlvError::Truncated),
            (&[0x5F, 0xC1], TlvError::Truncated),
            (&[0x00, 0x00], TlvError::Tag),
            (&[0x5F, 0x80, 0x01, 0], TlvError::Tag),
            (&[0x5F, 0x05, 0], TlvError::Tag),
            (&[0x5F, 0xC1, 0x85, 0x01, 0], TlvError::Tag),
            (&[0x53, 0x80, 0, 0], TlvError::Length),
            (&[0x53, 0x83, 1, 0, 0], TlvError::Length),
            (&[0x53, 0x84, 0, 0, 0, 0], TlvError::Length),
        ] {
            assert_eq!(
                Reader::new(bytes).element().err(),
                Some(error),
                "{bytes:02x?}"
            );
        }
        assert_eq!(only(&[0x53, 0, 0x53, 0], T53), Err(TlvError::Trailing));
        assert_eq!(only(&[0x54, 0], T53), Err(TlvError::Unexpected(T53)));
        assert_eq!(only(&[], T53), Err(TlvError::Missing(T53)));
        assert_eq!(find(&[0x53, 0, 0x53, 0], T53), Err(TlvError::Repeated(T53)));
    }

    #[test]
    fn a_value_at_the_limit_is_read() {
        let bytes = Writer::new()
            .element(T53, &vec![1; VALUE_BYTES_MAX])
            .into_bytes();
        assert_eq!(only(&bytes, T53).unwrap().len(), VALUE_BYTES_MAX);
        let bytes = Writer::new()
            .element(T53, &vec![1; VALUE_BYTES_MAX + 1])
            .into_bytes();
        assert_eq!(only(&bytes, T53), Err(TlvError::Length));
    }

    proptest! {
        #[test]
        fn elements_are_read_as_they_were_written(
            values in proptest::collection::vec(
                (prop_oneof![Just(0x53u32), Just(0x7F49), Just(0x5F_C102), Just(0x81)],
                 proptest::collection::vec(any::<u8>(), 0..400)), 0..6),
        ) {
            let mut writer = Writer::new();
            for (tag, value) in &values {
                writer = writer.element(Tag::new(*tag), value);
            }
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            for (tag, value) in &values {
                prop_assert_eq!(reader.expect(Tag::new(*tag)), Ok(value.as_slice()));
            }
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(&bytes);
            while let Ok(Some(_)) = reader.element() {}
        }
    }
}
