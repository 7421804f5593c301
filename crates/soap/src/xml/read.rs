// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reader: one pass over the text, every limit named, every namespace resolved.

use std::fmt;
use std::ops::Range;

use quick_xml::events::{BytesDecl, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::element::Element;
use crate::names;

/// Largest document that is read.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting of elements.
pub const DEPTH_MAX: usize = 32;
/// Most elements of one document.
pub const ELEMENTS_MAX: usize = 4096;
/// Most attributes (declarations of namespaces included) of one element.
pub const ATTRIBUTES_MAX: usize = 32;
/// Longest name of a namespace: canonical text repeats it on every element that uses it.
pub const NAMESPACE_BYTES_MAX: usize = 256;
/// Most different namespaces of one document.
pub const NAMESPACES_MAX: usize = 128;
/// Most declarations of namespaces that are in force at one place.
pub const DECLARATIONS_MAX: usize = 64;
/// Longest qualified name.
pub const NAME_BYTES_MAX: usize = 256;

/// Why a text is not an XML document that this crate reads.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// The document is longer than [`DOCUMENT_BYTES_MAX`].
    #[error("the document is too large")]
    TooLarge,
    /// Elements are nested deeper than [`DEPTH_MAX`].
    #[error("elements are nested too deeply")]
    TooDeep,
    /// There are more elements than [`ELEMENTS_MAX`].
    #[error("the document has too many elements")]
    TooManyElements,
    /// An element has more attributes than [`ATTRIBUTES_MAX`].
    #[error("an element has too many attributes")]
    TooManyAttributes,
    /// A document type declaration: refused, whatever it says.
    #[error("document types are refused")]
    DocumentType,
    /// A namespace is longer than `NAMESPACE_BYTES_MAX`, or there are more than `NAMESPACES_MAX`
    /// or, at one place, `DECLARATIONS_MAX`.
    #[error("the document has too many or too long namespaces")]
    TooManyNamespaces,
    /// A processing instruction.
    #[error("processing instructions are refused")]
    ProcessingInstruction,
    /// An entity other than the five of XML itself.
    #[error("entities are refused")]
    Entity,
    /// The declaration names another encoding than UTF-8 or another version than 1.0.
    #[error("the document is not XML 1.0 in UTF-8")]
    Encoding,
    /// A character that XML does not have.
    #[error("the document holds a character that XML does not have")]
    Character,
    /// A name that is not a name.
    #[error("an element or attribute has an impossible name")]
    Name,
    /// A prefix that nothing declares, or a declaration that is not allowed.
    #[error("a namespace prefix is not declared")]
    Namespace,
    /// The same attribute twice.
    #[error("an attribute stands twice on an element")]
    AttributeTwice,
    /// Not well-formed in another way.
    #[error("the document is not well-formed")]
    Malformed,
}

/// A parsed document. It borrows its text: slices of elements are the very bytes received.
pub struct Document<'a> {
    pub(super) source: &'a str,
    pub(super) nodes: Vec<Node>,
    pub(super) namespaces: Vec<String>,
}

/// An element as it is kept.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) prefix: Range<usize>,
    pub(super) local: Range<usize>,
    pub(super) namespace: usize,
    pub(super) attributes: Vec<Attribute>,
    pub(super) content: Vec<Content>,
    pub(super) outer: Range<usize>,
    pub(super) inner: Range<usize>,
}

/// An attribute that is no declaration of a namespace.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) prefix: String,
    pub(super) local: String,
    pub(super) namespace: usize,
    pub(super) value: String,
}

#[derive(Debug)]
pub(super) enum Content {
    Element(usize),
    Text(String),
}

/// Index of "no namespace" in the table.
pub(super) const NO_NAMESPACE: usize = 0;
/// Index of the namespace of the prefix `xml`.
const XML_NAMESPACE: usize = 1;

impl<'a> Document<'a> {
    /// Reads a document.
    pub fn parse(source: &'a str) -> Result<Self, XmlError> {
        let source = source.strip_prefix('\u{FEFF}').unwrap_or(source);
        if source.len() > DOCUMENT_BYTES_MAX {
            return Err(XmlError::TooLarge);
        }
        if !source.chars().all(is_xml_char) {
            return Err(XmlError::Character);
        }
        let mut builder = Builder::new(source);
        let mut reader = Reader::from_str(source);
        reader.config_mut().check_comments = true;
        loop {
            let before = offset(reader.buffer_position());
            let event = reader.read_event().map_err(|_| XmlError::Malformed)?;
            let span = before..offset(reader.buffer_position());
            match event {
                Event::Start(tag) => builder.start(&tag, span, false)?,
                Event::Empty(tag) => builder.start(&tag, span, true)?,
                Event::End(_) => builder.end(span)?,
                Event::Text(text) => builder.text(&text, true)?,
                Event::CData(text) => builder.text(&text, false)?,
                Event::GeneralRef(name) => builder.reference(&name)?,
                Event::Comment(_) => builder.comment()?,
                Event::Decl(declaration) => builder.declaration(&declaration, &span)?,
                Event::PI(_) => return Err(XmlError::ProcessingInstruction),
                Event::DocType(_) => return Err(XmlError::DocumentType),
                Event::Eof => break,
            }
        }
        builder.finish()
    }

