// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person keeps: contacts, groups, containers, static publications, watchers.

use std::collections::BTreeMap;
use std::sync::Arc;

use lanyard_presence::{
    Contact, Container, Group, Member, MemberKind, PersonUri, Publication, PublicationKey, Roster,
    RosterChange, RosterEdit, RosterError, RosterStore, Subscriber,
};
use rusqlite::{Connection, params};

use crate::value::{Fields, nanos, query_all, query_one};
use crate::{Store, StoreError, Tx};

impl RosterStore for Store {
    fn load(&self, person: &PersonUri) -> Result<Roster, RosterError> {
        self.read(|connection| {
            let sid = account_of(connection, person)?;
            Ok(load(connection, &sid)?.unwrap_or_else(Roster::fresh))
        })
        .map_err(|Failure(error)| error)
    }

    fn apply(&self, change: &RosterChange) -> Result<(), RosterError> {
        let change = change.clone();
        self.write(move |tx| Ok(tx.apply_roster(&change)?))
            .map_err(|Failure(error)| error)
    }
}

/// So that a failure of the commit reaches presence as one of its own errors.
struct Failure(RosterError);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(match error {
            StoreError::Busy | StoreError::Overloaded => RosterError::Busy,
            StoreError::Full => RosterError::Full,
            StoreError::Corrupt | StoreError::Row { .. } => RosterError::Damaged,
            StoreError::NoRow("accounts") => RosterError::UnknownPerson,
            _ => RosterError::Failed,
        })
    }
}

impl Tx<'_> {
    /// Applies the edits of one person, in this transaction.
    ///
    /// # Errors
    /// [`StoreError::NoRow`] of `accounts` when there is no such person.
    pub fn apply_roster(&mut self, change: &RosterChange) -> Result<(), StoreError> {
        let sid = account_of(self.connection, &change.person)?;
        if !self.exists("SELECT 1 FROM rosters WHERE sid = ?1", &sid)? {
            self.write_fresh(&sid)?;
        }
        change
            .edits
            .iter()
            .try_for_each(|edit| self.edit(&sid, edit))
    }

    fn write_fresh(&self, sid: &str) -> Result<(), StoreError> {
        let fresh = Roster::fresh();
        self.connection.execute(
            "INSERT INTO rosters (sid, delta, last_group) VALUES (?1, ?2, ?3)",
            params![sid, fresh.delta, fresh.last_group],
        )?;
        for group in fresh.groups.values() {
            self.edit(sid, &RosterEdit::SetGroup(group.clone()))?;
        }
        for (id, container) in fresh.containers {
            self.edit(sid, &RosterEdit::SetContainer { id, container })?;
        }
        Ok(())
    }

    fn edit(&self, sid: &str, edit: &RosterEdit) -> Result<(), StoreError> {
        match edit {
            RosterEdit::Counters { delta, last_group } => self.run(
                "UPDATE rosters SET delta = ?2, last_group = ?3 WHERE sid = ?1",
                params![sid, delta, last_group],
            ),
            RosterEdit::SetContact(contact) => self.run(
                "INSERT OR REPLACE INTO roster_contacts
                 (sid, uri, name, groups, subscribed, external_uri) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    sid,
                    contact.uri.sip(),
                    contact.name,
                    numbers_text(&contact.groups),
                    contact.subscribed,
                    contact.external_uri
                ],
            ),
            RosterEdit::DeleteContact(uri) => self.run(
                "DELETE FROM roster_contacts WHERE sid = ?1 AND uri = ?2",
                params![sid, uri.sip()],
            ),
            RosterEdit::SetGroup(group) => self.run(
                "INSERT OR REPLACE INTO roster_groups (sid, id, name, external_uri)
                 VALUES (?1, ?2, ?3, ?4)",
                params![sid, group.id, group.name, group.external_uri],
            ),
            RosterEdit::DeleteGroup(id) => self
                .run("DELETE FROM roster_groups WHERE sid = ?1 AND id = ?2", params![sid, id]),
            RosterEdit::SetContainer { id, container } => self.set_container(sid, *id, container),
            RosterEdit::SetPublication(publication) => self.run(
                "INSERT OR REPLACE INTO roster_publications (sid, category, instance, container,
                 version, expire_type, publish_time, expires_at, content)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    sid,
                    publication.key.category,
                    publication.key.instance,
                    publication.key.container,
                    publication.version,
                    publication.expire_type,
                    nanos(publication.publish_time),
                    publication.expires_at.map(nanos),
                    &*publication.content
                ],
            ),
            RosterEdit::DeletePublication(key) => self.run(
                "DELETE FROM roster_publications
                 WHERE sid = ?1 AND category = ?2 AND instance = ?3 AND container = ?4",
                params![sid, key.category, key.instance, key.container],
            ),
            RosterEdit::SetSubscriber(subscriber) => self.run(
                "INSERT OR REPLACE INTO roster_subscribers (sid, uri, display_name, acknowledged)
                 VALUES (?1, ?2, ?3, ?4)",
                params![
                    sid,
                    subscriber.uri.sip(),
                    subscriber.display_name,
                    subscriber.acknowledged
                ],
            ),
            RosterEdit::DeleteSubscriber(uri) => self.run(
                "DELETE FROM roster_subscribers WHERE sid = ?1 AND uri = ?2",
                params![sid, uri.sip()],
            ),
        }
    }

    fn set_container(&self, sid: &str, id: u32, container: &Container) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO roster_containers (sid, id, version) VALUES (?1, ?2, ?3)
             ON CONFLICT (sid, id) DO UPDATE SET version = excluded.version",
            params![sid, id, container.version],
        )?;
        self.run(
            "DELETE FROM roster_container_members WHERE sid = ?1 AND container = ?2",
            params![sid, id],
        )?;
        for (position, member) in container.members.iter().enumerate() {
            self.run(
                "INSERT INTO roster_container_members (sid, container, position, kind, value)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    sid,
                    id,
                    i64::try_from(position).unwrap_or(i64::MAX),
                    member.kind.word(),
                    member.value
                ],
            )?;
        }
        Ok(())
    }

    fn run(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }
}

