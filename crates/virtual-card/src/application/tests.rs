// SPDX-License-Identifier: MIT OR Apache-2.0

use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use lanyard_piv::{
    DynamicAuthentication, Guid, ManagementAlgorithm, ManagementKey, Metadata, NewPin, ObjectId,
    PublicKey, Puk, Slot, key_reference,
};
use proptest::prelude::*;

use super::*;
use crate::sealed::{MemoryStorage, SealedCard};
use crate::testing::{NEW_PIN, TRANSPORT_PIN, WRONG_PIN, blank, pin};

/// A card in a reader, and a clock.
struct Reader {
    card: SealedCard<MemoryStorage>,
    storage: MemoryStorage,
    session: Application,
    now: Instant,
}

impl Reader {
    fn new() -> Self {
        let (card, storage) = blank();
        Self {
            card,
            storage,
            session: Application::new(),
            now: Instant::now(),
        }
    }

    /// A card whose first PIN was changed.
    fn personal() -> Self {
        let mut reader = Self::new();
        let new = NewPin::check(pin(NEW_PIN), None).unwrap();
        assert_eq!(
            reader.status(&Command::change_pin(&pin(TRANSPORT_PIN), &new)),
            0x9000
        );
        reader.session.reset();
        reader
    }

    /// A personal card with a P-256 key in each main slot.
    fn with_keys() -> Self {
        let mut reader = Self::personal();
        reader.prove_management(&ManagementKey::blank_card(), ManagementAlgorithm::TripleDes);
        for slot in Slot::MAIN {
            assert_eq!(
                reader.status(&Command::generate(slot, Algorithm::EccP256)),
                0x9000
            );
        }
        reader.session.reset();
        reader
    }

    fn raw(&mut self, bytes: &[u8]) -> Response {
        let answer = self.session.apdu(&mut self.card, self.now, bytes);
        Response::parse(&answer).unwrap()
    }

    fn send(&mut self, command: &Command) -> Response {
        self.raw(&command.to_bytes().unwrap())
    }

    fn status(&mut self, command: &Command) -> u16 {
        self.send(command).status().value()
    }

    /// Sends chained and collects by GET RESPONSE, as hosts do.
    fn exchange(&mut self, command: Command) -> (Vec<u8>, u16) {
        let mut answer = Response::from(StatusWord::SUCCESS);
        for piece in command.split() {
            answer = self.send(&piece);
        }
        let mut data = answer.data().to_vec();
        while answer.status().more_available().is_some() {
            answer = self.send(&Command::new(ins::GET_RESPONSE, 0, 0).with_expected(256));
            data.extend_from_slice(answer.data());
        }
        (data, answer.status().value())
    }

    fn try_management(&mut self, key: &ManagementKey, algorithm: ManagementAlgorithm) -> u16 {
        let ask = DynamicAuthentication::request_witness();
        let answer = self.send(&Command::authenticate_management(algorithm, &ask));
        let witness = DynamicAuthentication::parse(answer.data()).unwrap();
        let witness = key
            .decrypt(algorithm, witness.witness.as_deref().unwrap())
            .unwrap();
        let challenge = vec![5; algorithm.block_bytes()];
        let prove = DynamicAuthentication::prove(witness, challenge.clone());
        let answer = self.send(&Command::authenticate_management(algorithm, &prove));
        if answer.status().is_success() {
            let proof = DynamicAuthentication::parse(answer.data()).unwrap();
            let wanted = key.encrypt(algorithm, &challenge).unwrap();
            assert_eq!(
                proof.response.as_deref(),
                Some(&wanted[..]),
                "the card proves itself"
            );
        }
        answer.status().value()
    }

    fn prove_management(&mut self, key: &ManagementKey, algorithm: ManagementAlgorithm) {
        assert_eq!(self.try_management(key, algorithm), 0x9000);
    }

    fn verify(&mut self, text: &str) -> u16 {
        self.status(&Command::verify(&pin(text)))
    }

