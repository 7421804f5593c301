// SPDX-License-Identifier: MIT OR Apache-2.0
//! The help desk: an answer to a card's challenge, or a code with which the holder's program fetches the PUK.

use lanyard_authority::audit::{Action, AuditEntry};
use lanyard_authority::{Actor, CardCare, CardGuid, CardKeys};
use lanyard_directory::{EnrolCode, StoredCode};
use lanyard_fault::Fault;
use lanyard_piv::{DeskChallenge, DeskKey, DeskResponse, Guid};
use lanyard_store::{CardRecord, StoreError};
use lanyard_x509::Sid;
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};

use super::keys_of;
use crate::app::App;
use crate::problem::Problem;

/// How many answers one card gets in [`ANSWERS_WINDOW`].
pub const ANSWERS_MAX: u32 = 5;
/// The window in which answers are counted.
pub const ANSWERS_WINDOW: Duration = Duration::hours(24);
/// How long a code for a PUK is good.
pub const UNBLOCK_CODE_LIFETIME: Duration = Duration::hours(1);

/// Answers a card's challenge. Each answer is counted and written down; what the officer has checked before
/// stands in `checks`.
///
/// # Errors
/// When the card cannot be unblocked so, or was too often lately.
pub fn answer_challenge(
    app: &App,
    card: &CardRecord,
    challenge: &DeskChallenge,
    checks: &[String],
    by: &Actor,
    now: OffsetDateTime,
) -> Result<DeskResponse, Problem> {
    let keys = may_help(app, card, CardCare::Challenge)?;
    let guid = Guid::new(card.guid.0);
    let response = DeskKey::new(*keys.desk()).respond(guid, challenge);
    let mut details = described(card, checks);
    // The challenge is no secret; the response never stands anywhere.
    details.insert("challenge".into(), challenge.to_string().into());
    count_answer(app, card, details, by, now)?;
    Ok(response)
}

/// Makes the code with which the holder's program fetches the PUK, once, within the hour.
///
/// # Errors
/// As [`answer_challenge`].
pub fn make_unblock_code(
    app: &App,
    card: &CardRecord,
    code: &EnrolCode,
    salt: [u8; lanyard_directory::CODE_SALT_BYTES],
    checks: &[String],
    by: &Actor,
    now: OffsetDateTime,
) -> Result<OffsetDateTime, Problem> {
    may_help(app, card, CardCare::Puk)?;
    count_answer(app, card, described(card, checks), by, now)?;
    let mut stored = StoredCode::new(code, salt, now);
    stored.expires_at = now.saturating_add(UNBLOCK_CODE_LIFETIME);
    let expires_at = stored.expires_at;
    let (guid, holder) = (card.guid, card.holder.clone());
    app.store
        .write(move |tx| tx.put_unblock_code(&guid, &holder, &stored))
        .map_err(|error: StoreError| Problem::from(error))?;
    Ok(expires_at)
}

fn may_help(app: &App, card: &CardRecord, care: CardCare) -> Result<CardKeys, Problem> {
    if !card.state.may_be_unblocked() {
        return Err(Problem::with(
            Fault::CardStateRefused,
            format_args!("a card that is {} is not unblocked", card.state),
        ));
    }
    if card.care != care {
        let why = match card.care {
            CardCare::Own => "its holder keeps its PUK",
            CardCare::Challenge => "it is unblocked by its challenge: give --challenge",
            CardCare::Puk => "it shows no challenge: leave --challenge out",
        };
        return Err(Problem::with(Fault::DeskNotReady, why));
    }
    keys_of(app, card, 1).ok_or_else(|| Problem::new(Fault::AuthorityUnusable))
}

