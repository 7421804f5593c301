// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards and what happens to them; the codes and answers of the help desk.

use lanyard_authority::{
    CardCare, CardEvent, CardGuid, CardKind, CardSecretVersion, CardState, IllegalTransition,
};
use lanyard_directory::{CodeRefused, CodeVerdict, EnrolCode, StoredCode};
use lanyard_x509::{Serial, Sid};
use rusqlite::{Connection, params};
use time::{Duration, OffsetDateTime};

use crate::value::{Fields, nanos, query_all, query_one};
use crate::{Store, StoreError, Tx};

/// A card whose state changed less than this ago is not looked at for expiry.
const EXPIRE_AFTER: Duration = Duration::hours(1);

/// A card of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardRecord {
    /// Its number, as its enrolment has claimed it.
    pub guid: CardGuid,
    /// Whose card it is.
    pub holder: Sid,
    /// What it is made of.
    pub kind: CardKind,
    /// Its make, as far as the enrolling program knew it; empty otherwise.
    pub make: String,
    /// Its name.
    pub label: String,
    /// The computer that it was enrolled on.
    pub computer: String,
    /// Where it stands.
    pub state: CardState,
    /// Who unblocks it.
    pub care: CardCare,
    /// The secret that its keys come from; none for a card that nobody manages.
    pub secret_version: Option<CardSecretVersion>,
    /// The generation of its PUK that is known to be on it.
    pub puk_confirmed: u32,
    /// The generation that was handed out last.
    pub puk_handed_out: u32,
    /// A renewed certificate that was not used yet.
    pub renewed: Option<Serial>,
    /// When it was enrolled first.
    pub enrolled_at: OffsetDateTime,
    /// When its state changed last.
    pub changed_at: OffsetDateTime,
    /// When somebody signed in with it last.
    pub last_used_at: Option<OffsetDateTime>,
}

/// Why a card was not changed.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum CardChangeError {
    /// There is no such card.
    #[error("there is no such card")]
    Unknown,
    /// Its state does not allow it.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// The card of this number and holder.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn card(&self, guid: &CardGuid, holder: &Sid) -> Result<Option<CardRecord>, StoreError> {
        self.read(|connection| find(connection, guid, holder))
    }

    /// All cards, or those of one holder, those enrolled last first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn cards(&self, holder: Option<&Sid>) -> Result<Vec<CardRecord>, StoreError> {
        self.read(|connection| {
            query_all(
                connection,
                "cards",
                "SELECT * FROM cards WHERE ?1 IS NULL OR sid = ?1 ORDER BY nth DESC",
                [holder.map(Sid::as_str)],
                record,
            )
        })
    }

    /// All cards of this number: one, unless several people have claimed it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn cards_numbered(&self, guid: &CardGuid) -> Result<Vec<CardRecord>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT * FROM cards WHERE guid = ?1 ORDER BY nth DESC";
            query_all(connection, "cards", sql, [guid.to_string()], record)
        })
    }
}

