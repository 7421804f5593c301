// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of certificates: reading and changing them inside a transaction.

use lanyard_authority::{
    CertificateRow, Completion, PreparedRow, ProfileName, RegistryError, Revocation, RevokedRow,
    Status,
};
use lanyard_directory::StorageError;
use lanyard_x509::Serial;
use rusqlite::{Connection, params};
use time::OffsetDateTime;

use crate::value::{Fields, nanos, query_all, query_one};
use crate::{Store, StoreError, Tx};

/// Which certificates to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateFilter {
    /// Only of this account: the text of its id.
    pub account: Option<String>,
    /// Only of this profile.
    pub profile: Option<ProfileName>,
    /// Only those on a card.
    pub on_cards: bool,
}

impl Store {
    /// The certificates that the filter lets through, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn certificates(
        &self,
        filter: &CertificateFilter,
    ) -> Result<Vec<CertificateRow>, StoreError> {
        self.read(|connection| {
            query_all(
                connection,
                "certificates",
                "SELECT * FROM certificates
                 WHERE (?1 IS NULL OR account = ?1) AND (?2 IS NULL OR profile = ?2)
                   AND (NOT ?3 OR card_guid IS NOT NULL)
                 ORDER BY nth DESC",
                params![
                    filter.account,
                    filter.profile.map(|profile| profile.as_str()),
                    filter.on_cards
                ],
                row,
            )
        })
    }
}

impl Tx<'_> {
    pub(crate) fn insert_prepared(&mut self, row: &PreparedRow) -> Result<(), RegistryError> {
        if self.certificate(&row.serial)?.is_some() {
            return Err(RegistryError::SerialTaken(row.serial));
        }
        self.connection
            .prepare_cached(
                "INSERT INTO certificates (serial, profile, account, subject, card_guid, card_kind,
                 bound_to, not_before, not_after, requester, approver, prepared_at, to_be_signed,
                 status) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )
            .map_err(storage)?
            .execute(params![
                row.serial.to_string(),
                row.profile.as_str(),
                row.account.as_ref().map(|account| account.as_str()),
                row.subject,
                row.card_guid.map(|guid| guid.to_string()),
                row.card_kind.map(|kind| kind.as_str()),
                row.bound_to.map(|serial| serial.to_string()),
                nanos(row.not_before),
                nanos(row.not_after),
                row.requester.to_string(),
                row.approver.to_string(),
                nanos(row.prepared_at),
                row.to_be_signed,
                Status::Prepared.as_str(),
            ])
            .map_err(storage)?;
        Ok(())
    }

    pub(crate) fn complete(&mut self, completion: &Completion) -> Result<(), RegistryError> {
        let row = self.known(&completion.serial)?;
        if row.status != Status::Prepared {
            return Err(RegistryError::NotPrepared(completion.serial));
        }
        // In the same transaction: nothing new may hang on a card that has just been withdrawn.
        if let Some(bound_to) = row.bound_to {
            let holder = self.certificate(&bound_to)?.map(|row| row.status);
            if !matches!(holder, Some(Status::Issued | Status::Active)) {
                return Err(RegistryError::NotInForce(bound_to));
            }
        }
        self.connection
            .prepare_cached("UPDATE certificates SET der = ?2, status = ?3 WHERE serial = ?1")
            .map_err(storage)?
            .execute(params![
                completion.serial.to_string(),
                completion.der,
                completion.status.as_str()
            ])
            .map_err(storage)?;
        self.audit(&completion.audit)
            .map_err(RegistryError::from_store)?;
        Ok(())
    }

    /// Says whether the row was changed: one that is active already is left as it is.
    pub(crate) fn activate(&mut self, serial: &Serial) -> Result<bool, RegistryError> {
        match self.known(serial)?.status {
            Status::Active => return Ok(false),
            Status::Issued => {}
            Status::Prepared | Status::Revoked => return Err(RegistryError::NotIssued(*serial)),
        }
        self.connection
            .execute(
                "UPDATE certificates SET status = ?2 WHERE serial = ?1",
                params![serial.to_string(), Status::Active.as_str()],
            )
            .map_err(storage)?;
        Ok(true)
    }

    /// Says whether the row was changed: one that is revoked already is left as it is.
    pub(crate) fn revoke(
        &mut self,
        serial: &Serial,
        revocation: &Revocation,
    ) -> Result<bool, RegistryError> {
        if self.known(serial)?.status == Status::Revoked {
            return Ok(false);
        }
        self.connection
            .execute(
                "UPDATE certificates SET status = ?2, revoked_reason = ?3, revoked_at = ?4,
                 revoked_by = ?5 WHERE serial = ?1",
                params![
                    serial.to_string(),
                    Status::Revoked.as_str(),
                    revocation.reason.as_str(),
                    nanos(revocation.at),
                    revocation.by.to_string(),
                ],
            )
            .map_err(storage)?;
        Ok(true)
    }

    fn certificate(&self, serial: &Serial) -> Result<Option<CertificateRow>, RegistryError> {
        find(self.connection, serial).map_err(RegistryError::from_store)
    }

    fn known(&self, serial: &Serial) -> Result<CertificateRow, RegistryError> {
        self.certificate(serial)?
            .ok_or(RegistryError::UnknownSerial(*serial))
    }
}

