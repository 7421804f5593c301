// SPDX-License-Identifier: MIT OR Apache-2.0
//! The audit trail: rows that are only ever added.

use lanyard_authority::audit::{
    AuditEntry, AuditEvent, AuditLog, AuditLogError, EventHash, Head, SignedHead, seal,
};
use lanyard_directory::StorageError;
use rusqlite::{Connection, params};
use time::OffsetDateTime;

use crate::value::{Fields, millis, query_all, query_one};
use crate::{Store, StoreError, Tx};

impl Tx<'_> {
    /// Adds a row to the audit trail, in this transaction.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn audit(&mut self, entry: &AuditEntry) -> Result<AuditEvent, StoreError> {
        let head = head(self.connection)?;
        let previous = (head != Head::EMPTY).then_some((head.seq, head.hash));
        let event = seal(previous, entry);
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO audit (seq, time_ms, actor, action, subject, details, prev_hash, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        insert.execute(params![
            event.seq as i64,
            millis(event.time),
            event.actor.to_string(),
            event.action.as_str(),
            event.subject,
            event.details,
            event.prev_hash.0,
            event.hash.0,
        ])?;
        Ok(event)
    }
}

impl AuditLog for Store {
    fn append(&self, entry: &AuditEntry) -> Result<AuditEvent, AuditLogError> {
        let entry = entry.clone();
        self.write(move |tx| tx.audit(&entry)).map_err(storage)
    }

    fn head(&self) -> Result<Head, AuditLogError> {
        self.read(head).map_err(storage)
    }

    fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<AuditEvent>, AuditLogError> {
        let rows = self.read(|connection| {
            query_all(
                connection,
                "audit",
                "SELECT * FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                params![clamp(seq), i64::try_from(limit).unwrap_or(i64::MAX)],
                // A row that somebody has written into is a finding, not a failure of the store.
                |fields| match event(fields) {
                    Err(StoreError::Row { .. }) => Ok(Err(fields.number::<u64>("seq"))),
                    row => row.map(Ok),
                },
            )
        });
        rows.map_err(storage)?
            .into_iter()
            .map(|row| {
                row.map_err(|seq| AuditLogError::Unreadable {
                    seq: seq.unwrap_or_default(),
                })
            })
            .collect()
    }

    fn save_signed_head(&self, head: &SignedHead) -> Result<(), AuditLogError> {
        let head = head.clone();
        let saved = self.write(move |tx| {
            tx.connection.execute(
                "INSERT INTO audit_heads (seq, hash, signed_at_ms, signature) VALUES (?1, ?2, ?3, ?4)",
                params![
                    clamp(head.head.seq),
                    head.head.hash.0,
                    millis(head.signed_at),
                    head.signature
                ],
            )?;
            Ok(())
        });
        saved.map_err(storage)
    }

    fn signed_heads(&self) -> Result<Vec<SignedHead>, AuditLogError> {
        let heads = self.read(|connection| {
            query_all(
                connection,
                "audit_heads",
                "SELECT * FROM audit_heads ORDER BY nth",
                [],
                |fields| {
                    Ok(SignedHead {
                        head: Head {
                            seq: fields.number("seq")?,
                            hash: EventHash(fields.bytes("hash")?),
                        },
                        signed_at: moment(fields, "signed_at_ms")?,
                        signature: fields.raw("signature")?,
                    })
                },
            )
        });
        heads.map_err(storage)
    }
}

fn head(connection: &Connection) -> Result<Head, StoreError> {
    let last = query_one(
        connection,
        "audit",
        "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1",
        [],
        |fields| {
            Ok(Head {
                seq: fields.number("seq")?,
                hash: EventHash(fields.bytes("hash")?),
            })
        },
    )?;
    Ok(last.unwrap_or(Head::EMPTY))
}

fn event(fields: &Fields<'_, '_>) -> Result<AuditEvent, StoreError> {
    Ok(AuditEvent {
        seq: fields.number("seq")?,
        time: moment(fields, "time_ms")?,
        actor: fields.parse("actor")?,
        action: fields.parse("action")?,
        subject: fields.raw("subject")?,
        details: fields.raw("details")?,
        prev_hash: EventHash(fields.bytes("prev_hash")?),
        hash: EventHash(fields.bytes("hash")?),
    })
}

fn moment(fields: &Fields<'_, '_>, column: &'static str) -> Result<OffsetDateTime, StoreError> {
    let millis: i64 = fields.raw(column)?;
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .map_err(|_| fields.bad(column))
}

fn clamp(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn storage(error: StoreError) -> AuditLogError {
    AuditLogError::Storage(Box::new(StorageError::from(error)))
}
