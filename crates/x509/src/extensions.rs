// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a certificate says besides names and key. One model serves writing and reading, so that each checks the other.

mod decode;
mod encode;

use std::fmt;
use std::net::IpAddr;
use std::ops::BitOr;

use crate::identity::{Email, Sid, Upn};
use crate::oid::{Eku, Oid};
use crate::serial::KeyId;

pub(crate) use decode::decode;
pub(crate) use encode::{authority_key_id, encode, push};

/// All extensions that we write or understand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions {
    /// Whether it is the certificate of an authority.
    pub basic_constraints: Option<BasicConstraints>,
    /// What the key may do.
    pub key_usage: Option<KeyUsage>,
    /// What the certificate is for.
    pub ekus: Vec<Eku>,
    /// Whether who does not know the usages has to refuse the certificate.
    pub ekus_critical: bool,
    /// Other names of the subject.
    pub alternative_names: Vec<AlternativeName>,
    /// The account's security identifier (szOID_NTDS_CA_SECURITY_EXT).
    pub sid: Option<Sid>,
    /// The template's name (version 1 templates).
    pub template_name: Option<String>,
    /// The template's number and version (version 2 templates).
    pub template: Option<TemplateInfo>,
    /// The usages once more, in the form that Windows asks for first.
    pub application_policies: Vec<Eku>,
    /// Certificate policies.
    pub policies: Vec<Oid>,
    /// Names the certificate's own key.
    pub subject_key_id: Option<KeyId>,
    /// Names the key that signed.
    pub authority_key_id: Option<KeyId>,
    /// Where the revocation list is.
    pub crl_urls: Vec<String>,
    /// Where the issuer's certificate is.
    pub issuer_urls: Vec<String>,
    /// Where the issuer answers OCSP.
    pub ocsp_urls: Vec<String>,
    /// Extensions that we do not understand: which, and whether they are critical. Never written.
    pub unknown: Vec<(Oid, bool)>,
}

impl Extensions {
    /// The user principal name, when there is exactly one: of two, neither counts.
    pub fn upn(&self) -> Option<&Upn> {
        single(self.alternative_names.iter().filter_map(|name| match name {
            AlternativeName::Upn(upn) => Some(upn),
            _ => None,
        }))
    }

    /// The e-mail address, when there is exactly one.
    pub fn email(&self) -> Option<&Email> {
        single(self.alternative_names.iter().filter_map(|name| match name {
            AlternativeName::Email(email) => Some(email),
            _ => None,
        }))
    }

    /// The sign-in addresses among the other names, `user@domain` in lower case, without `sip:`.
    pub fn sip_addresses(&self) -> Vec<String> {
        self.alternative_names
            .iter()
            .filter_map(|name| match name {
                AlternativeName::Uri(uri) => uri.get(..4).zip(uri.get(4..)),
                _ => None,
            })
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("sip:"))
            .map(|(_, address)| address.to_lowercase())
            .collect()
    }

    /// Whether it is the certificate of an authority.
    pub fn is_ca(&self) -> bool {
        self.basic_constraints
            .is_some_and(|constraints| constraints.ca)
    }
}

fn single<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    items.next().filter(|_| items.next().is_none())
}

/// Whether a certificate belongs to an authority, and how many may follow below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasicConstraints {
    /// It may sign certificates.
    pub ca: bool,
    /// How many further authorities may stand between it and a leaf.
    pub path_len: Option<u8>,
}

/// A set of things that a key may do.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyUsage(pub(crate) u16);

impl KeyUsage {
    /// Sign anything but certificates.
    pub const DIGITAL_SIGNATURE: Self = Self(1);
    /// Sign what binds.
    pub const NON_REPUDIATION: Self = Self(1 << 1);
    /// Encipher keys (RSA).
    pub const KEY_ENCIPHERMENT: Self = Self(1 << 2);
    /// Encipher data.
    pub const DATA_ENCIPHERMENT: Self = Self(1 << 3);
    /// Agree on keys (elliptic curves).
    pub const KEY_AGREEMENT: Self = Self(1 << 4);
    /// Sign certificates.
    pub const KEY_CERT_SIGN: Self = Self(1 << 5);
    /// Sign revocation lists.
    pub const CRL_SIGN: Self = Self(1 << 6);

    /// Whether everything in `other` is allowed.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for KeyUsage {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for KeyUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 9] = [
            "digital signature",
            "non-repudiation",
            "key encipherment",
            "data encipherment",
            "key agreement",
            "certificate signing",
            "revocation list signing",
            "encipher only",
            "decipher only",
        ];
        let mut first = true;
        for (bit, name) in NAMES.iter().enumerate() {
            if self.0 & (1 << bit) != 0 {
                f.write_str(if first { "" } else { ", " })?;
                f.write_str(name)?;
                first = false;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for KeyUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyUsage({self})")
    }
}

/// Another name of the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlternativeName {
    /// A user principal name.
    Upn(Upn),
    /// An e-mail address.
    Email(Email),
    /// A host name in ASCII form.
    Dns(String),
    /// A network address.
    Ip(IpAddr),
    /// A uniform resource identifier.
    Uri(String),
    /// A name of a kind or form that we do not read. Never written.
    Unread,
}

/// Which template a certificate was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateInfo {
    /// The template's number.
    pub oid: Oid,
    /// Its major version.
    pub major: u32,
    /// Its minor version.
    pub minor: u32,
}

/// Why extensions cannot be read or written.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// One that we understand is not encoded as it should be.
    #[error("the extension {0} is malformed")]
    Malformed(Oid),
    /// The same one twice.
    #[error("the extension {0} appears twice")]
    Repeated(Oid),
    /// More of them than any honest certificate has.
    #[error("the certificate has too many extensions or names")]
    TooMany,
    /// A value that has no encoding.
    #[error("an extension cannot be encoded")]
    Unencodable,
}

/// Most extensions in one certificate.
pub(crate) const EXTENSIONS_MAX: usize = 64;
/// Most entries in one extension.
pub(crate) const ENTRIES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_addresses_are_found_among_other_addresses() {
        let uris = [
            "sip:Alice@Contoso.Test",
            "urn:uuid:1",
            "SIP:a@b",
            "sips:c@d",
            "si",
            "",
        ];
        let extensions = Extensions {
            alternative_names: uris
                .map(|uri| AlternativeName::Uri(uri.to_owned()))
                .to_vec(),
            ..Extensions::default()
        };
        assert_eq!(extensions.sip_addresses(), ["alice@contoso.test", "a@b"]);
    }

    #[test]
    fn key_usages_are_shown_in_words() {
        let usage = KeyUsage::DIGITAL_SIGNATURE | KeyUsage::KEY_CERT_SIGN;
        assert_eq!(usage.to_string(), "digital signature, certificate signing");
        assert!(usage.contains(KeyUsage::KEY_CERT_SIGN));
        assert!(!usage.contains(KeyUsage::CRL_SIGN));
    }
}
