// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each command, and each rule, one by one.

use super::*;

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
fn a_verified_pin_is_forgotten_in_time_though_no_command_comes() {
    let mut reader = Reader::with_keys();
    assert_eq!(reader.session.expires_in(reader.now), None);
    reader.verify(NEW_PIN);
    assert_eq!(
        reader.session.expires_in(reader.now),
        Some(VERIFIED_IDLE_MAX)
    );
    reader.later(VERIFIED_IDLE_MAX.as_secs() - 1);
    reader.session.forget_expired(reader.now);
    assert_eq!(
        reader.session.expires_in(reader.now),
        Some(Duration::from_secs(1))
    );
    reader.later(1);
    reader.session.forget_expired(reader.now);
    assert_eq!(reader.session.expires_in(reader.now), None);
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
