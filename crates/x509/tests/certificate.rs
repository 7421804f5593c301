// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificates: ours as others read them, and others' as we read them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use lanyard_x509::{
    AlternativeName, BasicConstraints, CERTIFICATE_BYTES_MAX, Certificate, CertificateError,
    CertificateSpec, DistinguishedName, Eku, ExtensionError, Extensions, KeyError, KeyUsage, Oid,
    PemError, Serial, SerialError, Signer, SoftwareKey, TemplateInfo,
};
use proptest::prelude::*;
use support::{TestCa, now, openssl, testdata};
use time::{Duration, OffsetDateTime};

#[test]
fn openssl_reads_every_extension_that_we_write() {
    let ca = TestCa::root("Root");
    let key = SoftwareKey::generate().unwrap();
    let mut spec = ca.person_spec(key.public_key());
    let template: Oid = "1.3.6.1.4.1.311.21.8.1.2.3.4.5.6.1".parse().unwrap();
    spec.extensions.template = Some(TemplateInfo {
        oid: template,
        major: 100,
        minor: 1,
    });
    spec.extensions.application_policies = spec.extensions.ekus.clone();
    spec.extensions.policies = vec!["1.2.3.4".parse().unwrap()];
    spec.extensions.ocsp_urls = vec!["http://lync.contoso.test/ocsp".to_owned()];
    spec.extensions.alternative_names.extend([
        AlternativeName::Dns("lync.contoso.test".to_owned()),
        AlternativeName::Ip("10.0.0.1".parse().unwrap()),
        AlternativeName::Ip("::1".parse().unwrap()),
        AlternativeName::Uri("urn:uuid:0d3a6b5e-9d5d-4a59-8c9e-2f0a5c1d7e11".to_owned()),
    ]);
    let certificate = spec.sign(&ca.key).unwrap();
    assert_eq!(certificate.fields().extensions, spec.extensions);

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("c.pem"), certificate.to_pem()).unwrap();
    let (ok, text) = openssl(
        directory.path(),
        &[
            "x509", "-in", "c.pem", "-noout", "-text", "-nameopt", "utf8",
        ],
    );
    assert!(ok, "{text}");
    for line in [
        "Version: 3 (0x2)",
        "Subject: CN=Alice Ängström",
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "X509v3 Key Usage: critical\n                Digital Signature, Key Agreement",
        "E-mail Protection, TLS Web Client Authentication, Microsoft Smartcard Login",
        "othername: UPN::alice@corp.contoso.test, email:alice.angstrom@contoso.test",
        "DNS:lync.contoso.test, IP Address:10.0.0.1, IP Address:0:0:0:0:0:0:0:1",
        "S-1-5-21-1-2-3-1000",
        "URI:http://lync.contoso.test/crl/issuing.crl",
        "CA Issuers - URI:http://lync.contoso.test/aia/issuing.cer",
        "OCSP - URI:http://lync.contoso.test/ocsp",
        "Policy: 1.2.3.4",
        "Signature Algorithm: ecdsa-with-SHA256",
    ] {
        assert!(text.contains(line), "{line:?} is missing in\n{text}");
    }
}

#[test]
fn what_we_write_is_the_same_down_to_the_byte_for_the_same_facts() {
    let ca = TestCa::root("Root");
    let key = SoftwareKey::generate().unwrap();
    let mut spec = ca.person_spec(key.public_key());
    spec.not_after = time::macros::datetime!(2050-01-01 0:00 UTC);
    let one = spec.encode(ca.key.algorithm()).unwrap();
    let certificate = one.clone().sign(&ca.key).unwrap();
    assert_eq!(one.fields().unwrap(), *certificate.fields());
    assert_eq!(
        Certificate::from_pem(&certificate.to_pem()).unwrap(),
        certificate
    );
    assert_eq!(certificate.not_after(), spec.not_after);
    assert_eq!(certificate.public_key().unwrap(), *key.public_key());
    assert_eq!(certificate.verify_signature(ca.key.public_key()), Ok(()));
    assert!(certificate.verify_signature(key.public_key()).is_err());
}

#[test]
fn a_subject_alternative_name_is_critical_exactly_when_there_is_no_subject() {
    let ca = TestCa::root("Root");
    let key = SoftwareKey::generate().unwrap();
    let mut spec = ca.person_spec(key.public_key());
    spec.subject = DistinguishedName::default();
    let certificate = spec.sign(&ca.key).unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("c.pem"), certificate.to_pem()).unwrap();
    let (_, text) = openssl(
        directory.path(),
        &["x509", "-in", "c.pem", "-noout", "-text"],
    );
    assert!(
        text.contains("X509v3 Subject Alternative Name: critical"),
        "{text}"
    );
}

