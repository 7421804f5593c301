// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server is killed in the middle of its work: whatever it had acknowledged is there when it
//! comes back, nothing is there by half, and the audit trail is whole.

use crate::cards::must_come_in;
use crate::roster::{change, contact, cseq, group, list};
use anyhow::{Context, Result, bail};
use lanyard_load::card::{Applicant, Person};
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_load::net::Net;
use lanyard_load::session::Session;
use lanyard_load::web::Web;
use lanyard_sip::Headers;
use lanyard_tests::server::DOMAIN;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// How often the server is killed.
const ROUNDS: usize = 3;
/// Clients that enrol at the same time.
const CLIENTS: usize = 4;
/// People who enrol in one round, unless the server is killed first.
const PEOPLE: usize = 48;

/// What the server has acknowledged.
type Ledger<T> = Arc<Mutex<Vec<T>>>;

fn enter<T>(ledger: &Ledger<T>, fact: T) {
    ledger
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(fact);
}

fn entries<T>(ledger: &Ledger<T>) -> usize {
    ledger.lock().unwrap_or_else(PoisonError::into_inner).len()
}

fn taken<T>(ledger: &Ledger<T>) -> Vec<T> {
    std::mem::take(&mut *ledger.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Kills the server as soon as so much was acknowledged, and starts it again.
async fn kill_after<T>(d: &mut Deployment, ledger: &Ledger<T>, count: usize) -> Result<()> {
    let enough = async {
        while entries(ledger) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), enough)
        .await
        .with_context(|| format!("only {} of {count} came", entries(ledger)))?;
    d.server.kill()?;
    d.server.start()
}

/// People with a one-time code each, who are waiting to enrol.
fn queue(d: &Deployment, round: usize) -> Result<Vec<(String, String)>> {
    let people: Vec<_> = (0..PEOPLE)
        .map(|n| format!("r{round}p{n}@{DOMAIN}"))
        .collect();
    let csv: String = people.iter().map(|p| format!("{p},Person\n")).collect();
    let file = d.folder.join("people.csv");
    std::fs::write(&file, format!("address,name\n{csv}"))?;
    d.server
        .must(&["user", "import", &file.display().to_string()])?;
    let code = |person: String| Ok((d.server.enrol_code(&person)?, person));
    people.into_iter().map(code).collect()
}

/// Enrols one after another until the server is gone.
async fn enrol(net: Net, queue: Arc<Mutex<Vec<(String, String)>>>, ledger: Ledger<Person>) {
    let Ok(mut web) = Web::connect(&net).await else {
        return;
    };
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some((code, person)) = next else { return };
        let Ok(applicant) = Applicant::new(&person) else {
            return;
        };
        let Ok(answer) = applicant.ask(web.stream(), &code).await else {
            return;
        };
        // A refusal would be missed by the count, and so fail the test.
        if let Ok(person) = applicant.enrolled(answer) {
            enter(&ledger, person);
        }
    }
}

/// The cards that the server knows, by holder and serial number, active ones only.
fn active_cards(d: &Deployment) -> Result<BTreeSet<(String, String)>> {
    let cards = d.server.json(&["card", "list"])?;
    let mut all = BTreeSet::new();
    for card in cards.as_array().context("no list of cards")? {
        let holder = card["address"].as_str().context("a card of nobody")?;
        let certificates = card["certificates"].as_array().context("certificates")?;
        let signs_in = certificates.iter().filter(|c| c["status"] == "active");
        for certificate in signs_in {
            let serial = certificate["serial"].as_str().context("serial")?;
            all.insert((holder.to_owned(), serial.to_lowercase()));
        }
    }
    Ok(all)
}

fn serial(person: &Person) -> Result<String> {
    let der = person.credential().chain.first().context("certificate")?;
    let certificate = lanyard_x509::Certificate::from_der(der)?;
    Ok(certificate.serial().to_string().to_lowercase())
}

