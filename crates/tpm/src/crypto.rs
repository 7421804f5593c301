// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cryptography of sessions on this side: KDFa, KDFe, CFB, and one ECDH for the salt.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::cipher::{
    AES_128, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{digest, hmac, rand};
use zeroize::Zeroizing;

use crate::error::TpmError;

/// Bytes of SHA-256.
pub(crate) const DIGEST_BYTES: usize = 32;
const AES_KEY_BYTES: usize = 16;
const AES_BLOCK_BYTES: usize = 16;
/// Key and initial vector of one encrypted parameter.
const CFB_BYTES: usize = AES_KEY_BYTES + AES_BLOCK_BYTES;
/// Bytes of a coordinate on P-256.
const COORDINATE_BYTES: usize = 32;

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut out = [0; DIGEST_BYTES];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// HMAC with SHA-256 over the pieces one after the other.
pub(crate) fn hmac(key: &[u8], pieces: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for piece in pieces {
        context.update(piece);
    }
    Zeroizing::new(context.sign().as_ref().to_vec())
}

/// Random bytes of this computer.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), TpmError> {
    rand::fill(bytes).map_err(|_| TpmError::Crypto)
}

/// KDFa (part 1, 11.4.10.2) with SHA-256.
pub(crate) fn kdfa(
    key: &[u8],
    label: &[u8],
    context_u: &[u8],
    context_v: &[u8],
    bytes: usize,
) -> Zeroizing<Vec<u8>> {
    derive(bytes, |counter, bits| {
        hmac(key, &[counter, label, &[0], context_u, context_v, bits])
    })
}

/// KDFe (part 1, 11.4.10.3) with SHA-256.
pub(crate) fn kdfe(
    secret: &[u8],
    label: &[u8],
    party_u: &[u8],
    party_v: &[u8],
    bytes: usize,
) -> Zeroizing<Vec<u8>> {
    derive(bytes, |counter, _| {
        let input = [counter, secret, label, &[0], party_u, party_v].concat();
        Zeroizing::new(sha256(&Zeroizing::new(input)).to_vec())
    })
}

fn derive(bytes: usize, block: impl Fn(&[u8], &[u8]) -> Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let bits = u32::try_from(bytes.saturating_mul(8)).unwrap_or(u32::MAX);
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.saturating_add(DIGEST_BYTES)));
    let mut counter = 1_u32;
    while out.len() < bytes {
        out.extend_from_slice(&block(&counter.to_be_bytes(), &bits.to_be_bytes()));
        counter = counter.saturating_add(1);
    }
    out.truncate(bytes);
    out
}

/// Which way a parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cfb {
    Encrypt,
    Decrypt,
}

/// Encrypts or decrypts a parameter (part 1, 21.3): AES-128 in CFB mode, key and initial vector
/// from the session's value and both nonces.
pub(crate) fn cfb(
    direction: Cfb,
    session_value: &[u8],
    nonce_newer: &[u8],
    nonce_older: &[u8],
    data: &mut [u8],
) -> Result<(), TpmError> {
    let derived = kdfa(session_value, b"CFB", nonce_newer, nonce_older, CFB_BYTES);
    let (key, iv) = derived
        .split_at_checked(AES_KEY_BYTES)
        .ok_or(TpmError::Crypto)?;
    let iv: &[u8; AES_BLOCK_BYTES] = iv.try_into().map_err(|_| TpmError::Crypto)?;
    let iv = FixedLength::from(iv);
    let key = UnboundCipherKey::new(&AES_128, key).map_err(|_| TpmError::Crypto)?;
    match direction {
        Cfb::Encrypt => EncryptingKey::cfb128(key)
            .and_then(|key| key.less_safe_encrypt(data, EncryptionContext::Iv128(iv)))
            .map(drop)
            .map_err(|_| TpmError::Crypto),
        Cfb::Decrypt => DecryptingKey::cfb128(key)
            .and_then(|key| key.decrypt(data, DecryptionContext::Iv128(iv)).map(drop))
            .map_err(|_| TpmError::Crypto),
    }
}

/// A fresh secret that only the holder of a P-256 key can have, too.
pub(crate) struct Salt {
    /// The secret.
    pub(crate) secret: Zeroizing<Vec<u8>>,
    /// What its holder needs: the coordinates of our point.
    pub(crate) x: Vec<u8>,
    /// See `x`.
    pub(crate) y: Vec<u8>,
}

/// Makes a salt for the key with these coordinates (part 1, C.6.3).
pub(crate) fn salt(x: &[u8], y: &[u8]) -> Result<Salt, TpmError> {
    let failed = |_| TpmError::Crypto;
    let ours = PrivateKey::generate(&ECDH_P256).map_err(failed)?;
    let point = ours.compute_public_key().map_err(failed)?;
    let (our_x, our_y) = point
        .as_ref()
        .get(1..)
        .and_then(|both| both.split_at_checked(COORDINATE_BYTES))
        .ok_or(TpmError::Crypto)?;
    let theirs = [&[4_u8][..], &padded(x), &padded(y)].concat();
    let peer = UnparsedPublicKey::new(&ECDH_P256, theirs);
    let secret = agree(&ours, peer, TpmError::Crypto, |shared| {
        Ok(kdfe(shared, b"SECRET", our_x, &padded(x), DIGEST_BYTES))
    })?;
    Ok(Salt {
        secret,
        x: our_x.to_vec(),
        y: our_y.to_vec(),
    })
}

/// A coordinate at its full length.
fn padded(coordinate: &[u8]) -> Vec<u8> {
    let missing = COORDINATE_BYTES.saturating_sub(coordinate.len());
    [&vec![0; missing][..], coordinate].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_read_back_with_the_same_nonces_only() {
        for length in [0_usize, 1, 15, 16, 17, 200] {
            let plain: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut data = plain.clone();
            cfb(Cfb::Encrypt, b"value", b"new", b"old", &mut data).unwrap();
            if length > 4 {
                assert_ne!(data, plain);
            }
            let mut other = data.clone();
            cfb(Cfb::Decrypt, b"value", b"new", b"old", &mut data).unwrap();
            assert_eq!(data, plain);
            cfb(Cfb::Decrypt, b"value", b"old", b"new", &mut other).unwrap();
            assert!(length == 0 || other != plain);
        }
    }

    #[test]
    fn derived_keys_have_the_length_that_was_asked_for() {
        for bytes in [0, 1, 31, 32, 33, 64, 100] {
            assert_eq!(kdfa(b"k", b"L", b"u", b"v", bytes).len(), bytes);
            assert_eq!(kdfe(b"k", b"L", b"u", b"v", bytes).len(), bytes);
        }
        let long = kdfe(b"k", b"L", b"u", b"v", 64);
        assert_eq!(long[..32], kdfe(b"k", b"L", b"u", b"v", 32)[..]);
    }
}
