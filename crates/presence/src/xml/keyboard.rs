// SPDX-License-Identifier: MIT OR Apache-2.0
//! "Is typing" within a conversation: the body of an INFO.

use crate::xml::node::{Element, XmlError};
use crate::xml::writer::Writer;

/// What the other side's keyboard does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyboardActivity {
    /// Somebody types.
    Typing,
    /// Nobody types any more.
    Idle,
}

impl KeyboardActivity {
    /// Reads the document.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        if root.local != "KeyboardActivity" {
            return Err(XmlError::Unexpected("KeyboardActivity"));
        }
        let status = root
            .child("status")
            .ok_or(XmlError::MissingElement("status"))?;
        Ok(match status.required("status")? {
            "type" => Self::Typing,
            _ => Self::Idle,
        })
    }

    /// The document.
    #[must_use]
    pub fn to_xml(self) -> String {
        let mut w = Writer::with_capacity(128);
        w.start("KeyboardActivity").start("status").attr(
            "status",
            match self {
                Self::Typing => "type",
                Self::Idle => "idle",
            },
        );
        w.finish()
    }
}