    fn sign(&mut self, slot: Slot) -> u16 {
        let template = DynamicAuthentication::sign(vec![7; 32]);
        self.status(&Command::use_key(slot, Algorithm::EccP256, &template))
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

#[test]
fn select_answers_to_every_prefix_and_to_nothing_else() {
    let mut reader = Reader::new();
    let full = reader.send(&Command::select());
    assert_eq!(full.data().first(), Some(&0x61));
    for length in 5..=lanyard_piv::AID.len() {
        let select = Command::new(ins::SELECT, 4, 0).with_data(&lanyard_piv::AID[..length]);
        assert_eq!(reader.send(&select), full);
    }
    for name in [&lanyard_piv::AID[..4], b"other", b""] {
        let select = Command::new(ins::SELECT, 4, 0)
            .with_data(name)
            .with_expected(256);
        assert_eq!(reader.status(&select), 0x6A82);
    }
}

#[test]
fn the_answer_of_select_is_stable() {
    let mut reader = Reader::new();
    let answer = reader.send(&Command::select());
    let hex: String = answer
        .data()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    insta::assert_snapshot!(hex);
}

#[test]
fn verify_without_data_asks_and_counts_nothing() {
    let mut reader = Reader::new();
    for _ in 0..5 {
        assert_eq!(reader.status(&Command::verify_query()), 0x63C3);
    }
    assert_eq!(reader.verify(WRONG_PIN), 0x63C2);
    assert_eq!(reader.status(&Command::verify_query()), 0x63C2);
    assert_eq!(reader.verify(TRANSPORT_PIN), 0x9000);
    assert_eq!(reader.status(&Command::verify_query()), 0x9000);
    let forget = Command::new(ins::VERIFY, 0xFF, key_reference::PIN);
    assert_eq!(reader.status(&forget), 0x9000);
    assert_eq!(reader.status(&Command::verify_query()), 0x63C3);
}

#[test]
fn three_wrong_pins_block_and_the_puk_unblocks() {
    let mut reader = Reader::personal();
    let wrong = [
        reader.verify(WRONG_PIN),
        reader.verify(WRONG_PIN),
        reader.verify(WRONG_PIN),
    ];
    assert_eq!(wrong, [0x63C2, 0x63C1, 0x63C0]);
    assert_eq!(reader.verify(NEW_PIN), 0x6983);
    assert_eq!(reader.status(&Command::verify_query()), 0x6983);
    let other = NewPin::check(pin("86421357"), None).unwrap();
    let unblock = |puk: &str| Command::unblock(&Puk::parse(puk).unwrap(), &other);
    assert_eq!(reader.status(&unblock("11112222")), 0x63C2);
    assert_eq!(reader.status(&unblock("12345678")), 0x9000);
    assert_eq!(
        reader.status(&Command::verify_query()),
        0x63C3,
        "unblocking verifies nothing"
    );
    assert_eq!(reader.verify("86421357"), 0x9000);
}

#[test]
fn what_has_not_the_form_of_a_pin_costs_no_try() {
    let mut reader = Reader::new();
    for data in [
        &b"1234"[..],
        b"1234567a",
        b"123456\xff1",
        b"123456789",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let verify = Command::new(ins::VERIFY, 0, key_reference::PIN).with_data(data);
        assert_eq!(reader.status(&verify), 0x6A80);
    }
    assert_eq!(reader.status(&Command::verify_query()), 0x63C3);
}

#[test]
fn trivial_pins_and_the_old_one_are_refused_and_cost_no_try() {
    let mut reader = Reader::personal();
    let change = |old: &[u8; 8], new: &[u8; 8]| {
        Command::new(ins::CHANGE_REFERENCE_DATA, 0, key_reference::PIN)
            .with_data([&old[..], &new[..]].concat())
    };
    let old = pin(NEW_PIN);
    for new in [
        b"12345678",
        b"777777\xff\xff",
        b"123456\xff\xff",
        b"87654321",
        b"35914782",
        b"12ab56\xff\xff",
    ] {
        assert_eq!(reader.status(&change(old.padded(), new)), 0x6A80);
        let unblock = Command::new(ins::RESET_RETRY_COUNTER, 0, key_reference::PIN)
            .with_data([&b"12345678"[..], &new[..]].concat());
        assert_eq!(reader.status(&unblock), 0x6A80);
    }
    assert_eq!(reader.status(&Command::verify_query()), 0x63C3);
    assert_eq!(reader.verify(NEW_PIN), 0x9000);
}

#[test]
fn the_transport_pin_opens_no_private_key() {
    let mut reader = Reader::new();
    reader.prove_management(&ManagementKey::blank_card(), ManagementAlgorithm::Aes192);
    for slot in Slot::MAIN {
        assert_eq!(
            reader.status(&Command::generate(slot, Algorithm::EccP256)),
            0x9000
        );
    }
    reader.session.reset();
    assert_eq!(reader.verify(TRANSPORT_PIN), 0x9000);
    for slot in Slot::MAIN {
        assert_eq!(reader.sign(slot), 0x6985, "{slot}");
    }
    let new = NewPin::check(pin(NEW_PIN), None).unwrap();
    assert_eq!(
        reader.status(&Command::change_pin(&pin(TRANSPORT_PIN), &new)),
        0x9000
    );
    assert_eq!(reader.sign(Slot::Authentication), 0x9000);
}

#[test]
fn with_the_transport_pin_a_station_signs_one_enrolment_request_for_each_new_key() {
    let mut reader = Reader::new();
    reader.prove_management(&ManagementKey::blank_card(), ManagementAlgorithm::TripleDes);
    let generate = Command::generate(Slot::Authentication, Algorithm::EccP256);
    assert_eq!(reader.status(&generate), 0x9000);
    assert_eq!(
        reader.sign(Slot::Authentication),
        0x6982,
        "the PIN is still asked for"
    );
    assert_eq!(reader.verify(TRANSPORT_PIN), 0x9000);
    assert_eq!(reader.sign(Slot::Authentication), 0x9000);
    assert_eq!(
        reader.sign(Slot::Authentication),
        0x6985,
        "one request, one signature"
    );
}

#[test]
fn a_signature_of_the_card_verifies() {
    let mut reader = Reader::personal();
    reader.prove_management(&ManagementKey::blank_card(), ManagementAlgorithm::TripleDes);
    let (answer, _) = reader.exchange(Command::generate(Slot::Authentication, Algorithm::EccP256));
    let key = PublicKey::parse(Algorithm::EccP256, &answer).unwrap();
    reader.verify(NEW_PIN);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"message");
    let template = DynamicAuthentication::sign(digest.as_ref().to_vec());
    let (answer, status) = reader.exchange(Command::use_key(
        Slot::Authentication,
        Algorithm::EccP256,
        &template,
    ));
    assert_eq!(status, 0x9000);
    let signature = DynamicAuthentication::parse(&answer).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.point().unwrap())
        .verify(b"message", signature.response.as_deref().unwrap())
        .unwrap();
}

