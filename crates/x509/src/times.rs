// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calendar time between our type and the ones in certificates.

use std::time::Duration;

use der::DateTime;
use rustls_pki_types::UnixTime;
use time::OffsetDateTime;
use x509_cert::time::Time;

/// A certificate's time as calendar time in UTC.
pub(crate) fn from_x509(time: Time) -> Option<OffsetDateTime> {
    let secs = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
    OffsetDateTime::from_unix_timestamp(secs).ok()
}

/// Calendar time for a certificate: whole seconds; UTCTime until 2049, GeneralizedTime after.
pub(crate) fn to_x509(time: OffsetDateTime) -> Result<Time, der::Error> {
    DateTime::from_unix_duration(since_epoch(time)).map(Time::from)
}

/// Calendar time for path validation.
pub(crate) fn to_pki(time: OffsetDateTime) -> UnixTime {
    UnixTime::since_unix_epoch(since_epoch(time))
}

/// Calendar time from path validation.
pub(crate) fn from_pki(time: UnixTime) -> OffsetDateTime {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|secs| OffsetDateTime::from_unix_timestamp(secs).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Seconds since 1970; earlier times, which certificates of ours never carry, count as 1970.
fn since_epoch(time: OffsetDateTime) -> Duration {
    Duration::from_secs(u64::try_from(time.unix_timestamp()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn times_survive_on_both_sides_of_2050() {
        for time in [
            datetime!(2026-11-22 15:34:14 UTC),
            datetime!(2049-12-31 23:59:59 UTC),
            datetime!(2050-01-01 0:00 UTC),
        ] {
            assert_eq!(from_x509(to_x509(time).unwrap()), Some(time));
            assert_eq!(from_pki(to_pki(time)), time);
        }
    }
}
