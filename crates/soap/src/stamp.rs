// SPDX-License-Identifier: MIT OR Apache-2.0
//! Times as XML writes them: `2026-11-22T15:33:34Z`.

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// Writes a time in UTC, to the second.
pub(crate) fn write(time: OffsetDateTime) -> String {
    // The format has no component that can fail for a UTC date-time.
    time.to_offset(UtcOffset::UTC)
        .format(SECONDS)
        .unwrap_or_default()
}

/// Reads a time; a fraction and any offset are accepted.
pub(crate) fn read(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text.trim(), &Rfc3339)
        .ok()
        .map(|time| time.to_offset(UtcOffset::UTC))
}

/// The time cut to whole seconds, as tickets carry it.
pub(crate) fn whole_seconds(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(0)
        .unwrap_or(time)
        .to_offset(UtcOffset::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn times_are_written_to_the_second_in_utc() {
        let time = datetime!(2026-11-22 17:33:34.5 +2);
        assert_eq!(write(time), "2026-11-22T15:33:34Z");
        assert_eq!(
            read("2026-11-22T15:33:34Z"),
            Some(datetime!(2026-11-22 15:33:34 UTC))
        );
        assert_eq!(
            read("2026-11-22T17:33:34.123+02:00"),
            Some(datetime!(2026-11-22 15:33:34.123 UTC))
        );
        assert_eq!(read("yesterday"), None);
    }
}
