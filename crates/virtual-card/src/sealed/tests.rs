// SPDX-License-Identifier: MIT OR Apache-2.0

use lanyard_piv::{Algorithm, NewPin, Pin, Puk, Slot};

use super::*;
use crate::testing::{NEW_PIN, TRANSPORT_PIN, WRONG_PIN, blank, pin};

fn new(text: &str) -> NewPin {
    NewPin::check(pin(text), None).unwrap()
}

fn puk(text: &str) -> Puk {
    Puk::parse(text).unwrap()
}

fn reopened(storage: &MemoryStorage) -> SealedCard<MemoryStorage> {
    SealedCard::open(&storage.bytes(), storage.clone()).unwrap()
}

#[test]
fn wrong_pins_count_down_and_the_right_one_counts_up_again() {
    let (mut card, _) = blank();
    assert_eq!(
        card.verify(&pin(WRONG_PIN)).err(),
        Some(ReferenceError::Wrong { tries_left: 2 })
    );
    assert!(card.verify(&pin(TRANSPORT_PIN)).is_ok());
    assert_eq!(card.pin_status().tries.left, PIN_TRIES_MAX);
    for tries_left in [2, 1, 0] {
        assert_eq!(
            card.verify(&pin(WRONG_PIN)).err(),
            Some(ReferenceError::Wrong { tries_left })
        );
    }
    assert_eq!(
        card.verify(&pin(TRANSPORT_PIN)).err(),
        Some(ReferenceError::Blocked)
    );
}

#[test]
fn a_try_is_on_disk_before_the_pin_is_looked_at() {
    let (mut card, storage) = blank();
    // The disk takes the count and then nothing more, as when the plug is pulled in between.
    storage.fail_after(1);
    assert_eq!(
        card.verify(&pin(TRANSPORT_PIN)).err(),
        Some(ReferenceError::Keeper(KeeperError::NotWritten))
    );
    assert_eq!(reopened(&storage).pin_status().tries.left, 2);
}

#[test]
fn a_full_disk_gives_no_guess_at_all() {
    let (mut card, storage) = blank();
    storage.fail_after(0);
    for typed in [WRONG_PIN, TRANSPORT_PIN] {
        assert_eq!(
            card.verify(&pin(typed)).err(),
            Some(ReferenceError::Keeper(KeeperError::NotWritten))
        );
    }
    assert_eq!(card.pin_status().tries.left, PIN_TRIES_MAX);
}

#[test]
fn counters_survive_a_restart() {
    let (mut card, storage) = blank();
    let _ = card.verify(&pin(WRONG_PIN));
    let _ = card.change_puk(&puk("99999999"), &puk("11112222"));
    let again = reopened(&storage);
    assert_eq!(again.pin_status().tries.left, 2);
    assert_eq!(again.puk_status().tries.left, 2);
}

#[test]
fn a_new_pin_opens_the_same_keys_and_the_old_one_none() {
    let (mut card, storage) = blank();
    card.generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    card.change_pin(&pin(TRANSPORT_PIN), &new(NEW_PIN)).unwrap();
    let mut card = reopened(&storage);
    assert!(!card.pin_status().initial);
    assert!(card.verify(&pin(TRANSPORT_PIN)).is_err());
    let opened = card.verify(&pin(NEW_PIN)).unwrap();
    assert!(
        card.sign(Slot::Authentication, Some(&opened), &[7; 32])
            .is_ok()
    );
}

#[test]
fn the_puk_unblocks_and_is_itself_counted() {
    let (mut card, _) = blank();
    for _ in 0..3 {
        let _ = card.verify(&pin(WRONG_PIN));
    }
    assert_eq!(
        card.unblock(&puk("99999999"), &new(NEW_PIN)),
        Err(ReferenceError::Wrong { tries_left: 2 })
    );
    card.unblock(&puk("12345678"), &new(NEW_PIN)).unwrap();
    assert_eq!(card.puk_status().tries.left, PUK_TRIES_MAX);
    assert!(card.verify(&pin(NEW_PIN)).is_ok());
    assert!(!card.pin_status().initial);
}

#[test]
fn a_blocked_puk_stays_blocked() {
    let (mut card, _) = blank();
    for _ in 0..3 {
        let _ = card.unblock(&puk("99999999"), &new(NEW_PIN));
    }
    assert_eq!(
        card.unblock(&puk("12345678"), &new(NEW_PIN)),
        Err(ReferenceError::Blocked)
    );
    assert!(
        card.verify(&pin(TRANSPORT_PIN)).is_ok(),
        "the PIN still works"
    );
}

