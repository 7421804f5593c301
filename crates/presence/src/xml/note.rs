// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `note` category: a line that a person writes about today.

use crate::xml::node::{Element, XmlError};
use crate::xml::ns;
use crate::xml::writer::Writer;

/// A note.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Note {
    /// `personal` or `OOF`, or empty.
    pub kind: String,
    /// The words; empty for none.
    pub text: String,
}

impl Note {
    /// A personal note.
    #[must_use]
    pub fn personal(text: impl Into<String>) -> Self {
        Self {
            kind: "personal".to_owned(),
            text: text.into(),
        }
    }

    /// Reads the content of a `note` category.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(element: &Element) -> Result<Self, XmlError> {
        if element.local != "note" {
            return Err(XmlError::Unexpected("note"));
        }
        let body = element.child("body");
        Ok(Self {
            kind: body
                .and_then(|b| b.attribute("type"))
                .unwrap_or_default()
                .to_owned(),
            text: body.map(|b| b.text().trim().to_owned()).unwrap_or_default(),
        })
    }

    /// The element.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = Writer::with_capacity(128);
        w.start("note").attr("xmlns", ns::NOTE).start("body");
        if !self.kind.is_empty() {
            w.attr("type", &self.kind);
        }
        w.attr("uri", "").text(&self.text);
        w.finish()
    }
}
