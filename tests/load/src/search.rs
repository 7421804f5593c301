// SPDX-License-Identifier: MIT OR Apache-2.0
//! Searches in a directory of ten thousand.

use crate::measure::{Stretch, Subject};
use anyhow::{Context, Result, ensure};
use lanyard_load::card::Person;
use lanyard_load::net::Net;
use lanyard_load::web::Web;
use lanyard_soap::addressbook::{SearchRequest, SearchResponse};
use lanyard_soap::mex::AddressBookMex;
use lanyard_tests::server::{DOMAIN, Server};
use serde_json::Value;
use std::fmt::Write as _;
use uuid::Uuid;

/// People in the directory besides those of the load.
const LISTED: usize = 10_000;
/// People who search, and how often each: fewer than one person may at once.
const SEARCHERS: usize = 10;
const SEARCHES: usize = 100;
const FIRST: [&str; 10] = [
    "Zoë", "Max", "Seán", "Ada", "Jörg", "Łucja", "Björn", "Inês", "Çelik", "Olga",
];
const LAST: [&str; 10] = [
    "Müller",
    "Straße",
    "O’Brien",
    "Lovelace",
    "Ångström",
    "García",
    "Novák",
    "Dubois",
    "Ødegård",
    "Weiß",
];

/// Fills the directory and measures searches for one person, and for a name that many have.
pub async fn measure(
    server: &Server,
    net: &Net,
    subject: Subject,
    people: &[Person],
    figures: &mut Vec<Value>,
) -> Result<()> {
    let mut csv = String::from("address,name,title,phone\n");
    for n in 0..LISTED {
        let first = FIRST.get(n % FIRST.len()).context("name")?;
        let last = LAST.get(n / FIRST.len() % LAST.len()).context("name")?;
        writeln!(
            csv,
            "l{n}@{DOMAIN},{first} {last} {n},Engineer {n},+49 30 {n:05}"
        )?;
    }
    let file = server.data.with_file_name("listed.csv");
    std::fs::write(&file, csv)?;
    server.must(&["user", "import", &file.display().to_string()])?;

    let mut web = Web::connect(net).await?;
    let mex = web
        .get("/GroupExpansion/Service.svc/mex")
        .await?
        .expect(200)?;
    let endpoint = AddressBookMex::parse(&mex.body)?.endpoint;
    let mut tickets = Vec::new();
    for person in people.iter().take(SEARCHERS) {
        let path = web.federation_path(person.address.as_str()).await?;
        let page = person.show_card(net, "GET", &path).await?.expect(200)?;
        let cookie = web.cookie(&page).await?;
        tickets.push(web.ticket(&cookie, &person.address, &endpoint).await?);
    }
    let path = format!("/{}", endpoint.splitn(4, '/').nth(3).context("path")?);
    let soap = ("Content-Type", lanyard_soap::CONTENT_TYPE_SOAP);
    for (name, words, wanted) in [
        ("search for one of 10,000 people", "engineer 4207", 1),
        ("search for a name that 1,000 have, 20 of them", "zoe", 20),
    ] {
        let stretch = Stretch::begin(subject)?;
        for ticket in &tickets {
            for _ in 0..SEARCHES {
                let search = SearchRequest::anywhere(words, 20);
                let body = search.to_xml(&endpoint, Uuid::nil(), ticket);
                let answer = web.post(&path, &[soap], &body).await?.expect(200)?;
                let found = SearchResponse::parse(&answer.body)?.entries.len();
                ensure!(found == wanted, "{found} found for {words}");
            }
        }
        let comment = "over HTTPS, ticket checked against the registry each time";
        figures.push(stretch.end(name, tickets.len() * SEARCHES, comment)?);
    }
    Ok(())
}
