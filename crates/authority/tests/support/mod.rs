// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole authority in memory, and the people, cards and keys that its tests need.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use lanyard_authority::ceremony::{self, Ceremony, Plan};
use lanyard_authority::{
    Actor, Authority, AuthoritySettings, Card, CardGuid, CardKind, CardOrder, Grant, IssuedCard,
    MemoryRegistry, Order, Person, SerialSeed, Status,
};
use lanyard_x509::{
    Certificate, ChainCheck, ChainError, Crl, Eku, PublicKey, Serial, Signer, SoftwareKey,
    VerifiedCertificate, verify_chain,
};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// The hour at which tests begin.
pub const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

pub struct House {
    pub authority: Authority,
    pub registry: Arc<MemoryRegistry>,
    pub root: Certificate,
}

impl House {
    pub fn new() -> Self {
        Self::at(NOW)
    }

    pub fn at(now: OffsetDateTime) -> Self {
        Self::with(now, |_| {})
    }

    pub fn with(now: OffsetDateTime, change: impl FnOnce(&mut AuthoritySettings)) -> Self {
        let Ceremony {
            root,
            issuing,
            issuing_key,
            ..
        } = held(now);
        let registry = Arc::new(MemoryRegistry::new());
        let mut settings = AuthoritySettings::new(
            root.clone(),
            issuing,
            Arc::new(issuing_key),
            registry.clone(),
        );
        settings.organisation = "Contoso".to_owned();
        settings.crl_urls = vec!["http://lync.contoso.test/crl/issuing.crl".to_owned()];
        settings.issuer_urls = vec!["http://lync.contoso.test/aia/issuing.cer".to_owned()];
        change(&mut settings);
        Self {
            authority: Authority::new(settings).unwrap(),
            registry,
            root,
        }
    }

    pub fn enrol(&self, person: Person, card: Card, status: Status) -> IssuedCard {
        self.authority
            .issue_card(card_order(person, card), [seed(), seed()], status, NOW)
            .unwrap()
    }

    pub fn chat(
        &self,
        card_certificate: Serial,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> Result<Certificate, lanyard_authority::IssueError> {
        let order = Order {
            grant: Grant::ChatUser {
                account: alice().account,
                address: alice().address,
                card_certificate: Some(card_certificate),
                lifetime,
            },
            key: new_key(),
            requester: Actor::Person(alice().account),
            approver: Actor::System("policy".to_owned()),
        };
        self.authority
            .issue(order, seed(), Status::Active, now)
            .map(|issued| issued.certificate)
    }

    pub fn verify(
        &self,
        leaf: &Certificate,
        eku: Eku,
        crls: &[Crl],
        now: OffsetDateTime,
    ) -> Result<VerifiedCertificate, ChainError> {
        let check = ChainCheck {
            intermediates: std::slice::from_ref(self.authority.issuing()),
            anchors: std::slice::from_ref(&self.root),
            now,
            required_eku: eku,
            crls,
        };
        verify_chain(leaf, &check)
    }
}

pub fn held(now: OffsetDateTime) -> Ceremony {
    ceremony::hold(&Plan::for_organisation("Contoso"), [seed(), seed()], now).unwrap()
}

/// A person whose three names differ.
pub fn alice() -> Person {
    Person {
        account: "S-1-5-21-1-2-3-1000".parse().unwrap(),
        display_name: "Alice Ängström".to_owned(),
        address: "alice@contoso.test".parse().unwrap(),
        upn: "a.angstrom@corp.contoso.test".parse().unwrap(),
        email: Some("alice.angstrom@mail.contoso.test".parse().unwrap()),
    }
}

pub fn bob() -> Person {
    Person {
        account: "S-1-5-21-1-2-3-1001".parse().unwrap(),
        display_name: "Bob".to_owned(),
        address: "bob@contoso.test".parse().unwrap(),
        upn: "bob@contoso.test".parse().unwrap(),
        email: None,
    }
}

pub fn card(number: u8) -> Card {
    Card {
        guid: CardGuid([number; 16]),
        kind: CardKind::VirtualFile,
    }
}

pub fn officer() -> Actor {
    Actor::Administrator("root".to_owned())
}

pub fn card_order(person: Person, card: Card) -> CardOrder {
    CardOrder {
        requester: Actor::Person(person.account.clone()),
        approver: officer(),
        person,
        card,
        key: new_key(),
        authentication_key: Some(new_key()),
        policies: Vec::new(),
    }
}

pub fn sign_in_order(person: Person, key: PublicKey) -> Order {
    Order {
        requester: Actor::Person(person.account.clone()),
        approver: officer(),
        grant: Grant::SmartcardUser {
            person,
            card: card(1),
            policies: Vec::new(),
        },
        key,
    }
}

pub fn new_key() -> PublicKey {
    SoftwareKey::generate().unwrap().public_key().clone()
}

pub fn seed() -> SerialSeed {
    SerialSeed::draw().unwrap()
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
