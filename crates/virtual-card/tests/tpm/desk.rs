// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unblocking by the help desk.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lanyard_piv::{DeskKey, DeskResponse};
use lanyard_virtual_card::{Keeper, KeeperError, ReferenceError};

use crate::support::{Card, OTHER_PIN, PIN, PUK, WRONG, bench, new, pin, puk};

const KEY: [u8; 32] = [7; 32];

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn answer(card: &mut Card, now: u64) -> DeskResponse {
    let readiness = card.desk_challenge(at(now)).unwrap();
    DeskKey::new(KEY).respond(card.guid(), &readiness.challenge)
}

#[test]
fn the_desk_takes_the_puks_place_and_each_response_works_once() {
    let bench = bench();
    let mut card = bench.own_card();
    assert_eq!(card.desk_challenge(at(1)), Err(KeeperError::NoKey));
    let opened = card.verify(&pin(PIN)).unwrap();
    card.arm_desk(&opened, &DeskKey::new(KEY)).unwrap();
    assert_eq!(card.puk_status().tries.left, 0);
    let given_up = card.unblock(&puk(PUK), &new(OTHER_PIN));
    assert_eq!(given_up, Err(ReferenceError::Blocked));
    for _ in 0..3 {
        let _ = card.verify(&pin(WRONG));
    }
    let mut card = bench.reopen();
    let response = answer(&mut card, 100);
    let wrong = DeskKey::new([8; 32]).respond(
        card.guid(),
        &card.desk_challenge(at(100)).unwrap().challenge,
    );
    let refused = card.desk_unblock(&wrong, &new(OTHER_PIN), at(101));
    assert_eq!(refused, Err(ReferenceError::Wrong { tries_left: 4 }));
    let same = card.desk_unblock(&response, &new(PIN), at(101));
    assert_eq!(same, Err(ReferenceError::SameAsOld));
    card.desk_unblock(&response, &new(OTHER_PIN), at(102))
        .unwrap();
    assert!(card.verify(&pin(OTHER_PIN)).is_ok());
    let replay = card.desk_unblock(&response, &new(PIN), at(103));
    assert!(replay.is_err());
    // The next one works as well.
    let response = answer(&mut card, 104);
    card.desk_unblock(&response, &new("618203"), at(105))
        .unwrap();
    assert!(card.verify(&pin("618203")).is_ok());
}

#[test]
fn after_arming_the_pin_alone_gives_nobody_the_desks_power() {
    let bench = bench();
    let mut card = bench.own_card();
    let opened = card.verify(&pin(PIN)).unwrap();
    let before = bench.storage.bytes();
    card.arm_desk(&opened, &DeskKey::new(KEY)).unwrap();
    // Whoever has the PIN and the file from before arming: what is sealed there opens, but the
    // chip's index does not take it any more.
    let mut old = bench.try_reopen_bytes(&before).unwrap();
    let opened = old.verify(&pin(PIN)).unwrap();
    let again = old.arm_desk(&opened, &DeskKey::new([9; 32]));
    assert_eq!(again, Err(KeeperError::Unsupported));
}
