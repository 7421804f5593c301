// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is to be issued, for whom, on whose word. Nothing in here comes from a certificate request but the key.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use lanyard_x509::{Email, IdentityError, Oid, PublicKey, Serial, Sid, Upn};
use time::Duration;

use crate::actor::Actor;
use crate::card::Card;
use crate::registry::ProfileName;

/// One certificate to be issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What it will say.
    pub grant: Grant,
    /// The key: the one thing that a request gives.
    pub key: PublicKey,
    /// Who asks.
    pub requester: Actor,
    /// Who approved it.
    pub approver: Actor,
}

/// What a certificate will say, by profile. The facts come from the directory and from policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// A person's card, slot 9A.
    SmartcardUser {
        /// Whose it is.
        person: Person,
        /// The card with the key.
        card: Card,
        /// Issuance policies: what was proved about where the key lives.
        policies: Vec<Oid>,
    },
    /// A card itself, slot 9E. It names the card and not the person: whoever stands near can read it.
    CardAuthentication {
        /// Whose card it is: for the registry, not for the certificate.
        account: Sid,
        /// The card with the key.
        card: Card,
        /// The card's other certificate: this one dies with it.
        card_certificate: Serial,
    },
    /// A chat session.
    ChatUser {
        /// Whose session it is.
        account: Sid,
        /// The address that signs in.
        address: SignInAddress,
        /// The card certificate that has earned it: it dies with that one and never outlives it.
        /// None when a password has earned it, where policy allows that.
        card_certificate: Option<Serial>,
        /// How long policy lets it live.
        lifetime: Duration,
    },
    /// A server of ours.
    ServerTls {
        /// Its names; the first host name becomes the common name.
        names: Vec<ServerName>,
    },
}

impl Grant {
    /// The profile's name.
    pub fn profile(&self) -> ProfileName {
        match self {
            Self::SmartcardUser { .. } => ProfileName::SmartcardUser,
            Self::CardAuthentication { .. } => ProfileName::CardAuthentication,
            Self::ChatUser { .. } => ProfileName::ChatUser,
            Self::ServerTls { .. } => ProfileName::ServerTls,
        }
    }

    /// Whose certificate it will be.
    pub fn account(&self) -> Option<&Sid> {
        match self {
            Self::SmartcardUser { person, .. } => Some(&person.account),
            Self::CardAuthentication { account, .. } | Self::ChatUser { account, .. } => {
                Some(account)
            }
            Self::ServerTls { .. } => None,
        }
    }

    /// The card that holds the key.
    pub fn card(&self) -> Option<Card> {
        match self {
            Self::SmartcardUser { card, .. } | Self::CardAuthentication { card, .. } => Some(*card),
            Self::ChatUser { .. } | Self::ServerTls { .. } => None,
        }
    }

    /// What the certificate dies with.
    pub fn bound_to(&self) -> Option<Serial> {
        match self {
            Self::CardAuthentication {
                card_certificate, ..
            } => Some(*card_certificate),
            Self::ChatUser {
                card_certificate, ..
            } => *card_certificate,
            Self::SmartcardUser { .. } | Self::ServerTls { .. } => None,
        }
    }
}

/// A person, as the directory describes him or her.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The immutable identifier of the account.
    pub account: Sid,
    /// The name that people read.
    pub display_name: String,
    /// The address with which this person signs in; by it a client picks the card. It may differ from the next two.
    pub address: SignInAddress,
    /// The user principal name.
    pub upn: Upn,
    /// The e-mail address, when there is one that a certificate can carry.
    pub email: Option<Email>,
}

/// The address with which somebody signs in: `user@domain`, in lower case, without `sip:`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SignInAddress(String);

impl SignInAddress {
    /// Longest address that a chat certificate carries, in bytes. RFC 5280 would allow 64 characters for a common name;
    /// addresses may be longer, and the only reader of these certificates is our own server.
    pub const BYTES_MAX: usize = 255;

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as a URI for a certificate; `None` when it has characters that a URI there cannot have.
    pub fn sip_uri(&self) -> Option<String> {
        let plain = self
            .0
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"<>\"%{}|\\^`".contains(&byte));
        plain.then(|| format!("sip:{}", self.0))
    }
}

impl FromStr for SignInAddress {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        // The same form as a principal name, although the two may differ for one person.
        let address: Upn = text.parse()?;
        if address.as_str().len() > Self::BYTES_MAX {
            return Err(IdentityError::TooLong);
        }
        Ok(Self(address.as_str().to_owned()))
    }
}

impl fmt::Display for SignInAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SignInAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignInAddress({})", self.0)
    }
}

/// A name of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServerName {
    /// A host name: ASCII, lower case, no wildcard.
    Dns(String),
    /// A network address.
    Ip(IpAddr),
}

impl FromStr for ServerName {
    type Err = ServerNameError;

    fn from_str(text: &str) -> Result<Self, ServerNameError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let host = text.to_ascii_lowercase();
        if is_host_name(&host) {
            Ok(Self::Dns(host))
        } else {
            Err(ServerNameError)
        }
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(host) => f.write_str(host),
            Self::Ip(address) => fmt::Display::fmt(address, f),
        }
    }
}

/// The text names no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a host name or a network address")]
pub struct ServerNameError;

pub(crate) fn is_host_name(text: &str) -> bool {
    let label_is_sound = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(label_is_sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_names_are_hosts_or_addresses() {
        assert_eq!(
            "Lync.Contoso.Test".parse(),
            Ok(ServerName::Dns("lync.contoso.test".into()))
        );
        assert_eq!(
            "127.0.0.1".parse(),
            Ok(ServerName::Ip([127, 0, 0, 1].into()))
        );
        assert!("::1".parse::<ServerName>().is_ok());
        for text in [
            "",
            "*.contoso.test",
            "a..b",
            "-a.test",
            "a_b",
            "ä.test",
            &"a".repeat(64),
        ] {
            assert_eq!(text.parse::<ServerName>(), Err(ServerNameError), "{text:?}");
        }
    }

    #[test]
    fn a_sign_in_address_is_lower_cased_and_bounded() {
        let address: SignInAddress = "Alice@Contoso.Test".parse().unwrap();
        assert_eq!(address.as_str(), "alice@contoso.test");
        let longest = format!("{}@b", "a".repeat(SignInAddress::BYTES_MAX - 2));
        assert!(longest.parse::<SignInAddress>().is_ok());
        assert_eq!(
            format!("a{longest}").parse::<SignInAddress>(),
            Err(IdentityError::TooLong)
        );
    }
}
