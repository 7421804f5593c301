// SPDX-License-Identifier: MIT OR Apache-2.0
//! Putting in force, and withdrawing with everything that hangs on it.

use std::collections::BTreeSet;

use lanyard_x509::{RevocationReason, Serial, Sid};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::actor::Actor;
use crate::audit::{Action, AuditEntry};
use crate::authority::Authority;
use crate::card::CardGuid;
use crate::registry::{CertificateRow, ProfileName, RegistryError, Revocation, Status};

/// How deep things may hang on each other; today it is card - chat.
const BOUND_DEPTH_MAX: usize = 8;

/// What a withdrawal reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Withdrawn {
    /// The certificates that were withdrawn now, those that were meant and those bound to them: whoever holds
    /// sessions ends the ones that rest on any of these.
    pub certificates: Vec<CertificateRow>,
}

impl Withdrawn {
    /// The accounts that are touched.
    pub fn accounts(&self) -> BTreeSet<&Sid> {
        self.certificates
            .iter()
            .filter_map(|row| row.account.as_ref())
            .collect()
    }

    /// Whether nothing was left to withdraw.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }
}

impl Authority {
    /// Puts a card's certificate in force, and the one of its slot 9E: the holder has chosen a PIN.
    pub fn activate(
        &self,
        serial: &Serial,
        by: Actor,
        now: OffsetDateTime,
    ) -> Result<(), RegistryError> {
        let row = self
            .registry()
            .find(serial)?
            .ok_or(RegistryError::UnknownSerial(*serial))?;
        let mut serials = vec![row.serial];
        let companions = self.registry().bound_to(serial)?.into_iter().filter(|row| {
            row.profile == ProfileName::CardAuthentication && row.status == Status::Issued
        });
        serials.extend(companions.map(|row| row.serial));
        let audit = AuditEntry::new(now, by, Action::CertificateActivated, serial.to_string())
            .with_details(&describe(&row, None));
        self.registry().activate(&serials, &audit)
    }

    /// Withdraws a certificate and everything that is bound to it. Doing it twice does no harm and reaches nothing.
    pub fn revoke(
        &self,
        serial: &Serial,
        reason: RevocationReason,
        by: Actor,
        now: OffsetDateTime,
    ) -> Result<Withdrawn, RevokeError> {
        let row = self
            .registry()
            .find(serial)?
            .ok_or(RevokeError::UnknownSerial(*serial))?;
        self.withdraw(
            vec![row],
            &Revocation {
                reason,
                at: now,
                by,
            },
        )
    }

    /// Withdraws every certificate of a card and everything that is bound to one.
    pub fn revoke_card(
        &self,
        card: &CardGuid,
        reason: RevocationReason,
        by: Actor,
        now: OffsetDateTime,
    ) -> Result<Withdrawn, RevokeError> {
        let rows = self.registry().of_card(card)?;
        if rows.is_empty() {
            return Err(RevokeError::UnknownCard(*card));
        }
        self.withdraw(
            rows,
            &Revocation {
                reason,
                at: now,
                by,
            },
        )
    }

    /// Withdraws every certificate of an account. An account without any is no error.
    pub fn revoke_account(
        &self,
        account: &Sid,
        reason: RevocationReason,
        by: Actor,
        now: OffsetDateTime,
    ) -> Result<Withdrawn, RevokeError> {
        let rows = self.registry().of_account(account)?;
        self.withdraw(
            rows,
            &Revocation {
                reason,
                at: now,
                by,
            },
        )
    }

    /// Withdraws what a card held before it was enrolled anew; `keep` are the new certificates.
    ///
    /// Only certificates of the new ones' account: the number of a card is what a request claims, and nobody may end
    /// somebody else's certificates with it.
    pub fn supersede_card(
        &self,
        card: &CardGuid,
        keep: &[Serial],
        by: Actor,
        now: OffsetDateTime,
    ) -> Result<Withdrawn, RevokeError> {
        let mut rows = self.registry().of_card(card)?;
        let new = rows.iter().find(|row| keep.contains(&row.serial));
        let Some(account) = new.and_then(|row| row.account.clone()) else {
            return Ok(Withdrawn::default());
        };
        rows.retain(|row| !keep.contains(&row.serial) && row.account.as_ref() == Some(&account));
        let reason = RevocationReason::Superseded;
        self.withdraw(
            rows,
            &Revocation {
                reason,
                at: now,
                by,
            },
        )
    }

