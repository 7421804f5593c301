// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public keys as the card tells them (`7F49`) and as certificates hold them (SPKI).

use crate::slot::Algorithm;
use crate::tlv::{self, Reader, Tag, TlvError, Writer};

const PUBLIC_KEY: Tag = Tag::new(0x7F49);
const MODULUS: Tag = Tag::new(0x81);
const EXPONENT: Tag = Tag::new(0x82);
const POINT: Tag = Tag::new(0x86);
const CONTROL: Tag = Tag::new(0xAC);
const ALGORITHM: Tag = Tag::new(0x80);
const PARAMETER: Tag = Tag::new(0x81);

const SEQUENCE: Tag = Tag::new(0x30);
const INTEGER: Tag = Tag::new(0x02);
const BIT_STRING: Tag = Tag::new(0x03);
const NULL: Tag = Tag::new(0x05);
const OBJECT_IDENTIFIER: Tag = Tag::new(0x06);

/// 1.2.840.113549.1.1.1
const RSA_ENCRYPTION: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1
const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
/// 1.2.840.10045.3.1.7
const CURVE_P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
/// 1.3.132.0.34
const CURVE_P384: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];

/// The first byte of a point that is not compressed.
const UNCOMPRESSED: u8 = 0x04;
const EXPONENT_BYTES_MAX: usize = 8;

/// Why a public key is refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// It is no BER-TLV, or an element is missing.
    #[error(transparent)]
    Tlv(#[from] TlvError),
    /// Neither P-256, P-384 nor RSA-2048.
    #[error("the key is neither P-256, P-384 nor RSA-2048")]
    UnknownKind,
    /// A point, modulus or exponent of the wrong length or form.
    #[error("the key is malformed")]
    Malformed,
}

/// A public key of a kind that PIV knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Parts);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Parts {
    Ecc {
        algorithm: Algorithm,
        point: Vec<u8>,
    },
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
}

impl PublicKey {
    /// A point on a curve, uncompressed.
    ///
    /// # Errors
    ///
    /// When the algorithm is RSA or the point does not fit the curve.
    pub fn ecc(algorithm: Algorithm, point: &[u8]) -> Result<Self, PublicKeyError> {
        if algorithm == Algorithm::Rsa2048 {
            return Err(PublicKeyError::UnknownKind);
        }
        let length = algorithm.input_bytes().saturating_mul(2).saturating_add(1);
        if point.len() != length || point.first() != Some(&UNCOMPRESSED) {
            return Err(PublicKeyError::Malformed);
        }
        Ok(Self(Parts::Ecc {
            algorithm,
            point: point.to_vec(),
        }))
    }

