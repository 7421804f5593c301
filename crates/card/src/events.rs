// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happened between two looks at the readers, as a list of events.

use crate::channel::{ReaderId, ReaderState, Slotted};

/// Something that happened to readers and cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardEvent {
    /// A reader appeared, empty or not.
    ReaderAdded(ReaderId),
    /// A reader is gone, and its card with it.
    ReaderRemoved(ReaderId),
    /// A card was put into a reader, or into one that appeared with it.
    Inserted(ReaderId),
    /// A card was taken out.
    Removed(ReaderId),
    /// There was a card before and there is one now, but in between it was out: nobody knows whether
    /// it is the same.
    Swapped(ReaderId),
}

impl CardEvent {
    /// True when a card that was there is no longer known to be there.
    #[must_use]
    pub fn takes_a_card_away(&self, from: &ReaderId) -> bool {
        matches!(self, Self::ReaderRemoved(id) | Self::Removed(id) | Self::Swapped(id) if id == from)
    }
}

/// What happened between two looks. The counters of [`ReaderState::events`] tell a card that was
/// pulled and put back in between; so does a service that was restarted.
#[must_use]
pub fn changes(before: &[ReaderState], now: &[ReaderState]) -> Vec<CardEvent> {
    let mut events = Vec::new();
    for old in before {
        if !now.iter().any(|state| state.id == old.id) {
            events.push(CardEvent::ReaderRemoved(old.id.clone()));
        }
    }
    for state in now {
        let id = || state.id.clone();
        let is_there = state.slotted != Slotted::Empty;
        let Some(old) = before.iter().find(|old| old.id == state.id) else {
            events.push(CardEvent::ReaderAdded(id()));
            if is_there {
                events.push(CardEvent::Inserted(id()));
            }
            continue;
        };
        match (old.slotted != Slotted::Empty, is_there) {
            (false, true) => events.push(CardEvent::Inserted(id())),
            (true, false) => events.push(CardEvent::Removed(id())),
            (true, true) if old.events != state.events => events.push(CardEvent::Swapped(id())),
            _ => {}
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::CardPath;

    fn state(name: &str, slotted: Slotted, events: u64) -> ReaderState {
        let id = ReaderId {
            path: CardPath::Pcsc,
            name: name.to_owned(),
        };
        ReaderState {
            id,
            slotted,
            events,
        }
    }

    #[test]
    fn a_card_that_was_out_between_two_looks_is_noticed() {
        let before = [state("a", Slotted::Card, 1)];
        let now = [state("a", Slotted::Card, 3)];
        let id = before[0].id.clone();
        assert_eq!(changes(&before, &now), [CardEvent::Swapped(id.clone())]);
        assert!(changes(&before, &now)[0].takes_a_card_away(&id));
        assert!(changes(&before, &before).is_empty());
    }

    #[test]
    fn readers_come_and_go_with_their_cards() {
        let a = state("a", Slotted::Card, 1);
        let b = state("b", Slotted::Card, 0);
        let events = changes(std::slice::from_ref(&a), std::slice::from_ref(&b));
        assert_eq!(
            events,
            [
                CardEvent::ReaderRemoved(a.id.clone()),
                CardEvent::ReaderAdded(b.id.clone()),
                CardEvent::Inserted(b.id)
            ]
        );
        assert!(events[0].takes_a_card_away(&a.id));
    }

    #[test]
    fn insertion_and_removal_are_told_apart_and_a_mute_card_is_a_card() {
        let empty = [state("a", Slotted::Empty, 2)];
        let mute = [state("a", Slotted::Mute, 3)];
        let id = empty[0].id.clone();
        assert_eq!(changes(&empty, &mute), [CardEvent::Inserted(id.clone())]);
        assert_eq!(changes(&mute, &empty), [CardEvent::Removed(id)]);
    }
}
