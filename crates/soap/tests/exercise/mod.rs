// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzz targets do with a text, shared with the replay of their corpora.

use lanyard_soap::addressbook::{SearchRequest, SearchResponse};
use lanyard_soap::autodiscover::{AutodiscoverResponse, Format};
use lanyard_soap::certprov::{CertRequest, CertResponse};
use lanyard_soap::fault::SoapFault;
use lanyard_soap::mex::{AddressBookMex, CertProvMex, WebTicketMex};
use lanyard_soap::passive::{AutoPostForm, assertion_of_wresult};
use lanyard_soap::trust::{TicketRequest, WebTicket};
use lanyard_soap::xml::{Document, canonical};

/// Every reader of SOAP, and what is read can be written and read again.
pub fn soap_envelope(text: &str) {
    let _ = WebTicket::from_response(text, None);
    let _ = CertResponse::parse(text);
    let _ = assertion_of_wresult(text);
    let _ = AutoPostForm::parse(text);
    if let Ok(request) = CertRequest::parse(text) {
        assert!(
            text.contains(request.assertion()),
            "the ticket is the received text"
        );
    }
    if let Ok(request) = TicketRequest::parse(text) {
        let again = TicketRequest::parse(&request.to_xml()).expect("what we write we read");
        assert_eq!(again.applies_to, request.applies_to);
        assert_eq!(again.context, request.context);
        assert_eq!(again.claimed_address, request.claimed_address);
        assert_eq!(again.entropy.is_some(), request.entropy.is_some());
    }
    if let Some(fault) = SoapFault::parse(text) {
        let again = SoapFault::parse(&fault.to_xml()).expect("what we write we read");
        assert_eq!(again.id, fault.id);
    }
    if let Ok(mex) = WebTicketMex::parse(text) {
        assert_eq!(WebTicketMex::parse(&mex.to_xml()), Ok(mex));
    }
    if let Ok(mex) = CertProvMex::parse(text) {
        assert_eq!(CertProvMex::parse(&mex.to_xml()), Ok(mex));
    }
    if let Ok(mex) = AddressBookMex::parse(text) {
        assert_eq!(AddressBookMex::parse(&mex.to_xml()), Ok(mex));
    }
    if let Ok((request, assertion)) = SearchRequest::parse(text) {
        assert!(text.contains(&assertion), "the ticket is the received text");
        assert!(!request.terms.is_empty());
    }
    if let Ok(answer) = SearchResponse::parse(text) {
        let again = SearchResponse::parse(&answer.to_xml(&[])).expect("what we write we read");
        assert_eq!(again.entries.len(), answer.entries.len());
    }
    // The canonical form of a readable document is readable, and its own canonical form.
    if let Ok(document) = Document::parse(text) {
        let form = canonical(document.root());
        if let Ok(again) = Document::parse(&form) {
            assert_eq!(canonical(again.root()), form);
        }
    }
}

/// The reader of autodiscover in both formats.
pub fn autodiscover_xml(text: &str) {
    for format in [Format::Xml, Format::Json] {
        if let Ok(document) = AutodiscoverResponse::parse(format.content_type(), text) {
            for written in [Format::Xml, Format::Json] {
                let body = document.to_body(written);
                let again = AutodiscoverResponse::parse(written.content_type(), &body);
                assert_eq!(again.as_ref(), Ok(&document));
            }
        }
    }
}
