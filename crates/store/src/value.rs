// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values between rows and types. A row that cannot be read is an error with its table, never a
//! panic and never a default.

use std::str::FromStr;

use rusqlite::Row;
use time::OffsetDateTime;

use crate::StoreError;

/// Nanoseconds since 1970, as they are stored. Good for the years 1678 to 2262.
pub(crate) fn nanos(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos()).unwrap_or(if time.year() > 1970 {
        i64::MAX
    } else {
        i64::MIN
    })
}

/// Milliseconds since 1970, as the audit trail has them.
pub(crate) fn millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// Reads the columns of one row of `table` by name.
pub(crate) struct Fields<'r, 's> {
    table: &'static str,
    row: &'r Row<'s>,
}

impl<'r, 's> Fields<'r, 's> {
    pub(crate) fn new(table: &'static str, row: &'r Row<'s>) -> Self {
        Self { table, row }
    }

    pub(crate) fn raw<T: rusqlite::types::FromSql>(
        &self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        self.row.get(column).map_err(|error| match error {
            rusqlite::Error::SqliteFailure(..) => error.into(),
            _ => self.bad(column),
        })
    }

    pub(crate) fn parse<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        self.raw::<String>(column)?
            .parse()
            .map_err(|_| self.bad(column))
    }

    pub(crate) fn parse_some<T: FromStr>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.raw::<Option<String>>(column)?;
        text.map(|text| text.parse().map_err(|_| self.bad(column)))
            .transpose()
    }

    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        T::try_from(self.raw::<i64>(column)?).map_err(|_| self.bad(column))
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<OffsetDateTime, StoreError> {
        self.moment(column, self.raw(column)?)
    }

    pub(crate) fn time_some(
        &self,
        column: &'static str,
    ) -> Result<Option<OffsetDateTime>, StoreError> {
        let value = self.raw::<Option<i64>>(column)?;
        value.map(|value| self.moment(column, value)).transpose()
    }

    pub(crate) fn bytes<const N: usize>(
        &self,
        column: &'static str,
    ) -> Result<[u8; N], StoreError> {
        self.raw::<Vec<u8>>(column)?
            .try_into()
            .map_err(|_| self.bad(column))
    }

    /// The error that this column cannot be read.
    pub(crate) fn bad(&self, column: &'static str) -> StoreError {
        StoreError::Row {
            table: self.table,
            what: column,
        }
    }

    fn moment(&self, column: &'static str, nanos: i64) -> Result<OffsetDateTime, StoreError> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos)).map_err(|_| self.bad(column))
    }
}

/// Runs a query and reads each row with `read`.
pub(crate) fn query_all<T>(
    connection: &rusqlite::Connection,
    table: &'static str,
    sql: &str,
    parameters: impl rusqlite::Params,
    mut read: impl FnMut(&Fields<'_, '_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(&Fields::new(table, row))?);
    }
    Ok(all)
}

/// Runs a query that finds one row or none.
pub(crate) fn query_one<T>(
    connection: &rusqlite::Connection,
    table: &'static str,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl FnMut(&Fields<'_, '_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    Ok(query_all(connection, table, sql, parameters, read)?
        .into_iter()
        .next())
}
