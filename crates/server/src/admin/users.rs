// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verbs on people.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_authority::audit::Action;
use lanyard_directory::{
    Account, AccountChange, EnrolCode, NewAccount, Password, PasswordHash, SipAddress, Snapshot,
    StoredCode, check_text, parse_import,
};
use lanyard_fault::Fault;
use lanyard_store::ChangeError;
use time::OffsetDateTime;

use super::execute::Desk;
use super::protocol::{PhotoWish, Reply, SecretText};
use super::view::{CodeView, ImportView, UserEnd, UserView};
use crate::photo;
use crate::problem::Problem;
use crate::sessions::{SessionEnd, SessionSelector};

/// How many faults of an import file are shown.
const IMPORT_FAULTS_SHOWN_MAX: usize = 20;

pub(super) fn add(desk: &Desk<'_>, account: NewAccount) -> Result<Reply, Problem> {
    let account = checked(desk, account)?;
    let _lock = desk.change_lock();
    let audit = desk.entry(
        Action::UserAdded,
        account.sip_address.as_str(),
        &[
            ("upn", account.upn.as_str().into()),
            ("email", account.email.as_str().into()),
            ("groups", names(&account)),
        ],
    );
    let made = desk.change(audit, move |tx| {
        tx.add_account(&account, OffsetDateTime::now_utc())
    })?;
    desk.app
        .directory
        .change(|next| next.put_account(made.clone()));
    Ok(Reply::User(view(&desk.app.directory.load(), &made)))
}

pub(super) fn list(desk: &Desk<'_>) -> Reply {
    let snapshot = desk.app.directory.load();
    let mut users: Vec<UserView> = snapshot
        .accounts()
        .map(|account| view(&snapshot, account))
        .collect();
    users.sort_by(|one, other| one.address.cmp(&other.address));
    Reply::Users(users)
}

pub(super) fn show(desk: &Desk<'_>, address: &SipAddress) -> Result<Reply, Problem> {
    let account = desk.account(address)?;
    Ok(Reply::User(view(&desk.app.directory.load(), &account)))
}

pub(super) fn set(
    desk: &Desk<'_>,
    address: &SipAddress,
    change: AccountChange,
    photo: &PhotoWish,
) -> Result<Reply, Problem> {
    let change = checked_change(change)?;
    let jpeg = match photo {
        PhotoWish::Keep | PhotoWish::Remove => None,
        PhotoWish::Set(file) => Some(picture(file)?),
    };
    if change.is_empty() && *photo == PhotoWish::Keep {
        return Err(Problem::with(Fault::AdminInput, "nothing to set was given"));
    }
    let _lock = desk.change_lock();
    let account = desk.account(address)?;
    // Which fields, not what they say: the trail is kept for ever, telephone numbers need not be.
    let fields: Vec<&str> = [
        ("name", change.display_name.is_some()),
        ("email", change.email.is_some()),
        ("title", change.title.is_some()),
        ("phone", change.phone.is_some()),
        ("photo", *photo != PhotoWish::Keep),
    ]
    .into_iter()
    .filter_map(|(field, is_changed)| is_changed.then_some(field))
    .collect();
    let audit = desk.entry(
        Action::UserChanged,
        address.as_str(),
        &[("fields", fields.into())],
    );
    let (id, removes) = (account.id.clone(), *photo == PhotoWish::Remove);
    let changed = desk.change(audit, move |tx| {
        let mut changed = tx.change_account(&id, &change)?;
        if jpeg.is_some() || removes {
            changed = tx.set_photo(&id, jpeg.as_deref(), OffsetDateTime::now_utc())?;
        }
        Ok(changed)
    })?;
    desk.app
        .directory
        .change(|next| next.put_account(changed.clone()));
    desk.app.sessions().person_changed(address);
    Ok(Reply::User(view(&desk.app.directory.load(), &changed)))
}

/// The picture as it will be stored.
fn picture(file: &str) -> Result<Vec<u8>, Problem> {
    let bytes = STANDARD
        .decode(file)
        .map_err(|error| Problem::with(Fault::AdminProtocol, error))?;
    photo::normalise(&bytes).map_err(|error| Problem::with(Fault::PhotoRefused, error))
}

fn checked_change(mut change: AccountChange) -> Result<AccountChange, Problem> {
    if let Some(name) = &mut change.display_name {
        *name = checked_text("the name", name)?;
    }
    for (what, text) in [
        ("the title", &mut change.title),
        ("the telephone number", &mut change.phone),
    ] {
        if let Some(Some(text)) = text {
            *text = checked_text(what, text)?;
        }
    }
    Ok(change)
}

