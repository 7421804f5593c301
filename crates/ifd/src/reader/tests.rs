// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader with cards that the test plays.
#![cfg(not(miri))]

use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use super::*;

const PROMPTLY: Duration = Duration::from_secs(20);
const ATR: [u8; 4] = [0x3B, 0x80, 0x01, 0x81];

fn reader(folder: &Path, more: &str) -> Reader {
    let uid = rustix::process::geteuid().as_raw();
    let name = format!("lanyard:{}:uid={uid}{more}", folder.join("r/s").display());
    Reader::open(Device::parse(&name).unwrap()).unwrap()
}

/// A card, and what the reader said to it first.
fn knock(reader: &Reader) -> (UnixStream, [u8; 7]) {
    let mut card = UnixStream::connect(&reader.device().socket).unwrap();
    card.set_read_timeout(Some(PROMPTLY)).unwrap();
    let mut greeting = [0; 7];
    card.read_exact(&mut greeting).unwrap();
    (card, greeting)
}

fn send(card: &mut UnixStream, body: &[u8]) {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    card.write_all(&[&length, body].concat()).unwrap();
}

fn receive(card: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 2];
    card.read_exact(&mut length).unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
    card.read_exact(&mut body).unwrap();
    body
}

/// What pcscd's watching thread does until a slot is as it should be.
fn noticed(slot: &Slot, present: bool) {
    let began = Instant::now();
    while slot.is_present() != present {
        assert!(began.elapsed() < PROMPTLY, "present is not {present}");
        slot.wait_for_change(Duration::from_secs(1));
    }
}

#[test]
fn a_card_comes_is_asked_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let reader = reader(folder.path(), "");
    let slot = reader.slot(0).unwrap();
    assert!(!slot.is_present());
    assert!(matches!(slot.power_on(), Err(CardError::Absent)));
    let (mut card, greeting) = knock(&reader);
    assert_eq!(greeting, [0, 5, b'L', b'Y', 1, 0, 0]);
    noticed(slot, true);
    let card = thread::spawn(move || {
        assert_eq!(receive(&mut card), [1]);
        assert_eq!(receive(&mut card), [4]);
        send(&mut card, &ATR);
        assert_eq!(receive(&mut card), [0, 0xA4, 4, 0]);
        // Twice "still working".
        send(&mut card, &[5]);
        send(&mut card, &[5]);
        send(&mut card, &[0x90, 0]);
        assert_eq!(receive(&mut card), [0]);
    });
    assert_eq!(slot.power_on().unwrap(), ATR);
    assert_eq!(slot.atr().unwrap(), ATR);
    assert_eq!(slot.owner(), Some(rustix::process::geteuid().as_raw()));
    assert_eq!(*slot.transmit(&[0, 0xA4, 4, 0]).unwrap(), [0x90, 0]);
    slot.power_off();
    card.join().unwrap();
    noticed(slot, false);
    assert_eq!(slot.owner(), None);
}

#[test]
fn another_card_in_the_place_of_one_that_went_is_seen_as_another() {
    let folder = tempfile::tempdir().unwrap();
    let reader = reader(folder.path(), "");
    let slot = reader.slot(0).unwrap();
    let (first, _) = knock(&reader);
    noticed(slot, true);
    slot.wait_for_change(Duration::ZERO);
    drop(first);
    // The next one comes as soon as there is room, and long before anybody looks.
    let began = Instant::now();
    let _second = loop {
        let (card, greeting) = knock(&reader);
        if greeting[5] == 0 {
            break card;
        }
        assert!(began.elapsed() < PROMPTLY);
    };
    assert!(!slot.is_present(), "the change would go unnoticed");
    slot.wait_for_change(PROMPTLY);
    assert!(!slot.is_present());
    slot.wait_for_change(PROMPTLY);
    assert!(slot.is_present());
}

#[test]
fn one_card_too_many_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let reader = reader(folder.path(), ":slots=2");
    let (_one, first) = knock(&reader);
    let (_two, second) = knock(&reader);
    let (_three, third) = knock(&reader);
    assert_eq!((first[5], first[6]), (0, 0));
    assert_eq!((second[5], second[6]), (0, 1));
    assert_eq!(third[5], 1);
}

#[test]
fn somebody_elses_card_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let other = rustix::process::geteuid().as_raw() ^ 1;
    let name = format!("lanyard:{}:uid={other}", folder.path().join("s").display());
    let reader = Reader::open(Device::parse(&name).unwrap()).unwrap();
    let (mut card, greeting) = knock(&reader);
    assert_eq!(greeting[5], 2);
    assert_eq!(card.read(&mut [0]).unwrap(), 0);
    assert!(!reader.slot(0).unwrap().is_present());
}

