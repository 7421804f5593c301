// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verbs on the stock: cards that are registered by their number and that nobody holds yet.

use lanyard_authority::audit::Action;
use lanyard_authority::{CardEvent, CardGuid, CardState};
use lanyard_directory::CardKind;
use lanyard_fault::Fault;
use lanyard_store::{BlankCard, CardChangeError};
use time::OffsetDateTime;

use super::execute::Desk;
use super::protocol::{CardLossReason, Reply};
use super::view::{CardLifeView, CardView};
use crate::federation::holder;
use crate::problem::Problem;

/// Puts a card into the stock. One whose certificates are withdrawn or over may come back to it.
pub(super) fn register(
    desk: &Desk<'_>,
    named: &str,
    kind: CardKind,
    make: Option<&str>,
    label: Option<&str>,
) -> Result<Reply, Problem> {
    let guid: CardGuid = named
        .trim()
        .parse()
        .map_err(|error| Problem::with(Fault::AdminInput, error))?;
    let words = |text: Option<&str>| {
        text.map_or(Ok(String::new()), holder::card_name)
            .map_err(Problem::new)
    };
    let (make, label) = (words(make)?, words(label)?);
    let kind = kind
        .to_string()
        .parse()
        .map_err(|error| Problem::with(Fault::AdminInput, error))?;
    let _lock = desk.change_lock();
    if desk.app.store.blank_card(&guid)?.is_some() {
        let detail = format_args!("card {guid} is registered already");
        return Err(Problem::with(Fault::AlreadyExists, detail));
    }
    let given_back = |state| matches!(state, CardState::Expired | CardState::Revoked);
    let known = desk.app.store.cards_numbered(&guid)?;
    if let Some(card) = known.iter().find(|card| !given_back(card.state)) {
        let detail = format_args!("card {guid} has a holder and is {}", card.state);
        return Err(Problem::with(Fault::CardStateRefused, detail));
    }
    let now = OffsetDateTime::now_utc();
    let card = BlankCard {
        guid,
        kind,
        make,
        label,
        state: CardState::Blank,
        registered_at: now,
        changed_at: now,
    };
    let details = [
        ("kind", card.kind.as_str().into()),
        ("make", card.make.clone().into()),
        ("name", card.label.clone().into()),
    ];
    let audit = desk.entry(Action::CardRegistered, guid.to_string(), &details);
    let written = card.clone();
    desk.change(audit, move |tx| Ok(tx.put_blank_card(&written)?))?;
    Ok(Reply::Card(view(&card)))
}

/// The stock.
pub(super) fn list(desk: &Desk<'_>) -> Result<Vec<CardView>, Problem> {
    Ok(desk.app.store.blank_cards()?.iter().map(view).collect())
}

/// The card in the stock that an administrator means by its number.
pub(super) fn find(desk: &Desk<'_>, named: &str) -> Result<Option<BlankCard>, Problem> {
    match named.trim().parse::<CardGuid>() {
        Ok(guid) => Ok(desk.app.store.blank_card(&guid)?),
        Err(_) => Ok(None),
    }
}

/// A card of the stock is out before anybody had it.
pub(super) fn end(
    desk: &Desk<'_>,
    card: BlankCard,
    reason: CardLossReason,
) -> Result<Reply, Problem> {
    let (event, action) = match reason {
        CardLossReason::Lost => (CardEvent::ReportLost, Action::CardLost),
        CardLossReason::Damaged => (CardEvent::ReportDamaged, Action::CardDamaged),
        CardLossReason::Compromised | CardLossReason::Replaced | CardLossReason::NoLongerNeeded => {
            (CardEvent::Revoke, Action::CardRevoked)
        }
    };
    happens(desk, card, event, action)
}

/// Lets an event happen to a card of the stock.
pub(super) fn happens(
    desk: &Desk<'_>,
    card: BlankCard,
    event: CardEvent,
    action: Action,
) -> Result<Reply, Problem> {
    let _lock = desk.change_lock();
    let guid = card.guid;
    let audit = desk.entry(action, guid.to_string(), &[]);
    let now = OffsetDateTime::now_utc();
    let changed = desk.app.store.write(move |tx| {
        // Somebody may have enrolled it meanwhile.
        let mut card = tx.blank_card(&guid)?.ok_or(CardChangeError::Unknown)?;
        card.state = card.state.after(event)?;
        card.changed_at = now;
        tx.put_blank_card(&card)?;
        tx.audit(&audit)?;
        Ok::<_, CardChangeError>(card)
    });
    let card = changed.map_err(super::card_life::problem)?;
    Ok(Reply::Card(view(&card)))
}

/// A card of the stock as administrators see it.
pub(super) fn view(card: &BlankCard) -> CardView {
    CardView {
        guid: card.guid.to_string(),
        kind: card.kind.as_str().parse().ok(),
        account: None,
        address: None,
        status: card.state.to_string(),
        status_text: match card.state {
            CardState::Blank => "in stock; its enrolment takes it from there",
            CardState::Revoked => "in stock; it may be enrolled again",
            _ => "out before anybody held it",
        }
        .to_owned(),
        not_after: None,
        certificates: Vec::new(),
        life: Some(CardLifeView {
            state: card.state.to_string(),
            name: card.label.clone(),
            make: card.make.clone(),
            computer: String::new(),
            care: String::new(),
            secret_version: None,
            enrolled_at: card.registered_at,
            changed_at: card.changed_at,
            last_used_at: None,
        }),
    }
}
