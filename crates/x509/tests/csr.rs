// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests: honest ones of several makers, and hostile ones.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use lanyard_x509::{
    AlternativeName, BasicConstraints, CSR_BYTES_MAX, CSR_TEXT_BYTES_MAX, Csr, CsrBuilder,
    CsrError, DistinguishedName, Eku, Extensions, KeyAlgorithm, KeyError, PemError,
    SignatureAlgorithm, SignatureError, Signer, SoftwareKey,
};
use proptest::prelude::*;
use support::{openssl, testdata};

#[test]
fn requests_of_accepted_kinds_are_read() {
    for (file, key, signature) in [
        (
            "p256.der",
            KeyAlgorithm::P256,
            SignatureAlgorithm::EcdsaSha256,
        ),
        (
            "p256.pem",
            KeyAlgorithm::P256,
            SignatureAlgorithm::EcdsaSha256,
        ),
        (
            "p256-new.pem",
            KeyAlgorithm::P256,
            SignatureAlgorithm::EcdsaSha256,
        ),
        (
            "p256-sha512.der",
            KeyAlgorithm::P256,
            SignatureAlgorithm::EcdsaSha512,
        ),
        (
            "p384-sha384.der",
            KeyAlgorithm::P384,
            SignatureAlgorithm::EcdsaSha384,
        ),
        (
            "rsa2048.der",
            KeyAlgorithm::Rsa { bits: 2048 },
            SignatureAlgorithm::RsaSha256,
        ),
        (
            "rsa3072-sha512.der",
            KeyAlgorithm::Rsa { bits: 3072 },
            SignatureAlgorithm::RsaSha512,
        ),
    ] {
        let csr = Csr::parse(&testdata(&format!("csr/{file}"))).unwrap();
        assert_eq!(csr.public_key().algorithm(), key, "{file}");
        assert_eq!(csr.signature_algorithm(), signature, "{file}");
    }
}

#[test]
fn weak_obsolete_and_unknown_requests_are_refused_with_the_reason() {
    for (file, error) in [
        (
            "rsa1024.der",
            CsrError::Key(KeyError::TooWeak { bits: 1024 }),
        ),
        ("rsa2048-exponent3.der", CsrError::Key(KeyError::UnsoundRsa)),
        (
            "rsa2048-sha1.der",
            CsrError::Signature(SignatureError::ObsoleteHash),
        ),
        (
            "rsa2048-md5.der",
            CsrError::Signature(SignatureError::ObsoleteHash),
        ),
        (
            "p256-sha1.der",
            CsrError::Signature(SignatureError::ObsoleteHash),
        ),
        (
            "rsa2048-pss.der",
            CsrError::Signature(SignatureError::UnknownAlgorithm),
        ),
        ("p521.der", CsrError::Key(KeyError::UnknownCurve)),
        ("secp256k1.der", CsrError::Key(KeyError::UnknownCurve)),
        (
            "explicit-curve.der",
            CsrError::Key(KeyError::UnknownAlgorithm),
        ),
        ("ed25519.der", CsrError::Key(KeyError::UnknownAlgorithm)),
    ] {
        assert_eq!(
            Csr::parse(&testdata(&format!("csr/{file}"))).unwrap_err(),
            error,
            "{file}"
        );
    }
}

#[test]
fn what_a_greedy_request_wishes_is_only_shown() {
    let csr = Csr::parse(&testdata("csr/greedy.der")).unwrap();
    let wish = csr.wish();
    assert_eq!(wish.subject.to_string(), "O=Evil,CN=root");
    assert_eq!(wish.template_name(), Some("EnrollmentAgent"));
    let extensions = wish.extensions.as_ref().unwrap();
    assert!(extensions.is_ca());
    assert!(extensions.ekus.contains(&Eku::ENROLMENT_AGENT));
    assert_eq!(
        extensions.upn().unwrap().as_str(),
        "administrator@contoso.test"
    );
    assert!(extensions.sid.is_some());
}

