// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who types at the moment. Nobody is believed to type for ever: a client that falls silent has stopped.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use lanyard_presence::PersonUri;

use super::{Action, Now, Session};

/// Somebody counts as typing for so long after the last sign of it, in seconds.
///
/// Other clients of this family repeat the sign every four or five seconds.
pub const TYPING_SHOWN_SECS: u64 = 12;
/// While the person goes on typing the other side is told again after so long, in seconds.
pub const TYPING_TOLD_SECS: u64 = 5;
/// People who are watched at one time.
const TYPING_MAX: usize = 64;

/// Who types, and whom we have told that we do.
#[derive(Debug, Default)]
pub(super) struct Typing {
    until: HashMap<PersonUri, Instant>,
    told: HashMap<PersonUri, Instant>,
}

impl Typing {
    /// Whether the other side is to be told now: at the beginning and at the end, and while it goes on, now and then.
    pub(super) fn is_due(&mut self, now: Now, to: &PersonUri, on: bool) -> bool {
        if !on {
            return self.told.remove(to).is_some();
        }
        let limit = Duration::from_secs(TYPING_TOLD_SECS);
        let due = self.told.get(to).is_none_or(|at| now.at >= *at + limit);
        if due && (self.told.contains_key(to) || self.told.len() < TYPING_MAX) {
            self.told.insert(to.clone(), now.at);
        }
        due
    }

    /// A message says by itself that the typing is over.
    pub(super) fn said(&mut self, to: &PersonUri) {
        self.told.remove(to);
    }
}

impl Session {
    /// A sign of the other side. Every one is told, so that faces can count from it.
    pub(super) fn typing(&mut self, now: Now, with: &PersonUri, on: bool) {
        let known = self.typing.until.remove(with).is_some();
        if on && (known || self.typing.until.len() < TYPING_MAX) {
            let until = now.at + Duration::from_secs(TYPING_SHOWN_SECS);
            self.typing.until.insert(with.clone(), until);
        }
        if (on || known)
            && let Ok(with) = with.address().parse()
        {
            self.actions.push(Action::Typing { with, on });
        }
    }

    pub(super) fn typing_tick(&mut self, now: Now) {
        let over = |until: &Instant| *until <= now.at;
        let late: Vec<PersonUri> = self
            .typing
            .until
            .iter()
            .filter(|(_, until)| over(until))
            .map(|(who, _)| who.clone())
            .collect();
        for who in late {
            self.typing(now, &who, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn the_other_side_is_told_at_the_beginning_now_and_then_and_at_the_end() {
        let mut typing = Typing::default();
        let bob = PersonUri::parse("bob@contoso.test").unwrap();
        let begun = Instant::now();
        let mut told = |secs: u64, on: bool| {
            let now = Now {
                at: begun + Duration::from_secs(secs),
                wall: OffsetDateTime::UNIX_EPOCH,
            };
            typing.is_due(now, &bob, on)
        };
        assert!(!told(0, false), "nobody was told of a beginning");
        assert!(told(0, true));
        assert!(!told(TYPING_TOLD_SECS - 1, true));
        assert!(told(TYPING_TOLD_SECS, true));
        assert!(told(TYPING_TOLD_SECS, false));
        assert!(!told(TYPING_TOLD_SECS, false));
        assert!(told(TYPING_TOLD_SECS, true));
    }
}
