// SPDX-License-Identifier: MIT OR Apache-2.0
//! Issuing: what each profile says, and that nothing a request wishes has any weight.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use lanyard_authority::audit::{Action, AuditLog, verify};
use lanyard_authority::ceremony::server_tls;
use lanyard_authority::{
    Actor, AuthorityError, AuthoritySettings, BACKDATE, CHAT_LIFETIME_DEFAULT, CHAT_LIFETIME_MAX,
    CHAT_LIFETIME_MIN, Grant, IssueError, Order, PrepareError, ProfileName, RecordError, Registry,
    RegistryError, SerialSeed, ServerName, Status,
};
use lanyard_x509::{
    AlternativeName, Csr, CsrBuilder, DistinguishedName, Eku, Extensions, KeyUsage,
    RevocationReason, Signer, SoftwareKey,
};
use support::{
    House, NOW, alice, bob, card, card_order, held, new_key, officer, openssl, seed, sign_in_order,
};
use time::Duration;

/// The request of the worst requester: an authority, an administrator's names, every usage.
fn greedy(key: &SoftwareKey) -> Csr {
    let extensions = Extensions {
        basic_constraints: Some(lanyard_x509::BasicConstraints {
            ca: true,
            path_len: None,
        }),
        key_usage: Some(KeyUsage::KEY_CERT_SIGN | KeyUsage::CRL_SIGN),
        ekus: vec![Eku::SERVER_AUTH, Eku::ENROLMENT_AGENT, Eku::OCSP_SIGNING],
        alternative_names: vec![
            AlternativeName::Upn("administrator@contoso.test".parse().unwrap()),
            AlternativeName::Dns("lync.contoso.test".to_owned()),
        ],
        sid: Some("S-1-5-21-1-2-3-500".parse().unwrap()),
        template_name: Some("SubCA".to_owned()),
        ..Extensions::default()
    };
    let subject = DistinguishedName::from_common_name("Administrator").unwrap();
    CsrBuilder::new(subject, key.public_key().clone())
        .with_extensions(extensions)
        .sign(key)
        .unwrap()
}

#[test]
fn a_request_gives_the_key_and_nothing_else() {
    let house = House::new();
    let (modest_key, greedy_key) = (
        SoftwareKey::generate().unwrap(),
        SoftwareKey::generate().unwrap(),
    );
    let name = DistinguishedName::from_common_name("x").unwrap();
    let modest = CsrBuilder::new(name, modest_key.public_key().clone())
        .sign(&modest_key)
        .unwrap();
    let greedy = greedy(&greedy_key);
    let certificates = [modest, greedy].map(|csr| {
        let order = sign_in_order(alice(), csr.public_key().clone());
        let seed = SerialSeed([7; 16]);
        let prepared = house.authority.prepare(order, seed, NOW).unwrap();
        prepared.row().to_be_signed.clone()
    });
    // The same serial number, so the two differ in the key and its identifier alone.
    let [one, mut other] = certificates;
    assert_ne!(one, other);
    for (from, to) in [
        (
            greedy_key.public_key().spki_der(),
            modest_key.public_key().spki_der(),
        ),
        (
            greedy_key.public_key().key_id().as_bytes(),
            modest_key.public_key().key_id().as_bytes(),
        ),
    ] {
        let at = other
            .windows(from.len())
            .position(|window| window == from)
            .unwrap();
        other.splice(at..at + from.len(), to.iter().copied());
    }
    assert_eq!(one, other);
}

