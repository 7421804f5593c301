// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys of every kind, objects, the management key; nothing stays loaded.

use lanyard_piv::{Algorithm, ManagementAlgorithm, ManagementKey, ObjectId, RetiredSlot, Slot};
use lanyard_virtual_card::{Keeper, KeeperError, Opened, Protection};
use zeroize::Zeroizing;

use crate::support::{FIRST_PIN, PIN, bench, new, pin};

fn verifies(algorithm: Algorithm, point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, UnparsedPublicKey};
    let with = match algorithm {
        Algorithm::EccP256 => &ECDSA_P256_SHA256_ASN1,
        _ => &ECDSA_P384_SHA384_ASN1,
    };
    UnparsedPublicKey::new(with, point)
        .verify(message, signature)
        .is_ok()
}

fn digest(algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    use aws_lc_rs::digest::{SHA256, SHA384, digest};
    let with = match algorithm {
        Algorithm::EccP256 => &SHA256,
        _ => &SHA384,
    };
    digest(with, message).as_ref().to_vec()
}

#[test]
fn keys_of_both_curves_sign_and_agree_and_need_the_pin() {
    let bench = bench();
    let mut card = bench.own_card();
    assert_eq!(card.protection(), Protection::Tpm);
    assert_eq!(card.algorithms(), Algorithm::ALL);
    let opened = card.verify(&pin(PIN)).unwrap();
    for algorithm in [Algorithm::EccP256, Algorithm::EccP384] {
        for slot in [Slot::Authentication, Slot::KeyManagement] {
            let key = card.generate(slot, algorithm).unwrap();
            assert_eq!(card.key(slot), Some(key.clone()));
            let signature = card
                .sign(slot, Some(&opened), &digest(algorithm, b"message"))
                .unwrap();
            let point = key.point().unwrap();
            assert!(verifies(algorithm, point, b"message", &signature));
            let none = card.sign(slot, None, &digest(algorithm, b"message"));
            assert_eq!(none, Err(KeeperError::NotOpened));
        }
        let retired = RetiredSlot::new(1).map(Slot::Retired).unwrap();
        let other = card.generate(retired, algorithm).unwrap();
        let ours = card.key(Slot::KeyManagement).unwrap();
        let one = card.agree(retired, Some(&opened), ours.point().unwrap());
        let two = card.agree(Slot::KeyManagement, Some(&opened), other.point().unwrap());
        let one = one.unwrap();
        assert_eq!(one, two.unwrap());
        assert_eq!(one.len(), algorithm.input_bytes());
        let mut off = other.point().unwrap().to_vec();
        *off.last_mut().unwrap() ^= 1;
        for bad in [&off[..], &[4], &[]] {
            let refused = card.agree(Slot::KeyManagement, Some(&opened), bad);
            assert_eq!(refused, Err(KeeperError::Input));
        }
        // Digests of other lengths count as FIPS 186-5 says.
        for length in [1, 20, 64] {
            assert!(card.sign(retired, Some(&opened), &vec![7; length]).is_ok());
        }
    }
    let forged = Opened::new(Zeroizing::new(vec![1; 32]));
    let refused = card.sign(Slot::Authentication, Some(&forged), &[7; 32]);
    assert_eq!(refused, Err(KeeperError::NotOpened));
    for first in [0x8000_0000, 0x0200_0000, 0x0300_0000] {
        assert!(bench.handles(first).is_empty(), "something stayed loaded");
    }
}

