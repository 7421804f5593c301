// SPDX-License-Identifier: MIT OR Apache-2.0
//! The answer.

use super::{AddressBookError, Attribute, NAMESPACE, OWN, RESULTS_MAX};
use crate::trust::{body_of, fault_of, open_envelope};
use crate::xml::{Document, Element, XmlWriter};

/// The longest value that is read from a server, in characters.
const VALUE_CHARS_MAX: usize = 512;

/// Where a photograph is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoReference {
    /// Below the address of the address book, without a slash before it.
    pub path: String,
    /// The hash by which it is known; another photograph has another one.
    pub hash: String,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The sign-in address as a SIP URI.
    pub sip_uri: String,
    /// The name.
    pub display_name: String,
    /// The e-mail address, or empty.
    pub mail: String,
    /// The job title, or empty.
    pub title: String,
    /// The telephone number, or empty.
    pub telephone: String,
    /// The organisation, or empty.
    pub company: String,
    /// The photograph.
    pub photo: Option<PhotoReference>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchResponse {
    /// The entries, in the order in which they are shown.
    pub entries: Vec<Entry>,
    /// Whether there are more than these.
    pub more: bool,
}

impl SearchResponse {
    /// The SOAP envelope; of each entry what is wanted (empty: everything) and not empty.
    #[must_use]
    pub fn to_xml(&self, wanted: &[Attribute]) -> String {
        let wants = |attribute| wanted.is_empty() || wanted.contains(&attribute);
        let mut xml = open_envelope();
        xml.open("s:Body", &[])
            .open("SearchAbEntryResponse", &[("xmlns", NAMESPACE)])
            .open("SearchAbEntryResult", &[])
            .open("Items", &[]);
        for entry in &self.entries {
            xml.open("AbEntry", &[]).open("Attributes", &[]);
            for (attribute, value) in [
                (Attribute::DisplayName, &entry.display_name),
                (Attribute::SipAddress, &entry.sip_uri),
                (Attribute::Title, &entry.title),
                (Attribute::Mail, &entry.mail),
                (Attribute::Company, &entry.company),
            ] {
                if wants(attribute) {
                    single(&mut xml, attribute, value);
                }
            }
            if wants(Attribute::Telephone) && !entry.telephone.is_empty() {
                // Numbers are lists: the one way in which clients read them.
                xml.open("Attribute", &[])
                    .leaf("Name", &[], Attribute::Telephone.name())
                    .open("Values", &[])
                    .leaf("string", &[], &entry.telephone)
                    .close()
                    .close();
            }
            if let Some(photo) = &entry.photo {
                for (attribute, value) in [
                    (Attribute::PhotoPath, &photo.path),
                    (Attribute::PhotoHash, &photo.hash),
                ] {
                    if wants(attribute) {
                        single(&mut xml, attribute, value);
                    }
                }
            }
            xml.close().close();
        }
        xml.close();
        if self.more {
            xml.leaf("MoreAvailable", &[("xmlns", OWN)], "true");
        }
        xml.finish()
    }

    /// Reads the answer, or the fault. Entries without address or name are passed over.
    ///
    /// # Errors
    /// When it is no answer.
    pub fn parse(body: &str) -> Result<Self, AddressBookError> {
        let document = Document::parse(body)?;
        let body = body_of(&document)?;
        if let Some(fault) = fault_of(body) {
            return Err(AddressBookError::Fault(fault));
        }
        let result = body
            .child_of(NAMESPACE, "SearchAbEntryResponse")
            .and_then(|answer| answer.child_of(NAMESPACE, "SearchAbEntryResult"))
            .ok_or(AddressBookError::Missing("SearchAbEntryResult"))?;
        let items = result
            .child("Items")
            .into_iter()
            .flat_map(Element::children);
        let entries = items
            .filter(|item| item.local() == "AbEntry")
            .take(RESULTS_MAX)
            .map(read_entry)
            .filter(|entry| !entry.sip_uri.is_empty())
            .collect();
        let more = result.child_of(OWN, "MoreAvailable");
        Ok(Self {
            entries,
            more: more.is_some_and(|more| more.trimmed_text() == "true"),
        })
    }
}

fn single(xml: &mut XmlWriter, attribute: Attribute, value: &str) {
    if !value.is_empty() {
        xml.open("Attribute", &[])
            .leaf("Name", &[], attribute.name())
            .leaf("Value", &[], value)
            .close();
    }
}

fn read_entry(item: Element<'_>) -> Entry {
    let mut entry = Entry::default();
    let (mut path, mut hash) = (String::new(), String::new());
    let attributes = item
        .child("Attributes")
        .into_iter()
        .flat_map(Element::children)
        .filter(|child| child.local() == "Attribute");
    for element in attributes {
        let name = element.child("Name").map(Element::trimmed_text);
        let plain = element.child("Value");
        let value = plain.or_else(|| element.path(&["Values", "string"]));
        let (Some(name), Some(value)) = (name, value.map(Element::trimmed_text)) else {
            continue;
        };
        let value: String = value.chars().take(VALUE_CHARS_MAX).collect();
        let field = match Attribute::from_name(&name) {
            Attribute::DisplayName => &mut entry.display_name,
            Attribute::SipAddress => &mut entry.sip_uri,
            Attribute::Title => &mut entry.title,
            Attribute::Mail => &mut entry.mail,
            Attribute::Company => &mut entry.company,
            Attribute::Telephone => &mut entry.telephone,
            Attribute::PhotoPath => &mut path,
            Attribute::PhotoHash => &mut hash,
            _ => continue,
        };
        if field.is_empty() {
            *field = value;
        }
    }
    if !path.is_empty() && !hash.is_empty() {
        entry.photo = Some(PhotoReference { path, hash });
    }
    entry
}
