// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chips and processes that die, files and chips that are put back, chips that are full.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use lanyard_piv::{Algorithm, DeskKey, Slot};
use lanyard_tpm::wire::Writer;
use lanyard_tpm::{
    AuthValue, Connect, Device, Hierarchy, NvPublic, SessionKind, Template, TpmError, Transport,
};
use lanyard_virtual_card::{
    Keeper, KeeperError, MemoryStorage, NewTpmCardError, OpenError, ReferenceError, TpmCard,
};
use zeroize::Zeroizing;

use crate::support::{FIRST_PIN, OTHER_PIN, PIN, PUK, WRONG, bench, new, pin, puk};

/// A line to the chip that breaks after so many commands, before or after the chip has heard the
/// last one. What the process was doing ends there, as if it had been killed.
struct Cut {
    device: Device,
    left: Arc<AtomicUsize>,
    heard: bool,
}

struct CutLine {
    inner: Box<dyn Transport>,
    left: Arc<AtomicUsize>,
    heard: bool,
}

impl Connect for Cut {
    fn transport(&self) -> Result<Box<dyn Transport>, TpmError> {
        Ok(Box::new(CutLine {
            inner: self.device.transport()?,
            left: Arc::clone(&self.left),
            heard: self.heard,
        }))
    }
}

impl Transport for CutLine {
    fn exchange(
        &mut self,
        command: &[u8],
        limit: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        const FLUSH: [u8; 4] = [0, 0, 1, 0x65];
        let flush = command.get(6..10) == Some(&FLUSH[..]);
        let left = self.left.load(Ordering::SeqCst);
        if left > 0 || flush {
            if !flush {
                self.left.store(left - 1, Ordering::SeqCst);
            }
            return self.inner.exchange(command, limit);
        }
        if self.heard {
            let _ = self.inner.exchange(command, limit);
        }
        Err(TpmError::TimedOut)
    }
}

/// Does `work` with a line that is cut after each possible number of commands, and looks at the card
/// afterwards with a whole line.
fn cut_everywhere(
    work: impl Fn(&mut TpmCard<MemoryStorage>) -> bool + Sync,
    look: impl Fn(&mut TpmCard<MemoryStorage>, bool) + Sync,
) {
    std::thread::scope(|scope| {
        for heard in [false, true] {
            let (work, look) = (&work, &look);
            scope.spawn(move || cut_with(heard, work, look));
        }
    });
}

fn cut_with(
    heard: bool,
    work: impl Fn(&mut TpmCard<MemoryStorage>) -> bool,
    look: impl Fn(&mut TpmCard<MemoryStorage>, bool),
) {
    let bench = bench();
    let mut finished = false;
    for cut in 0..200 {
        // A card of its own for each cut, in the same chip; the former one is forgotten.
        for handle in bench.indices() {
            let mut tpm = bench.device().connect().unwrap();
            let index = tpm.read_index(handle).unwrap();
            tpm.undefine(&index.place()).unwrap();
        }
        let mut card = bench.own_card();
        card.generate(Slot::Authentication, Algorithm::EccP256)
            .unwrap();
        drop(card);
        let left = Arc::new(AtomicUsize::new(usize::MAX / 2));
        let line = Cut {
            device: bench.device(),
            left: Arc::clone(&left),
            heard,
        };
        let storage = bench.storage.clone();
        let mut card = TpmCard::open(&storage.bytes(), storage, Arc::new(line)).unwrap();
        left.store(cut, Ordering::SeqCst);
        let done = work(&mut card);
        let untouched = left.load(Ordering::SeqCst) > 0;
        drop(card);
        clean_up(&bench.device());
        look(&mut bench.reopen(), done);
        if done && untouched {
            finished = true;
            break;
        }
    }
    assert!(finished, "the work never got through");
}

fn opens(card: &mut TpmCard<MemoryStorage>, text: &str) -> bool {
    card.verify(&pin(text)).is_ok_and(|opened| {
        card.sign(Slot::Authentication, Some(&opened), &[7; 32])
            .is_ok()
    })
}

#[test]
fn a_pin_change_cut_anywhere_leaves_the_old_pin_or_the_new_one() {
    cut_everywhere(
        |card| card.change_pin(&pin(PIN), &new(OTHER_PIN)).is_ok(),
        |card, done| {
            let works = [PIN, OTHER_PIN].map(|text| opens(card, text));
            assert!(works[0] != works[1], "neither or both: {works:?}");
            assert!(!done || works[1], "it said that it was done");
        },
    );
}

