// SPDX-License-Identifier: MIT OR Apache-2.0
//! The durable part of a person: contacts, groups, containers, static publications, watchers.
//!
//! Every change is a list of edits that carries complete rows. Store and memory apply the same edits,
//! so that what a restart reads back is what the memory held.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::model::uri::PersonUri;

/// One entry of a contact list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Who; key within the person's list.
    pub uri: PersonUri,
    /// A name that the owner gave, or empty.
    pub name: String,
    /// Identifiers of the groups it is in.
    pub groups: Vec<u32>,
    /// Whether the owner wants to see the presence.
    pub subscribed: bool,
    /// An address outside of this system, or empty; stored and given back.
    pub external_uri: String,
}

/// One group of a contact list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Key within the person's list, from 1.
    pub id: u32,
    /// Its name; `~` begins the group that clients show as the others.
    pub name: String,
    /// Stored and given back.
    pub external_uri: String,
}

/// Who belongs to a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// What the value names.
    pub kind: MemberKind,
    /// Address or domain, lower-case; empty for the kinds that need none.
    pub value: String,
}

/// The kinds of container members, most special first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberKind {
    /// One person: the value is `user@domain`.
    User,
    /// Everybody of a domain: the value is the domain.
    Domain,
    /// Everybody of this organisation.
    SameEnterprise,
    /// Everybody of federated organisations.
    Federated,
    /// Everybody of the public networks.
    PublicCloud,
    /// Everybody.
    Everyone,
}

impl MemberKind {
    /// Every kind, most special first.
    pub const ALL: [Self; 6] = [
        Self::User,
        Self::Domain,
        Self::SameEnterprise,
        Self::Federated,
        Self::PublicCloud,
        Self::Everyone,
    ];

    /// The word on the wire, which stores may keep as well.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Domain => "domain",
            Self::SameEnterprise => "sameEnterprise",
            Self::Federated => "federated",
            Self::PublicCloud => "publicCloud",
            Self::Everyone => "everyone",
        }
    }

    /// The kind of a word on the wire.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// One container: what its members may see is published into it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Container {
    /// Counts the accepted changes of the members.
    pub version: u32,
    /// Who belongs to it.
    pub members: Vec<Member>,
}

/// What names one category instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicationKey {
    /// `state`, `note`, `contactCard`, `device`, …
    pub category: String,
    /// Instance number chosen by the publisher.
    pub instance: u32,
    /// The container that it is published into.
    pub container: u32,
}

/// A published category instance that outlives the endpoint (`expireType="static"` or `"user"`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// What names it.
    pub key: PublicationKey,
    /// Counts the accepted publications of this instance.
    pub version: u32,
    /// The word of `expireType`: `static`, `user` or `time`.
    pub expire_type: String,
    /// When it was published.
    pub publish_time: OffsetDateTime,
    /// When it ends, for `time`.
    pub expires_at: Option<OffsetDateTime>,
    /// The content: one self-contained XML element, or empty.
    pub content: Arc<str>,
}

/// Somebody who began to watch this person and is not among the contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Who watches; key within the person's list.
    pub uri: PersonUri,
    /// The watcher's name when the subscription came.
    pub display_name: String,
    /// Whether the person has been told and has decided.
    pub acknowledged: bool,
}

/// Everything durable of one person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster {
    /// Counts the accepted changes of contacts and groups; 0 only before the first load.
    pub delta: u32,
    /// The highest group number ever given, so that none is given twice.
    pub last_group: u32,
    /// Contacts by address.
    pub contacts: BTreeMap<PersonUri, Contact>,
    /// Groups by number.
    pub groups: BTreeMap<u32, Group>,
    /// Containers by number.
    pub containers: BTreeMap<u32, Container>,
    /// Static publications.
    pub publications: BTreeMap<PublicationKey, Publication>,
    /// Watchers by address.
    pub subscribers: BTreeMap<PersonUri, Subscriber>,
}

