// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key pairs of a card in the TPM: templates, digests and signatures in the forms of both worlds.

use lanyard_piv::{Algorithm, Slot, tlv};
use lanyard_tpm::{Capabilities, KeyUse, Signature, Template, TpmAlgId, TpmEccCurve};

use crate::keeper::KeeperError;

/// Longest digest that hosts have: SHA-512.
const DIGEST_BYTES_MAX: usize = 64;

/// The kinds of key that a chip makes, the preferred one first.
pub(super) fn algorithms(found: &Capabilities) -> Vec<Algorithm> {
    Algorithm::ALL
        .into_iter()
        .filter(|algorithm| match algorithm {
            Algorithm::EccP256 => found.has_curve(TpmEccCurve::NistP256),
            Algorithm::EccP384 => {
                found.has_curve(TpmEccCurve::NistP384)
                    && found.has_algorithm(TpmAlgId::Sha384 as u16)
            }
            Algorithm::Rsa2048 => found.has_algorithm(TpmAlgId::Rsa as u16),
        })
        .collect()
}

/// What the chip shall make for a slot; `policy` opens the keys that want the PIN.
pub(super) fn template(slot: Slot, algorithm: Algorithm, policy: &[u8]) -> Template {
    let policy = (!slot.works_without_pin()).then_some(policy);
    let wanted = match slot {
        Slot::KeyManagement | Slot::Retired(_) => KeyUse::SignAndDecrypt,
        _ => KeyUse::Sign,
    };
    match algorithm {
        Algorithm::EccP256 => Template::ecc(TpmEccCurve::NistP256, wanted, policy),
        Algorithm::EccP384 => Template::ecc(TpmEccCurve::NistP384, wanted, policy),
        Algorithm::Rsa2048 => Template::rsa_2048(policy),
    }
}

/// The hash that a curve's digests have the length of, and a digest brought to it as FIPS 186-5
/// section 6.4.1 does: the leftmost bits of a longer one, the same number for a shorter one.
pub(super) fn fitted(
    algorithm: Algorithm,
    digest: &[u8],
) -> Result<(TpmAlgId, Vec<u8>), KeeperError> {
    let hash = match algorithm {
        Algorithm::EccP256 => TpmAlgId::Sha256,
        Algorithm::EccP384 => TpmAlgId::Sha384,
        Algorithm::Rsa2048 => return Err(KeeperError::Unsupported),
    };
    if digest.is_empty() || digest.len() > DIGEST_BYTES_MAX {
        return Err(KeeperError::Input);
    }
    let length = algorithm.input_bytes();
    let padding = length.saturating_sub(digest.len());
    let fitted = std::iter::repeat_n(0, padding)
        .chain(digest.iter().copied())
        .take(length)
        .collect();
    Ok((hash, fitted))
}

/// A signature in DER, as PIV wants it.
pub(super) fn der(signature: &Signature) -> Vec<u8> {
    const INTEGER: tlv::Tag = tlv::Tag::new(0x02);
    const SEQUENCE: tlv::Tag = tlv::Tag::new(0x30);
    let numbers = tlv::Writer::new()
        .element(INTEGER, &integer(&signature.r))
        .element(INTEGER, &integer(&signature.s))
        .into_bytes();
    tlv::Writer::new().element(SEQUENCE, &numbers).into_bytes()
}

/// A positive number: no zeros in front but the one that keeps it positive.
fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = number.get(zeros..).unwrap_or_default();
    match number.first() {
        Some(first) if *first < 0x80 => number.to_vec(),
        _ => [&[0], number].concat(),
    }
}

/// The coordinates of an uncompressed point.
pub(super) fn coordinates(
    algorithm: Algorithm,
    point: &[u8],
) -> Result<(&[u8], &[u8]), KeeperError> {
    // SP 800-78-4: points travel uncompressed.
    let (form, both) = point.split_first().ok_or(KeeperError::Input)?;
    let length = algorithm.input_bytes();
    if *form != 0x04 || both.len() != length.saturating_mul(2) {
        return Err(KeeperError::Input);
    }
    both.split_at_checked(length).ok_or(KeeperError::Input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_positive_and_short() {
        assert_eq!(integer(&[0, 0, 1]), [1]);
        assert_eq!(integer(&[0x80]), [0, 0x80]);
        assert_eq!(integer(&[0, 0]), [0]);
        let signature = Signature {
            r: vec![0xFF],
            s: vec![0, 1],
        };
        assert_eq!(der(&signature), [0x30, 7, 2, 2, 0, 0xFF, 2, 1, 1]);
    }

    #[test]
    fn a_point_of_another_form_or_curve_is_refused() {
        let point = [&[4][..], &[1; 64]].concat();
        assert!(coordinates(Algorithm::EccP256, &point).is_ok());
        assert!(coordinates(Algorithm::EccP384, &point).is_err());
        assert!(coordinates(Algorithm::EccP256, &point[..64]).is_err());
        assert!(coordinates(Algorithm::EccP256, &[]).is_err());
    }
}
