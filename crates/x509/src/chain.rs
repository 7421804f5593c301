// SPDX-License-Identifier: MIT OR Apache-2.0
//! Is a certificate true? Chain, validity, usage and, with lists at hand, revocation, by rustls-webpki.

use std::ops::Deref;

use rustls_pki_types::{CertificateDer, TrustAnchor};
use time::OffsetDateTime;
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, Error, ExpirationPolicy,
    ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};

use crate::certificate::Certificate;
use crate::crl::Crl;
use crate::identity::{Email, Sid, Upn};
use crate::oid::Eku;
use crate::times;

/// Most intermediate certificates that are looked at.
pub const CHAIN_CERTIFICATES_MAX: usize = 8;

/// Against what a certificate is checked.
#[derive(Debug, Clone, Copy)]
pub struct ChainCheck<'a> {
    /// Certificates that may stand between leaf and anchor; the sender may have chosen them.
    pub intermediates: &'a [Certificate],
    /// The certificates that are trusted.
    pub anchors: &'a [Certificate],
    /// The time to check for.
    pub now: OffsetDateTime,
    /// What the leaf has to be for.
    pub required_eku: Eku,
    /// Revocation lists. With none, revocation is not checked here: whoever keeps a registry asks that, it is fresher.
    /// With some, the leaf has to be covered by one that still counts.
    pub crls: &'a [Crl],
}

/// A certificate that was true when it was checked. What it says about a person counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCertificate {
    certificate: Certificate,
    checked_at: OffsetDateTime,
}

impl VerifiedCertificate {
    /// The user principal name, when there is exactly one.
    pub fn upn(&self) -> Option<&Upn> {
        self.certificate.extensions().upn()
    }

    /// The e-mail address, when there is exactly one.
    pub fn email(&self) -> Option<&Email> {
        self.certificate.extensions().email()
    }

    /// The account's immutable identifier.
    pub fn account(&self) -> Option<&Sid> {
        self.certificate.extensions().sid.as_ref()
    }

    /// For which time it was checked.
    pub fn checked_at(&self) -> OffsetDateTime {
        self.checked_at
    }

    /// The certificate itself.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificate itself, for good.
    pub fn into_certificate(self) -> Certificate {
        self.certificate
    }
}

impl Deref for VerifiedCertificate {
    type Target = Certificate;

    fn deref(&self) -> &Certificate {
        &self.certificate
    }
}

/// Checks a leaf certificate. This proves nothing about who sent it: that is the handshake's part.
pub fn verify_chain(
    leaf: &Certificate,
    check: &ChainCheck<'_>,
) -> Result<VerifiedCertificate, ChainError> {
    if check.intermediates.len() > CHAIN_CERTIFICATES_MAX {
        return Err(ChainError::TooLong);
    }
    // The library asks every certificate of the chain for the usage, and an authority of ours names none; so it is
    // told to let silence pass, and the leaf is asked here.
    if !leaf.extensions().ekus.contains(&check.required_eku) {
        return Err(ChainError::WrongUsage {
            required: check.required_eku,
        });
    }
    let leaf_der = CertificateDer::from(leaf.der());
    let end_entity = EndEntityCert::try_from(&leaf_der).map_err(|e| facts(e, check))?;
    let anchor_ders: Vec<CertificateDer<'_>> = check
        .anchors
        .iter()
        .map(|anchor| CertificateDer::from(anchor.der()))
        .collect();
    let anchors: Vec<TrustAnchor<'_>> = anchor_ders
        .iter()
        .map(|der| anchor_from_trusted_cert(der).map_err(|_| ChainError::BadAnchor))
        .collect::<Result<_, _>>()?;
    let intermediates: Vec<CertificateDer<'_>> = check
        .intermediates
        .iter()
        .map(|certificate| CertificateDer::from(certificate.der()))
        .collect();
    let crls: Vec<CertRevocationList<'_>> = check
        .crls
        .iter()
        .map(|crl| BorrowedCertRevocationList::from_der(crl.der()).map(CertRevocationList::from))
        .collect::<Result<_, _>>()
        .map_err(|_| ChainError::BadRevocationList)?;
    let crls: Vec<&CertRevocationList<'_>> = crls.iter().collect();
    let revocation = RevocationOptionsBuilder::new(&crls).ok().map(|options| {
        options
            .with_depth(RevocationCheckDepth::EndEntity)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build()
    });
    end_entity
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &intermediates,
            times::to_pki(check.now),
            UsageIfNamed(check.required_eku),
            revocation,
            None,
        )
        .map_err(|error| facts(error, check))?;
    Ok(VerifiedCertificate {
        certificate: leaf.clone(),
        checked_at: check.now,
    })
}

