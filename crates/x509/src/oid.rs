// SPDX-License-Identifier: MIT OR Apache-2.0
//! Object identifiers, and the extended key usages that we know by name.

use std::fmt;
use std::str::FromStr;

use const_oid::ObjectIdentifier;

/// An object identifier, shown in dotted form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oid(pub(crate) ObjectIdentifier);

impl Oid {
    /// Builds an identifier from its numbers.
    pub fn from_arcs(arcs: impl IntoIterator<Item = u32>) -> Result<Self, OidError> {
        ObjectIdentifier::from_arcs(arcs)
            .map(Self)
            .map_err(|_| OidError)
    }

    /// This identifier with one more number at its end.
    pub fn child(&self, arc: u32) -> Result<Self, OidError> {
        self.0.push_arc(arc).map(Self).map_err(|_| OidError)
    }
}

impl FromStr for Oid {
    type Err = OidError;

    fn from_str(text: &str) -> Result<Self, OidError> {
        ObjectIdentifier::new(text).map(Self).map_err(|_| OidError)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oid({})", self.0)
    }
}

/// The text is not an object identifier, or it is longer than any in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an object identifier")]
pub struct OidError;

/// What a certificate may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Eku(pub Oid);

impl Eku {
    /// A server in TLS.
    pub const SERVER_AUTH: Self = Self::known("1.3.6.1.5.5.7.3.1");
    /// A client in TLS.
    pub const CLIENT_AUTH: Self = Self::known("1.3.6.1.5.5.7.3.2");
    /// S/MIME.
    pub const SECURE_EMAIL: Self = Self::known("1.3.6.1.5.5.7.3.4");
    /// Signs OCSP answers.
    pub const OCSP_SIGNING: Self = Self::known("1.3.6.1.5.5.7.3.9");
    /// Sign-in with a smart card.
    pub const SMARTCARD_LOGON: Self = Self::known("1.3.6.1.4.1.311.20.2.2");
    /// Enrols for other people.
    pub const ENROLMENT_AGENT: Self = Self::known("1.3.6.1.4.1.311.20.2.1");
    /// PIV card authentication (slot 9E): the card is there, no PIN needed.
    pub const PIV_CARD_AUTH: Self = Self::known("2.16.840.1.101.3.6.8");

    const fn known(text: &str) -> Self {
        Self(Oid(ObjectIdentifier::new_unwrap(text)))
    }

    /// The name that people use for it; `None` for one that we do not know.
    pub fn name(&self) -> Option<&'static str> {
        Some(match *self {
            Self::SERVER_AUTH => "server authentication",
            Self::CLIENT_AUTH => "client authentication",
            Self::SECURE_EMAIL => "secure e-mail",
            Self::OCSP_SIGNING => "OCSP signing",
            Self::SMARTCARD_LOGON => "smart card logon",
            Self::ENROLMENT_AGENT => "certificate request agent",
            Self::PIV_CARD_AUTH => "PIV card authentication",
            _ => return None,
        })
    }
}

impl fmt::Display for Eku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl fmt::Debug for Eku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Eku({self})")
    }
}

pub(crate) const UPN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");
pub(crate) const NTDS_CA_SECURITY_EXT: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.25.2");
pub(crate) const NTDS_OBJECT_SID: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.25.2.1");
pub(crate) const TEMPLATE_NAME: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2");
pub(crate) const TEMPLATE_INFO: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.21.7");
pub(crate) const APPLICATION_POLICIES: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.21.10");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_survives_text_and_back() {
        let oid: Oid = "1.3.6.1.4.1.311.25.2".parse().unwrap();
        assert_eq!(oid.to_string(), "1.3.6.1.4.1.311.25.2");
        assert_eq!(oid.child(1).unwrap().to_string(), "1.3.6.1.4.1.311.25.2.1");
        assert_eq!(Oid::from_arcs([1, 3, 6]).unwrap().to_string(), "1.3.6");
    }

    #[test]
    fn words_are_not_an_identifier() {
        for text in ["", "1", "hello", "1..3", "9.9.9"] {
            assert_eq!(text.parse::<Oid>(), Err(OidError), "{text:?}");
        }
    }

    #[test]
    fn known_usages_have_names_and_others_show_their_number() {
        assert_eq!(Eku::SMARTCARD_LOGON.to_string(), "smart card logon");
        assert_eq!(Eku("1.2.3.4".parse().unwrap()).to_string(), "1.2.3.4");
    }
}
