// SPDX-License-Identifier: MIT OR Apache-2.0
//! The directory as the hub sees it.

use crate::app::App;
use lanyard_directory::{Account, SipAddress};
use lanyard_presence::{People, PersonCard, PersonUri};
use std::sync::Arc;

/// People from the directory's snapshot of the moment.
#[derive(Debug, Clone)]
pub struct DirectoryPeople(pub Arc<App>);

impl People for DirectoryPeople {
    fn person(&self, uri: &PersonUri) -> Option<PersonCard> {
        let address: SipAddress = uri.address().parse().ok()?;
        let people = self.0.directory.load();
        let account = people.by_address(&address)?;
        card(&self.0, account)
    }

    fn search(&self, text: &str, limit: usize) -> Vec<PersonCard> {
        let wanted = text.trim().to_lowercase();
        if wanted.is_empty() {
            return Vec::new();
        }
        let people = self.0.directory.load();
        let mut found: Vec<_> = people
            .accounts()
            .filter(|account| account.enabled && matches(account, &wanted))
            .cloned()
            .collect();
        found.sort_by(|a, b| a.display_name.cmp(&b.display_name).then(a.id.cmp(&b.id)));
        found.truncate(limit);
        found
            .iter()
            .filter_map(|account| card(&self.0, account))
            .collect()
    }
}

fn matches(account: &Account, wanted: &str) -> bool {
    account.display_name.to_lowercase().contains(wanted)
        || account.sip_address.as_str().contains(wanted)
        || account.email.as_str().to_lowercase().contains(wanted)
}

fn card(app: &App, account: &Account) -> Option<PersonCard> {
    let uri = PersonUri::parse(&account.sip_address.uri()).ok()?;
    let mut card = PersonCard::new(uri, account.display_name.clone());
    card.email = account.email.as_str().to_owned();
    card.title = account.title.clone().unwrap_or_default();
    card.phone = account.phone.clone().unwrap_or_default();
    card.company = app
        .config
        .load()
        .server
        .organisation
        .clone()
        .unwrap_or_default();
    card.enabled = account.enabled;
    Some(card)
}
