// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public keys that we accept, and signatures made with them.

use std::fmt;

use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, UnparsedPublicKey, VerificationAlgorithm,
};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::referenced::RefToOwned;
use der::{Decode, Encode, Sequence};
use spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use crate::serial::KeyId;

/// Smallest RSA key that is accepted, in bits.
pub const RSA_BITS_MIN: u32 = 2048;
/// Largest RSA key that is accepted, in bits: checking a larger one costs more than it is worth.
pub const RSA_BITS_MAX: u32 = 4096;
/// Smallest public exponent that is accepted (FIPS 186-5).
const RSA_EXPONENT_MIN: u64 = 65_537;
/// Largest public exponent that is accepted: what the cryptographic library can take.
const RSA_EXPONENT_MAX: u64 = (1 << 33) - 1;

/// What kind of key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// Elliptic curve P-256.
    P256,
    /// Elliptic curve P-384.
    P384,
    /// RSA with a modulus of this many bits.
    Rsa {
        /// Length of the modulus.
        bits: u32,
    },
}

impl KeyAlgorithm {
    /// Whether the key is of an elliptic curve: it can agree on keys, but not encipher them.
    pub fn is_elliptic(&self) -> bool {
        matches!(self, Self::P256 | Self::P384)
    }

    /// The signature algorithm that fits the key's strength.
    pub fn preferred_signature(&self) -> SignatureAlgorithm {
        match self {
            Self::P256 => SignatureAlgorithm::EcdsaSha256,
            Self::P384 => SignatureAlgorithm::EcdsaSha384,
            Self::Rsa { .. } => SignatureAlgorithm::RsaSha256,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::Rsa { bits } => write!(f, "RSA-{bits}"),
        }
    }
}

/// How something is signed. SHA-1 and MD5 are not in the list, so nothing can be signed with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA with SHA-256; the signature is the DER sequence of r and s.
    EcdsaSha256,
    /// ECDSA with SHA-384.
    EcdsaSha384,
    /// ECDSA with SHA-512.
    EcdsaSha512,
    /// RSA, PKCS#1 v1.5, SHA-256.
    RsaSha256,
    /// RSA, PKCS#1 v1.5, SHA-384.
    RsaSha384,
    /// RSA, PKCS#1 v1.5, SHA-512.
    RsaSha512,
}

impl SignatureAlgorithm {
    /// Whether keys of this kind sign so.
    pub fn fits(&self, key: KeyAlgorithm) -> bool {
        key.is_elliptic()
            == matches!(
                self,
                Self::EcdsaSha256 | Self::EcdsaSha384 | Self::EcdsaSha512
            )
    }

    pub(crate) fn from_identifier(id: AlgorithmIdentifierRef<'_>) -> Result<Self, SignatureError> {
        let algorithm = match id.oid {
            rfc5912::ECDSA_WITH_SHA_256 => Self::EcdsaSha256,
            rfc5912::ECDSA_WITH_SHA_384 => Self::EcdsaSha384,
            rfc5912::ECDSA_WITH_SHA_512 => Self::EcdsaSha512,
            rfc5912::SHA_256_WITH_RSA_ENCRYPTION => Self::RsaSha256,
            rfc5912::SHA_384_WITH_RSA_ENCRYPTION => Self::RsaSha384,
            rfc5912::SHA_512_WITH_RSA_ENCRYPTION => Self::RsaSha512,
            rfc5912::SHA_1_WITH_RSA_ENCRYPTION
            | rfc5912::MD_5_WITH_RSA_ENCRYPTION
            | rfc5912::MD_2_WITH_RSA_ENCRYPTION
            | rfc5912::DSA_WITH_SHA_1 => return Err(SignatureError::ObsoleteHash),
            ECDSA_WITH_SHA_1 => return Err(SignatureError::ObsoleteHash),
            _ => return Err(SignatureError::UnknownAlgorithm),
        };
        // RFC 5758: ECDSA has no parameters; RFC 4055: RSA has NULL, and absence is tolerated as others do.
        let parameters_fit = match (id.parameters, algorithm) {
            (None, _) => true,
            (Some(p), Self::RsaSha256 | Self::RsaSha384 | Self::RsaSha512) => p.is_null(),
            (Some(_), _) => false,
        };
        if parameters_fit {
            Ok(algorithm)
        } else {
            Err(SignatureError::UnknownAlgorithm)
        }
    }

