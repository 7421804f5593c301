// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes one certificate of each profile and a revocation list into a directory, for linters and other readers:
//! `cargo run -p lanyard-authority --example specimens -- DIRECTORY`, then for example
//! `lint_pkix_cert lint DIRECTORY/chat-user.pem` of the Python package pkilint. That one (0.13.3) takes addresses without
//! `//` for malformed; `sip:` is what RFC 5922 and `urn:uuid:` what FIPS 201 put there.

use std::path::PathBuf;
use std::sync::Arc;

use lanyard_authority::ceremony::{self, Plan, server_tls};
use lanyard_authority::{
    Actor, Authority, AuthoritySettings, CHAT_LIFETIME_DEFAULT, Card, CardGuid, CardKind,
    CardOrder, Grant, MemoryRegistry, Order, Person, SerialSeed, Status,
};
use lanyard_x509::{PublicKey, RevocationReason, Signer as _, SoftwareKey};
use time::OffsetDateTime;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("which directory?")?);
    std::fs::create_dir_all(&directory)?;
    let write = |name: &str, pem: String| std::fs::write(directory.join(name), pem);
    let now = OffsetDateTime::now_utc();

    let plan = Plan::for_organisation("contoso.test");
    let held = ceremony::hold(&plan, [SerialSeed::draw()?, SerialSeed::draw()?], now)?;
    write("root-ca.pem", held.root.to_pem())?;
    write("issuing-ca.pem", held.issuing.to_pem())?;
    let registry = Arc::new(MemoryRegistry::new());
    let signer = Arc::new(held.issuing_key);
    let mut settings = AuthoritySettings::new(held.root, held.issuing, signer, registry);
    settings.organisation = "contoso.test".to_owned();
    settings.crl_urls = vec!["http://lync.contoso.test/crl/issuing.crl".to_owned()];
    settings.issuer_urls = vec!["http://lync.contoso.test/aia/issuing.cer".to_owned()];
    let authority = Authority::new(settings)?;

    let system = Actor::System("specimens".to_owned());
    let names = vec!["lync.contoso.test".parse()?, "127.0.0.1".parse()?];
    let (_, server) = server_tls(&authority, names, system.clone(), SerialSeed::draw()?, now)?;
    write("server-tls.pem", server.certificate.to_pem())?;

    let person = Person {
        account: "S-1-5-21-1111111111-2222222222-3333333333-1000".parse()?,
        display_name: "Alice Ängström".to_owned(),
        address: "alice@contoso.test".parse()?,
        upn: "a.angstrom@corp.contoso.test".parse()?,
        email: Some("alice.angstrom@contoso.test".parse()?),
    };
    let (account, address) = (person.account.clone(), person.address.clone());
    let requester = Actor::Person(account.clone());
    let order = CardOrder {
        person,
        card: Card {
            guid: CardGuid([0x5a; 16]),
            kind: CardKind::VirtualFile,
        },
        key: new_key()?,
        authentication_key: Some(new_key()?),
        policies: Vec::new(),
        requester: requester.clone(),
        approver: Actor::Administrator("root".to_owned()),
    };
    let seeds = [SerialSeed::draw()?, SerialSeed::draw()?];
    let card = authority.issue_card(order, seeds, Status::Active, now)?;
    write("smartcard-user.pem", card.certificate.to_pem())?;
    if let Some(authentication) = &card.authentication {
        write("card-authentication.pem", authentication.to_pem())?;
    }

    let card_certificate = card.certificate.serial();
    let lifetime = CHAT_LIFETIME_DEFAULT;
    let grant = Grant::ChatUser {
        account,
        address,
        card_certificate: Some(card_certificate),
        lifetime,
    };
    let order = Order {
        grant,
        key: new_key()?,
        requester,
        approver: system.clone(),
    };
    let chat = authority.issue(order, SerialSeed::draw()?, Status::Active, now)?;
    write("chat-user.pem", chat.certificate.to_pem())?;

    authority.revoke(
        &card_certificate,
        RevocationReason::KeyCompromise,
        system,
        now,
    )?;
    write("issuing.crl.pem", authority.make_crl(now)?.to_pem())?;
    Ok(())
}

fn new_key() -> Result<PublicKey, Failure> {
    Ok(SoftwareKey::generate()?.public_key().clone())
}
