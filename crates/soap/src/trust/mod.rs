// SPDX-License-Identifier: MIT OR Apache-2.0
//! WS-Trust as the web ticket service speaks it: request, answer, proof key.

mod envelope;
mod proof;
mod request;
mod response;

pub(crate) use envelope::{body_of, fault_of, open_envelope, security_of};
pub use proof::{
    ENTROPY_BYTES, ENTROPY_BYTES_MAX, ENTROPY_BYTES_MIN, Entropy, PROOF_KEY_BYTES, ProofKey,
    RandomError, p_sha1,
};
pub use request::TicketRequest;
pub use response::{TicketResponse, WebTicket};

use crate::fault::SoapFault;
use crate::xml::XmlError;

/// Why a message of the web ticket service cannot be used.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not XML that we read.
    #[error("the message is not readable XML")]
    Xml(#[from] XmlError),
    /// Not a SOAP 1.1 envelope with a body.
    #[error("the message is not a SOAP envelope")]
    Envelope,
    /// The element that the message is about is missing, or of another namespace.
    #[error("the message does not hold {0}")]
    Missing(&'static str),
    /// An element is there twice or has a value that is not understood.
    #[error("the value of {0} is not understood")]
    Value(&'static str),
    /// The request is not one to issue a ticket.
    #[error("only the request to issue a ticket is served")]
    RequestType,
    /// The request asks for another token than a SAML 1.1 assertion.
    #[error("only SAML 1.1 tickets are served")]
    TokenType,
    /// The other side answered with a fault.
    #[error("the service answered with a fault")]
    Fault(SoapFault),
}
