// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sign-in address `user@domain`, lower-cased, typed with or without `sip:`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest address that is accepted, in bytes (RFC 5321 allows no longer path).
pub const ADDRESS_BYTES_MAX: usize = 254;
/// Longest part before the `@`, in bytes.
const USER_BYTES_MAX: usize = 64;
/// Longest label of a domain name, in bytes (RFC 1035).
const LABEL_BYTES_MAX: usize = 63;

/// A well-formed sign-in address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SignInAddress(String);

/// Why a text is no sign-in address.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`, or more than one.
    #[error("there is no single @ in it")]
    At,
    /// One side of the `@` is empty or too long.
    #[error("a part is empty or too long")]
    Length,
    /// A character that no address has.
    #[error("it holds a character that addresses do not have")]
    Character,
    /// The part behind the `@` is no domain name.
    #[error("the part behind the @ is no domain name")]
    Domain,
}

impl SignInAddress {
    /// The address without a scheme: `user@domain`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    #[must_use]
    pub fn user(&self) -> &str {
        self.0.split_once('@').map_or("", |(user, _)| user)
    }

    /// The part behind the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }

    /// The address as a SIP URI.
    #[must_use]
    pub fn sip_uri(&self) -> String {
        format!("sip:{}", self.0)
    }

    /// The name that its files stand under.
    #[must_use]
    pub fn file_name(&self) -> String {
        // Only characters that no file system gives a meaning; the parser let no slash through.
        self.0.clone()
    }
}

impl FromStr for SignInAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let scheme = text
            .get(..4)
            .is_some_and(|head| head.eq_ignore_ascii_case("sip:"));
        let text = if scheme {
            text.get(4..).unwrap_or_default()
        } else {
            text
        };
        let (user, domain) = text.split_once('@').ok_or(AddressError::At)?;
        if domain.contains('@') {
            return Err(AddressError::At);
        }
        if user.is_empty() || user.len() > USER_BYTES_MAX || text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::Length);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+~'!".contains(c);
        if !user.chars().all(plain) || user.starts_with('.') || user.ends_with('.') {
            return Err(AddressError::Character);
        }
        check_domain(domain)?;
        Ok(Self(text.to_ascii_lowercase()))
    }
}

fn check_domain(domain: &str) -> Result<(), AddressError> {
    if domain.is_empty() {
        return Err(AddressError::Length);
    }
    for label in domain.split('.') {
        let length = !label.is_empty() && label.len() <= LABEL_BYTES_MAX;
        let letters = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !length || !letters || label.starts_with('-') || label.ends_with('-') {
            return Err(AddressError::Domain);
        }
    }
    Ok(())
}

impl TryFrom<String> for SignInAddress {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<SignInAddress> for String {
    fn from(address: SignInAddress) -> Self {
        address.0
    }
}

impl fmt::Display for SignInAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_and_case_make_no_difference() {
        let plain: SignInAddress = "alice@contoso.test".parse().unwrap();
        assert_eq!(" SIP:Alice@Contoso.Test ".parse(), Ok(plain.clone()));
        assert_eq!(plain.user(), "alice");
        assert_eq!(plain.domain(), "contoso.test");
        assert_eq!(plain.sip_uri(), "sip:alice@contoso.test");
    }

    #[test]
    fn an_address_without_an_at_sign_is_refused() {
        assert_eq!("alice".parse::<SignInAddress>(), Err(AddressError::At));
        assert_eq!("a@b@c".parse::<SignInAddress>(), Err(AddressError::At));
    }

    #[test]
    fn empty_and_foreign_parts_are_refused() {
        assert_eq!(
            "@contoso.test".parse::<SignInAddress>(),
            Err(AddressError::Length)
        );
        assert_eq!("alice@".parse::<SignInAddress>(), Err(AddressError::Length));
        assert_eq!(
            "al/ice@contoso.test".parse::<SignInAddress>(),
            Err(AddressError::Character)
        );
        assert_eq!(
            "..@contoso.test".parse::<SignInAddress>(),
            Err(AddressError::Character)
        );
        assert_eq!(
            "alice@contoso..test".parse::<SignInAddress>(),
            Err(AddressError::Domain)
        );
        assert_eq!(
            "alice@../etc".parse::<SignInAddress>(),
            Err(AddressError::Domain)
        );
    }

    #[test]
    fn the_longest_user_part_is_accepted_and_one_more_is_not() {
        let at = format!("{}@contoso.test", "a".repeat(USER_BYTES_MAX));
        assert!(at.parse::<SignInAddress>().is_ok());
        assert_eq!(
            format!("a{at}").parse::<SignInAddress>(),
            Err(AddressError::Length)
        );
    }
}
