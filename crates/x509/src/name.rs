// SPDX-License-Identifier: MIT OR Apache-2.0
//! Distinguished names: the subject and the issuer of a certificate.

use std::fmt;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519;
use der::asn1::{Any, Ia5StringRef, PrintableStringRef, SetOfVec, Utf8StringRef};
use der::{Decode, Encode};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::pkix::name::DirectoryString;
use x509_cert::name::Name;

/// A distinguished name, shown as in RFC 4514. Two are equal when their encodings are.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct DistinguishedName(pub(crate) Name);

impl DistinguishedName {
    /// Most characters of a common name or an organisation (RFC 5280, appendix A.1).
    pub const VALUE_CHARS_MAX: usize = 64;

    /// A name with a common name alone.
    pub fn from_common_name(text: &str) -> Result<Self, NameError> {
        Self::default().with_common_name(text)
    }

    /// Adds a common name as the next, more specific part.
    pub fn with_common_name(self, text: &str) -> Result<Self, NameError> {
        let value = directory_string(text)?;
        self.with(rfc4519::COMMON_NAME, value)
    }

    /// Adds an organisation.
    pub fn with_organisation(self, text: &str) -> Result<Self, NameError> {
        let value = directory_string(text)?;
        self.with(rfc4519::ORGANIZATION_NAME, value)
    }

    /// Adds a domain, one `DC` for each of its labels: `contoso.test` becomes `DC=contoso,DC=test`.
    pub fn with_domain(self, domain: &str) -> Result<Self, NameError> {
        domain.rsplit('.').try_fold(self, |name, label| {
            check(label)?;
            let label = Ia5StringRef::new(label).map_err(|_| NameError::NotAscii)?;
            name.with(
                rfc4519::DC,
                Any::encode_from(&label).map_err(|_| NameError::Unencodable)?,
            )
        })
    }

    /// Adds a serial number as X.500 means it: a number of a thing, not of the certificate.
    pub fn with_serial_number(self, text: &str) -> Result<Self, NameError> {
        check(text)?;
        let text = PrintableStringRef::new(text).map_err(|_| NameError::NotPrintable)?;
        let value = Any::encode_from(&text).map_err(|_| NameError::Unencodable)?;
        self.with(rfc4519::SERIAL_NUMBER, value)
    }

    fn with(self, oid: ObjectIdentifier, value: Any) -> Result<Self, NameError> {
        let part = SetOfVec::try_from(vec![AttributeTypeAndValue { oid, value }])
            .map_err(|_| NameError::Unencodable)?;
        let mut parts: Vec<SetOfVec<AttributeTypeAndValue>> = Vec::with_capacity(self.0.len() + 1);
        for rdn in self.0.iter_rdn() {
            let attributes: Vec<AttributeTypeAndValue> = rdn.iter().cloned().collect();
            parts.push(SetOfVec::try_from(attributes).map_err(|_| NameError::Unencodable)?);
        }
        parts.push(part);
        let der = parts.to_der().map_err(|_| NameError::Unencodable)?;
        Name::from_der(&der)
            .map(Self)
            .map_err(|_| NameError::Unencodable)
    }

    /// Whether the name has no part at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last common name: the most specific one.
    pub fn common_name(&self) -> Option<String> {
        self.values(rfc4519::COMMON_NAME).pop()
    }

    /// The number of characters of the longest value.
    pub fn longest_value_chars(&self) -> usize {
        self.0
            .iter()
            .map(|part| text_of(&part.value).chars().count())
            .max()
            .unwrap_or(0)
    }

    /// The encoding.
    pub fn to_der(&self) -> Vec<u8> {
        // A name comes from a parser or from `with`, which has encoded it before.
        self.0.to_der().unwrap_or_default()
    }

    fn values(&self, oid: ObjectIdentifier) -> Vec<String> {
        self.0
            .iter()
            .filter(|part| part.oid == oid)
            .map(|part| text_of(&part.value))
            .collect()
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinguishedName({self})")
    }
}

/// Why a name cannot be made.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// An empty part.
    #[error("a part of the name is empty")]
    Empty,
    /// A control character, which could forge what people see.
    #[error("the name has a control character")]
    ControlCharacter,
    /// A domain that is not in its ASCII form.
    #[error("a domain in a name is written in ASCII")]
    NotAscii,
    /// Characters that this part cannot hold.
    #[error("this part of the name holds only letters, digits and a few marks")]
    NotPrintable,
    /// Too long for the encoding.
    #[error("the name cannot be encoded")]
    Unencodable,
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::ControlCharacter);
    }
    Ok(())
}

/// PrintableString where it suffices, else UTF8String: what every relying party reads.
fn directory_string(text: &str) -> Result<Any, NameError> {
    check(text)?;
    let value = match PrintableStringRef::new(text) {
        Ok(printable) => Any::encode_from(&printable),
        Err(_) => Utf8StringRef::new(text).and_then(|utf8| Any::encode_from(&utf8)),
    };
    value.map_err(|_| NameError::Unencodable)
}

fn text_of(value: &Any) -> String {
    if let Ok(text) = value.decode_as::<Ia5StringRef<'_>>() {
        return text.as_str().to_owned();
    }
    DirectoryString::try_from(value)
        .map(String::from)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_built_from_the_general_to_the_specific() {
        let name = DistinguishedName::default()
            .with_domain("contoso.test")
            .and_then(|name| name.with_organisation("Contoso"))
            .and_then(|name| name.with_common_name("Ängström, Alice"))
            .unwrap();
        assert_eq!(
            name.to_string(),
            "CN=Ängström\\, Alice,O=Contoso,DC=contoso,DC=test"
        );
        assert_eq!(name.common_name().as_deref(), Some("Ängström, Alice"));
        assert_eq!(name.longest_value_chars(), 15);
        assert!(!name.is_empty());
    }

    #[test]
    fn a_name_that_could_deceive_is_refused() {
        assert_eq!(
            DistinguishedName::from_common_name(""),
            Err(NameError::Empty)
        );
        assert_eq!(
            DistinguishedName::from_common_name("a\nb"),
            Err(NameError::ControlCharacter)
        );
        assert_eq!(
            DistinguishedName::default().with_domain("a..b"),
            Err(NameError::Empty)
        );
        assert_eq!(
            DistinguishedName::default().with_serial_number("ä"),
            Err(NameError::NotPrintable)
        );
    }

    #[test]
    fn text_with_separators_stays_one_value() {
        let name = DistinguishedName::from_common_name("x,O=Evil+CN=y").unwrap();
        assert_eq!(name.common_name().as_deref(), Some("x,O=Evil+CN=y"));
    }
}
