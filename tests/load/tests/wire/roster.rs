// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contact list over the wire.

use anyhow::{Result, bail};
use lanyard_load::session::Session;
use lanyard_presence::PersonUri;
use lanyard_presence::xml::contacts::{ContactList, ContactsDocument};
use lanyard_presence::xml::content_type;
use lanyard_presence::xml::service::{ContactOperation, ContactRequest};
use lanyard_sip::{Headers, Method, Name, OutMessage};

/// The list as a client gets it that has just signed in.
pub async fn list(session: &mut Session) -> Result<ContactList> {
    let own = session.uri.clone();
    let subscribe = session
        .request(Method::Subscribe, &own, "contacts")
        .with(Name::Event, "vnd-microsoft-roaming-contacts")
        .with(Name::Accept, content_type::ROAMING_CONTACTS)
        .with(Name::Supported, "ms-benotify")
        .with(Name::Supported, "ms-piggyback-first-notify");
    let answer = session.ask(subscribe).await?;
    match ContactsDocument::parse(answer.body())? {
        ContactsDocument::List(list) => Ok(list),
        ContactsDocument::Delta(delta) => bail!("a delta in place of the list: {delta:?}"),
    }
}

/// A request that changes the list, not signed yet.
pub fn change(session: &mut Session, delta: u32, operation: ContactOperation) -> OutMessage {
    let own = session.uri.clone();
    let body = ContactRequest { delta, operation }.to_xml();
    session
        .request(Method::Service, &own, "change")
        .with_body(content_type::SOAP, body)
}

/// A new group.
pub fn group(name: &str) -> ContactOperation {
    ContactOperation::AddGroup {
        name: name.into(),
        external_uri: String::new(),
    }
}

/// A new contact, in the first group.
pub fn contact(address: &str) -> Result<ContactOperation> {
    Ok(ContactOperation::SetContact {
        uri: PersonUri::parse(&format!("sip:{address}"))?,
        name: String::new(),
        groups: vec![1],
        subscribed: true,
        external_uri: String::new(),
    })
}

/// The CSeq of a request.
pub fn cseq(message: &OutMessage) -> String {
    message.header(Name::CSeq).unwrap_or_default().to_owned()
}
