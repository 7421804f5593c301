// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many certificates a second: the whole way from request to record, with a registry in memory.
//!
//! `cargo run --release -p lanyard-authority --example throughput -- 5000` prints one line of JSON. What it does not
//! count is the store's two commits for each certificate, which set the pace of a real server.

use std::sync::Arc;
use std::time::Instant;

use lanyard_authority::ceremony::{self, Plan};
use lanyard_authority::{
    Actor, Authority, AuthoritySettings, Card, CardGuid, CardKind, Grant, MemoryRegistry, Order,
    Person, SerialSeed, Status,
};
use lanyard_x509::{Csr, CsrBuilder, DistinguishedName, Signer as _, SoftwareKey};
use time::OffsetDateTime;

type Failure = Box<dyn std::error::Error>;

#[allow(clippy::print_stdout, reason = "it is a program")]
fn main() -> Result<(), Failure> {
    let count: usize = std::env::args()
        .nth(1)
        .map_or(Ok(2000), |text| text.parse())?;
    let now = OffsetDateTime::now_utc();
    let authority = authority(now)?;
    let key = SoftwareKey::generate()?;
    let name = DistinguishedName::from_common_name("card")?;
    let request = CsrBuilder::new(name, key.public_key().clone()).sign(&key)?;
    let begin = Instant::now();
    for _ in 0..count {
        let csr = Csr::parse(request.der())?;
        authority.issue(order(&csr)?, SerialSeed::draw()?, Status::Active, now)?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let rate = count as f64 / seconds;
    println!("{{\"certificates\":{count},\"seconds\":{seconds:.3},\"per_second\":{rate:.0}}}");
    Ok(())
}

fn authority(now: OffsetDateTime) -> Result<Authority, Failure> {
    let plan = Plan::for_organisation("Contoso");
    let held = ceremony::hold(&plan, [SerialSeed::draw()?, SerialSeed::draw()?], now)?;
    let registry = Arc::new(MemoryRegistry::new());
    let signer = Arc::new(held.issuing_key);
    let mut settings = AuthoritySettings::new(held.root, held.issuing, signer, registry);
    settings.crl_urls = vec!["http://lync.contoso.test/crl/issuing.crl".to_owned()];
    settings.issuer_urls = vec!["http://lync.contoso.test/aia/issuing.cer".to_owned()];
    Ok(Authority::new(settings)?)
}

fn order(csr: &Csr) -> Result<Order, Failure> {
    let person = Person {
        account: "S-1-5-21-1-2-3-1000".parse()?,
        display_name: "Alice Example".to_owned(),
        address: "alice@contoso.test".parse()?,
        upn: "alice@contoso.test".parse()?,
        email: Some("alice@contoso.test".parse()?),
    };
    let card = Card {
        guid: CardGuid([1; 16]),
        kind: CardKind::VirtualFile,
    };
    Ok(Order {
        requester: Actor::Person(person.account.clone()),
        approver: Actor::Administrator("root".to_owned()),
        grant: Grant::SmartcardUser { person, card },
        key: csr.public_key().clone(),
    })
}