#[test]
fn a_card_certificate_says_what_its_profile_says() {
    let house = House::new();
    let issued = house.enrol(alice(), card(1), Status::Issued);
    let fields = issued.certificate.fields();
    let extensions = &fields.extensions;
    assert_eq!(fields.subject.to_string(), "CN=Alice Ängström,O=Contoso");
    assert_eq!(fields.not_before, NOW - BACKDATE);
    assert_eq!(fields.not_after, NOW + Duration::days(365));
    assert_eq!(
        extensions.ekus,
        [Eku::SECURE_EMAIL, Eku::CLIENT_AUTH, Eku::SMARTCARD_LOGON]
    );
    assert_eq!(extensions.application_policies, extensions.ekus);
    assert_eq!(extensions.upn(), Some(&alice().upn));
    assert_eq!(extensions.email(), alice().email.as_ref());
    assert_eq!(extensions.sip_addresses(), ["alice@contoso.test"]);
    assert_eq!(extensions.sid, Some(alice().account));
    assert!(extensions.template.is_some());
    assert_eq!(
        extensions.key_usage,
        Some(KeyUsage::DIGITAL_SIGNATURE | KeyUsage::KEY_AGREEMENT)
    );
    assert_eq!(extensions.crl_urls.len() + extensions.issuer_urls.len(), 2);

    let presence = issued.authentication.unwrap();
    assert_eq!(presence.extensions().ekus, [Eku::PIV_CARD_AUTH]);
    assert!(presence.extensions().ekus_critical);
    assert_eq!(presence.not_after(), issued.certificate.not_after());
    let text = format!("{:?} {}", presence.fields(), presence.subject());
    for secret in ["Alice", "alice", "angstrom", "S-1-5-21"] {
        assert!(
            !text.contains(secret),
            "a card that anybody can read names its holder: {text}"
        );
    }
}

#[test]
fn an_rsa_card_may_be_enciphered_for() {
    let house = House::new();
    let mut modulus = vec![0xa5; 256];
    modulus[255] |= 1;
    let key = lanyard_x509::PublicKey::from_rsa(&modulus, &[1, 0, 1]).unwrap();
    let order = sign_in_order(bob(), key);
    let issued = house
        .authority
        .issue(order, seed(), Status::Active, NOW)
        .unwrap();
    assert_eq!(
        issued.certificate.extensions().key_usage,
        Some(KeyUsage::DIGITAL_SIGNATURE | KeyUsage::KEY_ENCIPHERMENT)
    );
}

#[test]
fn the_registry_knows_every_certificate_and_the_trail_tells_of_it() {
    let house = House::new();
    let issued = house.enrol(alice(), card(1), Status::Issued);
    let presence = issued.authentication.unwrap();
    let row = house
        .registry
        .find(&issued.certificate.serial())
        .unwrap()
        .unwrap();
    assert_eq!(row.profile, ProfileName::SmartcardUser);
    assert_eq!(row.status, Status::Issued);
    assert_eq!(row.account, Some(alice().account));
    assert_eq!(row.card_guid, Some(card(1).guid));
    assert_eq!(row.der.as_deref(), Some(issued.certificate.der()));
    assert_eq!(row.requester, Actor::Person(alice().account));
    assert_eq!(row.approver, officer());
    let row = house.registry.find(&presence.serial()).unwrap().unwrap();
    assert_eq!(row.profile, ProfileName::CardAuthentication);
    assert_eq!(row.bound_to, Some(issued.certificate.serial()));

    let events = house.registry.events_after(0, 10).unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].action, Action::CertificateIssued);
    assert_eq!(events[0].subject, issued.certificate.serial().to_string());
    assert!(events[0].details.contains("\"approver\":\"admin:root\""));
    assert!(verify(events).is_ok());
}

#[test]
fn nobody_approves_a_card_for_himself() {
    let house = House::new();
    let alice_acts = Actor::Person(alice().account);
    for (requester, approver) in [
        (alice_acts.clone(), alice_acts.clone()),
        (officer(), officer()),
        (officer(), alice_acts),
    ] {
        let order = Order {
            requester,
            approver,
            ..sign_in_order(alice(), new_key())
        };
        assert!(matches!(
            house.authority.prepare(order, seed(), NOW),
            Err(PrepareError::SamePerson)
        ));
    }
}

