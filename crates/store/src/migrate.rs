// SPDX-License-Identifier: MIT OR Apache-2.0
//! The schema, as numbered steps. A step that was released is never changed; a new one follows it.

use rusqlite::{Connection, TransactionBehavior};

use crate::StoreError;

/// All steps; the n-th brings schema n-1 to n.
const STEPS: &[&str] = &[
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_people.sql"),
    include_str!("../migrations/0003_card_life.sql"),
    include_str!("../migrations/0004_card_policy.sql"),
];

/// The newest schema that this program knows.
pub(crate) const SCHEMA_NEWEST: u32 = STEPS.len() as u32;

/// Refuses a database that a newer program has written.
pub(crate) fn refuse_newer(connection: &Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    if found > SCHEMA_NEWEST {
        return Err(StoreError::SchemaNewer {
            found,
            supported: SCHEMA_NEWEST,
        });
    }
    Ok(())
}

/// Runs the steps that are missing, each in a transaction of its own.
pub(crate) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    refuse_newer(connection)?;
    for (step, number) in STEPS.iter().zip(1u32..) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if version(&transaction)? < number {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()?;
        }
    }
    Ok(())
}

fn version(connection: &Connection) -> Result<u32, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}
