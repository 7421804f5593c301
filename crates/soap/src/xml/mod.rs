// SPDX-License-Identifier: MIT OR Apache-2.0
//! A strict small XML: reader with raw slices, escaping writer, exclusive canonical form.

mod c14n;
mod element;
mod read;
mod write;

pub use c14n::canonical;
pub use element::{Children, Descendants, Element};
pub(crate) use read::is_xml_char;
pub use read::{
    ATTRIBUTES_MAX, DEPTH_MAX, DOCUMENT_BYTES_MAX, Document, ELEMENTS_MAX, NAME_BYTES_MAX, XmlError,
};
pub use write::{XmlWriter, escape_attribute, escape_text};
