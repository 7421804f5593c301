// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses with a display name and parameters: From, To, Contact, P-Asserted-Identity.

use std::borrow::Cow;

use crate::instance::InstanceId;
use crate::params::{Params, unescape};
use crate::scan::{is_token_byte, quoted_len, trim, unquote};
use crate::uri::{SipUri, UriError};

/// Why an address could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameAddrError {
    /// A quote or an angle bracket is never closed.
    #[error("unterminated quote or bracket")]
    Unterminated,
    /// The display name is neither a quoted string nor a row of tokens.
    #[error("display name is malformed")]
    DisplayName,
    /// The URI is empty or holds a space, a quote or a bracket.
    #[error("address holds no URI")]
    Uri,
    /// Something other than parameters follows the address.
    #[error("unexpected text after the address")]
    Trailing,
}

/// `"Display" <uri>;param=value`, borrowed from the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    display: Option<&'a str>,
    /// The URI as it stands, without brackets. It may have any scheme.
    pub uri: &'a str,
    /// The parameters of the header (those of the URI stay in it when brackets were used).
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one address (lists are split with [`crate::split_list`] before).
    ///
    /// # Errors
    /// What is malformed.
    pub fn parse(value: &'a str) -> Result<NameAddr<'a>, NameAddrError> {
        let value = trim(value);
        if value.starts_with('"') {
            let end = quoted_len(value.as_bytes()).ok_or(NameAddrError::Unterminated)?;
            let (display, rest) = value
                .split_at_checked(end)
                .ok_or(NameAddrError::Unterminated)?;
            let rest = trim(rest).strip_prefix('<').ok_or(NameAddrError::Uri)?;
            return Self::bracketed(unquote(display).filter(|d| !d.is_empty()), rest);
        }
        if let Some((display, rest)) = value.split_once('<') {
            let display = trim(display);
            // Clients send unquoted names in other scripts; only what would be ambiguous is refused.
            let is_name_byte = |b| is_token_byte(b) || matches!(b, b' ' | b'\t' | 0x80..);
            if !display.bytes().all(is_name_byte) {
                return Err(NameAddrError::DisplayName);
            }
            return Self::bracketed((!display.is_empty()).then_some(display), rest);
        }
        // Without brackets every parameter belongs to the header (RFC 3261, 20.10).
        let (uri, params) = match value.split_once(';') {
            Some((uri, params)) => (trim(uri), params),
            None => (value, ""),
        };
        // A comma or question mark is not allowed here without brackets (RFC 3261, 20).
        if !is_uri_text(uri) || uri.contains([',', '?']) {
            return Err(NameAddrError::Uri);
        }
        Ok(NameAddr {
            display: None,
            uri,
            params: Params::new(params),
        })
    }

    fn bracketed(display: Option<&'a str>, rest: &'a str) -> Result<Self, NameAddrError> {
        let (uri, tail) = rest.split_once('>').ok_or(NameAddrError::Unterminated)?;
        let tail = trim(tail);
        if !is_uri_text(uri) {
            return Err(NameAddrError::Uri);
        }
        if !tail.is_empty() && !tail.starts_with(';') {
            return Err(NameAddrError::Trailing);
        }
        Ok(NameAddr {
            display,
            uri,
            params: Params::new(tail),
        })
    }

    /// The display name with its escapes undone.
    #[must_use]
    pub fn display(&self) -> Option<Cow<'a, str>> {
        self.display.map(unescape)
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&'a str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// The endpoint's `epid` parameter.
    #[must_use]
    pub fn epid(&self) -> Option<&'a str> {
        self.params.get("epid").filter(|epid| !epid.is_empty())
    }

    /// The endpoint's `+sip.instance` parameter.
    #[must_use]
    pub fn instance(&self) -> Option<InstanceId> {
        InstanceId::parse(self.params.get("+sip.instance")?).ok()
    }

    /// The URI, taken apart.
    ///
    /// # Errors
    /// When it is no `sip:` or `sips:` URI.
    pub fn sip_uri(&self) -> Result<SipUri, UriError> {
        SipUri::parse(self.uri)
    }

    /// True for a URI with this scheme, in any case.
    #[must_use]
    pub fn has_scheme(&self, scheme: &str) -> bool {
        self.uri
            .split_once(':')
            .is_some_and(|(s, _)| s.eq_ignore_ascii_case(scheme))
    }
}

fn is_uri_text(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
        && text
            .bytes()
            .all(|b| b > b' ' && b != 0x7f && !matches!(b, b'<' | b'>' | b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_decide_whose_parameters_they_are() {
        let a = NameAddr::parse("<sip:a@b;transport=tls>;tag=1;epid=2").unwrap();
        assert_eq!(
            (a.uri, a.tag(), a.epid()),
            ("sip:a@b;transport=tls", Some("1"), Some("2"))
        );
        let a = NameAddr::parse("sip:a@b;tag=1").unwrap();
        assert_eq!((a.uri, a.tag()), ("sip:a@b", Some("1")));
    }

    #[test]
    fn display_names_are_unescaped() {
        let a = NameAddr::parse(r#" "J Rosenberg \\\"<>" <sip:j@b> ; tag = 98 "#).unwrap();
        assert_eq!(a.display().as_deref(), Some(r#"J Rosenberg \"<>"#));
        assert_eq!(a.tag(), Some("98"));
        let a = NameAddr::parse("Bob der Baumeister <sip:b@b>").unwrap();
        assert_eq!(a.display().as_deref(), Some("Bob der Baumeister"));
        assert_eq!(NameAddr::parse("<sip:b@b>").unwrap().display(), None);
    }

    #[test]
    fn malformed_addresses_are_told_apart() {
        for (value, error) in [
            (r#""Mr. J. User <sip:j@b>"#, NameAddrError::Unterminated),
            ("<sip:j@b", NameAddrError::Unterminated),
            ("Bell, Alexander <sip:a@b>", NameAddrError::DisplayName),
            ("< sip:a@b >", NameAddrError::Uri),
            ("\"x\" sip:a@b", NameAddrError::Uri),
            ("", NameAddrError::Uri),
            ("alice", NameAddrError::Uri),
            ("sip:a@b?Route=x", NameAddrError::Uri),
            ("<sip:a@b> tag=1", NameAddrError::Trailing),
        ] {
            assert_eq!(NameAddr::parse(value), Err(error), "{value}");
        }
    }
}
