// SPDX-License-Identifier: MIT OR Apache-2.0
//! Watchers that wait for a decision (`presence.wpending`), for clients of the older kind.

use crate::model::uri::PersonUri;
use crate::xml::node::{Element, XmlError};
use crate::xml::writer::Writer;

/// A document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PendingWatchers {
    /// Address and name.
    pub list: Vec<(PersonUri, String)>,
}

impl PendingWatchers {
    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = Writer::with_capacity(128);
        w.start("watchers");
        for (uri, name) in &self.list {
            w.start("watcher")
                .attr("uri", uri.sip())
                .attr("displayName", name)
                .end();
        }
        w.finish()
    }

    /// Reads the document.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        if root.local != "watchers" {
            return Err(XmlError::Unexpected("watchers"));
        }
        let read = |watcher: &Element| {
            let uri = PersonUri::parse(watcher.required("uri")?);
            let uri = uri.map_err(|_| XmlError::Value("uri"))?;
            Ok((
                uri,
                watcher
                    .attribute("displayName")
                    .unwrap_or_default()
                    .to_owned(),
            ))
        };
        Ok(Self {
            list: root.named("watcher").map(read).collect::<Result<_, _>>()?,
        })
    }
}
