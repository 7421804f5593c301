// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes to the private key: the card does the bare key operation, we hash and pad (RFC 8017).

use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use crate::fault::CardFault;
use crate::scheme::Scheme;

/// DER of `DigestInfo` up to the hash itself (RFC 8017, 9.2, note 1): all but its last bytes are
/// the same, hence the hash's number and length are put in.
const DIGEST_INFO_HEAD: [u8; 19] = [
    0x30, 0x00, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x00, 0x05,
    0x00, 0x04, 0x00,
];

/// The block that the key of this scheme works on.
///
/// # Errors
///
/// When the system gives no random numbers.
pub(crate) fn block(scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, CardFault> {
    let hash = digest::digest(scheme.hash(), message);
    let block_bytes = scheme.key_algorithm().input_bytes();
    match scheme {
        // The hash has the length of the curve's field, so nothing is cut or filled.
        Scheme::EcdsaP256Sha256 | Scheme::EcdsaP384Sha384 => Ok(hash.as_ref().to_vec()),
        scheme if scheme.is_pss() => {
            let mut salt = vec![0; hash.as_ref().len()];
            SystemRandom::new()
                .fill(&mut salt)
                .map_err(|_| CardFault::Cryptography)?;
            Ok(pss(scheme.hash(), hash.as_ref(), &salt, block_bytes))
        }
        _ => Ok(pkcs1(hash.as_ref(), block_bytes)),
    }
}

/// The bare hash of a message, for tokens that pad themselves.
pub(crate) fn hash(scheme: Scheme, message: &[u8]) -> Vec<u8> {
    digest::digest(scheme.hash(), message).as_ref().to_vec()
}

/// The `DigestInfo` of a message, for tokens that fill up to the modulus themselves.
pub(crate) fn digest_info(scheme: Scheme, message: &[u8]) -> Vec<u8> {
    let hash = hash(scheme, message);
    let mut info = digest_info_head(hash.len()).to_vec();
    info.extend_from_slice(&hash);
    info
}

/// EMSA-PKCS1-v1_5 (RFC 8017, 9.2).
fn pkcs1(hash: &[u8], block_bytes: usize) -> Vec<u8> {
    let info = digest_info_head(hash.len());
    let filling = block_bytes
        .saturating_sub(info.len())
        .saturating_sub(hash.len())
        .saturating_sub(3);
    let mut block = vec![0x00, 0x01];
    block.resize(filling.saturating_add(2), 0xFF);
    block.push(0x00);
    block.extend_from_slice(&info);
    block.extend_from_slice(hash);
    block
}

fn digest_info_head(hash_bytes: usize) -> [u8; DIGEST_INFO_HEAD.len()] {
    let hash_bytes = u8::try_from(hash_bytes).unwrap_or(u8::MAX);
    let number = match hash_bytes {
        32 => 1,
        48 => 2,
        _ => 3,
    };
    let mut info = DIGEST_INFO_HEAD;
    let [_, length, .., kind, _, _, _, octets] = &mut info;
    *length = hash_bytes.saturating_add(17);
    *kind = number;
    *octets = hash_bytes;
    info
}

/// EMSA-PSS (RFC 8017, 9.1.1) with MGF1 over the same hash, for a modulus of whole bytes.
fn pss(
    algorithm: &'static digest::Algorithm,
    hash: &[u8],
    salt: &[u8],
    block_bytes: usize,
) -> Vec<u8> {
    let mut inner = digest::Context::new(algorithm);
    inner.update(&[0; 8]);
    inner.update(hash);
    inner.update(salt);
    let seed = inner.finish();

    // DB = zeros || 01 || salt, masked; then H; then BC.
    let masked_bytes = block_bytes
        .saturating_sub(seed.as_ref().len())
        .saturating_sub(1);
    let zeros = masked_bytes.saturating_sub(salt.len()).saturating_sub(1);
    let mut block = vec![0; zeros];
    block.push(0x01);
    block.extend_from_slice(salt);
    for (byte, mask) in block
        .iter_mut()
        .zip(mgf1(algorithm, seed.as_ref(), masked_bytes))
    {
        *byte ^= mask;
    }
    // The modulus has 8 * block_bytes bits, the encoded message one less.
    if let Some(first) = block.first_mut() {
        *first &= 0x7F;
    }
    block.extend_from_slice(seed.as_ref());
    block.push(0xBC);
    block
}

/// MGF1 (RFC 8017, B.2.1).
fn mgf1(algorithm: &'static digest::Algorithm, seed: &[u8], bytes: usize) -> Vec<u8> {
    let mut mask = Vec::with_capacity(bytes.saturating_add(64));
    let mut counter = 0_u32;
    while mask.len() < bytes {
        let mut context = digest::Context::new(algorithm);
        context.update(seed);
        context.update(&counter.to_be_bytes());
        mask.extend_from_slice(context.finish().as_ref());
        counter = counter.wrapping_add(1);
    }
    mask.truncate(bytes);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
        RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    };

    #[test]
    fn a_pkcs1_block_has_the_form_of_the_rfc() {
        for (scheme, hash_bytes, number) in [
            (Scheme::RsaPkcs1Sha256, 32, 1),
            (Scheme::RsaPkcs1Sha384, 48, 2),
            (Scheme::RsaPkcs1Sha512, 64, 3),
        ] {
            let block = block(scheme, b"message").unwrap();
            assert_eq!(block.len(), 256);
            let info = 256 - hash_bytes - 19;
            assert_eq!(block[..2], [0, 1]);
            assert!(block[2..info - 1].iter().all(|byte| *byte == 0xFF));
            assert_eq!(block[info - 1], 0);
            assert_eq!(
                block[info..info + 2],
                [0x30, u8::try_from(17 + hash_bytes).unwrap()]
            );
            assert_eq!(block[info + 14], number);
            assert_eq!(block[info + 18], u8::try_from(hash_bytes).unwrap());
        }
    }

    #[test]
    fn a_pss_block_opens_to_its_salt() {
        for scheme in [
            Scheme::RsaPssSha256,
            Scheme::RsaPssSha384,
            Scheme::RsaPssSha512,
        ] {
            let block = block(scheme, b"message").unwrap();
            assert_eq!((block.len(), block[255]), (256, 0xBC));
            let hash_bytes = scheme.hash().output_len();
            let masked = 255 - hash_bytes;
            let seed = &block[masked..255];
            let salt = salt(scheme, &block);
            let hash = digest::digest(scheme.hash(), b"message");
            let mut inner = digest::Context::new(scheme.hash());
            inner.update(&[0; 8]);
            inner.update(hash.as_ref());
            inner.update(&salt);
            assert_eq!(inner.finish().as_ref(), seed);
        }
    }

    /// Takes the salt out of a PSS block.
    fn salt(scheme: Scheme, block: &[u8]) -> Vec<u8> {
        let hash_bytes = scheme.hash().output_len();
        let masked = 255 - hash_bytes;
        let mut opened: Vec<u8> = block[..masked]
            .iter()
            .zip(mgf1(scheme.hash(), &block[masked..255], masked))
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        opened[0] &= 0x7F;
        assert!(
            opened[..masked - hash_bytes - 1]
                .iter()
                .all(|byte| *byte == 0)
        );
        assert_eq!(opened[masked - hash_bytes - 1], 1);
        opened[masked - hash_bytes..].to_vec()
    }

    /// Opens a signature with the public key, the plain way: what comes out is the block that the
    /// other implementation made.
    fn open(signature: &[u8], modulus: &[u8]) -> Vec<u8> {
        let base = limbs(signature);
        let modulus = limbs(modulus);
        // 65537 = 2^16 + 1.
        let mut power = base.clone();
        for _ in 0..16 {
            power = multiply(&power, &power, &modulus);
        }
        let opened = multiply(&power, &base, &modulus);
        opened
            .iter()
            .rev()
            .flat_map(|limb| limb.to_be_bytes())
            .collect()
    }

    fn limbs(bytes: &[u8]) -> Vec<u32> {
        bytes
            .rchunks(4)
            .map(|four| u32::from_be_bytes(four.try_into().unwrap()))
            .collect()
    }

    fn multiply(one: &[u32], other: &[u32], modulus: &[u32]) -> Vec<u32> {
        let mut product = vec![0; modulus.len()];
        for limb in one.iter().rev() {
            for bit in (0..32).rev() {
                let double = product.clone();
                add(&mut product, &double, modulus);
                if limb >> bit & 1 == 1 {
                    add(&mut product, other, modulus);
                }
            }
        }
        product
    }

    fn add(sum: &mut [u32], other: &[u32], modulus: &[u32]) {
        let mut carry = 0;
        for (limb, other) in sum.iter_mut().zip(other) {
            let wide = u64::from(*limb) + u64::from(*other) + carry;
            (*limb, carry) = (wide as u32, wide >> 32);
        }
        if carry == 1 || sum.iter().rev().ge(modulus.iter().rev()) {
            let mut borrow = 0;
            for (limb, other) in sum.iter_mut().zip(modulus) {
                let wide = i64::from(*limb) - i64::from(*other) - borrow;
                (*limb, borrow) = (wide as u32, i64::from(wide < 0));
            }
        }
    }

    #[test]
    fn blocks_are_those_that_another_implementation_makes() {
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let modulus = key
            .public_key()
            .modulus()
            .big_endian_without_leading_zero()
            .to_vec();
        let schemes: [(Scheme, &'static dyn RsaEncoding); 6] = [
            (Scheme::RsaPkcs1Sha256, &RSA_PKCS1_SHA256),
            (Scheme::RsaPkcs1Sha384, &RSA_PKCS1_SHA384),
            (Scheme::RsaPkcs1Sha512, &RSA_PKCS1_SHA512),
            (Scheme::RsaPssSha256, &RSA_PSS_SHA256),
            (Scheme::RsaPssSha384, &RSA_PSS_SHA384),
            (Scheme::RsaPssSha512, &RSA_PSS_SHA512),
        ];
        for (scheme, encoding) in schemes {
            let mut signature = vec![0; 256];
            key.sign(encoding, &SystemRandom::new(), b"message", &mut signature)
                .unwrap();
            let theirs = open(&signature, &modulus);
            let hash = digest::digest(scheme.hash(), b"message");
            let ours = if scheme.is_pss() {
                pss(scheme.hash(), hash.as_ref(), &salt(scheme, &theirs), 256)
            } else {
                block(scheme, b"message").unwrap()
            };
            assert_eq!(ours, theirs, "{scheme:?}");
        }
    }
}
