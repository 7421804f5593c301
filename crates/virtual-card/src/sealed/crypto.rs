// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sealing of the card's secrets: Argon2id for what a person types, AES-256-GCM for what is kept,
//! and a one-way vault (X25519) so that a new private key can be put away while no PIN is known.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Bytes of every symmetric key and of the X25519 scalar.
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes of the salt of one Argon2id derivation.
pub(crate) const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// Largest memory that a card file may ask for: a damaged or planted file must not exhaust the computer.
const KDF_MEMORY_KIB_MAX: u32 = 1024 * 1024;
const KDF_PASSES_MAX: u32 = 64;
const KDF_LANES_MAX: u32 = 16;

/// A 32-byte secret, zeroed when dropped.
pub(crate) type Secret = Zeroizing<[u8; KEY_BYTES]>;

/// A cryptographic step did not work out: wrong key, or damaged bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cryptographic step did not work out")]
pub(crate) struct CryptoFailed;

/// What one guess of a PIN costs: the parameters of Argon2id (RFC 9106), kept in the card's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KdfCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl KdfCost {
    /// What new cards get: the second recommended choice of RFC 9106 section 4 (64 MiB, 3 passes, 4 lanes).
    pub const RECOMMENDED: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 4,
    };

    /// The least that the algorithm allows. For tests: it protects nothing.
    pub const LEAST: Self = Self {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };

    /// Whether the parameters are within what this program is willing to compute.
    pub(crate) fn is_bearable(self) -> bool {
        self.memory_kib <= KDF_MEMORY_KIB_MAX
            && (1..=KDF_PASSES_MAX).contains(&self.passes)
            && (1..=KDF_LANES_MAX).contains(&self.lanes)
            && self.memory_kib >= self.lanes.saturating_mul(8)
    }
}

impl Default for KdfCost {
    fn default() -> Self {
        Self::RECOMMENDED
    }
}

/// Fills `bytes` from the system's random source.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), CryptoFailed> {
    rand::fill(bytes).map_err(|_| CryptoFailed)
}

/// A fresh random secret.
pub(crate) fn random_secret() -> Result<Secret, CryptoFailed> {
    let mut secret = Zeroizing::new([0; KEY_BYTES]);
    random(secret.as_mut())?;
    Ok(secret)
}

/// Derives a key from what a person typed.
pub(crate) fn derive(typed: &[u8], salt: &[u8], cost: KdfCost) -> Result<Secret, CryptoFailed> {
    if !cost.is_bearable() {
        return Err(CryptoFailed);
    }
    let params = argon2::Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(KEY_BYTES))
        .map_err(|_| CryptoFailed)?;
    let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    argon
        .hash_password_into(typed, salt, key.as_mut())
        .map_err(|_| CryptoFailed)?;
    Ok(key)
}

/// Encrypts `plain` under `key`; `purpose` binds the result to its place in the card.
pub(crate) fn seal(key: &Secret, purpose: &[u8], plain: &[u8]) -> Result<Vec<u8>, CryptoFailed> {
    let mut nonce = [0; NONCE_BYTES];
    random(&mut nonce)?;
    let mut sealed = Zeroizing::new(plain.to_vec());
    let tag = aead(key)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(purpose),
            &mut sealed,
        )
        .map_err(|_| CryptoFailed)?;
    Ok([nonce.as_slice(), &sealed, tag.as_ref()].concat())
}

