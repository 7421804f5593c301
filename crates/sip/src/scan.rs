// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small readers of header text: tokens, quotes, lists.

use memchr::{memchr, memchr2, memchr3};

/// The bytes of an RFC 3261 token.
const TOKEN: [bool; 256] = token_table();

/// Evaluated by the compiler only.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn token_table() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
            );
        byte += 1;
    }
    table
}

/// True for the bytes of an RFC 3261 token.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or(false)
}

pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Removes the white space of SIP (space and tab; folding is undone before).
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Where `wanted` first stands outside quotes and angle brackets. What follows a quote or bracket
/// that is never closed counts as inside.
pub(crate) fn find_outside(text: &str, wanted: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0usize;
    loop {
        let rest = bytes.get(at..)?;
        let found = memchr3(wanted, b'"', b'<', rest)?;
        at = at.checked_add(found)?;
        match rest.get(found)? {
            b'"' => at = at.checked_add(quoted_len(rest.get(found..)?)?)?,
            b'<' => {
                at = at
                    .checked_add(memchr(b'>', rest.get(found..)?)?)?
                    .checked_add(1)?
            }
            _ => return Some(at),
        }
    }
}

/// The length of the quoted string that the text starts with, both quotes included.
pub(crate) fn quoted_len(text: &[u8]) -> Option<usize> {
    let mut at = 1usize;
    loop {
        let rest = text.get(at..)?;
        let found = memchr2(b'"', b'\\', rest)?;
        at = at.checked_add(found)?.checked_add(1)?;
        if rest.get(found) == Some(&b'"') {
            return Some(at);
        }
        at = at.checked_add(1)?;
    }
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
    let length = text
        .starts_with('"')
        .then(|| quoted_len(text.as_bytes()))??;
    (length == text.len()).then(|| text.strip_prefix('"')?.strip_suffix('"'))?
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
