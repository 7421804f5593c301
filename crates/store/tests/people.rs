// SPDX-License-Identifier: MIT OR Apache-2.0
//! What others see of a person, photograph included, as the store keeps it.

#![allow(clippy::unwrap_used, reason = "a test may")]

use lanyard_directory::{
    Account, AccountChange, AccountDomain, DirectoryStore, NewAccount, PhotoHash,
};
use lanyard_store::{ChangeError, Store};
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
const PICTURE: &[u8] = b"\xFF\xD8\xFF picture";

fn store(dir: &tempfile::TempDir) -> Store {
    let path = dir.path().join("lanyard.db");
    Store::create(&path, AccountDomain::from_random([7; 12])).unwrap()
}

fn alice(store: &Store) -> Account {
    let mut new = NewAccount::new("alice@contoso.test".parse().unwrap());
    new.title = Some("Head".to_owned());
    store.write(move |tx| tx.add_account(&new, NOW)).unwrap()
}

fn change(store: &Store, account: &Account, change: AccountChange) -> Account {
    let id = account.id.clone();
    store
        .write(move |tx| tx.change_account(&id, &change))
        .unwrap()
}

#[test]
fn a_change_keeps_what_it_does_not_name_and_takes_away_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let alice = alice(&store);
    let renamed = AccountChange {
        display_name: Some("Älice %_'\"; DROP TABLE accounts".to_owned()),
        phone: Some(Some("+49 1".to_owned())),
        ..AccountChange::default()
    };
    let changed = change(&store, &alice, renamed.clone());
    assert_eq!(changed.display_name, renamed.display_name.unwrap());
    assert_eq!(changed.title.as_deref(), Some("Head"));
    assert_eq!(changed.email, alice.email);
    let untitled = AccountChange {
        title: Some(None),
        ..AccountChange::default()
    };
    let changed = change(&store, &alice, untitled);
    assert_eq!(
        (changed.title, changed.phone.as_deref()),
        (None, Some("+49 1"))
    );
    assert_eq!(store.accounts().unwrap().len(), 1);
}

#[test]
fn a_photo_is_found_by_its_hash_as_long_as_its_person_may_sign_in() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let alice = alice(&store);
    assert_eq!(alice.photo, None);
    let hash = PhotoHash::of(PICTURE);
    let set = |picture: Option<&'static [u8]>| {
        let id = alice.id.clone();
        store
            .write(move |tx| tx.set_photo(&id, picture, NOW))
            .unwrap()
    };
    assert_eq!(set(Some(PICTURE)).photo, Some(hash.clone()));
    assert_eq!(store.photo(&hash).unwrap().as_deref(), Some(PICTURE));
    // It is there after opening again, and the account names it.
    drop(store.clone());
    let again = store.accounts().unwrap();
    assert_eq!(again[0].photo, Some(hash.clone()));

    let id = alice.id.clone();
    store.write(move |tx| tx.set_enabled(&id, false)).unwrap();
    assert_eq!(store.photo(&hash).unwrap(), None);
    let id = alice.id.clone();
    store.write(move |tx| tx.set_enabled(&id, true)).unwrap();
    let other = b"\xFF\xD8\xFF another";
    assert_eq!(set(Some(other)).photo, Some(PhotoHash::of(other)));
    assert_eq!(store.photo(&hash).unwrap(), None, "one photo a person");
    assert_eq!(set(None).photo, None);
    assert_eq!(store.photo(&PhotoHash::of(other)).unwrap(), None);
}

#[test]
fn a_photo_of_nobody_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let nobody = AccountDomain::from_random([9; 12]).account(5).unwrap();
    let refused: Result<Account, ChangeError> =
        store.write(move |tx| tx.set_photo(&nobody, Some(PICTURE), NOW));
    assert!(matches!(refused, Err(ChangeError::UnknownAccount)));
    assert_eq!(store.photo(&PhotoHash::of(PICTURE)).unwrap(), None);
}
