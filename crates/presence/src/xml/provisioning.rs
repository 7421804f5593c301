// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client is told about this deployment (`vnd-microsoft-provisioning-v2`).
//!
//! Left out on purpose: conferencing and media relay addresses, because a client that finds them calls
//! services that are not there. The address book is there ([`Provisioning::with_address_book`]).

use std::collections::BTreeMap;

use crate::xml::node::{Element, XmlError};
use crate::xml::writer::Writer;

/// Groups of settings by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provisioning {
    /// Each with its settings by name.
    pub groups: BTreeMap<String, BTreeMap<String, String>>,
}

/// The group that holds the addresses of services.
pub const SERVER_CONFIGURATION: &str = "ServerConfiguration";

/// The group of our own that tells a client what policy says about cards.
pub const CARD_POLICY: &str = "LanyardCardPolicy";

/// Where the address book is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressBook {
    /// The web query service.
    pub query: String,
    /// Files, photographs among them, are below this.
    pub files: String,
}

impl Provisioning {
    /// The same with the address book, whether a client believes itself inside or outside.
    #[must_use]
    pub fn with_address_book(mut self, book: &AddressBook) -> Self {
        let group = self
            .groups
            .entry(SERVER_CONFIGURATION.to_owned())
            .or_default();
        for (name, value) in [
            ("dlxInternalUrl", &book.query),
            ("dlxExternalUrl", &book.query),
            ("absInternalServerUrl", &book.files),
            ("absExternalServerUrl", &book.files),
        ] {
            group.insert(name.to_owned(), value.clone());
        }
        self
    }

    /// The same with what policy says about cards; nothing is added where it says nothing.
    #[must_use]
    pub fn with_card_policy(mut self, settings: Vec<(&'static str, String)>) -> Self {
        if !settings.is_empty() {
            let settings = settings
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value));
            self.groups
                .entry(CARD_POLICY.to_owned())
                .or_default()
                .extend(settings);
        }
        self
    }

    /// Where the address book is, if the server has one.
    #[must_use]
    pub fn address_book(&self) -> Option<AddressBook> {
        let group = self.groups.get(SERVER_CONFIGURATION)?;
        let value = |name: &str| group.get(name).filter(|value| !value.is_empty()).cloned();
        Some(AddressBook {
            query: value("dlxInternalUrl").or_else(|| value("dlxExternalUrl"))?,
            files: value("absInternalServerUrl").or_else(|| value("absExternalServerUrl"))?,
        })
    }

    /// Reads what a client asks for: the names of the groups.
    ///
    /// # Errors
    /// When it is not well-formed.
    pub fn parse_request(bytes: &[u8]) -> Result<Vec<String>, XmlError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Vec::new());
        }
        let root = Element::parse(bytes)?;
        if !root.is(REQUEST, "provisioningGroupList") {
            return Err(XmlError::Unexpected("provisioningGroupList"));
        }
        let names = root
            .named("provisioningGroup")
            .filter_map(|g| g.attribute("name"));
        Ok(names.map(str::to_owned).collect())
    }

    /// What a client asks for.
    #[must_use]
    pub fn request(names: &[&str]) -> String {
        let mut w = Writer::with_capacity(256);
        w.start("provisioningGroupList").attr("xmlns", REQUEST);
        for name in names {
            w.start("provisioningGroup").attr("name", name).end();
        }
        w.finish()
    }

    /// Reads a document; settings are the children with text.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        if root.local != "provisionGroupList" {
            return Err(XmlError::Unexpected("provisionGroupList"));
        }
        let mut groups = BTreeMap::new();
        for group in root.named("provisionGroup") {
            let settings = group
                .elements()
                .filter(|e| e.local != "propertyEntryList")
                .map(|e| (e.local.clone(), e.text().trim().to_owned()));
            groups.insert(group.required("name")?.to_owned(), settings.collect());
        }
        Ok(Self { groups })
    }

    /// The document with the groups that were asked for; all when none was named.
    #[must_use]
    pub fn to_xml(&self, asked: &[String]) -> String {
        let mut w = Writer::with_capacity(512);
        w.start("provisionGroupList").attr("xmlns", ANSWER);
        for (name, settings) in &self.groups {
            if !asked.is_empty() && !asked.contains(name) {
                continue;
            }
            w.start("provisionGroup").attr("name", name);
            for (key, value) in settings {
                // Names of settings are ours, so they are names of elements as well.
                let mut leaf = Writer::default();
                leaf.text(value);
                w.raw(&format!("<{key}>{}</{key}>", leaf.finish()));
            }
            w.end();
        }
        w.finish()
    }
}

const REQUEST: &str = "http://schemas.microsoft.com/2006/09/sip/provisioninggrouplist";
const ANSWER: &str = "http://schemas.microsoft.com/2006/09/sip/provisioninggrouplist-notification";