#[test]
fn the_old_pin_is_refused_as_the_new_one_also_when_unblocking() {
    let (mut card, _) = blank();
    card.change_pin(&pin(TRANSPORT_PIN), &new(NEW_PIN)).unwrap();
    assert_eq!(
        card.change_pin(&pin(NEW_PIN), &new(NEW_PIN)).err(),
        Some(ReferenceError::SameAsOld)
    );
    assert_eq!(
        card.unblock(&puk("12345678"), &new(NEW_PIN)),
        Err(ReferenceError::SameAsOld)
    );
    assert_eq!(card.puk_status().tries.left, PUK_TRIES_MAX);
}

#[test]
fn a_crash_at_any_write_leaves_the_old_pin_or_the_new_one() {
    for writes in 0..4 {
        let (mut card, storage) = blank();
        card.generate(Slot::Authentication, Algorithm::EccP256)
            .unwrap();
        storage.fail_after(writes);
        let changed = card.change_pin(&pin(TRANSPORT_PIN), &new(NEW_PIN)).is_ok();
        let stored = storage.bytes();
        let mut card = SealedCard::open(&stored, MemoryStorage::default()).unwrap();
        let works = [TRANSPORT_PIN, NEW_PIN].map(|text| {
            let opened = card.verify(&Pin::parse(text).unwrap());
            opened.is_ok_and(|opened| {
                card.sign(Slot::Authentication, Some(&opened), &[7; 32])
                    .is_ok()
            })
        });
        assert_eq!(works, [!changed, changed], "after {writes} writes");
    }
}

#[test]
fn keys_need_what_the_pin_opened_except_card_authentication() {
    let (mut card, _) = blank();
    for slot in Slot::MAIN {
        card.generate(slot, Algorithm::EccP256).unwrap();
    }
    let none = card.sign(Slot::Authentication, None, &[7; 32]);
    assert_eq!(none, Err(KeeperError::NotOpened));
    let forged = Opened::new(Zeroizing::new(vec![1; 32]));
    let forged = card.sign(Slot::Authentication, Some(&forged), &[7; 32]);
    assert_eq!(forged, Err(KeeperError::Damaged));
    assert!(card.sign(Slot::CardAuthentication, None, &[7; 32]).is_ok());
    let retired = lanyard_piv::RetiredSlot::new(1).map(Slot::Retired).unwrap();
    assert_eq!(card.sign(retired, None, &[7; 32]), Err(KeeperError::NoKey));
}

#[test]
fn the_file_holds_no_pin_puk_or_private_key_in_the_clear() {
    let (mut card, storage) = blank();
    card.change_pin(&pin(TRANSPORT_PIN), &new(NEW_PIN)).unwrap();
    let text = String::from_utf8(storage.bytes()).unwrap();
    for secret in [TRANSPORT_PIN, NEW_PIN, "MzU5MTQ3"] {
        assert!(!text.contains(secret));
    }
    assert!(text.contains("no hardware protection"));
}

#[test]
fn the_default_management_key_is_spoken_as_3des_and_as_aes() {
    let (mut card, storage) = blank();
    let both = [ManagementAlgorithm::TripleDes, ManagementAlgorithm::Aes192];
    assert_eq!(card.management_algorithms(), both);
    assert!(card.management_is_initial());
    let own = ManagementKey::new(&[9; 32]).unwrap();
    assert_eq!(
        card.set_management_key(ManagementAlgorithm::Aes128, &own),
        Err(KeeperError::Input)
    );
    card.set_management_key(ManagementAlgorithm::Aes256, &own)
        .unwrap();
    let card = reopened(&storage);
    assert_eq!(card.management_algorithms(), [ManagementAlgorithm::Aes256]);
    assert_eq!(card.management_key(), Ok(own));
    assert!(!card.management_is_initial());
}

#[test]
fn objects_together_have_a_limit() {
    let (mut card, _) = blank();
    let big = vec![1; lanyard_piv::OBJECT_BYTES_MAX];
    let tags = (0x5F_C10D..=0x5F_C120_u32).map(lanyard_piv::tlv::Tag::new);
    let results: Vec<_> = tags
        .filter_map(ObjectId::from_tag)
        .map(|object| card.put_object(object, Some(&big)))
        .collect();
    assert_eq!(results.first(), Some(&Ok(())));
    assert_eq!(results.last(), Some(&Err(KeeperError::Full)));
}