/// One row to write or to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterEdit {
    /// The new number of the contact list, and the highest group number ever given.
    Counters {
        /// See [`Roster::delta`].
        delta: u32,
        /// See [`Roster::last_group`].
        last_group: u32,
    },
    /// Insert or replace a contact with all of its groups.
    SetContact(Contact),
    /// Delete a contact.
    DeleteContact(PersonUri),
    /// Insert or replace a group.
    SetGroup(Group),
    /// Delete a group; contacts are edited apart.
    DeleteGroup(u32),
    /// Insert or replace a container with all of its members.
    SetContainer {
        /// Its number.
        id: u32,
        /// Its version and members.
        container: Container,
    },
    /// Insert or replace a static publication.
    SetPublication(Publication),
    /// Delete a static publication.
    DeletePublication(PublicationKey),
    /// Insert or replace a watcher.
    SetSubscriber(Subscriber),
    /// Delete a watcher.
    DeleteSubscriber(PersonUri),
}

/// Edits of one person that become durable together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterChange {
    /// Whose roster.
    pub person: PersonUri,
    /// In order.
    pub edits: Vec<RosterEdit>,
}

impl Roster {
    /// The container of people of the same organisation.
    pub const CONTAINER_COLLEAGUES: u32 = 200;
    /// The container of people of federated organisations.
    pub const CONTAINER_PUBLIC: u32 = 100;
    /// The container of a team.
    pub const CONTAINER_TEAM: u32 = 300;
    /// The container of friends and family.
    pub const CONTAINER_PERSONAL: u32 = 400;
    /// The container whose members see nothing.
    pub const CONTAINER_BLOCKED: u32 = 32_000;

    /// The roster of somebody who never signed in: one group for everybody, and the organisation may
    /// see its people.
    #[must_use]
    pub fn fresh() -> Self {
        let others = Group {
            id: 1,
            name: "~".to_owned(),
            external_uri: String::new(),
        };
        let all_of = |kind| Container {
            version: 1,
            members: vec![Member {
                kind,
                value: String::new(),
            }],
        };
        Self {
            delta: 1,
            last_group: 1,
            groups: BTreeMap::from([(1, others)]),
            containers: BTreeMap::from([
                (0, Container::default()),
                (Self::CONTAINER_PUBLIC, all_of(MemberKind::Federated)),
                (
                    Self::CONTAINER_COLLEAGUES,
                    all_of(MemberKind::SameEnterprise),
                ),
                (Self::CONTAINER_TEAM, Container::default()),
                (Self::CONTAINER_PERSONAL, Container::default()),
                (Self::CONTAINER_BLOCKED, Container::default()),
            ]),
            ..Self::default()
        }
    }

    /// Applies one edit. The same function serves memory and stores that keep rosters whole.
    pub fn apply(&mut self, edit: &RosterEdit) {
        match edit {
            RosterEdit::Counters { delta, last_group } => {
                self.delta = *delta;
                self.last_group = *last_group;
            }
            RosterEdit::SetContact(contact) => {
                self.contacts.insert(contact.uri.clone(), contact.clone());
            }
            RosterEdit::DeleteContact(uri) => {
                self.contacts.remove(uri);
            }
            RosterEdit::SetGroup(group) => {
                self.groups.insert(group.id, group.clone());
            }
            RosterEdit::DeleteGroup(id) => {
                self.groups.remove(id);
            }
            RosterEdit::SetContainer { id, container } => {
                self.containers.insert(*id, container.clone());
            }
            RosterEdit::SetPublication(publication) => {
                self.publications
                    .insert(publication.key.clone(), publication.clone());
            }
            RosterEdit::DeletePublication(key) => {
                self.publications.remove(key);
            }
            RosterEdit::SetSubscriber(subscriber) => {
                self.subscribers
                    .insert(subscriber.uri.clone(), subscriber.clone());
            }
            RosterEdit::DeleteSubscriber(uri) => {
                self.subscribers.remove(uri);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_words_are_read_back() {
        for kind in MemberKind::ALL {
            assert_eq!(MemberKind::from_word(kind.word()), Some(kind));
        }
        assert_eq!(MemberKind::from_word("User"), None);
    }

    #[test]
    fn deleting_what_is_not_there_changes_nothing() {
        let mut roster = Roster::fresh();
        let nobody = PersonUri::parse("nobody@contoso.test").expect("address");
        roster.apply(&RosterEdit::DeleteContact(nobody.clone()));
        roster.apply(&RosterEdit::DeleteSubscriber(nobody));
        roster.apply(&RosterEdit::DeleteGroup(99));
        assert_eq!(roster, Roster::fresh());
    }
}