#[test]
fn a_wrong_key_cannot_sign_unnoticed() {
    struct Faulty(SoftwareKey);
    impl Signer for Faulty {
        fn public_key(&self) -> &lanyard_x509::PublicKey {
            self.0.public_key()
        }
        fn algorithm(&self) -> lanyard_x509::SignatureAlgorithm {
            self.0.algorithm()
        }
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, lanyard_x509::SignError> {
            let mut signature = self.0.sign(message)?;
            if let Some(last) = signature.last_mut() {
                *last ^= 1;
            }
            Ok(signature)
        }
    }
    let ca = TestCa::root("Root");
    let key = SoftwareKey::generate().unwrap();
    let spec = ca.person_spec(key.public_key());
    assert_eq!(
        spec.sign(&Faulty(ca.key)).unwrap_err(),
        CertificateError::Sign(lanyard_x509::SignError::WrongSignature)
    );
}

#[test]
fn certificates_of_others_are_read() {
    let piv = Certificate::from_der(&testdata("certificate/foreign-piv.der")).unwrap();
    let claims = piv.claims();
    assert_eq!(claims.common_name.as_deref(), Some("DOE.JOHN.1234567890"));
    assert_eq!(claims.upn.unwrap().as_str(), "1234567890@mil");
    assert_eq!(claims.email, None);
    assert_eq!(piv.extensions().crl_urls.len(), 2);
    assert_eq!(
        piv.extensions().issuer_urls,
        ["http://aia.example.test/ca.p7c"]
    );
    let names = &piv.extensions().alternative_names;
    assert_eq!(
        names
            .iter()
            .filter(|name| **name == AlternativeName::Unread)
            .count(),
        2
    );

    let bmp = Certificate::from_der(&testdata("certificate/bmp-name.der")).unwrap();
    assert_eq!(bmp.claims().common_name.as_deref(), Some("Alice"));

    let critical = Certificate::from_der(&testdata("certificate/unknown-critical.der")).unwrap();
    assert_eq!(
        critical.extensions().unknown,
        [("1.2.3.4.5".parse().unwrap(), true)]
    );

    let v1 = Certificate::from_der(&testdata("certificate/version1.der")).unwrap();
    assert!(!v1.fields().is_v3);

    let ed25519 = Certificate::from_der(&testdata("certificate/ed25519.der")).unwrap();
    assert_eq!(ed25519.public_key(), Err(KeyError::UnknownAlgorithm));
    assert_eq!(ed25519.fields().signature_algorithm, None);
    let weak = Certificate::from_der(&testdata("certificate/rsa1024-sha1.der")).unwrap();
    assert_eq!(weak.public_key(), Err(KeyError::TooWeak { bits: 1024 }));

    for file in ["serial-20-bytes", "serial-21-bytes"] {
        let der = testdata(&format!("certificate/{file}.der"));
        assert_eq!(
            Certificate::from_der(&der)
                .unwrap()
                .serial()
                .as_be_bytes()
                .len(),
            20
        );
    }
}

#[test]
fn of_two_principal_names_neither_counts() {
    let two = Certificate::from_der(&testdata("certificate/two-upns.der")).unwrap();
    assert_eq!(two.claims().upn, None);
    let odd = Certificate::from_der(&testdata("certificate/upn-without-at.der")).unwrap();
    assert_eq!(odd.claims().upn, None);
    assert_eq!(odd.claims().email.unwrap().as_str(), "a@contoso.test");
}

#[test]
fn malformed_certificates_are_refused_with_the_reason() {
    let sid: Oid = "1.3.6.1.4.1.311.25.2".parse().unwrap();
    for (file, error) in [
        (
            "negative-serial",
            CertificateError::Serial(SerialError::Negative),
        ),
        ("zero-serial", CertificateError::Serial(SerialError::Zero)),
        (
            "malformed-sid",
            CertificateError::Extension(ExtensionError::Malformed(sid)),
        ),
    ] {
        let der = testdata(&format!("certificate/{file}.der"));
        assert_eq!(Certificate::from_der(&der).unwrap_err(), error, "{file}");
    }
    assert_eq!(
        Certificate::from_der(&[]).unwrap_err(),
        CertificateError::Malformed
    );
    assert_eq!(
        Certificate::from_der(&vec![0x30; CERTIFICATE_BYTES_MAX + 1]).unwrap_err(),
        CertificateError::TooLarge
    );
    assert_eq!(
        Certificate::from_pem("hello").unwrap_err(),
        CertificateError::Pem(PemError::NoBlock)
    );
    let mut der = testdata("certificate/bmp-name.der");
    der.push(0);
    assert_eq!(
        Certificate::from_der(&der).unwrap_err(),
        CertificateError::Malformed
    );
}

#[test]
fn several_certificates_come_out_of_one_text_in_order() {
    let (one, two) = (TestCa::root("One"), TestCa::root("Two"));
    let text = one.certificate.to_pem() + "# comment\n" + &two.certificate.to_pem();
    let read = Certificate::all_from_pem(&text).unwrap();
    assert_eq!(read, [one.certificate, two.certificate]);
    assert_eq!(Certificate::all_from_pem("").unwrap(), []);
}

