// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contact list and its deltas (`vnd-microsoft-roaming-contacts`).

use crate::model::roster::{Contact, Group, Roster};
use crate::model::uri::PersonUri;
use crate::xml::node::{Element, XmlError};
use crate::xml::writer::Writer;

/// A document of a roaming-contacts subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContactsDocument {
    /// The whole list.
    List(ContactList),
    /// What changed.
    Delta(ContactDelta),
}

/// The whole list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactList {
    /// The number of this state of the list.
    pub delta: u32,
    /// Groups in order of their numbers.
    pub groups: Vec<Group>,
    /// Contacts.
    pub contacts: Vec<Contact>,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactDelta {
    /// The number of the new state.
    pub delta: u32,
    /// In order.
    pub changes: Vec<ContactChange>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContactChange {
    /// A new group.
    AddedGroup(Group),
    /// Another name.
    ModifiedGroup(Group),
    /// A group that is gone.
    DeletedGroup(u32),
    /// A new contact.
    AddedContact(Contact),
    /// Another name or other groups.
    ModifiedContact(Contact),
    /// A contact that is gone.
    DeletedContact(PersonUri),
}

impl ContactsDocument {
    /// Reads either document.
    ///
    /// # Errors
    /// When it is neither, or a value is not valid.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        match root.local.as_str() {
            "contactList" => Ok(Self::List(ContactList {
                delta: root.number("deltaNum")?,
                groups: root
                    .named("group")
                    .map(read_group)
                    .collect::<Result<_, _>>()?,
                contacts: root
                    .named("contact")
                    .map(read_contact)
                    .collect::<Result<_, _>>()?,
            })),
            "contactDelta" => Ok(Self::Delta(ContactDelta {
                delta: root.number("deltaNum")?,
                changes: root
                    .elements()
                    .filter_map(|element| read_change(element).transpose())
                    .collect::<Result<_, _>>()?,
            })),
            _ => Err(XmlError::Unexpected("contactList or contactDelta")),
        }
    }
}

impl ContactList {
    /// The list of a roster.
    #[must_use]
    pub fn of(roster: &Roster) -> Self {
        Self {
            delta: roster.delta,
            groups: roster.groups.values().cloned().collect(),
            contacts: roster.contacts.values().cloned().collect(),
        }
    }

    /// The document. Here addresses have no scheme.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let capacity = self.contacts.len().saturating_mul(128).saturating_add(256);
        let mut w = Writer::with_capacity(capacity);
        w.start("contactList").attr_number("deltaNum", self.delta);
        for group in &self.groups {
            w.start("group");
            write_group(&mut w, group);
            w.end();
        }
        for contact in &self.contacts {
            w.start("contact").attr("uri", contact.uri.address());
            write_contact(&mut w, contact);
            w.end();
        }
        w.finish()
    }
}

impl ContactDelta {
    /// The document. Here addresses have their scheme.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = Writer::with_capacity(256);
        w.start("contactDelta").attr_number("deltaNum", self.delta);
        for change in &self.changes {
            match change {
                ContactChange::AddedGroup(group) => {
                    write_group(w.start("addedGroup"), group);
                }
                ContactChange::ModifiedGroup(group) => {
                    write_group(w.start("modifiedGroup"), group);
                }
                ContactChange::DeletedGroup(id) => {
                    w.start("deletedGroup").attr_number("id", *id);
                }
                ContactChange::AddedContact(contact) => {
                    write_contact(
                        w.start("addedContact").attr("uri", contact.uri.sip()),
                        contact,
                    );
                }
                ContactChange::ModifiedContact(contact) => {
                    let w = w.start("modifiedContact").attr("uri", contact.uri.sip());
                    write_contact(w, contact);
                }
                ContactChange::DeletedContact(uri) => {
                    w.start("deletedContact").attr("uri", uri.sip());
                }
            }
            w.end();
        }
        w.finish()
    }
}

fn write_group(w: &mut Writer, group: &Group) {
    w.attr_number("id", group.id)
        .attr("name", &group.name)
        .attr("externalURI", &group.external_uri);
}

fn write_contact(w: &mut Writer, contact: &Contact) {
    w.attr("name", &contact.name)
        .attr("groups", &join_groups(&contact.groups))
        .attr(
            "subscribed",
            if contact.subscribed { "true" } else { "false" },
        )
        .attr("externalURI", &contact.external_uri);
}

/// `1 2 5`.
#[must_use]
pub fn join_groups(groups: &[u32]) -> String {
    let words: Vec<String> = groups.iter().map(u32::to_string).collect();
    words.join(" ")
}

/// Reads `1 2 5`; every number once.
pub(crate) fn split_groups(text: &str) -> Result<Vec<u32>, XmlError> {
    let mut groups = Vec::new();
    for word in text.split_ascii_whitespace() {
        let id = word.parse().map_err(|_| XmlError::Value("groups"))?;
        if !groups.contains(&id) {
            groups.push(id);
        }
    }
    Ok(groups)
}

fn read_group(element: &Element) -> Result<Group, XmlError> {
    Ok(Group {
        id: element.number("id")?,
        name: element.attribute("name").unwrap_or_default().to_owned(),
        external_uri: element
            .attribute("externalURI")
            .unwrap_or_default()
            .to_owned(),
    })
}

fn read_contact(element: &Element) -> Result<Contact, XmlError> {
    Ok(Contact {
        uri: read_uri(element)?,
        name: element.attribute("name").unwrap_or_default().to_owned(),
        groups: split_groups(element.attribute("groups").unwrap_or_default())?,
        subscribed: element.attribute("subscribed") != Some("false"),
        external_uri: element
            .attribute("externalURI")
            .unwrap_or_default()
            .to_owned(),
    })
}

fn read_uri(element: &Element) -> Result<PersonUri, XmlError> {
    PersonUri::parse(element.required("uri")?).map_err(|_| XmlError::Value("uri"))
}

fn read_change(element: &Element) -> Result<Option<ContactChange>, XmlError> {
    Ok(Some(match element.local.as_str() {
        "addedGroup" => ContactChange::AddedGroup(read_group(element)?),
        "modifiedGroup" => ContactChange::ModifiedGroup(read_group(element)?),
        "deletedGroup" => ContactChange::DeletedGroup(element.number("id")?),
        "addedContact" => ContactChange::AddedContact(read_contact(element)?),
        "modifiedContact" => ContactChange::ModifiedContact(read_contact(element)?),
        "deletedContact" => ContactChange::DeletedContact(read_uri(element)?),
        // What later servers may add is none of our business.
        _ => return Ok(None),
    }))
}
