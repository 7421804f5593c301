// SPDX-License-Identifier: MIT OR Apache-2.0
//! One-time codes.

use lanyard_authority::Actor;
use lanyard_directory::{
    AccountId, CodeRefused, CodeVerdict, EnrolCode, EnrolCodes, StorageError, StoredCode,
};
use rusqlite::params;
use time::OffsetDateTime;

use crate::value::{Fields, nanos, query_one};
use crate::{Store, StoreError, Tx};

impl Tx<'_> {
    /// Keeps a code; an older one of the same account stops to work. Who made it is the approver of what is
    /// enrolled with it.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn put_code(
        &mut self,
        account: &AccountId,
        code: &StoredCode,
        made_by: &Actor,
    ) -> Result<(), StoreError> {
        self.keep_code(account, code, Some(made_by))
    }

    /// Judges a try and keeps its trace: a right code is used up, a wrong one is counted.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn use_code(
        &mut self,
        account: &AccountId,
        code: &EnrolCode,
        now: OffsetDateTime,
    ) -> Result<CodeVerdict, StoreError> {
        let stored = find(self.connection, account)?;
        let Some(mut stored) = stored else {
            return Ok(Err(CodeRefused::Wrong));
        };
        let before = stored.clone();
        let verdict = stored.try_use(code, now);
        if stored != before {
            self.keep_code(account, &stored, None)?;
        }
        Ok(verdict)
    }

    /// Judges a code without using it up; a wrong one is counted.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn look_at_code(
        &mut self,
        account: &AccountId,
        code: &EnrolCode,
        now: OffsetDateTime,
    ) -> Result<CodeVerdict, StoreError> {
        let stored = find(self.connection, account)?;
        let Some(mut stored) = stored else {
            return Ok(Err(CodeRefused::Wrong));
        };
        let before = stored.clone();
        let verdict = stored.try_use(code, now);
        stored.used_at = before.used_at;
        if stored != before {
            self.keep_code(account, &stored, None)?;
        }
        Ok(verdict)
    }

    fn keep_code(
        &mut self,
        account: &AccountId,
        code: &StoredCode,
        made_by: Option<&Actor>,
    ) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO enrol_codes (sid, salt, hash, created_at, expires_at, used_at,
             tries_failed, tries_since, made_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, coalesce(?9, 'system:one-time-code'))
             ON CONFLICT (sid) DO UPDATE SET salt = excluded.salt, hash = excluded.hash,
               created_at = excluded.created_at, expires_at = excluded.expires_at,
               used_at = excluded.used_at, tries_failed = excluded.tries_failed,
               tries_since = excluded.tries_since, made_by = coalesce(?9, made_by)",
            params![
                account.as_str(),
                code.salt,
                code.hash,
                nanos(code.created_at),
                nanos(code.expires_at),
                code.used_at.map(nanos),
                code.tries_failed,
                code.tries_since.map(nanos),
                made_by.map(ToString::to_string),
            ],
        )?;
        Ok(())
    }
}

impl Store {
    /// Who made the last code of an account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn code_maker(&self, account: &AccountId) -> Result<Option<Actor>, StoreError> {
        self.read(|connection| {
            query_one(
                connection,
                "enrol_codes",
                "SELECT made_by FROM enrol_codes WHERE sid = ?1",
                [account.as_str()],
                |fields| fields.parse("made_by"),
            )
        })
    }
}

fn find(
    connection: &rusqlite::Connection,
    account: &AccountId,
) -> Result<Option<StoredCode>, StoreError> {
    query_one(
        connection,
        "enrol_codes",
        "SELECT * FROM enrol_codes WHERE sid = ?1",
        [account.as_str()],
        stored_code,
    )
}

/// The columns that every table of codes has.
pub(crate) fn stored_code(fields: &Fields<'_, '_>) -> Result<StoredCode, StoreError> {
    Ok(StoredCode {
        salt: fields.bytes("salt")?,
        hash: fields.bytes("hash")?,
        created_at: fields.time("created_at")?,
        expires_at: fields.time("expires_at")?,
        used_at: fields.time_some("used_at")?,
        tries_failed: fields.number("tries_failed")?,
        tries_since: fields.time_some("tries_since")?,
    })
}

impl EnrolCodes for Store {
    fn use_code(
        &self,
        account: &AccountId,
        code: &EnrolCode,
        now: OffsetDateTime,
    ) -> Result<CodeVerdict, StorageError> {
        let (account, code) = (account.clone(), code.clone());
        let verdict = self.write(move |tx| tx.use_code(&account, &code, now));
        verdict.map_err(|error: StoreError| error.into())
    }
}
