// SPDX-License-Identifier: MIT OR Apache-2.0
//! Categories of one person, as watchers and the person's own endpoints get them.

use std::sync::Arc;

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Iso8601;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use crate::model::availability::Availability;
use crate::model::uri::PersonUri;
use crate::xml::contact_card::ContactCard;
use crate::xml::node::{Element, XmlError};
use crate::xml::note::Note;
use crate::xml::ns;
use crate::xml::state::State;
use crate::xml::writer::Writer;

/// A `categories` document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories {
    /// Whose.
    pub uri: PersonUri,
    /// In order; the last of a name wins where only one is wanted.
    pub list: Vec<Category>,
}

/// One instance of a category, or the news that there is none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// `state`, `note`, `contactCard`, …
    pub name: String,
    /// Absent when the container or the whole category became empty.
    pub instance: Option<u32>,
    /// When it was published.
    pub publish_time: Option<OffsetDateTime>,
    /// Absent when the whole category became empty.
    pub container: Option<u32>,
    /// Its version.
    pub version: Option<u32>,
    /// The word of `expireType`.
    pub expire_type: Option<String>,
    /// Seconds left, for `time`.
    pub expires: Option<u32>,
    /// One XML element, or empty.
    pub content: Arc<str>,
}

impl Category {
    /// The news that a category has no instance any more.
    #[must_use]
    pub fn cleared(name: &str, container: Option<u32>) -> Self {
        Self {
            name: name.to_owned(),
            instance: None,
            publish_time: None,
            container,
            version: None,
            expire_type: None,
            expires: None,
            content: "".into(),
        }
    }

    fn parsed<T>(&self, read: impl Fn(&Element) -> Option<T>) -> Option<T> {
        read(&Element::parse(self.content.as_bytes()).ok()?)
    }
}

impl Categories {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is none, or a value is not valid.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        Self::read(&Element::parse(bytes)?)
    }

    /// Reads an element.
    pub(crate) fn read(root: &Element) -> Result<Self, XmlError> {
        if root.local != "categories" {
            return Err(XmlError::Unexpected("categories document"));
        }
        Ok(Self {
            uri: PersonUri::parse(root.required("uri")?).map_err(|_| XmlError::Value("uri"))?,
            list: root
                .named("category")
                .map(read_category)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let bytes: usize = self
            .list
            .iter()
            .map(|c| c.content.len().saturating_add(192))
            .sum();
        let mut w = Writer::with_capacity(bytes.saturating_add(128));
        self.write(&mut w);
        w.finish()
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.start("categories")
            .attr("xmlns", ns::CATEGORIES)
            .attr("uri", self.uri.sip());
        for category in &self.list {
            write_category(w, category);
        }
        w.end();
    }

    /// The state that counts: the aggregate if there is one, else the last.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        let states = || self.list.iter().filter(|c| c.name == "state").rev();
        let read = |c: &Category| c.parsed(|e| State::read(e).ok());
        states()
            .filter_map(read)
            .find(|s| s.kind.is_aggregate())
            .or_else(|| states().find_map(read))
    }

    /// The availability that counts, when the document has a state at all.
    #[must_use]
    pub fn availability(&self) -> Option<Availability> {
        self.state()
            .map(|state| Availability::from_number(state.availability))
    }

    /// The note: `None` if the document says nothing of notes, an empty one if it was taken back.
    #[must_use]
    pub fn note(&self) -> Option<Note> {
        let mut notes = self
            .list
            .iter()
            .filter(|c| c.name == "note")
            .rev()
            .peekable();
        notes.peek()?;
        Some(
            notes
                .find_map(|c| c.parsed(|e| Note::read(e).ok()))
                .unwrap_or_default(),
        )
    }

    /// The contact card.
    #[must_use]
    pub fn contact_card(&self) -> Option<ContactCard> {
        let mut cards = self.list.iter().filter(|c| c.name == "contactCard").rev();
        cards.find_map(|c| c.parsed(|e| ContactCard::read(e).ok()))
    }
}

pub(crate) fn write_category(w: &mut Writer, category: &Category) {
    w.start("category").attr("name", &category.name);
    if let Some(instance) = category.instance {
        w.attr_number("instance", instance);
    }
    if let Some(time) = category.publish_time {
        w.attr("publishTime", &format_time(time));
    }
    if let Some(container) = category.container {
        w.attr_number("container", container);
    }
    if let Some(version) = category.version {
        w.attr_number("version", version);
    }
    if let Some(expire_type) = &category.expire_type {
        w.attr("expireType", expire_type);
    }
    if let Some(expires) = category.expires {
        w.attr_number("expires", expires);
    }
    if !category.content.is_empty() {
        w.raw(&category.content);
    }
    w.end();
}

pub(crate) fn read_category(element: &Element) -> Result<Category, XmlError> {
    let time = match element.attribute("publishTime") {
        Some(text) => Some(parse_time(text).ok_or(XmlError::Value("publishTime"))?),
        None => None,
    };
    Ok(Category {
        name: element.required("name")?.to_owned(),
        instance: element.number_opt("instance")?,
        publish_time: time,
        container: element.number_opt("container")?,
        version: element.number_opt("version")?,
        expire_type: element.attribute("expireType").map(str::to_owned),
        expires: element.number_opt("expires")?,
        content: element
            .elements()
            .next()
            .map(Element::to_xml)
            .unwrap_or_default()
            .into(),
    })
}

/// As servers of this family write it: `2026-11-22T13:17:19.000`, UTC without a zone.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]");

/// Years that presence speaks of.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=9000;

/// Writes a publication time.
#[must_use]
pub fn format_time(time: OffsetDateTime) -> String {
    // In UTC a time can lie outside of the years that there are; then there is none to write.
    let utc = time.checked_to_offset(UtcOffset::UTC);
    utc.and_then(|utc| utc.format(TIME).ok())
        .unwrap_or_default()
}

/// Reads a publication time, with or without a zone, into UTC.
#[must_use]
pub fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim();
    let plain = || PrimitiveDateTime::parse(text, &Iso8601::DEFAULT).map(|t| t.assume_utc());
    let time = OffsetDateTime::parse(text, &Iso8601::DEFAULT).or_else(|_| plain());
    let utc = time.ok()?.checked_to_offset(UtcOffset::UTC)?;
    YEARS.contains(&utc.year()).then_some(utc)
}
