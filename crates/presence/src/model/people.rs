// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the hub asks the directory.

use crate::model::uri::PersonUri;

/// What the directory tells about one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonCard {
    /// The sign-in address.
    pub uri: PersonUri,
    /// The name that others see.
    pub display_name: String,
    /// E-mail, which may differ from the sign-in address.
    pub email: String,
    /// Job title, or empty.
    pub title: String,
    /// Company, or empty.
    pub company: String,
    /// Department, or empty.
    pub department: String,
    /// Office, or empty.
    pub office: String,
    /// Work phone as a telephone number, or empty.
    pub phone: String,
    /// The photograph.
    pub photo: Option<PhotoLink>,
    /// Whether the account may be used.
    pub enabled: bool,
}

/// Where a photograph is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoLink {
    /// Its address; whoever fetches it shows a ticket.
    pub uri: String,
    /// Another photograph has another hash.
    pub hash: String,
}

impl PersonCard {
    /// A card with name and address only.
    #[must_use]
    pub fn new(uri: PersonUri, display_name: impl Into<String>) -> Self {
        let email = uri.address().to_owned();
        Self {
            uri,
            display_name: display_name.into(),
            email,
            title: String::new(),
            company: String::new(),
            department: String::new(),
            office: String::new(),
            phone: String::new(),
            photo: None,
            enabled: true,
        }
    }
}

/// The directory as the hub sees it: in memory, answered at once.
pub trait People: Send {
    /// The person with this address, enabled or not.
    fn person(&self, uri: &PersonUri) -> Option<PersonCard>;

    /// What this person's clients are told of policy, by name; nothing for most directories.
    fn settings(&self, uri: &PersonUri) -> Vec<(&'static str, String)> {
        let _ = uri;
        Vec::new()
    }

    /// People whose name or address matches, at most `limit`, in a stable order.
    fn search(&self, text: &str, limit: usize) -> Vec<PersonCard>;
}

impl<P: People + ?Sized> People for Box<P> {
    fn person(&self, uri: &PersonUri) -> Option<PersonCard> {
        (**self).person(uri)
    }

    fn settings(&self, uri: &PersonUri) -> Vec<(&'static str, String)> {
        (**self).settings(uri)
    }

    fn search(&self, text: &str, limit: usize) -> Vec<PersonCard> {
        (**self).search(text, limit)
    }
}

impl<P: People + Sync + ?Sized> People for std::sync::Arc<P> {
    fn person(&self, uri: &PersonUri) -> Option<PersonCard> {
        (**self).person(uri)
    }

    fn settings(&self, uri: &PersonUri) -> Vec<(&'static str, String)> {
        (**self).settings(uri)
    }

    fn search(&self, text: &str, limit: usize) -> Vec<PersonCard> {
        (**self).search(text, limit)
    }
}