#[test]
fn an_rsa_key_does_the_bare_operation() {
    let bench = bench();
    let mut card = bench.own_card();
    let opened = card.verify(&pin(PIN)).unwrap();
    let key = card
        .generate(Slot::Authentication, Algorithm::Rsa2048)
        .unwrap();
    let (modulus, exponent) = key.modulus_and_exponent().unwrap();
    assert_eq!((modulus.len(), exponent), (256, &[1, 0, 1][..]));
    // EMSA-PKCS1-v1_5 of SHA-256 of "message", padded by the host.
    let info = [
        0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    let tail = [&[0][..], &info, &digest(Algorithm::EccP256, b"message")].concat();
    let block = [&[0, 1][..], &vec![0xFF; 254 - tail.len()], &tail].concat();
    let signature = card
        .rsa(Slot::Authentication, Some(&opened), &block)
        .unwrap();
    let components = aws_lc_rs::rsa::PublicKeyComponents {
        n: modulus,
        e: exponent,
    };
    components
        .verify(
            &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
            b"message",
            &signature,
        )
        .unwrap();
    let none = card.rsa(Slot::Authentication, None, &block);
    assert_eq!(none, Err(KeeperError::NotOpened));
    for bad in [&block[1..], &[0xFF; 256][..]] {
        let refused = card.rsa(Slot::Authentication, Some(&opened), bad);
        assert_eq!(refused, Err(KeeperError::Input));
    }
    let refused = card.sign(Slot::Authentication, Some(&opened), &[7; 32]);
    assert_eq!(refused, Err(KeeperError::Unsupported));
}

#[test]
fn the_card_authentication_key_works_without_pin_and_only_in_this_chip() {
    let bench = bench();
    let mut card = bench.card();
    card.generate(Slot::CardAuthentication, Algorithm::EccP256)
        .unwrap();
    assert!(card.sign(Slot::CardAuthentication, None, &[7; 32]).is_ok());
    let elsewhere = crate::support::bench();
    let stranger = elsewhere.try_reopen_bytes(&bench.storage.bytes());
    assert!(matches!(
        stranger.err(),
        Some(lanyard_virtual_card::OpenError::Unknown)
    ));
}

#[test]
fn objects_and_the_management_key_survive_the_chips_power() {
    let mut bench = bench();
    let mut card = bench.own_card();
    let certificate = ObjectId::certificate(Slot::Authentication);
    card.put_object(certificate, Some(b"certificate")).unwrap();
    let own = ManagementKey::new(&[9; 32]).unwrap();
    assert!(card.management_is_initial());
    card.set_management_key(ManagementAlgorithm::Aes256, &own)
        .unwrap();
    card.generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    bench.chip.restart();
    // The same process goes on: what the chip had encrypted for it before is void.
    let opened = card.verify(&pin(PIN)).unwrap();
    let signed = card.sign(Slot::Authentication, Some(&opened), &[7; 32]);
    assert!(signed.is_ok());
    let mut card = bench.reopen();
    assert_eq!(
        card.object(certificate).as_deref(),
        Some(&b"certificate"[..])
    );
    assert_eq!(card.management_key(), Ok(own));
    assert!(!card.management_is_initial());
    assert!(card.verify(&pin(PIN)).is_ok());
}

#[test]
fn a_key_moves_with_its_certificate_between_slots() {
    let bench = bench();
    let mut card = bench.own_card();
    let opened = card.verify(&pin(PIN)).unwrap();
    let from = RetiredSlot::new(20).map(Slot::Retired).unwrap();
    let key = card.generate(from, Algorithm::EccP256).unwrap();
    card.put_object(ObjectId::certificate(from), Some(b"new"))
        .unwrap();
    card.adopt(from, Slot::Authentication, &opened).unwrap();
    assert_eq!(card.key(Slot::Authentication), Some(key));
    assert_eq!(card.key(from), None);
    let moved = card.object(ObjectId::certificate(Slot::Authentication));
    assert_eq!(moved.as_deref(), Some(&b"new"[..]));
    assert!(
        card.sign(Slot::Authentication, Some(&opened), &[7; 32])
            .is_ok()
    );
}

#[test]
fn the_file_holds_no_secret_in_the_clear() {
    let bench = bench();
    let mut card = bench.card();
    card.change_pin(&pin(FIRST_PIN), &new(PIN)).unwrap();
    let text = String::from_utf8(bench.storage.bytes()).unwrap();
    // The published management key in base64 would begin so.
    for secret in [FIRST_PIN, PIN, "AQIDBAUGBwgBAgME"] {
        assert!(!text.contains(secret));
    }
    assert!(text.contains("in the TPM"));
}
