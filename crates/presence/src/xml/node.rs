// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small XML tree with limits: no document types, no entities of one's own, names checked.

use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::limits::{
    BODY_BYTES_MAX, XML_ATTRIBUTES_MAX, XML_DECLARATIONS_MAX, XML_DEPTH_MAX, XML_ELEMENTS_MAX,
    XML_NAMESPACE_BYTES_MAX,
};
use crate::xml::ns;
use crate::xml::writer::{escape_attribute, escape_text};

/// Why a document was not read.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Larger than [`BODY_BYTES_MAX`].
    #[error("the document is too large")]
    TooLarge,
    /// Not UTF-8.
    #[error("the document is not UTF-8")]
    NotUtf8,
    /// Not well-formed.
    #[error("the document is not well-formed at byte {0}")]
    Malformed(u64),
    /// A document type declaration.
    #[error("a document type is not allowed")]
    DocumentType,
    /// A reference to an entity that is not one of the five.
    #[error("an entity is not known")]
    Entity,
    /// Nested deeper than [`XML_DEPTH_MAX`].
    #[error("the document is nested too deeply")]
    TooDeep,
    /// More elements than [`XML_ELEMENTS_MAX`] or attributes than [`XML_ATTRIBUTES_MAX`].
    #[error("the document has too many parts")]
    TooMany,
    /// A prefix that nobody declared.
    #[error("a namespace prefix is not declared")]
    Prefix,
    /// The document element is another one.
    #[error("the document is not a {0}")]
    Unexpected(&'static str),
    /// An element that must be there is not.
    #[error("the element {0} is missing")]
    MissingElement(&'static str),
    /// An attribute that must be there is not.
    #[error("the attribute {0} is missing")]
    MissingAttribute(&'static str),
    /// A value that cannot be understood.
    #[error("the value of {0} is not valid")]
    Value(&'static str),
}

/// One element with its namespace resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// As written, without colon; empty for the default namespace.
    pub prefix: String,
    /// The name without prefix.
    pub local: String,
    /// The namespace, or empty.
    pub namespace: Arc<str>,
    /// In order, without namespace declarations.
    pub attributes: Vec<Attribute>,
    /// Elements and text in order.
    pub children: Vec<Node>,
    declarations: Vec<(String, Arc<str>)>,
}

/// One attribute with its namespace resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// As written, or empty.
    pub prefix: String,
    /// The name without prefix.
    pub local: String,
    /// The namespace, or empty.
    pub namespace: Arc<str>,
    /// The value, unescaped.
    pub value: String,
}

/// What an element contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, unescaped.
    Text(String),
}

impl Element {
    /// Reads one document.
    ///
    /// # Errors
    /// When it is not well-formed, passes a limit or has a document type.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        if bytes.len() > BODY_BYTES_MAX {
            return Err(XmlError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
        Builder::default().read(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// The value of an attribute without namespace.
    #[must_use]
    pub fn attribute(&self, local: &str) -> Option<&str> {
        let found = self
            .attributes
            .iter()
            .find(|a| a.local == local && a.prefix.is_empty())?;
        Some(&found.value)
    }

    /// The value of an attribute that must be there.
    pub(crate) fn required(&self, local: &'static str) -> Result<&str, XmlError> {
        self.attribute(local)
            .ok_or(XmlError::MissingAttribute(local))
    }

    /// The number in an attribute that must be there.
    pub(crate) fn number(&self, local: &'static str) -> Result<u32, XmlError> {
        self.required(local)?
            .trim()
            .parse()
            .map_err(|_| XmlError::Value(local))
    }

    /// The number in an attribute that may be there.
    pub(crate) fn number_opt(&self, local: &'static str) -> Result<Option<u32>, XmlError> {
        let Some(text) = self.attribute(local) else {
            return Ok(None);
        };
        text.trim()
            .parse()
            .map(Some)
            .map_err(|_| XmlError::Value(local))
    }

    /// The type of typed content: the local part of `xsi:type`.
    #[must_use]
    pub fn xsi_type(&self) -> Option<&str> {
        let found = self
            .attributes
            .iter()
            .find(|a| a.local == "type" && &*a.namespace == ns::XSI)?;
        Some(found.value.rsplit(':').next().unwrap_or(&found.value))
    }

    /// Child elements in order.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// Child elements with this local name.
    pub fn named<'a>(&'a self, local: &'a str) -> impl Iterator<Item = &'a Self> {
        self.elements()
            .filter(move |element| element.local == local)
    }

    /// The first child with this local name.
    #[must_use]
    pub fn child(&self, local: &str) -> Option<&Self> {
        self.elements().find(|element| element.local == local)
    }

    /// The text of this element alone.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for node in &self.children {
            if let Node::Text(part) = node {
                text.push_str(part);
            }
        }
        text
    }