/// Decrypts what [`seal`] made; fails for another key, another purpose, or changed bytes.
pub(crate) fn open(
    key: &Secret,
    purpose: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoFailed> {
    let (nonce, body) = sealed.split_at_checked(NONCE_BYTES).ok_or(CryptoFailed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoFailed)?;
    let mut plain = Zeroizing::new(body.to_vec());
    let length = aead(key)?
        .open_in_place(nonce, Aad::from(purpose), &mut plain)
        .map_err(|_| CryptoFailed)?
        .len();
    plain.truncate(length);
    Ok(plain)
}

/// The public half of a vault whose private half is `secret`.
pub(crate) fn vault_public(secret: &Secret) -> Result<Vec<u8>, CryptoFailed> {
    let private =
        PrivateKey::from_private_key(&X25519, secret.as_ref()).map_err(|_| CryptoFailed)?;
    let public = private.compute_public_key().map_err(|_| CryptoFailed)?;
    Ok(public.as_ref().to_vec())
}

/// Puts `plain` into the vault: whoever holds only `public` cannot take it out again.
pub(crate) fn vault_put(
    public: &[u8],
    purpose: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, CryptoFailed> {
    let ephemeral = PrivateKey::generate(&X25519).map_err(|_| CryptoFailed)?;
    let ephemeral_public = ephemeral.compute_public_key().map_err(|_| CryptoFailed)?;
    let key = vault_key(&ephemeral, public, ephemeral_public.as_ref(), public)?;
    let sealed = seal(&key, purpose, plain)?;
    Ok([ephemeral_public.as_ref(), &sealed].concat())
}

/// Takes out what [`vault_put`] put in.
pub(crate) fn vault_take(
    secret: &Secret,
    purpose: &[u8],
    stored: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoFailed> {
    let (ephemeral_public, sealed) = stored.split_at_checked(KEY_BYTES).ok_or(CryptoFailed)?;
    let private =
        PrivateKey::from_private_key(&X25519, secret.as_ref()).map_err(|_| CryptoFailed)?;
    let public = vault_public(secret)?;
    let key = vault_key(&private, ephemeral_public, ephemeral_public, &public)?;
    open(&key, purpose, sealed)
}

/// SHA-256, for the checksum of the card's file.
pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn aead(key: &Secret) -> Result<LessSafeKey, CryptoFailed> {
    Ok(LessSafeKey::new(
        UnboundKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| CryptoFailed)?,
    ))
}

/// The key of one vault entry: HKDF over the shared secret, bound to both public keys.
fn vault_key(
    mine: &PrivateKey,
    theirs: &[u8],
    ephemeral: &[u8],
    vault: &[u8],
) -> Result<Secret, CryptoFailed> {
    let peer = UnparsedPublicKey::new(&X25519, theirs);
    agree(mine, peer, CryptoFailed, |shared| {
        let salt = Salt::new(HKDF_SHA256, &[ephemeral, vault].concat());
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        salt.extract(shared)
            .expand(&[b"lanyard virtual card vault v1"], KeyBytes)
            .and_then(|okm| okm.fill(key.as_mut()))
            .map_err(|_| CryptoFailed)?;
        Ok(key)
    })
}

/// Tells HKDF how many bytes are wanted.
struct KeyBytes;

impl KeyType for KeyBytes {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

const _: () = assert!(
    NONCE_BYTES + TAG_BYTES == 28,
    "the sealed form is nonce, body, tag"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_with_its_key_and_purpose() {
        let key = random_secret().unwrap();
        let sealed = seal(&key, b"pin", b"secret").unwrap();
        assert_eq!(open(&key, b"pin", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(open(&key, b"puk", &sealed), Err(CryptoFailed));
        assert_eq!(
            open(&random_secret().unwrap(), b"pin", &sealed),
            Err(CryptoFailed)
        );
        for cut in 0..sealed.len() {
            assert_eq!(open(&key, b"pin", &sealed[..cut]), Err(CryptoFailed));
        }
    }

    #[test]
    fn the_vault_is_filled_without_its_secret_and_emptied_only_with_it() {
        let secret = random_secret().unwrap();
        let stored = vault_put(&vault_public(&secret).unwrap(), b"9A", b"private key").unwrap();
        assert_eq!(
            vault_take(&secret, b"9A", &stored).unwrap().as_slice(),
            b"private key"
        );
        assert_eq!(vault_take(&secret, b"9C", &stored), Err(CryptoFailed));
        assert_eq!(
            vault_take(&random_secret().unwrap(), b"9A", &stored),
            Err(CryptoFailed)
        );
    }

    #[test]
    fn a_file_that_asks_for_unbearable_work_is_refused() {
        let greedy = KdfCost {
            memory_kib: u32::MAX,
            passes: 1,
            lanes: 1,
        };
        assert_eq!(
            derive(b"12345678", &[0; SALT_BYTES], greedy),
            Err(CryptoFailed)
        );
        assert!(KdfCost::LEAST.is_bearable() && KdfCost::RECOMMENDED.is_bearable());
    }
}