/// Storage errors as the authority sees them.
pub(crate) trait FromStore {
    fn from_store(error: StoreError) -> Self;
}

impl FromStore for RegistryError {
    fn from_store(error: StoreError) -> Self {
        Self::Storage(Box::new(StorageError::from(error)))
    }
}

pub(crate) fn find(
    connection: &Connection,
    serial: &Serial,
) -> Result<Option<CertificateRow>, StoreError> {
    let sql = "SELECT * FROM certificates WHERE serial = ?1";
    query_one(connection, "certificates", sql, [serial.to_string()], row)
}

/// All rows whose column has this value, newest first.
pub(crate) fn where_column(
    connection: &Connection,
    column: &'static str,
    value: &str,
) -> Result<Vec<CertificateRow>, StoreError> {
    let sql = format!("SELECT * FROM certificates WHERE {column} = ?1 ORDER BY nth DESC");
    query_all(connection, "certificates", &sql, [value], row)
}

pub(crate) fn revoked(
    connection: &Connection,
    now: OffsetDateTime,
) -> Result<Vec<RevokedRow>, StoreError> {
    query_all(
        connection,
        "certificates",
        "SELECT serial, revoked_reason, revoked_at FROM certificates
         WHERE status = 'revoked' AND not_after >= ?1 ORDER BY length(serial), serial",
        [nanos(now)],
        |fields| {
            Ok(RevokedRow {
                serial: fields.parse("serial")?,
                reason: fields.parse("revoked_reason")?,
                at: fields.time("revoked_at")?,
            })
        },
    )
}

fn row(fields: &Fields<'_, '_>) -> Result<CertificateRow, StoreError> {
    let status = fields.parse("status")?;
    let revocation = if status == Status::Revoked {
        Some(Revocation {
            reason: fields.parse("revoked_reason")?,
            at: fields.time("revoked_at")?,
            by: fields.parse("revoked_by")?,
        })
    } else {
        None
    };
    Ok(CertificateRow {
        serial: fields.parse("serial")?,
        profile: fields.parse("profile")?,
        account: fields.parse_some("account")?,
        subject: fields.raw("subject")?,
        card_guid: fields.parse_some("card_guid")?,
        card_kind: fields.parse_some("card_kind")?,
        bound_to: fields.parse_some("bound_to")?,
        not_before: fields.time("not_before")?,
        not_after: fields.time("not_after")?,
        requester: fields.parse("requester")?,
        approver: fields.parse("approver")?,
        prepared_at: fields.time("prepared_at")?,
        der: fields.raw("der")?,
        status,
        revocation,
    })
}

fn storage(error: rusqlite::Error) -> RegistryError {
    RegistryError::from_store(error.into())
}
