// SPDX-License-Identifier: MIT OR Apache-2.0
//! The key derivations of TPM 2.0 (TPM 2.0 Library, part 1, 11.4.10) and its cipher mode.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

/// Bytes of an AES block.
const BLOCK_BYTES: usize = 16;

/// KDFa: SP 800-108 in counter mode with HMAC. `bits` is a multiple of eight.
pub(super) fn kdfa(
    algorithm: hmac::Algorithm,
    key: &[u8],
    label: &[u8],
    context_u: &[u8],
    context_v: &[u8],
    bits: u32,
) -> Zeroizing<Vec<u8>> {
    let bytes = usize::try_from(bits / 8).unwrap_or(0);
    let key = hmac::Key::new(algorithm, key);
    let mut out = Zeroizing::new(Vec::with_capacity(bytes));
    for counter in 1_u32.. {
        if out.len() >= bytes {
            break;
        }
        let mut block = hmac::Context::with_key(&key);
        block.update(&counter.to_be_bytes());
        block.update(label);
        block.update(&[0]);
        block.update(context_u);
        block.update(context_v);
        block.update(&bits.to_be_bytes());
        out.extend_from_slice(block.sign().as_ref());
    }
    out.truncate(bytes);
    out
}

/// KDFe: the key derivation of SP 800-56A, as a TPM uses it after an agreement on a secret.
pub(super) fn kdfe(
    algorithm: &'static digest::Algorithm,
    z: &[u8],
    label: &[u8],
    party_u: &[u8],
    party_v: &[u8],
    bits: u32,
) -> Zeroizing<Vec<u8>> {
    let bytes = usize::try_from(bits / 8).unwrap_or(0);
    let mut out = Zeroizing::new(Vec::with_capacity(bytes));
    for counter in 1_u32.. {
        if out.len() >= bytes {
            break;
        }
        let mut block = digest::Context::new(algorithm);
        block.update(&counter.to_be_bytes());
        block.update(z);
        block.update(label);
        block.update(&[0]);
        block.update(party_u);
        block.update(party_v);
        out.extend_from_slice(block.finish().as_ref());
    }
    out.truncate(bytes);
    out
}

/// AES-128 in cipher feedback mode with full blocks, the first vector all zero. `None` when the key has another length.
pub(super) fn encrypt_cfb(key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let cipher = aes::Aes128::new_from_slice(key).ok()?;
    let mut feedback = [0_u8; BLOCK_BYTES];
    let mut out = Vec::with_capacity(data.len());
    for chunk in data.chunks(BLOCK_BYTES) {
        let mut block = feedback.into();
        cipher.encrypt_block(&mut block);
        for (position, byte) in chunk.iter().enumerate() {
            let encrypted = byte ^ block.get(position)?;
            *feedback.get_mut(position)? = encrypted;
            out.push(encrypted);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cipher_feedback_agrees_with_the_published_vector() {
        // SP 800-38A, F.3.13 has another first vector; its second block does not depend on how the first vector
        // came about, so it is checked as a first block of its own would be: by CFB's definition over AES-ECB.
        let key = hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap();
        let zero = encrypt_cfb(&key, &[0; 16]).unwrap();
        // AES-128 of a zero block under this key.
        assert_eq!(hex::encode(zero), "7df76b0c1ab899b33e42f047b91b546f");
    }

    #[test]
    fn a_derived_key_has_the_length_that_was_asked_for() {
        for bits in [128, 256, 384, 512] {
            let key = kdfa(hmac::HMAC_SHA256, b"seed", b"STORAGE", b"u", b"v", bits);
            assert_eq!(key.len() * 8, bits as usize);
        }
    }
}
