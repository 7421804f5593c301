// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens to cards in this server: enrolment writes them down, their keys are derived, the desk answers.
//!
//! A card is its number together with its holder, because the number is what a request claims.

mod desk;
mod renewal;
mod secrets;

pub use desk::{PukRefused, answer_challenge, confirm_puk, fetch_puk, make_unblock_code};
pub use renewal::{Renewal, keys_for_renewal, renew, renewed};
pub use secrets::{open_secrets, rotate_secrets};

use lanyard_authority::audit::{Action, AuditEntry};
use lanyard_authority::{
    Actor, Card, CardCare, CardEvent, CardGuid, CardKeys, CardState, CertificateRow,
    IllegalTransition,
};
use lanyard_directory::AccountId;
use lanyard_enrol::{CardBefore, DeskError, EnrolmentOrder, HandedOut};
use lanyard_store::{CardChangeError, CardRecord, StoreError, Tx};
use lanyard_x509::Sid;
use time::OffsetDateTime;

use crate::app::App;

/// The generation of the PUK that an enrolment puts on a card.
const PUK_FIRST: u32 = 1;

/// The keys of a card that is known.
pub fn keys_of(app: &App, card: &CardRecord, puk_generation: u32) -> Option<CardKeys> {
    let version = card.secret_version?;
    let secrets = app.card_secrets.load();
    match secrets.keys(version, &card.guid, &card.holder, puk_generation) {
        Ok(keys) => Some(keys),
        Err(error) => {
            tracing::error!(%error, card = %card.guid, "the keys of a card cannot be derived");
            None
        }
    }
}

/// Where the card of a certificate stands.
pub fn state_of(app: &App, row: &CertificateRow) -> Result<Option<CardState>, StoreError> {
    let (Some(guid), Some(holder)) = (&row.card_guid, &row.account) else {
        return Ok(None);
    };
    Ok(app.store.card(guid, holder)?.map(|card| card.state))
}

/// Notes that somebody has signed in with the card of a certificate. It is worth no failure.
pub fn used(app: &App, row: &CertificateRow, now: OffsetDateTime) {
    let (Some(guid), Some(holder)) = (row.card_guid, row.account.clone()) else {
        return;
    };
    // Nobody waits for it: a sign-in must not cost a write of its own.
    let warn = |error: StoreError| tracing::warn!(%error, "the use of a card could not be noted");
    let work = move |tx: &mut Tx<'_>| tx.card_used(&guid, &holder, now);
    let noted = app
        .store
        .submit(work, move |done| done.unwrap_or_else(warn));
    noted.unwrap_or_else(warn);
}

/// Writes down which cards' certificates are over.
///
/// # Errors
/// When the database fails.
pub fn expire_due(app: &App, now: OffsetDateTime) -> Result<usize, StoreError> {
    let expired = app.store.write(move |tx| tx.expire_cards(now))?;
    if expired > 0 {
        tracing::info!(expired, "cards whose certificates are over");
    }
    Ok(expired)
}

/// What is known of a card before it is enrolled, and whether it may be.
pub fn before_enrolment(
    app: &App,
    account: &AccountId,
    card: Card,
) -> Result<CardBefore, DeskError> {
    let holder = sid(account)?;
    // Nobody held it yet, and still it may be out of force.
    if let Some(blank) = app.store.blank_card(&card.guid).map_err(storage)? {
        let enrolled = blank.state.after(CardEvent::Enrol);
        enrolled.map_err(|_| DeskError::CardState)?;
    }
    let Some(known) = app.store.card(&card.guid, &holder).map_err(storage)? else {
        return Ok(CardBefore::default());
    };
    known
        .state
        .after(CardEvent::Enrol)
        .map_err(|_| DeskError::CardState)?;
    let version = known.secret_version.unwrap_or_default();
    let keys = keys_of(app, &known, known.puk_confirmed.max(PUK_FIRST));
    Ok(CardBefore {
        keys: keys.map(|keys| HandedOut {
            version,
            care: known.care,
            keys,
        }),
    })
}

