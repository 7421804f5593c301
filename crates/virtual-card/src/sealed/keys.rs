// SPDX-License-Identifier: MIT OR Apache-2.0
//! ECC key pairs of the sealed-file keeper: P-256 and P-384 by aws-lc-rs.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384};
use aws_lc_rs::digest::{self, Digest, SHA256, SHA384};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair,
};
use lanyard_piv::Algorithm;
use zeroize::Zeroizing;

use crate::keeper::KeeperError;

/// Longest digest that hosts have: SHA-512.
const DIGEST_BYTES_MAX: usize = 64;

/// A fresh key pair.
pub(super) struct Pair {
    /// The private half.
    pub(super) pkcs8: Zeroizing<Vec<u8>>,
    /// The public half, uncompressed.
    pub(super) point: Vec<u8>,
}

/// Makes a key pair.
pub(super) fn generate(algorithm: Algorithm) -> Result<Pair, KeeperError> {
    let curve = Curve::of(algorithm)?;
    let pair = EcdsaKeyPair::generate(curve.signing).map_err(|_| KeeperError::Unsupported)?;
    let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeeperError::Unsupported)?;
    Ok(Pair {
        pkcs8: Zeroizing::new(pkcs8.as_ref().to_vec()),
        point: pair.public_key().as_ref().to_vec(),
    })
}

/// Signs a digest; gives the signature in DER, as PIV wants it.
pub(super) fn sign(
    algorithm: Algorithm,
    pkcs8: &[u8],
    digest: &[u8],
) -> Result<Vec<u8>, KeeperError> {
    let curve = Curve::of(algorithm)?;
    let fitted = fit(digest, curve.digest.output_len())?;
    let digest = Digest::import_less_safe(&fitted, curve.digest).map_err(|_| KeeperError::Input)?;
    let pair = EcdsaKeyPair::from_pkcs8(curve.signing, pkcs8).map_err(|_| KeeperError::Damaged)?;
    let signature = pair.sign_digest(&digest).map_err(|_| KeeperError::Input)?;
    Ok(signature.as_ref().to_vec())
}

/// Agrees on a secret with the holder of an uncompressed point.
pub(super) fn agree(
    algorithm: Algorithm,
    pkcs8: &[u8],
    point: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeeperError> {
    let curve = Curve::of(algorithm)?;
    // SP 800-78-4: points travel uncompressed.
    if point.first() != Some(&0x04) {
        return Err(KeeperError::Input);
    }
    let private = agreement::PrivateKey::from_private_key_der(curve.agreement, pkcs8)
        .map_err(|_| KeeperError::Damaged)?;
    let peer = agreement::UnparsedPublicKey::new(curve.agreement, point);
    agreement::agree(&private, peer, KeeperError::Input, |secret| {
        Ok(Zeroizing::new(secret.to_vec()))
    })
}

/// What aws-lc-rs calls the parts of one curve.
struct Curve {
    signing: &'static EcdsaSigningAlgorithm,
    agreement: &'static agreement::Algorithm,
    digest: &'static digest::Algorithm,
}

impl Curve {
    fn of(algorithm: Algorithm) -> Result<Self, KeeperError> {
        match algorithm {
            Algorithm::EccP256 => Ok(Self {
                signing: &ECDSA_P256_SHA256_ASN1_SIGNING,
                agreement: &ECDH_P256,
                digest: &SHA256,
            }),
            Algorithm::EccP384 => Ok(Self {
                signing: &ECDSA_P384_SHA384_ASN1_SIGNING,
                agreement: &ECDH_P384,
                digest: &SHA384,
            }),
            Algorithm::Rsa2048 => Err(KeeperError::Unsupported),
        }
    }
}

/// Brings a digest to the length of the curve as FIPS 186-5 section 6.4.1 does: the leftmost bits
/// of a longer one, the same number for a shorter one.
fn fit(digest: &[u8], length: usize) -> Result<Vec<u8>, KeeperError> {
    if digest.is_empty() || digest.len() > DIGEST_BYTES_MAX {
        return Err(KeeperError::Input);
    }
    let padding = length.saturating_sub(digest.len());
    Ok(std::iter::repeat_n(0, padding)
        .chain(digest.iter().copied())
        .take(length)
        .collect())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_signed_digest_verifies_as_the_signature_of_the_message() {
        let message = b"message";
        for (algorithm, hash, verify) in [
            (Algorithm::EccP256, &SHA256, &ECDSA_P256_SHA256_ASN1),
            (Algorithm::EccP384, &SHA384, &ECDSA_P384_SHA384_ASN1),
        ] {
            let pair = generate(algorithm).unwrap();
            let digest = digest::digest(hash, message);
            let signature = sign(algorithm, &pair.pkcs8, digest.as_ref()).unwrap();
            UnparsedPublicKey::new(verify, &pair.point)
                .verify(message, &signature)
                .unwrap();
        }
    }

    #[test]
    fn both_sides_agree_on_the_same_secret_and_bad_points_are_refused() {
        for algorithm in [Algorithm::EccP256, Algorithm::EccP384] {
            let (ours, theirs) = (generate(algorithm).unwrap(), generate(algorithm).unwrap());
            let one = agree(algorithm, &ours.pkcs8, &theirs.point).unwrap();
            assert_eq!(one, agree(algorithm, &theirs.pkcs8, &ours.point).unwrap());
            assert_eq!(one.len(), algorithm.input_bytes());
            let mut off_curve = theirs.point.clone();
            *off_curve.last_mut().unwrap() ^= 1;
            for point in [&off_curve[..], &[], &[4], &theirs.point[1..]] {
                assert_eq!(
                    agree(algorithm, &ours.pkcs8, point),
                    Err(KeeperError::Input)
                );
            }
        }
    }

    #[test]
    fn digests_of_other_lengths_are_fitted() {
        assert_eq!(fit(&[1, 2], 4), Ok(vec![0, 0, 1, 2]));
        assert_eq!(fit(&[1, 2, 3], 2), Ok(vec![1, 2]));
        assert_eq!(fit(&[], 4), Err(KeeperError::Input));
        assert_eq!(fit(&[0; 65], 32), Err(KeeperError::Input));
    }
}