/// The account behind an address; rosters hang on the id that never changes.
fn account_of(connection: &Connection, person: &PersonUri) -> Result<String, StoreError> {
    let sql = "SELECT sid FROM accounts WHERE sip_address = ?1";
    query_one(connection, "accounts", sql, [person.address()], |fields| {
        fields.raw("sid")
    })?
    .ok_or(StoreError::NoRow("accounts"))
}

fn load(connection: &Connection, sid: &str) -> Result<Option<Roster>, StoreError> {
    let counters = query_one(
        connection,
        "rosters",
        "SELECT delta, last_group FROM rosters WHERE sid = ?1",
        [sid],
        |fields| Ok((fields.number("delta")?, fields.number("last_group")?)),
    )?;
    let Some((delta, last_group)) = counters else {
        return Ok(None);
    };
    Ok(Some(Roster {
        delta,
        last_group,
        contacts: query_all(
            connection,
            "roster_contacts",
            "SELECT * FROM roster_contacts WHERE sid = ?1",
            [sid],
            |fields| contact(fields).map(|contact| (contact.uri.clone(), contact)),
        )?
        .into_iter()
        .collect(),
        groups: query_all(
            connection,
            "roster_groups",
            "SELECT * FROM roster_groups WHERE sid = ?1",
            [sid],
            |fields| {
                let id = fields.number("id")?;
                let name = fields.raw("name")?;
                Ok((
                    id,
                    Group {
                        id,
                        name,
                        external_uri: fields.raw("external_uri")?,
                    },
                ))
            },
        )?
        .into_iter()
        .collect(),
        containers: load_containers(connection, sid)?,
        publications: query_all(
            connection,
            "roster_publications",
            "SELECT * FROM roster_publications WHERE sid = ?1",
            [sid],
            |fields| publication(fields).map(|row| (row.key.clone(), row)),
        )?
        .into_iter()
        .collect(),
        subscribers: query_all(
            connection,
            "roster_subscribers",
            "SELECT * FROM roster_subscribers WHERE sid = ?1",
            [sid],
            |fields| {
                let uri = person(fields, "uri")?;
                let display_name = fields.raw("display_name")?;
                let acknowledged = fields.raw("acknowledged")?;
                Ok((
                    uri.clone(),
                    Subscriber {
                        uri,
                        display_name,
                        acknowledged,
                    },
                ))
            },
        )?
        .into_iter()
        .collect(),
    }))
}

fn load_containers(
    connection: &Connection,
    sid: &str,
) -> Result<BTreeMap<u32, Container>, StoreError> {
    let mut containers: BTreeMap<u32, Container> = query_all(
        connection,
        "roster_containers",
        "SELECT id, version FROM roster_containers WHERE sid = ?1",
        [sid],
        |fields| {
            let version = fields.number("version")?;
            Ok((
                fields.number("id")?,
                Container {
                    version,
                    members: Vec::new(),
                },
            ))
        },
    )?
    .into_iter()
    .collect();
    let members = query_all(
        connection,
        "roster_container_members",
        "SELECT container, kind, value FROM roster_container_members
         WHERE sid = ?1 ORDER BY container, position",
        [sid],
        |fields| {
            let kind = MemberKind::from_word(&fields.raw::<String>("kind")?)
                .ok_or_else(|| fields.bad("kind"))?;
            Ok((
                fields.number::<u32>("container")?,
                Member {
                    kind,
                    value: fields.raw("value")?,
                },
            ))
        },
    )?;
    for (container, member) in members {
        containers
            .entry(container)
            .or_default()
            .members
            .push(member);
    }
    Ok(containers)
}

fn contact(fields: &Fields<'_, '_>) -> Result<Contact, StoreError> {
    let groups: String = fields.raw("groups")?;
    let groups = groups
        .split_ascii_whitespace()
        .map(|id| id.parse::<u32>().map_err(|_| fields.bad("groups")))
        .collect::<Result<_, _>>()?;
    Ok(Contact {
        uri: person(fields, "uri")?,
        name: fields.raw("name")?,
        groups,
        subscribed: fields.raw("subscribed")?,
        external_uri: fields.raw("external_uri")?,
    })
}

fn publication(fields: &Fields<'_, '_>) -> Result<Publication, StoreError> {
    Ok(Publication {
        key: PublicationKey {
            category: fields.raw("category")?,
            instance: fields.number("instance")?,
            container: fields.number("container")?,
        },
        version: fields.number("version")?,
        expire_type: fields.raw("expire_type")?,
        publish_time: fields.time("publish_time")?,
        expires_at: fields.time_some("expires_at")?,
        content: Arc::from(fields.raw::<String>("content")?),
    })
}

fn person(fields: &Fields<'_, '_>, column: &'static str) -> Result<PersonUri, StoreError> {
    PersonUri::parse(&fields.raw::<String>(column)?).map_err(|_| fields.bad(column))
}

fn numbers_text(numbers: &[u32]) -> String {
    let words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    words.join(" ")
}