#[test]
fn a_serial_number_is_taken_before_anything_is_signed_and_only_once() {
    let house = House::new();
    let prepare = || {
        let order = sign_in_order(alice(), new_key());
        house
            .authority
            .prepare(order, SerialSeed([9; 16]), NOW)
            .unwrap()
    };
    let stored = house.authority.store(prepare()).unwrap();
    let serial = prepare().serial();
    let row = house.registry.find(&serial).unwrap().unwrap();
    assert_eq!((row.status, row.der), (Status::Prepared, None));
    assert!(matches!(
        house.authority.store(prepare()),
        Err(RegistryError::SerialTaken(taken)) if taken == serial
    ));
    // `stored` is used up by signing, and what is signed by recording: neither compiles twice.
    let signed = house.authority.sign(stored).unwrap();
    let issued = house
        .authority
        .record(vec![signed], Status::Active, NOW)
        .unwrap();
    assert_eq!(issued[0].certificate.serial(), serial);
    assert_eq!(
        house.registry.find(&serial).unwrap().unwrap().status,
        Status::Active
    );
}

#[test]
fn what_is_recorded_is_issued_or_active() {
    let house = House::new();
    for status in [Status::Prepared, Status::Revoked] {
        let order = sign_in_order(alice(), new_key());
        let error = house
            .authority
            .issue(order, seed(), status, NOW)
            .unwrap_err();
        assert!(
            matches!(error, IssueError::Record(RecordError::WrongStatus(wrong)) if wrong == status)
        );
    }
}

#[test]
fn a_chat_certificate_never_outlives_the_card_certificate() {
    let house = House::new();
    let issued = house.enrol(alice(), card(1), Status::Active);
    let card_certificate = issued.certificate.serial();
    let end = issued.certificate.not_after();

    let early = house
        .chat(card_certificate, CHAT_LIFETIME_DEFAULT, NOW)
        .unwrap();
    assert_eq!(early.not_after(), NOW + CHAT_LIFETIME_DEFAULT);
    assert_eq!(early.subject().to_string(), "CN=alice@contoso.test");
    assert_eq!(early.extensions().ekus, [Eku::CLIENT_AUTH]);
    assert_eq!(early.claims().account, None);

    let late = house.chat(
        card_certificate,
        CHAT_LIFETIME_DEFAULT,
        end - Duration::hours(1),
    );
    assert_eq!(late.unwrap().not_after(), end);
    let over = house.chat(card_certificate, CHAT_LIFETIME_DEFAULT, end);
    assert!(matches!(
        over,
        Err(IssueError::Prepare(PrepareError::CardExpired { .. }))
    ));
}

#[test]
fn policy_gives_a_chat_certificate_a_life_within_limits() {
    let house = House::new();
    let serial = house
        .enrol(alice(), card(1), Status::Active)
        .certificate
        .serial();
    for lifetime in [CHAT_LIFETIME_MIN, CHAT_LIFETIME_MAX] {
        let chat = house.chat(serial, lifetime, NOW).unwrap();
        assert_eq!(chat.not_after(), NOW + lifetime);
    }
    let second = Duration::SECOND;
    for lifetime in [
        CHAT_LIFETIME_MIN - second,
        CHAT_LIFETIME_MAX + second,
        Duration::ZERO,
    ] {
        assert!(matches!(
            house.chat(serial, lifetime, NOW),
            Err(IssueError::Prepare(PrepareError::LifetimeNotAllowed { asked })) if asked == lifetime
        ));
    }
}

#[test]
fn a_chat_certificate_needs_the_active_card_of_the_same_account() {
    let house = House::new();
    let issued = house
        .enrol(alice(), card(1), Status::Issued)
        .certificate
        .serial();
    let chat = |serial| house.chat(serial, CHAT_LIFETIME_DEFAULT, NOW).unwrap_err();
    assert!(matches!(
        chat(issued),
        IssueError::Prepare(PrepareError::CardNotActive {
            status: Status::Issued,
            ..
        })
    ));
    let bobs = house
        .enrol(bob(), card(2), Status::Active)
        .certificate
        .serial();
    assert!(matches!(
        chat(bobs),
        IssueError::Prepare(PrepareError::OtherAccount(_))
    ));
    let presence = house
        .enrol(alice(), card(3), Status::Active)
        .authentication
        .unwrap()
        .serial();
    assert!(matches!(
        chat(presence),
        IssueError::Prepare(PrepareError::NotACardCertificate(_))
    ));

    house.authority.activate(&issued, officer(), NOW).unwrap();
    assert!(house.chat(issued, CHAT_LIFETIME_DEFAULT, NOW).is_ok());
    house
        .authority
        .revoke(&issued, RevocationReason::KeyCompromise, officer(), NOW)
        .unwrap();
    assert!(matches!(
        chat(issued),
        IssueError::Prepare(PrepareError::CardNotActive {
            status: Status::Revoked,
            ..
        })
    ));
}

