// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people keep: the store reads back what memory would hold.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::sync::Arc;

use lanyard_directory::{AccountDomain, NewAccount};
use lanyard_presence::{
    Contact, Container, Group, Member, MemberKind, PersonUri, Publication, PublicationKey, Roster,
    RosterChange, RosterEdit, RosterError, RosterStore, Subscriber,
};
use lanyard_store::Store;
use proptest::prelude::*;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00:00.123456789 UTC);

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lanyard.db");
    let store = Store::create(&path, AccountDomain::from_random([7; 12])).unwrap();
    let new = NewAccount::new("alice@contoso.test".parse().unwrap());
    store.write(move |tx| tx.add_account(&new, NOW)).unwrap();
    (dir, store)
}

fn uri(nth: u32) -> PersonUri {
    PersonUri::parse(&format!("sip:user{nth}@contoso.test")).unwrap()
}

fn alice() -> PersonUri {
    PersonUri::parse("alice@contoso.test").unwrap()
}

#[test]
fn somebody_without_rows_has_the_fresh_roster_and_strangers_are_refused() {
    let (_dir, store) = store();
    assert_eq!(store.load(&alice()), Ok(Roster::fresh()));
    assert_eq!(store.load(&uri(1)), Err(RosterError::UnknownPerson));
    let change = RosterChange {
        person: uri(1),
        edits: Vec::new(),
    };
    assert_eq!(store.apply(&change), Err(RosterError::UnknownPerson));
}

fn edit() -> impl Strategy<Value = RosterEdit> {
    let id = || 1u32..6;
    let key = || {
        (prop_oneof!["note", "state"], id(), id()).prop_map(|(category, instance, container)| {
            PublicationKey {
                category,
                instance,
                container,
            }
        })
    };
    let member = prop_oneof![
        Just(Member {
            kind: MemberKind::Everyone,
            value: String::new()
        }),
        id().prop_map(|nth| Member {
            kind: MemberKind::User,
            value: format!("u{nth}@x.test")
        }),
    ];
    prop_oneof![
        (any::<u32>(), any::<u32>())
            .prop_map(|(delta, last_group)| RosterEdit::Counters { delta, last_group }),
        (
            id(),
            "\\PC{0,12}",
            proptest::collection::vec(id(), 0..4),
            any::<bool>()
        )
            .prop_map(
                |(nth, name, groups, subscribed)| RosterEdit::SetContact(Contact {
                    uri: uri(nth),
                    name,
                    groups,
                    subscribed,
                    external_uri: String::new()
                })
            ),
        id().prop_map(|nth| RosterEdit::DeleteContact(uri(nth))),
        (id(), "\\PC{0,12}").prop_map(|(id, name)| RosterEdit::SetGroup(Group {
            id,
            name,
            external_uri: "x".to_owned()
        })),
        id().prop_map(RosterEdit::DeleteGroup),
        (id(), any::<u32>(), proptest::collection::vec(member, 0..4)).prop_map(
            |(id, version, members)| RosterEdit::SetContainer {
                id,
                container: Container { version, members }
            }
        ),
        (key(), any::<u32>(), "\\PC{0,12}", any::<bool>()).prop_map(
            |(key, version, content, ends)| RosterEdit::SetPublication(Publication {
                key,
                version,
                expire_type: "static".to_owned(),
                publish_time: NOW,
                expires_at: ends.then_some(NOW + Duration::HOUR),
                content: Arc::from(content)
            })
        ),
        key().prop_map(RosterEdit::DeletePublication),
        (id(), "\\PC{0,12}", any::<bool>()).prop_map(|(nth, display_name, acknowledged)| {
            RosterEdit::SetSubscriber(Subscriber {
                uri: uri(nth),
                display_name,
                acknowledged,
            })
        }),
        id().prop_map(|nth| RosterEdit::DeleteSubscriber(uri(nth))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_store_reads_back_what_memory_would_hold(
        changes in proptest::collection::vec(proptest::collection::vec(edit(), 0..6), 1..8)
    ) {
        let (_dir, store) = store();
        let mut memory = Roster::fresh();
        for edits in changes {
            edits.iter().for_each(|edit| memory.apply(edit));
            store.apply(&RosterChange { person: alice(), edits }).unwrap();
        }
        let path = store.path().to_owned();
        drop(store);
        let store = Store::open(&path).unwrap();
        prop_assert_eq!(store.load(&alice()).unwrap(), memory);
    }
}
