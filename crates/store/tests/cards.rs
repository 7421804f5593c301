// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards in the database: their states, their codes, the desk's answers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use lanyard_authority::{
    Actor, CardCare, CardEvent, CardGuid, CardKind, CardState, IllegalTransition,
};
use lanyard_directory::{AccountDomain, AccountId, CodeRefused, EnrolCode, NewAccount, StoredCode};
use lanyard_store::{CardChangeError, CardRecord, Store, StoreError};
use lanyard_x509::Sid;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
const GUID: CardGuid = CardGuid([7; 16]);

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(
        &dir.path().join("lanyard.db"),
        AccountDomain::from_random([3; 12]),
    )
    .unwrap();
    (dir, store)
}

fn holder(last: u32) -> Sid {
    format!("S-1-5-21-1-2-3-{last}").parse().unwrap()
}

fn card(holder: &Sid, state: CardState) -> CardRecord {
    CardRecord {
        guid: GUID,
        holder: holder.clone(),
        kind: CardKind::VirtualFile,
        make: "Lanyard".into(),
        label: "laptop".into(),
        computer: "pc-17".into(),
        state,
        care: CardCare::Challenge,
        secret_version: Some(1),
        puk_confirmed: 0,
        puk_handed_out: 0,
        renewed: None,
        enrolled_at: NOW,
        changed_at: NOW,
        last_used_at: None,
    }
}

fn put(store: &Store, record: &CardRecord) {
    let record = record.clone();
    store
        .write(move |tx| tx.put_card(&record))
        .map_err(|error: StoreError| error)
        .unwrap();
}

fn event(store: &Store, holder: &Sid, event: CardEvent) -> Result<CardRecord, CardChangeError> {
    let holder = holder.clone();
    store.write(move |tx| tx.card_event(&GUID, &holder, event, NOW + Duration::HOUR))
}

#[test]
fn a_card_is_kept_with_all_that_is_known_of_it() {
    let (_dir, store) = open();
    let alice = holder(1001);
    put(&store, &card(&alice, CardState::Active));
    assert_eq!(
        store.card(&GUID, &alice).unwrap(),
        Some(card(&alice, CardState::Active))
    );
    // The same number, claimed by somebody else, is another card.
    assert_eq!(store.card(&GUID, &holder(1002)).unwrap(), None);
    put(&store, &card(&holder(1002), CardState::Lost));
    assert_eq!(store.cards_numbered(&GUID).unwrap().len(), 2);
    assert_eq!(store.cards(Some(&alice)).unwrap().len(), 1);
    let used = alice.clone();
    store
        .write(move |tx| tx.card_used(&GUID, &used, NOW))
        .map_err(|error: StoreError| error)
        .unwrap();
    let known = store.card(&GUID, &alice).unwrap().unwrap();
    assert_eq!(known.last_used_at, Some(NOW));
}

#[test]
fn events_that_the_state_does_not_allow_change_nothing() {
    let (_dir, store) = open();
    let alice = holder(1001);
    put(&store, &card(&alice, CardState::Active));
    let refused = event(&store, &alice, CardEvent::Destroy).unwrap_err();
    assert!(matches!(
        refused,
        CardChangeError::Illegal(IllegalTransition {
            state: CardState::Active,
            event: CardEvent::Destroy
        })
    ));
    let known = store.card(&GUID, &alice).unwrap().unwrap();
    assert_eq!((known.state, known.changed_at), (CardState::Active, NOW));
    let lost = event(&store, &alice, CardEvent::ReportLost).unwrap();
    assert_eq!(
        (lost.state, lost.changed_at),
        (CardState::Lost, NOW + Duration::HOUR)
    );
    assert!(event(&store, &alice, CardEvent::Enrol).is_err());
    assert!(matches!(
        event(&store, &holder(1), CardEvent::Enrol),
        Err(CardChangeError::Unknown)
    ));
}

#[test]
fn a_destroyed_card_does_not_come_back_even_around_the_types() {
    let (_dir, store) = open();
    let alice = holder(1001);
    put(&store, &card(&alice, CardState::Destroyed));
    let back = card(&alice, CardState::Active);
    let refused = store.write(move |tx| tx.put_card(&back));
    assert!(matches!(
        refused,
        Err::<(), _>(StoreError::Conflict(_)) | Err(_)
    ));
    let known = store.card(&GUID, &alice).unwrap().unwrap();
    assert_eq!(known.state, CardState::Destroyed);
}

#[test]
fn a_code_for_a_puk_is_good_for_one_card_and_once() {
    let (_dir, store) = open();
    let (alice, bob) = (holder(1001), holder(1002));
    put(&store, &card(&alice, CardState::Active));
    put(&store, &card(&bob, CardState::Active));
    let code = EnrolCode::from_random([9; 8]);
    let stored = StoredCode::new(&code, [1; 16], NOW);
    let whose = alice.clone();
    store
        .write(move |tx| tx.put_unblock_code(&GUID, &whose, &stored))
        .map_err(|error: StoreError| error)
        .unwrap();
    let judge = |holder: &Sid| {
        let (holder, code) = (holder.clone(), code.clone());
        store
            .write(move |tx| tx.use_unblock_code(&GUID, &holder, &code, NOW))
            .map_err(|error: StoreError| error)
            .unwrap()
    };
    assert_eq!(judge(&bob), Err(CodeRefused::Wrong));
    assert_eq!(judge(&alice), Ok(()));
    assert_eq!(judge(&alice), Err(CodeRefused::Used));
}