#[test]
fn each_slot_has_its_own_pin_rule() {
    let mut reader = Reader::with_keys();
    let signs: Vec<u16> = Slot::MAIN
        .into_iter()
        .map(|slot| reader.sign(slot))
        .collect();
    assert_eq!(signs, [0x6982, 0x6982, 0x6982, 0x9000], "without the PIN");
    assert_eq!(reader.verify(NEW_PIN), 0x9000);
    assert_eq!(reader.sign(Slot::Signature), 0x9000);
    assert_eq!(reader.sign(Slot::Signature), 0x6982, "9C asks each time");
    assert_eq!(reader.sign(Slot::Authentication), 0x9000, "9A asks once");
    assert_eq!(reader.sign(Slot::Authentication), 0x9000);
    assert_eq!(reader.verify(NEW_PIN), 0x9000);
    assert_eq!(reader.sign(Slot::Authentication), 0x9000);
    assert_eq!(
        reader.sign(Slot::Signature),
        0x6982,
        "another key was used since VERIFY"
    );
}

#[test]
fn key_agreement_is_for_key_management_only() {
    let mut reader = Reader::with_keys();
    reader.verify(NEW_PIN);
    let peer = reader
        .card
        .key(Slot::Authentication)
        .unwrap()
        .point()
        .unwrap()
        .to_vec();
    let mut template = DynamicAuthentication::default();
    template.response = Some(Vec::new());
    template.exponentiation = Some(peer);
    let agree = |slot| Command::use_key(slot, Algorithm::EccP256, &template);
    let (answer, status) = reader.exchange(agree(Slot::KeyManagement));
    assert_eq!(status, 0x9000);
    let answer = DynamicAuthentication::parse(&answer).unwrap();
    assert_eq!(answer.response.as_ref().map(Vec::len), Some(32));
    assert_eq!(reader.status(&agree(Slot::Authentication)), 0x6A80);
}

