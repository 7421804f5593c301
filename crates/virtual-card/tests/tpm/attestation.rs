// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the chip says about a card's keys.

use lanyard_piv::{Algorithm, Slot};
use lanyard_tpm::attestation::make_credential;
use lanyard_tpm::policy::Policy;
use lanyard_tpm::{Connect, NvPublic, Public, TpmaObject};
use lanyard_virtual_card::{Keeper, KeeperError};

use crate::support::{PIN, bench, pin};
use crate::swtpm::Swtpm;

#[test]
fn a_chip_says_that_a_key_is_in_it_and_wants_the_pin() {
    let mut bench = bench();
    bench.chip.kill();
    std::fs::remove_dir_all(bench.chip.state()).unwrap();
    bench.chip = Swtpm::start_certified(bench.folder.path());
    let mut card = bench.own_card();
    let missing = card.attest(Slot::Authentication, b"nonce");
    assert_eq!(missing, Err(KeeperError::NoKey));
    card.generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    let evidence = card
        .attest(Slot::Authentication, b"a verifier's nonce")
        .unwrap();
    let certificate = evidence.endorsement_certificate.unwrap();
    assert_eq!(certificate[..2], [0x30, 0x82]);
    let key = Public::parse(&evidence.key).unwrap();
    let fixed =
        TpmaObject::FIXED_TPM | TpmaObject::FIXED_PARENT | TpmaObject::SENSITIVE_DATA_ORIGIN;
    assert!(key.attributes().contains(fixed));
    assert!(!key.attributes().contains(TpmaObject::USER_WITH_AUTH));
    // The key's policy names the index that counts wrong PINs.
    let index = NvPublic::parse(&evidence.pin_index.unwrap()).unwrap();
    let policy = Policy::new().secret(&index.name());
    assert_eq!(key.policy(), policy.as_bytes());
    // The statement holds the key's name and the nonce, and the attestation key signed it.
    let holds = |part: &[u8]| {
        evidence
            .attest
            .windows(part.len())
            .any(|window| window == part)
    };
    assert!(holds(key.name().as_bytes()) && holds(b"a verifier's nonce"));
    let attestation = Public::parse(&evidence.attestation_key).unwrap();
    assert!(attestation.attributes().contains(TpmaObject::RESTRICTED));
    let Some(lanyard_tpm::PublicKey::Ecc { x, y, .. }) = attestation.key() else {
        panic!("no ECC key")
    };
    let mut reader = lanyard_tpm::wire::Reader::new(&evidence.signature);
    assert_eq!((reader.u16().unwrap(), reader.u16().unwrap()), (0x18, 0x0B));
    let pad = |bytes: &[u8]| [&vec![0; 32 - bytes.len()][..], bytes].concat();
    let fixed = [pad(reader.sized().unwrap()), pad(reader.sized().unwrap())].concat();
    let point = [&[4][..], &pad(&x), &pad(&y)].concat();
    aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED,
        point,
    )
    .verify(&evidence.attest, &fixed)
    .unwrap();
    assert!(card.verify(&pin(PIN)).is_ok());
}

#[test]
fn a_credential_opens_for_this_chip_and_this_attestation_key_alone() {
    let mut bench = bench();
    bench.chip.kill();
    std::fs::remove_dir_all(bench.chip.state()).unwrap();
    bench.chip = Swtpm::start_certified(bench.folder.path());
    let mut card = bench.own_card();
    card.generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    let evidence = card.attest(Slot::Authentication, b"nonce").unwrap();
    let endorsement = Public::parse(&evidence.endorsement_key).unwrap();
    let attestation = Public::parse(&evidence.attestation_key).unwrap();
    let make = |name: &lanyard_tpm::Name| {
        let mut tpm = bench.device().connect().unwrap();
        make_credential(&mut tpm, &endorsement, name, b"the verifier's secret").unwrap()
    };
    let good = make(&attestation.name());
    let opened = card.activate(&good.id_object, &good.encrypted_secret);
    assert_eq!(opened.unwrap().as_slice(), b"the verifier's secret");
    let other = make(&lanyard_tpm::Name::of_public(b"another key"));
    let refused = card.activate(&other.id_object, &other.encrypted_secret);
    assert!(refused.is_err());
    let refused = card.activate(&[0; 50], &[0; 70]);
    assert_eq!(refused, Err(KeeperError::Input));
}
