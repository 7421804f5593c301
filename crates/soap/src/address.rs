// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sign-in addresses as they stand in tickets and requests.

use std::fmt;

/// Longest sign-in address that is read.
pub const ADDRESS_BYTES_MAX: usize = 254;

/// A sign-in address `user@domain`, lower-cased, without `sip:`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(Box<str>);

/// Why a text is not a sign-in address.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`, or more than one.
    #[error("a sign-in address has exactly one @")]
    NoAt,
    /// The part before or behind the `@` is empty.
    #[error("a sign-in address has something on both sides of the @")]
    EmptyPart,
    /// It holds a character that no address has.
    #[error("a sign-in address has no blanks, control or reserved characters")]
    Character,
    /// It is longer than [`ADDRESS_BYTES_MAX`].
    #[error("the sign-in address is too long")]
    TooLong,
}

impl Address {
    /// Reads `user@domain`, with or without `sip:`, in any case.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let bare = match text.get(..4) {
            Some(scheme) if scheme.eq_ignore_ascii_case("sip:") => text.get(4..).unwrap_or(""),
            _ => text,
        };
        let bare = bare.to_lowercase();
        if bare.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        let (user, domain) = bare.split_once('@').ok_or(AddressError::NoAt)?;
        if domain.contains('@') {
            return Err(AddressError::NoAt);
        }
        if user.is_empty() || domain.is_empty() {
            return Err(AddressError::EmptyPart);
        }
        if !bare.chars().all(allowed) || domain.contains(':') {
            return Err(AddressError::Character);
        }
        Ok(Self(bare.into_boxed_str()))
    }

    /// `user@domain`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part behind the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }

    /// `sip:user@domain`.
    #[must_use]
    pub fn sip_uri(&self) -> String {
        format!("sip:{}", self.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

fn allowed(c: char) -> bool {
    !c.is_control()
        && !c.is_whitespace()
        && !matches!(
            c,
            '<' | '>' | '"' | ';' | ',' | '?' | '&' | '\\' | '/' | '#'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_and_case_do_not_matter() {
        let address = Address::parse(" SIP:Alice@Contoso.TEST ").unwrap();
        assert_eq!(address.as_str(), "alice@contoso.test");
        assert_eq!(address.domain(), "contoso.test");
        assert_eq!(address.sip_uri(), "sip:alice@contoso.test");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        assert_eq!(Address::parse("alice"), Err(AddressError::NoAt));
        assert_eq!(Address::parse("a@b@c"), Err(AddressError::NoAt));
        assert_eq!(
            Address::parse("@contoso.test"),
            Err(AddressError::EmptyPart)
        );
        assert_eq!(Address::parse("alice@"), Err(AddressError::EmptyPart));
        assert_eq!(
            Address::parse("al ice@contoso.test"),
            Err(AddressError::Character)
        );
        assert_eq!(
            Address::parse("alice@contoso.test;gruu"),
            Err(AddressError::Character)
        );
        assert_eq!(
            Address::parse("alice@host:5061"),
            Err(AddressError::Character)
        );
    }

    #[test]
    fn the_length_limit_is_exact() {
        let at_limit = format!("{}@b", "a".repeat(ADDRESS_BYTES_MAX - 2));
        assert!(Address::parse(&at_limit).is_ok());
        assert_eq!(
            Address::parse(&format!("a{at_limit}")),
            Err(AddressError::TooLong)
        );
    }
}
