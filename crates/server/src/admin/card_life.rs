// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verbs on the life of cards.

use aws_lc_rs::rand;
use lanyard_authority::audit::{Action, AuditEntry, AuditLog};
use lanyard_authority::{CardCare, CardEvent, CardState, Status};
use lanyard_directory::EnrolCode;
use lanyard_fault::Fault;
use lanyard_piv::DeskChallenge;
use lanyard_store::{CardChangeError, CardRecord};
use time::OffsetDateTime;

use super::cards::{Card, find, view};
use super::execute::Desk;
use super::protocol::{IdentityCheck, Reply};
use super::stock;
use super::view::{CardLifeView, UnblockView};
use crate::card_life;
use crate::federation::holder;
use crate::problem::Problem;

/// How many ways of making sure who is asking the desk wants.
pub const CHECKS_MIN: usize = 2;

/// The record of a card.
pub(super) fn record(desk: &Desk<'_>, card: &Card) -> Result<Option<CardRecord>, Problem> {
    match &card.account {
        Some(holder) => Ok(desk.app.store.card(&card.guid, holder)?),
        None => Ok(None),
    }
}

pub(super) fn life(record: &CardRecord) -> CardLifeView {
    CardLifeView {
        state: record.state.to_string(),
        name: record.label.clone(),
        make: record.make.clone(),
        computer: record.computer.clone(),
        care: record.care.as_str().to_owned(),
        secret_version: record.secret_version,
        enrolled_at: record.enrolled_at,
        changed_at: record.changed_at,
        last_used_at: record.last_used_at,
    }
}

/// Lets an event happen to a card, with its audit row, in one transaction. A card that was never written down
/// is, by it.
pub(super) fn event(
    desk: &Desk<'_>,
    card: &Card,
    event: CardEvent,
    audit: AuditEntry,
) -> Result<(), Problem> {
    let now = OffsetDateTime::now_utc();
    let unwritten = unwritten(card, now);
    let (guid, holder) = (card.guid, card.account.clone());
    let done = desk.app.store.write(move |tx| {
        if let Some(holder) = holder {
            match tx.card_event(&guid, &holder, event, now) {
                Err(CardChangeError::Unknown) => {
                    if let Some(record) = unwritten {
                        tx.put_card(&record)?;
                        tx.card_event(&guid, &holder, event, now)?;
                    }
                }
                other => drop(other?),
            }
        }
        tx.audit(&audit)?;
        Ok::<_, CardChangeError>(())
    });
    done.map_err(problem)
}

/// A record for a card that has certificates only.
fn unwritten(card: &Card, now: OffsetDateTime) -> Option<CardRecord> {
    let newest = card.sign_in()?;
    let state = match newest.status {
        Status::Active => CardState::Active,
        Status::Issued => CardState::Enrolled,
        Status::Revoked => CardState::Revoked,
        Status::Prepared => CardState::Blank,
    };
    Some(CardRecord {
        guid: card.guid,
        holder: card.account.clone()?,
        kind: newest.card_kind?,
        make: String::new(),
        label: String::new(),
        computer: String::new(),
        state,
        care: CardCare::Own,
        secret_version: None,
        puk_confirmed: 0,
        puk_handed_out: 0,
        renewed: None,
        enrolled_at: newest.prepared_at,
        changed_at: now,
        last_used_at: None,
    })
}

/// After a card's certificates came into force.
pub(super) fn activated(desk: &Desk<'_>, card: &Card) -> Result<(), Problem> {
    let Some(holder) = card.account.clone() else {
        return Ok(());
    };
    let (guid, now) = (card.guid, OffsetDateTime::now_utc());
    let changed = desk.app.store.write(move |tx| {
        match tx.card_event(&guid, &holder, CardEvent::Activate, now) {
            Err(CardChangeError::Unknown) => Ok(()),
            other => other.map(drop),
        }
    });
    changed.map_err(problem)
}

pub(super) fn show(desk: &Desk<'_>, named: &str) -> Result<Reply, Problem> {
    if let Some(blank) = stock::find(desk, named)? {
        return Ok(Reply::Card(stock::view(&blank)));
    }
    shown(desk, &find(desk, named)?)
}

fn shown(desk: &Desk<'_>, card: &Card) -> Result<Reply, Problem> {
    let card = card.again(desk)?;
    let snapshot = desk.app.directory.load();
    Ok(Reply::Card(view(desk, &snapshot, &card)?))
}

pub(super) fn found(desk: &Desk<'_>, named: &str) -> Result<Reply, Problem> {
    happens(desk, named, CardEvent::Find, Action::CardFound)
}

pub(super) fn destroyed(desk: &Desk<'_>, named: &str) -> Result<Reply, Problem> {
    happens(desk, named, CardEvent::Destroy, Action::CardDestroyed)
}