    /// The root element.
    #[must_use]
    pub fn root(&self) -> Element<'_> {
        // `finish` lets no document through that has no element.
        Element::new(self, 0)
    }
}

// Documents carry tickets: the text is not printed.
impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Document({}, {} elements)",
            self.root().local(),
            self.nodes.len()
        )
    }
}

struct Builder<'a> {
    document: Document<'a>,
    open: Vec<Open>,
    /// Declarations in force: prefix and index into the table.
    scope: Vec<(String, usize)>,
    begun: bool,
}

struct Open {
    node: usize,
    scope_len: usize,
}

impl<'a> Builder<'a> {
    fn new(source: &'a str) -> Self {
        let namespaces = vec![String::new(), names::XML.to_owned()];
        Self {
            document: Document {
                source,
                nodes: Vec::new(),
                namespaces,
            },
            open: Vec::new(),
            scope: Vec::new(),
            begun: false,
        }
    }

    fn start(
        &mut self,
        tag: &BytesStart<'_>,
        span: Range<usize>,
        empty: bool,
    ) -> Result<(), XmlError> {
        if self.open.is_empty() && !self.document.nodes.is_empty() {
            return Err(XmlError::Malformed);
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(XmlError::TooDeep);
        }
        if self.document.nodes.len() >= ELEMENTS_MAX {
            return Err(XmlError::TooManyElements);
        }
        self.begun = true;
        let scope_len = self.scope.len();
        let attributes = self.attributes(tag)?;
        let qualified = tag.name();
        let name_at = span.start + 1;
        let (prefix, local) = split_name(qualified.as_ref())?;
        let namespace = self.resolve(prefix, true)?;
        let prefix_range = name_at..name_at + prefix.len();
        let local_start = if prefix.is_empty() {
            name_at
        } else {
            prefix_range.end + 1
        };
        let node = Node {
            local: local_start..local_start + local.len(),
            prefix: prefix_range,
            namespace,
            attributes,
            content: Vec::new(),
            inner: span.end..span.end,
            outer: span,
        };
        let index = self.document.nodes.len();
        // The slices are taken by position; what they hold must be what the reader saw.
        if self.document.source.get(node.local.clone()) != Some(local) {
            return Err(XmlError::Malformed);
        }
        self.document.nodes.push(node);
        if let Some(parent) = self.open.last() {
            self.push(parent.node, Content::Element(index));
        }
        if empty {
            self.scope.truncate(scope_len);
        } else {
            self.open.push(Open {
                node: index,
                scope_len,
            });
        }
        Ok(())
    }

    fn end(&mut self, span: Range<usize>) -> Result<(), XmlError> {
        let open = self.open.pop().ok_or(XmlError::Malformed)?;
        self.scope.truncate(open.scope_len);
        if let Some(node) = self.document.nodes.get_mut(open.node) {
            node.inner.end = span.start;
            node.outer.end = span.end;
        }
        Ok(())
    }

    fn text(&mut self, raw: &str, markup: bool) -> Result<(), XmlError> {
        let Some(open) = self.open.last() else {
            // Only white space may stand outside the root, and a CDATA section never.
            self.begun |= !raw.is_empty();
            return if markup && raw.chars().all(is_blank) {
                Ok(())
            } else {
                Err(XmlError::Malformed)
            };
        };
        if markup && raw.contains("]]>") {
            return Err(XmlError::Malformed);
        }
        let text = raw.replace("\r\n", "\n").replace('\r', "\n");
        self.push(open.node, Content::Text(text));
        Ok(())
    }

    fn reference(&mut self, name: &str) -> Result<(), XmlError> {
        let open = self.open.last().ok_or(XmlError::Malformed)?;
        let character = resolve_reference(name)?;
        self.push(open.node, Content::Text(character.to_string()));
        Ok(())
    }

    fn comment(&mut self) -> Result<(), XmlError> {
        self.begun = true;
        Ok(())
    }