    /// An RSA-2048 key: modulus and exponent, unsigned and big-endian.
    ///
    /// # Errors
    ///
    /// When the modulus has not exactly 2048 bits or is even, or the exponent is even, below 3 or
    /// longer than eight bytes.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, PublicKeyError> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
        if modulus.len() != Algorithm::Rsa2048.input_bytes()
            || modulus.first().is_none_or(|byte| byte & 0x80 == 0)
            || !odd(modulus)
        {
            return Err(PublicKeyError::UnknownKind);
        }
        if !odd(exponent) || exponent == [1] || exponent.len() > EXPONENT_BYTES_MAX {
            return Err(PublicKeyError::Malformed);
        }
        Ok(Self(Parts::Rsa {
            modulus: modulus.to_vec(),
            exponent: exponent.to_vec(),
        }))
    }

    /// Reads the answer of GENERATE (SP 800-73-4 part 2, table 11), for a key of this kind.
    ///
    /// # Errors
    ///
    /// When it is malformed or does not fit the algorithm.
    pub fn parse(algorithm: Algorithm, answer: &[u8]) -> Result<Self, PublicKeyError> {
        let fields = tlv::only(answer, PUBLIC_KEY)?;
        if algorithm == Algorithm::Rsa2048 {
            let modulus = tlv::find(fields, MODULUS)?.ok_or(TlvError::Missing(MODULUS))?;
            let exponent = tlv::find(fields, EXPONENT)?.ok_or(TlvError::Missing(EXPONENT))?;
            return Self::rsa(modulus, exponent);
        }
        let point = tlv::find(fields, POINT)?.ok_or(TlvError::Missing(POINT))?;
        Self::ecc(algorithm, point)
    }

    /// Writes the answer of GENERATE.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .element(PUBLIC_KEY, &self.fields())
            .into_bytes()
    }

    /// Reads a `SubjectPublicKeyInfo` in DER (RFC 5280, 4.1; RFC 5480; RFC 3279).
    ///
    /// # Errors
    ///
    /// When it is malformed or of another kind.
    pub fn from_spki(der: &[u8]) -> Result<Self, PublicKeyError> {
        let mut spki = Reader::new(tlv::only(der, SEQUENCE)?);
        let mut identifier = Reader::new(spki.expect(SEQUENCE)?);
        let bits = spki.expect(BIT_STRING)?;
        spki.end()?;
        let key = bits.strip_prefix(&[0]).ok_or(PublicKeyError::Malformed)?;
        let kind = identifier.expect(OBJECT_IDENTIFIER)?;
        if kind == RSA_ENCRYPTION {
            let mut numbers = Reader::new(tlv::only(key, SEQUENCE)?);
            let (modulus, exponent) = (numbers.expect(INTEGER)?, numbers.expect(INTEGER)?);
            numbers.end()?;
            return Self::rsa(modulus, exponent);
        }
        if kind != EC_PUBLIC_KEY {
            return Err(PublicKeyError::UnknownKind);
        }
        match identifier.expect(OBJECT_IDENTIFIER)? {
            CURVE_P256 => Self::ecc(Algorithm::EccP256, key),
            CURVE_P384 => Self::ecc(Algorithm::EccP384, key),
            _ => Err(PublicKeyError::UnknownKind),
        }
    }

    /// Reads the key of a certificate in DER; nothing else of the certificate is checked.
    ///
    /// # Errors
    ///
    /// When the certificate or its key is malformed, or the key is of another kind.
    pub fn of_certificate(der: &[u8]) -> Result<Self, PublicKeyError> {
        const VERSION: Tag = Tag::new(0xA0);
        let mut certificate = Reader::new(tlv::only(der, SEQUENCE)?);
        let mut fields = Reader::new(certificate.expect(SEQUENCE)?);
        // RFC 5280, 4.1: version, serial, signature, issuer, validity and subject come first.
        let first = fields.element()?.ok_or(TlvError::Missing(VERSION))?;
        if first.tag == VERSION {
            fields.expect(INTEGER)?;
        }
        for _ in 0..4 {
            fields.expect(SEQUENCE)?;
        }
        let spki = fields.expect(SEQUENCE)?;
        Self::from_spki(&Writer::new().element(SEQUENCE, spki).into_bytes())
    }

    /// Writes a `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn to_spki(&self) -> Vec<u8> {
        let (identifier, key) = match &self.0 {
            Parts::Ecc { algorithm, point } => {
                let curve = if *algorithm == Algorithm::EccP384 {
                    CURVE_P384
                } else {
                    CURVE_P256
                };
                let identifier = Writer::new()
                    .element(OBJECT_IDENTIFIER, EC_PUBLIC_KEY)
                    .element(OBJECT_IDENTIFIER, curve);
                (identifier, point.clone())
            }
            Parts::Rsa { modulus, exponent } => {
                let identifier = Writer::new()
                    .element(OBJECT_IDENTIFIER, RSA_ENCRYPTION)
                    .element(NULL, &[]);
                let numbers = Writer::new()
                    .element(INTEGER, &signed(modulus))
                    .element(INTEGER, &signed(exponent))
                    .into_bytes();
                (
                    identifier,
                    Writer::new().element(SEQUENCE, &numbers).into_bytes(),
                )
            }
        };
        let mut bits = vec![0];
        bits.extend_from_slice(&key);
        let fields = Writer::new()
            .element(SEQUENCE, &identifier.into_bytes())
            .element(BIT_STRING, &bits)
            .into_bytes();
        Writer::new().element(SEQUENCE, &fields).into_bytes()
    }

    /// Its kind.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Parts::Ecc { algorithm, .. } => *algorithm,
            Parts::Rsa { .. } => Algorithm::Rsa2048,
        }
    }

    /// The point of an ECC key, uncompressed.
    #[must_use]
    pub fn point(&self) -> Option<&[u8]> {
        match &self.0 {
            Parts::Ecc { point, .. } => Some(point),
            Parts::Rsa { .. } => None,
        }
    }

    /// What stands inside `7F49`: modulus and exponent, or the point.
    #[must_use]
    pub fn fields(&self) -> Vec<u8> {
        match &self.0 {
            Parts::Ecc { point, .. } => Writer::new().element(POINT, point).into_bytes(),
            Parts::Rsa { modulus, exponent } => Writer::new()
                .element(MODULUS, modulus)
                .element(EXPONENT, exponent)
                .into_bytes(),
        }
    }

    /// Modulus and exponent of an RSA key, without leading zeros.
    #[must_use]
    pub fn modulus_and_exponent(&self) -> Option<(&[u8], &[u8])> {
        match &self.0 {
            Parts::Rsa { modulus, exponent } => Some((modulus, exponent)),
            Parts::Ecc { .. } => None,
        }
    }
}

/// The data of GENERATE (SP 800-73-4 part 2, table 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerateTemplate {
    /// The kind of key to make.
    pub algorithm: Algorithm,
}

