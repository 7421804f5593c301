// SPDX-License-Identifier: MIT OR Apache-2.0
//! A person's address, in the one form in which we compare and store it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits::URI_BYTES_MAX;

const SCHEME: &str = "sip:";

/// A person's address, lower-case: `user@domain`, kept with its `sip:` scheme.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonUri(Arc<str>);

/// Why a text is not a person's address.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PersonUriError {
    /// Longer than [`URI_BYTES_MAX`].
    #[error("the address is too long")]
    TooLong,
    /// There is not exactly one `@` with text on both sides.
    #[error("the address is not of the form user@domain")]
    NotUserAtDomain,
    /// A character that no address here has.
    #[error("the address has a character that is not allowed")]
    Character,
    /// A scheme other than `sip`.
    #[error("the scheme is not sip")]
    Scheme,
}

impl PersonUri {
    /// Reads an address with or without `sip:`, in any case; URI parameters and headers are refused.
    ///
    /// # Errors
    /// When the text is not `user@domain`.
    pub fn parse(text: &str) -> Result<Self, PersonUriError> {
        let text = text.trim();
        if text.len() > URI_BYTES_MAX {
            return Err(PersonUriError::TooLong);
        }
        let bare = match text.get(..SCHEME.len()) {
            Some(head) if head.eq_ignore_ascii_case(SCHEME) => text.get(SCHEME.len()..),
            _ => Some(text),
        }
        .unwrap_or_default();
        let (user, domain) = bare
            .split_once('@')
            .ok_or(PersonUriError::NotUserAtDomain)?;
        if user.is_empty() || domain.is_empty() || domain.contains('@') {
            return Err(PersonUriError::NotUserAtDomain);
        }
        if user.contains(':') || domain.contains(':') {
            return Err(PersonUriError::Scheme);
        }
        let allowed = |c: char| c.is_alphanumeric() || "-_.!~*'+$&=%".contains(c);
        let in_domain = |c: char| c.is_alphanumeric() || c == '-' || c == '.' || c == '_';
        if !user.chars().all(allowed) || !domain.chars().all(in_domain) {
            return Err(PersonUriError::Character);
        }
        let mut whole = String::with_capacity(SCHEME.len().saturating_add(bare.len()));
        whole.push_str(SCHEME);
        whole.extend(bare.chars().flat_map(char::to_lowercase));
        Ok(Self(whole.into()))
    }

    /// With its scheme: `sip:alice@contoso.test`.
    #[must_use]
    pub fn sip(&self) -> &str {
        &self.0
    }

    /// Without scheme: `alice@contoso.test`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.0.get(SCHEME.len()..).unwrap_or_default()
    }

    /// The part before `@`.
    #[must_use]
    pub fn user(&self) -> &str {
        self.address().split_once('@').map_or("", |(user, _)| user)
    }

    /// The part behind `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.address()
            .split_once('@')
            .map_or("", |(_, domain)| domain)
    }
}

impl FromStr for PersonUri {
    type Err = PersonUriError;

    fn from_str(text: &str) -> Result<Self, PersonUriError> {
        Self::parse(text)
    }
}

impl fmt::Display for PersonUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.address())
    }
}

impl fmt::Debug for PersonUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PersonUri({})", self.address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_and_case_do_not_make_another_person() {
        let plain = PersonUri::parse("Bob@Contoso.Test").expect("address");
        assert_eq!(
            plain,
            PersonUri::parse("sip:bob@contoso.test").expect("address")
        );
        assert_eq!(
            plain,
            PersonUri::parse("SIP:BOB@contoso.test").expect("address")
        );
        assert_eq!(plain.sip(), "sip:bob@contoso.test");
        assert_eq!((plain.user(), plain.domain()), ("bob", "contoso.test"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        use PersonUriError as E;
        for (text, error) in [
            ("", E::NotUserAtDomain),
            ("bob", E::NotUserAtDomain),
            ("@contoso.test", E::NotUserAtDomain),
            ("bob@", E::NotUserAtDomain),
            ("a@b@c", E::NotUserAtDomain),
            ("tel:1@b", E::Scheme),
            ("bob@contoso.test;gruu", E::Character),
            ("bob@contoso.test?x=y", E::Character),
            ("bo b@contoso.test", E::Character),
            ("bob@<contoso>", E::Character),
        ] {
            assert_eq!(PersonUri::parse(text), Err(error), "{text}");
        }
        let long = format!("{}@b", "a".repeat(URI_BYTES_MAX));
        assert_eq!(PersonUri::parse(&long), Err(E::TooLong));
    }
}