    /// The trimmed text of the first child with this name, or empty.
    #[must_use]
    pub fn child_text(&self, local: &str) -> String {
        self.child(local)
            .map(|child| child.text().trim().to_owned())
            .unwrap_or_default()
    }

    /// Whether this is the element of that name in that namespace.
    #[must_use]
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local == local && &*self.namespace == namespace
    }

    /// This element as text that stands alone: every prefix that it uses is declared in it.
    #[must_use]
    pub fn to_xml(&self) -> String {
        self.to_xml_within(usize::MAX).unwrap_or_default()
    }

    /// As [`Element::to_xml`]; `None` as soon as it would be longer than so many bytes. What stands
    /// alone repeats namespaces, so it can be much longer than what was read.
    #[must_use]
    pub fn to_xml_within(&self, bytes_max: usize) -> Option<String> {
        let mut out = String::with_capacity(256);
        self.write(&mut out, &mut Vec::new(), bytes_max);
        (out.len() <= bytes_max).then_some(out)
    }

    fn write<'a>(&'a self, out: &mut String, scope: &mut Vec<(&'a str, &'a str)>, max: usize) {
        if out.len() > max {
            // It is thrown away anyway.
            return;
        }
        let depth = scope.len();
        let mut declare: Vec<(&str, &str)> = Vec::new();
        let bound = |scope: &[(&str, &str)], prefix: &str| -> Option<String> {
            scope
                .iter()
                .rev()
                .find(|(p, _)| *p == prefix)
                .map(|(_, uri)| (*uri).to_owned())
        };
        let need = |scope: &mut Vec<(&'a str, &'a str)>,
                    declare: &mut Vec<(&'a str, &'a str)>,
                    prefix: &'a str,
                    uri: &'a str| {
            let now = bound(scope, prefix).unwrap_or_default();
            if prefix != "xml" && now != uri {
                scope.push((prefix, uri));
                declare.push((prefix, uri));
            }
        };
        need(scope, &mut declare, &self.prefix, &self.namespace);
        for attribute in self.attributes.iter().filter(|a| !a.prefix.is_empty()) {
            need(scope, &mut declare, &attribute.prefix, &attribute.namespace);
        }
        // A prefix may be used in a value alone (xsi:type), so what was declared here stays declared.
        for (prefix, uri) in &self.declarations {
            if !declare.iter().any(|(p, _)| p == prefix) {
                need(scope, &mut declare, prefix, uri);
            }
        }
        out.push('<');
        self.write_name(out);
        for (prefix, uri) in declare {
            out.push_str(" xmlns");
            if !prefix.is_empty() {
                out.push(':');
                out.push_str(prefix);
            }
            out.push_str("=\"");
            escape_attribute(out, uri);
            out.push('"');
        }
        for attribute in &self.attributes {
            out.push(' ');
            if !attribute.prefix.is_empty() {
                out.push_str(&attribute.prefix);
                out.push(':');
            }
            out.push_str(&attribute.local);
            out.push_str("=\"");
            escape_attribute(out, &attribute.value);
            out.push('"');
        }
        if self.children.is_empty() {
            out.push_str("/>");
        } else {
            out.push('>');
            for node in &self.children {
                match node {
                    Node::Element(element) => element.write(out, scope, max),
                    Node::Text(text) => escape_text(out, text),
                }
            }
            out.push_str("</");
            self.write_name(out);
            out.push('>');
        }
        scope.truncate(depth);
    }

    fn write_name(&self, out: &mut String) {
        if !self.prefix.is_empty() {
            out.push_str(&self.prefix);
            out.push(':');
        }
        out.push_str(&self.local);
    }
}

#[derive(Default)]
struct Builder {
    stack: Vec<Element>,
    /// Declarations in force, and how many of them stood before each open element.
    scope: Vec<(String, Arc<str>)>,
    marks: Vec<usize>,
    root: Option<Element>,
    elements: usize,
}

impl Builder {
    fn read(mut self, text: &str) -> Result<Element, XmlError> {
        let mut reader = Reader::from_str(text);
        loop {
            let at = reader.buffer_position();
            let event = reader.read_event().map_err(|_| XmlError::Malformed(at))?;
            match event {
                Event::Start(start) => self.start(&start, at)?,
                Event::Empty(start) => {
                    self.start(&start, at)?;
                    self.end();
                }
                Event::End(_) => self.end(),
                Event::Text(text) => self.text(&text.xml10_content(), at)?,
                Event::CData(data) => self.text(&data.xml10_content(), at)?,
                Event::GeneralRef(reference) => {
                    if reference.is_char_ref() {
                        let c = reference.resolve_char_ref().ok().flatten();
                        let c = c
                            .filter(|c| is_xml_char(*c))
                            .ok_or(XmlError::Malformed(at))?;
                        self.text(c.encode_utf8(&mut [0; 4]), at)?;
                    } else {
                        let c = match &*reference.xml10_content() {
                            "lt" => "<",
                            "gt" => ">",
                            "amp" => "&",
                            "apos" => "'",
                            "quot" => "\"",
                            _ => return Err(XmlError::Entity),
                        };
                        self.text(c, at)?;
                    }
                }
                Event::DocType(_) => return Err(XmlError::DocumentType),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                Event::Eof => break,
            }
        }
        match self.root {
            Some(root) if self.stack.is_empty() => Ok(root),
            _ => Err(XmlError::Malformed(
                u64::try_from(text.len()).unwrap_or(u64::MAX),
            )),
        }
    }

