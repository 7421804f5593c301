// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many certificates a second, with whatever registry the authority has: for benches, not for products.

use std::time::{Duration, Instant};

use lanyard_x509::{
    Csr, CsrBuilder, CsrError, DistinguishedName, NameError, Signer as _, SoftwareKey,
    SoftwareKeyError,
};
use time::OffsetDateTime;

use crate::actor::Actor;
use crate::authority::Authority;
use crate::card::{Card, CardGuid, CardKind};
use crate::issue::IssueError;
use crate::order::{Grant, Order, Person};
use crate::registry::Status;
use crate::seed::{NoRandomness, SerialSeed};

/// Issues that many card certificates, one after another, the whole way: the request is read and its signature
/// checked, the certificate prepared, looked at, stored, signed and recorded. Gives the time it took.
pub fn issue_cards(
    authority: &Authority,
    count: usize,
    now: OffsetDateTime,
) -> Result<Duration, BenchError> {
    let person = Person {
        account: "S-1-5-21-1-2-3-1000"
            .parse()
            .map_err(|_| BenchError::Person)?,
        display_name: "Bench Person".to_owned(),
        address: "person@bench.test"
            .parse()
            .map_err(|_| BenchError::Person)?,
        upn: "person@bench.test"
            .parse()
            .map_err(|_| BenchError::Person)?,
        email: "person@bench.test".parse().ok(),
    };
    let key = SoftwareKey::generate()?;
    let name = DistinguishedName::from_common_name("card")?;
    let request = CsrBuilder::new(name, key.public_key().clone()).sign(&key)?;
    let begin = Instant::now();
    for _ in 0..count {
        let csr = Csr::parse(request.der())?;
        let card = Card {
            guid: CardGuid([0xbe; 16]),
            kind: CardKind::VirtualFile,
        };
        let order = Order {
            requester: Actor::Person(person.account.clone()),
            approver: Actor::System("bench".to_owned()),
            grant: Grant::SmartcardUser {
                person: person.clone(),
                card,
                policies: Vec::new(),
            },
            key: csr.public_key().clone(),
        };
        authority.issue(order, SerialSeed::draw()?, Status::Active, now)?;
    }
    Ok(begin.elapsed())
}

/// Why a bench came to no end.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The person of the bench is not one.
    #[error("the person of the bench cannot stand in a certificate")]
    Person,
    /// No key.
    #[error("a key could not be made")]
    Key(#[from] SoftwareKeyError),
    /// No name.
    #[error("a name could not be made")]
    Name(#[from] NameError),
    /// No request.
    #[error("a request could not be made or read")]
    Request(#[from] CsrError),
    /// No random bytes.
    #[error(transparent)]
    Seed(#[from] NoRandomness),
    /// No certificate.
    #[error(transparent)]
    Issue(#[from] IssueError),
}
