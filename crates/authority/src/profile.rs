// SPDX-License-Identifier: MIT OR Apache-2.0
//! Profiles: what each kind of certificate says. A profile makes the certificate; the request gives the key.

use lanyard_x509::{
    AlternativeName, BasicConstraints, Certificate, DistinguishedName, Eku, Extensions,
    KeyAlgorithm, KeyUsage, NameError, Oid, PublicKey, TemplateInfo, Thumbprint,
};
use time::Duration;

use crate::order::{Grant, ServerName};
use crate::registry::ProfileName;

/// How long a root lives.
pub const ROOT_CA_LIFETIME: Duration = Duration::days(20 * 365);
/// How long an issuing authority lives.
pub const ISSUING_CA_LIFETIME: Duration = Duration::days(10 * 365);
/// How long the certificates of a card live unless the settings say otherwise.
pub const CARD_LIFETIME_DEFAULT: Duration = Duration::days(365);
/// How long the certificate of a server lives.
pub const SERVER_TLS_LIFETIME: Duration = Duration::days(397);
/// How long a chat certificate lives unless policy says otherwise.
pub const CHAT_LIFETIME_DEFAULT: Duration = Duration::hours(12);
/// The shortest life that policy may give a chat certificate.
pub const CHAT_LIFETIME_MIN: Duration = Duration::minutes(5);
/// The longest life that policy may give a chat certificate.
pub const CHAT_LIFETIME_MAX: Duration = Duration::days(30);
/// How far a certificate begins before it is issued, so that a clock which is a little slow accepts it.
pub const BACKDATE: Duration = Duration::minutes(5);

/// Version of the templates below; a change that relying parties could notice raises it.
const TEMPLATE_MAJOR: u32 = 100;
const TEMPLATE_MINOR: u32 = 1;

/// The branch under which a deployment numbers its templates: below the one where each enterprise of the Windows
/// world has its own, with six numbers taken from the root's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateArc(Oid);

impl TemplateArc {
    /// The branch of this root.
    pub fn of_root(root: &Certificate) -> Self {
        const ENTERPRISE: [u32; 9] = [1, 3, 6, 1, 4, 1, 311, 21, 8];
        let hash = Thumbprint::of(root.spki_der());
        let own = hash.0.chunks_exact(3).take(6).map(|three| {
            three
                .iter()
                .fold(0u32, |number, byte| (number << 8) | u32::from(*byte))
        });
        // Nine short numbers and six of at most four bytes fit well into an identifier's 39 bytes.
        Self(Oid::from_arcs(ENTERPRISE.into_iter().chain(own)).unwrap_or(Eku::CLIENT_AUTH.0))
    }

    /// The number of the issuance policy for a key in a card that its maker vouches for: AD CS has none of its own, and
    /// keeps this place of a deployment's branch for such policies.
    pub fn card_attested(&self) -> Option<Oid> {
        self.0.child(1).and_then(|oid| oid.child(402)).ok()
    }

    /// The number of a profile's template; `None` for those that need none.
    pub fn template(&self, profile: ProfileName) -> Option<TemplateInfo> {
        let number = match profile {
            ProfileName::SmartcardUser => 1,
            ProfileName::CardAuthentication => 2,
            _ => return None,
        };
        let oid = self.0.child(number).ok()?;
        Some(TemplateInfo {
            oid,
            major: TEMPLATE_MAJOR,
            minor: TEMPLATE_MINOR,
        })
    }
}

/// What the certificates of a profile are for; authorities name nothing, for what they name would bind all below.
pub(crate) fn ekus(profile: ProfileName) -> Vec<Eku> {
    match profile {
        ProfileName::SmartcardUser => {
            vec![Eku::SECURE_EMAIL, Eku::CLIENT_AUTH, Eku::SMARTCARD_LOGON]
        }
        ProfileName::CardAuthentication => vec![Eku::PIV_CARD_AUTH],
        ProfileName::ChatUser => vec![Eku::CLIENT_AUTH],
        ProfileName::ServerTls => vec![Eku::SERVER_AUTH],
        ProfileName::IssuingCa | ProfileName::RootCa => Vec::new(),
    }
}

/// What the keys of a profile may do.
pub(crate) fn key_usage(profile: ProfileName, key: KeyAlgorithm) -> KeyUsage {
    let signs = KeyUsage::DIGITAL_SIGNATURE;
    match profile {
        // S/MIME wants a key that others can encipher for, each kind in its own way.
        ProfileName::SmartcardUser if key.is_elliptic() => signs | KeyUsage::KEY_AGREEMENT,
        ProfileName::SmartcardUser => signs | KeyUsage::KEY_ENCIPHERMENT,
        ProfileName::CardAuthentication | ProfileName::ChatUser | ProfileName::ServerTls => signs,
        ProfileName::IssuingCa | ProfileName::RootCa => {
            signs | KeyUsage::KEY_CERT_SIGN | KeyUsage::CRL_SIGN
        }
    }
}

