// SPDX-License-Identifier: MIT OR Apache-2.0
//! The three names of a person: sign-in address, user principal name and e-mail address.

use std::fmt;
use std::str::FromStr;

/// The longest part before the `@`, in bytes.
const LOCAL_BYTES_MAX: usize = 64;
/// The longest domain name, in bytes.
const DOMAIN_BYTES_MAX: usize = 253;
/// The longest label of a domain name, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// Why a text is not an address.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing was given.
    #[error("the address is empty")]
    Empty,
    /// There is no `@`.
    #[error("there is no @ in the address")]
    NoAt,
    /// There is more than one `@`.
    #[error("there is more than one @ in the address")]
    ManyAt,
    /// The part before the `@` is empty or too long.
    #[error("the part before the @ must have 1 to 64 characters")]
    LocalLength,
    /// The part before the `@` holds a character that is not allowed.
    #[error("the part before the @ may hold only letters, digits and . _ - + '")]
    LocalCharacter,
    /// The part before the `@` starts or ends with a dot, or holds two in a row.
    #[error("the dots before the @ must each stand between two other characters")]
    LocalDots,
    /// The part behind the `@` is not a domain name.
    #[error("the part behind the @ is not a domain name")]
    Domain,
}

/// A domain name in lower case: labels of letters, digits and inner hyphens.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

impl DomainName {
    /// The name as text, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DomainName {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() || text.len() > DOMAIN_BYTES_MAX {
            return Err(AddressError::Domain);
        }
        let good_label = |label: &str| {
            !label.is_empty()
                && label.len() <= LABEL_BYTES_MAX
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if !text.split('.').all(good_label) {
            return Err(AddressError::Domain);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// A sign-in address: `user@domain`, in lower case, without `sip:`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SipAddress {
    text: String,
    at: usize,
}

impl SipAddress {
    /// The whole address, without `sip:`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`.
    #[must_use]
    pub fn user(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// The part behind the `@`.
    #[must_use]
    pub fn domain(&self) -> DomainName {
        DomainName(self.text.get(self.at + 1..).unwrap_or_default().to_owned())
    }

    /// Whether the address belongs to this domain.
    #[must_use]
    pub fn is_in(&self, domain: &DomainName) -> bool {
        self.text.get(self.at + 1..) == Some(domain.as_str())
    }

    /// The address as a SIP URI.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("sip:{}", self.text)
    }
}

impl FromStr for SipAddress {
    type Err = AddressError;

    /// Reads `user@domain`, with or without a leading `sip:`, in any case.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let text = match text.get(..4) {
            Some(scheme) if scheme.eq_ignore_ascii_case("sip:") => &text[4..],
            _ => text,
        };
        let parts = split(text)?;
        let local = parts.local.to_ascii_lowercase();
        let at = local.len();
        Ok(Self {
            text: format!("{local}@{}", parts.domain.as_str()),
            at,
        })
    }
}

/// A user principal name: written as it was given, compared without case.
#[derive(Clone)]
pub struct Upn {
    text: String,
    key: String,
}

impl Upn {
    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The form to compare and to search by: lower case.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl PartialEq for Upn {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Upn {}

impl FromStr for Upn {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        split(text)?;
        Ok(Self {
            text: text.to_owned(),
            key: text.to_ascii_lowercase(),
        })
    }
}

impl From<&SipAddress> for Upn {
    fn from(address: &SipAddress) -> Self {
        Self {
            text: address.text.clone(),
            key: address.text.clone(),
        }
    }
}

/// An e-mail address: written as it was given, with the domain in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let parts = split(text.trim())?;
        Ok(Self(format!("{}@{}", parts.local, parts.domain.as_str())))
    }
}

impl From<&SipAddress> for Email {
    fn from(address: &SipAddress) -> Self {
        Self(address.text.clone())
    }
}

macro_rules! shown_as_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

shown_as_text!(DomainName, SipAddress, Upn, Email);

struct Parts<'a> {
    local: &'a str,
    domain: DomainName,
}

fn split(text: &str) -> Result<Parts<'_>, AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    let (local, domain) = text.split_once('@').ok_or(AddressError::NoAt)?;
    if domain.contains('@') {
        return Err(AddressError::ManyAt);
    }
    if local.is_empty() || local.len() > LOCAL_BYTES_MAX {
        return Err(AddressError::LocalLength);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+'".contains(&byte);
    if !local.bytes().all(allowed) {
        return Err(AddressError::LocalCharacter);
    }
    if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Err(AddressError::LocalDots);
    }
    Ok(Parts {
        local,
        domain: domain.parse()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_lower_case_and_without_scheme() {
        for text in [
            "Alice@Contoso.Test",
            "sip:alice@contoso.test",
            " SIP:ALICE@contoso.test ",
        ] {
            let address: SipAddress = text.parse().unwrap();
            assert_eq!(address.as_str(), "alice@contoso.test");
            assert_eq!(address.user(), "alice");
            assert_eq!(address.domain().as_str(), "contoso.test");
            assert_eq!(address.uri(), "sip:alice@contoso.test");
        }
    }

    #[test]
    fn bad_addresses_are_refused_with_the_reason() {
        let cases = [
            ("", AddressError::Empty),
            ("alice", AddressError::NoAt),
            ("a@b@c", AddressError::ManyAt),
            ("@contoso.test", AddressError::LocalLength),
            ("al ice@contoso.test", AddressError::LocalCharacter),
            ("al<ice@contoso.test", AddressError::LocalCharacter),
            ("älice@contoso.test", AddressError::LocalCharacter),
            (".alice@contoso.test", AddressError::LocalDots),
            ("a..b@contoso.test", AddressError::LocalDots),
            ("alice@", AddressError::Domain),
            ("alice@-contoso.test", AddressError::Domain),
            ("alice@contoso..test", AddressError::Domain),
            ("alice@contoso.test;transport=tls", AddressError::Domain),
            ("alice@contoso.test:5061", AddressError::Domain),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse::<SipAddress>(), Err(want), "{text}");
        }
    }

    #[test]
    fn the_part_before_the_at_has_a_limit() {
        let at_limit = format!("{}@x.test", "a".repeat(LOCAL_BYTES_MAX));
        assert!(at_limit.parse::<SipAddress>().is_ok());
        let over = format!("a{at_limit}");
        assert_eq!(over.parse::<SipAddress>(), Err(AddressError::LocalLength));
    }

    #[test]
    fn principal_names_compare_without_case_and_keep_their_spelling() {
        let upn: Upn = "Alice.Smith@Corp.Contoso.Test".parse().unwrap();
        assert_eq!(upn.as_str(), "Alice.Smith@Corp.Contoso.Test");
        assert_eq!(upn, "alice.smith@corp.contoso.test".parse().unwrap());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_reads_again(text in "\\PC{0,80}") {
            if let Ok(address) = text.parse::<SipAddress>() {
                prop_assert_eq!(&address.as_str().parse::<SipAddress>().unwrap(), &address);
                prop_assert!(address.is_in(&address.domain()));
            }
        }
    }
}