#[test]
fn an_unblocking_cut_anywhere_leaves_a_card_that_the_puk_unblocks() {
    cut_everywhere(
        |card| card.unblock(&puk(PUK), &new(OTHER_PIN)).is_ok(),
        |card, done| {
            assert!(!done || opens(card, OTHER_PIN));
            // Whatever was cut off, the PUK is as good as before.
            match card.unblock(&puk(PUK), &new("618203")) {
                Ok(()) => {}
                other => panic!("{other:?}"),
            }
            assert!(opens(card, "618203"));
        },
    );
}

#[test]
fn a_puk_change_cut_anywhere_leaves_one_puk() {
    cut_everywhere(
        |card| card.change_puk(&puk(PUK), &puk("22223333")).is_ok(),
        |card, done| {
            let works = [PUK, "22223333"]
                .map(|text| card.unblock(&puk(text), &new(OTHER_PIN)))
                .map(|result| matches!(result, Ok(()) | Err(ReferenceError::SameAsOld)));
            assert!(works[0] != works[1], "neither or both: {works:?}");
            assert!(!done || works[1]);
        },
    );
}

#[test]
fn an_arming_for_the_desk_cut_anywhere_leaves_the_puk_or_the_desk() {
    let key = || DeskKey::new([7; 32]);
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    cut_everywhere(
        |card| {
            card.verify(&pin(PIN))
                .is_ok_and(|opened| card.arm_desk(&opened, &key()).is_ok())
        },
        |card, done| {
            let by_puk = card.unblock(&puk(PUK), &new(OTHER_PIN)).is_ok();
            let by_desk = card.desk_challenge(at(1)).is_ok_and(|ready| {
                let response = key().respond(card.guid(), &ready.challenge);
                let chosen = new("618203");
                card.desk_unblock(&response, &chosen, at(2)).is_ok()
            });
            assert!(by_puk != by_desk, "PUK {by_puk}, desk {by_desk}");
            assert!(!done || by_desk);
            // What was cut off can be done again, with the PIN.
            if by_puk {
                let opened = card.verify(&pin(OTHER_PIN)).unwrap();
                card.arm_desk(&opened, &key()).unwrap();
            }
        },
    );
}

#[test]
fn a_key_generation_cut_anywhere_leaves_the_old_key_or_the_new_one() {
    cut_everywhere(
        |card| {
            card.generate(Slot::Authentication, Algorithm::EccP256)
                .is_ok()
        },
        |card, _| assert!(opens(card, PIN), "the slot's key is whole"),
    );
}

#[test]
fn an_old_card_file_gives_no_try_back_and_revives_no_pin() {
    let bench = bench();
    let mut card = bench.own_card();
    card.generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    let old = bench.storage.bytes();
    card.change_pin(&pin(PIN), &new(OTHER_PIN)).unwrap();
    for _ in 0..2 {
        let _ = card.verify(&pin(WRONG));
    }
    drop(card);
    let mut card = bench.try_reopen_bytes(&old).unwrap();
    assert_eq!(card.pin_status().tries.left, 1, "the chip counts");
    assert!(card.verify(&pin(PIN)).is_err(), "the old PIN stays old");
    assert_eq!(
        card.verify(&pin(OTHER_PIN)).err(),
        Some(ReferenceError::Blocked)
    );
}

#[test]
fn a_chip_that_is_rolled_back_as_a_whole_is_an_earlier_card_and_not_a_broken_one() {
    let mut bench = bench();
    let mut card = bench.own_card();
    card.generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    let copy = bench.folder.path().join("copy");
    bench.chip.copy_state(&copy);
    card.change_pin(&pin(PIN), &new(OTHER_PIN)).unwrap();
    bench.chip.roll_back(&copy);
    // A software chip knows no better; a real one cannot be rolled back. The keys work with the PIN
    // of that time, also those that were made since.
    let mut card = bench.reopen();
    assert!(opens(&mut card, PIN));
    assert!(!opens(&mut card, OTHER_PIN));
}

#[test]
fn a_chip_that_goes_away_costs_no_try_and_comes_back() {
    let mut bench = bench();
    let mut card = bench.own_card();
    bench.chip.kill();
    let gone = card.verify(&pin(PIN)).err();
    assert_eq!(gone, Some(ReferenceError::Keeper(KeeperError::Unreachable)));
    assert!(matches!(
        bench.try_reopen().err(),
        Some(OpenError::Chip(TpmError::Absent(_)))
    ));
    bench.chip.power_on();
    assert!(card.verify(&pin(PIN)).is_ok());
    assert_eq!(bench.reopen().pin_status().tries.left, 3);
}

#[test]
fn a_chip_killed_while_it_works_is_told_in_time_and_the_card_lives_on() {
    let mut bench = bench();
    let mut card = bench.own_card();
    card.generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    for after in [1, 5, 20] {
        let pid = bench.chip.pid();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(after));
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        });
        // Until it is dead, all goes well; then it is told.
        let error = loop {
            if let Err(error) = card.verify(&pin(PIN)) {
                break error;
            }
        };
        killer.join().unwrap();
        assert_eq!(error, ReferenceError::Keeper(KeeperError::Unreachable));
        bench.chip.restart();
        assert!(opens(&mut card, PIN));
    }
}