#[test]
fn a_card_that_breaks_off_in_the_middle_is_out() {
    let folder = tempfile::tempdir().unwrap();
    let reader = reader(folder.path(), "");
    let slot = reader.slot(0).unwrap();
    let (mut card, _) = knock(&reader);
    noticed(slot, true);
    let card = thread::spawn(move || {
        assert_eq!(receive(&mut card), [0, 0xA4, 4, 0]);
        card.write_all(&[0, 9, 1]).unwrap();
    });
    let broken = slot.transmit(&[0, 0xA4, 4, 0]);
    assert!(matches!(broken, Err(CardError::Broken(_))), "{broken:?}");
    card.join().unwrap();
    assert!(!slot.is_present());
    assert!(matches!(slot.transmit(&[0; 4]), Err(CardError::Absent)));
}

#[test]
fn a_card_that_speaks_unasked_is_out() {
    let folder = tempfile::tempdir().unwrap();
    let reader = reader(folder.path(), "");
    let slot = reader.slot(0).unwrap();
    let (mut card, _) = knock(&reader);
    noticed(slot, true);
    send(&mut card, &[0x90, 0]);
    let broken = slot.transmit(&[0, 0xA4, 4, 0]);
    assert!(matches!(broken, Err(CardError::Broken(_))), "{broken:?}");
    assert!(!slot.is_present());
}

#[test]
fn an_atr_that_is_none_is_refused() {
    for atr in [vec![0x3B], vec![], vec![0x3B; 34]] {
        let folder = tempfile::tempdir().unwrap();
        let reader = reader(folder.path(), "");
        let slot = reader.slot(0).unwrap();
        let (mut card, _) = knock(&reader);
        noticed(slot, true);
        send(&mut card, &atr);
        assert!(slot.reset().is_err(), "{atr:?}");
    }
}

/// pcscd's calling thread writes its own idea of the slot after a failed start; what its watching
/// thread writes must come later.
#[test]
fn a_card_that_fails_to_start_is_shown_until_the_call_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let reader = reader(folder.path(), "");
    let slot = reader.slot(0).unwrap();
    let (card, _) = knock(&reader);
    noticed(slot, true);
    drop(card);
    // Either the reader has noticed it already, or the start fails.
    match slot.reset() {
        Err(CardError::Absent) => {}
        Err(_) => {
            let failed = Instant::now();
            while slot.is_present() {
                slot.wait_for_change(PROMPTLY);
            }
            assert!(failed.elapsed() >= Duration::from_millis(200));
        }
        Ok(_) => panic!("there is no card"),
    }
    noticed(slot, false);
}

#[test]
fn what_would_be_taken_for_a_control_never_reaches_the_card() {
    let folder = tempfile::tempdir().unwrap();
    let reader = reader(folder.path(), "");
    let slot = reader.slot(0).unwrap();
    let (_card, _) = knock(&reader);
    noticed(slot, true);
    for command in [&[][..], &[2], &[0, 0xA4, 4], &[0; 65_536]] {
        assert_eq!(*slot.transmit(command).unwrap(), [0x67, 0x00]);
    }
    assert!(slot.is_present());
}

#[test]
fn closing_takes_the_cards_out_and_the_socket_away() {
    let folder = tempfile::tempdir().unwrap();
    let reader = reader(folder.path(), "");
    let (mut card, _) = knock(&reader);
    reader.close();
    assert_eq!(card.read(&mut [0]).unwrap(), 0);
    assert!(!reader.device().socket.exists());
    reader.close();
}

#[test]
fn waking_ends_a_wait_that_has_not_begun() {
    let slot = Slot::new();
    slot.wake();
    let began = Instant::now();
    slot.wait_for_change(Duration::from_secs(60));
    assert!(began.elapsed() < PROMPTLY);
}

#[test]
fn a_directory_that_others_may_write_into_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mode = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), mode).unwrap();
    let name = format!("lanyard:{}:shared", folder.path().join("s").display());
    let refused = Reader::open(Device::parse(&name).unwrap());
    assert!(matches!(refused, Err(DoorError::NotPrivate(_))));
}

#[test]
fn a_file_in_the_place_of_the_socket_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s");
    std::fs::write(&file, b"mine").unwrap();
    let name = format!("lanyard:{}:shared", file.display());
    let refused = Reader::open(Device::parse(&name).unwrap());
    assert!(matches!(refused, Err(DoorError::Occupied(_))));
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}
