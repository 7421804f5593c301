// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA-2048 keys of the sealed-file keeper: made by aws-lc-rs, used by the `rsa` crate.
//!
//! PIV's RSA is the bare private operation on a block that the host padded. aws-lc-rs rightly keeps
//! that to itself, and it cannot be composed from what it gives: a PSS block carries the host's own
//! salt, and a decrypted block goes back to the host with its padding. The `rsa` crate has the bare
//! operation; each use here is blinded with fresh randomness, and the result is checked with the
//! public key before it leaves, so that a computation that went wrong gives no factor away.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use lanyard_piv::{Algorithm, PublicKey};
use rsa::hazmat::rsa_decrypt_and_check;
use rsa::pkcs8::DecodePrivateKey;
use rsa::rand_core::{TryCryptoRng, TryRng};
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, RsaPrivateKey};
use zeroize::{Zeroize, Zeroizing};

use super::crypto::CryptoFailed;
use crate::keeper::KeeperError;

/// A fresh key pair.
pub(super) struct Pair {
    /// The private half.
    pub(super) pkcs8: Zeroizing<Vec<u8>>,
    /// The public half.
    pub(super) public: PublicKey,
}

/// Makes a key pair of 2048 bits with the exponent 65537.
pub(super) fn generate() -> Result<Pair, KeeperError> {
    let key =
        PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| KeeperError::Unsupported)?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| KeeperError::Unsupported)?;
    let pkcs8 = Zeroizing::new(der.as_ref().to_vec());
    let private = RsaPrivateKey::from_pkcs8_der(&pkcs8).map_err(|_| KeeperError::Unsupported)?;
    let public = PublicKey::rsa(
        &private.n().to_be_bytes_trimmed_vartime(),
        &private.e().to_be_bytes_trimmed_vartime(),
    )
    .map_err(|_| KeeperError::Unsupported)?;
    Ok(Pair { pkcs8, public })
}

/// The bare private operation on one block as long as the modulus.
pub(super) fn private_operation(
    pkcs8: &[u8],
    block: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeeperError> {
    if block.len() != Algorithm::Rsa2048.input_bytes() {
        return Err(KeeperError::Input);
    }
    let private = RsaPrivateKey::from_pkcs8_der(pkcs8).map_err(|_| KeeperError::Damaged)?;
    let bits = private.n_bits_precision();
    let input = BoxedUint::from_be_slice(block, bits).map_err(|_| KeeperError::Input)?;
    if input >= *private.n().as_ref() {
        return Err(KeeperError::Input);
    }
    let mut output = rsa_decrypt_and_check(&private, Some(&mut System), &input)
        .map_err(|_| KeeperError::Damaged)?;
    let bytes = Zeroizing::new(output.to_be_bytes().into_vec());
    output.zeroize();
    Ok(bytes)
}

/// The system's random source, as the `rsa` crate asks for it.
struct System;

impl TryRng for System {
    type Error = CryptoFailed;

    fn try_next_u32(&mut self) -> Result<u32, CryptoFailed> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, CryptoFailed> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), CryptoFailed> {
        rand::fill(bytes).map_err(|_| CryptoFailed)
    }
}

impl TryCryptoRng for System {}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

    use super::*;
    use crate::sealed::crypto::sha256;

    /// EMSA-PKCS1-v1_5 (RFC 8017, 9.2) of a SHA-256 digest.
    fn padded(message: &[u8]) -> Vec<u8> {
        const DIGEST_INFO: [u8; 19] = [
            0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x01, 0x05, 0x00, 0x04, 0x20,
        ];
        let tail = [&[0][..], &DIGEST_INFO, &sha256(message)].concat();
        let mut block = vec![0xFF; 256 - tail.len()];
        block[..2].copy_from_slice(&[0, 1]);
        [block, tail].concat()
    }

    #[test]
    fn a_padded_block_becomes_a_signature_that_others_verify() {
        let pair = generate().unwrap();
        let signature = private_operation(&pair.pkcs8, &padded(b"message")).unwrap();
        let (n, e) = pair.public.modulus_and_exponent().unwrap();
        RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, b"message", &signature)
            .unwrap();
        assert_eq!(e, [1, 0, 1]);
    }

    #[test]
    fn a_block_that_is_no_number_below_the_modulus_is_refused() {
        let pair = generate().unwrap();
        let (n, _) = pair.public.modulus_and_exponent().unwrap();
        for block in [&[][..], &[1; 255], &[1; 257], &[0xFF; 256], n] {
            let refused = private_operation(&pair.pkcs8, block);
            assert_eq!(refused, Err(KeeperError::Input), "{} bytes", block.len());
        }
        let mut below = n.to_vec();
        *below.last_mut().unwrap() -= 1;
        // n - 1 is -1, and -1 to an odd power is -1.
        assert_eq!(*private_operation(&pair.pkcs8, &below).unwrap(), below);
        assert_eq!(
            *private_operation(&pair.pkcs8, &[0; 256]).unwrap(),
            [0; 256]
        );
    }
}
