// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exclusive canonical XML 1.0 without comments, for an element and what is below it.
//!
//! There is no list of inclusive prefixes: no document of ours has one, and a signature that
//! asks for one is refused where it is read.

use super::element::Element;
use super::read::{Attribute, Content};
use crate::names;

/// Declarations that the output ancestors of an element have written.
type Rendered<'d> = Vec<(&'d str, &'d str)>;

/// The canonical form of `element`.
#[must_use]
pub fn canonical(element: Element<'_>) -> String {
    let mut out = String::with_capacity(element.outer().len());
    write_element(element, &mut Vec::new(), &mut out);
    out
}

// Recursion is bounded by the reader's DEPTH_MAX.
fn write_element<'d>(element: Element<'d>, rendered: &mut Rendered<'d>, out: &mut String) {
    let outside = rendered.len();
    out.push('<');
    push_name(element.prefix(), element.local(), out);
    for (prefix, uri) in needed(element, rendered) {
        out.push_str(if prefix.is_empty() {
            " xmlns"
        } else {
            " xmlns:"
        });
        out.push_str(prefix);
        out.push_str("=\"");
        push_attribute(uri, out);
        out.push('"');
        rendered.push((prefix, uri));
    }
    for attribute in in_order(element) {
        out.push(' ');
        push_name(&attribute.prefix, &attribute.local, out);
        out.push_str("=\"");
        push_attribute(&attribute.value, out);
        out.push('"');
    }
    out.push('>');
    for content in element.content() {
        match content {
            Content::Element(index) => write_element(element.at(*index), rendered, out),
            Content::Text(text) => push_text(text, out),
        }
    }
    out.push_str("</");
    push_name(element.prefix(), element.local(), out);
    out.push('>');
    rendered.truncate(outside);
}

/// [exc-c14n] 3: declarations of the prefixes that the element visibly uses and that no output
/// ancestor has in force, sorted by prefix.
fn needed<'d>(element: Element<'d>, rendered: &Rendered<'d>) -> Rendered<'d> {
    let mut used: Rendered<'d> = vec![(element.prefix(), element.namespace())];
    for attribute in element.attributes() {
        if !attribute.prefix.is_empty() {
            used.push((
                &attribute.prefix,
                element.namespace_text(attribute.namespace),
            ));
        }
    }
    used.retain(|(prefix, uri)| {
        let in_force = rendered.iter().rev().find(|(other, _)| other == prefix);
        match in_force {
            Some((_, other)) => other != uri,
            // An empty default namespace is written only to undo another one.
            None => !uri.is_empty() && *uri != names::XML,
        }
    });
    used.sort_unstable();
    used.dedup();
    used
}

/// [c14n] 2.2: attributes by namespace, then by local name.
fn in_order(element: Element<'_>) -> Vec<&Attribute> {
    let mut attributes: Vec<&Attribute> = element.attributes().iter().collect();
    attributes.sort_by_key(|a| (element.namespace_text(a.namespace), a.local.as_str()));
    attributes
}

fn push_name(prefix: &str, local: &str, out: &mut String) {
    if !prefix.is_empty() {
        out.push_str(prefix);
        out.push(':');
    }
    out.push_str(local);
}

fn push_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#xD;"),
            _ => out.push(c),
        }
    }
}

fn push_attribute(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
#[path = "c14n_tests.rs"]
mod tests;
