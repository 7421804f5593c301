// SPDX-License-Identifier: MIT OR Apache-2.0
//! A view of one element of a document.

use std::fmt;
use std::ops::Range;

use super::read::{Attribute, Content, Document, Node};

/// One element. Copy it freely: it is a reference.
#[derive(Clone, Copy)]
pub struct Element<'d> {
    document: &'d Document<'d>,
    node: &'d Node,
    index: usize,
}

impl<'d> Element<'d> {
    pub(super) fn new(document: &'d Document<'d>, index: usize) -> Self {
        #[allow(
            clippy::indexing_slicing,
            reason = "indexes are made by the builder of this document"
        )]
        let node = &document.nodes[index];
        Self {
            document,
            node,
            index,
        }
    }

    /// The local name.
    #[must_use]
    pub fn local(self) -> &'d str {
        self.slice(&self.node.local)
    }

    /// The prefix as written, or nothing.
    #[must_use]
    pub fn prefix(self) -> &'d str {
        self.slice(&self.node.prefix)
    }

    /// The namespace, or an empty text.
    #[must_use]
    pub fn namespace(self) -> &'d str {
        self.namespace_text(self.node.namespace)
    }

    /// Whether this is the element `local` of `namespace`.
    #[must_use]
    pub fn is(self, namespace: &str, local: &str) -> bool {
        self.local() == local && self.namespace() == namespace
    }

    /// The value of an attribute without prefix.
    #[must_use]
    pub fn attribute(self, local: &str) -> Option<&'d str> {
        self.attribute_of("", local)
    }

    /// The value of an attribute of a namespace.
    #[must_use]
    pub fn attribute_of(self, namespace: &str, local: &str) -> Option<&'d str> {
        self.node
            .attributes
            .iter()
            .find(|a| a.local == local && self.namespace_text(a.namespace) == namespace)
            .map(|a| a.value.as_str())
    }

    /// The child elements, in order.
    #[must_use]
    pub fn children(self) -> Children<'d> {
        Children {
            parent: self,
            next: 0,
        }
    }

    /// The first child with this local name, of whatever namespace.
    #[must_use]
    pub fn child(self, local: &str) -> Option<Element<'d>> {
        self.children().find(|child| child.local() == local)
    }

    /// The first child `local` of `namespace`.
    #[must_use]
    pub fn child_of(self, namespace: &str, local: &str) -> Option<Element<'d>> {
        self.children().find(|child| child.is(namespace, local))
    }

    /// Walks down by local names.
    #[must_use]
    pub fn path(self, locals: &[&str]) -> Option<Element<'d>> {
        locals
            .iter()
            .try_fold(self, |element, local| element.child(local))
    }

    /// This element and all below it, in document order.
    #[must_use]
    pub fn descendants(self) -> Descendants<'d> {
        Descendants {
            document: self.document,
            next: self.index,
            end: self.node.outer.end,
        }
    }

    /// The text directly inside this element.
    #[must_use]
    pub fn text(self) -> String {
        let mut out = String::new();
        for content in &self.node.content {
            if let Content::Text(text) = content {
                out.push_str(text);
            }
        }
        out
    }

    /// The text directly inside this element without white space around it.
    #[must_use]
    pub fn trimmed_text(self) -> String {
        let text = self.text();
        text.trim_matches([' ', '\t', '\r', '\n']).to_owned()
    }

    /// The element as received, with its tags.
    #[must_use]
    pub fn outer(self) -> &'d str {
        self.slice(&self.node.outer)
    }

    /// What stands between the tags, as received.
    #[must_use]
    pub fn inner(self) -> &'d str {
        self.slice(&self.node.inner)
    }

    /// Where [`Self::inner`] stands in the document.
    #[must_use]
    pub fn inner_range(self) -> Range<usize> {
        self.node.inner.clone()
    }

    pub(super) fn attributes(self) -> &'d [Attribute] {
        &self.node.attributes
    }

    pub(super) fn content(self) -> &'d [Content] {
        &self.node.content
    }

    pub(super) fn at(self, index: usize) -> Element<'d> {
        Element::new(self.document, index)
    }

    pub(super) fn namespace_text(self, index: usize) -> &'d str {
        self.document
            .namespaces
            .get(index)
            .map_or("", String::as_str)
    }

    fn slice(self, range: &Range<usize>) -> &'d str {
        self.document.source.get(range.clone()).unwrap_or("")
    }
}

impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Element({{{}}}{})", self.namespace(), self.local())
    }
}

/// Iterator over child elements.
#[derive(Debug, Clone)]
pub struct Children<'d> {
    parent: Element<'d>,
    next: usize,
}

impl<'d> Iterator for Children<'d> {
    type Item = Element<'d>;

    fn next(&mut self) -> Option<Element<'d>> {
        loop {
            let content = self.parent.node.content.get(self.next)?;
            self.next += 1;
            if let Content::Element(index) = content {
                return Some(self.parent.at(*index));
            }
        }
    }
}

/// Iterator over an element and all below it.
#[derive(Debug, Clone)]
pub struct Descendants<'d> {
    document: &'d Document<'d>,
    next: usize,
    end: usize,
}

impl<'d> Iterator for Descendants<'d> {
    type Item = Element<'d>;

    fn next(&mut self) -> Option<Element<'d>> {
        // Nodes lie in document order: everything below begins before this element ends.
        let node = self.document.nodes.get(self.next)?;
        if node.outer.start >= self.end {
            return None;
        }
        let element = Element::new(self.document, self.next);
        self.next += 1;
        Some(element)
    }
}
