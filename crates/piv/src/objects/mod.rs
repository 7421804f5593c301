// SPDX-License-Identifier: MIT OR Apache-2.0
//! The data objects of the card (SP 800-73-4 part 1, chapter 3 and appendix A).

mod application;
mod certificate;
mod id;
mod identity;

pub use application::{APPLICATION_LABEL, ApplicationTemplate, Discovery, KeyHistory};
pub use certificate::CertificateObject;
pub use id::{OBJECT_BYTES_MAX, ObjectId, PutData};
pub use identity::{CapabilityContainer, Chuid};

use crate::tlv::TlvError;

/// Why a data object is refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// It is no BER-TLV, or an element is missing.
    #[error(transparent)]
    Tlv(#[from] TlvError),
    /// An object identifier that PIV does not define.
    #[error("the object identifier is not one of PIV")]
    UnknownObject,
    /// The certificate is compressed, which we do not read.
    #[error("the certificate on the card is compressed, which is not supported")]
    Compressed,
    /// The object exists and is empty.
    #[error("the object is empty")]
    Empty,
    /// An element has the wrong length.
    #[error("an element of the object has the wrong length")]
    Length,
}
