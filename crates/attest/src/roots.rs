// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chains of makers' certificates.
//!
//! These are checked here and not by the path builder for TLS: makers' certificates are older than its rules
//! (critical names of a kind it does not know, no usages in authorities). What is checked: signatures, dates, that each
//! issuer is an authority that may sign certificates and its path length, and that the chain ends in a root which an
//! administrator added.

use lanyard_x509::{Certificate, KeyUsage, SignatureError};
use time::OffsetDateTime;

/// Certificates between the first one and the root.
pub const INTERMEDIATES_MAX: usize = 4;

/// Why a maker's certificate does not count.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EkRootError {
    /// No root that was added leads to it.
    #[error("none of the makers' roots that were added leads to this certificate")]
    UnknownMaker,
    /// A certificate in the chain is over or has not begun.
    #[error("a certificate of the maker's chain is not valid at this time")]
    OutOfTime,
    /// More certificates were sent than are looked at.
    #[error("the maker's chain is too long")]
    TooLong,
}

/// Checks that a maker's certificate leads to one of the roots.
///
/// # Errors
/// It does not, or not at this time.
pub fn chain_to_roots(
    leaf: &Certificate,
    intermediates: &[Certificate],
    roots: &[Certificate],
    now: OffsetDateTime,
) -> Result<(), EkRootError> {
    if intermediates.len() > INTERMEDIATES_MAX {
        return Err(EkRootError::TooLong);
    }
    let mut current = leaf;
    let mut below = 0_usize;
    // Each turn goes one step up; there are only so many certificates to go to.
    for _ in 0..=INTERMEDIATES_MAX {
        in_time(current, now)?;
        if let Some(root) = roots.iter().find(|root| issued(root, current, below)) {
            return in_time(root, now);
        }
        if roots.iter().any(|root| root.der() == current.der()) && below > 0 {
            return Ok(());
        }
        current = intermediates
            .iter()
            .find(|candidate| candidate.der() != current.der() && issued(candidate, current, below))
            .ok_or(EkRootError::UnknownMaker)?;
        below = below.saturating_add(1);
    }
    Err(EkRootError::UnknownMaker)
}

fn in_time(certificate: &Certificate, now: OffsetDateTime) -> Result<(), EkRootError> {
    // Chips' certificates are made with an end, or with the one of RFC 5280 that means "never".
    if now < certificate.not_before() || now > certificate.not_after() {
        return Err(EkRootError::OutOfTime);
    }
    Ok(())
}

/// Whether `issuer` is an authority that signed `subject`, with `below` authorities under it.
fn issued(issuer: &Certificate, subject: &Certificate, below: usize) -> bool {
    if issuer.subject() != subject.issuer() {
        return false;
    }
    let extensions = issuer.extensions();
    let Some(constraints) = &extensions.basic_constraints else {
        return false;
    };
    let long_enough = constraints
        .path_len
        .is_none_or(|limit| usize::from(limit) >= below);
    let may_sign = extensions
        .key_usage
        .is_none_or(|usage| usage.contains(KeyUsage::KEY_CERT_SIGN));
    if !constraints.ca || !long_enough || !may_sign {
        return false;
    }
    let Ok(key) = issuer.public_key() else {
        return false;
    };
    let signature: Result<(), SignatureError> = subject.verify_signature(&key);
    signature.is_ok()
}
