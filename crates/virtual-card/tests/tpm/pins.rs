// SPDX-License-Identifier: MIT OR Apache-2.0
//! PIN and PUK: counted by the chip, changed in one step, and never at the cost of others.

use lanyard_piv::{Algorithm, Slot};
use lanyard_virtual_card::{Keeper, PIN_TRIES_MAX, PUK_TRIES_MAX, ReferenceError};

use crate::support::{FIRST_PIN, OTHER_PIN, PIN, PUK, WRONG, bench, new, pin, puk};

#[test]
fn wrong_pins_count_down_to_the_block_and_the_common_lockout_sees_nothing() {
    let bench = bench();
    let mut card = bench.own_card();
    let wrong = |left| Some(ReferenceError::Wrong { tries_left: left });
    assert_eq!(card.verify(&pin(WRONG)).err(), wrong(2));
    assert!(card.verify(&pin(PIN)).is_ok());
    assert_eq!(card.pin_status().tries.left, PIN_TRIES_MAX);
    let epoch = card.pin_epoch();
    for left in [2, 1, 0] {
        assert_eq!(card.verify(&pin(WRONG)).err(), wrong(left));
        assert_eq!(card.pin_status().tries.left, left);
    }
    assert_ne!(card.pin_epoch(), epoch, "what was verified before is void");
    assert_eq!(card.verify(&pin(PIN)).err(), Some(ReferenceError::Blocked));
    assert_eq!(bench.common_lockout(), 0);
    // Other programs and restarts change nothing about it.
    let mut card = bench.reopen();
    assert_eq!(card.pin_status().tries.left, 0);
    assert_eq!(card.verify(&pin(PIN)).err(), Some(ReferenceError::Blocked));
}

#[test]
fn the_puk_unblocks_is_counted_and_blocks_for_good() {
    let bench = bench();
    let mut card = bench.own_card();
    for _ in 0..3 {
        let _ = card.verify(&pin(WRONG));
    }
    let wrong = card.unblock(&puk("11111111"), &new(OTHER_PIN));
    assert_eq!(wrong, Err(ReferenceError::Wrong { tries_left: 2 }));
    assert_eq!(card.puk_status().tries.left, 2);
    // The old PIN is no new one, and the card stays blocked.
    let same = card.unblock(&puk(PUK), &new(PIN));
    assert_eq!(same, Err(ReferenceError::SameAsOld));
    assert_eq!(card.pin_status().tries.left, 0);
    card.unblock(&puk(PUK), &new(OTHER_PIN)).unwrap();
    assert_eq!(card.puk_status().tries.left, PUK_TRIES_MAX);
    assert_eq!(card.pin_status().tries.left, PIN_TRIES_MAX);
    assert!(card.verify(&pin(OTHER_PIN)).is_ok());
    assert!(card.verify(&pin(PIN)).is_err());
    for _ in 0..3 {
        let _ = card.unblock(&puk("11111111"), &new(PIN));
    }
    let blocked = card.unblock(&puk(PUK), &new(PIN));
    assert_eq!(blocked, Err(ReferenceError::Blocked));
    assert!(card.verify(&pin(OTHER_PIN)).is_ok(), "the PIN still works");
    assert_eq!(bench.common_lockout(), 0);
}

#[test]
fn a_new_pin_opens_the_same_keys_and_the_old_one_none() {
    let bench = bench();
    let mut card = bench.card();
    assert!(card.pin_status().initial && !card.puk_status().initial);
    let key = card
        .generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    let before = card.verify(&pin(FIRST_PIN)).unwrap();
    assert_eq!(
        card.change_pin(&pin(WRONG), &new(PIN)).err(),
        Some(ReferenceError::Wrong { tries_left: 2 })
    );
    let opened = card.change_pin(&pin(FIRST_PIN), &new(PIN)).unwrap();
    assert!(
        card.sign(Slot::Authentication, Some(&opened), &[7; 32])
            .is_ok()
    );
    // What the old PIN had opened opens nothing any more, not even in this process.
    assert!(
        card.sign(Slot::Authentication, Some(&before), &[7; 32])
            .is_err()
    );
    let mut card = bench.reopen();
    assert!(!card.pin_status().initial);
    assert!(card.verify(&pin(FIRST_PIN)).is_err());
    let opened = card.verify(&pin(PIN)).unwrap();
    assert!(
        card.sign(Slot::Authentication, Some(&opened), &[7; 32])
            .is_ok()
    );
    assert_eq!(card.key(Slot::Authentication), Some(key));
    assert_eq!(
        card.change_pin(&pin(PIN), &new(PIN)).err(),
        Some(ReferenceError::SameAsOld)
    );
}

#[test]
fn a_new_puk_takes_the_place_of_the_old_one() {
    let bench = bench();
    let mut card = bench.own_card();
    let wrong = card.change_puk(&puk("11111111"), &puk("22223333"));
    assert_eq!(wrong, Err(ReferenceError::Wrong { tries_left: 2 }));
    card.change_puk(&puk(PUK), &puk("22223333")).unwrap();
    assert!(card.unblock(&puk(PUK), &new(OTHER_PIN)).is_err());
    card.unblock(&puk("22223333"), &new(OTHER_PIN)).unwrap();
}

#[test]
fn two_cards_in_one_chip_do_not_know_of_each_other() {
    let bench = bench();
    let mut one = bench.own_card();
    let storage = lanyard_virtual_card::MemoryStorage::default();
    let connect = std::sync::Arc::new(bench.device());
    let mut two = bench.card_through(0x48, connect, &storage).unwrap();
    assert_eq!(bench.indices().len(), 4);
    for _ in 0..3 {
        let _ = one.verify(&pin(WRONG));
    }
    let opened = two.change_pin(&pin(FIRST_PIN), &new(OTHER_PIN)).unwrap();
    two.generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    assert!(
        two.sign(Slot::Authentication, Some(&opened), &[7; 32])
            .is_ok()
    );
    assert_eq!(one.verify(&pin(PIN)).err(), Some(ReferenceError::Blocked));
}
