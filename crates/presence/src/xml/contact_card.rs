// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `contactCard` category: name, title, e-mail, phone, photograph.

use crate::model::people::{PersonCard, PhotoLink};
use crate::xml::node::{Element, XmlError};
use crate::xml::ns;
use crate::xml::writer::Writer;

/// A contact card.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactCard {
    /// The name that others see.
    pub display_name: String,
    /// E-mail, or empty.
    pub email: String,
    /// Job title, or empty.
    pub title: String,
    /// Company, or empty.
    pub company: String,
    /// Department, or empty.
    pub department: String,
    /// Office, or empty.
    pub office: String,
    /// Work phone as people read it, or empty.
    pub phone: String,
    /// The photograph of the directory.
    pub photo: Option<PhotoLink>,
}

/// The type of a photograph that the organisation has set; clients do not take it for one that the
/// person put somewhere.
const PHOTO_OF_ORGANISATION: &str = "enterprise";

impl From<&PersonCard> for ContactCard {
    /// Of somebody who may no longer sign in, the name is all that is told: lists stay readable.
    fn from(person: &PersonCard) -> Self {
        if !person.enabled {
            return Self {
                display_name: person.display_name.clone(),
                ..Self::default()
            };
        }
        Self {
            display_name: person.display_name.clone(),
            email: person.email.clone(),
            title: person.title.clone(),
            company: person.company.clone(),
            department: person.department.clone(),
            office: person.office.clone(),
            phone: person.phone.clone(),
            photo: person.photo.clone(),
        }
    }
}

impl ContactCard {
    /// Reads the content of a `contactCard` category.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(element: &Element) -> Result<Self, XmlError> {
        if element.local != "contactCard" {
            return Err(XmlError::Unexpected("contactCard"));
        }
        let identity = element.child("identity");
        let from = |name: &str| {
            let inner = identity.map(|i| i.child_text(name)).unwrap_or_default();
            if inner.is_empty() {
                element.child_text(name)
            } else {
                inner
            }
        };
        let name = identity.and_then(|i| i.child("name"));
        let work = |phone: &&Element| matches!(phone.attribute("type"), None | Some("work"));
        let phone = element.named("phone").find(work);
        let phone = phone.map(|phone| {
            let shown = phone.child_text("displayString");
            if shown.is_empty() {
                phone.child_text("uri")
            } else {
                shown
            }
        });
        Ok(Self {
            display_name: name
                .map(|n| n.child_text("displayName"))
                .unwrap_or_default(),
            email: from("email"),
            title: from("title"),
            company: from("company"),
            department: from("department"),
            office: from("office"),
            phone: phone.unwrap_or_default(),
            photo: element.named("photo").find_map(photo),
        })
    }

    /// The element. What is empty is left out.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = Writer::with_capacity(384);
        w.start("contactCard")
            .attr("xmlns", ns::CONTACT_CARD)
            .start("identity");
        w.start("name")
            .leaf("displayName", &self.display_name)
            .end();
        if !self.email.is_empty() {
            w.leaf("email", &self.email);
        }
        w.end();
        for (name, value) in [
            ("company", &self.company),
            ("department", &self.department),
            ("office", &self.office),
            ("title", &self.title),
        ] {
            if !value.is_empty() {
                w.leaf(name, value);
            }
        }
        if !self.phone.is_empty() {
            let digits: String = self
                .phone
                .chars()
                .filter(|c| c.is_ascii_digit() || *c == '+')
                .collect();
            w.start("phone")
                .attr("type", "work")
                .leaf("uri", &format!("tel:{digits}"));
            w.leaf("displayString", &self.phone).end();
        }
        if let Some(photo) = &self.photo {
            w.start("photo")
                .attr("type", PHOTO_OF_ORGANISATION)
                .leaf("uri", &photo.uri)
                .leaf("hash", &photo.hash)
                .end();
        }
        w.finish()
    }
}

fn photo(element: &Element) -> Option<PhotoLink> {
    let (uri, hash) = (element.child_text("uri"), element.child_text("hash"));
    let whole = !uri.is_empty() && !hash.is_empty();
    (whole && element.attribute("type") == Some(PHOTO_OF_ORGANISATION))
        .then_some(PhotoLink { uri, hash })
}
