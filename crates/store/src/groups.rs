// SPDX-License-Identifier: MIT OR Apache-2.0
//! Groups, their members, and what their policies set.

use std::collections::BTreeMap;

use lanyard_directory::{
    AccountId, CardRemoval, Group, GroupName, GroupPolicy, KeyAssurance, MissingPresenceKey,
};
use rusqlite::{Connection, params};

use crate::value::{Fields, query_all, query_one};
use crate::{ChangeError, StoreError, Tx};

impl Tx<'_> {
    /// Makes a group without members that sets nothing.
    ///
    /// # Errors
    /// When there is such a group.
    pub fn add_group(&mut self, name: &GroupName) -> Result<(), ChangeError> {
        if self.has_group(name)? {
            return Err(ChangeError::GroupExists(name.clone()));
        }
        let insert = "INSERT INTO groups (name) VALUES (?1)";
        self.connection
            .execute(insert, [name.as_str()])
            .map_err(StoreError::from)?;
        Ok(())
    }

    /// Puts somebody into a group; says whether that was a change.
    ///
    /// # Errors
    /// When there is no such group.
    pub fn add_member(&mut self, name: &GroupName, id: &AccountId) -> Result<bool, ChangeError> {
        if !self.has_group(name)? {
            return Err(ChangeError::UnknownGroup(name.clone()));
        }
        let insert = "INSERT OR IGNORE INTO members (group_name, sid) VALUES (?1, ?2)";
        let changed = self
            .connection
            .execute(insert, [name.as_str(), id.as_str()])
            .map_err(StoreError::from)?;
        Ok(changed > 0)
    }

    /// Takes somebody out of a group; says whether that was a change.
    ///
    /// # Errors
    /// When there is no such group.
    pub fn remove_member(&mut self, name: &GroupName, id: &AccountId) -> Result<bool, ChangeError> {
        if !self.has_group(name)? {
            return Err(ChangeError::UnknownGroup(name.clone()));
        }
        let delete = "DELETE FROM members WHERE group_name = ?1 AND sid = ?2";
        let changed = self
            .connection
            .execute(delete, [name.as_str(), id.as_str()])
            .map_err(StoreError::from)?;
        Ok(changed > 0)
    }

    /// Sets what a group's policy says, all fields at once.
    ///
    /// # Errors
    /// When there is no such group.
    pub fn set_group_policy(
        &mut self,
        name: &GroupName,
        policy: &GroupPolicy,
    ) -> Result<(), ChangeError> {
        let changed = self
            .connection
            .execute(
                "UPDATE groups SET card_required = ?2, password_allowed = ?3,
                 chat_certificate_hours = ?4, card_kinds = ?5, key_assurance = ?6,
                 card_removal = ?7, card_removal_grace_seconds = ?8, presence_proof_minutes = ?9,
                 missing_presence_key = ?10 WHERE name = ?1",
                params![
                    name.as_str(),
                    policy.card_required,
                    policy.password_allowed,
                    policy.chat_certificate_hours,
                    policy.card_kinds.map(|kinds| kinds.to_string()),
                    policy.key_assurance.map(KeyAssurance::as_str),
                    policy.card_removal.map(CardRemoval::as_str),
                    policy.card_removal_grace_seconds,
                    policy.presence_proof_minutes,
                    policy.missing_presence_key.map(MissingPresenceKey::as_str),
                ],
            )
            .map_err(StoreError::from)?;
        if changed == 1 {
            Ok(())
        } else {
            Err(ChangeError::UnknownGroup(name.clone()))
        }
    }

    /// Sets the default policy, all fields at once.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn set_default_policy(&mut self, policy: &GroupPolicy) -> Result<(), ChangeError> {
        self.connection
            .execute(
                "UPDATE default_policy SET card_required = ?1, password_allowed = ?2,
                 chat_certificate_hours = ?3, card_kinds = ?4, key_assurance = ?5,
                 card_removal = ?6, card_removal_grace_seconds = ?7, presence_proof_minutes = ?8,
                 missing_presence_key = ?9",
                params![
                    policy.card_required,
                    policy.password_allowed,
                    policy.chat_certificate_hours,
                    policy.card_kinds.map(|kinds| kinds.to_string()),
                    policy.key_assurance.map(KeyAssurance::as_str),
                    policy.card_removal.map(CardRemoval::as_str),
                    policy.card_removal_grace_seconds,
                    policy.presence_proof_minutes,
                    policy.missing_presence_key.map(MissingPresenceKey::as_str),
                ],
            )
            .map_err(StoreError::from)?;
        Ok(())
    }

    fn has_group(&self, name: &GroupName) -> Result<bool, StoreError> {
        self.exists("SELECT 1 FROM groups WHERE name = ?1", name.as_str())
    }
}

pub(crate) fn all(connection: &Connection) -> Result<Vec<Group>, StoreError> {
    let mut members: BTreeMap<GroupName, Vec<AccountId>> = BTreeMap::new();
    let pairs = query_all(
        connection,
        "members",
        "SELECT group_name, sid FROM members ORDER BY group_name, sid",
        [],
        |fields| {
            Ok((
                fields.parse::<GroupName>("group_name")?,
                fields.parse("sid")?,
            ))
        },
    )?;
    for (group, member) in pairs {
        members.entry(group).or_default().push(member);
    }
    query_all(
        connection,
        "groups",
        "SELECT * FROM groups ORDER BY name",
        [],
        |fields| {
            let name: GroupName = fields.parse("name")?;
            let members = members.remove(&name).unwrap_or_default();
            Ok(Group {
                members,
                policy: policy(fields)?,
                name,
            })
        },
    )
}

pub(crate) fn default_policy(connection: &Connection) -> Result<GroupPolicy, StoreError> {
    query_one(
        connection,
        "default_policy",
        "SELECT * FROM default_policy",
        [],
        policy,
    )?
    .ok_or(StoreError::NoRow("default_policy"))
}

fn policy(fields: &Fields<'_, '_>) -> Result<GroupPolicy, StoreError> {
    let policy = GroupPolicy {
        card_required: fields.raw("card_required")?,
        password_allowed: fields.raw("password_allowed")?,
        chat_certificate_hours: fields.raw("chat_certificate_hours")?,
        card_kinds: fields.parse_some("card_kinds")?,
        key_assurance: fields.parse_some("key_assurance")?,
        card_removal: fields.parse_some("card_removal")?,
        card_removal_grace_seconds: fields.raw("card_removal_grace_seconds")?,
        presence_proof_minutes: fields.raw("presence_proof_minutes")?,
        missing_presence_key: fields.parse_some("missing_presence_key")?,
    };
    policy.check().map_err(|_| fields.bad("policy"))?;
    Ok(policy)
}
