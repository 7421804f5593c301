// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests of this crate share: authorities made by hand, and the `openssl` command line as a second opinion.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::path::Path;
use std::process::Command;

use lanyard_x509::{
    AlternativeName, BasicConstraints, Certificate, CertificateSpec, DistinguishedName, Eku,
    Extensions, KeyUsage, PublicKey, Serial, Signer, SoftwareKey,
};
use time::{Duration, OffsetDateTime};

/// Now, without fractions of a second, which certificates cannot carry.
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc().replace_nanosecond(0).unwrap()
}

/// An authority with its key.
pub struct TestCa {
    pub key: SoftwareKey,
    pub certificate: Certificate,
}

impl TestCa {
    pub fn root(name: &str) -> Self {
        let key = SoftwareKey::generate().unwrap();
        let certificate = ca_spec(name, name, key.public_key(), key.public_key(), None)
            .sign(&key)
            .unwrap();
        Self { key, certificate }
    }

    pub fn below(&self, name: &str, path_len: Option<u8>) -> Self {
        let key = SoftwareKey::generate().unwrap();
        let issuer = self.certificate.subject().common_name().unwrap();
        let spec = ca_spec(
            name,
            &issuer,
            key.public_key(),
            self.key.public_key(),
            path_len,
        );
        let certificate = spec.sign(&self.key).unwrap();
        Self { key, certificate }
    }

    /// A person's certificate, which each test bends as it needs.
    pub fn person_spec(&self, key: &PublicKey) -> CertificateSpec {
        CertificateSpec {
            serial: Serial::from_random(random()),
            issuer: self.certificate.subject().clone(),
            subject: DistinguishedName::from_common_name("Alice Ängström").unwrap(),
            not_before: now() - Duration::minutes(5),
            not_after: now() + Duration::days(365),
            public_key: key.clone(),
            extensions: Extensions {
                basic_constraints: Some(BasicConstraints {
                    ca: false,
                    path_len: None,
                }),
                key_usage: Some(KeyUsage::DIGITAL_SIGNATURE | KeyUsage::KEY_AGREEMENT),
                ekus: vec![Eku::SECURE_EMAIL, Eku::CLIENT_AUTH, Eku::SMARTCARD_LOGON],
                alternative_names: vec![
                    AlternativeName::Upn("alice@corp.contoso.test".parse().unwrap()),
                    AlternativeName::Email("alice.angstrom@contoso.test".parse().unwrap()),
                ],
                sid: Some("S-1-5-21-1-2-3-1000".parse().unwrap()),
                subject_key_id: Some(key.key_id()),
                authority_key_id: self.certificate.extensions().subject_key_id.clone(),
                crl_urls: vec!["http://lync.contoso.test/crl/issuing.crl".to_owned()],
                issuer_urls: vec!["http://lync.contoso.test/aia/issuing.cer".to_owned()],
                ..Extensions::default()
            },
        }
    }

    pub fn person(&self) -> (SoftwareKey, Certificate) {
        let key = SoftwareKey::generate().unwrap();
        let certificate = self.person_spec(key.public_key()).sign(&self.key).unwrap();
        (key, certificate)
    }
}

fn ca_spec(
    name: &str,
    issuer: &str,
    key: &PublicKey,
    issuer_key: &PublicKey,
    path_len: Option<u8>,
) -> CertificateSpec {
    CertificateSpec {
        serial: Serial::from_random(random()),
        issuer: DistinguishedName::from_common_name(issuer).unwrap(),
        subject: DistinguishedName::from_common_name(name).unwrap(),
        not_before: now() - Duration::minutes(5),
        not_after: now() + Duration::days(3650),
        public_key: key.clone(),
        extensions: Extensions {
            basic_constraints: Some(BasicConstraints { ca: true, path_len }),
            key_usage: Some(KeyUsage::KEY_CERT_SIGN | KeyUsage::CRL_SIGN),
            subject_key_id: Some(key.key_id()),
            authority_key_id: Some(issuer_key.key_id()).filter(|id| *id != key.key_id()),
            ..Extensions::default()
        },
    }
}

pub fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

pub fn testdata(path: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(path);
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Runs `openssl` in a directory: what it wrote (both streams), and whether it was content.
pub fn openssl(directory: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("the openssl command line is installed where tests run");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// The inputs that fuzzing has collected for a target.
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let inputs: Vec<Vec<u8>> = std::fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(!inputs.is_empty(), "{} is empty", directory.display());
    inputs
}
