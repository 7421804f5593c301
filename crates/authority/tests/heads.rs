// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signed heads of the audit trail: cutting its end or writing it anew is noticed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::convert::Infallible;

use lanyard_authority::audit::{
    Action, AuditEntry, AuditEvent, AuditLog, ChainBroken, ChainFault, HeadError, check_heads,
    seal, sign_head, verify,
};
use support::{House, NOW, officer};
use time::Duration;

fn check(house: &House, events: &[AuditEvent]) -> Result<(), HeadError<Infallible>> {
    let key = house.authority.issuing().public_key().unwrap();
    let heads = house.registry.signed_heads().unwrap();
    check_heads(&heads, &key, |seq| {
        Ok(events.iter().find(|event| event.seq == seq).cloned())
    })
}

fn house_with_signed_trail() -> (House, Vec<AuditEvent>) {
    let house = House::new();
    for row in 0..6 {
        let entry = AuditEntry::new(NOW, officer(), Action::UserAdded, format!("user{row}"));
        house.registry.append(&entry).unwrap();
        if row % 3 == 2 {
            let head = house.registry.head().unwrap();
            let day = NOW + Duration::days(row);
            let signed = sign_head(head, house.authority.signer(), day).unwrap();
            house.registry.save_signed_head(&signed).unwrap();
        }
    }
    let events = house.registry.events_after(0, 100).unwrap();
    (house, events)
}

#[test]
fn a_trail_that_was_left_alone_is_vouched_for() {
    let (house, events) = house_with_signed_trail();
    assert!(verify(events.clone()).is_ok());
    assert_eq!(check(&house, &events), Ok(()));
}

#[test]
fn an_end_that_was_cut_off_is_missed() {
    let (house, mut events) = house_with_signed_trail();
    events.truncate(5);
    assert!(
        verify(events.clone()).is_ok(),
        "the chain alone cannot tell"
    );
    let fault = ChainFault::Missing;
    assert_eq!(
        check(&house, &events),
        Err(HeadError::Broken(ChainBroken { seq: 6, fault }))
    );
}

#[test]
fn a_trail_written_anew_does_not_fit_the_signatures() {
    let (house, events) = house_with_signed_trail();
    let mut forged: Vec<AuditEvent> = Vec::new();
    for event in &events {
        let subject = if event.seq == 2 {
            "nobody"
        } else {
            &event.subject
        };
        let entry = AuditEntry::new(event.time, event.actor.clone(), event.action, subject);
        forged.push(seal(
            forged.last().map(|event| (event.seq, event.hash)),
            &entry,
        ));
    }
    assert!(
        verify(forged.clone()).is_ok(),
        "the chain alone cannot tell"
    );
    let fault = ChainFault::NotAsSigned;
    assert_eq!(
        check(&house, &forged),
        Err(HeadError::Broken(ChainBroken { seq: 3, fault }))
    );
}

#[test]
fn a_head_signed_by_somebody_else_is_refused() {
    let (house, events) = house_with_signed_trail();
    let stranger = House::new();
    let head = house.registry.head().unwrap();
    let signed = sign_head(head, stranger.authority.signer(), NOW).unwrap();
    house.registry.save_signed_head(&signed).unwrap();
    let fault = ChainFault::BadSignature;
    assert_eq!(
        check(&house, &events),
        Err(HeadError::Broken(ChainBroken { seq: 6, fault }))
    );
}
