// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a card's key signs a message.

use aws_lc_rs::digest;
use lanyard_piv::{Algorithm, PublicKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

/// A way to sign: the kind of key, the hash, the padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// ECDSA with P-256 and SHA-256.
    EcdsaP256Sha256,
    /// ECDSA with P-384 and SHA-384.
    EcdsaP384Sha384,
    /// RSA-2048 with PSS padding, SHA-256.
    RsaPssSha256,
    /// RSA-2048 with PSS padding, SHA-384.
    RsaPssSha384,
    /// RSA-2048 with PSS padding, SHA-512.
    RsaPssSha512,
    /// RSA-2048 with PKCS #1 v1.5 padding, SHA-256.
    RsaPkcs1Sha256,
    /// RSA-2048 with PKCS #1 v1.5 padding, SHA-384.
    RsaPkcs1Sha384,
    /// RSA-2048 with PKCS #1 v1.5 padding, SHA-512.
    RsaPkcs1Sha512,
}

/// The scheme signs with another kind of key than this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {found} key cannot sign this way")]
pub struct SchemeError {
    /// The kind of key that is there.
    pub found: Algorithm,
}

impl Scheme {
    /// All schemes, those that we would rather use first.
    pub const ALL: [Self; 8] = [
        Self::EcdsaP256Sha256,
        Self::EcdsaP384Sha384,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
        Self::RsaPkcs1Sha256,
        Self::RsaPkcs1Sha384,
        Self::RsaPkcs1Sha512,
    ];

    /// The scheme for certificate requests: the key's own curve, or PKCS #1 v1.5 with SHA-256, which
    /// every authority reads.
    #[must_use]
    pub fn for_requests(key: &PublicKey) -> Self {
        match key.algorithm() {
            Algorithm::EccP256 => Self::EcdsaP256Sha256,
            Algorithm::EccP384 => Self::EcdsaP384Sha384,
            Algorithm::Rsa2048 => Self::RsaPkcs1Sha256,
        }
    }

    /// The scheme that we would rather use among those that a TLS server offers.
    #[must_use]
    pub fn for_tls(key: Algorithm, offered: &[SignatureScheme]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.key_algorithm() == key && offered.contains(&scheme.tls()))
    }

    /// The kind of key that signs this way.
    #[must_use]
    pub fn key_algorithm(self) -> Algorithm {
        match self {
            Self::EcdsaP256Sha256 => Algorithm::EccP256,
            Self::EcdsaP384Sha384 => Algorithm::EccP384,
            _ => Algorithm::Rsa2048,
        }
    }

    /// Its name in TLS.
    #[must_use]
    pub fn tls(self) -> SignatureScheme {
        match self {
            Self::EcdsaP256Sha256 => SignatureScheme::ECDSA_NISTP256_SHA256,
            Self::EcdsaP384Sha384 => SignatureScheme::ECDSA_NISTP384_SHA384,
            Self::RsaPssSha256 => SignatureScheme::RSA_PSS_SHA256,
            Self::RsaPssSha384 => SignatureScheme::RSA_PSS_SHA384,
            Self::RsaPssSha512 => SignatureScheme::RSA_PSS_SHA512,
            Self::RsaPkcs1Sha256 => SignatureScheme::RSA_PKCS1_SHA256,
            Self::RsaPkcs1Sha384 => SignatureScheme::RSA_PKCS1_SHA384,
            Self::RsaPkcs1Sha512 => SignatureScheme::RSA_PKCS1_SHA512,
        }
    }

    pub(crate) fn tls_algorithm(key: Algorithm) -> SignatureAlgorithm {
        if key == Algorithm::Rsa2048 {
            SignatureAlgorithm::RSA
        } else {
            SignatureAlgorithm::ECDSA
        }
    }

    pub(crate) fn hash(self) -> &'static digest::Algorithm {
        match self {
            Self::EcdsaP256Sha256 | Self::RsaPssSha256 | Self::RsaPkcs1Sha256 => &digest::SHA256,
            Self::EcdsaP384Sha384 | Self::RsaPssSha384 | Self::RsaPkcs1Sha384 => &digest::SHA384,
            Self::RsaPssSha512 | Self::RsaPkcs1Sha512 => &digest::SHA512,
        }
    }

    pub(crate) fn is_pss(self) -> bool {
        matches!(
            self,
            Self::RsaPssSha256 | Self::RsaPssSha384 | Self::RsaPssSha512
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pss_is_taken_before_pkcs1_and_a_foreign_curve_never() {
        let offered = [
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::ECDSA_NISTP384_SHA384,
        ];
        assert_eq!(
            Scheme::for_tls(Algorithm::Rsa2048, &offered),
            Some(Scheme::RsaPssSha512)
        );
        assert_eq!(Scheme::for_tls(Algorithm::EccP256, &offered), None);
        assert_eq!(
            Scheme::for_tls(Algorithm::EccP384, &offered),
            Some(Scheme::EcdsaP384Sha384)
        );
    }
}