pub(super) fn set_enabled(
    desk: &Desk<'_>,
    address: &SipAddress,
    enabled: bool,
) -> Result<Reply, Problem> {
    let _lock = desk.change_lock();
    let account = desk.account(address)?;
    let id = account.id.clone();
    let changed = if account.enabled == enabled {
        Account::clone(&account)
    } else {
        let action = if enabled {
            Action::UserEnabled
        } else {
            Action::UserDisabled
        };
        let audit = desk.entry(action, address.as_str(), &[]);
        let changed = desk.change(audit, move |tx| tx.set_enabled(&id, enabled))?;
        desk.app
            .directory
            .change(|next| next.put_account(changed.clone()));
        changed
    };
    // Also when nothing changed: who repeats the command wants to be sure.
    let sessions_ended = if enabled {
        0
    } else {
        let whose = SessionSelector::Account(changed.id.clone());
        desk.app.sessions().end(&whose, SessionEnd::AccountDisabled)
    };
    desk.app.sessions().person_changed(address);
    let user = view(&desk.app.directory.load(), &changed);
    Ok(Reply::UserEnd(UserEnd {
        user,
        sessions_ended,
    }))
}

pub(super) fn set_password(
    desk: &Desk<'_>,
    address: &SipAddress,
    password: &SecretText,
) -> Result<Reply, Problem> {
    let account = desk.account(address)?;
    let password = Password::chosen(password.reveal().to_owned())
        .map_err(|error| Problem::with(Fault::AdminInput, error))?;
    // Outside of the lock: a good hash takes a while.
    let hash = PasswordHash::new(&password, random()?)
        .map_err(|error| Problem::with(Fault::ServerInternal, error))?;
    let _lock = desk.change_lock();
    let audit = desk.entry(Action::PasswordSet, address.as_str(), &[]);
    let id = account.id.clone();
    let changed = desk.change(audit, move |tx| tx.set_password(&id, &hash))?;
    desk.app
        .directory
        .change(|next| next.put_account(changed.clone()));
    let why = SessionEnd::PasswordChanged;
    super::ways::withdraw_password_certificates(desk, &changed, why)?;
    Ok(Reply::User(view(&desk.app.directory.load(), &changed)))
}

pub(super) fn remove_password(desk: &Desk<'_>, address: &SipAddress) -> Result<Reply, Problem> {
    let _lock = desk.change_lock();
    let account = desk.account(address)?;
    let audit = desk.entry(
        Action::PasswordSet,
        address.as_str(),
        &[("removed", true.into())],
    );
    let id = account.id.clone();
    let changed = desk.change(audit, move |tx| tx.remove_password(&id))?;
    desk.app
        .directory
        .change(|next| next.put_account(changed.clone()));
    let why = SessionEnd::PasswordChanged;
    super::ways::withdraw_password_certificates(desk, &changed, why)?;
    Ok(Reply::User(view(&desk.app.directory.load(), &changed)))
}

pub(super) fn enrol_code(desk: &Desk<'_>, address: &SipAddress) -> Result<Reply, Problem> {
    let account = desk.account(address)?;
    if !account.enabled {
        return Err(Problem::with(Fault::AccountDisabled, address));
    }
    let code = EnrolCode::from_random(random()?);
    let stored = StoredCode::new(&code, random()?, OffsetDateTime::now_utc());
    let expires_at = stored.expires_at;
    let _lock = desk.change_lock();
    let audit = desk.entry(
        Action::EnrolmentCodeMade,
        address.as_str(),
        &[("expires_at", expires_at.unix_timestamp().into())],
    );
    let id = account.id.clone();
    let made_by = desk.actor.clone();
    desk.change(audit, move |tx| Ok(tx.put_code(&id, &stored, &made_by)?))?;
    Ok(Reply::Code(CodeView {
        address: address.clone(),
        code: code.reveal(),
        expires_at,
    }))
}

