// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying out a request: each verb in one place, each change with its audit row in one transaction.

use std::sync::{Arc, MutexGuard, PoisonError};

use lanyard_authority::Actor;
use lanyard_authority::audit::{Action, AuditEntry};
use lanyard_directory::{Account, SipAddress};
use lanyard_fault::Fault;
use lanyard_store::{ChangeError, Tx};
use time::OffsetDateTime;

use super::protocol::{Reply, Request};
use super::view::ServerView;
use super::{
    attestation, audit, card_life, cards, groups, listener_certificate, policy, sessions, stock,
    users, ways,
};
use crate::app::App;
use crate::problem::Problem;

/// Carries out a request for this administrator. What it changes is in force when it returns. Waits
/// for the disk: call it where that is allowed.
///
/// # Errors
/// What the administrator is told.
pub fn execute(app: &App, actor: &Actor, request: Request) -> Result<Reply, Problem> {
    let desk = Desk { app, actor };
    match request {
        Request::Ping => Ok(Reply::Server(desk.server())),
        Request::UserAdd(account) => users::add(&desk, account),
        Request::UserList => Ok(users::list(&desk)),
        Request::UserShow(address) => users::show(&desk, &address),
        Request::UserSet {
            address,
            change,
            photo,
        } => users::set(&desk, &address, change, &photo),
        Request::UserSetEnabled { address, enabled } => {
            users::set_enabled(&desk, &address, enabled)
        }
        Request::UserSetPassword { address, password } => {
            users::set_password(&desk, &address, &password)
        }
        Request::UserRemovePassword(address) => users::remove_password(&desk, &address),
        Request::UserEnrolCode(address) => users::enrol_code(&desk, &address),
        Request::UserImport { csv, dry_run } => users::import(&desk, &csv, dry_run),
        Request::GroupAdd(name) => groups::add(&desk, name),
        Request::GroupList => groups::list(&desk),
        Request::GroupAddMember { group, address } => {
            groups::set_member(&desk, &group, &address, groups::Membership::In)
        }
        Request::GroupRemoveMember { group, address } => {
            groups::set_member(&desk, &group, &address, groups::Membership::Out)
        }
        Request::PolicyShow { address, group } => policy::show(&desk, address, group),
        Request::PolicyVerify(address) => ways::verify(&desk, &address),
        Request::PolicySet {
            group,
            set,
            unset,
            dry_run,
        } => policy::set(
            &desk,
            policy::Change {
                group,
                set,
                unset,
                dry_run,
            },
        ),
        Request::CardList { address, blank } => cards::list(&desk, address.as_ref(), blank),
        Request::CardRegister {
            guid,
            kind,
            make,
            label,
        } => stock::register(&desk, &guid, kind, make.as_deref(), label.as_deref()),
        Request::CardEnd { card, reason } => cards::end(&desk, &card, reason),
        Request::CardShow { card } => card_life::show(&desk, &card),
        Request::CardFound { card } => card_life::found(&desk, &card),
        Request::CardDestroyed { card } => card_life::destroyed(&desk, &card),
        Request::CardRename { card, name } => card_life::rename(&desk, &card, &name),
        Request::CardUnblock {
            card,
            challenge,
            checks,
        } => card_life::unblock(&desk, &card, challenge.as_deref(), &checks),
        Request::CardRotateSecret => card_life::rotate_secret(&desk),
        Request::CardActivate { card } => cards::activate(&desk, &card),
        Request::SessionList { address } => sessions::list(&desk, address.as_ref()),
        Request::SessionEnd(id) => sessions::end(&desk, id),
        Request::SessionEndAll(address) => sessions::end_all(&desk, &address),
        Request::AuditShow { after, limit } => audit::show(&desk, after, limit),
        Request::AuditVerify => audit::verify(&desk),
        Request::Attestation(request) => attestation::carry_out(&desk, request),
        Request::CertificateRenew(names) => listener_certificate::renew(&desk, &names),
    }
}

/// One administrator at work.
pub(super) struct Desk<'a> {
    pub(super) app: &'a App,
    pub(super) actor: &'a Actor,
}

impl Desk<'_> {
    /// Waits until no other administrator changes anything.
    pub(super) fn change_lock(&self) -> MutexGuard<'_, ()> {
        self.app
            .changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change and its audit row durable together.
    pub(super) fn change<T: Send + 'static>(
        &self,
        audit: AuditEntry,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, ChangeError> + Send + 'static,
    ) -> Result<T, Problem> {
        let changed = self.app.store.write(move |tx| {
            let value = work(tx)?;
            tx.audit(&audit)?;
            Ok::<_, ChangeError>(value)
        });
        Ok(changed?)
    }

    /// A row for the audit trail. Details never hold a secret.
    pub(super) fn entry(
        &self,
        action: Action,
        subject: impl Into<String>,
        details: &[(&str, serde_json::Value)],
    ) -> AuditEntry {
        let details = details
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        AuditEntry::new(
            OffsetDateTime::now_utc(),
            self.actor.clone(),
            action,
            subject,
        )
        .with_details(&details)
    }

    /// The account with this address.
    pub(super) fn account(&self, address: &SipAddress) -> Result<Arc<Account>, Problem> {
        let snapshot = self.app.directory.load();
        snapshot.by_address(address).cloned().ok_or_else(|| {
            Problem::with(
                Fault::NotFound,
                format_args!("nobody has the address {address}"),
            )
        })
    }

    fn server(&self) -> ServerView {
        ServerView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            accounts: self.app.directory.load().len(),
            sessions: self.app.sessions().list().len(),
        }
    }
}
