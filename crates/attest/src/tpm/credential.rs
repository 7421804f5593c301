// SPDX-License-Identifier: MIT OR Apache-2.0
//! Credential activation: a secret that only one chip can read, and only for one attestation key.
//!
//! TPM 2.0 Library, part 1, 24 ("Credential Protection"); the work of `TPM2_MakeCredential` without a TPM.

use aws_lc_rs::agreement::{self, EphemeralPrivateKey};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use lanyard_x509::{Certificate, KeyAlgorithm};
use tpm2_protocol::data::TpmAlgId;
use zeroize::Zeroizing;

use super::kdf::{encrypt_cfb, kdfa, kdfe};
use super::public::{Public, hash};

/// Bytes of the secret that is wrapped; a chip takes no more than its name hash has.
pub const SECRET_BYTES: usize = 32;
/// Bytes of the seed under which it is wrapped.
pub const SEED_BYTES: usize = 32;

/// Why an endorsement or attestation key is refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The endorsement key is none: it could be outside a chip, or serve something else.
    #[error("this is no endorsement key")]
    NotEndorsementKey,
    /// The attestation key is none: it would sign whatever it is given, or could be outside the chip.
    #[error("this is no attestation key")]
    NotAttestationKey,
    /// The endorsement certificate is for another key.
    #[error("the endorsement certificate is for another key")]
    AnotherKey,
    /// The endorsement key is of a kind that cannot be wrapped for.
    #[error("this kind of endorsement key is not known")]
    Unsupported,
    /// The cryptography failed.
    #[error("the secret could not be wrapped")]
    Failed,
}

/// An endorsement key: it opens what is wrapped for its chip and does nothing else.
#[derive(Debug, Clone)]
pub struct EndorsementKey(Public);

impl EndorsementKey {
    /// Checks that a public area is one of an endorsement key.
    ///
    /// # Errors
    /// It is none.
    pub fn new(public: Public) -> Result<Self, CredentialError> {
        if !public.is_storage_key() {
            return Err(CredentialError::NotEndorsementKey);
        }
        Ok(Self(public))
    }

    /// Checks that the maker's certificate is for this key. Whether the certificate is true is for
    /// [`chain_to_roots`](crate::chain_to_roots) to say.
    ///
    /// # Errors
    /// It is for another one.
    pub fn check_certificate(&self, certificate: &Certificate) -> Result<(), CredentialError> {
        // Makers write RSA keys with OAEP parameters or without; the key's own bits decide.
        let certified = certificate
            .public_key()
            .map_err(|_| CredentialError::AnotherKey)?;
        if certified.key_bits() != self.0.key().key_bits()
            || certified.algorithm() != self.0.key().algorithm()
        {
            return Err(CredentialError::AnotherKey);
        }
        Ok(())
    }

    /// The key.
    #[must_use]
    pub fn public(&self) -> &Public {
        &self.0
    }
}

/// An attestation key: it signs what its TPM says and nothing that it is given.
#[derive(Debug, Clone)]
pub struct AttestationKey(Public);

impl AttestationKey {
    /// Checks that a public area is one of an attestation key. Whether there is a chip behind it, only an opened
    /// credential shows.
    ///
    /// # Errors
    /// It is none.
    pub fn new(public: Public) -> Result<Self, CredentialError> {
        if !public.is_attestation_key() {
            return Err(CredentialError::NotAttestationKey);
        }
        Ok(Self(public))
    }

    /// The key.
    #[must_use]
    pub fn public(&self) -> &Public {
        &self.0
    }
}

/// What the chip is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// `TPM2B_ID_OBJECT`: the wrapped secret.
    pub blob: Vec<u8>,
    /// `TPM2B_ENCRYPTED_SECRET`: the seed, readable to the endorsement key.
    pub encrypted_seed: Vec<u8>,
}

