// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzzer does with its bytes; the ordinary tests replay its corpus the same way.
//!
//! Any sequence of commands to a virtual card: it answers each with at least a status word,
//! counters only fall, and what it stored can be opened again. The right PIN, PUK and management
//! key are not among the short sequences that a fuzzer finds.

use std::time::Instant;

use lanyard_piv::{Guid, ManagementKey, Pin, Puk};
use lanyard_virtual_card::{
    Application, CardName, KdfCost, Keeper, MemoryStorage, NewCard, SealedCard, first_objects,
};

/// Plays a sequence: one byte of length before each command; an empty command is a reset.
pub fn commands(bytes: &[u8]) {
    let storage = MemoryStorage::default();
    let guid = Guid::new([7; 16]);
    let card = NewCard {
        name: CardName::parse("fuzzed").unwrap(),
        guid,
        pin: Pin::parse("35914782").unwrap(),
        pin_is_transport: false,
        puk: Puk::parse("86421357").unwrap(),
        management_key: ManagementKey::new(&[0xA7; 32]).unwrap(),
        force_pin_change: true,
        pin_digits: lanyard_virtual_card::PinDigits::default(),
        kdf: KdfCost::LEAST,
        objects: first_objects(guid, [7; 14]),
    };
    let mut card = SealedCard::create(card, storage.clone()).unwrap();
    let (mut session, now) = (Application::new(), Instant::now());
    let (mut pin_tries, mut puk_tries) = (u8::MAX, u8::MAX);
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first() {
        let (command, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = behind;
        if command.is_empty() {
            session.reset();
            continue;
        }
        assert!(session.apdu(&mut card, now, command).len() >= 2);
        let (pin, puk) = (card.pin_status().tries.left, card.puk_status().tries.left);
        assert!(pin <= pin_tries && puk <= puk_tries);
        (pin_tries, puk_tries) = (pin, puk);
    }
    assert!(SealedCard::open(&storage.bytes(), MemoryStorage::default()).is_ok());
}