#[test]
fn a_chip_full_of_indices_refuses_and_nothing_stays_behind() {
    let bench = bench();
    let mut tpm = bench.device().connect().unwrap();
    let storage = tpm
        .create_primary(Hierarchy::Owner, &Template::storage())
        .unwrap();
    let mut session = tpm
        .start_session(SessionKind::Hmac, Some(&storage))
        .unwrap();
    let mut handle = 0x0150_0000;
    for size in [2000, 200, 60] {
        loop {
            // AUTHREAD and AUTHWRITE, whatever else.
            let index = NvPublic {
                handle,
                attributes: 0x0004_0004,
                policy: Vec::new(),
                size,
            };
            match tpm.define(&index, &AuthValue::empty(), &mut session) {
                Ok(()) => handle += 1,
                Err(_) => break,
            }
        }
    }
    drop(tpm);
    let full = bench.try_card(0x50).err();
    assert!(matches!(full, Some(NewTpmCardError::Full)), "{full:?}");
    assert!(
        bench.indices().is_empty(),
        "what did fit was taken out again"
    );
}

#[test]
fn other_programs_sessions_and_objects_leave_room_for_a_card() {
    let bench = bench();
    let mut card = bench.own_card();
    leave_behind(&bench.device());
    assert_eq!(bench.handles(0x8000_0000).len(), 1);
    assert_eq!(bench.handles(0x0200_0000).len(), 1);
    card.generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    assert!(opens(&mut card, PIN));
    card.change_pin(&pin(PIN), &new(OTHER_PIN)).unwrap();
    assert_eq!(bench.handles(0x8000_0000).len(), 1, "theirs is still there");
    // With every slot taken, nothing can be done; that is told, and costs no try.
    leave_behind(&bench.device());
    leave_behind(&bench.device());
    let full = card.verify(&pin(OTHER_PIN)).err();
    assert_eq!(full, Some(ReferenceError::Keeper(KeeperError::Unreachable)));
    clean_up(&bench.device());
    assert!(card.verify(&pin(OTHER_PIN)).is_ok());
    assert_eq!(card.pin_status().tries.left, 3);
}

/// What the kernel's resource manager does when a process dies: nothing of it stays loaded.
fn clean_up(device: &Device) {
    let mut tpm = device.connect().unwrap();
    for first in [0x8000_0000, 0x0200_0000] {
        for handle in tpm.handles_from(first).unwrap() {
            tpm.flush(handle).unwrap();
        }
    }
}

/// A program that leaves one object and one session in the chip, as careless ones do.
fn leave_behind(device: &Device) {
    let mut line = device.transport().unwrap();
    let empty_password = Writer::new().u32(0x4000_0009).u16(0).u8(0).u16(0);
    let create_primary = Writer::new()
        .u32(0x4000_0001)
        .u32(u32::try_from(empty_password.as_bytes().len()).unwrap())
        .bytes(empty_password.as_bytes())
        .sized(&[0; 4])
        .sized(Template::storage().as_bytes())
        .u16(0)
        .u32(0);
    let start_session = Writer::new()
        .u32(0x4000_0007)
        .u32(0x4000_0007)
        .sized(&[1; 32])
        .u16(0)
        .u8(0)
        .u16(0x0010)
        .u16(0x000B);
    for (tag, code, body) in [
        (0x8002, 0x131, create_primary),
        (0x8001, 0x176, start_session),
    ] {
        let length = u32::try_from(body.as_bytes().len() + 10).unwrap();
        let command = Writer::new()
            .u16(tag)
            .u32(length)
            .u32(code)
            .bytes(body.as_bytes());
        let answer = line
            .exchange(command.as_bytes(), Duration::from_secs(30))
            .unwrap();
        assert_eq!(answer.get(6..10), Some(&[0; 4][..]), "{code:x}");
    }
}

#[test]
fn a_card_that_was_made_with_the_first_pin_says_so_until_it_is_changed() {
    let bench = bench();
    let mut card = bench.card();
    // The process dies after the chip took the new PIN and before the file said so.
    let before = bench.storage.bytes();
    card.change_pin(&pin(FIRST_PIN), &new(PIN)).unwrap();
    drop(card);
    let mut card = bench.try_reopen_bytes(&before).unwrap();
    assert!(card.pin_status().initial);
    card.verify(&pin(PIN)).unwrap();
    assert!(
        !card.pin_status().initial,
        "the right PIN is not the first one"
    );
    assert!(!bench.reopen().pin_status().initial);
}
