// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole contact lists: changed one by one, and watched at once.

use crate::measure::{Stretch, Subject};
use anyhow::{Context, Result};
use lanyard_load::session::Session;
use lanyard_presence::PersonUri;
use lanyard_presence::xml::contacts::ContactsDocument;
use lanyard_presence::xml::content_type;
use lanyard_presence::xml::service::{ContactOperation, ContactRequest};
use lanyard_sip::{Method, Name};
use serde_json::{Value, json};

/// Contacts on a list.
const CONTACTS: usize = 100;
/// People who watch a list of that length.
const READERS: usize = 50;

/// Measures changes of a list and subscriptions to it.
pub async fn measure(
    subject: Subject,
    sessions: &mut [Session],
    figures: &mut Vec<Value>,
) -> Result<()> {
    let people: Vec<PersonUri> = sessions
        .iter()
        .rev()
        .take(CONTACTS)
        .map(|session| PersonUri::parse(&session.uri))
        .collect::<Result<_, _>>()?;
    let owner = sessions.first_mut().context("no session")?;
    change(subject, owner, &people, figures).await?;
    let count = sessions.len().min(READERS);
    let readers = sessions.get_mut(..count).context("readers")?;
    watch(subject, readers, &people, figures).await
}

async fn change(
    subject: Subject,
    owner: &mut Session,
    people: &[PersonUri],
    figures: &mut Vec<Value>,
) -> Result<()> {
    let own = owner.uri.clone();
    let subscribe = owner
        .request(Method::Subscribe, &own, "contacts")
        .with(Name::Event, "vnd-microsoft-roaming-contacts")
        .with(Name::Accept, content_type::ROAMING_CONTACTS)
        .with(Name::Supported, "ms-benotify")
        .with(Name::Supported, "ms-piggyback-first-notify");
    let answer = owner.ask(subscribe).await?;
    let ContactsDocument::List(list) = ContactsDocument::parse(answer.body())? else {
        anyhow::bail!("no contact list");
    };
    let stretch = Stretch::begin(subject)?;
    for (delta, person) in (list.delta..).zip(people) {
        let operation = ContactOperation::SetContact {
            uri: person.clone(),
            name: String::new(),
            groups: vec![1],
            subscribed: true,
            external_uri: String::new(),
        };
        let body = ContactRequest { delta, operation }.to_xml();
        let service = owner
            .request(Method::Service, &own, "change")
            .with_body(content_type::SOAP, body);
        owner.ask(service).await?;
    }
    figures.push(stretch.end(
        "contact change, on the disk when answered",
        people.len(),
        "one durable write each",
    )?);
    Ok(())
}

async fn watch(
    subject: Subject,
    readers: &mut [Session],
    people: &[PersonUri],
    figures: &mut Vec<Value>,
) -> Result<()> {
    let before = subject.memory_kib()?;
    let stretch = Stretch::begin(subject)?;
    for reader in readers.iter_mut() {
        reader.watch(people, "watch-list").await?;
    }
    let name = format!("SUBSCRIBE with {} contacts, all states", people.len());
    figures.push(stretch.end(&name, readers.len(), "one answer holds all of them")?);
    let watched = readers.len() * people.len();
    let after = subject.memory_kib()?;
    let each = after.saturating_sub(before) as f64 * 1024.0 / watched.max(1) as f64;
    println!("{:<48} {each:>9.0} bytes", "memory of one watched contact");
    figures.push(json!({
        "name": "memory of one watched contact", "bytes": each.round(), "watched": watched,
    }));
    Ok(())
}
