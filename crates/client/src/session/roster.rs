// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contact list: what the server keeps, and the presence of the people in it.

use std::collections::BTreeMap;
use std::time::Instant;

use lanyard_fault::Fault;
use lanyard_presence::xml::categories::Categories;
use lanyard_presence::xml::contacts::{ContactChange, ContactDelta, ContactList};
use lanyard_presence::xml::content_type;
use lanyard_presence::xml::service::{
    ContactFault, ContactOperation, ContactRequest, read_group_added,
};
use lanyard_presence::{Contact, Group, PersonUri};
use lanyard_sip::{Headers, Message};

use super::registration::diagnosed;
use super::requests::Call;
use super::{Now, Purpose, Session, Token};
use crate::address::SignInAddress;
use crate::problem::Problem;
use crate::view::{AccessLevel, Availability, ContactView};

/// The group that is shown without a name.
pub(super) const UNNAMED_GROUP: char = '~';

/// Contacts by address.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// The server keeps contacts.
    pub(super) offered: bool,
    /// The server has a provisioning service.
    pub(super) provisions: bool,
    pub(super) renew_at: Option<Instant>,
    pub(super) presence_renew_at: Option<Instant>,
    delta: u32,
    groups: BTreeMap<u32, Group>,
    people: BTreeMap<PersonUri, Person>,
    levels: BTreeMap<String, AccessLevel>,
}

#[derive(Debug, Clone)]
struct Person {
    contact: Contact,
    card_name: String,
    availability: Availability,
    note: String,
    level: Option<AccessLevel>,
}

/// A change that the person asked for.
#[derive(Debug, Clone)]
pub(super) struct ContactWish {
    pub(super) token: Option<Token>,
    operation: ContactOperation,
    delta: u32,
    retried: bool,
}

impl ContactWish {
    pub(super) fn new(token: Token, operation: ContactOperation) -> Self {
        Self {
            token: Some(token),
            operation,
            delta: 0,
            retried: false,
        }
    }
}

impl Roster {
    /// Takes the whole list; gives the people whose presence is not watched yet.
    pub(super) fn replace(&mut self, list: ContactList, anew: bool) -> Vec<PersonUri> {
        self.delta = list.delta;
        self.groups = list
            .groups
            .into_iter()
            .map(|group| (group.id, group))
            .collect();
        let mut before = std::mem::take(&mut self.people);
        let mut fresh = Vec::new();
        for contact in list.contacts {
            let known = before.remove(&contact.uri);
            if known.is_none() && contact.subscribed {
                fresh.push(contact.uri.clone());
            }
            let level = self.levels.get(contact.uri.address()).copied();
            let person = Person::of(contact, known);
            self.people
                .insert(person.contact.uri.clone(), Person { level, ..person });
        }
        // With a fresh subscription everybody is watched anew; a list in between changes little.
        if anew { self.watched() } else { fresh }
    }

    /// Takes a change; gives the people whose presence is not watched yet.
    pub(super) fn apply(&mut self, delta: ContactDelta) -> Vec<PersonUri> {
        self.delta = delta.delta;
        let mut fresh = Vec::new();
        for change in delta.changes {
            match change {
                ContactChange::AddedGroup(group) | ContactChange::ModifiedGroup(group) => {
                    self.groups.insert(group.id, group);
                }
                ContactChange::DeletedGroup(id) => drop(self.groups.remove(&id)),
                ContactChange::AddedContact(contact) | ContactChange::ModifiedContact(contact) => {
                    fresh.extend(self.put(contact));
                }
                ContactChange::DeletedContact(uri) => drop(self.people.remove(&uri)),
            }
        }
        fresh
    }

    fn put(&mut self, contact: Contact) -> Option<PersonUri> {
        let uri = contact.uri.clone();
        let known = self.people.remove(&uri);
        let fresh = known.is_none();
        let level = self.levels.get(uri.address()).copied();
        let person = Person::of(contact, known);
        self.people.insert(uri.clone(), Person { level, ..person });
        fresh.then_some(uri)
    }

    /// Shows what was known at the last sign-in.
    pub(super) fn seed(&mut self, contacts: &[ContactView]) {
        for view in contacts {
            let Ok(uri) = PersonUri::parse(view.address.as_str()) else {
                continue;
            };
            let contact = Contact {
                uri: uri.clone(),
                name: String::new(),
                groups: Vec::new(),
                subscribed: true,
                external_uri: String::new(),
            };
            let person = Person {
                card_name: view.name.clone(),
                ..Person::of(contact, None)
            };
            self.people.entry(uri).or_insert(person);
        }
    }

    pub(super) fn watched(&self) -> Vec<PersonUri> {
        let watched = self
            .people
            .values()
            .filter(|person| person.contact.subscribed);
        watched.map(|person| person.contact.uri.clone()).collect()
    }