#[test]
fn a_verified_pin_ends_by_idleness_by_age_and_by_reset() {
    let mut reader = Reader::with_keys();
    reader.verify(NEW_PIN);
    reader.later(VERIFIED_IDLE_MAX.as_secs());
    assert_eq!(reader.sign(Slot::Authentication), 0x6982, "idle");

    reader.verify(NEW_PIN);
    for _ in 0..VERIFIED_MAX.as_secs() / 10 - 1 {
        reader.later(10);
        assert_eq!(reader.sign(Slot::Authentication), 0x9000);
    }
    reader.later(10);
    assert_eq!(reader.sign(Slot::Authentication), 0x6982, "old");

    reader.verify(NEW_PIN);
    reader.session.reset();
    assert_eq!(reader.sign(Slot::Authentication), 0x6982, "reset");
}

#[test]
fn a_pin_changed_or_blocked_in_another_session_ends_this_one() {
    let mut reader = Reader::with_keys();
    reader.verify(NEW_PIN);
    let mut other = Application::new();
    let wrong = Command::verify(&pin(WRONG_PIN)).to_bytes().unwrap();
    for _ in 0..3 {
        other.apdu(&mut reader.card, reader.now, &wrong);
    }
    assert_eq!(reader.sign(Slot::Authentication), 0x6982);
}

#[test]
fn a_wrong_pin_takes_back_what_was_verified() {
    let mut reader = Reader::with_keys();
    reader.verify(NEW_PIN);
    assert_eq!(reader.verify(WRONG_PIN), 0x63C2);
    assert_eq!(reader.sign(Slot::Authentication), 0x6982);
}

#[test]
fn writing_needs_the_management_key() {
    let mut reader = Reader::new();
    let put = Command::put_data(ObjectId::certificate(Slot::Authentication), &[0x70, 0]);
    let generate = Command::generate(Slot::Authentication, Algorithm::EccP256);
    let own = ManagementKey::new(&[9; 32]).unwrap();
    let set = Command::set_management_key(ManagementAlgorithm::Aes256, &own);
    reader.verify(TRANSPORT_PIN);
    for command in [&put, &generate, &set] {
        assert_eq!(reader.status(command), 0x6982);
    }
    reader.prove_management(&ManagementKey::blank_card(), ManagementAlgorithm::TripleDes);
    for command in [&put, &generate, &set] {
        assert_eq!(reader.status(command), 0x9000);
    }
    reader.session.reset();
    assert_eq!(reader.status(&put), 0x6982);
    let blank = ManagementKey::blank_card();
    let old = Command::authenticate_management(
        ManagementAlgorithm::TripleDes,
        &DynamicAuthentication::request_witness(),
    );
    assert_eq!(
        reader.status(&old),
        0x6A86,
        "the algorithm went with the old key"
    );
    reader.prove_management(&own, ManagementAlgorithm::Aes256);
    assert_ne!(own, blank);
}

