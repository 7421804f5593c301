// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzzers do with their bytes; the ordinary tests replay their corpora the same way.
//!
//! Any sequence of commands to a virtual card: it answers each with at least a status word,
//! counters only fall, and what it stored can be opened again. The right PIN, PUK and management
//! key are not among the short sequences that a fuzzer finds.

use std::sync::OnceLock;
use std::time::Instant;

use lanyard_piv::{
    Algorithm, Command, DynamicAuthentication, Guid, ManagementAlgorithm, ManagementKey, Pin, Puk,
    Response, Slot,
};
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

/// Plays a sequence behind the locks: the PIN is verified and the management key proved, and there
/// are keys of every kind in 9A (P-256), 9C (P-384), 9D (RSA-2048) and 9E. Two bytes of length before
/// each command; an empty command proves everything anew. Whatever comes, the card answers, what it
/// stores can be opened, and no command that it refused has changed what it stores.
pub fn session(bytes: &[u8]) {
    static PREPARED: OnceLock<Vec<u8>> = OnceLock::new();
    let prepared = PREPARED.get_or_init(prepared);
    let storage = MemoryStorage::default();
    let mut card = SealedCard::open(prepared, storage.clone()).unwrap();
    let (mut session, now) = (Application::new(), Instant::now());
    prove(&mut session, &mut card, now);
    let mut rest = bytes;
    while let Some(([high, low], behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (command, behind) = behind.split_at(length.min(behind.len()));
        rest = behind;
        if command.is_empty() {
            session.reset();
            prove(&mut session, &mut card, now);
            continue;
        }
        let before = storage.bytes();
        let answer = session.apdu(&mut card, now, command);
        // Commands with PINs and PUKs count tries and give them back whatever they answer.
        let writes = matches!(command.get(1), Some(0x47 | 0x87 | 0xCB | 0xDB | 0xFF));
        let refused = writes && matches!(answer.last_chunk(), Some([0x67..=0x6F, _]));
        assert!(
            !refused || storage.bytes() == before,
            "a refused command changed the card: {command:02X?}"
        );
    }
    let stored = storage.bytes();
    if !stored.is_empty() {
        assert!(SealedCard::open(&stored, MemoryStorage::default()).is_ok());
    }
}

const PIN: &str = "35914782";

/// A card with keys, as its file.
fn prepared() -> Vec<u8> {
    let storage = MemoryStorage::default();
    let guid = Guid::new([7; 16]);
    let card = NewCard {
        name: CardName::parse("fuzzed").unwrap(),
        guid,
        pin: Pin::parse(PIN).unwrap(),
        pin_is_transport: false,
        puk: Puk::parse("86421357").unwrap(),
        management_key: ManagementKey::blank_card(),
        force_pin_change: true,
        pin_digits: lanyard_virtual_card::PinDigits::default(),
        kdf: KdfCost::LEAST,
        objects: first_objects(guid, [7; 14]),
    };
    let mut card = SealedCard::create(card, storage.clone()).unwrap();
    for (slot, algorithm) in [
        (Slot::Authentication, Algorithm::EccP256),
        (Slot::Signature, Algorithm::EccP384),
        (Slot::KeyManagement, Algorithm::Rsa2048),
        (Slot::CardAuthentication, Algorithm::EccP256),
    ] {
        card.generate(slot, algorithm).unwrap();
    }
    storage.bytes()
}

/// Proves the management key and verifies the PIN, where the sequence has not changed them.
fn prove(session: &mut Application, card: &mut SealedCard<MemoryStorage>, now: Instant) {
    let (algorithm, key) = (ManagementAlgorithm::TripleDes, ManagementKey::blank_card());
    let mut send = |card: &mut SealedCard<MemoryStorage>, command: Command| {
        let answer = session.apdu(card, now, &command.to_bytes().unwrap());
        Response::parse(&answer).unwrap()
    };
    let ask = DynamicAuthentication::request_challenge();
    let asked = send(card, Command::authenticate_management(algorithm, &ask));
    if let Ok(asked) = DynamicAuthentication::parse(asked.data())
        && let Some(challenge) = asked.challenge.as_deref()
        && let Ok(response) = key.encrypt(algorithm, challenge)
    {
        let answer = DynamicAuthentication::answer(response);
        send(card, Command::authenticate_management(algorithm, &answer));
    }
    send(card, Command::verify(&Pin::parse(PIN).unwrap()));
}
