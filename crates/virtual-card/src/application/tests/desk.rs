// SPDX-License-Identifier: MIT OR Apache-2.0
//! `INS F0`: who may do what, and what breaks nothing.

use lanyard_piv::{CertificateObject, DeskKey, DeskReadiness, DeskResponse, RetiredSlot, desk_p1};

use super::*;

const KEY: [u8; 32] = [7; 32];
const OTHER_PIN: &str = "86421357";

fn spare() -> Slot {
    Slot::Retired(RetiredSlot::new(20).unwrap())
}

fn other_pin() -> NewPin {
    NewPin::check(pin(OTHER_PIN), None).unwrap()
}

impl Reader {
    fn managed(&mut self) {
        self.prove_management(&ManagementKey::blank_card(), ManagementAlgorithm::TripleDes);
    }

    fn arm(&mut self) -> u16 {
        self.status(&Command::desk_arm(&DeskKey::new(KEY)))
    }

    fn challenge(&mut self) -> DeskReadiness {
        let answer = self.send(&Command::desk_challenge());
        DeskReadiness::parse(answer.data()).unwrap()
    }

    fn response(&mut self) -> DeskResponse {
        let challenge = self.challenge().challenge;
        DeskKey::new(KEY).respond(Guid::new([0x47; 16]), &challenge)
    }

    fn unblock(&mut self, response: &DeskResponse) -> u16 {
        self.status(&Command::desk_unblock(response, &other_pin()))
    }

    fn armed() -> Self {
        let mut reader = Self::with_keys();
        reader.managed();
        assert_eq!(reader.verify(NEW_PIN), 0x9000);
        assert_eq!(reader.arm(), 0x9000);
        reader.session.reset();
        reader
    }
}

#[test]
fn arming_wants_the_management_key_and_the_pin() {
    let mut reader = Reader::personal();
    assert_eq!(reader.status(&Command::desk_challenge()), 0x6A88);
    assert_eq!(reader.arm(), 0x6982);
    assert_eq!(reader.verify(NEW_PIN), 0x9000);
    assert_eq!(reader.arm(), 0x6982, "the PIN alone");
    reader.session.reset();
    reader.managed();
    assert_eq!(reader.arm(), 0x6982, "the management key alone");
    assert_eq!(reader.verify(NEW_PIN), 0x9000);
    let short = Command::new(ins::DESK, desk_p1::ARM, key_reference::PIN).with_data([1; 31]);
    assert_eq!(reader.status(&short), 0x6A80);
    assert_eq!(reader.arm(), 0x9000);
    assert_eq!(reader.challenge().tries_left, 5);
}

#[test]
fn a_blocked_card_takes_the_desks_response_and_nothing_else() {
    let mut reader = Reader::armed();
    for _ in 0..3 {
        reader.verify(WRONG_PIN);
    }
    assert_eq!(reader.verify(NEW_PIN), 0x6983);
    let response = reader.response();
    // The PUK that the card was made with is given up.
    let puk = Command::unblock(&Puk::parse("12345678").unwrap(), &other_pin());
    assert_eq!(reader.status(&puk), 0x6983);
    let wrong = DeskKey::new([8; 32]).respond(Guid::new([0x47; 16]), &reader.challenge().challenge);
    assert_eq!(reader.unblock(&wrong), 0x63C4);
    let trivial = [response.symbols().as_slice(), b"12345678"].concat();
    let p1 = desk_p1::UNBLOCK;
    let trivial = Command::new(ins::DESK, p1, key_reference::PIN).with_data(trivial.as_slice());
    assert_eq!(
        reader.status(&trivial),
        0x6A80,
        "a refused PIN costs no try"
    );
    assert_eq!(reader.challenge().tries_left, 4);
    assert_eq!(reader.unblock(&response), 0x9000);
    assert_eq!(
        reader.sign(Slot::Authentication),
        0x6982,
        "unblocking verifies nothing"
    );
    assert_eq!(reader.verify(OTHER_PIN), 0x9000);
    assert_eq!(reader.sign(Slot::Authentication), 0x9000);
    // Good for one challenge, once: that challenge is gone.
    assert_eq!(reader.unblock(&response), 0x6982);
    let next = reader.challenge();
    assert_eq!((next.left, next.tries_left), (11, 5));
    assert_eq!(reader.unblock(&response), 0x63C4);
}