#[test]
fn a_wrong_management_key_proves_nothing_and_loses_what_was_proved() {
    let mut reader = Reader::new();
    let blank = ManagementKey::blank_card();
    reader.prove_management(&blank, ManagementAlgorithm::TripleDes);
    let wrong = ManagementKey::new(&[7; 24]).unwrap();
    assert_eq!(
        reader.try_management(&wrong, ManagementAlgorithm::TripleDes),
        0x6982
    );
    let generate = Command::generate(Slot::Authentication, Algorithm::EccP256);
    assert_eq!(reader.status(&generate), 0x6982);
}

#[test]
fn the_management_key_is_proved_one_way_as_well() {
    let mut reader = Reader::new();
    let key = ManagementKey::blank_card();
    let algorithm = ManagementAlgorithm::TripleDes;
    let ask =
        Command::authenticate_management(algorithm, &DynamicAuthentication::request_challenge());
    let prove = |reader: &mut Reader, between: bool| {
        let answer = reader.send(&ask);
        let challenge = DynamicAuthentication::parse(answer.data()).unwrap();
        let answer = key
            .encrypt(algorithm, challenge.challenge.as_deref().unwrap())
            .unwrap();
        if between {
            reader.send(&Command::verify_query());
        }
        let answer = DynamicAuthentication::answer(answer);
        let status = reader.status(&Command::authenticate_management(algorithm, &answer));
        let again = reader.status(&Command::authenticate_management(algorithm, &answer));
        (status, again)
    };
    assert_eq!(
        prove(&mut reader, false),
        (0x9000, 0x6985),
        "an answer counts once"
    );
    assert_eq!(
        prove(&mut reader, true),
        (0x6985, 0x6985),
        "and only at once"
    );
}

#[test]
fn the_card_encrypts_nothing_for_a_stranger() {
    let mut reader = Reader::new();
    let algorithm = ManagementAlgorithm::TripleDes;
    let internal = DynamicAuthentication::sign(vec![1; 8]);
    assert_eq!(
        reader.status(&Command::authenticate_management(algorithm, &internal)),
        0x6A80
    );
    let guess = DynamicAuthentication::prove(vec![0; 8], vec![1; 8]);
    let answer = reader.send(&Command::authenticate_management(algorithm, &guess));
    assert_eq!((answer.status().value(), answer.data()), (0x6985, &[][..]));
}

#[test]
fn management_answers_come_also_when_no_length_is_asked_for() {
    let mut reader = Reader::new();
    // As yubico-piv-tool sends it: case 3, no Le.
    let answer = reader.raw(&[0, 0x87, 0x03, 0x9B, 4, 0x7C, 2, 0x80, 0]);
    assert_eq!((answer.status().value(), answer.data().len()), (0x9000, 12));
}

#[test]
fn a_large_object_goes_in_by_chaining_and_comes_out_in_pieces() {
    let mut reader = Reader::new();
    reader.prove_management(&ManagementKey::blank_card(), ManagementAlgorithm::TripleDes);
    let object = ObjectId::certificate(Slot::Authentication);
    let contents: Vec<u8> = (0..3000_u32).map(|i| i as u8).collect();
    assert_eq!(
        reader.exchange(Command::put_data(object, &contents)).1,
        0x9000
    );
    let (answer, status) = reader.exchange(Command::get_data(object));
    assert_eq!(status, 0x9000);
    assert_eq!(object.unwrap(&answer).unwrap(), contents);
    let extended = Command::get_data(object).with_expected(65_536);
    assert_eq!(
        reader.send(&extended).data(),
        answer,
        "at once when the host asks for it"
    );
    assert_eq!(reader.exchange(Command::put_data(object, &[])).1, 0x9000);
    assert_eq!(reader.status(&Command::get_data(object)), 0x6A82);
    let huge = vec![1; OBJECT_BYTES_MAX + 1];
    assert_eq!(reader.exchange(Command::put_data(object, &huge)).1, 0x6A84);
}