/// Writes down that a card is being enrolled: before its certificates are, so that none is issued for a card
/// whose state forbids it.
pub fn enrolled(
    app: &App,
    holder: &Sid,
    order: &EnrolmentOrder,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let secret_version = (order.care != CardCare::Own).then(|| app.card_secrets.load().current());
    let puk = if order.care == CardCare::Puk {
        PUK_FIRST
    } else {
        0
    };
    let new = CardRecord {
        guid: order.card.guid,
        holder: holder.clone(),
        kind: order.card.kind,
        make: order.make.clone(),
        label: order.label.clone(),
        computer: order.computer.clone(),
        state: CardState::Blank,
        care: order.care,
        secret_version,
        puk_confirmed: puk,
        puk_handed_out: puk,
        renewed: None,
        enrolled_at: now,
        changed_at: now,
        last_used_at: None,
    };
    let written = app.store.write(move |tx| {
        let before = tx.card(&new.guid, &new.holder)?;
        let state = before.as_ref().map_or(CardState::Blank, |card| card.state);
        let mut card = CardRecord {
            state: state.after(CardEvent::Enrol)?,
            ..new
        };
        if let Some(before) = before {
            card.last_used_at = before.last_used_at;
            // Its PUK is on it already, and only whoever knows it could replace it.
            if (before.care, card.care) == (CardCare::Puk, CardCare::Puk) {
                card.secret_version = before.secret_version;
                card.puk_confirmed = before.puk_confirmed;
                card.puk_handed_out = before.puk_handed_out;
            }
        }
        out_of_the_stock(tx, &mut card)?;
        tx.put_card(&card)?;
        Ok::<_, CardChangeError>(())
    });
    written.map_err(|error| match error {
        CardChangeError::Illegal(IllegalTransition { .. }) => DeskError::CardState,
        CardChangeError::Store(error) => storage(error),
        _ => DeskError::Authority,
    })
}

/// A card that was registered as blank is its holder's from now on, with the make and the name that it has there.
fn out_of_the_stock(tx: &mut Tx<'_>, card: &mut CardRecord) -> Result<(), CardChangeError> {
    let Some(blank) = tx.blank_card(&card.guid)? else {
        return Ok(());
    };
    blank.state.after(CardEvent::Enrol)?;
    // A card of another kind only claims the number; the one in the stock stays there.
    if blank.kind != card.kind {
        return Ok(());
    }
    for (kept, told) in [(blank.make, &mut card.make), (blank.label, &mut card.label)] {
        if !kept.is_empty() {
            *told = kept;
        }
    }
    Ok(tx.take_blank_card(&card.guid)?)
}

/// Writes down that a card came into force.
pub fn activated(
    app: &App,
    holder: &Sid,
    guid: &CardGuid,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let (holder, guid) = (holder.clone(), *guid);
    let changed = app
        .store
        .write(move |tx| tx.card_event(&guid, &holder, CardEvent::Activate, now));
    changed.map(drop).map_err(|error| {
        tracing::error!(%error, "a card could not be put in force");
        DeskError::CardState
    })
}

/// The keys for a card that was just enrolled, with the row that says that they left the server.
pub fn hand_out(
    app: &App,
    account: &AccountId,
    card: Card,
    now: OffsetDateTime,
) -> Result<Option<HandedOut>, DeskError> {
    let holder = sid(account)?;
    let known = app.store.card(&card.guid, &holder).map_err(storage)?;
    let Some(known) = known.filter(|known| known.care != CardCare::Own) else {
        return Ok(None);
    };
    let generation = known.puk_confirmed.max(PUK_FIRST);
    let keys = keys_of(app, &known, generation).ok_or(DeskError::Authority)?;
    let version = known.secret_version.unwrap_or_default();
    let mut details = serde_json::Map::new();
    details.insert("account".into(), holder.as_str().into());
    details.insert("care".into(), known.care.as_str().into());
    details.insert("secret_version".into(), version.into());
    let entry = AuditEntry::new(
        now,
        Actor::Person(holder),
        Action::CardKeysHandedOut,
        card.guid.to_string(),
    )
    .with_details(&details);
    let written = app.store.write(move |tx| tx.audit(&entry).map(drop));
    written.map_err(storage)?;
    Ok(Some(HandedOut {
        version,
        care: known.care,
        keys,
    }))
}

fn sid(account: &AccountId) -> Result<Sid, DeskError> {
    account.as_str().parse().map_err(|_| DeskError::Authority)
}

fn storage(error: StoreError) -> DeskError {
    DeskError::Storage(error.into())
}