    /// Withdraws the certificates that a card held before it was renewed, and nothing that hangs on them: a
    /// session that goes on rests on the card, which is as good as before. `keep` are the new certificates.
    pub fn supersede_renewed(
        &self,
        card: &CardGuid,
        account: &Sid,
        keep: &[Serial],
        by: Actor,
        now: OffsetDateTime,
    ) -> Result<Withdrawn, RevokeError> {
        let revocation = Revocation {
            reason: RevocationReason::Superseded,
            at: now,
            by,
        };
        let mut rows = self.registry().of_card(card)?;
        rows.retain(|row| {
            row.account.as_ref() == Some(account)
                && !keep.contains(&row.serial)
                && matches!(
                    row.profile,
                    ProfileName::SmartcardUser | ProfileName::CardAuthentication
                )
                && matches!(row.status, Status::Issued | Status::Active)
        });
        let entries: Vec<(Serial, AuditEntry)> = rows
            .iter()
            .map(|row| (row.serial, audit_entry(row, &revocation)))
            .collect();
        let done = self.registry().revoke(&entries, &revocation)?;
        rows.retain(|row| done.contains(&row.serial));
        Ok(Withdrawn { certificates: rows })
    }

    fn withdraw(
        &self,
        roots: Vec<CertificateRow>,
        revocation: &Revocation,
    ) -> Result<Withdrawn, RevokeError> {
        let mut withdrawn = Withdrawn::default();
        // Twice: something may have been bound while the first list was read. After the first pass nothing can be bound
        // any more, because the registry refuses it, so the second pass is complete.
        for _ in 0..2 {
            let rows = self.with_everything_bound(roots.clone())?;
            let entries: Vec<(Serial, AuditEntry)> = rows
                .iter()
                .filter(|row| matches!(row.status, Status::Issued | Status::Active))
                .map(|row| (row.serial, audit_entry(row, revocation)))
                .collect();
            if entries.is_empty() {
                continue;
            }
            let done = self.registry().revoke(&entries, revocation)?;
            let now_revoked = rows.into_iter().filter(|row| done.contains(&row.serial));
            withdrawn
                .certificates
                .extend(now_revoked.map(|row| CertificateRow {
                    status: Status::Revoked,
                    revocation: Some(revocation.clone()),
                    ..row
                }));
        }
        Ok(withdrawn)
    }

    fn with_everything_bound(
        &self,
        roots: Vec<CertificateRow>,
    ) -> Result<Vec<CertificateRow>, RegistryError> {
        let mut seen: BTreeSet<Serial> = roots.iter().map(|row| row.serial).collect();
        let mut all = Vec::new();
        let mut level = Vec::new();
        for root in roots {
            // The roots' status may have changed since they were read.
            level.push(self.registry().find(&root.serial)?.unwrap_or(root));
        }
        for _ in 0..BOUND_DEPTH_MAX {
            let mut next = Vec::new();
            for row in &level {
                let bound = self.registry().bound_to(&row.serial)?;
                next.extend(bound.into_iter().filter(|row| seen.insert(row.serial)));
            }
            all.append(&mut level);
            if next.is_empty() {
                break;
            }
            level = next;
        }
        all.append(&mut level);
        Ok(all)
    }
}

/// Why nothing was withdrawn.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// No such certificate.
    #[error("no certificate has the serial number {0}")]
    UnknownSerial(Serial),
    /// No such card.
    #[error("no certificate was issued for the card {0}")]
    UnknownCard(CardGuid),
    /// The registry failed.
    #[error("the withdrawal could not be recorded")]
    Registry(#[from] RegistryError),
}

fn audit_entry(row: &CertificateRow, revocation: &Revocation) -> AuditEntry {
    let by = revocation.by.clone();
    AuditEntry::new(
        revocation.at,
        by,
        Action::CertificateRevoked,
        row.serial.to_string(),
    )
    .with_details(&describe(row, Some(revocation.reason)))
}

fn describe(row: &CertificateRow, reason: Option<RevocationReason>) -> Map<String, Value> {
    let facts = [
        ("profile", Some(row.profile.to_string())),
        ("subject", Some(row.subject.clone())),
        ("account", row.account.as_ref().map(ToString::to_string)),
        ("card", row.card_guid.map(|guid| guid.to_string())),
        ("bound_to", row.bound_to.map(|serial| serial.to_string())),
        ("reason", reason.map(|reason| reason.to_string())),
    ];
    facts
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))))
        .collect()
}
