// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accounts: reading them all at start, and changing one.

use lanyard_directory::{
    Account, AccountChange, AccountDomain, AccountId, DirectoryStore, Group, GroupName,
    GroupPolicy, NewAccount, PasswordHash, PhotoHash, SipAddress, StorageError,
};
use rusqlite::{Connection, params};
use time::OffsetDateTime;

use crate::value::{Fields, nanos, query_all, query_one};
use crate::{Store, StoreError, Tx, groups};

/// Why a change of people or groups was not made.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Somebody has this sign-in address.
    #[error("the sign-in address {0} is taken")]
    AddressTaken(SipAddress),
    /// Somebody has this principal name.
    #[error("the principal name {0} is taken")]
    UpnTaken(String),
    /// There is no such account.
    #[error("there is no such account")]
    UnknownAccount,
    /// There is no such group.
    #[error("there is no group {0}")]
    UnknownGroup(GroupName),
    /// There is such a group.
    #[error("there is a group {0} already")]
    GroupExists(GroupName),
    /// The numbers of the deployment are used up.
    #[error("no further account can be made here")]
    AccountsUsedUp,
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const SELECT: &str = "SELECT a.*, (SELECT group_concat(m.group_name, ' ') FROM members m
    WHERE m.sid = a.sid) AS group_names,
    (SELECT p.hash FROM photos p WHERE p.sid = a.sid) AS photo FROM accounts a";

impl Tx<'_> {
    /// Makes an account with the next id, in the groups that it names.
    ///
    /// # Errors
    /// When a name is taken or a group does not exist.
    pub fn add_account(
        &mut self,
        new: &NewAccount,
        now: OffsetDateTime,
    ) -> Result<Account, ChangeError> {
        if self.exists(
            "SELECT 1 FROM accounts WHERE sip_address = ?1",
            new.sip_address.as_str(),
        )? {
            return Err(ChangeError::AddressTaken(new.sip_address.clone()));
        }
        if self.exists("SELECT 1 FROM accounts WHERE upn_key = ?1", new.upn.key())? {
            return Err(ChangeError::UpnTaken(new.upn.to_string()));
        }
        let id = self.next_account_id()?;
        let mut insert = self
            .connection
            .prepare_cached(
                "INSERT INTO accounts (sid, sip_address, upn, upn_key, email, display_name, title,
                 phone, enabled, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9)",
            )
            .map_err(StoreError::from)?;
        insert
            .execute(params![
                id.as_str(),
                new.sip_address.as_str(),
                new.upn.as_str(),
                new.upn.key(),
                new.email.as_str(),
                new.display_name,
                new.title,
                new.phone,
                nanos(now),
            ])
            .map_err(StoreError::from)?;
        for group in &new.groups {
            self.add_member(group, &id)?;
        }
        self.account(&id)
    }

    /// Lets an account in again, or shuts it out.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn set_enabled(&mut self, id: &AccountId, enabled: bool) -> Result<Account, ChangeError> {
        self.update(
            "UPDATE accounts SET enabled = ?2 WHERE sid = ?1",
            params![id.as_str(), enabled],
        )?;
        self.account(id)
    }

    /// Sets the hash of the password.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn set_password(
        &mut self,
        id: &AccountId,
        hash: &PasswordHash,
    ) -> Result<Account, ChangeError> {
        self.update(
            "UPDATE accounts SET password_hash = ?2 WHERE sid = ?1",
            params![id.as_str(), hash.as_phc()],
        )?;
        self.account(id)
    }

    /// Takes the password away.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn remove_password(&mut self, id: &AccountId) -> Result<Account, ChangeError> {
        self.update(
            "UPDATE accounts SET password_hash = NULL WHERE sid = ?1",
            params![id.as_str()],
        )?;
        self.account(id)
    }

    /// Changes what others see of a person.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn change_account(
        &mut self,
        id: &AccountId,
        change: &AccountChange,
    ) -> Result<Account, ChangeError> {
        let old = self.account(id)?;
        let kept = |new: &Option<Option<String>>, old: Option<String>| new.clone().unwrap_or(old);
        self.update(
            "UPDATE accounts SET display_name = ?2, email = ?3, title = ?4, phone = ?5
             WHERE sid = ?1",
            params![
                id.as_str(),
                change.display_name.as_ref().unwrap_or(&old.display_name),
                change.email.as_ref().unwrap_or(&old.email).as_str(),
                kept(&change.title, old.title),
                kept(&change.phone, old.phone),
            ],
        )?;
        self.account(id)
    }

    /// Sets the photograph, or takes it away. The bytes are stored as they are.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn set_photo(
        &mut self,
        id: &AccountId,
        jpeg: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Result<Account, ChangeError> {
        self.account(id)?;
        let done = match jpeg {
            Some(jpeg) => self.connection.execute(
                "INSERT OR REPLACE INTO photos (sid, hash, jpeg, set_at) VALUES (?1, ?2, ?3, ?4)",
                params![id.as_str(), PhotoHash::of(jpeg).as_str(), jpeg, nanos(now)],
            ),
            None => self
                .connection
                .execute("DELETE FROM photos WHERE sid = ?1", [id.as_str()]),
        };
        done.map_err(StoreError::from)?;
        self.account(id)
    }

    /// The account as this transaction sees it.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn account(&self, id: &AccountId) -> Result<Account, ChangeError> {
        find(self.connection, "a.sid = ?1", id.as_str())?.ok_or(ChangeError::UnknownAccount)
    }

    fn update(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<(), ChangeError> {
        let changed = self
            .connection
            .execute(sql, parameters)
            .map_err(StoreError::from)?;
        if changed == 1 {
            Ok(())
        } else {
            Err(ChangeError::UnknownAccount)
        }
    }

    pub(crate) fn exists(&self, sql: &str, value: &str) -> Result<bool, StoreError> {
        Ok(self.connection.prepare_cached(sql)?.exists([value])?)
    }

    fn next_account_id(&self) -> Result<AccountId, ChangeError> {
        let row = query_one(
            self.connection,
            "deployment",
            "UPDATE deployment SET accounts_made = accounts_made + 1
             RETURNING account_domain, accounts_made - 1 AS nth",
            [],
            |fields| {
                Ok((
                    fields.parse::<AccountDomain>("account_domain")?,
                    fields.number("nth")?,
                ))
            },
        )?;
        let (domain, nth) = row.ok_or(StoreError::NoRow("deployment"))?;
        domain.account(nth).ok_or(ChangeError::AccountsUsedUp)
    }
}

