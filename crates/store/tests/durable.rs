// SPDX-License-Identifier: MIT OR Apache-2.0
//! The store as its users see it: what was acknowledged stays, what failed left no trace.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::path::PathBuf;

use lanyard_authority::Actor;
use lanyard_authority::audit::{Action, AuditEntry, AuditLog, ChainFault, Verifier};
use lanyard_directory::{
    AccountDomain, CodeRefused, DirectoryStore, EnrolCode, EnrolCodes, GroupPolicy, NewAccount,
    StoredCode,
};
use lanyard_store::{ChangeError, Store, StoreError};
use rusqlite::Connection;
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lanyard.db");
    Place { _dir: dir, path }
}

fn maker() -> Actor {
    Actor::Administrator("root".to_owned())
}

fn store(place: &Place) -> Store {
    Store::create(&place.path, AccountDomain::from_random([7; 12])).unwrap()
}

fn add(store: &Store, address: &str) -> lanyard_directory::Account {
    let new = NewAccount::new(address.parse().unwrap());
    store.write(move |tx| tx.add_account(&new, NOW)).unwrap()
}

fn entry(subject: &str) -> AuditEntry {
    let actor = Actor::Administrator("root".to_owned());
    AuditEntry::new(NOW, actor, Action::UserAdded, subject)
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let place = place();
    let store = store(&place);
    let group: lanyard_directory::GroupName = "sales".parse().unwrap();
    let policy = GroupPolicy {
        chat_certificate_hours: Some(4),
        ..GroupPolicy::default()
    };
    let in_store = group.clone();
    store
        .write(move |tx| {
            tx.add_group(&in_store)?;
            tx.set_group_policy(&in_store, &policy)
        })
        .unwrap();
    let mut new = NewAccount::new("alice@contoso.test".parse().unwrap());
    new.upn = "A.Smith@corp.test".parse().unwrap();
    new.display_name = "Älice \"Ally\" Smith".to_owned();
    new.groups = vec![group.clone()];
    let made = store.write(move |tx| tx.add_account(&new, NOW)).unwrap();
    drop(store);

    let store = Store::open(&place.path).unwrap();
    assert_eq!(store.accounts().unwrap(), std::slice::from_ref(&made));
    assert_eq!(
        store.account(&made.sip_address).unwrap(),
        Some(made.clone())
    );
    let groups = store.groups().unwrap();
    assert_eq!(
        (groups[0].policy, &groups[0].members),
        (policy, &vec![made.id])
    );
    assert!(store.check_integrity().unwrap().is_whole());
}

#[test]
fn addresses_and_principal_names_are_unique_whatever_their_case() {
    let place = place();
    let store = store(&place);
    add(&store, "alice@contoso.test");
    let mut again = NewAccount::new("alice@contoso.test".parse().unwrap());
    let refused = again.clone();
    let error = store
        .write(move |tx| tx.add_account(&refused, NOW))
        .unwrap_err();
    assert!(matches!(error, ChangeError::AddressTaken(_)), "{error:?}");
    again.sip_address = "bob@contoso.test".parse().unwrap();
    again.upn = "ALICE@contoso.test".parse().unwrap();
    let error = store
        .write(move |tx| tx.add_account(&again, NOW))
        .unwrap_err();
    assert!(matches!(error, ChangeError::UpnTaken(_)), "{error:?}");
}

#[test]
fn a_change_that_fails_takes_its_audit_row_and_its_account_number_back() {
    let place = place();
    let store = store(&place);
    add(&store, "alice@contoso.test");
    let mut new = NewAccount::new("bob@contoso.test".parse().unwrap());
    new.groups = vec!["nowhere".parse().unwrap()];
    let outcome = store.write(move |tx| {
        tx.audit(&entry("bob@contoso.test"))?;
        tx.add_account(&new, NOW)
    });
    assert!(matches!(outcome, Err(ChangeError::UnknownGroup(_))));
    assert_eq!(store.head().unwrap().seq, 0);
    let carol = add(&store, "carol@contoso.test");
    assert!(carol.id.as_str().ends_with("-1001"), "{:?}", carol.id);
}