#[test]
fn a_card_that_is_lost_while_a_chat_certificate_is_being_made_leaves_none() {
    let house = House::new();
    let serial = house
        .enrol(alice(), card(1), Status::Active)
        .certificate
        .serial();
    let order = Order {
        grant: Grant::ChatUser {
            account: alice().account,
            address: alice().address,
            card_certificate: Some(serial),
            lifetime: CHAT_LIFETIME_DEFAULT,
        },
        key: new_key(),
        requester: Actor::Person(alice().account),
        approver: Actor::System("policy".to_owned()),
    };
    let prepared = house.authority.prepare(order, seed(), NOW).unwrap();
    let chat_serial = prepared.serial();
    let signed = house
        .authority
        .sign(house.authority.store(prepared).unwrap())
        .unwrap();
    house
        .authority
        .revoke(&serial, RevocationReason::KeyCompromise, officer(), NOW)
        .unwrap();
    assert!(matches!(
        house.authority.record(vec![signed], Status::Active, NOW),
        Err(RecordError::Registry(RegistryError::NotInForce(bound_to))) if bound_to == serial
    ));
    let row = house.registry.find(&chat_serial).unwrap().unwrap();
    assert_eq!(row.status, Status::Prepared);
}

#[test]
fn keys_that_must_not_be_certified_are_refused() {
    let house = House::new();
    let own = house.authority.issuing().public_key().unwrap();
    assert!(matches!(
        house
            .authority
            .prepare(sign_in_order(alice(), own), seed(), NOW),
        Err(PrepareError::AuthorityKey)
    ));
    let mut order = card_order(alice(), card(1));
    order.authentication_key = Some(order.key.clone());
    assert!(matches!(
        house
            .authority
            .issue_card(order, [seed(), seed()], Status::Issued, NOW),
        Err(IssueError::Prepare(PrepareError::SameKeyTwice))
    ));
}

#[test]
fn no_certificate_outlives_the_authority() {
    let house = House::new();
    let end = house.authority.issuing().not_after();
    let order = sign_in_order(alice(), new_key());
    let late = end - Duration::days(1);
    let issued = house
        .authority
        .issue(order, seed(), Status::Active, late)
        .unwrap();
    assert_eq!(issued.certificate.not_after(), end);
    assert!(matches!(
        house
            .authority
            .prepare(sign_in_order(alice(), new_key()), seed(), end),
        Err(PrepareError::AuthorityOver)
    ));
}

#[test]
fn names_that_do_not_fit_are_cut_or_left_out_and_never_forged() {
    let house = House::new();
    let mut person = alice();
    person.display_name = "Ä".repeat(100);
    person.address = "älice@contoso.test".parse().unwrap();
    let issued = house.enrol(person, card(1), Status::Active).certificate;
    assert_eq!(issued.claims().common_name, Some("Ä".repeat(64)));
    assert_eq!(issued.claims().sip_addresses, [""; 0]);

    let mut person = alice();
    person.display_name = "Alice\nCN=root".to_owned();
    assert!(matches!(
        house
            .authority
            .prepare(sign_in_order(person, new_key()), seed(), NOW),
        Err(PrepareError::Name(_))
    ));
}

#[test]
fn a_server_certificate_names_its_server() {
    let house = House::new();
    let names: Vec<ServerName> = ["lync.contoso.test", "sip.contoso.test", "127.0.0.1"]
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
    let by = Actor::System("init".to_owned());
    let (key, issued) = server_tls(&house.authority, names, by.clone(), seed(), NOW).unwrap();
    let certificate = issued.certificate;
    assert_eq!(certificate.public_key().unwrap(), *key.public_key());
    assert_eq!(
        certificate.subject().common_name().as_deref(),
        Some("lync.contoso.test")
    );
    assert_eq!(certificate.extensions().ekus, [Eku::SERVER_AUTH]);
    assert_eq!(certificate.extensions().alternative_names.len(), 3);
    assert!(
        house
            .verify(&certificate, Eku::SERVER_AUTH, &[], NOW)
            .is_ok()
    );
    assert!(server_tls(&house.authority, Vec::new(), by, seed(), NOW).is_err());
}

