// SPDX-License-Identifier: MIT OR Apache-2.0
//! The authority's memory on the store, step by step beside the authority's own model.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use lanyard_authority::audit::{Action, AuditEntry, AuditLog, verify};
use lanyard_authority::{
    Actor, CardGuid, CardKind, Completion, CrlRow, MemoryRegistry, PreparedRow, ProfileName,
    Registry, RegistryError, Revocation, Status,
};
use lanyard_directory::AccountDomain;
use lanyard_store::Store;
use lanyard_x509::{RevocationReason, Serial, Sid};
use proptest::prelude::*;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lanyard.db");
    let store = Store::create(&path, AccountDomain::from_random([7; 12])).unwrap();
    (dir, store)
}

fn serial(nth: u8) -> Serial {
    Serial::from_random([nth; 16])
}

fn root() -> Actor {
    Actor::Administrator("root".to_owned())
}

fn account() -> Sid {
    "S-1-5-21-1-2-3-1000".parse().unwrap()
}

fn prepared(nth: u8, bound_to: Option<u8>) -> PreparedRow {
    PreparedRow {
        serial: serial(nth),
        profile: if bound_to.is_some() {
            ProfileName::ChatUser
        } else {
            ProfileName::SmartcardUser
        },
        account: Some(account()),
        subject: format!("CN=alice {nth}"),
        card_guid: bound_to.is_none().then_some(CardGuid([nth % 3; 16])),
        card_kind: bound_to.is_none().then_some(CardKind::VirtualFile),
        bound_to: bound_to.map(serial),
        not_before: NOW,
        not_after: NOW + Duration::hours(i64::from(nth)),
        requester: Actor::Person(account()),
        approver: root(),
        prepared_at: NOW + Duration::seconds(i64::from(nth)),
        to_be_signed: vec![nth; 10],
    }
}

fn audit(action: Action, nth: u8) -> AuditEntry {
    AuditEntry::new(NOW, root(), action, serial(nth).to_string())
}

fn completion(nth: u8, status: Status) -> Completion {
    Completion {
        serial: serial(nth),
        der: vec![0x30, nth],
        status,
        audit: audit(Action::CertificateIssued, nth),
    }
}

fn revocation() -> Revocation {
    Revocation {
        reason: RevocationReason::KeyCompromise,
        at: NOW,
        by: root(),
    }
}

#[test]
fn a_certificate_lives_from_prepared_to_revoked_and_no_further() {
    let (_dir, store) = store();
    store.insert_prepared(&prepared(1, None)).unwrap();
    let taken = store.insert_prepared(&prepared(1, None));
    assert!(matches!(taken, Err(RegistryError::SerialTaken(_))));

    store.complete(&[completion(1, Status::Issued)]).unwrap();
    let again = store.complete(&[completion(1, Status::Issued)]);
    assert!(matches!(again, Err(RegistryError::NotPrepared(_))));
    let row = store.find(&serial(1)).unwrap().unwrap();
    assert_eq!((row.status, row.der), (Status::Issued, Some(vec![0x30, 1])));

    let active = audit(Action::CertificateActivated, 1);
    store.activate(&[serial(1)], &active).unwrap();
    store.activate(&[serial(1)], &active).unwrap();
    assert_eq!(
        store.find(&serial(1)).unwrap().unwrap().status,
        Status::Active
    );

    let entries = [(serial(1), audit(Action::CertificateRevoked, 1))];
    assert_eq!(store.revoke(&entries, &revocation()).unwrap(), [serial(1)]);
    assert_eq!(store.revoke(&entries, &revocation()).unwrap(), []);
    let row = store.find(&serial(1)).unwrap().unwrap();
    assert_eq!(
        (row.status, row.revocation),
        (Status::Revoked, Some(revocation()))
    );
    assert!(store.activate(&[serial(1)], &active).is_err());

    // Issued, activated once, revoked once.
    assert_eq!(store.head().unwrap().seq, 3);
    verify(store.events_after(0, 10).unwrap()).unwrap();
}

#[test]
fn a_chat_certificate_cannot_be_completed_on_a_card_that_was_just_withdrawn() {
    let (_dir, store) = store();
    store.insert_prepared(&prepared(1, None)).unwrap();
    store.complete(&[completion(1, Status::Active)]).unwrap();
    store.insert_prepared(&prepared(2, Some(1))).unwrap();
    let entries = [(serial(1), audit(Action::CertificateRevoked, 1))];
    store.revoke(&entries, &revocation()).unwrap();
    let refused = store.complete(&[completion(2, Status::Active)]);
    assert!(
        matches!(refused, Err(RegistryError::NotInForce(_))),
        "{refused:?}"
    );
    assert_eq!(
        store.find(&serial(2)).unwrap().unwrap().status,
        Status::Prepared
    );
}

