// SPDX-License-Identifier: MIT OR Apache-2.0
//! A registry and an audit trail in memory: for tests, and the plainest statement of what a store has to do.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lanyard_x509::{Serial, Sid};
use time::OffsetDateTime;

use crate::audit::{AuditEntry, AuditEvent, AuditLog, AuditLogError, Head, SignedHead, seal};
use crate::card::CardGuid;
use crate::registry::{
    CertificateRow, Completion, CrlRow, PreparedRow, Registry, RegistryError, Revocation,
    RevokedRow, Status,
};

/// Everything in memory, lost with the process.
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    state: Mutex<State>,
}

#[derive(Debug, Default, Clone)]
struct State {
    /// By the order in which they were prepared.
    rows: Vec<CertificateRow>,
    by_serial: BTreeMap<Serial, usize>,
    crl_number: u64,
    crl: Option<CrlRow>,
    events: Vec<AuditEvent>,
    heads: Vec<SignedHead>,
}

impl MemoryRegistry {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it or nothing, as a transaction.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut state = self.state();
        let mut draft = state.clone();
        let result = change(&mut draft)?;
        *state = draft;
        Ok(result)
    }

    fn select(
        &self,
        wanted: impl Fn(&CertificateRow) -> bool,
    ) -> Result<Vec<CertificateRow>, RegistryError> {
        Ok(self
            .state()
            .rows
            .iter()
            .rev()
            .filter(|row| wanted(row))
            .cloned()
            .collect())
    }
}

impl State {
    fn row(&mut self, serial: &Serial) -> Result<&mut CertificateRow, RegistryError> {
        let index = self.by_serial.get(serial).copied();
        index
            .and_then(|index| self.rows.get_mut(index))
            .ok_or(RegistryError::UnknownSerial(*serial))
    }

    fn append(&mut self, entry: &AuditEntry) -> AuditEvent {
        let event = seal(
            self.events.last().map(|event| (event.seq, event.hash)),
            entry,
        );
        self.events.push(event.clone());
        event
    }
}

impl Registry for MemoryRegistry {
    fn insert_prepared(&self, row: &PreparedRow) -> Result<(), RegistryError> {
        let mut state = self.state();
        if state.by_serial.contains_key(&row.serial) {
            return Err(RegistryError::SerialTaken(row.serial));
        }
        let index = state.rows.len();
        state.by_serial.insert(row.serial, index);
        state.rows.push(CertificateRow {
            serial: row.serial,
            profile: row.profile,
            account: row.account.clone(),
            subject: row.subject.clone(),
            card_guid: row.card_guid,
            card_kind: row.card_kind,
            bound_to: row.bound_to,
            not_before: row.not_before,
            not_after: row.not_after,
            requester: row.requester.clone(),
            approver: row.approver.clone(),
            prepared_at: row.prepared_at,
            der: None,
            status: Status::Prepared,
            revocation: None,
        });
        Ok(())
    }

    fn complete(&self, completions: &[Completion]) -> Result<(), RegistryError> {
        self.change(|state| {
            for completion in completions {
                let serial = completion.serial;
                let row = state.row(&serial)?;
                if row.status != Status::Prepared {
                    return Err(RegistryError::NotPrepared(serial));
                }
                row.status = completion.status;
                row.der = Some(completion.der.clone());
                if let Some(bound_to) = row.bound_to {
                    let in_force = state
                        .row(&bound_to)
                        .is_ok_and(|row| matches!(row.status, Status::Issued | Status::Active));
                    if !in_force {
                        return Err(RegistryError::NotInForce(bound_to));
                    }
                }
                state.append(&completion.audit);
            }
            Ok(())
        })
    }

    fn activate(&self, serials: &[Serial], audit: &AuditEntry) -> Result<(), RegistryError> {
        self.change(|state| {
            for serial in serials {
                let row = state.row(serial)?;
                if !matches!(row.status, Status::Issued | Status::Active) {
                    return Err(RegistryError::NotIssued(*serial));
                }
                row.status = Status::Active;
            }
            state.append(audit);
            Ok(())
        })
    }

    fn revoke(
        &self,
        entries: &[(Serial, AuditEntry)],
        revocation: &Revocation,
    ) -> Result<Vec<Serial>, RegistryError> {
        self.change(|state| {
            let mut done = Vec::new();
            for (serial, audit) in entries {
                let row = state.row(serial)?;
                if row.status == Status::Revoked {
                    continue;
                }
                row.status = Status::Revoked;
                row.revocation = Some(revocation.clone());
                state.append(audit);
                done.push(*serial);
            }
            Ok(done)
        })
    }

    fn find(&self, serial: &Serial) -> Result<Option<CertificateRow>, RegistryError> {
        let state = self.state();
        let index = state.by_serial.get(serial);
        Ok(index.and_then(|index| state.rows.get(*index)).cloned())
    }

    fn of_account(&self, account: &Sid) -> Result<Vec<CertificateRow>, RegistryError> {
        self.select(|row| row.account.as_ref() == Some(account))
    }

    fn of_card(&self, card: &CardGuid) -> Result<Vec<CertificateRow>, RegistryError> {
        self.select(|row| row.card_guid.as_ref() == Some(card))
    }

    fn bound_to(&self, serial: &Serial) -> Result<Vec<CertificateRow>, RegistryError> {
        self.select(|row| row.bound_to.as_ref() == Some(serial))
    }

    fn revoked(&self, now: OffsetDateTime) -> Result<Vec<RevokedRow>, RegistryError> {
        let state = self.state();
        let mut rows: Vec<RevokedRow> = state
            .rows
            .iter()
            .filter(|row| row.not_after >= now)
            .filter_map(|row| {
                let revocation = row.revocation.as_ref()?;
                let (reason, at) = (revocation.reason, revocation.at);
                Some(RevokedRow {
                    serial: row.serial,
                    reason,
                    at,
                })
            })
            .collect();
        rows.sort_by_key(|row| row.serial);
        Ok(rows)
    }

    fn next_crl_number(&self) -> Result<u64, RegistryError> {
        let mut state = self.state();
        state.crl_number = state.crl_number.saturating_add(1);
        Ok(state.crl_number)
    }

    fn save_crl(&self, crl: &CrlRow) -> Result<(), RegistryError> {
        let mut state = self.state();
        // Two may be made at the same time; the one with the greater number stays.
        if state
            .crl
            .as_ref()
            .is_none_or(|current| current.number < crl.number)
        {
            state.crl = Some(crl.clone());
        }
        Ok(())
    }

    fn current_crl(&self) -> Result<Option<CrlRow>, RegistryError> {
        Ok(self.state().crl.clone())
    }
}

impl AuditLog for MemoryRegistry {
    fn append(&self, entry: &AuditEntry) -> Result<AuditEvent, AuditLogError> {
        Ok(self.state().append(entry))
    }

    fn head(&self) -> Result<Head, AuditLogError> {
        let state = self.state();
        let head = state.events.last().map(|event| Head {
            seq: event.seq,
            hash: event.hash,
        });
        Ok(head.unwrap_or(Head::EMPTY))
    }

    fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<AuditEvent>, AuditLogError> {
        let state = self.state();
        let after = state.events.iter().filter(|event| event.seq > seq);
        Ok(after.take(limit).cloned().collect())
    }

    fn save_signed_head(&self, head: &SignedHead) -> Result<(), AuditLogError> {
        self.state().heads.push(head.clone());
        Ok(())
    }

    fn signed_heads(&self) -> Result<Vec<SignedHead>, AuditLogError> {
        Ok(self.state().heads.clone())
    }
}
