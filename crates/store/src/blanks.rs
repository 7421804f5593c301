// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stock: cards that are known by their number and that nobody holds yet.

use lanyard_authority::{CardGuid, CardKind, CardState};
use rusqlite::{Connection, params};
use time::OffsetDateTime;

use crate::value::{Fields, nanos, query_all, query_one};
use crate::{Store, StoreError, Tx};

/// A card in the stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlankCard {
    /// Its number.
    pub guid: CardGuid,
    /// What it is made of.
    pub kind: CardKind,
    /// Its make; empty where nobody said.
    pub make: String,
    /// Its name; empty where nobody said.
    pub label: String,
    /// Where it stands: blank, or out of force before it was enrolled.
    pub state: CardState,
    /// When it was registered.
    pub registered_at: OffsetDateTime,
    /// When its state changed last.
    pub changed_at: OffsetDateTime,
}

impl Store {
    /// The card of this number in the stock.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn blank_card(&self, guid: &CardGuid) -> Result<Option<BlankCard>, StoreError> {
        self.read(|connection| find(connection, guid))
    }

    /// The stock, those registered last first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn blank_cards(&self) -> Result<Vec<BlankCard>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT * FROM blank_cards ORDER BY registered_at DESC, guid";
            query_all(connection, "blank_cards", sql, [], record)
        })
    }
}

impl Tx<'_> {
    /// The card of this number in the stock, as this transaction sees it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn blank_card(&self, guid: &CardGuid) -> Result<Option<BlankCard>, StoreError> {
        find(self.connection, guid)
    }

    /// Puts a card into the stock, in place of what was known of it there.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn put_blank_card(&mut self, card: &BlankCard) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO blank_cards (guid, kind, make, label, state, registered_at, changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (guid) DO UPDATE SET kind = excluded.kind, make = excluded.make,
               label = excluded.label, state = excluded.state, changed_at = excluded.changed_at",
            params![
                card.guid.to_string(),
                card.kind.as_str(),
                card.make,
                card.label,
                card.state.as_str(),
                nanos(card.registered_at),
                nanos(card.changed_at),
            ],
        )?;
        Ok(())
    }

    /// Takes a card out of the stock: somebody holds it from now on.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn take_blank_card(&mut self, guid: &CardGuid) -> Result<(), StoreError> {
        self.connection.execute(
            "DELETE FROM blank_cards WHERE guid = ?1",
            [guid.to_string()],
        )?;
        Ok(())
    }
}

fn find(connection: &Connection, guid: &CardGuid) -> Result<Option<BlankCard>, StoreError> {
    query_one(
        connection,
        "blank_cards",
        "SELECT * FROM blank_cards WHERE guid = ?1",
        [guid.to_string()],
        record,
    )
}

fn record(fields: &Fields<'_, '_>) -> Result<BlankCard, StoreError> {
    Ok(BlankCard {
        guid: fields.parse("guid")?,
        kind: fields.parse("kind")?,
        make: fields.raw("make")?,
        label: fields.raw("label")?,
        state: fields.parse("state")?,
        registered_at: fields.time("registered_at")?,
        changed_at: fields.time("changed_at")?,
    })
}