#[test]
fn many_writers_share_commits_and_each_gets_its_own_answer() {
    let place = place();
    let store = store(&place);
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let store = store.clone();
            std::thread::spawn(move || {
                for nth in 0..50 {
                    let new =
                        NewAccount::new(format!("u{thread}-{nth}@contoso.test").parse().unwrap());
                    let outcome = store.write(move |tx| {
                        tx.audit(&entry(new.sip_address.as_str()))?;
                        let made = tx.add_account(&new, NOW)?;
                        // Every fifth is taken back, in the middle of a group of others.
                        if nth % 5 == 0 {
                            Err(ChangeError::UnknownAccount)
                        } else {
                            Ok(made)
                        }
                    });
                    assert_eq!(outcome.is_err(), nth % 5 == 0);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(store.accounts().unwrap().len(), 8 * 40);
    let mut verifier = Verifier::new();
    for event in store.events_after(0, usize::MAX).unwrap() {
        verifier.check(&event).unwrap();
    }
    assert_eq!(verifier.head().seq, 8 * 40);
    assert_eq!(verifier.head(), store.head().unwrap());
}

#[test]
fn work_that_panics_takes_nobody_else_with_it() {
    let place = place();
    let store = store(&place);
    let outcome: Result<(), StoreError> = store.write(|_| panic!("a fault in a closure"));
    assert!(matches!(outcome, Err(StoreError::Closed)));
    add(&store, "alice@contoso.test");
}

#[test]
fn queued_work_is_answered_after_its_commit() {
    let place = place();
    let store = store(&place);
    let (answer, wait) = std::sync::mpsc::channel();
    let new = NewAccount::new("alice@contoso.test".parse().unwrap());
    let reader = store.clone();
    store
        .submit(
            move |tx| tx.add_account(&new, NOW),
            move |outcome| {
                let seen = reader.accounts().map(|accounts| accounts.len());
                answer.send((outcome.is_ok(), seen)).unwrap();
            },
        )
        .unwrap();
    assert_eq!(wait.recv().unwrap(), (true, Ok(1)));
}

#[test]
fn the_audit_trail_refuses_updates_and_deletes_and_tells_when_they_were_forced() {
    let place = place();
    let store = store(&place);
    for nth in 0..5 {
        store
            .append(&entry(&format!("u{nth}@contoso.test")))
            .unwrap();
    }
    drop(store);
    let connection = Connection::open(&place.path).unwrap();
    for sql in [
        "UPDATE audit SET subject = 'somebody.else@contoso.test' WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 3",
    ] {
        let error = connection.execute(sql, []).unwrap_err();
        assert!(error.to_string().contains("audit rows"), "{error}");
    }
    connection
        .execute_batch("DROP TRIGGER audit_rows_never_change")
        .unwrap();
    connection
        .execute("UPDATE audit SET subject = 'x@y.test' WHERE seq = 3", [])
        .unwrap();
    drop(connection);

    let store = Store::open(&place.path).unwrap();
    let events = store.events_after(0, 100).unwrap();
    let error = lanyard_authority::audit::verify(events).unwrap_err();
    assert_eq!((error.seq, error.fault), (3, ChainFault::Changed));
}

#[test]
fn a_code_works_once_and_wrong_tries_are_counted_across_restarts() {
    let place = place();
    let opened = store(&place);
    let alice = add(&opened, "alice@contoso.test");
    let right = EnrolCode::from_random([1; 8]);
    let wrong = EnrolCode::from_random([2; 8]);
    let (id, stored) = (alice.id.clone(), StoredCode::new(&right, [3; 16], NOW));
    opened
        .write(move |tx| tx.put_code(&id, &stored, &maker()))
        .unwrap();
    for _ in 0..3 {
        assert_eq!(
            opened.use_code(&alice.id, &wrong, NOW),
            Ok(Err(CodeRefused::Wrong))
        );
    }
    drop(opened);
    let store = Store::open(&place.path).unwrap();
    for _ in 0..2 {
        assert_eq!(
            store.use_code(&alice.id, &wrong, NOW),
            Ok(Err(CodeRefused::Wrong))
        );
    }
    assert_eq!(
        store.use_code(&alice.id, &right, NOW),
        Ok(Err(CodeRefused::TooManyTries))
    );
    let later = NOW + lanyard_directory::CODE_TRY_WINDOW;
    assert_eq!(store.use_code(&alice.id, &right, later), Ok(Ok(())));
    assert_eq!(
        store.use_code(&alice.id, &right, later),
        Ok(Err(CodeRefused::Used))
    );
}

#[test]
fn one_of_two_simultaneous_uses_of_a_code_is_refused() {
    let place = place();
    let store = store(&place);
    let alice = add(&store, "alice@contoso.test");
    let code = EnrolCode::from_random([1; 8]);
    let (id, stored) = (alice.id.clone(), StoredCode::new(&code, [3; 16], NOW));
    store
        .write(move |tx| tx.put_code(&id, &stored, &maker()))
        .unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (store, id, code) = (store.clone(), alice.id.clone(), code.clone());
            std::thread::spawn(move || store.use_code(&id, &code, NOW).unwrap().is_ok())
        })
        .collect();
    let accepted = threads
        .into_iter()
        .filter(|_| true)
        .map(|thread| thread.join().unwrap());
    assert_eq!(accepted.filter(|accepted| *accepted).count(), 1);
}

#[test]
fn missing_foreign_damaged_and_newer_files_are_told_apart() {
    let place = place();
    assert!(matches!(
        Store::open(&place.path),
        Err(StoreError::Missing(_))
    ));

    std::fs::write(&place.path, vec![b'x'; 8192]).unwrap();
    assert!(matches!(Store::open(&place.path), Err(StoreError::Corrupt)));
    std::fs::remove_file(&place.path).unwrap();

    Connection::open(&place.path)
        .unwrap()
        .execute_batch("CREATE TABLE t (a)")
        .unwrap();
    assert!(matches!(Store::open(&place.path), Err(StoreError::Foreign)));
    std::fs::remove_file(&place.path).unwrap();

    drop(store(&place));
    let raw = Connection::open(&place.path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let error = Store::open(&place.path).unwrap_err();
    assert!(
        matches!(error, StoreError::SchemaNewer { found: 99, .. }),
        "{error:?}"
    );
    assert!(matches!(
        Store::create(&place.path, AccountDomain::from_random([1; 12])),
        Err(StoreError::Exists(_))
    ));
}

#[test]
fn a_page_that_was_overwritten_is_found_at_opening() {
    let place = place();
    let opened = store(&place);
    for nth in 0..200 {
        add(
            &opened,
            &format!("user-with-a-long-name-{nth}@contoso.test"),
        );
    }
    drop(opened);
    let mut bytes = std::fs::read(&place.path).unwrap();
    // Not the header page: a page in the middle.
    let middle = bytes.len() / 4096 / 2 * 4096;
    bytes[middle..middle + 4096].fill(0xA5);
    std::fs::write(&place.path, bytes).unwrap();
    assert!(matches!(Store::open(&place.path), Err(StoreError::Corrupt)));
}

#[test]
fn a_database_locked_by_another_program_is_busy_and_nothing_is_written() {
    let place = place();
    let store = store(&place);
    let mut other = Connection::open(&place.path).unwrap();
    let lock = other
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    let new = NewAccount::new("alice@contoso.test".parse().unwrap());
    let refused = new.clone();
    let error = store
        .write(move |tx| tx.add_account(&refused, NOW))
        .unwrap_err();
    assert!(
        matches!(error, ChangeError::Store(StoreError::Busy)),
        "{error:?}"
    );
    drop(lock);
    store.write(move |tx| tx.add_account(&new, NOW)).unwrap();
    assert_eq!(store.accounts().unwrap().len(), 1);
}

#[test]
fn a_store_that_was_opened_to_read_refuses_to_write() {
    let place = place();
    let writer = store(&place);
    add(&writer, "alice@contoso.test");
    let reader = Store::open_to_read(&place.path).unwrap();
    assert_eq!(reader.accounts().unwrap().len(), 1);
    let error = reader.append(&entry("x@y.test"));
    assert!(error.is_err());
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_database_and_its_companions() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let store = store(&place);
    add(&store, "alice@contoso.test");
    for entry in std::fs::read_dir(place.path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
    }
}
