// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reminders before a card's certificate ends.

use lanyard_fault::Fault;
use time::{Duration, OffsetDateTime};

use crate::problem::Problem;

/// So many days before the end a person is reminded.
pub const REMINDER_DAYS: [i64; 4] = [30, 14, 7, 1];

/// The reminder that is due at this time: the smallest of [`REMINDER_DAYS`] that has begun; `None` before the
/// first and after the end.
#[must_use]
pub fn reminder_due(not_after: OffsetDateTime, now: OffsetDateTime) -> Option<i64> {
    let left = not_after - now;
    if left <= Duration::ZERO {
        return None;
    }
    REMINDER_DAYS
        .into_iter()
        .rev()
        .find(|days| left <= Duration::days(*days))
}

/// The reminder in words, with what is left.
#[must_use]
pub fn reminder(not_after: OffsetDateTime, now: OffsetDateTime) -> Option<Problem> {
    reminder_due(not_after, now)?;
    let left = not_after - now;
    let words = match left.whole_days() {
        0 => match left.whole_hours() {
            0 => "It ends within the hour.".to_owned(),
            1 => "It ends in one hour.".to_owned(),
            hours => format!("It ends in {hours} hours."),
        },
        1 => "It ends in one day.".to_owned(),
        days => format!("It ends in {days} days."),
    };
    Some(Problem::new(Fault::CardExpiresSoon).with_detail(words))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const END: OffsetDateTime = datetime!(2027-01-31 12:00 UTC);

    fn due(before: Duration) -> Option<i64> {
        reminder_due(END, END - before)
    }

    #[test]
    fn each_reminder_begins_on_its_day_and_none_after_the_end() {
        let second = Duration::SECOND;
        assert_eq!(due(Duration::days(30) + second), None);
        for (days, next) in [(30, 14), (14, 7), (7, 1)] {
            assert_eq!(due(Duration::days(days)), Some(days));
            assert_eq!(due(Duration::days(next) + second), Some(days));
        }
        assert_eq!(due(Duration::DAY), Some(1));
        assert_eq!(due(second), Some(1));
        assert_eq!(due(Duration::ZERO), None);
        assert_eq!(due(-Duration::DAY), None);
    }

    #[test]
    fn the_reminder_says_what_is_left_and_what_to_do() {
        let words = |before| reminder(END, END - before).unwrap().to_string();
        let two_weeks = words(Duration::days(14));
        assert!(two_weeks.contains("It ends in 14 days."), "{two_weeks}");
        assert!(two_weeks.contains("lanyard card renew"), "{two_weeks}");
        assert!(words(Duration::hours(30)).contains("in one day"));
        assert!(words(Duration::hours(5)).contains("in 5 hours"));
        assert!(words(Duration::minutes(5)).contains("within the hour"));
    }
}
