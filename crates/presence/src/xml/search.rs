// SPDX-License-Identifier: MIT OR Apache-2.0
//! Search of the directory: a SOAP request to one's own server.

use crate::limits::{SEARCH_RESULTS_MAX, TEXT_CHARS_MAX};
use crate::model::people::PersonCard;
use crate::model::uri::PersonUri;
use crate::xml::node::{Element, XmlError};
use crate::xml::ns;
use crate::xml::writer::Writer;

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRequest {
    /// What to look for: parts of a name or an address.
    pub text: String,
    /// How many people at most.
    pub limit: usize,
}

impl SearchRequest {
    /// Reads a SOAP request.
    ///
    /// # Errors
    /// When it is no search, or it looks for nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        if !root.is(ns::SOAP, "Envelope") {
            return Err(XmlError::Unexpected("SOAP envelope"));
        }
        let body = root.child("Body").ok_or(XmlError::MissingElement("Body"))?;
        let call = body
            .child("directorySearch")
            .filter(|call| call.is(ns::WINRTC, "directorySearch"))
            .ok_or(XmlError::Unexpected("directory search"))?;
        let array = body
            .child("Array")
            .ok_or(XmlError::MissingElement("Array"))?;
        let mut words: Vec<&str> = Vec::new();
        for row in array.named("row") {
            let value = row.attributes.iter().find(|a| a.local == "value");
            words.extend(
                value
                    .map(|a| a.value.trim())
                    .filter(|word| !word.is_empty()),
            );
        }
        let text = words.join(" ");
        if text.is_empty() || text.chars().count() > TEXT_CHARS_MAX {
            return Err(XmlError::Value("value"));
        }
        let limit = call
            .child_text("maxResults")
            .parse()
            .unwrap_or(SEARCH_RESULTS_MAX);
        Ok(Self { text, limit })
    }

    /// The SOAP request.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = Writer::with_capacity(512);
        w.start("SOAP-ENV:Envelope")
            .attr("xmlns:SOAP-ENV", ns::SOAP)
            .start("SOAP-ENV:Body");
        w.start("m:directorySearch").attr("xmlns:m", ns::WINRTC);
        w.start("m:filter").attr("m:href", "#searchArray").end();
        w.leaf("m:maxResults", &self.limit.to_string()).end();
        w.start("m:Array")
            .attr("xmlns:m", ns::WINRTC)
            .attr("m:id", "searchArray");
        w.start("m:row")
            .attr("m:attrib", "displayName")
            .attr("m:value", &self.text);
        w.finish()
    }
}

/// The answer; `more` says that there are more than these.
#[must_use]
pub fn write(people: &[PersonCard], more: bool) -> String {
    let mut w = Writer::with_capacity(people.len().saturating_mul(256).saturating_add(512));
    w.start("SOAP-ENV:Envelope")
        .attr("xmlns:SOAP-ENV", ns::SOAP)
        .start("SOAP-ENV:Body");
    w.start("m:directorySearch").attr("xmlns:m", ns::WINRTC);
    w.leaf("m:moreAvailable", if more { "true" } else { "false" })
        .start("m:value")
        .attr("m:href", "#searchArray")
        .end()
        .end();
    w.start("m:Array")
        .attr("xmlns:m", ns::WINRTC)
        .attr("m:id", "searchArray");
    for person in people {
        w.start("m:row")
            .attr("uri", person.uri.sip())
            .attr("displayName", &person.display_name)
            .attr("title", &person.title)
            .attr("office", &person.office)
            .attr("phone", &person.phone)
            .attr("company", &person.company)
            .attr("department", &person.department)
            .attr("email", &person.email)
            .end();
    }
    w.finish()
}

/// Reads the answer.
///
/// # Errors
/// When it is none.
pub fn read(bytes: &[u8]) -> Result<Vec<PersonCard>, XmlError> {
    let root = Element::parse(bytes)?;
    let body = root.child("Body").ok_or(XmlError::MissingElement("Body"))?;
    let array = body
        .child("Array")
        .ok_or(XmlError::MissingElement("Array"))?;
    let read = |row: &Element| {
        let uri = PersonUri::parse(row.required("uri")?).map_err(|_| XmlError::Value("uri"))?;
        let text = |name: &str| row.attribute(name).unwrap_or_default().to_owned();
        Ok(PersonCard {
            email: text("email"),
            title: text("title"),
            company: text("company"),
            department: text("department"),
            office: text("office"),
            phone: text("phone"),
            ..PersonCard::new(uri, text("displayName"))
        })
    };
    array.named("row").map(read).collect()
}
