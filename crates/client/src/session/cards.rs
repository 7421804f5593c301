// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contact cards: what people in the list, and the person's own directory, say of themselves.

use std::collections::HashMap;
use std::sync::Arc;

use lanyard_presence::xml::categories::Categories;
use lanyard_presence::xml::contact_card::ContactCard;
use lanyard_presence::xml::provisioning::{AddressBook, Provisioning};
use lanyard_presence::{PersonUri, PhotoLink};
use lanyard_sip::{Headers, Message};

use super::{Action, CardPolicy, Credential, Session};
use crate::address::SignInAddress;
use crate::people::PersonView;

/// People whose cards are kept; more than a contact list can have.
const CARDS_MAX: usize = 4_096;

/// Cards by address, and where the address book is.
#[derive(Debug, Default)]
pub(super) struct Cards {
    cards: HashMap<PersonUri, ContactCard>,
    address_book: Option<AddressBook>,
}

impl Session {
    /// Where the server says that its address book is.
    #[must_use]
    pub fn address_book(&self) -> Option<&AddressBook> {
        self.cards.address_book.as_ref()
    }

    #[cfg(test)]
    pub(crate) fn set_address_book(&mut self, book: AddressBook) {
        self.cards.address_book = Some(book);
    }

    /// The chat certificate and its key, as long as they are there.
    #[must_use]
    pub fn credential(&self) -> Option<Arc<Credential>> {
        self.credential.clone()
    }

    /// What is known of somebody without asking: a contact, or the person of this session.
    #[must_use]
    pub fn person(&self, address: &SignInAddress) -> Option<PersonView> {
        let uri = PersonUri::parse(address.as_str()).ok()?;
        let is_own = uri == self.me.uri;
        let contact = self.contacts().into_iter().find(|c| c.address == *address);
        let card = self.cards.cards.get(&uri);
        if !is_own && contact.is_none() {
            return None;
        }
        let mut person = PersonView::unknown(address.clone());
        if is_own {
            let own = self.own();
            (person.availability, person.note) = (own.availability, own.note);
            if !own.name.is_empty() {
                person.name = own.name;
            }
        }
        if let Some(contact) = contact {
            person.name = contact.name;
            person.availability = contact.availability;
            person.note = contact.note;
            person.contact = true;
        }
        if let Some(card) = card {
            if !card.display_name.is_empty() {
                person.name.clone_from(&card.display_name);
            }
            person.title.clone_from(&card.title);
            person.phone.clone_from(&card.phone);
            person.email.clone_from(&card.email);
            person.company.clone_from(&card.company);
            person.photo = card.photo.as_ref().map(|photo| photo.hash.clone());
        }
        Some(person)
    }

    /// Where the photograph of a contact is.
    #[must_use]
    pub fn photo_of(&self, address: &SignInAddress) -> Option<PhotoLink> {
        let uri = PersonUri::parse(address.as_str()).ok()?;
        self.cards.cards.get(&uri)?.photo.clone()
    }

    /// The answer of the provisioning service.
    pub(super) fn provisioned(&mut self, answer: Option<&Message>) {
        let answer = answer.filter(|answer| matches!(answer.status(), Some(200..300)));
        let Some(answer) = answer else { return };
        match Provisioning::parse(answer.body()) {
            Ok(document) => {
                self.cards.address_book = document.address_book();
                let policy = CardPolicy::of(&document);
                self.actions.push(Action::CardPolicy(policy));
            }
            Err(error) => tracing::debug!(%error, "what the server provisions was not understood"),
        }
    }

    /// A document may hold a card; faces are told when it says something else than before.
    pub(super) fn card_document(&mut self, document: &Categories) {
        let Some(card) = document.contact_card() else {
            return;
        };
        let known = self.cards.cards.get(&document.uri);
        if known == Some(&card) || (known.is_none() && self.cards.cards.len() >= CARDS_MAX) {
            return;
        }
        self.cards.cards.insert(document.uri.clone(), card);
        let address = document.uri.address().parse();
        if let Some(person) = address.ok().and_then(|address| self.person(&address)) {
            self.actions.push(Action::Person(person));
        }
    }
}