#[test]
fn the_desks_answers_are_counted_by_card_and_time() {
    let (_dir, store) = open();
    let alice = holder(1001);
    put(&store, &card(&alice, CardState::Active));
    let whose = alice.clone();
    let counts = store
        .write(move |tx| {
            tx.note_desk_answer(&GUID, &whose, NOW)?;
            tx.note_desk_answer(&GUID, &whose, NOW + Duration::HOUR)?;
            let since = |since| tx.desk_answers_since(&GUID, &whose, since);
            Ok::<_, StoreError>([since(NOW)?, since(NOW + Duration::MINUTE)?])
        })
        .unwrap();
    assert_eq!(counts, [2, 1]);
}

#[test]
fn whoever_made_a_code_is_known_and_a_look_does_not_use_it_up() {
    let (_dir, store) = open();
    let account = store
        .write(|tx| tx.add_account(&NewAccount::new("alice@contoso.test".parse().unwrap()), NOW))
        .unwrap();
    let id: AccountId = account.id.clone();
    assert_eq!(store.code_maker(&id).unwrap(), None);
    let code = EnrolCode::from_random([9; 8]);
    let stored = StoredCode::new(&code, [1; 16], NOW);
    let maker = Actor::Administrator("olga".into());
    let (whose, by) = (id.clone(), maker.clone());
    store
        .write(move |tx| tx.put_code(&whose, &stored, &by))
        .map_err(|error: StoreError| error)
        .unwrap();
    let (whose, look) = (id.clone(), code.clone());
    let verdicts = store
        .write(move |tx| {
            let first = tx.look_at_code(&whose, &look, NOW)?;
            let wrong = tx.look_at_code(&whose, &EnrolCode::from_random([8; 8]), NOW)?;
            let used = tx.use_code(&whose, &look, NOW)?;
            let after = tx.look_at_code(&whose, &look, NOW)?;
            Ok::<_, StoreError>([first, wrong, used, after])
        })
        .unwrap();
    assert_eq!(
        verdicts,
        [
            Ok(()),
            Err(CodeRefused::Wrong),
            Ok(()),
            Err(CodeRefused::Used)
        ]
    );
    // Used or not, it is still known who made it.
    assert_eq!(store.code_maker(&id).unwrap(), Some(maker));
}

#[test]
fn cards_from_before_there_were_states_are_written_down_at_the_next_opening() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("lanyard.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../migrations/0001_first.sql"))
        .unwrap();
    old.execute_batch(include_str!("../migrations/0002_people.sql"))
        .unwrap();
    old.pragma_update(None, "application_id", 0x4C4E_5944)
        .unwrap();
    old.pragma_update(None, "user_version", 2).unwrap();
    old.execute_batch("INSERT INTO deployment (one, account_domain) VALUES (1, '21-1-2-3');")
        .unwrap();
    let rows = [
        // Serial, profile, holder, number, status.
        (1, "SmartcardUser", 1001, "07", "revoked"),
        (2, "SmartcardUser", 1001, "07", "active"),
        (3, "CardAuthentication", 1001, "07", "active"),
        (4, "SmartcardUser", 1002, "07", "issued"),
        (5, "SmartcardUser", 1002, "08", "revoked"),
        (6, "ServerTls", 0, "", "active"),
    ];
    for (serial, profile, last, number, status) in rows {
        let holder = (last > 0).then(|| holder(last).to_string());
        let guid = (!number.is_empty()).then(|| number.repeat(16));
        let revoked = (status == "revoked").then_some(1);
        old.execute(
            "INSERT INTO certificates (serial, profile, account, subject, card_guid, card_kind,
             not_before, not_after, requester, approver, prepared_at, to_be_signed, der, status,
             revoked_reason, revoked_at, revoked_by)
             VALUES (?1, ?2, ?3, 'CN=x', ?4, 'physical', 0, 9, 'system:x', 'system:y', ?1, x'00', x'00',
             ?5, CASE WHEN ?6 THEN 'superseded' END, ?6, CASE WHEN ?6 THEN 'system:z' END)",
            rusqlite::params![serial.to_string(), profile, holder, guid, status, revoked],
        )
        .unwrap();
    }
    drop(old);
    let store = Store::open(&path).unwrap();
    let state = |last, number: u8| {
        let card = store.card(&CardGuid([number; 16]), &holder(last)).unwrap();
        card.map(|card| (card.state, card.care, card.secret_version))
    };
    let own = |state| Some((state, CardCare::Own, None));
    assert_eq!(state(1001, 7), own(CardState::Active));
    assert_eq!(state(1002, 7), own(CardState::Enrolled));
    assert_eq!(state(1002, 8), own(CardState::Revoked));
    assert_eq!(store.cards(None).unwrap().len(), 3);
}