#[test]
fn completing_two_is_all_or_nothing() {
    let (_dir, store) = store();
    store.insert_prepared(&prepared(1, None)).unwrap();
    let both = [completion(1, Status::Active), completion(2, Status::Active)];
    assert!(matches!(
        store.complete(&both),
        Err(RegistryError::UnknownSerial(_))
    ));
    assert_eq!(
        store.find(&serial(1)).unwrap().unwrap().status,
        Status::Prepared
    );
    assert_eq!(store.head().unwrap().seq, 0);
}

#[test]
fn lists_have_rising_numbers_and_the_greatest_stays() {
    let (_dir, store) = store();
    assert_eq!(store.current_crl().unwrap(), None);
    assert_eq!(store.next_crl_number().unwrap(), 1);
    assert_eq!(store.next_crl_number().unwrap(), 2);
    let list = |number| CrlRow {
        number,
        this_update: NOW,
        next_update: NOW + Duration::days(2),
        der: vec![number as u8],
    };
    store.save_crl(&list(2)).unwrap();
    store.save_crl(&list(1)).unwrap();
    assert_eq!(store.current_crl().unwrap(), Some(list(2)));
}

#[derive(Debug, Clone)]
enum Step {
    Prepare(u8, Option<u8>),
    Complete(u8, bool),
    Activate(u8),
    Revoke(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let nth = || 1u8..8;
    prop_oneof![
        (nth(), proptest::option::of(nth()))
            .prop_map(|(nth, bound)| Step::Prepare(nth, bound.filter(|to| *to != nth))),
        (nth(), any::<bool>()).prop_map(|(nth, active)| Step::Complete(nth, active)),
        nth().prop_map(Step::Activate),
        proptest::collection::vec(nth(), 1..4).prop_map(Step::Revoke),
    ]
}

/// Takes one step and says what came of it, without the text of errors.
fn take(
    registry: &dyn Registry,
    step: &Step,
) -> Result<Vec<Serial>, std::mem::Discriminant<RegistryError>> {
    let outcome = match step {
        Step::Prepare(nth, bound) => registry
            .insert_prepared(&prepared(*nth, *bound))
            .map(|()| Vec::new()),
        Step::Complete(nth, active) => {
            let status = if *active {
                Status::Active
            } else {
                Status::Issued
            };
            registry
                .complete(&[completion(*nth, status)])
                .map(|()| Vec::new())
        }
        Step::Activate(nth) => {
            let audit = audit(Action::CertificateActivated, *nth);
            registry
                .activate(&[serial(*nth)], &audit)
                .map(|()| Vec::new())
        }
        Step::Revoke(all) => {
            let entries: Vec<_> = all
                .iter()
                .map(|nth| (serial(*nth), audit(Action::CertificateRevoked, *nth)))
                .collect();
            registry.revoke(&entries, &revocation())
        }
    };
    outcome.map_err(|error| std::mem::discriminant(&error))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_store_does_what_the_model_in_memory_does(steps in proptest::collection::vec(step(), 1..40)) {
        let (_dir, store) = store();
        let model = MemoryRegistry::new();
        for step in &steps {
            prop_assert_eq!(take(&store, step), take(&model, step), "{:?}", step);
        }
        for nth in 1..8 {
            prop_assert_eq!(store.find(&serial(nth)).unwrap(), model.find(&serial(nth)).unwrap());
            prop_assert_eq!(
                store.bound_to(&serial(nth)).unwrap(),
                model.bound_to(&serial(nth)).unwrap()
            );
            let guid = CardGuid([nth % 3; 16]);
            prop_assert_eq!(store.of_card(&guid).unwrap(), model.of_card(&guid).unwrap());
        }
        prop_assert_eq!(store.of_account(&account()).unwrap(), model.of_account(&account()).unwrap());
        let then = NOW + Duration::minutes(90);
        prop_assert_eq!(store.revoked(then).unwrap(), model.revoked(then).unwrap());
        verify(store.events_after(0, 1000).unwrap()).unwrap();
    }
}