impl GenerateTemplate {
    /// Reads the data.
    ///
    /// # Errors
    ///
    /// When it is malformed, asks for a kind that we do not make, or wants more than PIV defines.
    pub fn parse(data: &[u8]) -> Result<Self, PublicKeyError> {
        let mut reader = Reader::new(tlv::only(data, CONTROL)?);
        let &[id] = reader.expect(ALGORITHM)? else {
            return Err(PublicKeyError::UnknownKind);
        };
        if let Some(element) = reader.element()? {
            if element.tag != PARAMETER {
                return Err(TlvError::Unexpected(PARAMETER).into());
            }
            // The exponent of an RSA key (SP 800-78-4, 3.1): everybody's is 65537.
            if !matches!(without_zeros(element.value), [] | [1, 0, 1]) {
                return Err(PublicKeyError::UnknownKind);
            }
        }
        reader.end()?;
        Ok(Self {
            algorithm: Algorithm::from_id(id).ok_or(PublicKeyError::UnknownKind)?,
        })
    }

    /// Writes the data.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let fields = Writer::new()
            .element(ALGORITHM, &[self.algorithm.id()])
            .into_bytes();
        Writer::new().element(CONTROL, &fields).into_bytes()
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or(&[])
}

/// A number as DER's signed integer: a zero in front where the first bit is set.
fn signed(number: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(number.len().saturating_add(1));
    if number.first().is_none_or(|byte| byte & 0x80 != 0) {
        out.push(0);
    }
    out.extend_from_slice(number);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn modulus() -> Vec<u8> {
        let mut modulus = vec![0xC5; 256];
        modulus[7] = 0;
        modulus
    }

    fn point(algorithm: Algorithm) -> Vec<u8> {
        let mut point = vec![0x5A; algorithm.input_bytes() * 2 + 1];
        point[0] = UNCOMPRESSED;
        point
    }

    fn keys() -> Vec<PublicKey> {
        vec![
            PublicKey::ecc(Algorithm::EccP256, &point(Algorithm::EccP256)).unwrap(),
            PublicKey::ecc(Algorithm::EccP384, &point(Algorithm::EccP384)).unwrap(),
            PublicKey::rsa(&modulus(), &[1, 0, 1]).unwrap(),
        ]
    }

    #[test]
    fn every_kind_of_key_is_read_as_it_was_written() {
        for key in keys() {
            assert_eq!(
                PublicKey::parse(key.algorithm(), &key.encode()),
                Ok(key.clone())
            );
            assert_eq!(PublicKey::from_spki(&key.to_spki()), Ok(key));
        }
    }

    #[test]
    fn an_spki_is_the_der_that_others_write() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let heads: Vec<_> = keys()
            .iter()
            .map(|key| {
                let spki = key.to_spki();
                format!(
                    "{}: {} ({} bytes)",
                    key.algorithm(),
                    hex(&spki[..30]),
                    spki.len()
                )
            })
            .collect();
        insta::assert_snapshot!(heads.join("\n"));
    }

    #[test]
    fn keys_that_do_not_fit_their_kind_are_refused() {
        let mut compressed = point(Algorithm::EccP256);
        compressed[0] = 2;
        let ecc = |point: &[u8]| PublicKey::ecc(Algorithm::EccP256, point).err();
        assert_eq!(ecc(&compressed), Some(PublicKeyError::Malformed));
        assert_eq!(
            ecc(&point(Algorithm::EccP384)),
            Some(PublicKeyError::Malformed)
        );
        let rsa = |modulus: &[u8], exponent: &[u8]| PublicKey::rsa(modulus, exponent).err();
        assert_eq!(
            rsa(&modulus()[1..], &[1, 0, 1]),
            Some(PublicKeyError::UnknownKind)
        );
        assert_eq!(rsa(&modulus(), &[2]), Some(PublicKeyError::Malformed));
        assert_eq!(rsa(&modulus(), &[1]), Some(PublicKeyError::Malformed));
        assert_eq!(rsa(&modulus(), &[]), Some(PublicKeyError::Malformed));
    }

    #[test]
    fn generate_knows_the_three_kinds_and_no_other() {
        for algorithm in Algorithm::ALL {
            let template = GenerateTemplate { algorithm };
            assert_eq!(GenerateTemplate::parse(&template.encode()), Ok(template));
        }
        let unknown = GenerateTemplate::parse(&[0xAC, 3, 0x80, 1, 0x06]);
        assert_eq!(unknown, Err(PublicKeyError::UnknownKind));
        assert!(GenerateTemplate::parse(&[0xAC, 6, 0x80, 1, 0x11, 0xAA, 1, 2]).is_err());
        let exponent = |bytes: [u8; 3]| {
            let [first, second, third] = bytes;
            GenerateTemplate::parse(&[0xAC, 8, 0x80, 1, 0x07, 0x81, 3, first, second, third])
        };
        assert!(exponent([1, 0, 1]).is_ok());
        assert_eq!(exponent([0, 0, 3]), Err(PublicKeyError::UnknownKind));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = PublicKey::parse(Algorithm::Rsa2048, &bytes);
            let _ = PublicKey::parse(Algorithm::EccP256, &bytes);
            let _ = PublicKey::from_spki(&bytes);
            let _ = PublicKey::of_certificate(&bytes);
            let _ = GenerateTemplate::parse(&bytes);
        }
    }
}
