// SPDX-License-Identifier: MIT OR Apache-2.0
//! The address book web query ([MS-DLX] `SearchAbEntry`): a search in, entries with attributes out.
//!
//! A client finds the service by `dlxInternalUrl` of in-band provisioning, reads its description
//! ([`crate::mex::AddressBookMex`]), gets a web ticket for the port and sends the ticket along.

mod request;
mod response;

pub use request::{
    Attribute, RESULTS_DEFAULT, RESULTS_MAX, SearchRequest, TERMS_MAX, Term, VALUE_CHARS_MAX,
};
pub use response::{Entry, PhotoReference, SearchResponse};

use crate::fault::SoapFault;
use crate::trust::TrustError;
use crate::xml::XmlError;

/// Namespace of the service.
pub const NAMESPACE: &str = "DistributionListExpander";
/// `SOAPAction` of a search.
pub const ACTION_SEARCH: &str = "DistributionListExpander/IAddressBook/SearchAbEntry";
/// Our own elements inside an answer.
const OWN: &str = "urn:lanyard:addressbook:1";

/// Why a message of the address book cannot be used.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressBookError {
    /// Not XML that we read.
    #[error("the message is not readable XML")]
    Xml(#[from] XmlError),
    /// Not a SOAP 1.1 envelope with a body.
    #[error("the message is not a SOAP envelope")]
    Envelope,
    /// An element is missing or there twice.
    #[error("the message does not hold one {0}")]
    Missing(&'static str),
    /// A value that is not understood, or too long.
    #[error("the value of {0} is not understood")]
    Value(&'static str),
    /// The other side answered with a fault.
    #[error("the service answered with a fault")]
    Fault(SoapFault),
}

impl From<TrustError> for AddressBookError {
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

#[cfg(test)]
mod tests;
