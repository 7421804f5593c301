// SPDX-License-Identifier: MIT OR Apache-2.0
//! The directory as the hub sees it.

use crate::app::App;
use crate::federation::presence::client_settings;
use crate::web::urls::{ADDRESS_BOOK_FILES_PATH, PHOTOS, Urls};
use lanyard_directory::{Account, PhotoHash, Search, SipAddress};
use lanyard_presence::{People, PersonCard, PersonUri, PhotoLink};
use std::sync::Arc;

/// People from the directory's snapshot of the moment.
#[derive(Debug, Clone)]
pub struct DirectoryPeople {
    app: Arc<App>,
    /// Where files of the address book are.
    files: String,
}

impl DirectoryPeople {
    /// The people of a server with these addresses.
    #[must_use]
    pub fn new(app: Arc<App>, urls: &Urls) -> Self {
        Self {
            app,
            files: urls.https(ADDRESS_BOOK_FILES_PATH),
        }
    }

    fn card(&self, account: &Account) -> Option<PersonCard> {
        let uri = PersonUri::parse(&account.sip_address.uri()).ok()?;
        let mut card = PersonCard::new(uri, account.display_name.clone());
        card.email = account.email.as_str().to_owned();
        card.title = account.title.clone().unwrap_or_default();
        card.phone = account.phone.clone().unwrap_or_default();
        card.company = company(&self.app);
        card.photo = account.photo.as_ref().map(|hash| PhotoLink {
            uri: format!("{}/{}", self.files, photo_path(hash)),
            hash: hash.as_str().to_owned(),
        });
        card.enabled = account.enabled;
        Some(card)
    }
}

impl People for DirectoryPeople {
    fn person(&self, uri: &PersonUri) -> Option<PersonCard> {
        let address: SipAddress = uri.address().parse().ok()?;
        let people = self.app.directory.load();
        self.card(people.by_address(&address)?)
    }

    fn settings(&self, uri: &PersonUri) -> Vec<(&'static str, String)> {
        let Ok(address) = uri.address().parse::<SipAddress>() else {
            return Vec::new();
        };
        let people = self.app.directory.load();
        let Some(account) = people.by_address(&address) else {
            return Vec::new();
        };
        client_settings(&people.policy_of(account)).into()
    }

    fn search(&self, text: &str, limit: usize) -> Vec<PersonCard> {
        let Some(search) = Search::new(text) else {
            return Vec::new();
        };
        let (found, _) = self.app.directory.load().search(&search, limit);
        found.iter().filter_map(|one| self.card(one)).collect()
    }
}

/// Where a photograph is, below the files of the address book.
#[must_use]
pub fn photo_path(hash: &PhotoHash) -> String {
    format!("{PHOTOS}/{hash}.jpg")
}

/// The organisation, as contact cards say it.
#[must_use]
pub fn company(app: &App) -> String {
    let config = app.config.load();
    config.server.organisation.clone().unwrap_or_default()
}