/// The subject of a certificate.
pub(crate) fn subject(grant: &Grant, organisation: &str) -> Result<DistinguishedName, NameError> {
    let ours = DistinguishedName::default().with_organisation(&clip(organisation))?;
    match grant {
        Grant::SmartcardUser { person, .. } => ours.with_common_name(&clip(&person.display_name)),
        Grant::CardAuthentication { card, .. } => {
            let number = card.guid.hyphenated();
            ours.with_common_name(&number)?.with_serial_number(&number)
        }
        Grant::ChatUser { address, .. } => DistinguishedName::from_common_name(address.as_str()),
        Grant::ServerTls { names } => {
            let host = names.iter().find_map(|name| match name {
                ServerName::Dns(host) if fits(host) => Some(host.as_str()),
                _ => None,
            });
            ours.with_common_name(host.unwrap_or("server"))
        }
    }
}

/// The other names of a certificate.
pub(crate) fn alternative_names(grant: &Grant) -> Vec<AlternativeName> {
    match grant {
        Grant::SmartcardUser { person, .. } => {
            let upn = AlternativeName::Upn(person.upn.clone());
            let email = person.email.clone().map(AlternativeName::Email);
            let address = person.address.sip_uri().map(AlternativeName::Uri);
            [Some(upn), email, address].into_iter().flatten().collect()
        }
        Grant::CardAuthentication { card, .. } => {
            vec![AlternativeName::Uri(format!(
                "urn:uuid:{}",
                card.guid.hyphenated()
            ))]
        }
        Grant::ChatUser { .. } => Vec::new(),
        Grant::ServerTls { names } => names
            .iter()
            .map(|name| match name {
                ServerName::Dns(host) => AlternativeName::Dns(host.clone()),
                ServerName::Ip(address) => AlternativeName::Ip(*address),
            })
            .collect(),
    }
}

/// Everything besides names, key and validity.
pub(crate) fn extensions(
    grant: &Grant,
    key: &PublicKey,
    issuer: &Certificate,
    templates: TemplateArc,
    crl_urls: &[String],
    issuer_urls: &[String],
) -> Extensions {
    let profile = grant.profile();
    let sid = match grant {
        Grant::SmartcardUser { person, .. } => Some(person.account.clone()),
        _ => None,
    };
    let policies = match grant {
        Grant::SmartcardUser { policies, .. } => policies.clone(),
        _ => Vec::new(),
    };
    Extensions {
        basic_constraints: Some(BasicConstraints {
            ca: false,
            path_len: None,
        }),
        key_usage: Some(key_usage(profile, key.algorithm())),
        ekus: ekus(profile),
        // FIPS 201 asks for it: a card's own certificate must never pass for a person's.
        ekus_critical: profile == ProfileName::CardAuthentication,
        alternative_names: alternative_names(grant),
        sid,
        template: templates.template(profile),
        application_policies: match profile {
            ProfileName::SmartcardUser => ekus(profile),
            _ => Vec::new(),
        },
        policies,
        subject_key_id: Some(key.key_id()),
        authority_key_id: issuer.extensions().subject_key_id.clone(),
        crl_urls: crl_urls.to_vec(),
        issuer_urls: issuer_urls.to_vec(),
        ..Extensions::default()
    }
}

/// The extensions of an authority's own certificate.
pub(crate) fn authority_extensions(
    profile: ProfileName,
    key: &PublicKey,
    issuer_key: &PublicKey,
) -> Extensions {
    let path_len = match profile {
        ProfileName::IssuingCa => Some(0),
        _ => None,
    };
    Extensions {
        basic_constraints: Some(BasicConstraints { ca: true, path_len }),
        key_usage: Some(key_usage(profile, key.algorithm())),
        subject_key_id: Some(key.key_id()),
        authority_key_id: Some(issuer_key.key_id()).filter(|_| profile != ProfileName::RootCa),
        ..Extensions::default()
    }
}

fn fits(text: &str) -> bool {
    text.chars().count() <= DistinguishedName::VALUE_CHARS_MAX
}

/// A name in the length that certificates allow; a person's full name is in the directory.
fn clip(text: &str) -> String {
    text.chars()
        .take(DistinguishedName::VALUE_CHARS_MAX)
        .collect()
}
