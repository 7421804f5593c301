// SPDX-License-Identifier: MIT OR Apache-2.0
//! The issuing authority: its certificate, its key, its registry, and its revocation lists.

use std::fmt;
use std::sync::Arc;

use lanyard_x509::{Certificate, Crl, CrlError, CrlSpec, Oid, RevokedEntry, Signer};
use time::{Duration, OffsetDateTime};

use crate::profile::{CARD_LIFETIME_DEFAULT, TemplateArc};
use crate::registry::{CrlRow, Registry, RegistryError};

/// How long a revocation list counts.
pub const CRL_LIFETIME: Duration = Duration::hours(48);
/// How old a revocation list may get before a new one takes its place, even when nothing was revoked.
pub const CRL_REFRESH: Duration = Duration::hours(12);

/// What an authority is made of.
pub struct AuthoritySettings {
    /// The root: the end of every chain, handed out with certificates.
    pub root: Certificate,
    /// The issuing authority's certificate.
    pub issuing: Certificate,
    /// The issuing authority's key.
    pub signer: Arc<dyn Signer>,
    /// The authority's memory.
    pub registry: Arc<dyn Registry>,
    /// The organisation in subjects.
    pub organisation: String,
    /// Where the revocation list can be fetched: plain HTTP.
    pub crl_urls: Vec<String>,
    /// Where the issuing authority's certificate can be fetched: plain HTTP.
    pub issuer_urls: Vec<String>,
    /// How long the certificates of a card live.
    pub card_lifetime: Duration,
}

impl AuthoritySettings {
    /// Settings with the usual lifetimes.
    pub fn new(
        root: Certificate,
        issuing: Certificate,
        signer: Arc<dyn Signer>,
        registry: Arc<dyn Registry>,
    ) -> Self {
        Self {
            root,
            issuing,
            signer,
            registry,
            organisation: "Lanyard".to_owned(),
            crl_urls: Vec::new(),
            issuer_urls: Vec::new(),
            card_lifetime: CARD_LIFETIME_DEFAULT,
        }
    }
}

/// The issuing authority.
pub struct Authority {
    pub(crate) settings: AuthoritySettings,
    pub(crate) templates: TemplateArc,
}

impl Authority {
    /// Checks that certificate and key belong together and may issue.
    pub fn new(settings: AuthoritySettings) -> Result<Self, AuthorityError> {
        let issuing = &settings.issuing;
        if issuing.spki_der() != settings.signer.public_key().spki_der() {
            return Err(AuthorityError::OtherKey);
        }
        if !issuing.extensions().is_ca() || issuing.extensions().subject_key_id.is_none() {
            return Err(AuthorityError::NotAnAuthority);
        }
        let root_key = settings
            .root
            .public_key()
            .map_err(|_| AuthorityError::OtherRoot)?;
        if issuing.issuer() != settings.root.subject()
            || issuing.verify_signature(&root_key).is_err()
        {
            return Err(AuthorityError::OtherRoot);
        }
        let urls = settings.crl_urls.iter().chain(&settings.issuer_urls);
        if !urls.into_iter().all(|url| is_plain_http(url)) {
            return Err(AuthorityError::BadUrl);
        }
        let templates = TemplateArc::of_root(&settings.root);
        Ok(Self {
            settings,
            templates,
        })
    }

    /// The issuing authority's certificate.
    pub fn issuing(&self) -> &Certificate {
        &self.settings.issuing
    }

    /// The root's certificate.
    pub fn root(&self) -> &Certificate {
        &self.settings.root
    }

    /// What stands above every certificate that is issued here: the issuing authority first, then the root.
    pub fn chain(&self) -> [&Certificate; 2] {
        [&self.settings.issuing, &self.settings.root]
    }

    /// The issuance policy for a key in a card that its maker vouches for.
    pub fn card_attested_policy(&self) -> Option<Oid> {
        self.templates.card_attested()
    }

    /// The key that issues; also signs the heads of the audit trail.
    pub fn signer(&self) -> &dyn Signer {
        self.settings.signer.as_ref()
    }

    /// The authority's memory.
    pub fn registry(&self) -> &dyn Registry {
        self.settings.registry.as_ref()
    }

    /// Makes a new revocation list and keeps it as the current one.
    pub fn make_crl(&self, now: OffsetDateTime) -> Result<Crl, CrlIssueError> {
        // The number is taken before the rows are read: a list with a greater number never knows less.
        let number = self.registry().next_crl_number()?;
        let entries = self
            .registry()
            .revoked(now)?
            .into_iter()
            .map(|row| RevokedEntry {
                serial: row.serial,
                at: row.at,
                reason: row.reason,
            });
        let spec = CrlSpec {
            number,
            this_update: now,
            next_update: now.saturating_add(CRL_LIFETIME),
            entries: entries.collect(),
        };
        let crl = spec.sign(&self.settings.issuing, self.signer())?;
        self.registry().save_crl(&CrlRow {
            number,
            this_update: crl.this_update(),
            next_update: crl.next_update(),
            der: crl.der().to_vec(),
        })?;
        Ok(crl)
    }

    /// The current revocation list; a new one when there is none or it is getting old. After a revocation ask for
    /// [`Authority::make_crl`].
    pub fn crl(&self, now: OffsetDateTime) -> Result<Crl, CrlIssueError> {
        match self.registry().current_crl()? {
            Some(row) if now >= row.this_update && now - row.this_update < CRL_REFRESH => {
                Ok(Crl::from_der(&row.der)?)
            }
            _ => self.make_crl(now),
        }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.settings.issuing.subject())
    }
}

/// Why there can be no authority with these settings.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The key is not the certificate's.
    #[error("the issuing key does not belong to the issuing certificate")]
    OtherKey,
    /// The certificate is not an authority's.
    #[error("the issuing certificate is not that of an authority")]
    NotAnAuthority,
    /// The certificate was not issued by this root.
    #[error("the issuing certificate was not issued by the root certificate")]
    OtherRoot,
    /// An address in certificates has to be plain HTTP: who checks a certificate cannot first check another one.
    #[error("an address of the revocation list or of the issuer's certificate is not http://")]
    BadUrl,
}

/// Why there is no revocation list.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum CrlIssueError {
    /// The registry failed.
    #[error("the revoked certificates cannot be read or the list cannot be kept")]
    Registry(#[from] RegistryError),
    /// The list could not be made.
    #[error("the revocation list cannot be made")]
    Crl(#[from] CrlError),
}

pub(crate) fn is_plain_http(url: &str) -> bool {
    url.strip_prefix("http://")
        .is_some_and(|rest| !rest.is_empty())
        && url.bytes().all(|byte| byte.is_ascii_graphic())
}
