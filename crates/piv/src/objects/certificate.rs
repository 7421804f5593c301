// SPDX-License-Identifier: MIT OR Apache-2.0
//! The object that holds a certificate (SP 800-73-4 part 1, tables 10, 15 and 41).

use super::{OBJECT_BYTES_MAX, ObjectError};
use crate::tlv::{Reader, Tag, TlvError, Writer};

const CERTIFICATE: Tag = Tag::new(0x70);
const INFORMATION: Tag = Tag::new(0x71);
const CONTAINER: Tag = Tag::new(0x72);
const ERROR_DETECTION: Tag = Tag::new(0xFE);
/// The bit of the information byte that says "compressed with gzip".
const COMPRESSED: u8 = 0x01;

/// A certificate as it lies on the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateObject {
    der: Vec<u8>,
}

impl CertificateObject {
    /// Wraps a certificate in DER.
    ///
    /// # Errors
    ///
    /// When it is empty or longer than an object may be.
    pub fn new(der: impl Into<Vec<u8>>) -> Result<Self, ObjectError> {
        let der = der.into();
        if der.is_empty() {
            return Err(ObjectError::Empty);
        }
        if der.len() > OBJECT_BYTES_MAX {
            return Err(ObjectError::Length);
        }
        Ok(Self { der })
    }

    /// Reads the contents of the object (inside its tag 53).
    ///
    /// # Errors
    ///
    /// When it is malformed, empty, or compressed.
    pub fn parse(contents: &[u8]) -> Result<Self, ObjectError> {
        let mut reader = Reader::new(contents);
        let (mut der, mut information) = (None, None);
        while let Some(element) = reader.element()? {
            let twice = match element.tag {
                CERTIFICATE => der.replace(element.value).is_some(),
                INFORMATION => information.replace(element.value).is_some(),
                // MSCUID of old cards, and a checksum that no card computes.
                CONTAINER | ERROR_DETECTION => false,
                other => return Err(TlvError::Unexpected(other).into()),
            };
            if twice {
                return Err(TlvError::Repeated(element.tag).into());
            }
        }
        match information {
            None | Some([0]) => {}
            Some([flags]) if flags & COMPRESSED != 0 => return Err(ObjectError::Compressed),
            Some([_]) => {}
            Some(_) => return Err(ObjectError::Length),
        }
        Self::new(der.ok_or(TlvError::Missing(CERTIFICATE))?)
    }

    /// Writes the contents of the object.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .element(CERTIFICATE, &self.der)
            .element(INFORMATION, &[0])
            .element(ERROR_DETECTION, &[])
            .into_bytes()
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Gives the certificate in DER.
    #[must_use]
    pub fn into_der(self) -> Vec<u8> {
        self.der
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_compressed_certificate_is_refused_with_that_reason() {
        let contents = [0x70, 2, 0x1F, 0x8B, 0x71, 1, 1, 0xFE, 0];
        assert_eq!(
            CertificateObject::parse(&contents),
            Err(ObjectError::Compressed)
        );
    }

    #[test]
    fn a_certificate_object_has_one_certificate() {
        assert_eq!(
            CertificateObject::parse(&[0x71, 1, 0]),
            Err(ObjectError::Tlv(TlvError::Missing(CERTIFICATE)))
        );
        assert_eq!(
            CertificateObject::parse(&[0x70, 1, 7, 0x70, 1, 7]),
            Err(ObjectError::Tlv(TlvError::Repeated(CERTIFICATE)))
        );
        assert_eq!(
            CertificateObject::parse(&[0x70, 0, 0x71, 1, 0]),
            Err(ObjectError::Empty)
        );
    }

    #[test]
    fn a_certificate_at_the_limit_is_taken_and_one_byte_over_is_not() {
        assert!(CertificateObject::new(vec![1; OBJECT_BYTES_MAX]).is_ok());
        assert_eq!(
            CertificateObject::new(vec![1; OBJECT_BYTES_MAX + 1]),
            Err(ObjectError::Length)
        );
    }

    proptest! {
        #[test]
        fn certificates_are_read_as_they_were_written(
            der in proptest::collection::vec(any::<u8>(), 1..2000),
        ) {
            let object = CertificateObject::new(der).unwrap();
            prop_assert_eq!(CertificateObject::parse(&object.encode()), Ok(object));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = CertificateObject::parse(&bytes);
        }
    }
}
