// SPDX-License-Identifier: MIT OR Apache-2.0
//! One row of the trail, and how its hash is made.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use time::OffsetDateTime;

use super::action::Action;
use crate::actor::Actor;

/// Most bytes of the subject.
pub const SUBJECT_BYTES_MAX: usize = 1024;
/// Most bytes of the details.
pub const DETAILS_BYTES_MAX: usize = 16 * 1024;

/// Names the layout below; another layout gets another name.
const DOMAIN: &[u8] = b"lanyard audit event 1\0";

/// What is to be added to the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it happened; kept in whole milliseconds.
    pub time: OffsetDateTime,
    /// Who did it.
    pub actor: Actor,
    /// What was done.
    pub action: Action,
    /// To whom or what: an address, a serial number, a card.
    pub subject: String,
    /// More, as the text of a JSON object. Never a secret.
    details: String,
}

impl AuditEntry {
    /// An entry without details.
    pub fn new(
        time: OffsetDateTime,
        actor: Actor,
        action: Action,
        subject: impl Into<String>,
    ) -> Self {
        let subject = clip(subject.into(), SUBJECT_BYTES_MAX);
        Self {
            time: to_millis(time),
            actor,
            action,
            subject,
            details: "{}".to_owned(),
        }
    }

    /// The entry with these details. A value that is too large is replaced by a note of its size.
    pub fn with_details(mut self, details: &serde_json::Map<String, serde_json::Value>) -> Self {
        let text = serde_json::Value::Object(details.clone()).to_string();
        self.details = if text.len() <= DETAILS_BYTES_MAX {
            text
        } else {
            format!("{{\"omitted_bytes\":{}}}", text.len())
        };
        self
    }

    /// The details as JSON text.
    pub fn details(&self) -> &str {
        &self.details
    }
}

/// A row of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its place: 1, 2, 3 …
    pub seq: u64,
    /// When it happened, in whole milliseconds.
    pub time: OffsetDateTime,
    /// Who did it.
    pub actor: Actor,
    /// What was done.
    pub action: Action,
    /// To whom or what.
    pub subject: String,
    /// More, as JSON text; hashed as it is spelled here, so a store keeps the text and not a parsed form.
    pub details: String,
    /// The hash of the row before; [`EventHash::ZERO`] for the first.
    pub prev_hash: EventHash,
    /// The hash of this row.
    pub hash: EventHash,
}

impl AuditEvent {
    /// The hash that this row should have.
    ///
    /// SHA-256 over a name for the layout, then each field: numbers as eight bytes big-endian, the time as
    /// milliseconds since 1970, texts with their length in bytes before them, hashes as they are. No two different
    /// rows have the same serialisation.
    pub fn computed_hash(&self) -> EventHash {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(DOMAIN);
        context.update(&self.prev_hash.0);
        context.update(&self.seq.to_be_bytes());
        context.update(&millis(self.time).to_be_bytes());
        let actor = self.actor.to_string();
        for text in [
            actor.as_str(),
            self.action.as_str(),
            &self.subject,
            &self.details,
        ] {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        EventHash(hash)
    }
}

/// Makes the next row: the one after `previous` (place and hash), or the first one.
pub fn seal(previous: Option<(u64, EventHash)>, entry: &AuditEntry) -> AuditEvent {
    let (seq, prev_hash) = previous.unwrap_or((0, EventHash::ZERO));
    let mut event = AuditEvent {
        seq: seq.saturating_add(1),
        time: to_millis(entry.time),
        actor: entry.actor.clone(),
        action: entry.action,
        subject: entry.subject.clone(),
        details: entry.details.clone(),
        prev_hash,
        hash: EventHash::ZERO,
    };
    event.hash = event.computed_hash();
    event
}

/// The hash of a row, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventHash(pub [u8; 32]);

impl EventHash {
    /// What stands before the first row.
    pub const ZERO: Self = Self([0; 32]);
}

impl fmt::Display for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventHash({self})")
    }
}

impl FromStr for EventHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut hash = [0u8; 32];
        let mut count = 0usize;
        for c in text.chars() {
            let digit = c.to_digit(16).ok_or(NotAHash)?;
            let byte = hash.get_mut(count / 2).ok_or(NotAHash)?;
            *byte = (*byte << 4) | digit as u8;
            count += 1;
        }
        if count == 64 {
            Ok(Self(hash))
        } else {
            Err(NotAHash)
        }
    }
}

/// Milliseconds since 1970: the precision of the trail.
pub(super) fn millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn to_millis(time: OffsetDateTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis(time)) * 1_000_000).unwrap_or(time)
}

fn clip(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = (0..=bytes_max)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 64 hexadecimal digits")]
pub struct NotAHash;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};
    use time::macros::datetime;

    fn details(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    fn entry() -> AuditEntry {
        AuditEntry::new(
            datetime!(2026-11-22 12:34:56.789_999 UTC),
            Actor::Administrator("root".to_owned()),
            Action::UserAdded,
            "alice@contoso.test",
        )
        .with_details(&details(
            json!({"display_name": "Alice \u{c4}ngstr\u{f6}m"}),
        ))
    }

    #[test]
    fn the_layout_of_what_is_hashed_never_changes() {
        // Computed apart from this code, by `testdata/audit_hash.py`. If this fails, every trail in the world breaks.
        let first = seal(None, &entry());
        assert_eq!(first.hash.to_string(), FIRST);
        let second = seal(Some((first.seq, first.hash)), &entry());
        assert_eq!((second.seq, second.prev_hash), (2, first.hash));
        assert_eq!(second.hash.to_string(), SECOND);
    }

    const FIRST: &str = "5cc568e8b9acc209e568767caf911660071f45ff3f76200d89392fd22ae70528";
    const SECOND: &str = "9ff01ec95e73a3f3aafdce3261c2ae90f1dd352a467ce8cb5e06f6b789bca6d1";

    #[test]
    fn time_is_kept_in_milliseconds_as_stores_keep_it() {
        assert_eq!(entry().time, datetime!(2026-11-22 12:34:56.789 UTC));
        assert_eq!(seal(None, &entry()).time, entry().time);
    }

    #[test]
    fn subject_and_details_are_bounded() {
        let long = "\u{e4}".repeat(SUBJECT_BYTES_MAX);
        let clipped = AuditEntry::new(entry().time, entry().actor, Action::UserAdded, long);
        assert_eq!(clipped.subject.len(), SUBJECT_BYTES_MAX);

        let with = |count: usize| entry().with_details(&details(json!({"x": "y".repeat(count)})));
        let frame = with(0).details().len();
        let at_limit = with(DETAILS_BYTES_MAX - frame);
        assert_eq!(at_limit.details().len(), DETAILS_BYTES_MAX);
        let over = with(DETAILS_BYTES_MAX - frame + 1);
        assert_eq!(
            over.details(),
            format!("{{\"omitted_bytes\":{}}}", DETAILS_BYTES_MAX + 1)
        );
    }

    #[test]
    fn a_hash_survives_text_and_back() {
        let hash = seal(None, &entry()).hash;
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for text in ["", "00", &"g".repeat(64), &"0".repeat(65)] {
            assert_eq!(text.parse::<EventHash>(), Err(NotAHash), "{text:?}");
        }
    }
}