pub(super) fn import(desk: &Desk<'_>, csv: &str, dry_run: bool) -> Result<Reply, Problem> {
    let faulty = |faults: Vec<String>| {
        let more = faults.len().saturating_sub(IMPORT_FAULTS_SHOWN_MAX);
        let mut shown: Vec<String> = faults.into_iter().take(IMPORT_FAULTS_SHOWN_MAX).collect();
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        Problem::with(Fault::AdminInput, shown.join("; "))
    };
    let rows = parse_import(csv.as_bytes())
        .map_err(|faults| faulty(faults.iter().map(ToString::to_string).collect()))?;

    let _lock = desk.change_lock();
    let snapshot = desk.app.directory.load();
    let mut faults = Vec::new();
    let mut accounts = Vec::new();
    for row in rows {
        let line = row.line;
        let new = row.account;
        let fault = if !snapshot.serves(&new.sip_address.domain()) {
            Some(format!(
                "the domain of {} does not live here",
                new.sip_address
            ))
        } else if snapshot.by_address(&new.sip_address).is_some() {
            Some(format!("the sign-in address {} is taken", new.sip_address))
        } else if snapshot.by_upn(&new.upn).is_some() {
            Some(format!("the principal name {} is taken", new.upn))
        } else {
            let unknown = |group: &&_| snapshot.group_policy(group).is_none();
            new.groups
                .iter()
                .find(unknown)
                .map(|group| format!("there is no group {group}"))
        };
        match fault {
            Some(fault) => faults.push(format!("line {line}: {fault}")),
            None => accounts.push(new),
        }
    }
    if !faults.is_empty() {
        return Err(faulty(faults));
    }

    let added: Vec<SipAddress> = accounts
        .iter()
        .map(|account| account.sip_address.clone())
        .collect();
    if !dry_run && !accounts.is_empty() {
        let made = write_import(desk, accounts)?;
        desk.app.directory.change(|next| {
            made.iter()
                .for_each(|account| next.put_account(account.clone()));
        });
    }
    Ok(Reply::Import(ImportView { dry_run, added }))
}

/// All accounts in one transaction, each with its own audit row, and one for the whole.
fn write_import(desk: &Desk<'_>, accounts: Vec<NewAccount>) -> Result<Vec<Account>, Problem> {
    let summary = desk.entry(
        Action::UsersImported,
        "import",
        &[("people", accounts.len().into())],
    );
    let entries: Vec<_> = accounts
        .iter()
        .map(|account| {
            let details = [
                ("upn", account.upn.as_str().into()),
                ("groups", names(account)),
            ];
            desk.entry(Action::UserAdded, account.sip_address.as_str(), &details)
        })
        .collect();
    desk.change(summary, move |tx| {
        let now = OffsetDateTime::now_utc();
        let mut made = Vec::with_capacity(accounts.len());
        for (account, entry) in accounts.iter().zip(&entries) {
            made.push(tx.add_account(account, now)?);
            tx.audit(entry)?;
        }
        Ok::<_, ChangeError>(made)
    })
}

pub(super) fn view(snapshot: &Snapshot, account: &Account) -> UserView {
    UserView {
        id: account.id.clone(),
        address: account.sip_address.clone(),
        upn: account.upn.to_string(),
        email: account.email.to_string(),
        name: account.display_name.clone(),
        title: account.title.clone(),
        phone: account.phone.clone(),
        photo: account.photo.clone(),
        enabled: account.enabled,
        groups: account.groups.clone(),
        has_password: account.password_hash.is_some(),
        policy: snapshot.policy_of(account),
        created_at: account.created_at,
    }
}

/// The account with its texts checked, in a domain that lives here.
fn checked(desk: &Desk<'_>, mut account: NewAccount) -> Result<NewAccount, Problem> {
    let domain = account.sip_address.domain();
    let snapshot = desk.app.directory.load();
    if !snapshot.serves(&domain) {
        let here: Vec<&str> = snapshot
            .domains()
            .iter()
            .map(|domain| domain.as_str())
            .collect();
        return Err(Problem::with(
            Fault::AdminInput,
            format_args!(
                "the domain {domain} does not live here, only {}",
                here.join(", ")
            ),
        ));
    }
    account.display_name = checked_text("the name", &account.display_name)?;
    account.title = account
        .title
        .map(|title| checked_text("the title", &title))
        .transpose()?;
    account.phone = account
        .phone
        .map(|phone| checked_text("the telephone number", &phone))
        .transpose()?;
    account.groups.sort();
    account.groups.dedup();
    Ok(account)
}

fn checked_text(what: &str, text: &str) -> Result<String, Problem> {
    check_text(text)
        .map_err(|error| Problem::with(Fault::AdminInput, format_args!("{what}: {error}")))
}

fn names(account: &NewAccount) -> serde_json::Value {
    account
        .groups
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .into()
}

fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Problem::with(Fault::ServerInternal, "the system gives no random bytes"))?;
    Ok(bytes)
}