fn happens(
    desk: &Desk<'_>,
    named: &str,
    what: CardEvent,
    action: Action,
) -> Result<Reply, Problem> {
    if let Some(blank) = stock::find(desk, named)? {
        return stock::happens(desk, blank, what, action);
    }
    let card = find(desk, named)?;
    let _lock = desk.change_lock();
    let details = [("account", card.account().into())];
    let audit = desk.entry(action, card.guid.to_string(), &details);
    event(desk, &card, what, audit)?;
    shown(desk, &card)
}

pub(super) fn rename(desk: &Desk<'_>, named: &str, name: &str) -> Result<Reply, Problem> {
    let card = find(desk, named)?;
    let label = holder::card_name(name).map_err(Problem::new)?;
    let _lock = desk.change_lock();
    let record = record(desk, &card)?.ok_or_else(unknown)?;
    holder::rename(desk.app, desk.actor.clone(), &record, label).map_err(Problem::new)?;
    shown(desk, &card)
}

pub(super) fn unblock(
    desk: &Desk<'_>,
    named: &str,
    challenge: Option<&str>,
    checks: &[IdentityCheck],
) -> Result<Reply, Problem> {
    let card = find(desk, named)?;
    let record = record(desk, &card)?.ok_or_else(unknown)?;
    let mut words: Vec<String> = checks.iter().map(|check| check.word().to_owned()).collect();
    words.sort();
    words.dedup();
    let refuse = |problem: Problem| note_refusal(desk, &card, &words, problem);
    if words.len() < CHECKS_MIN {
        let detail = format!("{} of {CHECKS_MIN} checks were made", words.len());
        return Err(refuse(Problem::with(Fault::DeskIdentityUnchecked, detail)));
    }
    let snapshot = desk.app.directory.load();
    let holder = record.holder.as_str().parse().ok();
    let account = holder.and_then(|id| snapshot.by_id(&id).cloned());
    if account.is_none_or(|account| !account.enabled) {
        return Err(refuse(Problem::new(Fault::AccountDisabled)));
    }
    let challenge = challenge
        .map(str::parse::<DeskChallenge>)
        .transpose()
        .map_err(|error| Problem::with(Fault::DeskChallengeMalformed, error))?;
    let now = OffsetDateTime::now_utc();
    let app = desk.app;
    let mut answer = UnblockView {
        card: card.guid.to_string(),
        address: view(desk, &snapshot, &card)?.address,
        response: None,
        code: None,
        expires_at: None,
    };
    match challenge {
        Some(challenge) => {
            let answered =
                card_life::answer_challenge(app, &record, &challenge, &words, desk.actor, now)
                    .map_err(refuse)?;
            answer.response = Some(answered.reveal().to_string());
        }
        None => {
            let code = EnrolCode::from_random(random()?);
            let salt = random()?;
            let made =
                card_life::make_unblock_code(app, &record, &code, salt, &words, desk.actor, now);
            answer.expires_at = Some(made.map_err(refuse)?);
            answer.code = Some(code.reveal());
        }
    }
    tracing::info!(card = %card.guid, "the desk allowed an unblocking");
    Ok(Reply::Unblock(answer))
}

/// A refusal is worth a row: somebody asked for a card that is not theirs, or too often.
fn note_refusal(desk: &Desk<'_>, card: &Card, checks: &[String], problem: Problem) -> Problem {
    let details = [
        ("account", card.account().into()),
        ("checks", checks.to_vec().into()),
        ("code", problem.fault().code().into()),
    ];
    let entry = desk.entry(Action::CardUnblockRefused, card.guid.to_string(), &details);
    if let Err(error) = desk.app.store.append(&entry) {
        tracing::error!(%error, "the audit trail could not be written");
    }
    problem
}

pub(super) fn rotate_secret(desk: &Desk<'_>) -> Result<Reply, Problem> {
    let _lock = desk.change_lock();
    let now = desk.app.card_secrets.load_full();
    let next = card_life::rotate_secrets(&desk.app.data, &now)?;
    let version = next.current();
    desk.app.card_secrets.store(std::sync::Arc::new(next));
    let details = [("version", version.into())];
    let entry = desk.entry(Action::CardSecretRotated, "card-secret", &details);
    desk.app
        .store
        .append(&entry)
        .map_err(super::audit::problem)?;
    Ok(Reply::CardSecret(version))
}

fn unknown() -> Problem {
    Problem::with(Fault::NotFound, "nothing is written down about this card")
}

pub(super) fn problem(error: CardChangeError) -> Problem {
    match error {
        CardChangeError::Illegal(illegal) => Problem::with(Fault::CardStateRefused, illegal),
        CardChangeError::Store(error) => error.into(),
        other => Problem::with(Fault::NotFound, other),
    }
}

fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes)
        .map_err(|_| Problem::with(Fault::ServerInternal, "the system gives no random bytes"))?;
    Ok(bytes)
}
