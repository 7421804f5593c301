// SPDX-License-Identifier: MIT OR Apache-2.0
//! Refusals, and how a person hears of them.

use std::time::Duration;

use axum::http::StatusCode;
use lanyard_directory::StorageError;
use lanyard_fault::Fault;
use lanyard_x509::{CsrError, SignatureError};

use crate::attestation::AttestationError;
use crate::desk::DeskError;
use crate::request::RequestError;

/// Why an enrolment was refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body is larger than is read.
    #[error("the body is too large")]
    TooLarge,
    /// The body is not JSON by its content type, or was cut off.
    #[error("the body is not JSON")]
    NotJson,
    /// There were too many attempts.
    #[error("there were too many attempts")]
    TooManyTries {
        /// When to try again.
        wait: Duration,
    },
    /// The request is not well formed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Nobody has this address, or the code is missing, wrong, used, expired or somebody else's:
    /// which of them is not told.
    #[error("the one-time code is refused")]
    Code,
    /// The account is disabled. Told only to whoever had the code.
    #[error("the account is disabled")]
    AccountDisabled,
    /// Policy does not accept this kind of card. Told only to whoever had the code.
    #[error("this kind of card is not accepted")]
    CardKind,
    /// Policy demands more to be proved about where the key lives. Told only to whoever had the code.
    #[error("policy demands more to be proved about where the key lives")]
    KeyAssurance,
    /// What was said about where the key lives does not hold.
    #[error(transparent)]
    Attestation(#[from] AttestationError),
    /// The desk could not do it.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl Refusal {
    /// The row of the table of faults.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::TooLarge => Fault::RequestTooLarge,
            Self::NotJson => Fault::EnrolmentMalformed,
            Self::TooManyTries { .. } => Fault::TooManyTries,
            Self::Request(error) => fault_of_request(error),
            Self::Code => Fault::EnrolCodeRefused,
            Self::AccountDisabled => Fault::AccountDisabled,
            Self::CardKind => Fault::CardKindRefused,
            Self::KeyAssurance => Fault::KeyAssuranceDemanded,
            Self::Attestation(AttestationError::Malformed) => Fault::AttestationMalformed,
            Self::Attestation(AttestationError::Challenge) => Fault::AttestationLate,
            Self::Attestation(AttestationError::Keys) => Fault::AttestationKeys,
            Self::Attestation(AttestationError::NotThisKey) => Fault::AttestationRefused,
            Self::Desk(DeskError::KeyRefused) => Fault::RequestKeyRefused,
            Self::Desk(DeskError::CardState) => Fault::CardOutOfLife,
            Self::Desk(DeskError::Authority) => Fault::ServerInternal,
            Self::Desk(DeskError::Storage(error)) => match error {
                StorageError::Busy => Fault::DatabaseBusy,
                StorageError::Damaged => Fault::DatabaseDamaged,
                StorageError::Full => Fault::DiskFull,
                _ => Fault::ServerInternal,
            },
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge | Self::Request(RequestError::Csr(CsrError::TooLarge)) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyTries { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Attestation(AttestationError::Challenge) => StatusCode::CONFLICT,
            Self::Attestation(AttestationError::Malformed | AttestationError::Keys)
            | Self::Request(_)
            | Self::Desk(DeskError::KeyRefused) => StatusCode::BAD_REQUEST,
            Self::Code
            | Self::AccountDisabled
            | Self::CardKind
            | Self::KeyAssurance
            | Self::Attestation(AttestationError::NotThisKey)
            | Self::Desk(DeskError::CardState) => StatusCode::FORBIDDEN,
            Self::Desk(DeskError::Storage(StorageError::Busy | StorageError::Full)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Desk(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

fn fault_of_request(error: RequestError) -> Fault {
    match error {
        RequestError::Body => Fault::EnrolmentMalformed,
        RequestError::Address => Fault::AddressMalformed,
        RequestError::Template => Fault::TemplateNotOffered,
        RequestError::SameKeyTwice => Fault::RequestKeysEqual,
        RequestError::Base64 => Fault::RequestMalformed,
        RequestError::Csr(CsrError::TooLarge) => Fault::RequestTooLarge,
        RequestError::Csr(CsrError::Key(_)) => Fault::RequestKeyWeak,
        RequestError::Csr(CsrError::Signature(SignatureError::ObsoleteHash)) => {
            Fault::RequestHashObsolete
        }
        RequestError::Csr(CsrError::Signature(_)) => Fault::RequestSignature,
        RequestError::Csr(_) => Fault::RequestMalformed,
    }
}
