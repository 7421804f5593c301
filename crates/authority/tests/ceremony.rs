// SPDX-License-Identifier: MIT OR Apache-2.0
//! The key ceremony, and how certificates look when they are written out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use lanyard_authority::audit::{Action, AuditLog};
use lanyard_authority::{
    Actor, ISSUING_CA_LIFETIME, MemoryRegistry, ProfileName, ROOT_CA_LIFETIME, Registry, Status,
};
use lanyard_x509::{KeyUsage, Signer, SoftwareKey};
use support::{NOW, held, openssl};

#[test]
fn the_ceremony_makes_a_root_and_an_issuing_authority() {
    let ceremony = held(NOW);
    let root = ceremony.root.extensions();
    assert_eq!(
        ceremony.root.subject().to_string(),
        "CN=Lanyard Root CA,O=Contoso"
    );
    assert_eq!(ceremony.root.not_after(), NOW + ROOT_CA_LIFETIME);
    assert_eq!(root.basic_constraints.unwrap().path_len, None);
    assert!(root.ekus.is_empty());

    let issuing = ceremony.issuing.extensions();
    assert_eq!(ceremony.issuing.issuer(), ceremony.root.subject());
    assert_eq!(ceremony.issuing.not_after(), NOW + ISSUING_CA_LIFETIME);
    assert_eq!(issuing.basic_constraints.unwrap().path_len, Some(0));
    assert!(
        issuing.ekus.is_empty(),
        "what an authority names binds all below it"
    );
    assert!(
        issuing
            .key_usage
            .unwrap()
            .contains(KeyUsage::KEY_CERT_SIGN | KeyUsage::CRL_SIGN)
    );
    assert_eq!(issuing.authority_key_id, root.subject_key_id);
    assert_ne!(ceremony.root.serial(), ceremony.issuing.serial());
}

#[test]
fn the_keys_survive_being_stored() {
    let ceremony = held(NOW);
    let stored = ceremony.issuing_key.to_pkcs8_pem();
    let read = SoftwareKey::from_pkcs8_pem(&stored).unwrap();
    assert_eq!(read.public_key(), &ceremony.issuing.public_key().unwrap());
}

#[test]
fn the_registry_and_the_trail_know_of_the_ceremony() {
    let ceremony = held(NOW);
    let registry = MemoryRegistry::new();
    let by = Actor::Administrator("root".to_owned());
    ceremony.register(&registry, &by, NOW).unwrap();
    let row = registry.find(&ceremony.issuing.serial()).unwrap().unwrap();
    assert_eq!(
        (row.profile, row.status),
        (ProfileName::IssuingCa, Status::Active)
    );
    let events = registry.events_after(0, 10).unwrap();
    assert!(
        events
            .iter()
            .all(|event| event.action == Action::KeyCeremony)
    );
    assert_eq!(events.len(), 2);
}

#[test]
fn openssl_accepts_both_authorities() {
    let ceremony = held(time::OffsetDateTime::now_utc());
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("root.pem"), ceremony.root.to_pem()).unwrap();
    std::fs::write(
        directory.path().join("issuing.pem"),
        ceremony.issuing.to_pem(),
    )
    .unwrap();
    let arguments = [
        "verify",
        "-x509_strict",
        "-CAfile",
        "root.pem",
        "root.pem",
        "issuing.pem",
    ];
    let (ok, text) = openssl(directory.path(), &arguments);
    assert!(ok, "{text}");
}