#[test]
fn a_blank_card_has_the_objects_that_hosts_look_for() {
    let mut reader = Reader::new();
    for object in [
        ObjectId::CHUID,
        ObjectId::CAPABILITY_CONTAINER,
        ObjectId::DISCOVERY,
        ObjectId::KEY_HISTORY,
    ] {
        assert_eq!(
            reader.exchange(Command::get_data(object)).1,
            0x9000,
            "{object}"
        );
    }
    let (chuid, _) = reader.exchange(Command::get_data(ObjectId::CHUID));
    let chuid = lanyard_piv::Chuid::parse(ObjectId::CHUID.unwrap(&chuid).unwrap()).unwrap();
    assert_eq!(chuid.guid, Guid::new([0x47; 16]));
    assert_eq!(reader.status(&Command::get_data(ObjectId::PRINTED)), 0x6982);
    reader.verify(TRANSPORT_PIN);
    assert_eq!(reader.status(&Command::get_data(ObjectId::PRINTED)), 0x6A82);
}

#[test]
fn metadata_tells_about_pin_puk_and_keys_and_claims_no_maker() {
    let mut reader = Reader::new();
    let ask = |reader: &mut Reader, reference| {
        Metadata::parse(reader.send(&Command::get_metadata(reference)).data()).unwrap()
    };
    let before = ask(&mut reader, key_reference::PIN);
    assert_eq!(before.is_default, Some(true));
    assert_eq!(
        before.tries.map(|tries| (tries.total, tries.left)),
        Some((3, 3))
    );
    assert_eq!(
        ask(&mut reader, key_reference::MANAGEMENT).algorithm,
        Some(0x03)
    );
    let mut reader = Reader::with_keys();
    assert_eq!(ask(&mut reader, key_reference::PIN).is_default, Some(false));
    assert_eq!(ask(&mut reader, key_reference::PUK).is_default, Some(true));
    assert_eq!(ask(&mut reader, 0x9A).algorithm, Some(0x11));
    assert_eq!(reader.status(&Command::get_metadata(0x82)), 0x6A88);
    for yubico in [0xFD, 0xF8, 0xF9] {
        assert_eq!(reader.status(&Command::new(yubico, 0, 0)), 0x6D00);
    }
}

#[test]
fn a_full_disk_is_told_as_a_memory_failure_and_counts_nothing() {
    let mut reader = Reader::new();
    reader.storage.fail_after(0);
    assert_eq!(reader.verify(TRANSPORT_PIN), 0x6581);
    assert_eq!(reader.verify(WRONG_PIN), 0x6581);
    assert_eq!(reader.status(&Command::verify_query()), 0x63C3);
}

#[test]
fn classes_that_the_card_does_not_speak_are_refused() {
    let mut reader = Reader::new();
    assert_eq!(reader.raw(&[0x0C, 0x20, 0, 0x80]).status().value(), 0x6882);
    for class in [0x80, 0x01, 0xFF, 0x14] {
        assert_eq!(reader.raw(&[class, 0x20, 0, 0x80]).status().value(), 0x6E00);
    }
    for short in [&[][..], &[0], &[0, 0x20, 0], &[0, 0x20, 0, 0x80, 8, 1]] {
        assert_eq!(reader.raw(short).status().value(), 0x6700);
    }
}

