// SPDX-License-Identifier: MIT OR Apache-2.0
//! Autodiscover: from the domain of an address to the server of a person.

mod challenge;
mod document;
mod json;
mod locate;
mod xml;

pub use challenge::{
    HEADER_WEB_TICKET, HEADER_WEB_TICKET_URL, PresentedTicket, PresentedTicketError,
    TicketChallenge, bearer_header, web_ticket_header,
};
pub use document::{
    AccessLocation, AutodiscoverResponse, Endpoint, Format, LINKS_MAX, Link, LinkToken,
    RootDocument, UserDocument,
};
pub use locate::{discovery_hosts, discovery_url, is_same_organisation, sipuri_of_query};

use crate::xml::XmlError;

/// Why an answer of autodiscover cannot be used.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AutodiscoverError {
    /// The content type is neither of the two of autodiscover.
    #[error("the answer is not an autodiscover document")]
    ContentType,
    /// Not XML that we read.
    #[error("the autodiscover document is not readable XML")]
    Xml(#[from] XmlError),
    /// Not JSON, or too large.
    #[error("the autodiscover document is not readable JSON")]
    Json,
    /// Neither a root nor a user document.
    #[error("the autodiscover document holds neither Root nor User")]
    Empty,
}