#[test]
fn every_enrolment_that_was_answered_outlives_a_kill() {
    in_a_deployment(
        "crash::every_enrolment_that_was_answered_outlives_a_kill",
        async |d| {
            let mut enrolled: Vec<Person> = Vec::new();
            for round in 0..ROUNDS {
                let waiting = Arc::new(Mutex::new(queue(d, round)?));
                let ledger = Ledger::default();
                let mut clients = JoinSet::new();
                for _ in 0..CLIENTS {
                    let (queue, ledger) = (Arc::clone(&waiting), Arc::clone(&ledger));
                    clients.spawn(enrol(d.net.clone(), queue, ledger));
                }
                kill_after(d, &ledger, 8 + 7 * round).await?;
                clients.join_all().await;
                let acknowledged = taken(&ledger);
                if acknowledged.len() >= PEOPLE {
                    bail!("the server was killed too late to interrupt anything");
                }
                enrolled.extend(acknowledged);
                let cards = active_cards(d)?;
                for person in &enrolled {
                    let card = (person.address.as_str().to_owned(), serial(person)?);
                    if !cards.contains(&card) {
                        bail!("round {round}: {card:?} was acknowledged and is gone");
                    }
                }
                // What was under way is there as a whole or not at all, once for each client.
                if cards.len() > enrolled.len() + CLIENTS * (round + 1) {
                    bail!("{} cards of {} people", cards.len(), enrolled.len());
                }
                d.server.must(&["audit", "verify"])?;
                d.server.must(&["doctor"])?;
            }
            // The server serves: old people come in, and new ones enrol.
            for person in [enrolled.first(), enrolled.last()] {
                must_come_in(d, person.context("nobody")?).await?;
            }
            let late = d.enrolled("late@contoso.test").await?;
            d.session(&late).await?;
            Ok(())
        },
    );
}

/// Adds contacts and groups until the server is gone. The ledger gets what was answered with 200;
/// what is given back was under way at the end.
async fn add(mut session: Session, mut delta: u32, round: usize, ledger: Ledger<String>) -> String {
    for n in 0.. {
        let (name, operation) = if n % 5 == 4 {
            let name = format!("group r{round}n{n}");
            let operation = group(&name);
            (name, operation)
        } else {
            let name = format!("r{round}n{n}@contoso.test");
            let Ok(operation) = contact(&name) else { break };
            (name, operation)
        };
        let request = change(&mut session, delta, operation);
        let asked = cseq(&request);
        if session.send(request).await.is_err() {
            return name;
        }
        match session.answer(&asked).await {
            Ok(answer) if answer.status() == Some(200) => {
                delta += 1;
                enter(&ledger, name);
            }
            _ => return name,
        }
    }
    String::new()
}

#[test]
fn every_contact_change_that_was_answered_outlives_a_kill() {
    in_a_deployment(
        "crash::every_contact_change_that_was_answered_outlives_a_kill",
        async |d| {
            let mut people = Vec::new();
            for n in 0..3 {
                people.push(d.enrolled(&format!("p{n}@{DOMAIN}")).await?);
            }
            let mut known: Vec<BTreeSet<String>> = vec![BTreeSet::new(); people.len()];
            for round in 0..ROUNDS {
                let ledgers: Vec<Ledger<String>> =
                    people.iter().map(|_| Ledger::default()).collect();
                let mut clients = Vec::new();
                for (person, ledger) in people.iter().zip(&ledgers) {
                    let mut session = d.session(person).await?;
                    let delta = list(&mut session).await?.delta;
                    let work = add(session, delta, round, Arc::clone(ledger));
                    clients.push(tokio::spawn(work));
                }
                let last = ledgers.last().context("ledgers")?;
                kill_after(d, last, 20 + 15 * round).await?;
                for (n, client) in clients.into_iter().enumerate() {
                    let open = client.await?;
                    let acknowledged = taken(&ledgers[n]);
                    known[n].extend(acknowledged);
                    let there = everything(d, &people[n]).await?;
                    let lost: Vec<_> = known[n].difference(&there).collect();
                    if !lost.is_empty() {
                        bail!("round {round}: acknowledged and gone: {lost:?}");
                    }
                    let more: Vec<_> = there.difference(&known[n]).collect();
                    if more.iter().any(|name| **name != open) {
                        bail!("round {round}: nobody asked for {more:?}");
                    }
                    known[n] = there;
                }
                d.server.must(&["audit", "verify"])?;
            }
            Ok(())
        },
    );
}

/// The names of all contacts and groups of a person, as a fresh session sees them.
async fn everything(d: &mut Deployment, person: &Person) -> Result<BTreeSet<String>> {
    let mut session = d.session(person).await?;
    let list = list(&mut session).await?;
    let contacts = list.contacts.iter().map(|c| c.uri.address().to_owned());
    let groups = list.groups.iter().map(|g| g.name.clone());
    // The group that everybody has from the beginning is nobody's wish.
    let own = groups.filter(|name| name.starts_with("group "));
    Ok(contacts.chain(own).collect())
}