#[test]
fn malformed_commands_are_refused_and_count_nothing() {
    let mut reader = Reader::armed();
    reader.challenge();
    let desk = |p1, p2, data: &[u8]| Command::new(ins::DESK, p1, p2).with_data(data);
    for (command, status) in [
        (desk(0x04, 0x80, &[]), 0x6A86),
        (desk(0x00, 0x81, &[]), 0x6A88),
        (desk(0x00, 0x80, &[0]), 0x6A80),
        (desk(0x02, 0x80, &[b'0'; 22]), 0x6A80),
        (desk(0x02, 0x80, &[b'0'; 24]), 0x6A80),
        (desk(0x02, 0x80, &[b'u'; 23]), 0x6A80),
        (desk(0x03, 0x9A, &[0x95]), 0x6982),
    ] {
        assert_eq!(reader.status(&command), status, "{command:?}");
    }
    reader.managed();
    for (p2, data, status) in [
        (0x9A, &[0x95][..], 0x6982),
        (0x9A, &[0x9C], 0x6A86),
        (0x95, &[0x94], 0x6A86),
        (0x80, &[0x95], 0x6A86),
        (0x9A, &[], 0x6A80),
    ] {
        let command = desk(desk_p1::ADOPT, p2, data);
        assert_eq!(reader.status(&command), status, "{p2:02X} {data:02X?}");
    }
    assert_eq!(reader.challenge().tries_left, 5);
}

#[test]
fn the_disk_fails_at_any_moment_and_the_pin_is_the_old_or_the_new_one() {
    for writes in 0..4 {
        let mut reader = Reader::armed();
        let response = reader.response();
        reader.storage.fail_after(writes);
        let answer = reader.unblock(&response);
        let mut again =
            SealedCard::open(&reader.storage.bytes(), MemoryStorage::default()).unwrap();
        let old = again.verify(&pin(NEW_PIN)).is_ok();
        let new = again.verify(&pin(OTHER_PIN)).is_ok();
        assert_eq!(
            (old, new),
            (answer != 0x9000, answer == 0x9000),
            "after {writes}"
        );
    }
}

#[test]
fn a_key_is_adopted_with_its_certificate_or_not_at_all() {
    for writes in 0..3 {
        let mut reader = Reader::with_keys();
        reader.managed();
        let old = reader.card.key(Slot::Authentication).unwrap();
        assert_eq!(reader.verify(NEW_PIN), 0x9000);
        let adopt = Command::adopt(spare(), Slot::Authentication);
        assert_eq!(reader.status(&adopt), 0x6A88, "there is no key yet");
        let generate = Command::generate(spare(), Algorithm::EccP256);
        assert_eq!(reader.status(&generate), 0x9000);
        assert_eq!(reader.status(&adopt), 0x6A88, "and no certificate");
        let certificate = CertificateObject::new([0x30, 0x03, 1, 2, 3])
            .unwrap()
            .encode();
        let object = ObjectId::certificate(spare());
        let (_, status) = reader.exchange(Command::put_data(object, &certificate));
        assert_eq!(status, 0x9000);
        let new = reader.card.key(spare()).unwrap();
        reader.storage.fail_after(writes);
        let answer = reader.status(&adopt);
        let stored = SealedCard::open(&reader.storage.bytes(), MemoryStorage::default()).unwrap();
        let at = |slot| (stored.key(slot), stored.object(ObjectId::certificate(slot)));
        if answer == 0x9000 {
            let certificate = Some(certificate);
            assert_eq!(at(Slot::Authentication), (Some(new), certificate));
            assert_eq!(at(spare()), (None, None));
            assert_eq!(reader.sign(Slot::Authentication), 0x9000);
        } else {
            assert_eq!(at(Slot::Authentication).0, Some(old));
            assert_eq!(at(spare()).0, Some(new));
        }
        assert_eq!(answer == 0x9000, writes > 0, "after {writes}");
    }
}
