// SPDX-License-Identifier: MIT OR Apache-2.0
//! The authority's memory: each call is one transaction, with its audit rows in it.

use lanyard_authority::audit::AuditEntry;
use lanyard_authority::{
    CardGuid, CertificateRow, Completion, CrlRow, PreparedRow, Registry, RegistryError, Revocation,
    RevokedRow,
};
use lanyard_x509::{Serial, Sid};
use rusqlite::params;
use time::OffsetDateTime;

use crate::certificates::{self, FromStore};
use crate::value::{nanos, query_one};
use crate::{Store, StoreError};

/// So that a failure of the commit reaches the authority as one of its own errors.
struct Failure(RegistryError);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(RegistryError::from_store(error))
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self(error)
    }
}

impl Registry for Store {
    fn insert_prepared(&self, row: &PreparedRow) -> Result<(), RegistryError> {
        let row = row.clone();
        self.write(move |tx| Ok(tx.insert_prepared(&row)?))
            .map_err(|Failure(error)| error)
    }

    fn complete(&self, completions: &[Completion]) -> Result<(), RegistryError> {
        let completions = completions.to_vec();
        self.write(move |tx| {
            for completion in &completions {
                tx.complete(completion)?;
            }
            Ok(())
        })
        .map_err(|Failure(error)| error)
    }

    fn activate(&self, serials: &[Serial], audit: &AuditEntry) -> Result<(), RegistryError> {
        let (serials, audit) = (serials.to_vec(), audit.clone());
        self.write(move |tx| {
            let mut changed = false;
            for serial in &serials {
                changed |= tx.activate(serial)?;
            }
            if changed {
                tx.audit(&audit)?;
            }
            Ok(())
        })
        .map_err(|Failure(error)| error)
    }

    fn revoke(
        &self,
        entries: &[(Serial, AuditEntry)],
        revocation: &Revocation,
    ) -> Result<Vec<Serial>, RegistryError> {
        let (entries, revocation) = (entries.to_vec(), revocation.clone());
        self.write(move |tx| {
            let mut withdrawn = Vec::new();
            for (serial, audit) in &entries {
                if tx.revoke(serial, &revocation)? {
                    tx.audit(audit)?;
                    withdrawn.push(*serial);
                }
            }
            Ok(withdrawn)
        })
        .map_err(|Failure(error)| error)
    }

    fn find(&self, serial: &Serial) -> Result<Option<CertificateRow>, RegistryError> {
        self.read(|connection| certificates::find(connection, serial))
            .map_err(RegistryError::from_store)
    }

    fn of_account(&self, account: &Sid) -> Result<Vec<CertificateRow>, RegistryError> {
        self.rows("account", account.as_str())
    }

    fn of_card(&self, card: &CardGuid) -> Result<Vec<CertificateRow>, RegistryError> {
        self.rows("card_guid", &card.to_string())
    }

    fn bound_to(&self, serial: &Serial) -> Result<Vec<CertificateRow>, RegistryError> {
        self.rows("bound_to", &serial.to_string())
    }

    fn revoked(&self, now: OffsetDateTime) -> Result<Vec<RevokedRow>, RegistryError> {
        self.read(|connection| certificates::revoked(connection, now))
            .map_err(RegistryError::from_store)
    }

    fn next_crl_number(&self) -> Result<u64, RegistryError> {
        let number = self.write(|tx| {
            let number = query_one(
                tx.connection,
                "deployment",
                "UPDATE deployment SET crl_number = crl_number + 1 RETURNING crl_number",
                [],
                |fields| fields.number("crl_number"),
            )?;
            number.ok_or(StoreError::NoRow("deployment"))
        });
        number.map_err(RegistryError::from_store)
    }

    fn save_crl(&self, crl: &CrlRow) -> Result<(), RegistryError> {
        let crl = crl.clone();
        let saved = self.write(move |tx| {
            // Two lists may be made at once; the one with the greater number stays.
            tx.connection.execute(
                "INSERT INTO current_crl (one, number, this_update, next_update, der)
                 VALUES (1, ?1, ?2, ?3, ?4)
                 ON CONFLICT (one) DO UPDATE SET number = excluded.number,
                   this_update = excluded.this_update, next_update = excluded.next_update,
                   der = excluded.der
                 WHERE excluded.number >= current_crl.number",
                params![
                    i64::try_from(crl.number).unwrap_or(i64::MAX),
                    nanos(crl.this_update),
                    nanos(crl.next_update),
                    crl.der
                ],
            )?;
            Ok(())
        });
        saved.map_err(RegistryError::from_store)
    }

    fn current_crl(&self) -> Result<Option<CrlRow>, RegistryError> {
        self.read(|connection| {
            query_one(
                connection,
                "current_crl",
                "SELECT * FROM current_crl",
                [],
                |fields| {
                    Ok(CrlRow {
                        number: fields.number("number")?,
                        this_update: fields.time("this_update")?,
                        next_update: fields.time("next_update")?,
                        der: fields.raw("der")?,
                    })
                },
            )
        })
        .map_err(RegistryError::from_store)
    }
}

impl Store {
    fn rows(
        &self,
        column: &'static str,
        value: &str,
    ) -> Result<Vec<CertificateRow>, RegistryError> {
        self.read(|connection| certificates::where_column(connection, column, value))
            .map_err(RegistryError::from_store)
    }
}