#[test]
fn rustls_takes_certificate_and_key() {
    let ca = TestCa::root("Root");
    let (key, certificate) = ca.person();
    assert_eq!(certificate.to_rustls().as_ref(), certificate.der());
    assert_eq!(key.to_rustls().secret_der(), key.to_pkcs8_der().as_slice());
}

#[test]
fn the_fuzzing_corpus_gives_no_panic() {
    for bytes in support::corpus("certificate") {
        let _ = Certificate::from_der(&bytes).map(|certificate| certificate.claims());
    }
}

fn any_names() -> impl Strategy<Value = Vec<AlternativeName>> {
    let name = prop_oneof![
        "[a-z]{1,12}@[a-z]{1,8}\\.test".prop_map(|t| AlternativeName::Upn(t.parse().unwrap())),
        "[a-zA-Z]{1,12}@[a-z]{1,8}\\.test".prop_map(|t| AlternativeName::Email(t.parse().unwrap())),
        "[a-z]{1,12}\\.test".prop_map(AlternativeName::Dns),
        any::<[u8; 4]>().prop_map(|ip| AlternativeName::Ip(ip.into())),
        any::<[u8; 16]>().prop_map(|ip| AlternativeName::Ip(ip.into())),
        "urn:[a-z]{1,20}".prop_map(AlternativeName::Uri),
    ];
    proptest::collection::vec(name, 0..6)
}

fn any_extensions() -> impl Strategy<Value = Extensions> {
    let eku = prop::sample::select(vec![Eku::CLIENT_AUTH, Eku::SERVER_AUTH, Eku::SECURE_EMAIL]);
    let urls = || proptest::collection::vec("http://[a-z]{1,10}/[a-z]{0,10}", 0..3);
    (
        proptest::option::of((any::<bool>(), proptest::option::of(0u8..=255))),
        proptest::collection::vec(eku, 0..3),
        any_names(),
        proptest::option::of("S-1-5-21-[1-9][0-9]{0,8}-[1-9][0-9]{0,8}"),
        proptest::option::of("[A-Za-z ]{1,20}"),
        proptest::option::of((0u32..200, 0u32..200)),
        (urls(), urls(), urls()),
    )
        .prop_map(
            |(ca, ekus, names, sid, template_name, version, (crl, issuer, ocsp))| Extensions {
                basic_constraints: ca.map(|(ca, path_len)| BasicConstraints { ca, path_len }),
                key_usage: Some(KeyUsage::DIGITAL_SIGNATURE),
                application_policies: ekus.clone(),
                ekus,
                alternative_names: names,
                sid: sid.map(|text| text.parse().unwrap()),
                template_name,
                template: version.map(|(major, minor)| TemplateInfo {
                    oid: "1.2.3.4".parse().unwrap(),
                    major,
                    minor,
                }),
                crl_urls: crl,
                issuer_urls: issuer,
                ocsp_urls: ocsp,
                ..Extensions::default()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_what_is_read(
        extensions in any_extensions(),
        serial in any::<[u8; 16]>(),
        common_name in "[\\PC&&[^\u{0}]]{1,40}",
        begin in 0i64..4_000_000_000,
        life in 1i64..1_000_000_000,
    ) {
        let key = SoftwareKey::generate().unwrap();
        let subject = DistinguishedName::from_common_name(&common_name);
        prop_assume!(subject.is_ok());
        let spec = CertificateSpec {
            serial: Serial::from_random(serial),
            issuer: DistinguishedName::from_common_name("Root").unwrap(),
            subject: subject.unwrap(),
            not_before: OffsetDateTime::from_unix_timestamp(begin).unwrap(),
            not_after: OffsetDateTime::from_unix_timestamp(begin + life).unwrap(),
            public_key: key.public_key().clone(),
            extensions,
        };
        let certificate = spec.sign(&key).unwrap();
        let fields = certificate.fields();
        prop_assert_eq!(&fields.extensions, &spec.extensions);
        prop_assert_eq!(&fields.subject, &spec.subject);
        prop_assert_eq!(fields.subject.common_name().unwrap(), common_name);
        prop_assert_eq!(fields.serial, spec.serial);
        prop_assert_eq!((fields.not_before, fields.not_after), (spec.not_before, spec.not_after));
    }

    #[test]
    fn random_damage_never_panics(
        at in 0usize..900,
        replacement in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        let der = testdata("certificate/foreign-piv.der");
        let at = at.min(der.len());
        let damaged = [&der[..at], &replacement, der.get(at + 3..).unwrap_or_default()].concat();
        if let Ok(certificate) = Certificate::from_der(&damaged) {
            let _ = (certificate.claims(), certificate.public_key(), certificate.to_pem());
        }
    }
}

#[test]
fn a_certificate_without_extensions_is_written_too() {
    let ca = TestCa::root("Root");
    let mut spec = ca.person_spec(ca.key.public_key());
    spec.extensions = Extensions::default();
    spec.not_after = now() + Duration::days(1);
    assert_eq!(
        spec.sign(&ca.key).unwrap().fields().extensions,
        Extensions::default()
    );
}
