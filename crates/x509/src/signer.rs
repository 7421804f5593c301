// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys that sign: the seam for every kind of key, and the one in memory.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::key::{KeyAlgorithm, PublicKey, SignatureAlgorithm};
use crate::text::{self, PemError};

/// A private key that can sign, wherever it lives: memory, card, security module.
pub trait Signer: Send + Sync {
    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// How it signs.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// Signs a message, hashing included. ECDSA signatures are the DER sequence of r and s: a token that gives the
    /// two numbers bare has to frame them.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Why a key did not sign.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The device that holds the key is not there.
    #[error("the device with the key cannot be reached")]
    DeviceGone,
    /// The device wants a PIN or a login first.
    #[error("the device with the key asks for a sign-in")]
    NotAuthorised,
    /// The key did not do it and gave no reason.
    #[error("the key could not sign")]
    Failed,
    /// What came back does not fit the public key.
    #[error("the key made a wrong signature")]
    WrongSignature,
    /// What is to be signed could not be encoded.
    #[error("what is to be signed cannot be encoded")]
    Unencodable,
}

/// A P-256 key in memory. It is zeroed when it is dropped and never printed.
pub struct SoftwareKey {
    pair: EcdsaKeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
}

impl SoftwareKey {
    /// Makes a new key.
    pub fn generate() -> Result<Self, SoftwareKeyError> {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
                .map_err(|_| SoftwareKeyError::Generation)?;
        Self::from_pkcs8_der(document.as_ref())
    }

    /// Reads an unencrypted PKCS#8 key in DER.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, SoftwareKeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der)
            .map_err(|_| SoftwareKeyError::NotAP256Key)?;
        let public = PublicKey::from_point(KeyAlgorithm::P256, pair.public_key().as_ref())
            .map_err(|_| SoftwareKeyError::NotAP256Key)?;
        Ok(Self {
            pair,
            pkcs8: Zeroizing::new(der.to_vec()),
            public,
        })
    }

    /// Reads the first `PRIVATE KEY` block of a PEM text.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, SoftwareKeyError> {
        Self::from_pkcs8_der(&text::decode(&[PKCS8_LABEL], pem)?)
    }

    /// The key as unencrypted PKCS#8 in DER: for a file of mode 0600 or a sealed store, nothing else.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        self.pkcs8.clone()
    }

    /// The same as PEM.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        text::encode_secret(PKCS8_LABEL, &self.pkcs8)
    }

    /// The key in the type that rustls takes.
    pub fn to_rustls(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8.to_vec()))
    }
}

impl Signer for SoftwareKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::EcdsaSha256
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.pair
            .sign(&SystemRandom::new(), message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| SignError::Failed)
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SoftwareKey(.., {})", self.public.key_id())
    }
}

/// Why there is no software key.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SoftwareKeyError {
    /// The system gave no randomness.
    #[error("no key could be made")]
    Generation,
    /// Not an unencrypted PKCS#8 key of P-256.
    #[error("not an unencrypted P-256 key in PKCS#8")]
    NotAP256Key,
    /// Not PEM.
    #[error("the key file cannot be read")]
    Pem(#[from] PemError),
}

const PKCS8_LABEL: &str = "PRIVATE KEY";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SignatureError;

    #[test]
    fn a_signature_fits_its_message_and_no_other() {
        let key = SoftwareKey::generate().unwrap();
        let signature = key.sign(b"message").unwrap();
        let verify = |m: &[u8]| key.public_key().verify(key.algorithm(), m, &signature);
        assert_eq!(verify(b"message"), Ok(()));
        assert_eq!(verify(b"massage"), Err(SignatureError::Invalid));
    }

    #[test]
    fn a_key_survives_der_and_pem() {
        let key = SoftwareKey::generate().unwrap();
        let by_der = SoftwareKey::from_pkcs8_der(&key.to_pkcs8_der()).unwrap();
        let by_pem = SoftwareKey::from_pkcs8_pem(&key.to_pkcs8_pem()).unwrap();
        assert_eq!(by_der.public_key(), key.public_key());
        assert_eq!(by_pem.public_key(), key.public_key());
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = SoftwareKey::generate().unwrap();
        let shown = format!("{key:?}");
        let secret: String = key
            .to_pkcs8_der()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert!(shown.starts_with("SoftwareKey(.., "));
        assert!(!secret.contains(&shown[16..56]));
    }

    #[test]
    fn rubbish_is_not_a_key() {
        assert_eq!(
            SoftwareKey::from_pkcs8_der(b"rubbish").unwrap_err(),
            SoftwareKeyError::NotAP256Key
        );
        assert_eq!(
            SoftwareKey::from_pkcs8_pem("rubbish").unwrap_err(),
            SoftwareKeyError::Pem(PemError::NoBlock)
        );
    }
}