/// Wraps a secret so that only the chip with this endorsement key reads it, and only if it holds this attestation key.
///
/// `seed` has to be random and used once; with an elliptic endorsement key it is not used, the agreement gives one.
///
/// # Errors
/// The endorsement key is of a kind that is not known.
pub fn make_credential(
    endorsement: &EndorsementKey,
    attestation: &AttestationKey,
    secret: &[u8; SECRET_BYTES],
    seed: &[u8; SEED_BYTES],
) -> Result<Credential, CredentialError> {
    let public = endorsement.public();
    if public.area.name_alg != TpmAlgId::Sha256 {
        return Err(CredentialError::Unsupported);
    }
    let (seed, encrypted_seed) = match public.key().algorithm() {
        KeyAlgorithm::Rsa { .. } => (Zeroizing::new(seed.to_vec()), encrypt_seed(public, seed)?),
        KeyAlgorithm::P256 | KeyAlgorithm::P384 => agree_seed(public)?,
    };
    let name = attestation.public().name();
    let key = kdfa(hmac::HMAC_SHA256, &seed, b"STORAGE", name, &[], 128);
    let mut inner = Zeroizing::new(sized(secret)?);
    let identity = encrypt_cfb(&key, &inner).ok_or(CredentialError::Failed)?;
    inner.clear();
    let integrity_key = kdfa(hmac::HMAC_SHA256, &seed, b"INTEGRITY", &[], &[], 256);
    let integrity_key = hmac::Key::new(hmac::HMAC_SHA256, &integrity_key);
    let mut integrity = hmac::Context::with_key(&integrity_key);
    integrity.update(&identity);
    integrity.update(name);
    let mut object = sized(integrity.sign().as_ref())?;
    object.extend_from_slice(&identity);
    Ok(Credential {
        blob: sized(&object)?,
        encrypted_seed: sized(&encrypted_seed)?,
    })
}

/// RSA: the seed by OAEP with the label that the specification gives.
fn encrypt_seed(public: &Public, seed: &[u8]) -> Result<Vec<u8>, CredentialError> {
    let key = PublicEncryptingKey::from_der(public.key().spki_der())
        .map_err(|_| CredentialError::Unsupported)?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| CredentialError::Unsupported)?;
    let mut out = vec![0; key.ciphertext_size()];
    let written = key
        .encrypt(&OAEP_SHA256_MGF1SHA256, seed, &mut out, Some(b"IDENTITY\0"))
        .map_err(|_| CredentialError::Failed)?
        .len();
    out.truncate(written);
    Ok(out)
}

/// Elliptic: an agreement with a key that serves once; the chip is sent its point.
fn agree_seed(public: &Public) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), CredentialError> {
    let (algorithm, bytes) = match public.key().algorithm() {
        KeyAlgorithm::P256 => (&agreement::ECDH_P256, 32),
        KeyAlgorithm::P384 => (&agreement::ECDH_P384, 48),
        KeyAlgorithm::Rsa { .. } => return Err(CredentialError::Unsupported),
    };
    let hash = hash(public.area.name_alg).ok_or(CredentialError::Unsupported)?;
    let own = EphemeralPrivateKey::generate(algorithm, &SystemRandom::new())
        .map_err(|_| CredentialError::Failed)?;
    let own_public = own
        .compute_public_key()
        .map_err(|_| CredentialError::Failed)?;
    let (own_x, own_y) = coordinates(own_public.as_ref(), bytes).ok_or(CredentialError::Failed)?;
    let (chip_x, _) =
        coordinates(public.key().key_bits(), bytes).ok_or(CredentialError::Unsupported)?;
    let peer = agreement::UnparsedPublicKey::new(algorithm, public.key().key_bits());
    let seed = agreement::agree_ephemeral(own, peer, CredentialError::Failed, |z| {
        Ok(kdfe(hash, z, b"IDENTITY", own_x, chip_x, 256))
    })?;
    let mut point = sized(own_x)?;
    point.extend(sized(own_y)?);
    Ok((seed, point))
}

fn coordinates(point: &[u8], bytes: usize) -> Option<(&[u8], &[u8])> {
    let (form, rest) = point.split_first()?;
    (*form == 4 && rest.len() == bytes.checked_mul(2)?).then(|| rest.split_at(bytes))
}

/// A TPM2B: the length in two bytes, then the contents.
fn sized(contents: &[u8]) -> Result<Vec<u8>, CredentialError> {
    let length = u16::try_from(contents.len()).map_err(|_| CredentialError::Failed)?;
    let mut out = length.to_be_bytes().to_vec();
    out.extend_from_slice(contents);
    Ok(out)
}
