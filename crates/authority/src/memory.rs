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

#[derive(Debug, Default)]
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
        change: impl FnOnce(&mut Draft<'_>) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut state = self.state();
        let events_before = state.events.len();
        let mut draft = Draft {
            state: &mut state,
            before: Vec::new(),
        };
        let result = change(&mut draft);
        let before = draft.before;
        if result.is_err() {
            state.events.truncate(events_before);
            for (index, row) in before.into_iter().rev() {
                if let Some(changed) = state.rows.get_mut(index) {
                    *changed = row;
                }
            }
        }
        result
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

/// A change on its way, with what it has to put back should it fail.
struct Draft<'s> {
    state: &'s mut State,
    before: Vec<(usize, CertificateRow)>,
}

impl Draft<'_> {
    /// A row that is about to be changed.
    fn row(&mut self, serial: &Serial) -> Result<&mut CertificateRow, RegistryError> {
        let unknown = RegistryError::UnknownSerial(*serial);
        let Some(index) = self.state.by_serial.get(serial).copied() else {
            return Err(unknown);
        };
        let Some(row) = self.state.rows.get_mut(index) else {
            return Err(unknown);
        };
        self.before.push((index, row.clone()));
        Ok(row)
    }

    fn append(&mut self, entry: &AuditEntry) {
        self.state.append(entry);
    }
}

impl State {
    fn row(&self, serial: &Serial) -> Option<&CertificateRow> {
        self.by_serial
            .get(serial)
            .and_then(|index| self.rows.get(*index))
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
        self.change(|draft| {
            for completion in completions {
                let serial = completion.serial;
                let row = draft.row(&serial)?;
                if row.status != Status::Prepared {
                    return Err(RegistryError::NotPrepared(serial));
                }
                row.status = completion.status;
                row.der = Some(completion.der.clone());
                if let Some(bound_to) = row.bound_to {
                    let in_force = draft
                        .state
                        .row(&bound_to)
                        .is_some_and(|row| matches!(row.status, Status::Issued | Status::Active));
                    if !in_force {
                        return Err(RegistryError::NotInForce(bound_to));
                    }
                }
                draft.append(&completion.audit);
            }
            Ok(())
        })
    }

    fn activate(&self, serials: &[Serial], audit: &AuditEntry) -> Result<(), RegistryError> {
        self.change(|draft| {
            let mut changed = false;
            for serial in serials {
                let row = draft.row(serial)?;
                match row.status {
                    Status::Active => {}
                    Status::Issued => {
                        row.status = Status::Active;
                        changed = true;
                    }
                    Status::Prepared | Status::Revoked => {
                        return Err(RegistryError::NotIssued(*serial));
                    }
                }
            }
            if changed {
                draft.append(audit);
            }
            Ok(())
        })
    }

    fn revoke(
        &self,
        entries: &[(Serial, AuditEntry)],
        revocation: &Revocation,
    ) -> Result<Vec<Serial>, RegistryError> {
        self.change(|draft| {
            let mut done = Vec::new();
            for (serial, audit) in entries {
                let row = draft.row(serial)?;
                if row.status == Status::Revoked {
                    continue;
                }
                row.status = Status::Revoked;
                row.revocation = Some(revocation.clone());
                draft.append(audit);
                done.push(*serial);
            }
            Ok(done)
        })
    }

    fn find(&self, serial: &Serial) -> Result<Option<CertificateRow>, RegistryError> {
        Ok(self.state().row(serial).cloned())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Actor;
    use crate::audit::Action;
    use crate::registry::ProfileName;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn by() -> Actor {
        Actor::System("test".to_owned())
    }

    fn serial(number: u8) -> Serial {
        Serial::from_random([number; 16])
    }

    fn entry(number: u8) -> AuditEntry {
        AuditEntry::new(
            NOW,
            by(),
            Action::CertificateIssued,
            serial(number).to_string(),
        )
    }

    fn prepared(registry: &MemoryRegistry, number: u8, bound_to: Option<Serial>) {
        registry
            .insert_prepared(&PreparedRow {
                serial: serial(number),
                profile: ProfileName::SmartcardUser,
                account: None,
                subject: String::new(),
                card_guid: None,
                card_kind: None,
                bound_to,
                not_before: NOW,
                not_after: NOW,
                requester: by(),
                approver: by(),
                prepared_at: NOW,
                to_be_signed: Vec::new(),
            })
            .unwrap();
    }

    fn completion(number: u8) -> Completion {
        let (serial, status) = (serial(number), Status::Issued);
        Completion {
            serial,
            der: vec![number],
            status,
            audit: entry(number),
        }
    }

    #[test]
    fn a_change_that_fails_half_way_leaves_no_trace() {
        let registry = MemoryRegistry::new();
        prepared(&registry, 1, None);
        prepared(&registry, 2, Some(serial(9)));
        let result = registry.complete(&[completion(1), completion(2)]);
        assert!(matches!(result, Err(RegistryError::NotInForce(_))));
        for number in [1, 2] {
            let row = registry.find(&serial(number)).unwrap().unwrap();
            assert_eq!((row.status, row.der), (Status::Prepared, None));
        }
        assert_eq!(registry.head().unwrap(), Head::EMPTY);
    }

    #[test]
    fn a_row_is_completed_once() {
        let registry = MemoryRegistry::new();
        prepared(&registry, 1, None);
        registry.complete(&[completion(1)]).unwrap();
        assert!(matches!(
            registry.complete(&[completion(1)]),
            Err(RegistryError::NotPrepared(number)) if number == serial(1)
        ));
        assert_eq!(registry.head().unwrap().seq, 1);
    }

    #[test]
    fn coming_into_force_twice_is_told_once() {
        let registry = MemoryRegistry::new();
        prepared(&registry, 1, None);
        assert!(registry.activate(&[serial(1)], &entry(1)).is_err());
        registry.complete(&[completion(1)]).unwrap();
        for _ in 0..2 {
            registry.activate(&[serial(1)], &entry(1)).unwrap();
        }
        assert_eq!(registry.head().unwrap().seq, 2);
    }
}
