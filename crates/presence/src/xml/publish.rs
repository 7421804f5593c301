// SPDX-License-Identifier: MIT OR Apache-2.0
//! Publication of categories.

use std::sync::Arc;

use crate::limits::{
    CONTAINER_ID_MAX, PUBLICATION_BYTES_MAX, PUBLICATIONS_PER_REQUEST_MAX, TEXT_CHARS_MAX,
};
use crate::model::roster::PublicationKey;
use crate::model::uri::PersonUri;
use crate::xml::node::{Element, XmlError};
use crate::xml::ns;
use crate::xml::writer::Writer;

/// A publication request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishRequest {
    /// For whom.
    pub uri: PersonUri,
    /// In order.
    pub items: Vec<PublishItem>,
}

/// One instance to publish or to take back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishItem {
    /// What names it.
    pub key: PublicationKey,
    /// The version that the client knows; 0 for none.
    pub version: u32,
    /// When it ends.
    pub expire_type: ExpireType,
    /// Seconds; 0 takes the instance back.
    pub expires: Option<u32>,
    /// One XML element, or empty.
    pub content: Arc<str>,
}

/// When a published instance ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpireType {
    /// Never by itself.
    Static,
    /// With the endpoint that published it.
    Endpoint,
    /// With the person's last endpoint.
    User,
    /// At a time.
    Time,
}

impl ExpireType {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Endpoint => "endpoint",
            Self::User => "user",
            Self::Time => "time",
        }
    }

    /// Reads the word on the wire.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Static, Self::Endpoint, Self::User, Self::Time]
            .into_iter()
            .find(|known| known.word() == word)
    }
}

impl PublishRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// When it is no such request, a value is not valid or a limit is passed.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        if !root.is(ns::PUBLISH, "publish") {
            return Err(XmlError::Unexpected("publish request"));
        }
        let list = root
            .child("publications")
            .ok_or(XmlError::MissingElement("publications"))?;
        let uri = PersonUri::parse(list.required("uri")?).map_err(|_| XmlError::Value("uri"))?;
        let items: Vec<_> = list
            .named("publication")
            .take(PUBLICATIONS_PER_REQUEST_MAX.saturating_add(1))
            .map(read_item)
            .collect::<Result<_, _>>()?;
        if items.len() > PUBLICATIONS_PER_REQUEST_MAX {
            return Err(XmlError::TooMany);
        }
        Ok(Self { uri, items })
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = Writer::with_capacity(512);
        w.start("publish").attr("xmlns", ns::PUBLISH);
        w.start("publications").attr("uri", self.uri.sip());
        for item in &self.items {
            w.start("publication")
                .attr("categoryName", &item.key.category)
                .attr_number("instance", item.key.instance)
                .attr_number("container", item.key.container)
                .attr_number("version", item.version)
                .attr("expireType", item.expire_type.word());
            if let Some(expires) = item.expires {
                w.attr_number("expires", expires);
            }
            if !item.content.is_empty() {
                w.raw(&item.content);
            }
            w.end();
        }
        w.finish()
    }
}

/// Numbers above that of the blocked container would rank above it.
fn container_id(number: u32) -> Result<u32, XmlError> {
    if number > CONTAINER_ID_MAX {
        return Err(XmlError::Value("container"));
    }
    Ok(number)
}

fn read_item(element: &Element) -> Result<PublishItem, XmlError> {
    let category = element.required("categoryName")?;
    if category.is_empty() || category.chars().count() > TEXT_CHARS_MAX {
        return Err(XmlError::Value("categoryName"));
    }
    let content = match element.elements().next() {
        Some(content) => content
            .to_xml_within(PUBLICATION_BYTES_MAX)
            .ok_or(XmlError::TooLarge)?,
        None => String::new(),
    };
    let expire_type = element.required("expireType")?;
    Ok(PublishItem {
        key: PublicationKey {
            category: category.to_owned(),
            instance: element.number("instance")?,
            container: container_id(element.number("container")?)?,
        },
        version: element.number_opt("version")?.unwrap_or(0),
        expire_type: ExpireType::from_word(expire_type).ok_or(XmlError::Value("expireType"))?,
        expires: element.number_opt("expires")?,
        content: content.into(),
    })
}
