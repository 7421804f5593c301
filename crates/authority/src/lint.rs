// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last look before signing: what was encoded is read back and compared with what is allowed.
//!
//! The rules are written down here a second time and do not call the code that made the certificate, so that a mistake
//! there meets a fault here and not a signature.

use std::fmt;

use lanyard_x509::{
    AlternativeName, Certificate, CertificateFields, DistinguishedName, Eku, Extensions, KeyUsage,
    Oid, PublicKey, Serial, Sid, SignatureAlgorithm,
};
use time::{Duration, OffsetDateTime};

use crate::authority::is_plain_http;
use crate::order::{Grant, ServerName, SignInAddress, is_host_name};
use crate::profile::{
    BACKDATE, CHAT_LIFETIME_MAX, ISSUING_CA_LIFETIME, ROOT_CA_LIFETIME, SERVER_TLS_LIFETIME,
    TemplateArc,
};
use crate::registry::ProfileName;

/// Largest certificate that is signed, in bytes: cards hold little more.
pub const SIGNED_BYTES_MAX: usize = 2800;
/// Bytes of every serial number.
const SERIAL_BYTES: usize = 16;

/// What a certificate has to be.
#[derive(Debug, Clone)]
pub struct Expectation<'a> {
    /// What is to be issued; `None` for the certificate of an authority.
    pub grant: Option<&'a Grant>,
    /// The profile.
    pub profile: ProfileName,
    /// The serial number that was chosen.
    pub serial: Serial,
    /// The certificate above; `None` for a root, which stands alone.
    pub issuer: Option<&'a Certificate>,
    /// The certificate's key.
    pub key: &'a PublicKey,
    /// How it will be signed.
    pub algorithm: SignatureAlgorithm,
    /// The time.
    pub now: OffsetDateTime,
    /// The longest life of a card's certificates.
    pub card_lifetime: Duration,
    /// When the certificate that this one is bound to ends.
    pub bound_end: Option<OffsetDateTime>,
    /// Where templates are numbered; `None` for the certificate of an authority.
    pub templates: Option<TemplateArc>,
}

/// What is wrong with a certificate that was about to be signed.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// Not of version 3.
    #[error("it is not of version 3")]
    NotVersion3,
    /// The serial number is not the chosen one.
    #[error("its serial number is not the one that was chosen")]
    OtherSerial,
    /// The serial number is too short.
    #[error("its serial number does not have {SERIAL_BYTES} bytes")]
    WeakSerial,
    /// Another issuer's name.
    #[error("its issuer is not this authority")]
    OtherIssuer,
    /// Nobody's certificate.
    #[error("its subject is empty")]
    EmptySubject,
    /// A value in the subject is too long.
    #[error("a value in its subject is too long")]
    LongSubject,
    /// The subject has the name of the authority.
    #[error("its subject is the authority itself")]
    SubjectIsIssuer,
    /// The subject is not the person, card, address or server.
    #[error("its subject is not the one that was ordered")]
    OtherSubject,
    /// It ends before it begins, or has ended.
    #[error("it ends before it begins, or is over")]
    NoLife,
    /// It begins later than now, or long before.
    #[error("it begins at the wrong time")]
    WrongBeginning,
    /// It lives longer than its profile allows.
    #[error("it lives longer than its profile allows")]
    LongLife,
    /// It begins before or ends after its issuer's certificate.
    #[error("it reaches beyond its issuer's life")]
    OutlivesIssuer,
    /// It ends after the certificate that it is bound to.
    #[error("it outlives the certificate that it is bound to")]
    OutlivesBound,
    /// Another key.
    #[error("its key is not the one that was ordered")]
    OtherKey,
    /// A signature of another or an obsolete kind.
    #[error("its signature is of the wrong kind")]
    WrongSignature,
    /// It would be an authority and must not, or the other way round.
    #[error("it says the wrong thing about being an authority")]
    WrongAuthority,
    /// The key may do too much or too little.
    #[error("its key usage is wrong")]
    WrongKeyUsage,
    /// It is for too much or too little.
    #[error("its extended key usage is wrong")]
    WrongUsage,
    /// It names somebody or something else, or too many.
    #[error("its alternative names are not those that were ordered")]
    OtherNames,
    /// A host name that is none.
    #[error("one of its host names is none")]
    BadHostName,
    /// It names another account, or one where none belongs.
    #[error("its account is not the one that was ordered")]
    OtherAccount,
    /// The template is missing or another one.
    #[error("its template is wrong")]
    WrongTemplate,
    /// The key identifiers do not fit the keys.
    #[error("its key identifiers are wrong")]
    WrongKeyId,
    /// An address that is not plain HTTP, or one in an authority's certificate.
    #[error("an address in it is not plain HTTP or does not belong there")]
    BadUrl,
    /// An extension that no profile has.
    #[error("it has an extension that no profile has")]
    ForeignExtension,
    /// More bytes than a card holds.
    #[error("it is larger than a card holds")]
    TooLarge,
}