    pub(crate) fn identifier(&self) -> AlgorithmIdentifierRef<'static> {
        let (oid, parameters) = match self {
            Self::EcdsaSha256 => (rfc5912::ECDSA_WITH_SHA_256, None),
            Self::EcdsaSha384 => (rfc5912::ECDSA_WITH_SHA_384, None),
            Self::EcdsaSha512 => (rfc5912::ECDSA_WITH_SHA_512, None),
            Self::RsaSha256 => (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, Some(AnyRef::NULL)),
            Self::RsaSha384 => (rfc5912::SHA_384_WITH_RSA_ENCRYPTION, Some(AnyRef::NULL)),
            Self::RsaSha512 => (rfc5912::SHA_512_WITH_RSA_ENCRYPTION, Some(AnyRef::NULL)),
        };
        AlgorithmIdentifierRef { oid, parameters }
    }

    pub(crate) fn owned_identifier(&self) -> AlgorithmIdentifierOwned {
        self.identifier().ref_to_owned()
    }

    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        AlgorithmIdentifierRef::from_der(der)
            .ok()
            .and_then(|id| Self::from_identifier(id).ok())
    }

    fn verification(&self, key: KeyAlgorithm) -> Option<&'static dyn VerificationAlgorithm> {
        use KeyAlgorithm::{P256, P384, Rsa};
        Some(match (key, self) {
            (P256, Self::EcdsaSha256) => &signature::ECDSA_P256_SHA256_ASN1,
            (P256, Self::EcdsaSha384) => &signature::ECDSA_P256_SHA384_ASN1,
            (P256, Self::EcdsaSha512) => &signature::ECDSA_P256_SHA512_ASN1,
            (P384, Self::EcdsaSha256) => &signature::ECDSA_P384_SHA256_ASN1,
            (P384, Self::EcdsaSha384) => &signature::ECDSA_P384_SHA384_ASN1,
            (P384, Self::EcdsaSha512) => &signature::ECDSA_P384_SHA512_ASN1,
            (Rsa { .. }, Self::RsaSha256) => RSA_SHA256,
            (Rsa { .. }, Self::RsaSha384) => RSA_SHA384,
            (Rsa { .. }, Self::RsaSha512) => RSA_SHA512,
            _ => return None,
        })
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaSha256 => "ECDSA with SHA-256",
            Self::EcdsaSha384 => "ECDSA with SHA-384",
            Self::EcdsaSha512 => "ECDSA with SHA-512",
            Self::RsaSha256 => "RSA with SHA-256",
            Self::RsaSha384 => "RSA with SHA-384",
            Self::RsaSha512 => "RSA with SHA-512",
        })
    }
}

