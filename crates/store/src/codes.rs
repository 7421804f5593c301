// SPDX-License-Identifier: MIT OR Apache-2.0
//! One-time codes.

use lanyard_directory::{
    AccountId, CodeRefused, CodeVerdict, EnrolCode, EnrolCodes, StorageError, StoredCode,
};
use rusqlite::params;
use time::OffsetDateTime;

use crate::value::{nanos, query_one};
use crate::{Store, StoreError, Tx};

impl Tx<'_> {
    /// Keeps a code; an older one of the same account stops to work.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn put_code(&mut self, account: &AccountId, code: &StoredCode) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT OR REPLACE INTO enrol_codes (sid, salt, hash, created_at, expires_at, used_at,
             tries_failed, tries_since) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                account.as_str(),
                code.salt,
                code.hash,
                nanos(code.created_at),
                nanos(code.expires_at),
                code.used_at.map(nanos),
                code.tries_failed,
                code.tries_since.map(nanos),
            ],
        )?;
        Ok(())
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
        let stored = query_one(
            self.connection,
            "enrol_codes",
            "SELECT * FROM enrol_codes WHERE sid = ?1",
            [account.as_str()],
            |fields| {
                Ok(StoredCode {
                    salt: fields.bytes("salt")?,
                    hash: fields.bytes("hash")?,
                    created_at: fields.time("created_at")?,
                    expires_at: fields.time("expires_at")?,
                    used_at: fields.time_some("used_at")?,
                    tries_failed: fields.number("tries_failed")?,
                    tries_since: fields.time_some("tries_since")?,
                })
            },
        )?;
        let Some(mut stored) = stored else {
            return Ok(Err(CodeRefused::Wrong));
        };
        let before = stored.clone();
        let verdict = stored.try_use(code, now);
        if stored != before {
            self.put_code(account, &stored)?;
        }
        Ok(verdict)
    }
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