/// All faults of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the certificate is not as it has to be:")?;
        self.0.iter().enumerate().try_for_each(|(index, fault)| {
            write!(f, "{} {fault}", if index == 0 { "" } else { ";" })
        })
    }
}

/// Checks everything and names all faults.
pub fn lint(
    fields: &CertificateFields,
    encoded_bytes: usize,
    expected: &Expectation<'_>,
) -> Result<(), Faults> {
    let mut check = Check { faults: Vec::new() };
    check.frame(fields, encoded_bytes, expected);
    check.life(fields, expected);
    check.subject(fields, expected);
    check.powers(&fields.extensions, expected);
    check.names(&fields.extensions, expected);
    check.links(&fields.extensions, expected);
    if check.faults.is_empty() {
        Ok(())
    } else {
        Err(Faults(check.faults))
    }
}

struct Check {
    faults: Vec<Fault>,
}

impl Check {
    fn require(&mut self, holds: bool, fault: Fault) {
        if !holds && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn frame(&mut self, fields: &CertificateFields, bytes: usize, expected: &Expectation<'_>) {
        self.require(fields.is_v3, Fault::NotVersion3);
        self.require(fields.serial == expected.serial, Fault::OtherSerial);
        self.require(
            fields.serial.as_be_bytes().len() == SERIAL_BYTES,
            Fault::WeakSerial,
        );
        self.require(
            fields.signature_algorithm == Some(expected.algorithm),
            Fault::WrongSignature,
        );
        self.require(fields.spki_der == expected.key.spki_der(), Fault::OtherKey);
        let server = expected.profile == ProfileName::ServerTls;
        self.require(server || bytes <= SIGNED_BYTES_MAX, Fault::TooLarge);
        match expected.issuer {
            Some(issuer) => {
                self.require(fields.issuer == *issuer.subject(), Fault::OtherIssuer);
                self.require(fields.subject != *issuer.subject(), Fault::SubjectIsIssuer);
            }
            None => self.require(fields.issuer == fields.subject, Fault::OtherIssuer),
        }
    }

    fn life(&mut self, fields: &CertificateFields, expected: &Expectation<'_>) {
        let lifetime_max = match expected.profile {
            ProfileName::SmartcardUser | ProfileName::CardAuthentication => expected.card_lifetime,
            ProfileName::ChatUser => CHAT_LIFETIME_MAX,
            ProfileName::ServerTls => SERVER_TLS_LIFETIME,
            ProfileName::IssuingCa => ISSUING_CA_LIFETIME,
            ProfileName::RootCa => ROOT_CA_LIFETIME,
        };
        let (begin, end) = (fields.not_before, fields.not_after);
        self.require(begin < end && end > expected.now, Fault::NoLife);
        // One second of grace: certificates count whole seconds.
        let earliest = expected.now.saturating_sub(BACKDATE + Duration::SECOND);
        self.require(
            begin >= earliest && begin <= expected.now,
            Fault::WrongBeginning,
        );
        self.require(
            end <= expected.now.saturating_add(lifetime_max),
            Fault::LongLife,
        );
        if let Some(issuer) = expected.issuer {
            let within = begin >= issuer.not_before() && end <= issuer.not_after();
            self.require(within, Fault::OutlivesIssuer);
        }
        let bound_end = expected.bound_end;
        self.require(
            bound_end.is_none_or(|bound_end| end <= bound_end),
            Fault::OutlivesBound,
        );
    }

    fn subject(&mut self, fields: &CertificateFields, expected: &Expectation<'_>) {
        self.require(!fields.subject.is_empty(), Fault::EmptySubject);
        let chars_max = match expected.profile {
            ProfileName::ChatUser => SignInAddress::BYTES_MAX,
            _ => DistinguishedName::VALUE_CHARS_MAX,
        };
        self.require(
            fields.subject.longest_value_chars() <= chars_max,
            Fault::LongSubject,
        );
        let common_name = fields.subject.common_name().unwrap_or_default();
        let fits = match expected.grant {
            // A long name is cut, never changed.
            Some(Grant::SmartcardUser { person, .. }) => {
                !common_name.is_empty() && person.display_name.starts_with(&common_name)
            }
            Some(Grant::CardAuthentication { card, .. }) => common_name == card.guid.hyphenated(),
            Some(Grant::ChatUser { address, .. }) => common_name == address.as_str(),
            Some(Grant::ServerTls { .. }) | None => !common_name.is_empty(),
        };
        self.require(fits, Fault::OtherSubject);
    }

    fn powers(&mut self, extensions: &Extensions, expected: &Expectation<'_>) {
        let authority = matches!(
            expected.profile,
            ProfileName::IssuingCa | ProfileName::RootCa
        );
        let path_len = (expected.profile == ProfileName::IssuingCa).then_some(0);
        let constraints = extensions
            .basic_constraints
            .is_some_and(|said| said.ca == authority && said.path_len == path_len);
        self.require(constraints, Fault::WrongAuthority);

        let signs = KeyUsage::DIGITAL_SIGNATURE;
        let usage = match (expected.profile, expected.key.algorithm().is_elliptic()) {
            (ProfileName::SmartcardUser, true) => signs | KeyUsage::KEY_AGREEMENT,
            (ProfileName::SmartcardUser, false) => signs | KeyUsage::KEY_ENCIPHERMENT,
            _ if authority => signs | KeyUsage::KEY_CERT_SIGN | KeyUsage::CRL_SIGN,
            _ => signs,
        };
        self.require(extensions.key_usage == Some(usage), Fault::WrongKeyUsage);

        let ekus: &[Eku] = match expected.profile {
            ProfileName::SmartcardUser => {
                &[Eku::SECURE_EMAIL, Eku::CLIENT_AUTH, Eku::SMARTCARD_LOGON]
            }
            ProfileName::CardAuthentication => &[Eku::PIV_CARD_AUTH],
            ProfileName::ChatUser => &[Eku::CLIENT_AUTH],
            ProfileName::ServerTls => &[Eku::SERVER_AUTH],
            ProfileName::IssuingCa | ProfileName::RootCa => &[],
        };
        let critical = expected.profile == ProfileName::CardAuthentication;
        let application: &[Eku] = match expected.profile {
            ProfileName::SmartcardUser => ekus,
            _ => &[],
        };
        let usages_fit = extensions.ekus == ekus
            && extensions.ekus_critical == critical
            && extensions.application_policies == application;
        self.require(usages_fit, Fault::WrongUsage);
        let policies: &[Oid] = match expected.grant {
            Some(Grant::SmartcardUser { policies, .. }) => policies,
            _ => &[],
        };
        let none_foreign = extensions.unknown.is_empty()
            && extensions.policies == policies
            && extensions.template_name.is_none();
        self.require(none_foreign, Fault::ForeignExtension);
    }

    fn names(&mut self, extensions: &Extensions, expected: &Expectation<'_>) {
        let names = extensions.alternative_names.as_slice();
        let mut account: Option<&Sid> = None;
        let fit = match expected.grant {
            Some(Grant::SmartcardUser { person, .. }) => {
                account = Some(&person.account);
                let address = person.address.sip_uri();
                let addresses: Vec<&str> =
                    address.iter().map(|_| person.address.as_str()).collect();
                names.len() == 1 + usize::from(person.email.is_some()) + addresses.len()
                    && extensions.sip_addresses() == addresses
                    && extensions.upn() == Some(&person.upn)
                    && extensions.email() == person.email.as_ref()
            }
            Some(Grant::CardAuthentication { card, .. }) => {
                let uri = format!("urn:uuid:{}", card.guid.hyphenated());
                matches!(names, [AlternativeName::Uri(said)] if *said == uri)
            }
            Some(Grant::ServerTls { names: ordered }) => {
                let same = |(said, name): (&AlternativeName, &ServerName)| match (said, name) {
                    (AlternativeName::Dns(said), ServerName::Dns(host)) => said == host,
                    (AlternativeName::Ip(said), ServerName::Ip(address)) => said == address,
                    _ => false,
                };
                !names.is_empty()
                    && names.len() == ordered.len()
                    && names.iter().zip(ordered).all(same)
            }
            Some(Grant::ChatUser { .. }) | None => names.is_empty(),
        };
        self.require(fit, Fault::OtherNames);
        self.require(extensions.sid.as_ref() == account, Fault::OtherAccount);
        let hosts_are_sound = names.iter().all(|name| match name {
            AlternativeName::Dns(host) => is_host_name(host),
            _ => true,
        });
        self.require(hosts_are_sound, Fault::BadHostName);
    }

    fn links(&mut self, extensions: &Extensions, expected: &Expectation<'_>) {
        let template = expected
            .templates
            .and_then(|arc| arc.template(expected.profile));
        self.require(extensions.template == template, Fault::WrongTemplate);

        let own = Some(expected.key.key_id());
        let above = expected
            .issuer
            .and_then(|issuer| issuer.extensions().subject_key_id.clone());
        let key_ids_fit = extensions.subject_key_id == own
            && extensions.authority_key_id == above
            && (above.is_some() || expected.issuer.is_none());
        self.require(key_ids_fit, Fault::WrongKeyId);

        let urls: Vec<&String> = extensions
            .crl_urls
            .iter()
            .chain(&extensions.issuer_urls)
            .collect();
        let urls_fit = urls.iter().all(|url| is_plain_http(url))
            && extensions.ocsp_urls.is_empty()
            && (expected.grant.is_some() || urls.is_empty());
        self.require(urls_fit, Fault::BadUrl);
    }
}
