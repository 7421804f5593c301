// SPDX-License-Identifier: MIT OR Apache-2.0
//! The key ceremony: root, issuing authority, first server certificate. Made once, when a deployment is born.

use lanyard_x509::{
    Certificate, CertificateError, CertificateSpec, DistinguishedName, NameError, Serial,
    Signer as _, SoftwareKey, SoftwareKeyError,
};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::actor::Actor;
use crate::audit::{Action, AuditEntry};
use crate::authority::Authority;
use crate::issue::{IssueError, Issued};
use crate::lint::{Expectation, Faults, lint};
use crate::order::{Grant, Order, ServerName};
use crate::profile::{
    self, BACKDATE, CARD_LIFETIME_DEFAULT, ISSUING_CA_LIFETIME, ROOT_CA_LIFETIME,
};
use crate::registry::{Completion, PreparedRow, ProfileName, Registry, RegistryError, Status};
use crate::seed::SerialSeed;

/// What the ceremony has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The organisation in the names of the authorities, such as `contoso.test`.
    pub organisation: String,
    /// The common name of the root.
    pub root_name: String,
    /// The common name of the issuing authority.
    pub issuing_name: String,
}

impl Plan {
    /// The usual names for an organisation.
    pub fn for_organisation(organisation: &str) -> Self {
        Self {
            organisation: organisation.to_owned(),
            root_name: "Lanyard Root CA".to_owned(),
            issuing_name: "Lanyard Issuing CA".to_owned(),
        }
    }
}

/// What the ceremony gives: two authorities with their keys. The caller stores each key with mode 0600; the root's is
/// needed again only for another issuing authority and belongs in a safe.
#[derive(Debug)]
pub struct Ceremony {
    /// The root's certificate.
    pub root: Certificate,
    /// The root's key.
    pub root_key: SoftwareKey,
    /// The issuing authority's certificate.
    pub issuing: Certificate,
    /// The issuing authority's key.
    pub issuing_key: SoftwareKey,
}

/// Makes both authorities.
pub fn hold(
    plan: &Plan,
    seeds: [SerialSeed; 2],
    now: OffsetDateTime,
) -> Result<Ceremony, CeremonyError> {
    let [root_seed, issuing_seed] = seeds;
    let named = |common_name: &str| {
        DistinguishedName::default()
            .with_organisation(&plan.organisation)
            .and_then(|name| name.with_common_name(common_name))
    };
    let root_key = SoftwareKey::generate()?;
    let root_name = named(&plan.root_name)?;
    let root = draft(ProfileName::RootCa, root_name, &root_key, root_seed, now);
    let root = root.made_by(None, &root_key)?;

    let issuing_key = SoftwareKey::generate()?;
    let issuing_name = named(&plan.issuing_name)?;
    let profile = ProfileName::IssuingCa;
    let issuing = draft(profile, issuing_name, &issuing_key, issuing_seed, now);
    let issuing = issuing.made_by(Some(&root), &root_key)?;
    Ok(Ceremony {
        root,
        root_key,
        issuing,
        issuing_key,
    })
}

impl Ceremony {
    /// Enters both authorities into the registry, with the audit events.
    pub fn register(
        &self,
        registry: &dyn Registry,
        by: &Actor,
        now: OffsetDateTime,
    ) -> Result<(), RegistryError> {
        let both = [
            (&self.root, ProfileName::RootCa),
            (&self.issuing, ProfileName::IssuingCa),
        ];
        let mut completions = Vec::new();
        for (certificate, profile) in both {
            registry.insert_prepared(&PreparedRow {
                serial: certificate.serial(),
                profile,
                account: None,
                subject: certificate.subject().to_string(),
                card_guid: None,
                card_kind: None,
                bound_to: None,
                not_before: certificate.not_before(),
                not_after: certificate.not_after(),
                requester: by.clone(),
                approver: by.clone(),
                prepared_at: now,
                to_be_signed: Vec::new(),
            })?;
            let mut details = Map::new();
            let sha256 = certificate.thumbprint().to_string();
            details.insert("profile".to_owned(), Value::String(profile.to_string()));
            details.insert(
                "subject".to_owned(),
                certificate.subject().to_string().into(),
            );
            details.insert("sha256".to_owned(), Value::String(sha256));
            let serial = certificate.serial();
            completions.push(Completion {
                serial,
                der: certificate.der().to_vec(),
                status: Status::Active,
                audit: AuditEntry::new(now, by.clone(), Action::KeyCeremony, serial.to_string())
                    .with_details(&details),
            });
        }
        registry.complete(&completions)
    }
}