/// Counts an answer and writes it down, in one transaction, or refuses it.
fn count_answer(
    app: &App,
    card: &CardRecord,
    details: Map<String, Value>,
    by: &Actor,
    now: OffsetDateTime,
) -> Result<(), Problem> {
    let (guid, holder) = (card.guid, card.holder.clone());
    let entry = AuditEntry::new(now, by.clone(), Action::CardUnblocked, guid.to_string())
        .with_details(&details);
    let counted = app.store.write(move |tx| {
        let since = now.saturating_sub(ANSWERS_WINDOW);
        let before = tx.desk_answers_since(&guid, &holder, since)?;
        if before >= ANSWERS_MAX {
            return Ok::<_, StoreError>(false);
        }
        tx.note_desk_answer(&guid, &holder, now)?;
        tx.audit(&entry)?;
        Ok(true)
    });
    if counted? {
        return Ok(());
    }
    let hours = ANSWERS_WINDOW.whole_hours();
    let detail = format!("{ANSWERS_MAX} times in {hours} hours");
    Err(Problem::with(Fault::DeskTooMany, detail))
}

fn described(card: &CardRecord, checks: &[String]) -> Map<String, Value> {
    let mut details = Map::new();
    details.insert("account".into(), card.holder.as_str().into());
    details.insert("care".into(), card.care.as_str().into());
    details.insert("checks".into(), checks.to_vec().into());
    details
}

/// Why no PUK was given.
#[derive(Debug)]
pub enum PukRefused {
    /// The code is not good; which way is not told.
    Code,
    /// The server failed.
    Server(Problem),
}

impl From<StoreError> for PukRefused {
    fn from(error: StoreError) -> Self {
        Self::Server(error.into())
    }
}

/// The PUKs that may be on the card, the likeliest first, and the one that takes their place. They
/// leave the server for a good code alone, which is used up by it.
///
/// # Errors
/// When the code is not good, or the card is not looked after so.
pub fn fetch_puk(
    app: &App,
    guid: &CardGuid,
    holder: &Sid,
    code: &EnrolCode,
    now: OffsetDateTime,
) -> Result<(Vec<CardKeys>, CardKeys), PukRefused> {
    let (number, whose, tried) = (*guid, holder.clone(), code.clone());
    let judged = app.store.write(move |tx| {
        let verdict = tx.use_unblock_code(&number, &whose, &tried, now)?;
        let Some(mut card) = tx.card(&number, &whose)?.filter(|_| verdict.is_ok()) else {
            return Ok::<_, StoreError>(None);
        };
        let before = card.clone();
        card.puk_handed_out = card.puk_handed_out.saturating_add(1);
        tx.put_card(&card)?;
        Ok(Some(before))
    });
    let card = judged?.ok_or(PukRefused::Code)?;
    if card.care != CardCare::Puk || !card.state.may_be_unblocked() {
        return Err(PukRefused::Code);
    }
    // One that was handed out and not confirmed may be on the card already.
    let mut generations = vec![card.puk_handed_out];
    if card.puk_confirmed != card.puk_handed_out {
        generations.push(card.puk_confirmed);
    }
    let keys = |generation| {
        keys_of(app, &card, generation)
            .ok_or_else(|| PukRefused::Server(Problem::new(Fault::AuthorityUnusable)))
    };
    let present = generations
        .into_iter()
        .map(keys)
        .collect::<Result<_, _>>()?;
    Ok((present, keys(card.puk_handed_out.saturating_add(1))?))
}

/// Writes down that the PUK which was handed out last is on the card. The code that fetched it says who asks.
///
/// # Errors
/// When the code is not the one that was used, or the database fails.
pub fn confirm_puk(
    app: &App,
    guid: &CardGuid,
    holder: &Sid,
    code: &EnrolCode,
    now: OffsetDateTime,
) -> Result<(), PukRefused> {
    let (number, whose, tried) = (*guid, holder.clone(), code.clone());
    let done = app.store.write(move |tx| {
        // The right code, used before: anything else is not who fetched the PUK.
        let verdict = tx.use_unblock_code(&number, &whose, &tried, now)?;
        let fetched = verdict == Err(lanyard_directory::CodeRefused::Used);
        let Some(mut card) = tx.card(&number, &whose)?.filter(|_| fetched) else {
            return Ok::<_, StoreError>(false);
        };
        card.puk_confirmed = card.puk_handed_out;
        tx.put_card(&card)?;
        Ok(true)
    });
    if done? { Ok(()) } else { Err(PukRefused::Code) }
}
