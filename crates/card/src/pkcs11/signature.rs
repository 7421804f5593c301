// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signatures as tokens make them, and as TLS wants them.

use lanyard_piv::Algorithm;
use lanyard_piv::tlv::{Tag, Writer};

use super::wire::Mechanism;
use crate::fault::CardFault;
use crate::padding;
use crate::scheme::Scheme;

const SEQUENCE: Tag = Tag::new(0x30);
const INTEGER: Tag = Tag::new(0x02);

/// What a token is asked to do for a scheme, the best of the ways that it knows: we hash and, where
/// it does bare RSA, pad ourselves.
pub(super) fn question(
    scheme: Scheme,
    message: &[u8],
    known: &[Mechanism],
) -> Result<(Mechanism, Vec<u8>), CardFault> {
    let knows = |mechanism: Mechanism| known.contains(&mechanism);
    if scheme.key_algorithm() != Algorithm::Rsa2048 {
        let hash = padding::block(scheme, message)?;
        return Ok((Mechanism::Ecdsa, hash));
    }
    if knows(Mechanism::RsaRaw) {
        return Ok((Mechanism::RsaRaw, padding::block(scheme, message)?));
    }
    if scheme.is_pss() {
        let fits = scheme == Scheme::RsaPssSha256 && knows(Mechanism::RsaPssSha256);
        let hash = padding::hash(scheme, message);
        return if fits {
            Ok((Mechanism::RsaPssSha256, hash))
        } else {
            Err(CardFault::Unsupported)
        };
    }
    Ok((Mechanism::RsaPkcs1, padding::digest_info(scheme, message)))
}

/// The answer as TLS wants it.
pub(super) fn answer(scheme: Scheme, signature: &[u8]) -> Result<Vec<u8>, CardFault> {
    let algorithm = scheme.key_algorithm();
    if algorithm == Algorithm::Rsa2048 {
        return if signature.len() == algorithm.input_bytes() {
            Ok(signature.to_vec())
        } else {
            Err(CardFault::BadAnswer)
        };
    }
    // PKCS #11, 6.3.1: r and s, each of the length of the curve's order, with nothing around.
    let half = algorithm.input_bytes();
    let (r, s) = signature
        .split_at_checked(half)
        .filter(|(_, s)| s.len() == half)
        .ok_or(CardFault::BadAnswer)?;
    let numbers = Writer::new()
        .element(INTEGER, &integer(r))
        .element(INTEGER, &integer(s))
        .into_bytes();
    Ok(Writer::new().element(SEQUENCE, &numbers).into_bytes())
}

/// DER of an unsigned number: no leading zeros but the one that keeps it positive.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let leading = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut number: Vec<u8> = bytes.iter().skip(leading).copied().collect();
    if number.first().is_none_or(|first| *first >= 0x80) {
        number.insert(0, 0);
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_side_by_side_become_der() {
        let mut raw = vec![0; 64];
        raw[31] = 5;
        raw[32] = 0x80;
        let der = answer(Scheme::EcdsaP256Sha256, &raw).unwrap();
        assert_eq!(&der[..7], [0x30, 38, 2, 1, 5, 2, 33]);
        assert_eq!(&der[7..9], [0, 0x80]);
        assert_eq!(
            answer(Scheme::EcdsaP256Sha256, &raw[..63]),
            Err(CardFault::BadAnswer)
        );
    }

    #[test]
    fn bare_rsa_is_preferred_and_pss_is_never_faked() {
        let all = Mechanism::ALL;
        let (mechanism, block) = question(Scheme::RsaPssSha384, b"m", &all).unwrap();
        assert_eq!((mechanism, block.len()), (Mechanism::RsaRaw, 256));
        let old = [Mechanism::RsaPkcs1];
        let refused = question(Scheme::RsaPssSha256, b"m", &old);
        assert_eq!(refused, Err(CardFault::Unsupported));
        let (mechanism, info) = question(Scheme::RsaPkcs1Sha256, b"m", &old).unwrap();
        assert_eq!((mechanism, info.len()), (Mechanism::RsaPkcs1, 51));
    }
}
