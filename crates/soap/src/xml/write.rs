// SPDX-License-Identifier: MIT OR Apache-2.0
//! The writer: everything that is not markup is escaped.

/// Writes one document. Names come from our own code; values are escaped here.
#[derive(Debug, Default)]
pub struct XmlWriter {
    out: String,
    open: Vec<&'static str>,
}

impl XmlWriter {
    /// An empty document without declaration.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A document that begins with the XML declaration.
    #[must_use]
    pub fn with_declaration() -> Self {
        Self {
            out: String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"),
            open: Vec::new(),
        }
    }

    /// Opens an element.
    pub fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) -> &mut Self {
        self.start(name, attributes);
        self.out.push('>');
        self.open.push(name);
        self
    }

    /// Closes the element that was opened last.
    pub fn close(&mut self) -> &mut Self {
        if let Some(name) = self.open.pop() {
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
        self
    }

    /// Writes an element without content.
    pub fn empty(&mut self, name: &'static str, attributes: &[(&str, &str)]) -> &mut Self {
        self.start(name, attributes);
        self.out.push_str("/>");
        self
    }

    /// Writes an element with text.
    pub fn leaf(
        &mut self,
        name: &'static str,
        attributes: &[(&str, &str)],
        text: &str,
    ) -> &mut Self {
        self.open(name, attributes).text(text).close()
    }

    /// Writes escaped text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        escape_text(text, &mut self.out);
        self
    }

    /// Writes markup as it is. Only for text that this crate made or has parsed.
    pub(crate) fn raw(&mut self, markup: &str) -> &mut Self {
        self.out.push_str(markup);
        self
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Closes what is open and gives the document.
    #[must_use]
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.out.push('<');
        self.out.push_str(name);
        for (key, value) in attributes {
            self.out.push(' ');
            self.out.push_str(key);
            self.out.push_str("=\"");
            escape_attribute(value, &mut self.out);
            self.out.push('"');
        }
    }
}

/// Appends `text` as element content. Characters that XML cannot carry become U+FFFD.
pub fn escape_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#xD;"),
            c if super::read::is_xml_char(c) => out.push(c),
            _ => out.push('\u{FFFD}'),
        }
    }
}

/// Appends `text` as the value of an attribute in double quotes.
pub fn escape_attribute(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            c if super::read::is_xml_char(c) => out.push(c),
            _ => out.push('\u{FFFD}'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Document;
    use proptest::prelude::*;

    #[test]
    fn markup_in_values_stays_text() {
        let mut xml = XmlWriter::new();
        xml.open("a", &[("k", "<\"&\n>")])
            .leaf("b", &[], "]]></b><c/>")
            .empty("d", &[]);
        assert_eq!(
            xml.finish(),
            "<a k=\"&lt;&quot;&amp;&#xA;>\"><b>]]&gt;&lt;/b&gt;&lt;c/&gt;</b><d/></a>"
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(text in "[^\\p{Cc}\u{FFFE}\u{FFFF}]{0,60}", line in "[\t\r\n a-z]{0,12}") {
            let value = format!("{text}{line}");
            let mut xml = XmlWriter::new();
            xml.leaf("a", &[("k", &value)], &value);
            let source = xml.finish();
            let document = Document::parse(&source).unwrap();
            prop_assert_eq!(document.root().attribute("k"), Some(value.as_str()));
            prop_assert_eq!(document.root().text(), value);
        }
    }
}