    fn start(&mut self, start: &BytesStart<'_>, at: u64) -> Result<(), XmlError> {
        if self.stack.len() >= XML_DEPTH_MAX {
            return Err(XmlError::TooDeep);
        }
        self.elements = self.elements.saturating_add(1);
        if self.elements > XML_ELEMENTS_MAX {
            return Err(XmlError::TooMany);
        }
        if self.stack.is_empty() && self.root.is_some() {
            return Err(XmlError::Malformed(at));
        }
        self.marks.push(self.scope.len());
        let mut element = Element::default();
        let mut raw: Vec<(&str, String)> = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| XmlError::Malformed(at))?;
            if raw.len().saturating_add(element.declarations.len()) >= XML_ATTRIBUTES_MAX {
                return Err(XmlError::TooMany);
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|_| XmlError::Entity)?
                .into_owned();
            if !value.chars().all(is_xml_char) || attribute.value.contains('<') {
                return Err(XmlError::Malformed(at));
            }
            let key = attribute.key.0;
            if key == "xmlns" {
                element.declarations.push((String::new(), value.into()));
            } else if let Some(prefix) = key.strip_prefix("xmlns:") {
                if !is_name(prefix) || value.is_empty() {
                    return Err(XmlError::Malformed(at));
                }
                element.declarations.push((prefix.to_owned(), value.into()));
            } else {
                raw.push((key, value));
            }
        }
        if element
            .declarations
            .iter()
            .any(|(_, uri)| uri.len() > XML_NAMESPACE_BYTES_MAX)
        {
            return Err(XmlError::TooLarge);
        }
        self.scope.extend(element.declarations.iter().cloned());
        if self.scope.len() > XML_DECLARATIONS_MAX {
            return Err(XmlError::TooMany);
        }
        let name = start.name();
        (element.prefix, element.local) = split_name(name.0, at)?;
        element.namespace = self.resolve(&element.prefix, true)?;
        for (key, value) in raw {
            let (prefix, local) = split_name(key, at)?;
            let namespace = self.resolve(&prefix, false)?;
            element.attributes.push(Attribute {
                prefix,
                local,
                namespace,
                value,
            });
        }
        self.stack.push(element);
        Ok(())
    }

    fn end(&mut self) {
        self.scope.truncate(self.marks.pop().unwrap_or(0));
        let Some(element) = self.stack.pop() else {
            return;
        };
        match self.stack.last_mut() {
            Some(parent) => parent.children.push(Node::Element(element)),
            None => self.root = Some(element),
        }
    }

    fn text(&mut self, text: &str, at: u64) -> Result<(), XmlError> {
        if !text.chars().all(is_xml_char) {
            return Err(XmlError::Malformed(at));
        }
        let Some(parent) = self.stack.last_mut() else {
            let blank = text.chars().all(|c| c.is_ascii_whitespace());
            return if blank {
                Ok(())
            } else {
                Err(XmlError::Malformed(at))
            };
        };
        if let Some(Node::Text(before)) = parent.children.last_mut() {
            before.push_str(text);
        } else if !text.is_empty() {
            parent.children.push(Node::Text(text.to_owned()));
        }
        Ok(())
    }

    fn resolve(&self, prefix: &str, element: bool) -> Result<Arc<str>, XmlError> {
        if prefix == "xml" {
            return Ok("http://www.w3.org/XML/1998/namespace".into());
        }
        if prefix.is_empty() && !element {
            return Ok("".into());
        }
        match self.scope.iter().rev().find(|(p, _)| p == prefix) {
            Some((_, uri)) => Ok(Arc::clone(uri)),
            None if prefix.is_empty() => Ok("".into()),
            None => Err(XmlError::Prefix),
        }
    }
}

fn split_name(name: &str, at: u64) -> Result<(String, String), XmlError> {
    let (prefix, local) = name.split_once(':').unwrap_or(("", name));
    if !is_name(local) || (!prefix.is_empty() && !is_name(prefix)) || name.starts_with(':') {
        return Err(XmlError::Malformed(at));
    }
    Ok((prefix.to_owned(), local.to_owned()))
}

/// A name without colon, so that what we read can be written again safely.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// XML 1.0, section 2.2.
pub(crate) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
