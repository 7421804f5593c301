// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which password a ticket was earned with, and whether it still counts.
//!
//! A ticket lives for an hour, a password may be changed, taken away or forbidden within it. Each
//! state of a person's password has an epoch; a ticket carries the one that it was earned in.

use crate::app::App;
use aws_lc_rs::digest;
use lanyard_directory::{Account, AccountId};
use lanyard_soap::ticket::CredentialEpoch;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

const LABEL: &[u8] = b"lanyard credential epoch";

/// How often the way of the password was closed to people since the server started. Tickets of an
/// earlier run open nothing, so memory is enough.
#[derive(Debug, Default)]
pub struct Closures(Mutex<HashMap<AccountId, u64>>);

impl Closures {
    /// A person may no longer use a password: what it has earned does not come back when they may
    /// again.
    pub fn close(&self, account: &AccountId) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(account.clone()).or_default();
        *count = count.wrapping_add(1);
    }

    fn count(&self, account: &AccountId) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(account).copied().unwrap_or_default()
    }
}

/// The epoch of this account's password as the account is given; `None` without one.
#[must_use]
pub fn epoch(app: &App, account: &Account) -> Option<CredentialEpoch> {
    let hash = account.password_hash.as_ref()?;
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(LABEL);
    context.update(&app.closures.count(&account.id).to_be_bytes());
    // Salted anew for every password, also for the same one again.
    context.update(hash.as_phc().as_bytes());
    let digest = context.finish();
    let epoch = digest.as_ref().first_chunk::<16>()?;
    Some(CredentialEpoch(*epoch))
}

/// The epoch of an account as the directory has it now.
#[must_use]
pub fn epoch_now(app: &App, id: &AccountId) -> Option<CredentialEpoch> {
    let people = app.directory.load();
    epoch(app, people.by_id(id)?)
}
