// SPDX-License-Identifier: MIT OR Apache-2.0
//! `;name=value` parameters of URIs and headers.

use std::borrow::Cow;

use crate::scan::{split_outside, trim, unquote};

/// Parameters, read when they are asked for. Names are case-insensitive, the first of a name counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    text: &'a str,
}

impl<'a> Params<'a> {
    /// Reads `;a=b;c`, with or without the first semicolon.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let text = trim(text);
        Params {
            text: text.strip_prefix(';').unwrap_or(text),
        }
    }

    /// The value of a parameter, without its quotes (escapes stay: see [`unescape`]). A parameter
    /// without a value gives an empty text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.unwrap_or_default())
    }

    /// True when the parameter is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All parameters in order: name, and value without its quotes.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        let mut rest = Some(self.text);
        std::iter::from_fn(move || {
            loop {
                let (one, tail) = split_outside(rest?, b';');
                rest = tail;
                let one = trim(one);
                if one.is_empty() {
                    continue;
                }
                let Some((name, value)) = one.split_once('=') else {
                    return Some((one, None));
                };
                let value = trim(value);
                return Some((trim(name), Some(unquote(value).unwrap_or(value))));
            }
        })
    }

    /// The text of all parameters, without the first semicolon.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.text
    }
}

/// Undoes the backslashes of a quoted string.
#[must_use]
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' {
            chars.next().unwrap_or('\\')
        } else {
            c
        });
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_semicolons_and_equal_signs_inside_quotes() {
        let p = Params::new(
            r#"; A = 1 ;b;c="x;y=\"z\"" ; +sip.instance="<urn:uuid:0>";gruu="sip:a;gruu""#,
        );
        assert_eq!(p.get("a"), Some("1"));
        assert_eq!(p.get("B"), Some(""));
        assert_eq!(p.get("c"), Some(r#"x;y=\"z\""#));
        assert_eq!(unescape(p.get("c").unwrap()), r#"x;y="z""#);
        assert_eq!(p.get("+sip.instance"), Some("<urn:uuid:0>"));
        assert_eq!(p.get("gruu"), Some("sip:a;gruu"));
        assert_eq!(p.get("d"), None);
        assert_eq!(p.iter().count(), 5);
    }

    #[test]
    fn the_first_parameter_of_a_name_counts() {
        assert_eq!(Params::new("tag=1;TAG=2").get("tag"), Some("1"));
    }
}
