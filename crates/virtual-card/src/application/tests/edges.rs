// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA keys, all slots, the objects of the holder, and what wrong proofs take back.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

use super::*;

/// EMSA-PKCS1-v1_5 (RFC 8017, 9.2) of the SHA-256 digest of a message.
fn padded(message: &[u8]) -> Vec<u8> {
    const DIGEST_INFO: [u8; 19] = [
        0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message);
    let tail = [&[0][..], &DIGEST_INFO, digest.as_ref()].concat();
    [vec![0, 1], vec![0xFF; 254 - tail.len()], tail].concat()
}

#[test]
fn an_rsa_key_signs_a_padded_block_that_comes_in_pieces() {
    let mut reader = Reader::personal();
    reader.prove_management(&ManagementKey::blank_card(), ManagementAlgorithm::TripleDes);
    let slot = Slot::KeyManagement;
    let (answer, status) = reader.exchange(Command::generate(slot, Algorithm::Rsa2048));
    assert_eq!(status, 0x9000);
    let key = PublicKey::parse(Algorithm::Rsa2048, &answer).unwrap();
    assert_eq!(reader.card.key(slot), Some(key.clone()));
    assert_eq!(reader.verify(NEW_PIN), 0x9000);

    let template = DynamicAuthentication::sign(padded(b"message"));
    let sign = Command::use_key(slot, Algorithm::Rsa2048, &template);
    let (answer, status) = reader.exchange(sign);
    assert_eq!(status, 0x9000);
    let answer = DynamicAuthentication::parse(&answer).unwrap();
    let (n, e) = key.modulus_and_exponent().unwrap();
    RsaPublicKeyComponents { n, e }
        .verify(
            &RSA_PKCS1_2048_8192_SHA256,
            b"message",
            answer.response.as_deref().unwrap(),
        )
        .unwrap();

    for block in [vec![1; 255], vec![0xFF; 256], vec![1; 257]] {
        let refused = DynamicAuthentication::sign(block);
        let command = Command::use_key(slot, Algorithm::Rsa2048, &refused);
        assert_eq!(reader.exchange(command).1, 0x6A80);
    }
    let metadata = reader.exchange(Command::get_metadata(slot.key_reference()));
    assert!(metadata.0.windows(n.len()).any(|window| window == n));
}

#[test]
fn an_rsa_key_agrees_on_nothing() {
    let mut reader = Reader::personal();
    reader.prove_management(&ManagementKey::blank_card(), ManagementAlgorithm::TripleDes);
    let slot = Slot::KeyManagement;
    reader.exchange(Command::generate(slot, Algorithm::Rsa2048));
    reader.verify(NEW_PIN);
    let mut template = DynamicAuthentication::default();
    template.response = Some(Vec::new());
    template.exponentiation = Some(vec![4; 65]);
    let agree = Command::use_key(slot, Algorithm::Rsa2048, &template);
    assert_eq!(reader.status(&agree), 0x6A80);
}

#[test]
fn a_key_is_made_in_every_slot_and_used_there() {
    let mut reader = Reader::personal();
    reader.prove_management(&ManagementKey::blank_card(), ManagementAlgorithm::TripleDes);
    let slots: Vec<Slot> = (0..=u8::MAX).filter_map(Slot::from_key_reference).collect();
    assert_eq!(slots.len(), 24);
    for slot in slots {
        let generate = Command::generate(slot, Algorithm::EccP256);
        assert_eq!(reader.status(&generate), 0x9000, "{slot}");
        assert_eq!(reader.verify(NEW_PIN), 0x9000);
        assert_eq!(reader.sign(slot), 0x9000, "{slot}");
    }
}

#[test]
fn what_belongs_to_the_holder_is_read_with_the_pin_only() {
    let mut reader = Reader::personal();
    reader.prove_management(&ManagementKey::blank_card(), ManagementAlgorithm::TripleDes);
    for object in [
        ObjectId::PRINTED,
        ObjectId::FINGERPRINTS,
        ObjectId::FACIAL_IMAGE,
        ObjectId::IRIS_IMAGES,
        ObjectId::PAIRING_CODE,
    ] {
        // The largest object of PIV: a facial image (SP 800-73-4 part 1, appendix A).
        let put = Command::put_data(object, &[0x47; 12_710]);
        assert_eq!(reader.exchange(put).1, 0x9000, "{object}");
        let get = Command::get_data(object);
        assert_eq!(reader.status(&get), 0x6982, "{object}");
        reader.verify(NEW_PIN);
        let (contents, status) = reader.exchange(get);
        assert_eq!((contents.len(), status), (12_710 + 4, 0x9000), "{object}");
        reader.session.reset();
        reader.prove_management(&ManagementKey::blank_card(), ManagementAlgorithm::TripleDes);
    }
}

#[test]
fn a_wrong_puk_takes_back_the_verified_pin() {
    let mut reader = Reader::with_keys();
    reader.verify(NEW_PIN);
    let other = NewPin::check(pin("86421357"), None).unwrap();
    let unblock = Command::unblock(&Puk::parse("11112222").unwrap(), &other);
    assert_eq!(reader.status(&unblock), 0x63C2);
    assert_eq!(reader.status(&Command::verify_query()), 0x63C3);
    assert_eq!(reader.sign(Slot::Authentication), 0x6982);
}

#[test]
fn a_chain_that_another_command_breaks_does_nothing() {
    let mut reader = Reader::with_keys();
    reader.verify(NEW_PIN);
    let template = DynamicAuthentication::sign(vec![7; 32]).encode();
    let (first, second) = template.split_at(20);
    let piece = |data: &[u8]| {
        Command::new(ins::GENERAL_AUTHENTICATE, 0x11, 0x9A)
            .with_data(data)
            .with_expected(256)
    };
    let chained = |data: &[u8]| piece(data).with_class(lanyard_piv::CHAINED);
    assert_eq!(reader.status(&chained(first)), 0x9000);
    assert_eq!(reader.status(&piece(second)), 0x9000, "joined");
    assert_eq!(reader.status(&chained(first)), 0x9000);
    assert_eq!(reader.status(&Command::verify_query()), 0x9000);
    assert_eq!(
        reader.status(&piece(second)),
        0x6A80,
        "the first half is forgotten"
    );
    assert_eq!(reader.status(&piece(&template)), 0x9000);
}
