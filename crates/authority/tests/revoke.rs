// SPDX-License-Identifier: MIT OR Apache-2.0
//! Coming into force and being withdrawn, with everything that hangs on it; revocation lists.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use lanyard_authority::audit::{Action, AuditLog, verify};
use lanyard_authority::{
    CHAT_LIFETIME_DEFAULT, CRL_LIFETIME, CRL_REFRESH, CardGuid, Registry, RegistryError,
    RevokeError, Status,
};
use lanyard_x509::{RevocationReason, Serial};
use support::{House, NOW, alice, bob, card, officer};
use time::Duration;

const LOST: RevocationReason = RevocationReason::KeyCompromise;

fn status(house: &House, serial: &Serial) -> Status {
    house.registry.find(serial).unwrap().unwrap().status
}

#[test]
fn choosing_a_pin_puts_both_certificates_of_a_card_in_force() {
    let house = House::new();
    let issued = house.enrol(alice(), card(1), Status::Issued);
    let (sign_in, presence) = (
        issued.certificate.serial(),
        issued.authentication.unwrap().serial(),
    );
    house.authority.activate(&sign_in, officer(), NOW).unwrap();
    assert_eq!(status(&house, &sign_in), Status::Active);
    assert_eq!(status(&house, &presence), Status::Active);
    let last = house.registry.events_after(2, 10).unwrap().remove(0);
    assert_eq!(last.action, Action::CertificateActivated);

    house
        .authority
        .revoke(&sign_in, LOST, officer(), NOW)
        .unwrap();
    assert!(matches!(
        house.authority.activate(&sign_in, officer(), NOW),
        Err(RegistryError::NotIssued(serial)) if serial == sign_in
    ));
    assert_eq!(status(&house, &sign_in), Status::Revoked);
}

#[test]
fn a_card_certificate_takes_everything_bound_to_it_along() {
    let house = House::new();
    let issued = house.enrol(alice(), card(1), Status::Active);
    let sign_in = issued.certificate.serial();
    let presence = issued.authentication.unwrap().serial();
    let chats: Vec<Serial> = (0..3)
        .map(|_| {
            house
                .chat(sign_in, CHAT_LIFETIME_DEFAULT, NOW)
                .unwrap()
                .serial()
        })
        .collect();
    let bobs = house
        .enrol(bob(), card(2), Status::Active)
        .certificate
        .serial();

    let withdrawn = house
        .authority
        .revoke(&sign_in, LOST, officer(), NOW)
        .unwrap();
    let mut reached: Vec<Serial> = withdrawn
        .certificates
        .iter()
        .map(|row| row.serial)
        .collect();
    let mut expected = [&[sign_in, presence][..], &chats].concat();
    reached.sort();
    expected.sort();
    assert_eq!(reached, expected);
    assert_eq!(
        withdrawn.accounts().into_iter().collect::<Vec<_>>(),
        [&alice().account]
    );
    assert!(
        withdrawn
            .certificates
            .iter()
            .all(|row| row.status == Status::Revoked)
    );
    for serial in &expected {
        let row = house.registry.find(serial).unwrap().unwrap();
        let revocation = row.revocation.unwrap();
        assert_eq!(
            (revocation.reason, revocation.at, revocation.by),
            (LOST, NOW, officer())
        );
    }
    assert_eq!(status(&house, &bobs), Status::Active);

    let events = house.registry.events_after(0, 100).unwrap();
    let revocations = events
        .iter()
        .filter(|event| event.action == Action::CertificateRevoked)
        .count();
    assert_eq!(revocations, expected.len());
    assert!(verify(events).is_ok());
}

#[test]
fn withdrawing_twice_changes_nothing() {
    let house = House::new();
    let serial = house
        .enrol(alice(), card(1), Status::Active)
        .certificate
        .serial();
    assert!(
        !house
            .authority
            .revoke(&serial, LOST, officer(), NOW)
            .unwrap()
            .is_empty()
    );
    let head = house.registry.head().unwrap();
    let later = NOW + Duration::hours(1);
    let other = RevocationReason::Superseded;
    let again = house
        .authority
        .revoke(&serial, other, officer(), later)
        .unwrap();
    assert!(again.is_empty());
    assert_eq!(house.registry.head().unwrap(), head);
    let row = house.registry.find(&serial).unwrap().unwrap();
    assert_eq!(row.revocation.unwrap().reason, LOST);
}

