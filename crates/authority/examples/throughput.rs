// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many certificates a second: the whole way from request to record, with a registry in memory.
//!
//! `cargo run --release -p lanyard-authority --example throughput -- 5000` prints one line of JSON. What it does not
//! count is the store's two commits for each certificate, which set the pace of a real server.

use std::sync::Arc;

use lanyard_authority::bench::issue_cards;
use lanyard_authority::ceremony::{self, Plan};
use lanyard_authority::{Authority, AuthoritySettings, MemoryRegistry, SerialSeed};
use time::OffsetDateTime;

#[allow(clippy::print_stdout, reason = "it is a program")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: usize = std::env::args()
        .nth(1)
        .map_or(Ok(2000), |text| text.parse())?;
    let now = OffsetDateTime::now_utc();
    let plan = Plan::for_organisation("Contoso");
    let held = ceremony::hold(&plan, [SerialSeed::draw()?, SerialSeed::draw()?], now)?;
    let registry = Arc::new(MemoryRegistry::new());
    let signer = Arc::new(held.issuing_key);
    let mut settings = AuthoritySettings::new(held.root, held.issuing, signer, registry);
    settings.crl_urls = vec!["http://lync.contoso.test/crl/issuing.crl".to_owned()];
    settings.issuer_urls = vec!["http://lync.contoso.test/aia/issuing.cer".to_owned()];
    let seconds = issue_cards(&Authority::new(settings)?, count, now)?.as_secs_f64();
    let rate = count as f64 / seconds;
    println!("{{\"certificates\":{count},\"seconds\":{seconds:.3},\"per_second\":{rate:.0}}}");
    Ok(())
}