impl Store {
    /// The photograph with this name, as long as somebody who may sign in has it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn photo(&self, hash: &PhotoHash) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|connection| {
            query_one(
                connection,
                "photos",
                "SELECT p.jpeg FROM photos p JOIN accounts a ON a.sid = p.sid
                 WHERE p.hash = ?1 AND a.enabled = 1 LIMIT 1",
                [hash.as_str()],
                |fields| fields.raw("jpeg"),
            )
        })
    }
}

impl DirectoryStore for Store {
    fn accounts(&self) -> Result<Vec<Account>, StorageError> {
        let all = self.read(|connection| query_all(connection, "accounts", SELECT, [], read));
        all.map_err(StorageError::from)
    }

    fn account(&self, address: &SipAddress) -> Result<Option<Account>, StorageError> {
        let found =
            self.read(|connection| find(connection, "a.sip_address = ?1", address.as_str()));
        found.map_err(StorageError::from)
    }

    fn groups(&self) -> Result<Vec<Group>, StorageError> {
        self.read(groups::all).map_err(StorageError::from)
    }

    fn default_policy(&self) -> Result<GroupPolicy, StorageError> {
        self.read(groups::default_policy)
            .map_err(StorageError::from)
    }
}

fn find(
    connection: &Connection,
    condition: &str,
    value: &str,
) -> Result<Option<Account>, StoreError> {
    query_one(
        connection,
        "accounts",
        &format!("{SELECT} WHERE {condition}"),
        [value],
        read,
    )
}

fn read(fields: &Fields<'_, '_>) -> Result<Account, StoreError> {
    let mut groups = Vec::new();
    if let Some(names) = fields.raw::<Option<String>>("group_names")? {
        for name in names.split(' ') {
            groups.push(name.parse().map_err(|_| fields.bad("group_names"))?);
        }
    }
    groups.sort();
    let password_hash = fields.raw::<Option<String>>("password_hash")?;
    Ok(Account {
        id: fields.parse("sid")?,
        sip_address: fields.parse("sip_address")?,
        upn: fields.parse("upn")?,
        email: fields.parse("email")?,
        display_name: fields.raw("display_name")?,
        title: fields.raw("title")?,
        phone: fields.raw("phone")?,
        photo: fields.parse_some("photo")?,
        enabled: fields.raw("enabled")?,
        groups,
        password_hash: password_hash
            .map(|hash| PasswordHash::from_phc(&hash).map_err(|_| fields.bad("password_hash")))
            .transpose()?,
        created_at: fields.time("created_at")?,
    })
}
