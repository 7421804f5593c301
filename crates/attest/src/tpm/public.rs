// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public areas: what a TPM says about a key.

use aws_lc_rs::digest;
use lanyard_x509::{KeyAlgorithm, PublicKey};
use tpm2_protocol::TpmUnmarshal;
use tpm2_protocol::data::{
    TpmAlgId, TpmEccCurve, TpmaObject, TpmtPublic, TpmuPublicId, TpmuPublicParms,
};

/// Bytes of the largest public area that is looked at.
pub const PUBLIC_BYTES_MAX: usize = 1024;
/// The exponent that a TPM means by zero (TPM 2.0 Library, part 2, 12.2.3.5).
const EXPONENT_DEFAULT: u32 = 65_537;

/// Why a public area is refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicError {
    /// It is no `TPMT_PUBLIC`.
    #[error("this is no public area of a TPM key")]
    Malformed,
    /// Its kind of key, or the hash of its name, is not known here.
    #[error("this kind of TPM key is not known")]
    Unsupported,
}

/// A `TPMT_PUBLIC` and what follows from it.
#[derive(Debug, Clone)]
pub struct Public {
    pub(super) area: TpmtPublic,
    name: Vec<u8>,
    key: PublicKey,
}

impl Public {
    /// Reads a `TPMT_PUBLIC` (without the size in front).
    ///
    /// # Errors
    /// It is malformed, or of a kind that is not known: the kinds are ECC P-256, ECC P-384 and RSA, with a name by
    /// SHA-256 or SHA-384.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PublicError> {
        if bytes.len() > PUBLIC_BYTES_MAX {
            return Err(PublicError::Malformed);
        }
        let (area, rest) = TpmtPublic::unmarshal(bytes).map_err(|_| PublicError::Malformed)?;
        if !rest.is_empty() {
            return Err(PublicError::Malformed);
        }
        let name = name(area.name_alg, bytes)?;
        let key = key(&area)?;
        Ok(Self { area, name, key })
    }

    /// The object's name: the hash's number and the hash of the public area (TPM 2.0 Library, part 1, 16).
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The key itself.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The key was made in a TPM and can never leave it, not even under another parent.
    #[must_use]
    pub fn never_leaves(&self) -> bool {
        self.area.object_attributes.contains(
            TpmaObject::FIXED_TPM | TpmaObject::FIXED_PARENT | TpmaObject::SENSITIVE_DATA_ORIGIN,
        )
    }

    /// The key works for nobody who only knows its password: a policy decides.
    #[must_use]
    pub fn is_guarded_by_policy(&self) -> bool {
        !self.has(TpmaObject::USER_WITH_AUTH) && !self.area.auth_policy.is_empty()
    }

    /// It signs only what the TPM itself has made.
    pub(super) fn is_attestation_key(&self) -> bool {
        self.never_leaves()
            && self.has(TpmaObject::RESTRICTED | TpmaObject::SIGN_ENCRYPT)
            && !self.has(TpmaObject::DECRYPT)
    }

    /// It opens only what the TPM itself uses.
    pub(super) fn is_storage_key(&self) -> bool {
        self.never_leaves()
            && self.has(TpmaObject::RESTRICTED | TpmaObject::DECRYPT)
            && !self.has(TpmaObject::SIGN_ENCRYPT)
    }

    /// It serves the person: nothing the TPM says about itself is signed with it.
    pub(super) fn is_for_use(&self) -> bool {
        !self.has(TpmaObject::RESTRICTED)
            && (self.has(TpmaObject::SIGN_ENCRYPT) || self.has(TpmaObject::DECRYPT))
    }

    fn has(&self, attributes: TpmaObject) -> bool {
        self.area.object_attributes.contains(attributes)
    }
}

/// The hash behind a number; two of them are enough for every chip of today.
pub(super) fn hash(algorithm: TpmAlgId) -> Option<&'static digest::Algorithm> {
    match algorithm {
        TpmAlgId::Sha256 => Some(&digest::SHA256),
        TpmAlgId::Sha384 => Some(&digest::SHA384),
        _ => None,
    }
}

fn name(algorithm: TpmAlgId, area: &[u8]) -> Result<Vec<u8>, PublicError> {
    let hash = hash(algorithm).ok_or(PublicError::Unsupported)?;
    let mut name = algorithm.value().to_be_bytes().to_vec();
    name.extend_from_slice(digest::digest(hash, area).as_ref());
    Ok(name)
}

fn key(area: &TpmtPublic) -> Result<PublicKey, PublicError> {
    match (&area.parameters, &area.unique) {
        (TpmuPublicParms::Ecc(parameters), TpmuPublicId::Ecc(point)) => {
            let (algorithm, bytes) = match parameters.curve_id {
                TpmEccCurve::NistP256 => (KeyAlgorithm::P256, 32),
                TpmEccCurve::NistP384 => (KeyAlgorithm::P384, 48),
                _ => return Err(PublicError::Unsupported),
            };
            let mut uncompressed = vec![4];
            for coordinate in [&point.x, &point.y] {
                uncompressed.extend(padded(coordinate, bytes).ok_or(PublicError::Malformed)?);
            }
            PublicKey::from_point(algorithm, &uncompressed).map_err(|_| PublicError::Malformed)
        }
        (TpmuPublicParms::Rsa(parameters), TpmuPublicId::Rsa(modulus)) => {
            let exponent = match parameters.exponent.value() {
                0 => EXPONENT_DEFAULT,
                other => other,
            };
            PublicKey::from_rsa(modulus, &exponent.to_be_bytes())
                .map_err(|_| PublicError::Unsupported)
        }
        _ => Err(PublicError::Unsupported),
    }
}

/// A number with zeros in front up to its full length: chips may leave them out.
pub(super) fn padded(number: &[u8], bytes: usize) -> Option<Vec<u8>> {
    let missing = bytes.checked_sub(number.len())?;
    let mut out = vec![0; missing];
    out.extend_from_slice(number);
    Some(out)
}