#[test]
fn what_is_bound_to_a_certificate_revoked_before_is_still_reached() {
    // As after a crash between the two: the card is revoked, a chat certificate of it is not.
    let house = House::new();
    let serial = house
        .enrol(alice(), card(1), Status::Active)
        .certificate
        .serial();
    let chat = house
        .chat(serial, CHAT_LIFETIME_DEFAULT, NOW)
        .unwrap()
        .serial();
    let by = officer();
    let audit = lanyard_authority::audit::AuditEntry::new(
        NOW,
        by.clone(),
        Action::CertificateRevoked,
        serial.to_string(),
    );
    let revocation = lanyard_authority::Revocation {
        reason: LOST,
        at: NOW,
        by,
    };
    house
        .registry
        .revoke(&[(serial, audit)], &revocation)
        .unwrap();
    assert_eq!(status(&house, &chat), Status::Active);
    let withdrawn = house
        .authority
        .revoke(&serial, LOST, officer(), NOW)
        .unwrap();
    assert!(withdrawn.certificates.iter().any(|row| row.serial == chat));
    assert_eq!(status(&house, &chat), Status::Revoked);
}

#[test]
fn a_lost_card_loses_everything_and_the_persons_other_card_nothing() {
    let house = House::new();
    let first = house
        .enrol(alice(), card(1), Status::Active)
        .certificate
        .serial();
    let renewed = house
        .enrol(alice(), card(1), Status::Active)
        .certificate
        .serial();
    let second = house
        .enrol(alice(), card(2), Status::Active)
        .certificate
        .serial();
    let chat = house
        .chat(renewed, CHAT_LIFETIME_DEFAULT, NOW)
        .unwrap()
        .serial();
    let other_chat = house
        .chat(second, CHAT_LIFETIME_DEFAULT, NOW)
        .unwrap()
        .serial();

    let withdrawn = house
        .authority
        .revoke_card(&card(1).guid, LOST, officer(), NOW)
        .unwrap();
    assert_eq!(withdrawn.certificates.len(), 5);
    for serial in [first, renewed, chat] {
        assert_eq!(status(&house, &serial), Status::Revoked);
    }
    for serial in [second, other_chat] {
        assert_eq!(status(&house, &serial), Status::Active);
    }
    let unknown = CardGuid([9; 16]);
    assert!(matches!(
        house.authority.revoke_card(&unknown, LOST, officer(), NOW),
        Err(RevokeError::UnknownCard(guid)) if guid == unknown
    ));
    let all = house
        .authority
        .revoke_account(&alice().account, LOST, officer(), NOW)
        .unwrap();
    assert_eq!(all.certificates.len(), 3);
}

#[test]
fn enrolling_a_card_anew_withdraws_what_it_held_before() {
    let house = House::new();
    let old = house
        .enrol(alice(), card(1), Status::Active)
        .certificate
        .serial();
    let new = house.enrol(alice(), card(1), Status::Active);
    let keep = [
        new.certificate.serial(),
        new.authentication.unwrap().serial(),
    ];
    let withdrawn = house
        .authority
        .supersede_card(&card(1).guid, &keep, officer(), NOW)
        .unwrap();
    assert_eq!(withdrawn.certificates.len(), 2);
    assert_eq!(status(&house, &old), Status::Revoked);
    assert_eq!(status(&house, &keep[0]), Status::Active);
}

