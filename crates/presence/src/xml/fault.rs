// SPDX-License-Identifier: MIT OR Apache-2.0
//! Faults of publications and container changes: which operation started from an old version.

use crate::xml::node::{Element, XmlError};
use crate::xml::ns;
use crate::xml::writer::Writer;

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// For example [`Fault::WRONG_DELTA`].
    pub code: String,
    /// The operations that failed.
    pub operations: Vec<FaultOperation>,
}

/// One operation that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultOperation {
    /// Its place in the request, from 1.
    pub index: u32,
    /// The version that the request named, when it had one.
    pub version: Option<u32>,
    /// The version as it is now.
    pub current: u32,
}

impl Fault {
    /// An operation started from an old version.
    pub const WRONG_DELTA: &'static str = "Client.BadCall.WrongDelta";

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = Writer::with_capacity(256);
        w.start("Fault")
            .attr("xmlns", ns::FAULT)
            .leaf("Faultcode", &self.code)
            .start("details");
        for operation in &self.operations {
            w.start("operation").attr_number("index", operation.index);
            if let Some(version) = operation.version {
                w.attr_number("version", version);
            }
            w.attr_number("curVersion", operation.current).end();
        }
        w.finish()
    }

    /// Reads the document.
    ///
    /// # Errors
    /// When it is no fault.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        if !root.local.eq_ignore_ascii_case("fault") {
            return Err(XmlError::Unexpected("fault"));
        }
        let details = root.child("details");
        let operations = details.into_iter().flat_map(|d| d.named("operation"));
        Ok(Self {
            code: root.child_text("Faultcode"),
            operations: operations.map(read_operation).collect::<Result<_, _>>()?,
        })
    }
}

fn read_operation(element: &Element) -> Result<FaultOperation, XmlError> {
    Ok(FaultOperation {
        index: element.number("index")?,
        version: element.number_opt("version")?,
        current: element.number("curVersion")?,
    })
}
