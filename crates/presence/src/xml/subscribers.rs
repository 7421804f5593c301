// SPDX-License-Identifier: MIT OR Apache-2.0
//! A person's word on watchers: they have been told.

use crate::limits::SUBSCRIBERS_PER_PERSON_MAX;
use crate::model::uri::PersonUri;
use crate::xml::node::{Element, XmlError};
use crate::xml::ns;
use crate::xml::writer::Writer;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSubscribers {
    /// Who, and whether acknowledged.
    pub list: Vec<(PersonUri, bool)>,
}

impl SetSubscribers {
    /// Reads a request.
    ///
    /// # Errors
    /// When it is none, a value is not valid or a limit is passed.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        if !root.is(ns::SUBSCRIBERS, "setSubscribers") {
            return Err(XmlError::Unexpected("setSubscribers"));
        }
        let list: Vec<_> = root
            .named("subscriber")
            .map(read_subscriber)
            .collect::<Result<_, _>>()?;
        if list.len() > SUBSCRIBERS_PER_PERSON_MAX {
            return Err(XmlError::TooMany);
        }
        Ok(Self { list })
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = Writer::with_capacity(256);
        w.start("setSubscribers").attr("xmlns", ns::SUBSCRIBERS);
        for (uri, acknowledged) in &self.list {
            w.start("subscriber")
                .attr("user", uri.address())
                .attr("acknowledged", if *acknowledged { "true" } else { "false" })
                .end();
        }
        w.finish()
    }
}

fn read_subscriber(element: &Element) -> Result<(PersonUri, bool), XmlError> {
    let user = PersonUri::parse(element.required("user")?).map_err(|_| XmlError::Value("user"))?;
    Ok((
        user,
        matches!(element.attribute("acknowledged"), Some("true" | "1")),
    ))
}