/// A public key of a kind and strength that we accept.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    spki_der: Vec<u8>,
    /// The bits of the key without the frame: the point, or the RSA sequence.
    bits: Vec<u8>,
    algorithm: KeyAlgorithm,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo and refuses what is weak, unknown or no point of its curve.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        let bits = spki
            .subject_public_key
            .as_bytes()
            .ok_or(KeyError::Malformed)?;
        let algorithm = match spki.algorithm.oid {
            rfc5912::ID_EC_PUBLIC_KEY => {
                let curve: ObjectIdentifier = spki
                    .algorithm
                    .parameters
                    .ok_or(KeyError::Malformed)?
                    .decode_as()
                    .map_err(|_| KeyError::UnknownAlgorithm)?;
                match curve {
                    rfc5912::SECP_256_R_1 => KeyAlgorithm::P256,
                    rfc5912::SECP_384_R_1 => KeyAlgorithm::P384,
                    _ => return Err(KeyError::UnknownCurve),
                }
            }
            rfc5912::RSA_ENCRYPTION => {
                if !spki.algorithm.parameters.is_some_and(|p| p.is_null()) {
                    return Err(KeyError::Malformed);
                }
                KeyAlgorithm::Rsa {
                    bits: check_rsa(bits)?,
                }
            }
            _ => return Err(KeyError::UnknownAlgorithm),
        };
        if algorithm.is_elliptic() {
            check_point(algorithm, bits)?;
        }
        Ok(Self {
            bits: bits.to_vec(),
            spki_der: der.to_vec(),
            algorithm,
        })
    }

    /// Frames an uncompressed point (`04 x y`) of an elliptic curve, as a card gives it.
    pub fn from_point(algorithm: KeyAlgorithm, point: &[u8]) -> Result<Self, KeyError> {
        let curve = match algorithm {
            KeyAlgorithm::P256 => &rfc5912::SECP_256_R_1,
            KeyAlgorithm::P384 => &rfc5912::SECP_384_R_1,
            KeyAlgorithm::Rsa { .. } => return Err(KeyError::UnknownCurve),
        };
        Self::framed(rfc5912::ID_EC_PUBLIC_KEY, curve.into(), point)
    }

    /// Frames an RSA modulus and public exponent (big-endian), as a card gives them.
    pub fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let key = RsaKey {
            modulus: UintRef::new(modulus).map_err(|_| KeyError::Malformed)?,
            exponent: UintRef::new(exponent).map_err(|_| KeyError::Malformed)?,
        };
        let bits = key.to_der().map_err(|_| KeyError::Malformed)?;
        Self::framed(rfc5912::RSA_ENCRYPTION, AnyRef::NULL, &bits)
    }

    fn framed(
        oid: ObjectIdentifier,
        parameters: AnyRef<'_>,
        bits: &[u8],
    ) -> Result<Self, KeyError> {
        let spki = SubjectPublicKeyInfoRef {
            algorithm: AlgorithmIdentifierRef {
                oid,
                parameters: Some(parameters),
            },
            subject_public_key: BitStringRef::from_bytes(bits).map_err(|_| KeyError::Malformed)?,
        };
        Self::from_spki_der(&spki.to_der().map_err(|_| KeyError::Malformed)?)
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// Kind and strength.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The uncompressed point of an elliptic key, or the RSAPublicKey sequence.
    pub fn key_bits(&self) -> &[u8] {
        &self.bits
    }

    /// The key identifier that our certificates carry for this key.
    pub fn key_id(&self) -> KeyId {
        KeyId::of_key_bits(&self.bits)
    }

    /// Checks a signature over a message.
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let verification = algorithm
            .verification(self.algorithm)
            .ok_or(SignatureError::WrongKeyKind)?;
        UnparsedPublicKey::new(verification, &self.bits)
            .verify(message, signature)
            .map_err(|_| SignatureError::Invalid)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.algorithm, self.key_id())
    }
}

/// Why a public key is refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a public key in strict DER.
    #[error("the public key is malformed")]
    Malformed,
    /// Neither RSA nor an elliptic curve.
    #[error("the public key's algorithm is not accepted: use P-256, P-384 or RSA")]
    UnknownAlgorithm,
    /// An elliptic curve that is not accepted.
    #[error("the public key's curve is not accepted: use P-256 or P-384")]
    UnknownCurve,
    /// An RSA key with too few bits.
    #[error("the RSA key has {bits} bits; at least {RSA_BITS_MIN} are needed")]
    TooWeak {
        /// Length of its modulus.
        bits: u32,
    },
    /// An RSA key with too many bits.
    #[error("the RSA key has {bits} bits; at most {RSA_BITS_MAX} are accepted")]
    TooLarge {
        /// Length of its modulus.
        bits: u32,
    },
    /// An RSA exponent that is even or too small or too large, or an even modulus.
    #[error("the RSA key's numbers are not those of a sound key")]
    UnsoundRsa,
    /// The point is not on the curve, or not in uncompressed form.
    #[error("the public key is not a point of its curve")]
    NotOnCurve,
}

/// Why a signature is refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It does not fit message and key.
    #[error("the signature is wrong")]
    Invalid,
    /// MD5 or SHA-1.
    #[error("the signature uses an obsolete hash; SHA-256 or better is needed")]
    ObsoleteHash,
    /// An algorithm that is not accepted.
    #[error("the signature's algorithm is not accepted")]
    UnknownAlgorithm,
    /// An RSA signature with an elliptic key, or the other way round.
    #[error("the signature's algorithm does not fit the key")]
    WrongKeyKind,
}

#[derive(Sequence)]
struct RsaKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

fn check_rsa(bits: &[u8]) -> Result<u32, KeyError> {
    let key = RsaKey::from_der(bits).map_err(|_| KeyError::Malformed)?;
    let modulus = key.modulus.as_bytes();
    let (Some(first), Some(last)) = (modulus.first(), modulus.last()) else {
        return Err(KeyError::Malformed);
    };
    let bytes = u32::try_from(modulus.len()).map_err(|_| KeyError::Malformed)?;
    let length = bytes
        .saturating_mul(8)
        .saturating_sub(first.leading_zeros());
    if length < RSA_BITS_MIN {
        return Err(KeyError::TooWeak { bits: length });
    }
    if length > RSA_BITS_MAX {
        return Err(KeyError::TooLarge { bits: length });
    }
    let exponent = key.exponent.as_bytes();
    if exponent.len() > 8 {
        return Err(KeyError::UnsoundRsa);
    }
    let exponent = exponent
        .iter()
        .fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
    let sound = (RSA_EXPONENT_MIN..=RSA_EXPONENT_MAX).contains(&exponent)
        && exponent % 2 == 1
        && last % 2 == 1;
    if sound {
        Ok(length)
    } else {
        Err(KeyError::UnsoundRsa)
    }
}

