// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzzer calls, and the replay of its corpus. Not for use by other crates.

use crate::xml::batch::BatchRequest;
use crate::xml::categories::Categories;
use crate::xml::contacts::ContactsDocument;
use crate::xml::containers::SetContainerMembers;
use crate::xml::fault::Fault;
use crate::xml::keyboard::KeyboardActivity;
use crate::xml::node::Element;
use crate::xml::provisioning::Provisioning;
use crate::xml::publish::PublishRequest;
use crate::xml::rlmi::read_list;
use crate::xml::roaming_self::{RoamingData, RoamingWanted};
use crate::xml::search;
use crate::xml::service::{ContactFault, ContactRequest};
use crate::xml::subscribers::SetSubscribers;
use crate::xml::wpending::PendingWatchers;

/// Reads the bytes as every document; what can be read is written and must read the same again.
///
/// # Panics
/// When something does not read back: that is what the fuzzer looks for.
pub fn xml(data: &[u8]) {
    if let Ok(element) = Element::parse(data) {
        let text = element.to_xml();
        let again = Element::parse(text.as_bytes()).map(|element| element.to_xml());
        assert_eq!(again.as_deref(), Ok(&*text));
    }
    macro_rules! round_trip {
        ($($document:ty),*) => {$(
            if let Ok(document) = <$document>::parse(data) {
                let text = document.to_xml();
                assert_eq!(<$document>::parse(text.as_bytes()), Ok(document));
            }
        )*};
    }
    round_trip!(
        ContactRequest,
        ContactFault,
        BatchRequest,
        SetContainerMembers,
        SetSubscribers,
        RoamingWanted,
        KeyboardActivity,
        PendingWatchers,
        Fault
    );
    if let Ok(document) = ContactsDocument::parse(data) {
        let text = match &document {
            ContactsDocument::List(list) => list.to_xml(),
            ContactsDocument::Delta(delta) => delta.to_xml(),
        };
        assert_eq!(ContactsDocument::parse(text.as_bytes()), Ok(document));
    }
    // Content is rewritten with its own prefixes, so that these read back after one round.
    if let Ok(document) = PublishRequest::parse(data) {
        let once = PublishRequest::parse(document.to_xml().as_bytes());
        assert_eq!(once.map(|d| d.to_xml()), Ok(document.to_xml()));
    }
    if let Ok(document) = Categories::parse(data) {
        let _ = document.state().map(|state| state.to_xml());
        let _ = document.note().map(|note| note.to_xml());
        let _ = document.contact_card().map(|card| card.to_xml());
        let once = Categories::parse(document.to_xml().as_bytes());
        assert_eq!(once.map(|d| d.to_xml()), Ok(document.to_xml()));
    }
    if let Ok(document) = RoamingData::parse(data) {
        let once = RoamingData::parse(document.to_xml().as_bytes());
        assert_eq!(once.map(|d| d.to_xml()), Ok(document.to_xml()));
    }
    let _ = (
        read_list(data),
        search::read(data),
        search::SearchRequest::parse(data),
    );
    let _ = (Provisioning::parse(data), Provisioning::parse_request(data));
}
