// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contacts and groups: one number counts the accepted changes, and every change names the number
//! that it starts from.

use lanyard_sip::{OutMessage, reason_phrase};

use super::Hub;
use super::effect::{Effects, Now};
use super::persist::{Origin, Plan, Then};
use super::refusal::Refusal;
use super::state::Kind;
use crate::limits;
use crate::model::roster::{Contact, Group, Roster, RosterEdit};
use crate::model::uri::PersonUri;
use crate::xml::contacts::{ContactChange, ContactDelta};
use crate::xml::content_type;
use crate::xml::service::{ContactFault, ContactOperation, ContactRequest, write_group_added};

/// How the name of the group begins that clients show as the others.
const UNNAMED_GROUP: char = '~';

/// What one operation does to a roster.
struct Outcome {
    edits: Vec<RosterEdit>,
    changes: Vec<ContactChange>,
    group_added: Option<u32>,
}

/// Why an operation is not possible.
enum Impossible {
    Limit(&'static str),
    Invalid(&'static str),
}

impl Hub {
    pub(super) fn plan_contacts(
        &mut self,
        now: Now,
        uri: &PersonUri,
        origin: Origin,
        fx: &mut Effects,
    ) -> Result<(), Refusal> {
        let request = ContactRequest::parse(origin.request.body()).map_err(Refusal::Body)?;
        let roster = self.persons.get(uri).and_then(|person| person.roster());
        let roster = roster.ok_or(Refusal::NotRegistered)?;
        let current = roster.delta;
        if request.delta != current {
            self.refuse_stale(now, uri, &origin, current, fx);
            return Ok(());
        }
        match outcome(roster, request.operation) {
            Err(impossible) => {
                let (code, text) = match impossible {
                    Impossible::Limit(text) => (ContactFault::LIMIT, text),
                    Impossible::Invalid(text) => (ContactFault::INVALID, text),
                };
                let fault = ContactFault {
                    code: code.to_owned(),
                    text: text.to_owned(),
                    delta: Some(current),
                };
                self.answer_contact_fault(&origin, 403, &fault, fx);
            }
            Ok(mut outcome) => {
                let delta = current.saturating_add(1);
                let last_group = outcome.group_added.unwrap_or(roster.last_group);
                outcome
                    .edits
                    .push(RosterEdit::Counters { delta, last_group });
                let plan = Plan {
                    origin: Some(origin),
                    edits: outcome.edits,
                    live: Vec::new(),
                    then: Then::Contacts {
                        delta: ContactDelta {
                            delta,
                            changes: outcome.changes,
                        },
                        group_added: outcome.group_added,
                    },
                };
                self.submit(now, uri, plan, fx);
            }
        }
        Ok(())
    }

    /// The change is durable: answer it, and tell the person's other endpoints.
    pub(super) fn contacts_set(
        &mut self,
        now: Now,
        uri: &PersonUri,
        origin: Option<Origin>,
        delta: &ContactDelta,
        group_added: Option<u32>,
        fx: &mut Effects,
    ) {
        let acting = origin.as_ref().map(|origin| origin.endpoint);
        if let Some(origin) = origin {
            let mut out = self.ok(&origin.request);
            if let Some(id) = group_added {
                out = out.with_body(content_type::SOAP, write_group_added(id));
            }
            fx.send(origin.connection, out);
        }
        let Some(person) = self.persons.get(uri) else {
            return;
        };
        // An independent client (SIPE 1.25) frees a group twice when a delta takes it away, and ends. It gets
        // what happened to the group's contacts, and then the whole list, which tells the rest.
        let deletes = |change: &ContactChange| matches!(change, ContactChange::DeletedGroup(_));
        let whole = delta.changes.iter().any(deletes);
        let mut told = delta.clone();
        told.changes.retain(|change| !deletes(change));
        let document = bytes::Bytes::from(told.to_xml());
        for id in person.own.clone() {
            let Some(own) = self.subscriptions.get_mut(&id) else {
                continue;
            };
            // Who asked counts by itself.
            if own.kind != Kind::RoamingContacts || Some(own.endpoint) == acting {
                continue;
            }
            let in_time = self.can_tell(id) && !self.list_is_due(id);
            if in_time && !told.changes.is_empty() {
                let kind = content_type::ROAMING_CONTACTS.to_owned();
                self.notify(id, (kind, document.clone()), fx);
            }
            if whole || !in_time {
                self.make_list_due(id);
                self.tell_own(now, id, fx);
            }
        }
    }

    /// Another endpoint was faster. The client gets the list as it is, so that it can go on.
    fn refuse_stale(
        &mut self,
        now: Now,
        uri: &PersonUri,
        origin: &Origin,
        current: u32,
        fx: &mut Effects,
    ) {
        let fault = ContactFault {
            code: ContactFault::WRONG_DELTA.to_owned(),
            text: "The contact list was changed somewhere else at the same time.".to_owned(),
            delta: Some(current),
        };
        self.answer_contact_fault(origin, 409, &fault, fx);
        let Some(person) = self.persons.get(uri) else {
            return;
        };
        for id in person.own.clone() {
            let own = self.subscriptions.get(&id);
            let same = own.is_some_and(|own| {
                own.kind == Kind::RoamingContacts && own.endpoint == origin.endpoint
            });
            if same {
                self.make_list_due(id);
                self.tell_own(now, id, fx);
            }
        }
    }

    fn answer_contact_fault(
        &mut self,
        origin: &Origin,
        code: u16,
        fault: &ContactFault,
        fx: &mut Effects,
    ) {
        let tag = self.ids.tag();
        let out = OutMessage::response_to(&origin.request, code, reason_phrase(code));
        let out = out
            .with_to_tag(&tag)
            .with_body(content_type::SOAP, fault.to_xml());
        fx.send(origin.connection, out);
    }
}

fn outcome(roster: &Roster, operation: ContactOperation) -> Result<Outcome, Impossible> {
    match operation {
        ContactOperation::SetContact {
            uri,
            name,
            groups,
            subscribed,
            external_uri,
        } => {
            if groups.len() > limits::GROUPS_PER_CONTACT_MAX {
                return Err(Impossible::Limit("The contact is in too many groups."));
            }
            if groups.iter().any(|id| !roster.groups.contains_key(id)) {
                return Err(Impossible::Invalid("There is no such group."));
            }
            let known = roster.contacts.contains_key(&uri);
            if !known && roster.contacts.len() >= limits::CONTACTS_PER_PERSON_MAX {
                return Err(Impossible::Limit("The contact list is full."));
            }
            let contact = Contact {
                uri,
                name,
                groups,
                subscribed,
                external_uri,
            };
            let old = roster.contacts.get(&contact.uri).map_or(0, contact_bytes);
            let bytes = list_bytes(roster)
                .saturating_sub(old)
                .saturating_add(contact_bytes(&contact));
            if bytes > limits::CONTACT_LIST_BYTES_MAX {
                return Err(Impossible::Limit("The contact list is full."));
            }
            let change = if known {
                ContactChange::ModifiedContact(contact.clone())
            } else {
                ContactChange::AddedContact(contact.clone())
            };
            Ok(one(RosterEdit::SetContact(contact), change))
        }
        ContactOperation::DeleteContact { uri } => Ok(one(
            RosterEdit::DeleteContact(uri.clone()),
            ContactChange::DeletedContact(uri),
        )),
        ContactOperation::AddGroup { name, external_uri } => {
            if roster.groups.len() >= limits::GROUPS_PER_PERSON_MAX {
                return Err(Impossible::Limit("There are too many groups."));
            }
            let id = roster
                .last_group
                .checked_add(1)
                .ok_or(Impossible::Limit("No group number is left."))?;
            let group = Group {
                id,
                name,
                external_uri,
            };
            let change = ContactChange::AddedGroup(group.clone());
            Ok(Outcome {
                group_added: Some(id),
                ..one(RosterEdit::SetGroup(group), change)
            })
        }
        ContactOperation::ModifyGroup {
            id,
            name,
            external_uri,
        } => {
            if !roster.groups.contains_key(&id) {
                return Err(Impossible::Invalid("There is no such group."));
            }
            let group = Group {
                id,
                name,
                external_uri,
            };
            let change = ContactChange::ModifiedGroup(group.clone());
            Ok(one(RosterEdit::SetGroup(group), change))
        }
        ContactOperation::DeleteGroup { id } => delete_group(roster, id),
    }
}

/// The group's contacts stay, in their other groups; those that have none go to the unnamed one, because clients
/// take somebody in no group for deleted.
fn delete_group(roster: &Roster, id: u32) -> Result<Outcome, Impossible> {
    if !roster.groups.contains_key(&id) {
        return Err(Impossible::Invalid("There is no such group."));
    }
    let mut outcome = one(RosterEdit::DeleteGroup(id), ContactChange::DeletedGroup(id));
    let mut others = roster.groups.values();
    let others = others.find(|group| group.id != id && group.name.starts_with(UNNAMED_GROUP));
    for contact in roster
        .contacts
        .values()
        .filter(|contact| contact.groups.contains(&id))
    {
        let mut contact = contact.clone();
        contact.groups.retain(|group| *group != id);
        if contact.groups.is_empty() {
            contact.groups.extend(others.map(|group| group.id));
        }
        outcome
            .changes
            .push(ContactChange::ModifiedContact(contact.clone()));
        outcome.edits.push(RosterEdit::SetContact(contact));
    }
    Ok(outcome)
}

fn one(edit: RosterEdit, change: ContactChange) -> Outcome {
    Outcome {
        edits: vec![edit],
        changes: vec![change],
        group_added: None,
    }
}

/// More than the marks and numbers around one entry of the list.
const ENTRY_BYTES: usize = 96;
/// More than one number of a group and the space behind it.
const GROUP_NUMBER_BYTES: usize = 11;

/// How long the list is as a document, or a little less.
fn list_bytes(roster: &Roster) -> usize {
    let contacts = roster.contacts.values().map(contact_bytes);
    let groups = roster.groups.values().map(|group| {
        let texts = written_bytes(&group.name).saturating_add(written_bytes(&group.external_uri));
        texts.saturating_add(ENTRY_BYTES)
    });
    contacts.chain(groups).fold(0, usize::saturating_add)
}

fn contact_bytes(contact: &Contact) -> usize {
    let groups = contact.groups.len().saturating_mul(GROUP_NUMBER_BYTES);
    [
        written_bytes(contact.uri.address()),
        written_bytes(&contact.name),
        written_bytes(&contact.external_uri),
        groups,
    ]
    .into_iter()
    .fold(ENTRY_BYTES, usize::saturating_add)
}

/// The length of a text in XML.
fn written_bytes(text: &str) -> usize {
    let marked = text.bytes().filter(|byte| {
        matches!(
            byte,
            b'<' | b'>' | b'&' | b'"' | b'\'' | b'\t' | b'\n' | b'\r'
        )
    });
    text.len()
        .saturating_add(marked.count().saturating_mul("quot;".len()))
}