/// A command that is often close to a right one.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let instruction = prop_oneof![
        Just(0x20),
        Just(0x24),
        Just(0x2C),
        Just(0x87),
        Just(0xA4),
        Just(0xC0),
        Just(0xCB),
        Just(0xDB),
        Just(0x47),
        Just(0xF7),
        Just(0xFF),
        any::<u8>(),
    ];
    let p1 = prop_oneof![
        Just(0),
        Just(4),
        Just(0x11),
        Just(3),
        Just(0x3F),
        Just(0xFF),
        any::<u8>()
    ];
    let p2 = prop_oneof![
        Just(0x80),
        Just(0x81),
        Just(0x9A),
        Just(0x9B),
        Just(0x9C),
        Just(0x9E),
        Just(0xFF),
        Just(0),
        any::<u8>(),
    ];
    let data = prop_oneof![
        Just(Vec::new()),
        Just(b"999999\xff\xff".to_vec()),
        Just(b"9999999988888888".to_vec()),
        Just(b"99999999\x31\x32\x33\x34\x35\x37\xff\xff".to_vec()),
        Just(vec![0x7C, 2, 0x81, 0]),
        Just(vec![0x7C, 2, 0x80, 0]),
        Just([&[0x7C, 0x24, 0x82, 0, 0x81, 0x20][..], &[7; 32]].concat()),
        Just(vec![0x5C, 3, 0x5F, 0xC1, 2]),
        Just(vec![0xAC, 3, 0x80, 1, 0x11]),
        proptest::collection::vec(any::<u8>(), 0..60),
    ];
    let class = prop_oneof![9 => Just(0_u8), 2 => Just(0x10), 1 => any::<u8>()];
    (class, instruction, p1, p2, data, any::<bool>()).prop_map(
        |(class, instruction, p1, p2, data, expects)| {
            let mut command = Command::new(instruction, p1, p2)
                .with_class(class)
                .with_data(data);
            if expects {
                command = command.with_expected(256);
            }
            command.to_bytes().unwrap().to_vec()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a stranger sends (right PIN, PUK and management key never among it): nothing
    /// panics, no counter grows, nothing is written, and no key but 9E is ever used.
    #[test]
    fn a_stranger_gets_nothing_from_any_sequence(
        stream in proptest::collection::vec(
            prop_oneof![9 => command(), 1 => proptest::collection::vec(any::<u8>(), 0..20)], 0..60),
        resets in proptest::collection::vec(any::<bool>(), 60),
    ) {
        let mut reader = Reader::with_keys();
        // The PUK is changed, too: 12345678 may well be among the random data.
        let puk = Puk::parse("24681357").unwrap();
        reader.card.change_puk(&Puk::parse("12345678").unwrap(), &puk).unwrap();
        let own = ManagementKey::new(&[0xA7; 32]).unwrap();
        reader.card.set_management_key(ManagementAlgorithm::Aes256, &own).unwrap();
        let keys = Slot::MAIN.map(|slot| reader.card.key(slot));
        let (mut pin_tries, mut puk_tries) = (3, 3);
        for (bytes, reset) in stream.iter().zip(resets) {
            if reset && bytes.len() % 7 == 0 {
                reader.session.reset();
            }
            let answer = reader.raw(bytes);
            let pin_left = reader.card.pin_status().tries.left;
            let puk_left = reader.card.puk_status().tries.left;
            prop_assert!(pin_left <= pin_tries && puk_left <= puk_tries);
            (pin_tries, puk_tries) = (pin_left, puk_left);
            let used_key = bytes.get(1) == Some(&ins::GENERAL_AUTHENTICATE)
                && bytes.first() == Some(&0)
                && answer.status().is_success();
            if used_key {
                let reference = bytes.get(3).copied();
                prop_assert!(matches!(reference, Some(0x9E | 0x9B)), "{reference:02x?}");
            }
        }
        prop_assert_eq!(Slot::MAIN.map(|slot| reader.card.key(slot)), keys);
        let stored = SealedCard::open(&reader.storage.bytes(), MemoryStorage::default()).unwrap();
        prop_assert_eq!(stored.pin_status().tries.left, pin_tries);
        prop_assert_eq!(stored.management_key(), Ok(own));
    }

    /// The holder's own commands mixed with any others: nothing panics and the card stays usable.
    #[test]
    fn any_sequence_of_the_holder_leaves_a_usable_card(
        stream in proptest::collection::vec(command(), 0..40),
        helpful in proptest::collection::vec(0_u8..4, 40),
    ) {
        let mut reader = Reader::with_keys();
        for (bytes, helpful) in stream.iter().zip(helpful) {
            match helpful {
                0 => { reader.verify(NEW_PIN); }
                1 => { let _ = reader.sign(Slot::Authentication); }
                2 => reader.later(3),
                _ => {}
            }
            reader.raw(bytes);
        }
        let stored = reader.storage.bytes();
        let stored = SealedCard::open(&stored, MemoryStorage::default());
        prop_assert!(stored.is_ok());
    }
}
