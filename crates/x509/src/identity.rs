// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who a certificate is about: user principal name, e-mail address, security identifier of the account.
//!
//! Three separate things that may differ for one person. Only the [`Sid`] never changes.

use std::fmt;
use std::str::FromStr;

/// A user principal name: `user@domain`, in lower case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Upn(String);

impl Upn {
    /// Longest name that is accepted, in bytes.
    pub const BYTES_MAX: usize = 1024;

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Upn {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        check_address(text, Self::BYTES_MAX)?;
        Ok(Self(text.to_lowercase()))
    }
}

impl fmt::Display for Upn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Upn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upn({})", self.0)
    }
}

/// An e-mail address as a certificate can carry it: ASCII, `local@domain`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

impl Email {
    /// Longest address that is accepted, in bytes (RFC 5321: 64 + 1 + 255).
    pub const BYTES_MAX: usize = 320;

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        if !text.is_ascii() {
            return Err(IdentityError::NotAscii);
        }
        check_address(text, Self::BYTES_MAX)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({})", self.0)
    }
}

/// The security identifier of an account, `S-1-5-21-…`: immutable, unlike every name of a person.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid(String);

impl Sid {
    /// Most sub-authorities a security identifier has.
    pub const SUB_AUTHORITIES_MAX: usize = 15;

    /// The whole identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sid {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let parts = text.strip_prefix("S-1-").ok_or(IdentityError::NotASid)?;
        let mut numbers = parts.split('-');
        let authority = numbers.next().ok_or(IdentityError::NotASid)?;
        if !is_canonical_number(authority) || authority.parse::<u32>().is_err() {
            return Err(IdentityError::NotASid);
        }
        let mut count = 0usize;
        for number in numbers {
            count += 1;
            if count > Self::SUB_AUTHORITIES_MAX
                || !is_canonical_number(number)
                || number.parse::<u32>().is_err()
            {
                return Err(IdentityError::NotASid);
            }
        }
        if count == 0 {
            return Err(IdentityError::NotASid);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({})", self.0)
    }
}

/// Why a text is not the identity that it should be.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// There is no `@`, or more than one.
    #[error("an address has exactly one @")]
    NoAt,
    /// Nothing stands before or after the `@`.
    #[error("an address has a name before the @ and a domain after it")]
    EmptyPart,
    /// A space or a control character.
    #[error("an address has no spaces or control characters")]
    BadCharacter,
    /// Longer than certificates carry.
    #[error("the address is too long")]
    TooLong,
    /// A certificate's e-mail address is ASCII.
    #[error("an e-mail address in a certificate has only ASCII characters")]
    NotAscii,
    /// Not `S-1-authority-number…`.
    #[error("not a security identifier")]
    NotASid,
}

fn check_address(text: &str, bytes_max: usize) -> Result<(), IdentityError> {
    if text.len() > bytes_max {
        return Err(IdentityError::TooLong);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(IdentityError::BadCharacter);
    }
    let (user, domain) = text.split_once('@').ok_or(IdentityError::NoAt)?;
    if domain.contains('@') {
        return Err(IdentityError::NoAt);
    }
    if user.is_empty() || domain.is_empty() {
        return Err(IdentityError::EmptyPart);
    }
    Ok(())
}

/// One spelling for one number, or two texts would name one account.
fn is_canonical_number(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_name_is_lower_cased() {
        let upn: Upn = "Alice.Ängström@Contoso.Test".parse().unwrap();
        assert_eq!(upn.as_str(), "alice.ängström@contoso.test");
    }

    #[test]
    fn an_address_without_exactly_one_at_is_refused() {
        assert_eq!("alice".parse::<Upn>(), Err(IdentityError::NoAt));
        assert_eq!("a@b@c".parse::<Upn>(), Err(IdentityError::NoAt));
        assert_eq!("@b".parse::<Upn>(), Err(IdentityError::EmptyPart));
        assert_eq!("a@".parse::<Email>(), Err(IdentityError::EmptyPart));
        assert_eq!("a b@c".parse::<Upn>(), Err(IdentityError::BadCharacter));
        assert_eq!("a\0@c".parse::<Upn>(), Err(IdentityError::BadCharacter));
        assert_eq!("ä@c".parse::<Email>(), Err(IdentityError::NotAscii));
    }

    #[test]
    fn an_address_may_be_as_long_as_the_limit_and_not_one_longer() {
        let at_limit = format!("{}@c", "a".repeat(Email::BYTES_MAX - 2));
        assert!(at_limit.parse::<Email>().is_ok());
        assert_eq!(
            format!("a{at_limit}").parse::<Email>(),
            Err(IdentityError::TooLong)
        );
    }

    #[test]
    fn a_security_identifier_has_one_spelling() {
        assert!("S-1-5-21-1-2-3-1000".parse::<Sid>().is_ok());
        assert!("S-1-5-18".parse::<Sid>().is_ok());
        for text in [
            "",
            "S-1-",
            "S-1-5",
            "s-1-5-21",
            "S-1-5-21-",
            "S-1-5-021",
            "S-1-5-4294967296",
            "S-1-5-+1",
            "S-2-5-1",
            "S-1-5-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1",
        ] {
            assert_eq!(text.parse::<Sid>(), Err(IdentityError::NotASid), "{text:?}");
        }
    }
}