impl Tx<'_> {
    /// The card of this number and holder, as this transaction sees it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn card(&self, guid: &CardGuid, holder: &Sid) -> Result<Option<CardRecord>, StoreError> {
        find(self.connection, guid, holder)
    }

    /// Writes a card down, in place of what was known of it.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn put_card(&mut self, card: &CardRecord) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO cards (guid, sid, kind, make, label, computer, state, care,
                 secret_version, puk_confirmed, puk_handed_out, renewed_serial, enrolled_at,
                 changed_at, last_used_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                 ON CONFLICT (guid, sid) DO UPDATE SET kind = excluded.kind, make = excluded.make,
                   label = excluded.label, computer = excluded.computer, state = excluded.state,
                   care = excluded.care, secret_version = excluded.secret_version,
                   puk_confirmed = excluded.puk_confirmed, puk_handed_out = excluded.puk_handed_out,
                   renewed_serial = excluded.renewed_serial, changed_at = excluded.changed_at,
                   last_used_at = excluded.last_used_at",
            )?
            .execute(params![
                card.guid.to_string(),
                card.holder.as_str(),
                card.kind.as_str(),
                card.make,
                card.label,
                card.computer,
                card.state.as_str(),
                card.care.as_str(),
                card.secret_version,
                card.puk_confirmed,
                card.puk_handed_out,
                card.renewed.map(|serial| serial.to_string()),
                nanos(card.enrolled_at),
                nanos(card.changed_at),
                card.last_used_at.map(nanos),
            ])?;
        Ok(())
    }

    /// Lets an event happen to a card, and gives the card as it is then.
    ///
    /// # Errors
    /// When there is no such card, its state does not allow the event, or the database fails.
    pub fn card_event(
        &mut self,
        guid: &CardGuid,
        holder: &Sid,
        event: CardEvent,
        now: OffsetDateTime,
    ) -> Result<CardRecord, CardChangeError> {
        let mut card = self.card(guid, holder)?.ok_or(CardChangeError::Unknown)?;
        let next = card.state.after(event)?;
        if next != card.state {
            card.state = next;
            card.changed_at = now;
            self.put_card(&card)?;
        }
        Ok(card)
    }

    /// Lets the cards expire that are in use and whose last certificate is over; gives how many those were.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn expire_cards(&mut self, now: OffsetDateTime) -> Result<usize, StoreError> {
        let changed = self.connection.execute(
            "UPDATE cards SET state = 'expired', changed_at = ?1
             WHERE state IN ('enrolled', 'active') AND changed_at < ?2 AND NOT EXISTS (
               SELECT 1 FROM certificates c
               WHERE c.card_guid = cards.guid AND c.account = cards.sid
                 AND c.profile = 'SmartcardUser' AND c.status IN ('prepared', 'issued', 'active')
                 AND c.not_after > ?1)
               AND EXISTS (
               SELECT 1 FROM certificates c
               WHERE c.card_guid = cards.guid AND c.account = cards.sid)",
            // One that has just been written down may be waiting for its certificate.
            [nanos(now), nanos(now.saturating_sub(EXPIRE_AFTER))],
        )?;
        Ok(changed)
    }

    /// Notes that somebody signed in with a card.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn card_used(
        &mut self,
        guid: &CardGuid,
        holder: &Sid,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE cards SET last_used_at = ?3 WHERE guid = ?1 AND sid = ?2")?
            .execute(params![guid.to_string(), holder.as_str(), nanos(now)])?;
        Ok(())
    }

    /// Keeps the code with which a card's PUK is fetched; an older one stops to work.
    ///
    /// # Errors
    /// When there is no such card, or the database fails.
    pub fn put_unblock_code(
        &mut self,
        guid: &CardGuid,
        holder: &Sid,
        code: &StoredCode,
    ) -> Result<(), StoreError> {
        let card = self.number(guid, holder)?;
        self.connection.execute(
            "INSERT OR REPLACE INTO unblock_codes (card, salt, hash, created_at, expires_at,
             used_at, tries_failed, tries_since) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                card,
                code.salt,
                code.hash,
                nanos(code.created_at),
                nanos(code.expires_at),
                code.used_at.map(nanos),
                code.tries_failed,
                code.tries_since.map(nanos),
            ],
        )?;
        Ok(())
    }

    /// Judges a code for a card's PUK and keeps the trace of the try.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn use_unblock_code(
        &mut self,
        guid: &CardGuid,
        holder: &Sid,
        code: &EnrolCode,
        now: OffsetDateTime,
    ) -> Result<CodeVerdict, StoreError> {
        let stored = query_one(
            self.connection,
            "unblock_codes",
            "SELECT u.* FROM unblock_codes u JOIN cards c ON c.nth = u.card
             WHERE c.guid = ?1 AND c.sid = ?2",
            params![guid.to_string(), holder.as_str()],
            crate::codes::stored_code,
        )?;
        let Some(mut stored) = stored else {
            return Ok(Err(CodeRefused::Wrong));
        };
        let before = stored.clone();
        let verdict = stored.try_use(code, now);
        if stored != before {
            self.put_unblock_code(guid, holder, &stored)?;
        }
        Ok(verdict)
    }

    /// How many answers the desk gave for a card since then.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn desk_answers_since(
        &self,
        guid: &CardGuid,
        holder: &Sid,
        since: OffsetDateTime,
    ) -> Result<u32, StoreError> {
        let count = query_one(
            self.connection,
            "desk_answers",
            "SELECT count(*) AS answers FROM desk_answers d JOIN cards c ON c.nth = d.card
             WHERE c.guid = ?1 AND c.sid = ?2 AND d.at >= ?3",
            params![guid.to_string(), holder.as_str(), nanos(since)],
            |fields| fields.number("answers"),
        )?;
        Ok(count.unwrap_or_default())
    }

    /// Counts an answer of the desk.
    ///
    /// # Errors
    /// When there is no such card, or the database fails.
    pub fn note_desk_answer(
        &mut self,
        guid: &CardGuid,
        holder: &Sid,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let card = self.number(guid, holder)?;
        self.connection.execute(
            "INSERT INTO desk_answers (card, at) VALUES (?1, ?2)",
            params![card, nanos(now)],
        )?;
        Ok(())
    }

    fn number(&self, guid: &CardGuid, holder: &Sid) -> Result<i64, StoreError> {
        query_one(
            self.connection,
            "cards",
            "SELECT nth FROM cards WHERE guid = ?1 AND sid = ?2",
            params![guid.to_string(), holder.as_str()],
            |fields| fields.number("nth"),
        )?
        .ok_or(StoreError::NoRow("cards"))
    }
}

fn find(
    connection: &Connection,
    guid: &CardGuid,
    holder: &Sid,
) -> Result<Option<CardRecord>, StoreError> {
    query_one(
        connection,
        "cards",
        "SELECT * FROM cards WHERE guid = ?1 AND sid = ?2",
        params![guid.to_string(), holder.as_str()],
        record,
    )
}

fn record(fields: &Fields<'_, '_>) -> Result<CardRecord, StoreError> {
    let secret_version = fields
        .raw::<Option<i64>>("secret_version")?
        .map(|version| u32::try_from(version).map_err(|_| fields.bad("secret_version")))
        .transpose()?;
    Ok(CardRecord {
        guid: fields.parse("guid")?,
        holder: fields.parse("sid")?,
        kind: fields.parse("kind")?,
        make: fields.raw("make")?,
        label: fields.raw("label")?,
        computer: fields.raw("computer")?,
        state: fields.parse("state")?,
        care: fields.parse("care")?,
        secret_version,
        puk_confirmed: fields.number("puk_confirmed")?,
        puk_handed_out: fields.number("puk_handed_out")?,
        renewed: fields.parse_some("renewed_serial")?,
        enrolled_at: fields.time("enrolled_at")?,
        changed_at: fields.time("changed_at")?,
        last_used_at: fields.time_some("last_used_at")?,
    })
}