    /// Takes a presence document; gives the contact when something of it changed.
    pub(super) fn presence(&mut self, document: &Categories) -> Option<ContactView> {
        let person = self.people.get_mut(&document.uri)?;
        let before = (
            person.availability,
            person.note.clone(),
            person.card_name.clone(),
        );
        if let Some(state) = document.state() {
            person.availability = Availability::from_number(state.availability);
        }
        if let Some(note) = document.note() {
            person.note = note.text;
        }
        if let Some(card) = document.contact_card()
            && !card.display_name.is_empty()
        {
            person.card_name = card.display_name;
        }
        let after = (
            person.availability,
            person.note.clone(),
            person.card_name.clone(),
        );
        if before == after {
            None
        } else {
            self.view(&document.uri)
        }
    }

    /// The server knows nobody of this address.
    pub(super) fn unknown(&mut self, uri: &PersonUri) -> Option<ContactView> {
        let person = self.people.get_mut(uri)?;
        person.availability = Availability::Unknown;
        self.view(uri)
    }

    /// The best name that is known for somebody.
    pub(super) fn name(&self, uri: &PersonUri) -> Option<String> {
        self.people.get(uri).map(Person::name)
    }

    /// The contacts in order of display: by name.
    pub(super) fn views(&self) -> Vec<ContactView> {
        let mut views: Vec<_> = self
            .people
            .keys()
            .filter_map(|uri| self.view(uri))
            .collect();
        views.sort_by_key(|view| (view.name.to_lowercase(), view.address.clone()));
        views
    }

    fn view(&self, uri: &PersonUri) -> Option<ContactView> {
        let person = self.people.get(uri)?;
        let groups = person
            .contact
            .groups
            .iter()
            .filter_map(|id| self.groups.get(id));
        let named = groups.filter(|group| !group.name.starts_with(UNNAMED_GROUP));
        Some(ContactView {
            address: uri.address().parse().ok()?,
            name: person.name(),
            availability: person.availability,
            note: person.note.clone(),
            groups: named.map(|group| group.name.clone()).collect(),
            level: person.level,
            unread: 0,
        })
    }

    /// All groups by name.
    pub(super) fn group_names(&self) -> Vec<String> {
        let named = self.groups.values();
        let named = named.filter(|group| !group.name.starts_with(UNNAMED_GROUP));
        let mut names: Vec<String> = named.map(|group| group.name.clone()).collect();
        names.sort_by_key(|name| name.to_lowercase());
        names
    }

    /// The group of this name; in any case when there is no other.
    pub(super) fn group_id(&self, name: &str) -> Option<u32> {
        let named = || {
            let groups = self.groups.values();
            groups.filter(|group| !group.name.starts_with(UNNAMED_GROUP))
        };
        let exact = named().find(|group| group.name == name.trim());
        let same = |group: &&Group| group.name.to_lowercase() == name.trim().to_lowercase();
        exact.or_else(|| named().find(same)).map(|group| group.id)
    }

    pub(super) fn group_external_uri(&self, id: u32) -> String {
        let group = self.groups.get(&id);
        group.map_or_else(String::new, |group| group.external_uri.clone())
    }

    /// Where contacts go that nobody put anywhere.
    pub(super) fn group_of_others(&self) -> Vec<u32> {
        let mut groups = self.groups.values();
        let others = groups.find(|group| group.name.starts_with(UNNAMED_GROUP));
        others.map(|group| group.id).into_iter().collect()
    }

    pub(super) fn contact(&self, uri: &PersonUri) -> Option<&Contact> {
        self.people.get(uri).map(|person| &person.contact)
    }

    /// Takes what was decided about people; gives the contacts whose level changed.
    pub(super) fn set_levels(
        &mut self,
        levels: &BTreeMap<String, AccessLevel>,
    ) -> Vec<ContactView> {
        self.levels.clone_from(levels);
        let mut changed = Vec::new();
        for (uri, person) in &mut self.people {
            let level = levels.get(uri.address()).copied();
            if std::mem::replace(&mut person.level, level) != level {
                changed.push(uri.clone());
            }
        }
        changed.iter().filter_map(|uri| self.view(uri)).collect()
    }

    fn is_known(&self, uri: &PersonUri) -> bool {
        self.people.contains_key(uri)
    }

    /// Applies our own change as the server does: one step of the number for each.
    fn accepted(&mut self, wish: &ContactWish, answer: &Message) -> Vec<PersonUri> {
        // The notification of the change may have come first.
        self.delta = self.delta.max(wish.delta.saturating_add(1));
        match &wish.operation {
            ContactOperation::SetContact {
                uri,
                name,
                groups,
                subscribed,
                external_uri,
            } => {
                let contact = Contact {
                    uri: uri.clone(),
                    name: name.clone(),
                    groups: groups.clone(),
                    subscribed: *subscribed,
                    external_uri: external_uri.clone(),
                };
                self.put(contact).into_iter().collect()
            }
            ContactOperation::DeleteContact { uri } => {
                self.people.remove(uri);
                Vec::new()
            }
            ContactOperation::AddGroup { name, external_uri } => {
                if let Ok(id) = read_group_added(answer.body()) {
                    self.put_group(id, name, external_uri);
                }
                Vec::new()
            }
            ContactOperation::ModifyGroup {
                id,
                name,
                external_uri,
            } => {
                self.put_group(*id, name, external_uri);
                Vec::new()
            }
            ContactOperation::DeleteGroup { id } => {
                self.groups.remove(id);
                for person in self.people.values_mut() {
                    person.contact.groups.retain(|group| group != id);
                }
                Vec::new()
            }
        }
    }