/// Why a certificate is not true.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// It, or one above it, is over.
    #[error("the certificate expired at {not_after}")]
    Expired {
        /// When.
        not_after: OffsetDateTime,
    },
    /// It, or one above it, has not begun.
    #[error("the certificate is not valid before {not_before}")]
    NotYetValid {
        /// When it begins.
        not_before: OffsetDateTime,
    },
    /// Nobody who is trusted issued it.
    #[error("the certificate's issuer is not trusted")]
    UnknownIssuer,
    /// It is for something else.
    #[error("the certificate is not for {required}")]
    WrongUsage {
        /// What it would have to be for.
        required: Eku,
    },
    /// A signature in the chain is wrong.
    #[error("a signature in the certificate's chain is wrong")]
    BadSignature,
    /// A signature in the chain is of a kind that is not accepted.
    #[error("a signature in the certificate's chain is of a kind that is not accepted")]
    UnacceptedAlgorithm,
    /// A revocation list names it.
    #[error("the certificate is revoked")]
    Revoked,
    /// No list at hand covers it.
    #[error("no revocation list covers the certificate")]
    RevocationUnknown,
    /// The list is over.
    #[error("the revocation list expired at {next_update}")]
    RevocationListExpired {
        /// When.
        next_update: OffsetDateTime,
    },
    /// A list cannot be read, or its signature is wrong.
    #[error("a revocation list is not acceptable")]
    BadRevocationList,
    /// It is the certificate of an authority.
    #[error("the certificate is an authority's and cannot stand for a person or a server")]
    AuthorityAsLeaf,
    /// One above it may not issue it: no authority, too deep, or other names only.
    #[error("an issuer in the certificate's chain was not allowed to issue it")]
    IssuerNotAllowed,
    /// More certificates than are looked at.
    #[error("the certificate's chain is too long")]
    TooLong,
    /// A trusted certificate of our own configuration is not usable.
    #[error("a trusted certificate cannot be used as one")]
    BadAnchor,
    /// Something in it, or in one above it, is not as it has to be.
    #[error("the certificate or one in its chain is malformed")]
    Malformed,
}

#[allow(deprecated, reason = "the library still has its older variants")]
fn facts(error: Error, check: &ChainCheck<'_>) -> ChainError {
    match error {
        Error::CertExpired { not_after, .. } => ChainError::Expired {
            not_after: times::from_pki(not_after),
        },
        Error::CertNotValidYet { not_before, .. } => ChainError::NotYetValid {
            not_before: times::from_pki(not_before),
        },
        Error::UnknownIssuer => ChainError::UnknownIssuer,
        Error::RequiredEkuNotFound
        | Error::RequiredEkuNotFoundContext(_)
        | Error::EmptyEkuExtension => ChainError::WrongUsage {
            required: check.required_eku,
        },
        Error::InvalidSignatureForPublicKey => ChainError::BadSignature,
        Error::UnsupportedSignatureAlgorithm
        | Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKey
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            ChainError::UnacceptedAlgorithm
        }
        Error::CertRevoked => ChainError::Revoked,
        Error::UnknownRevocationStatus => ChainError::RevocationUnknown,
        Error::CrlExpired { next_update, .. } => ChainError::RevocationListExpired {
            next_update: times::from_pki(next_update),
        },
        Error::InvalidCrlSignatureForPublicKey
        | Error::IssuerNotCrlSigner
        | Error::UnsupportedCrlSignatureAlgorithm
        | Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKey
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
            ChainError::BadRevocationList
        }
        Error::CaUsedAsEndEntity => ChainError::AuthorityAsLeaf,
        Error::EndEntityUsedAsCa
        | Error::PathLenConstraintViolated
        | Error::NameConstraintViolation => ChainError::IssuerNotAllowed,
        Error::MaximumPathDepthExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => ChainError::TooLong,
        _ => ChainError::Malformed,
    }
}

/// The usage is required of a certificate that names any.
struct UsageIfNamed(Eku);

impl ExtendedKeyUsageValidator for UsageIfNamed {
    fn validate(&self, named: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let required = KeyPurposeId::new(self.0.0.0.as_bytes());
        let mut silent = true;
        for id in named {
            silent = false;
            if id? == required {
                return Ok(());
            }
        }
        if silent {
            Ok(())
        } else {
            Err(Error::EmptyEkuExtension)
        }
    }
}