/// Issues a new key and certificate for a server: at the ceremony, and whenever the old one is about to end.
pub fn server_tls(
    authority: &Authority,
    names: Vec<ServerName>,
    by: Actor,
    seed: SerialSeed,
    now: OffsetDateTime,
) -> Result<(SoftwareKey, Issued), ServerTlsError> {
    let key = SoftwareKey::generate()?;
    let order = Order {
        grant: Grant::ServerTls { names },
        key: key.public_key().clone(),
        requester: by.clone(),
        approver: by,
    };
    let issued = authority.issue(order, seed, Status::Active, now)?;
    Ok((key, issued))
}

/// Why the ceremony failed.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    /// No key could be made.
    #[error("a key could not be made")]
    Key(#[from] SoftwareKeyError),
    /// A name cannot stand in a certificate.
    #[error("a name of the plan cannot stand in a certificate")]
    Name(#[from] NameError),
    /// A certificate could not be made.
    #[error("a certificate could not be made")]
    Certificate(#[from] CertificateError),
    /// The last look found faults.
    #[error(transparent)]
    Lint(#[from] Faults),
}

/// Why a server has no certificate.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// No key could be made.
    #[error("a key could not be made")]
    Key(#[from] SoftwareKeyError),
    /// The certificate could not be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// An authority's certificate on its way: everything but who makes it.
struct Draft {
    profile: ProfileName,
    subject: DistinguishedName,
    key: lanyard_x509::PublicKey,
    serial: Serial,
    now: OffsetDateTime,
}

fn draft(
    profile: ProfileName,
    subject: DistinguishedName,
    key: &SoftwareKey,
    seed: SerialSeed,
    now: OffsetDateTime,
) -> Draft {
    let serial = Serial::from_random(seed.0);
    Draft {
        profile,
        subject,
        key: key.public_key().clone(),
        serial,
        now,
    }
}

impl Draft {
    fn made_by(
        self,
        issuer: Option<&Certificate>,
        signer: &SoftwareKey,
    ) -> Result<Certificate, CeremonyError> {
        let lifetime = match self.profile {
            ProfileName::RootCa => ROOT_CA_LIFETIME,
            _ => ISSUING_CA_LIFETIME,
        };
        let begin = self.now.saturating_sub(BACKDATE);
        let end = self.now.saturating_add(lifetime);
        let spec = CertificateSpec {
            serial: self.serial,
            issuer: issuer
                .map_or(&self.subject, |issuer| issuer.subject())
                .clone(),
            subject: self.subject.clone(),
            not_before: issuer.map_or(begin, |issuer| begin.max(issuer.not_before())),
            not_after: issuer.map_or(end, |issuer| end.min(issuer.not_after())),
            extensions: profile::authority_extensions(self.profile, &self.key, signer.public_key()),
            public_key: self.key.clone(),
        };
        let to_be_signed = spec.encode(signer.algorithm())?;
        let expectation = Expectation {
            grant: None,
            profile: self.profile,
            serial: self.serial,
            issuer,
            key: &self.key,
            algorithm: signer.algorithm(),
            now: self.now,
            card_lifetime: CARD_LIFETIME_DEFAULT,
            bound_end: None,
            templates: None,
        };
        lint(
            &to_be_signed.fields()?,
            to_be_signed.der().len(),
            &expectation,
        )?;
        Ok(to_be_signed.sign(signer)?)
    }
}