    fn put_group(&mut self, id: u32, name: &str, external_uri: &str) {
        let group = Group {
            id,
            name: name.to_owned(),
            external_uri: external_uri.to_owned(),
        };
        self.groups.insert(id, group);
    }
}

impl Person {
    fn of(contact: Contact, known: Option<Self>) -> Self {
        match known {
            Some(known) => Self { contact, ..known },
            None => Self {
                contact,
                card_name: String::new(),
                availability: Availability::Unknown,
                note: String::new(),
                level: None,
            },
        }
    }

    fn name(&self) -> String {
        let names = [&self.contact.name, &self.card_name];
        let best = names.into_iter().find(|name| !name.is_empty());
        best.cloned()
            .unwrap_or_else(|| self.contact.uri.address().to_owned())
    }
}

impl Session {
    /// Puts somebody into the contact list, into a group or among the others.
    pub fn add_contact(
        &mut self,
        now: Now,
        address: &SignInAddress,
        name: &str,
        group: Option<&str>,
        token: Token,
    ) {
        let Ok(uri) = PersonUri::parse(address.as_str()) else {
            return self.tell(Some(token), Err(Fault::AddressMalformed.into()));
        };
        let group = match group.map(|group| self.group_id(group)).transpose() {
            Ok(group) => group,
            Err(problem) => return self.tell(Some(token), Err(problem)),
        };
        // Somebody who is in the list already keeps what nobody asked to change.
        let known = self.roster.contact(&uri);
        let mut groups = known.map_or_else(Vec::new, |known| known.groups.clone());
        match group {
            Some(id) if !groups.contains(&id) => groups.push(id),
            None if known.is_none() => groups = self.roster.group_of_others(),
            _ => {}
        }
        let known_name = known.map(|known| known.name.as_str());
        let name = known_name.filter(|_| name.is_empty()).unwrap_or(name);
        let operation = ContactOperation::SetContact {
            uri,
            name: name.to_owned(),
            groups,
            subscribed: true,
            external_uri: String::new(),
        };
        self.change_contacts(now, ContactWish::new(token, operation));
    }

    /// Takes somebody out of the contact list.
    pub fn remove_contact(&mut self, now: Now, address: &SignInAddress, token: Token) {
        let uri = PersonUri::parse(address.as_str())
            .ok()
            .filter(|uri| self.roster.is_known(uri));
        let Some(uri) = uri else {
            let detail = format!("{address} is not in your contact list.");
            let problem = Problem::new(Fault::PersonUnknown).with_detail(detail);
            return self.tell(Some(token), Err(problem));
        };
        let operation = ContactOperation::DeleteContact { uri };
        self.change_contacts(now, ContactWish::new(token, operation));
    }

    pub(super) fn change_contacts(&mut self, now: Now, mut wish: ContactWish) {
        wish.delta = self.roster.delta;
        let change = ContactRequest {
            delta: wish.delta,
            operation: wish.operation.clone(),
        };
        let mut call = Call::new();
        let request = self
            .me
            .service(content_type::SOAP, change.to_xml(), &mut call);
        self.send_request(now, request, Purpose::Contact(wish));
    }

    pub(super) fn contact_answered(
        &mut self,
        now: Now,
        wish: ContactWish,
        answer: Option<&Message>,
    ) {
        let Some(answer) = answer else {
            return self.tell(wish.token, Err(Fault::ServerTimedOut.into()));
        };
        if matches!(answer.status(), Some(200..300)) {
            let fresh = self.roster.accepted(&wish, answer);
            self.actions
                .push(super::Action::Contacts(self.roster.views()));
            self.watch(now, fresh, true);
            return self.tell(wish.token, Ok(()));
        }
        let fault = ContactFault::parse(answer.body()).ok();
        let stale = fault
            .as_ref()
            .is_some_and(|fault| fault.code == ContactFault::WRONG_DELTA);
        if let (true, false, Some(current)) = (
            stale,
            wish.retried,
            fault.as_ref().and_then(|fault| fault.delta),
        ) {
            // Somebody else changed the list: once more from its new state, then ask for all of it.
            self.roster.delta = current;
            self.change_contacts(
                now,
                ContactWish {
                    retried: true,
                    ..wish
                },
            );
            return self.subscribe_contacts(now);
        }
        let problem = match (stale, answer.status(), diagnosed(answer)) {
            (true, ..) => Problem::new(Fault::ContactsChangedElsewhere),
            (_, _, Some(problem)) => problem,
            (_, Some(404), None) => Problem::new(Fault::PersonUnknown),
            _ => {
                let words = fault.map(|fault| crate::problem::printable(&fault.text));
                let problem = Problem::new(Fault::ContactRefused);
                match words.filter(|words| !words.is_empty()) {
                    Some(words) => problem.with_detail(format!("The server says: {words}")),
                    None => problem,
                }
            }
        };
        self.tell(wish.token, Err(problem));
    }
}
