// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card that works for long, as a chip does that makes an RSA key, keeps nobody waiting but those
//! who ask it for work.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lanyard_piv::{Guid, ManagementKey, Pin, Puk};
use lanyard_virtual_card::link::{SharedKeeper, Stopper, answer_to_reset, serve, stop_pair};
use lanyard_virtual_card::{
    CardName, KdfCost, MemoryStorage, NewCard, PinDigits, SealedCard, first_objects,
};

const PATIENCE: Duration = Duration::from_secs(30);
const SEND_ATR: &[u8] = &[0x04];
/// VERIFY without data.
const QUERY: &[u8] = &[0x00, 0x20, 0x00, 0x80];

fn card(number: u8) -> SharedKeeper {
    let guid = Guid::new([number; 16]);
    let card = NewCard {
        name: CardName::parse("patient").unwrap(),
        guid,
        pin: Pin::parse("35914782").unwrap(),
        pin_is_transport: false,
        puk: Puk::parse("86421357").unwrap(),
        management_key: ManagementKey::blank_card(),
        force_pin_change: true,
        pin_digits: PinDigits::default(),
        kdf: KdfCost::LEAST,
        objects: first_objects(guid, [number; 14]),
    };
    let card = SealedCard::create(card, MemoryStorage::default()).unwrap();
    Arc::new(Mutex::new(card))
}

/// A session with a card; it ends with the stopper.
fn session(card: &SharedKeeper) -> (UnixStream, Stopper) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    let (stopper, stop) = stop_pair().unwrap();
    let card = Arc::clone(card);
    thread::spawn(move || serve(&mut theirs, &card, &stop, None));
    (ours, stopper)
}

fn send(stream: &mut UnixStream, body: &[u8]) {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], body].concat()).unwrap();
}

fn receive(stream: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut body).unwrap();
    body
}

#[test]
fn a_card_that_works_for_long_keeps_no_other_card_and_no_reader_waiting() {
    let (busy, idle) = (card(1), card(2));
    let (mut asks, _one) = session(&busy);
    let (mut polls, _two) = session(&busy);
    let (mut other, _three) = session(&idle);
    // Whoever works with a card holds it; here it is the test.
    let work = busy.lock().unwrap();
    send(&mut asks, QUERY);
    send(&mut polls, SEND_ATR);
    assert_eq!(receive(&mut polls), answer_to_reset(), "it is still there");
    send(&mut other, QUERY);
    assert_eq!(receive(&mut other), [0x63, 0xC3]);
    drop(work);
    assert_eq!(receive(&mut asks), [0x63, 0xC3]);
}
