// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificate provisioning: `GetAndPublishCert`, with proof of possession of the ticket's key.
//!
//! The request carries a timestamp, the ticket and a signature over the timestamp with the
//! ticket's proof key. Two forms are accepted, because both canonicalise to what was signed:
//! our own (a timestamp of the moment) and that of SIPE (the ticket's `Lifetime`, copied).

mod request;
mod response;
mod security;
mod signature;

pub use request::{CSR_BYTES_MAX, CertRequest, GetAndPublishCert};
pub use response::{CertResponse, fault_xml};
pub use security::{
    PROOF_FRESH_SECS, PROOF_SKEW_SECS, ProofError, ProofTimestamp, ReplayKey, VerifiedProof,
};

use crate::fault::SoapFault;
use crate::trust::TrustError;
use crate::xml::XmlError;

/// Why a message of certificate provisioning cannot be used.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertProvError {
    /// Not XML that we read.
    #[error("the message is not readable XML")]
    Xml(#[from] XmlError),
    /// Not a SOAP 1.1 envelope with a body.
    #[error("the message is not a SOAP envelope")]
    Envelope,
    /// An element or attribute is missing, there twice, or of another namespace.
    #[error("the message does not hold one {0}")]
    Missing(&'static str),
    /// A value that is not understood.
    #[error("the value of {0} is not understood")]
    Value(&'static str),
    /// The ticket has no proof key, so that nothing can be signed with it.
    #[error("the ticket has no proof key")]
    NoProofKey,
    /// The other side answered with a fault.
    #[error("the service answered with a fault")]
    Fault(SoapFault),
}

impl From<TrustError> for CertProvError {
    fn from(error: TrustError) -> Self {
        match error {
            TrustError::Xml(error) => Self::Xml(error),
            TrustError::Fault(fault) => Self::Fault(fault),
            TrustError::Missing(name) => Self::Missing(name),
            TrustError::Value(name) => Self::Value(name),
            TrustError::Envelope | TrustError::RequestType | TrustError::TokenType => {
                Self::Envelope
            }
        }
    }
}
