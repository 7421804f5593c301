// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prepare, lint, store, sign, record: each step consumes the one before.

use lanyard_x509::{
    Certificate, CertificateError, CertificateSpec, NameError, Oid, PublicKey, Serial,
    TbsCertificate,
};
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};

use crate::actor::Actor;
use crate::audit::{Action, AuditEntry};
use crate::authority::Authority;
use crate::card::Card;
use crate::lint::{Expectation, Faults, lint};
use crate::order::{Grant, Order, Person};
use crate::profile::{self, BACKDATE, CHAT_LIFETIME_MAX, CHAT_LIFETIME_MIN, SERVER_TLS_LIFETIME};
use crate::registry::{
    CertificateRow, Completion, PreparedRow, ProfileName, RegistryError, Status,
};
use crate::seed::SerialSeed;

/// A certificate that was encoded and found good, and that nobody has signed. It cannot be copied.
#[derive(Debug)]
pub struct Prepared {
    row: PreparedRow,
    to_be_signed: TbsCertificate,
}

impl Prepared {
    /// The serial number that it will have.
    pub fn serial(&self) -> Serial {
        self.row.serial
    }

    /// What the registry will know of it.
    pub fn row(&self) -> &PreparedRow {
        &self.row
    }
}

/// The same, once its serial number is taken for good.
#[derive(Debug)]
pub struct Stored(Prepared);

/// A signed certificate that the registry does not know yet. It must not be given to anybody.
#[derive(Debug)]
pub struct Signed {
    row: PreparedRow,
    certificate: Certificate,
}

/// A certificate that the registry knows, and that may be given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub certificate: Certificate,
    /// Issued or active.
    pub status: Status,
}

/// The certificates of one card.
#[derive(Debug, Clone)]
pub struct CardOrder {
    /// Whose card it is.
    pub person: Person,
    /// The card.
    pub card: Card,
    /// The key in slot 9A: signs in.
    pub key: PublicKey,
    /// The key in slot 9E, when the card has one: shows presence.
    pub authentication_key: Option<PublicKey>,
    /// Issuance policies: what was proved about where the key in slot 9A lives.
    pub policies: Vec<Oid>,
    /// Who asks.
    pub requester: Actor,
    /// Who approved it.
    pub approver: Actor,
}

/// What was issued for a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCard {
    /// The certificate for slot 9A.
    pub certificate: Certificate,
    /// The certificate for slot 9E.
    pub authentication: Option<Certificate>,
    /// Where both stand.
    pub status: Status,
}

impl Authority {
    /// Makes what will be signed, from the profile, and checks it.
    pub fn prepare(
        &self,
        order: Order,
        seed: SerialSeed,
        now: OffsetDateTime,
    ) -> Result<Prepared, PrepareError> {
        let bound = match &order.grant {
            Grant::ChatUser {
                card_certificate: Some(card),
                ..
            } => Some(self.card_certificate_in_force(&order.grant, card, now)?),
            _ => None,
        };
        self.prepare_bound(order, seed, bound.map(|row| row.not_after), now)
    }