#[test]
fn an_authority_needs_its_own_key_certificate_and_root() {
    let registry = || std::sync::Arc::new(lanyard_authority::MemoryRegistry::new());
    let (one, other) = (held(NOW), held(NOW));
    let other_key = std::sync::Arc::new(other.issuing_key);
    let error = |settings| lanyard_authority::Authority::new(settings).unwrap_err();
    assert_eq!(
        error(AuthoritySettings::new(
            one.root.clone(),
            one.issuing.clone(),
            other_key,
            registry()
        )),
        AuthorityError::OtherKey
    );
    let key = std::sync::Arc::new(one.issuing_key);
    assert_eq!(
        error(AuthoritySettings::new(
            other.root,
            one.issuing.clone(),
            key.clone(),
            registry()
        )),
        AuthorityError::OtherRoot
    );
    let mut settings = AuthoritySettings::new(one.root, one.issuing, key, registry());
    settings.crl_urls = vec!["https://lync.contoso.test/crl".to_owned()];
    assert_eq!(error(settings), AuthorityError::BadUrl);
}

#[test]
fn openssl_and_path_validation_agree_with_what_was_issued() {
    let now = time::OffsetDateTime::now_utc();
    let house = House::at(now);
    let issue = |person| {
        let order = card_order(person, card(1));
        house
            .authority
            .issue_card(order, [seed(), seed()], Status::Active, now)
            .unwrap()
    };
    let (good, lost) = (issue(alice()), issue(bob()));
    let (good, presence, lost) = (
        good.certificate,
        good.authentication.unwrap(),
        lost.certificate,
    );
    let reason = RevocationReason::KeyCompromise;
    house
        .authority
        .revoke(&lost.serial(), reason, officer(), now)
        .unwrap();
    let crl = house.authority.make_crl(now).unwrap();

    let crls = std::slice::from_ref(&crl);
    for eku in [Eku::CLIENT_AUTH, Eku::SMARTCARD_LOGON, Eku::SECURE_EMAIL] {
        let verified = house.verify(&good, eku, crls, now).unwrap();
        assert_eq!(verified.account(), Some(&alice().account));
        let refused = house.verify(&lost, eku, crls, now);
        assert_eq!(refused, Err(lanyard_x509::ChainError::Revoked));
    }
    assert!(
        house
            .verify(&presence, Eku::PIV_CARD_AUTH, crls, now)
            .is_ok()
    );
    assert!(
        house
            .verify(&presence, Eku::CLIENT_AUTH, crls, now)
            .is_err()
    );

    let directory = tempfile::tempdir().unwrap();
    for (file, pem) in [
        ("root.pem", house.root.to_pem()),
        ("issuing.pem", house.authority.issuing().to_pem()),
        ("crl.pem", crl.to_pem()),
        ("good.pem", good.to_pem()),
        ("lost.pem", lost.to_pem()),
        ("presence.pem", presence.to_pem()),
    ] {
        std::fs::write(directory.path().join(file), pem).unwrap();
    }
    let verify = |leaf: &str, purpose: &str| {
        let mut arguments = vec![
            "verify",
            "-x509_strict",
            "-crl_check",
            "-CAfile",
            "root.pem",
        ];
        arguments.extend(["-untrusted", "issuing.pem", "-CRLfile", "crl.pem"]);
        arguments.extend(["-purpose", purpose, leaf]);
        openssl(directory.path(), &arguments)
    };
    for purpose in ["sslclient", "smimesign"] {
        let (ok, text) = verify("good.pem", purpose);
        assert!(ok, "{purpose}: {text}");
    }
    let (ok, text) = verify("lost.pem", "sslclient");
    assert!(!ok && text.contains("certificate revoked"), "{text}");
    assert!(verify("presence.pem", "any").0);
    assert!(!verify("presence.pem", "sslclient").0);
    assert!(!verify("good.pem", "sslserver").0);
}
