// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SOAP 1.1 envelope around every message.

use super::TrustError;
use crate::fault::SoapFault;
use crate::names;
use crate::xml::{Document, Element, XmlWriter};

/// Begins an envelope; the caller opens `s:Header` or `s:Body` next.
pub(crate) fn open_envelope() -> XmlWriter {
    let mut xml = XmlWriter::with_declaration();
    xml.open("s:Envelope", &[("xmlns:s", names::SOAP)]);
    xml
}

/// The body of an envelope.
pub(crate) fn body_of<'d>(document: &'d Document<'d>) -> Result<Element<'d>, TrustError> {
    let root = document.root();
    if !root.is(names::SOAP, "Envelope") {
        return Err(TrustError::Envelope);
    }
    let mut bodies = root
        .children()
        .filter(|child| child.is(names::SOAP, "Body"));
    match (bodies.next(), bodies.next()) {
        (Some(body), None) => Ok(body),
        _ => Err(TrustError::Envelope),
    }
}

/// The one `wsse:Security` header of an envelope.
pub(crate) fn security_of<'d>(document: &'d Document<'d>) -> Option<Element<'d>> {
    let header = document.root().child_of(names::SOAP, "Header")?;
    let mut found = header
        .children()
        .filter(|child| child.is(names::WSSE, "Security"));
    match (found.next(), found.next()) {
        (Some(security), None) => Some(security),
        _ => None,
    }
}

/// The fault in a body, when it is one.
pub(crate) fn fault_of(body: Element<'_>) -> Option<SoapFault> {
    body.child("Fault").map(SoapFault::read)
}
