// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this crate needs of a database, said as traits that `store` implements.

use time::OffsetDateTime;

use crate::{Account, AccountId, CodeRefused, EnrolCode, Group, GroupPolicy, SipAddress};

/// Why the storage did not answer.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// Another program holds the database.
    #[error("the database is locked")]
    Busy,
    /// The database is damaged.
    #[error("the database is damaged")]
    Damaged,
    /// There is no space left.
    #[error("the disk is full")]
    Full,
    /// The storage failed in another way; the log of the server tells more.
    #[error("the database failed")]
    Failed,
}

/// Reading the whole directory, once, at start.
pub trait DirectoryStore {
    /// All accounts.
    ///
    /// # Errors
    /// When the storage does not answer.
    fn accounts(&self) -> Result<Vec<Account>, StorageError>;

    /// One account as it is stored now.
    ///
    /// # Errors
    /// When the storage does not answer.
    fn account(&self, address: &SipAddress) -> Result<Option<Account>, StorageError>;

    /// All groups.
    ///
    /// # Errors
    /// When the storage does not answer.
    fn groups(&self) -> Result<Vec<Group>, StorageError>;

    /// The default policy.
    ///
    /// # Errors
    /// When the storage does not answer.
    fn default_policy(&self) -> Result<GroupPolicy, StorageError>;
}

/// Using one-time codes.
pub trait EnrolCodes {
    /// Uses a code: judges it, and marks it used or counts the wrong try, in one transaction.
    ///
    /// The inner result is the verdict, the outer one says whether there is a verdict. The code is
    /// used up when this returns `Ok(Ok(()))`, whatever becomes of the enrolment afterwards: a
    /// failed enrolment costs a code, never a second certificate.
    ///
    /// # Errors
    /// When the storage does not answer; the code is then not used up.
    fn use_code(
        &self,
        account: &AccountId,
        code: &EnrolCode,
        now: OffsetDateTime,
    ) -> Result<Result<(), CodeRefused>, StorageError>;
}