fn check_point(algorithm: KeyAlgorithm, point: &[u8]) -> Result<(), KeyError> {
    let (verification, length): (&'static dyn VerificationAlgorithm, usize) = match algorithm {
        KeyAlgorithm::P256 => (&signature::ECDSA_P256_SHA256_ASN1, 65),
        _ => (&signature::ECDSA_P384_SHA384_ASN1, 97),
    };
    if point.len() != length || point.first() != Some(&4) {
        return Err(KeyError::NotOnCurve);
    }
    ParsedPublicKey::new(verification, point)
        .map(drop)
        .map_err(|_| KeyError::NotOnCurve)
}

const ECDSA_WITH_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");
static RSA_SHA256: &RsaParameters = &signature::RSA_PKCS1_2048_8192_SHA256;
static RSA_SHA384: &RsaParameters = &signature::RSA_PKCS1_2048_8192_SHA384;
static RSA_SHA512: &RsaParameters = &signature::RSA_PKCS1_2048_8192_SHA512;

#[cfg(test)]
mod tests {
    use super::*;

    /// An odd number of exactly this many bits; nothing here factors it.
    fn modulus(bits: usize) -> Vec<u8> {
        let mut bytes = vec![0xa5; bits.div_ceil(8)];
        bytes[0] = if bits.is_multiple_of(8) {
            0x80
        } else {
            1 << (bits % 8 - 1)
        };
        if let Some(last) = bytes.last_mut() {
            *last |= 1;
        }
        bytes
    }

    #[test]
    fn rsa_keys_are_accepted_from_2048_to_4096_bits() {
        let exponent = [1, 0, 1];
        assert_eq!(
            PublicKey::from_rsa(&modulus(2048), &exponent)
                .unwrap()
                .algorithm(),
            KeyAlgorithm::Rsa { bits: 2048 }
        );
        assert_eq!(
            PublicKey::from_rsa(&modulus(4096), &exponent)
                .unwrap()
                .algorithm(),
            KeyAlgorithm::Rsa { bits: 4096 }
        );
        assert_eq!(
            PublicKey::from_rsa(&modulus(2047), &exponent),
            Err(KeyError::TooWeak { bits: 2047 })
        );
        assert_eq!(
            PublicKey::from_rsa(&modulus(4097), &exponent),
            Err(KeyError::TooLarge { bits: 4097 })
        );
    }

    #[test]
    fn an_unsound_rsa_exponent_is_refused() {
        for exponent in [
            &[3u8][..],
            &[1, 0, 0],
            &[0x7f; 9],
            &[0x01, 0, 0, 0, 0, 0, 1],
        ] {
            assert_eq!(
                PublicKey::from_rsa(&modulus(2048), exponent),
                Err(KeyError::UnsoundRsa),
                "{exponent:?}"
            );
        }
    }

    #[test]
    fn a_point_that_is_not_on_the_curve_is_refused() {
        let mut point = [1u8; 65];
        point[0] = 4;
        assert_eq!(
            PublicKey::from_point(KeyAlgorithm::P256, &point),
            Err(KeyError::NotOnCurve)
        );
        assert_eq!(
            PublicKey::from_point(KeyAlgorithm::P256, &[4u8; 10]),
            Err(KeyError::NotOnCurve)
        );
        let mut infinity = [0u8; 1];
        infinity[0] = 0;
        assert_eq!(
            PublicKey::from_point(KeyAlgorithm::P384, &infinity),
            Err(KeyError::NotOnCurve)
        );
    }

    #[test]
    fn a_signature_of_the_other_kind_of_key_is_refused() {
        let key = PublicKey::from_rsa(&modulus(2048), &[1, 0, 1]).unwrap();
        assert_eq!(
            key.verify(SignatureAlgorithm::EcdsaSha256, b"m", b"s"),
            Err(SignatureError::WrongKeyKind)
        );
    }
}