    fn declaration(
        &mut self,
        declaration: &BytesDecl<'_>,
        span: &Range<usize>,
    ) -> Result<(), XmlError> {
        if self.begun || span.start != 0 {
            return Err(XmlError::Malformed);
        }
        self.begun = true;
        match declaration.xml_version() {
            Ok(XmlVersion::Explicit1_0) => {}
            _ => return Err(XmlError::Encoding),
        }
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") => Ok(()),
            Some(_) => Err(XmlError::Encoding),
        }
    }

    /// Takes the declarations of namespaces into scope and resolves the other attributes.
    fn attributes(&mut self, tag: &BytesStart<'_>) -> Result<Vec<Attribute>, XmlError> {
        let mut plain: Vec<(String, String, String)> = Vec::new();
        for (count, attribute) in tag.attributes().enumerate() {
            if count >= ATTRIBUTES_MAX {
                return Err(XmlError::TooManyAttributes);
            }
            let attribute = attribute.map_err(|error| match error {
                quick_xml::events::attributes::AttrError::Duplicated(..) => {
                    XmlError::AttributeTwice
                }
                _ => XmlError::Malformed,
            })?;
            let (prefix, local) = split_name(attribute.key.as_ref())?;
            let value = attribute_value(&attribute.value)?;
            match (prefix, local) {
                ("", "xmlns") => self.declare("", &value)?,
                ("xmlns", prefix) => self.declare(prefix, &value)?,
                _ => plain.push((prefix.to_owned(), local.to_owned(), value)),
            }
        }
        let mut attributes: Vec<Attribute> = Vec::with_capacity(plain.len());
        for (prefix, local, value) in plain {
            let namespace = self.resolve(&prefix, false)?;
            if attributes
                .iter()
                .any(|other| other.namespace == namespace && other.local == local)
            {
                return Err(XmlError::AttributeTwice);
            }
            attributes.push(Attribute {
                prefix,
                local,
                namespace,
                value,
            });
        }
        Ok(attributes)
    }

    fn declare(&mut self, prefix: &str, uri: &str) -> Result<(), XmlError> {
        let reserved = prefix == "xmlns" || (prefix == "xml") != (uri == names::XML);
        if reserved || (uri.is_empty() && !prefix.is_empty()) {
            return Err(XmlError::Namespace);
        }
        if uri.len() > NAMESPACE_BYTES_MAX || self.scope.len() >= DECLARATIONS_MAX {
            return Err(XmlError::TooManyNamespaces);
        }
        let known = self
            .document
            .namespaces
            .iter()
            .position(|other| other == uri);
        if known.is_none() && self.document.namespaces.len() >= NAMESPACES_MAX {
            return Err(XmlError::TooManyNamespaces);
        }
        let index = known.unwrap_or_else(|| {
            self.document.namespaces.push(uri.to_owned());
            self.document.namespaces.len() - 1
        });
        self.scope.push((prefix.to_owned(), index));
        Ok(())
    }

    fn resolve(&self, prefix: &str, element: bool) -> Result<usize, XmlError> {
        if prefix == "xml" {
            return Ok(XML_NAMESPACE);
        }
        // The default namespace is for elements; an attribute without prefix has none.
        if prefix.is_empty() && !element {
            return Ok(NO_NAMESPACE);
        }
        match self
            .scope
            .iter()
            .rev()
            .find(|(declared, _)| declared == prefix)
        {
            Some((_, index)) => Ok(*index),
            None if prefix.is_empty() => Ok(NO_NAMESPACE),
            None => Err(XmlError::Namespace),
        }
    }

    fn push(&mut self, node: usize, content: Content) {
        if let Some(node) = self.document.nodes.get_mut(node) {
            node.content.push(content);
        }
    }

    fn finish(self) -> Result<Document<'a>, XmlError> {
        if self.document.nodes.is_empty() || !self.open.is_empty() {
            return Err(XmlError::Malformed);
        }
        Ok(self.document)
    }
}

/// A position in a text that is in memory always fits.
fn offset(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

fn split_name(qualified: &str) -> Result<(&str, &str), XmlError> {
    if qualified.len() > NAME_BYTES_MAX {
        return Err(XmlError::Name);
    }
    let (prefix, local) = match qualified.split_once(':') {
        Some((prefix, local)) if is_name(prefix) => (prefix, local),
        Some(_) => return Err(XmlError::Name),
        None => ("", qualified),
    };
    if is_name(local) {
        Ok((prefix, local))
    } else {
        Err(XmlError::Name)
    }
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_');
    starts && chars.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '\u{B7}'))
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

pub(crate) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// XML 1.0, 3.3.3: white space becomes blanks, references are replaced.
fn attribute_value(raw: &str) -> Result<String, XmlError> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or("");
        match c {
            '<' => return Err(XmlError::Malformed),
            '\r' => {
                rest = rest.strip_prefix('\n').unwrap_or(rest);
                out.push(' ');
            }
            '\t' | '\n' => out.push(' '),
            '&' => {
                let (name, after) = rest.split_once(';').ok_or(XmlError::Malformed)?;
                out.push(resolve_reference(name)?);
                rest = after;
            }
            _ => out.push(c),
        }
    }
    Ok(out)
}

fn resolve_reference(name: &str) -> Result<char, XmlError> {
    match name {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "quot" => return Ok('"'),
        "apos" => return Ok('\''),
        _ => {}
    }
    let number = name.strip_prefix('#').ok_or(XmlError::Entity)?;
    let (digits, radix) = match number.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(XmlError::Malformed);
    }
    u32::from_str_radix(digits, radix)
        .ok()
        .and_then(char::from_u32)
        .filter(|c| is_xml_char(*c))
        .ok_or(XmlError::Character)
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