    fn prepare_bound(
        &self,
        order: Order,
        seed: SerialSeed,
        bound_end: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<Prepared, PrepareError> {
        let Order {
            grant,
            key,
            requester,
            approver,
        } = order;
        check_people(&grant, &requester, &approver)?;
        if key == *self.signer().public_key() {
            return Err(PrepareError::AuthorityKey);
        }
        let settings = &self.settings;
        let issuing = &settings.issuing;
        if now >= issuing.not_after() {
            return Err(PrepareError::AuthorityOver);
        }
        let ends = [Some(now.saturating_add(self.lifetime(&grant)?)), bound_end];
        let not_after = ends
            .into_iter()
            .flatten()
            .fold(issuing.not_after(), |earliest, end| earliest.min(end));
        let serial = Serial::from_random(seed.0);
        let spec = CertificateSpec {
            serial,
            issuer: issuing.subject().clone(),
            subject: profile::subject(&grant, &settings.organisation)?,
            not_before: now.saturating_sub(BACKDATE).max(issuing.not_before()),
            not_after,
            extensions: profile::extensions(
                &grant,
                &key,
                issuing,
                self.templates,
                &settings.crl_urls,
                &settings.issuer_urls,
            ),
            public_key: key.clone(),
        };
        let to_be_signed = spec.encode(self.signer().algorithm())?;
        let fields = to_be_signed.fields()?;
        let expectation = Expectation {
            grant: Some(&grant),
            profile: grant.profile(),
            serial,
            issuer: Some(issuing),
            key: &key,
            algorithm: self.signer().algorithm(),
            now,
            card_lifetime: settings.card_lifetime,
            bound_end,
            templates: Some(self.templates),
        };
        lint(&fields, to_be_signed.der().len(), &expectation)?;
        let card = grant.card();
        let row = PreparedRow {
            serial,
            profile: grant.profile(),
            account: grant.account().cloned(),
            subject: fields.subject.to_string(),
            card_guid: card.map(|card| card.guid),
            card_kind: card.map(|card| card.kind),
            bound_to: grant.bound_to(),
            not_before: fields.not_before,
            not_after: fields.not_after,
            requester,
            approver,
            prepared_at: now,
            to_be_signed: to_be_signed.der().to_vec(),
        };
        Ok(Prepared { row, to_be_signed })
    }

    /// Takes the serial number, durably.
    pub fn store(&self, prepared: Prepared) -> Result<Stored, RegistryError> {
        self.registry().insert_prepared(&prepared.row)?;
        Ok(Stored(prepared))
    }

    /// Signs: once, for what is stored is used up by it.
    pub fn sign(&self, stored: Stored) -> Result<Signed, CertificateError> {
        let Stored(Prepared { row, to_be_signed }) = stored;
        let certificate = to_be_signed.sign(self.signer())?;
        Ok(Signed { row, certificate })
    }

    /// Makes certificates known to the registry, all or none, with their audit events. `status` is
    /// [`Status::Issued`] or [`Status::Active`].
    pub fn record(
        &self,
        signed: Vec<Signed>,
        status: Status,
        now: OffsetDateTime,
    ) -> Result<Vec<Issued>, RecordError> {
        if !matches!(status, Status::Issued | Status::Active) {
            return Err(RecordError::WrongStatus(status));
        }
        let completions: Vec<Completion> = signed
            .iter()
            .map(|signed| completion(signed, status, now))
            .collect();
        self.registry().complete(&completions)?;
        let issued = |signed: Signed| Issued {
            certificate: signed.certificate,
            status,
        };
        Ok(signed.into_iter().map(issued).collect())
    }

    /// All steps for one certificate.
    pub fn issue(
        &self,
        order: Order,
        seed: SerialSeed,
        status: Status,
        now: OffsetDateTime,
    ) -> Result<Issued, IssueError> {
        let signed = self.sign(self.store(self.prepare(order, seed, now)?)?)?;
        let certificate = signed.certificate.clone();
        self.record(vec![signed], status, now)?;
        Ok(Issued {
            certificate,
            status,
        })
    }

    /// All steps for the certificates of one card: both become known in one transaction, or none.
    pub fn issue_card(
        &self,
        order: CardOrder,
        seeds: [SerialSeed; 2],
        status: Status,
        now: OffsetDateTime,
    ) -> Result<IssuedCard, IssueError> {
        let CardOrder {
            person,
            card,
            key,
            authentication_key,
            policies,
            requester,
            approver,
        } = order;
        if authentication_key.as_ref() == Some(&key) {
            return Err(PrepareError::SameKeyTwice.into());
        }
        let [seed, authentication_seed] = seeds;
        let account = person.account.clone();
        let sign_in = self.prepare(
            Order {
                grant: Grant::SmartcardUser {
                    person,
                    card,
                    policies,
                },
                key,
                requester: requester.clone(),
                approver: approver.clone(),
            },
            seed,
            now,
        )?;
        let authentication = authentication_key
            .map(|key| {
                let card_certificate = sign_in.serial();
                let grant = Grant::CardAuthentication {
                    account,
                    card,
                    card_certificate,
                };
                let order = Order {
                    grant,
                    key,
                    requester,
                    approver,
                };
                let bound_end = Some(sign_in.row.not_after);
                self.prepare_bound(order, authentication_seed, bound_end, now)
            })
            .transpose()?;
        let mut signed = vec![self.sign(self.store(sign_in)?)?];
        if let Some(prepared) = authentication {
            signed.push(self.sign(self.store(prepared)?)?);
        }
        let mut certificates = self
            .record(signed, status, now)?
            .into_iter()
            .map(|issued| issued.certificate);
        let certificate = certificates.next().ok_or(RecordError::Nothing)?;
        Ok(IssuedCard {
            certificate,
            authentication: certificates.next(),
            status,
        })
    }

    fn lifetime(&self, grant: &Grant) -> Result<Duration, PrepareError> {
        Ok(match grant {
            Grant::SmartcardUser { .. } | Grant::CardAuthentication { .. } => {
                self.settings.card_lifetime
            }
            Grant::ServerTls { .. } => SERVER_TLS_LIFETIME,
            Grant::ChatUser { lifetime, .. } => {
                if !(CHAT_LIFETIME_MIN..=CHAT_LIFETIME_MAX).contains(lifetime) {
                    return Err(PrepareError::LifetimeNotAllowed { asked: *lifetime });
                }
                *lifetime
            }
        })
    }

    /// The row of the card certificate that a chat certificate is to be bound to.
    fn card_certificate_in_force(
        &self,
        grant: &Grant,
        serial: &Serial,
        now: OffsetDateTime,
    ) -> Result<CertificateRow, PrepareError> {
        let row = self
            .registry()
            .find(serial)?
            .filter(|row| row.profile == ProfileName::SmartcardUser)
            .ok_or(PrepareError::NotACardCertificate(*serial))?;
        if row.account.as_ref() != grant.account() {
            return Err(PrepareError::OtherAccount(*serial));
        }
        if row.status != Status::Active {
            return Err(PrepareError::CardNotActive {
                serial: *serial,
                status: row.status,
            });
        }
        if now >= row.not_after {
            return Err(PrepareError::CardExpired {
                serial: *serial,
                not_after: row.not_after,
            });
        }
        Ok(row)
    }
}

/// Why a certificate cannot be prepared.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Nobody approves a card for himself.
    #[error("who asks for a card certificate and who approves it have to be two")]
    SamePerson,
    /// The key is the authority's own.
    #[error("the key is the authority's own")]
    AuthorityKey,
    /// The two keys of a card are one.
    #[error("a card's two certificates cannot share one key")]
    SameKeyTwice,
    /// The issuing certificate is over.
    #[error("the authority's own certificate has expired")]
    AuthorityOver,
    /// Policy asks for a life that no chat certificate has.
    #[error("a chat certificate cannot live {asked}")]
    LifetimeNotAllowed {
        /// The life that was asked for.
        asked: Duration,
    },
    /// What a chat certificate is to be bound to is not the certificate of a card.
    #[error("{0} is not the serial number of a card certificate")]
    NotACardCertificate(Serial),
    /// The card is somebody else's.
    #[error("the card certificate {0} belongs to another account")]
    OtherAccount(Serial),
    /// The card is not in force: revoked, or its PIN was not chosen yet.
    #[error("the card certificate {serial} is {status}, not active")]
    CardNotActive {
        /// Which one.
        serial: Serial,
        /// Where it stands.
        status: Status,
    },
    /// The card's certificate is over.
    #[error("the card certificate {serial} expired at {not_after}")]
    CardExpired {
        /// Which one.
        serial: Serial,
        /// When.
        not_after: OffsetDateTime,
    },
    /// A name cannot stand in a certificate.
    #[error("a name cannot stand in a certificate")]
    Name(#[from] NameError),
    /// It cannot be encoded.
    #[error("the certificate cannot be made")]
    Certificate(#[from] CertificateError),
    /// The last look found faults.
    #[error(transparent)]
    Lint(#[from] Faults),
    /// The registry failed.
    #[error("the registry could not be asked")]
    Registry(#[from] RegistryError),
}

/// Why a signed certificate was not made known.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// New certificates are issued or active, nothing else.
    #[error("a new certificate cannot be {0}")]
    WrongStatus(Status),
    /// The registry gave nothing back.
    #[error("no certificate was recorded")]
    Nothing,
    /// The registry failed, or what it is bound to was withdrawn in the meantime.
    #[error("the certificate could not be recorded")]
    Registry(#[from] RegistryError),
}

/// Why a certificate was not issued.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// It could not be prepared.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// Its serial number could not be taken.
    #[error("the certificate could not be prepared in the registry")]
    Store(#[from] RegistryError),
    /// It could not be signed.
    #[error("the certificate could not be signed")]
    Sign(#[from] CertificateError),
    /// It could not be made known.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Two identities on every card: who asked, who approved.
fn check_people(grant: &Grant, requester: &Actor, approver: &Actor) -> Result<(), PrepareError> {
    let two_needed = matches!(
        grant,
        Grant::SmartcardUser { .. } | Grant::CardAuthentication { .. }
    );
    // The person whom the card is for cannot approve it either, whoever asks.
    let own_approval = grant.account().is_some_and(
        |account| matches!(approver, Actor::Person(approving) if approving == account),
    );
    if two_needed && (requester == approver || own_approval) {
        return Err(PrepareError::SamePerson);
    }
    Ok(())
}

fn completion(signed: &Signed, status: Status, now: OffsetDateTime) -> Completion {
    let row = &signed.row;
    let mut details = Map::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            details.insert(name.to_owned(), Value::String(value));
        }
    };
    add("profile", Some(row.profile.to_string()));
    add("status", Some(status.to_string()));
    add("subject", Some(row.subject.clone()));
    add("account", row.account.as_ref().map(ToString::to_string));
    add("card", row.card_guid.map(|guid| guid.to_string()));
    add("card_kind", row.card_kind.map(|kind| kind.to_string()));
    add("bound_to", row.bound_to.map(|serial| serial.to_string()));
    add("not_after", Some(row.not_after.to_string()));
    add("requester", Some(row.requester.to_string()));
    add("approver", Some(row.approver.to_string()));
    add("sha256", Some(signed.certificate.thumbprint().to_string()));
    let action = Action::CertificateIssued;
    Completion {
        serial: row.serial,
        der: signed.certificate.der().to_vec(),
        status,
        audit: AuditEntry::new(now, row.requester.clone(), action, row.serial.to_string())
            .with_details(&details),
    }
}
