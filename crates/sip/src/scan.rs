// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small readers of header text: tokens, quotes, lists.

/// True for the bytes of an RFC 3261 token.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
        )
}

pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Removes the white space of SIP (space and tab; folding is undone before).
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Walks over a text and knows whether it is inside quotes or angle brackets.
#[derive(Clone, Copy, Default)]
pub(crate) struct Nesting {
    quoted: bool,
    escaped: bool,
    bracketed: bool,
}

impl Nesting {
    /// Takes one byte; true when that byte stands outside quotes and brackets.
    pub(crate) fn step(&mut self, byte: u8) -> bool {
        if self.quoted {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.quoted = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.quoted = true,
            b'<' => self.bracketed = true,
            b'>' => self.bracketed = false,
            _ => return !self.bracketed,
        }
        false
    }
}

/// Where `wanted` first stands outside quotes and brackets.
pub(crate) fn find_outside(text: &str, wanted: u8) -> Option<usize> {
    let mut nesting = Nesting::default();
    text.bytes()
        .position(|byte| nesting.step(byte) && byte == wanted)
}

/// Splits at `wanted`, giving `None` for the rest when it does not occur.
pub(crate) fn split_outside(text: &str, wanted: u8) -> (&str, Option<&str>) {
    match find_outside(text, wanted) {
        Some(at) => {
            let (head, tail) = text.split_at(at);
            (head, tail.get(1..))
        }
        None => (text, None),
    }
}

/// Splits a header value at the commas that stand outside quotes and angle brackets. Empty
/// elements are left out.
pub fn split_list(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        loop {
            let (element, tail) = split_outside(rest?, b',');
            rest = tail;
            let element = trim(element);
            if !element.is_empty() {
                return Some(element);
            }
        }
    })
}

/// The contents of a quoted string that makes up the whole text, escapes left in place.
pub(crate) fn unquote(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut escaped = false;
    for byte in inner.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return None,
            _ => {}
        }
    }
    (!escaped).then_some(inner)
}

/// Puts text between quotes, so that it reads back as it was. Control characters become spaces.
pub(crate) fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_ascii_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A header value that cannot leave its line: control characters become spaces.
pub(crate) fn clean(text: String) -> String {
    if text.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
        text.chars()
            .map(|c| {
                if c.is_ascii_control() && c != '\t' {
                    ' '
                } else {
                    c
                }
            })
            .collect()
    } else {
        text
    }
}

/// Decimal digits only (Rust's own parser would take a sign).
pub(crate) fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_outside_quotes_and_brackets_only() {
        let value = r#""a,\"b" <sip:x,y@z>;p="1,2", , sip:c@d ,e"#;
        let parts: Vec<_> = split_list(value).collect();
        assert_eq!(parts, [r#""a,\"b" <sip:x,y@z>;p="1,2""#, "sip:c@d", "e"]);
        assert_eq!(split_list("").count(), 0);
        assert_eq!(split_list(",,").count(), 0);
    }

    #[test]
    fn a_quoted_string_must_end_where_the_text_ends() {
        assert_eq!(unquote(r#""a\"b""#), Some(r#"a\"b"#));
        assert_eq!(unquote(r#""a"b""#), None);
        assert_eq!(unquote(r#""a\""#), None);
        assert_eq!(unquote("\""), None);
        assert_eq!(unquote("a"), None);
    }

    #[test]
    fn a_sign_is_no_digit() {
        assert_eq!(decimal::<u32>("+1"), None);
        assert_eq!(decimal::<u32>("007"), Some(7));
        assert_eq!(decimal::<u32>("4294967296"), None);
    }
}