#[test]
fn a_wish_that_cannot_be_read_does_not_hinder() {
    let csr = Csr::parse(&testdata("csr/malformed-wish.der")).unwrap();
    assert_eq!(csr.wish().extensions, None);
    assert_eq!(csr.wish().attributes.len(), 1);
}

#[test]
fn every_changed_bit_is_noticed() {
    let der = testdata("csr/p256.der");
    for at in 0..der.len() {
        for bit in 0..8 {
            let mut changed = der.clone();
            changed[at] ^= 1 << bit;
            // ECDSA: no second signature of the same message has these bits but the one over -s, which is many bits away.
            assert!(Csr::from_der(&changed).is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn the_signature_of_another_request_does_not_fit() {
    let key = SoftwareKey::generate().unwrap();
    let other = SoftwareKey::generate().unwrap();
    let name = DistinguishedName::from_common_name("a").unwrap();
    let to_sign = CsrBuilder::new(name, key.public_key().clone())
        .to_be_signed()
        .unwrap();
    let signature = other.sign(to_sign.bytes()).unwrap();
    assert_eq!(
        to_sign.assemble(&signature).unwrap_err(),
        CsrError::Signature(SignatureError::Invalid)
    );
}

#[test]
fn anything_after_the_request_is_refused() {
    let mut der = testdata("csr/p256.der");
    der.push(0);
    assert_eq!(Csr::from_der(&der).unwrap_err(), CsrError::Malformed);
}

#[test]
fn indefinite_lengths_are_refused() {
    let der = testdata("csr/p256.der");
    let mut ber = vec![0x30, 0x80];
    ber.extend_from_slice(&der[3..]);
    ber.extend_from_slice(&[0, 0]);
    assert_eq!(Csr::from_der(&ber).unwrap_err(), CsrError::Malformed);
}

#[test]
fn a_request_may_be_as_large_as_the_limit_and_not_one_byte_larger() {
    // Within the limit it is read, and found to be none.
    let mut der = vec![0x30; CSR_BYTES_MAX];
    assert_eq!(Csr::from_der(&der).unwrap_err(), CsrError::Malformed);
    der.push(0x30);
    assert_eq!(Csr::from_der(&der).unwrap_err(), CsrError::TooLarge);
    let mut text = vec![b'A'; CSR_TEXT_BYTES_MAX];
    assert!(matches!(
        Csr::parse(&text),
        Err(CsrError::TooLarge | CsrError::Text(_))
    ));
    text.push(b'A');
    assert_eq!(Csr::parse(&text).unwrap_err(), CsrError::TooLarge);
}

#[test]
fn deep_nesting_neither_panics_nor_overflows() {
    let mut der = Vec::new();
    for _ in 0..20_000 {
        der = [
            &[0x30, 0x82, (der.len() >> 8) as u8, der.len() as u8][..],
            &der,
        ]
        .concat();
        if der.len() > CSR_BYTES_MAX - 8 {
            break;
        }
    }
    assert!(Csr::parse(&der).is_err());
}

#[test]
fn texts_are_read_strictly() {
    let pem = String::from_utf8(testdata("csr/p256.pem")).unwrap();
    let bare: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    assert!(Csr::from_text(&bare).is_ok());
    assert_eq!(
        Csr::from_text(&bare.replacen('M', "*", 1)).unwrap_err(),
        CsrError::Text(PemError::NotBase64)
    );
    assert_eq!(
        Csr::from_text(&pem.replace("CERTIFICATE REQUEST", "CERTIFICATE")).unwrap_err(),
        CsrError::Text(PemError::NoBlock)
    );
    for nothing in ["", " ", "\u{fffd}", "-----BEGIN CERTIFICATE REQUEST-----"] {
        assert!(Csr::parse(nothing.as_bytes()).is_err(), "{nothing:?}");
    }
    assert_eq!(Csr::parse(&[0xff, 0xfe]).unwrap_err(), CsrError::Malformed);
}

#[test]
fn attributes_out_of_order_are_checked_as_they_came() {
    // Two attributes in the wrong order for a DER SET, signed so. A reader that encodes anew before it checks would
    // sort them, and call a good signature bad - or a forged one good.
    let key = SoftwareKey::generate().unwrap();
    let spki = key.public_key().spki_der();
    let attribute = |oid_end: u8, text: &[u8]| {
        let mut oid = vec![
            0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, oid_end,
        ];
        oid.extend(tlv(0x31, &tlv(0x0c, text)));
        tlv(0x30, &oid)
    };
    let attributes = [attribute(0x08, b"b"), attribute(0x07, b"a")].concat();
    let info = [
        &[0x02, 0x01, 0x00][..],
        &tlv(0x30, &[]),
        spki,
        &tlv(0xa0, &attributes),
    ]
    .concat();
    let info = tlv(0x30, &info);
    let signature = key.sign(&info).unwrap();
    let algorithm = [
        0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
    ];
    let bits = [&[0][..], &signature].concat();
    let der = tlv(0x30, &[&info[..], &algorithm, &tlv(0x03, &bits)].concat());
    let csr = Csr::from_der(&der).unwrap();
    assert_eq!(csr.public_key(), key.public_key());
    assert_eq!(csr.der(), der);
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let head = match length {
        0..=127 => vec![tag, length as u8],
        128..=255 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [&head[..], value].concat()
}

#[test]
fn openssl_accepts_what_we_request() {
    let key = SoftwareKey::generate().unwrap();
    let subject = DistinguishedName::default()
        .with_organisation("Contoso")
        .and_then(|name| name.with_common_name("Ängström, Alice"))
        .unwrap();
    let extensions = Extensions {
        basic_constraints: Some(BasicConstraints {
            ca: false,
            path_len: None,
        }),
        alternative_names: vec![AlternativeName::Dns("lync.contoso.test".to_owned())],
        template_name: Some("SmartcardUser".to_owned()),
        ..Extensions::default()
    };
    let csr = CsrBuilder::new(subject, key.public_key().clone())
        .with_extensions(extensions.clone())
        .sign(&key)
        .unwrap();
    assert_eq!(csr.wish().extensions.as_ref(), Some(&extensions));

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("r.pem"), csr.to_pem()).unwrap();
    let (ok, text) = openssl(
        directory.path(),
        &[
            "req", "-in", "r.pem", "-verify", "-noout", "-subject", "-nameopt", "utf8", "-text",
        ],
    );
    assert!(ok && text.contains("verify OK"), "{text}");
    assert!(text.contains("Ängström, Alice"), "{text}");
    assert!(text.contains("DNS:lync.contoso.test"), "{text}");
}

#[test]
fn a_request_is_completed_with_a_signature_from_elsewhere() {
    let key = SoftwareKey::generate().unwrap();
    let name = DistinguishedName::from_common_name("card").unwrap();
    let to_sign = CsrBuilder::new(name, key.public_key().clone())
        .to_be_signed()
        .unwrap();
    assert_eq!(to_sign.algorithm(), SignatureAlgorithm::EcdsaSha256);
    let signature = key.sign(to_sign.bytes()).unwrap();
    let csr = to_sign.assemble(&signature).unwrap();
    assert_eq!(
        Csr::parse(csr.to_pem().as_bytes()).unwrap().der(),
        csr.der()
    );
}

#[test]
fn the_fuzzing_corpus_gives_no_panic() {
    for bytes in support::corpus("csr") {
        let _ = Csr::parse(&bytes);
    }
}

proptest! {
    #[test]
    fn random_damage_never_panics_and_never_passes(
        at in 0usize..565,
        replacement in proptest::collection::vec(any::<u8>(), 0..12),
        removed in 0usize..12,
    ) {
        let der = testdata("csr/greedy.der");
        let end = (at + removed).min(der.len());
        let damaged = [&der[..at], &replacement, &der[end..]].concat();
        prop_assert!(Csr::parse(&damaged).is_err() || damaged == der);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Csr::parse(&bytes);
    }
}
