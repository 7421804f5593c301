// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a card says about itself, read once: its certificate taken apart, its PIN, its place.

use lanyard_card::{CardKind, CardSummary};
use lanyard_x509::{AlternativeName, Certificate, Eku};
use time::OffsetDateTime;

use crate::view::CardLabel;

/// A card that answered.
#[derive(Debug, Clone)]
pub struct CardFacts {
    /// As `card` knows it.
    pub summary: CardSummary,
    /// The certificate for sign-in, if there is one that can be read.
    pub certificate: Option<CertificateFacts>,
    /// The name that the person gave a virtual card.
    pub name: Option<String>,
}

/// What a card's certificate says. It proves nothing here; the server decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Sign-in addresses that stand in it.
    pub addresses: Vec<String>,
    /// User principal name.
    pub upn: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// The person's name.
    pub holder: String,
    /// Who issued it.
    pub issuer: String,
    /// From when it holds.
    pub not_before: OffsetDateTime,
    /// Until when it holds.
    pub not_after: OffsetDateTime,
    /// Serial number in hexadecimal digits.
    pub serial: String,
    /// It is meant for signing in with a smart card.
    pub for_sign_in: bool,
}

impl CardFacts {
    /// Takes a summary apart.
    #[must_use]
    pub fn of(summary: CardSummary, name: Option<String>) -> Self {
        let der = summary.authentication_certificate.as_deref();
        let certificate = der.and_then(CertificateFacts::of_der);
        Self {
            summary,
            certificate,
            name,
        }
    }

    /// The card's number, as people and files write it.
    #[must_use]
    pub fn guid(&self) -> Option<String> {
        self.summary.guid.map(|guid| hex(guid.as_bytes()))
    }

    /// What the card is remembered by, once it was used.
    #[must_use]
    pub fn remembered_as(&self) -> Option<String> {
        let serial = || self.certificate.as_ref().map(|facts| facts.serial.clone());
        self.guid().or_else(serial)
    }

    /// The kind, as enrolment reports it.
    #[must_use]
    pub fn kind_word(&self) -> &'static str {
        match self.summary.kind {
            CardKind::VirtualFile => "virtual-file",
            CardKind::VirtualTpm => "virtual-tpm",
            CardKind::Physical => "physical",
            CardKind::Token => "token",
        }
    }

    /// Whose card and where.
    #[must_use]
    pub fn label(&self) -> CardLabel {
        let is_virtual = self.summary.kind.is_virtual();
        let place = match (&self.name, is_virtual) {
            (Some(name), _) => name.clone(),
            (None, true) => "virtual card".to_owned(),
            (None, false) if self.summary.token.is_some() => {
                self.summary.label.clone().unwrap_or_default()
            }
            (None, false) => self.summary.reader.name.clone(),
        };
        let holder = self.certificate.as_ref().map(|facts| facts.holder.clone());
        CardLabel {
            holder: holder.unwrap_or_default(),
            place,
            is_virtual,
        }
    }
}

impl CertificateFacts {
    /// Reads a certificate; `None` when it cannot be read.
    #[must_use]
    pub fn of_der(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let claims = certificate.claims();
        let extensions = certificate.extensions();
        let addresses = extensions
            .alternative_names
            .iter()
            .filter_map(|name| match name {
                AlternativeName::Uri(uri) => uri.strip_prefix("sip:").map(str::to_lowercase),
                _ => None,
            })
            .collect();
        let upn = claims.upn.map(|upn| upn.as_str().to_owned());
        let email = claims.email.map(|email| email.as_str().to_lowercase());
        let holder = claims
            .common_name
            .or_else(|| upn.clone())
            .unwrap_or_default();
        let issuer = certificate.issuer();
        Some(Self {
            addresses,
            upn,
            email,
            holder,
            issuer: issuer.common_name().unwrap_or_else(|| issuer.to_string()),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            serial: certificate.serial().to_string(),
            for_sign_in: extensions.ekus.contains(&Eku::SMARTCARD_LOGON),
        })
    }

    /// Whether it is a certificate of this sign-in address.
    #[must_use]
    pub fn is_for(&self, address: &str) -> bool {
        if !self.addresses.is_empty() {
            return self.addresses.iter().any(|known| known == address);
        }
        // Cards of other authorities carry no sign-in address: the usual names have to do.
        let named = |name: &Option<String>| name.as_deref() == Some(address);
        named(&self.upn) || named(&self.email)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