#[test]
fn claiming_the_number_of_somebodys_card_ends_nothing_of_his() {
    let house = House::new();
    let alices = house
        .enrol(alice(), card(1), Status::Active)
        .certificate
        .serial();
    let claimed = house
        .enrol(bob(), card(1), Status::Active)
        .certificate
        .serial();
    let withdrawn = house
        .authority
        .supersede_card(&card(1).guid, &[claimed], officer(), NOW)
        .unwrap();
    assert_eq!(
        withdrawn.accounts().into_iter().collect::<Vec<_>>(),
        [&bob().account]
    );
    assert_eq!(status(&house, &alices), Status::Active);
    assert!(
        house
            .authority
            .supersede_card(&card(1).guid, &[], officer(), NOW)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn an_unknown_serial_number_is_named() {
    let house = House::new();
    let serial = Serial::from_random([1; 16]);
    assert!(matches!(
        house.authority.revoke(&serial, LOST, officer(), NOW),
        Err(RevokeError::UnknownSerial(unknown)) if unknown == serial
    ));
}

#[test]
fn the_revocation_list_names_what_is_revoked_and_would_still_hold() {
    let house = House::new();
    let serial = house
        .enrol(alice(), card(1), Status::Active)
        .certificate
        .serial();
    let chat = house.chat(serial, CHAT_LIFETIME_DEFAULT, NOW).unwrap();
    let empty = house.authority.crl(NOW).unwrap();
    assert_eq!((empty.number(), empty.entries().len()), (Some(1), 0));
    assert_eq!(empty.next_update(), NOW + CRL_LIFETIME);

    house
        .authority
        .revoke(&serial, LOST, officer(), NOW)
        .unwrap();
    let list = house.authority.make_crl(NOW).unwrap();
    assert_eq!((list.number(), list.entries().len()), (Some(2), 3));
    assert_eq!(list.find(&serial).unwrap().reason, LOST);
    let issuing_key = house.authority.issuing().public_key().unwrap();
    assert_eq!(list.verify_signature(&issuing_key), Ok(()));

    let later = chat.not_after() + Duration::SECOND;
    let list = house.authority.make_crl(later).unwrap();
    assert_eq!((list.number(), list.entries().len()), (Some(3), 2));
    assert_eq!(list.find(&chat.serial()), None);
}

#[test]
fn a_revocation_list_is_kept_until_it_gets_old() {
    let house = House::new();
    let number = |now| house.authority.crl(now).unwrap().number();
    assert_eq!(number(NOW), Some(1));
    assert_eq!(number(NOW + CRL_REFRESH - Duration::SECOND), Some(1));
    assert_eq!(number(NOW + CRL_REFRESH), Some(2));
    // A clock that was set back: a list from the future is not handed out.
    assert_eq!(number(NOW), Some(3));
}

#[test]
fn an_older_list_never_takes_the_place_of_a_newer_one() {
    let house = House::new();
    house.authority.make_crl(NOW).unwrap();
    let first = house.registry.current_crl().unwrap().unwrap();
    house.authority.make_crl(NOW).unwrap();
    house.registry.save_crl(&first).unwrap();
    assert_eq!(house.registry.current_crl().unwrap().unwrap().number, 2);
}

#[test]
fn a_renewal_ends_the_older_certificates_of_the_card_and_nothing_that_hangs_on_them() {
    let house = House::new();
    let old = house.enrol(alice(), card(1), Status::Active);
    let chat = house
        .chat(old.certificate.serial(), CHAT_LIFETIME_DEFAULT, NOW)
        .unwrap()
        .serial();
    let new = house.enrol(alice(), card(1), Status::Active);
    // The same number under another person is another card.
    let bobs = house.enrol(bob(), card(1), Status::Active);
    let keep = [
        new.certificate.serial(),
        new.authentication.as_ref().unwrap().serial(),
    ];
    let (guid, account) = (card(1).guid, alice().account);
    let ended = || {
        house
            .authority
            .supersede_renewed(&guid, &account, &keep, officer(), NOW)
            .unwrap()
    };
    assert_eq!(ended().certificates.len(), 2);
    assert!(ended().is_empty(), "twice does no harm");
    let old_presence = old.authentication.unwrap().serial();
    for (serial, expected) in [
        (old.certificate.serial(), Status::Revoked),
        (old_presence, Status::Revoked),
        (chat, Status::Active),
        (keep[0], Status::Active),
        (keep[1], Status::Active),
        (bobs.certificate.serial(), Status::Active),
    ] {
        assert_eq!(status(&house, &serial), expected, "{serial}");
    }
    // Lost later: what the superseded one has earned goes as well.
    let by = officer();
    house.authority.revoke_card(&guid, LOST, by, NOW).unwrap();
    assert_eq!(status(&house, &chat), Status::Revoked);
}
