// SPDX-License-Identifier: MIT OR Apache-2.0
//! Conversations between two endpoints: who may send into them, and to whom it goes.

use std::collections::{HashMap, VecDeque};

use crate::hub::state::EndpointId;

/// One end of a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::hub) struct Side {
    pub(in crate::hub) endpoint: EndpointId,
    pub(in crate::hub) tag: Box<str>,
}

/// How many dialogs are remembered before the oldest one is forgotten.
#[derive(Debug, Clone, Copy)]
pub(in crate::hub) struct Room {
    pub(in crate::hub) of_endpoint: usize,
    pub(in crate::hub) of_pair: usize,
}

/// A dialog that is over for one of its ends: what the other one is told with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::hub) struct Parted {
    pub(in crate::hub) call_id: Box<str>,
    /// Who is gone.
    pub(in crate::hub) gone: Side,
    /// The highest number that the one who is gone has used in it.
    pub(in crate::hub) number: u32,
    /// Who stays.
    pub(in crate::hub) left: Side,
}

#[derive(Debug)]
struct Dialog {
    caller: Side,
    callee: Side,
    /// The highest CSeq of each.
    caller_number: u32,
    callee_number: u32,
}

impl Dialog {
    fn is_of(&self, endpoint: EndpointId) -> bool {
        self.caller.endpoint == endpoint || self.callee.endpoint == endpoint
    }

    fn parted(&self, call_id: &str, gone: EndpointId) -> Parted {
        let (gone, number, left) = if self.caller.endpoint == gone {
            (&self.caller, self.caller_number, &self.callee)
        } else {
            (&self.callee, self.callee_number, &self.caller)
        };
        Parted {
            call_id: call_id.into(),
            gone: gone.clone(),
            number,
            left: left.clone(),
        }
    }
}

type Pair = (EndpointId, EndpointId);

fn pair(one: EndpointId, other: EndpointId) -> Pair {
    (one.min(other), one.max(other))
}

/// Every dialog of the node by its Call-ID.
#[derive(Debug, Default)]
pub(in crate::hub) struct Dialogs {
    by_call: HashMap<Box<str>, Vec<Dialog>>,
    /// Call-IDs of an endpoint, oldest first.
    by_endpoint: HashMap<EndpointId, VecDeque<Box<str>>>,
    /// Call-IDs between two endpoints, oldest first.
    by_pair: HashMap<Pair, VecDeque<Box<str>>>,
}

impl Dialogs {
    /// Remembers a dialog; `number` is the CSeq of the invitation. An endpoint that never says goodbye
    /// loses its oldest ones, first of all those with the same other side.
    pub(in crate::hub) fn insert(
        &mut self,
        call_id: &str,
        caller: Side,
        callee: Side,
        number: u32,
        room: Room,
    ) {
        let list = self.by_call.entry(call_id.into()).or_default();
        if list
            .iter()
            .any(|d| d.caller == caller && d.callee == callee)
        {
            return;
        }
        let ends = [caller.endpoint, callee.endpoint];
        list.push(Dialog {
            caller,
            callee,
            caller_number: number,
            callee_number: 0,
        });
        let both = pair(ends[0], ends[1]);
        let calls = self.by_pair.entry(both).or_default();
        calls.push_back(call_id.into());
        let oldest = (calls.len() > room.of_pair).then(|| calls.front().cloned());
        for endpoint in ends {
            let calls = self.by_endpoint.entry(endpoint).or_default();
            calls.push_back(call_id.into());
        }
        if let Some(oldest) = oldest.flatten() {
            self.forget(&oldest, |dialog| {
                pair(dialog.caller.endpoint, dialog.callee.endpoint) == both
            });
        }
        for endpoint in ends {
            let calls = self.by_endpoint.get(&endpoint);
            let oldest = calls.filter(|calls| calls.len() > room.of_endpoint);
            if let Some(oldest) = oldest.and_then(|calls| calls.front().cloned()) {
                self.forget(&oldest, |dialog| dialog.is_of(endpoint));
            }
        }
    }

    /// The other end of the dialog that this endpoint means.
    pub(in crate::hub) fn peer(
        &self,
        call_id: &str,
        from: EndpointId,
        from_tag: &str,
        to_tag: &str,
    ) -> Option<EndpointId> {
        self.by_call.get(call_id)?.iter().find_map(|dialog| {
            let is = |me: &Side, other: &Side| {
                me.endpoint == from && *me.tag == *from_tag && *other.tag == *to_tag
            };
            if is(&dialog.caller, &dialog.callee) {
                Some(dialog.callee.endpoint)
            } else if is(&dialog.callee, &dialog.caller) {
                Some(dialog.caller.endpoint)
            } else {
                None
            }
        })
    }

    /// Remembers the number of a request that this endpoint sends in a dialog.
    pub(in crate::hub) fn used(&mut self, call_id: &str, from: EndpointId, tag: &str, number: u32) {
        for dialog in self.by_call.get_mut(call_id).into_iter().flatten() {
            let is = |me: &Side| me.endpoint == from && *me.tag == *tag;
            if is(&dialog.caller) {
                dialog.caller_number = dialog.caller_number.max(number);
            } else if is(&dialog.callee) {
                dialog.callee_number = dialog.callee_number.max(number);
            }
        }
    }

    /// Forgets the dialog with these two tags.
    pub(in crate::hub) fn remove(&mut self, call_id: &str, one_tag: &str, other_tag: &str) {
        self.forget(call_id, |dialog| {
            let tags = (&*dialog.caller.tag, &*dialog.callee.tag);
            tags == (one_tag, other_tag) || tags == (other_tag, one_tag)
        });
    }

    /// Forgets everything of an endpoint; gives what its peers are to be told.
    pub(in crate::hub) fn remove_endpoint(&mut self, endpoint: EndpointId) -> Vec<Parted> {
        let calls = self.by_endpoint.get(&endpoint).cloned();
        let mut parted = Vec::new();
        for call in calls.unwrap_or_default() {
            let list = self.by_call.get(&call).into_iter().flatten();
            let mine = list.filter(|dialog| dialog.is_of(endpoint));
            parted.extend(mine.map(|dialog| dialog.parted(&call, endpoint)));
            self.forget(&call, |dialog| dialog.is_of(endpoint));
        }
        self.by_endpoint.remove(&endpoint);
        parted
    }

    /// Forgets the dialogs of an endpoint with such peers; gives them from both sides.
    pub(in crate::hub) fn part(
        &mut self,
        endpoint: EndpointId,
        mut from: impl FnMut(EndpointId) -> bool,
    ) -> Vec<Parted> {
        let mut parted = Vec::new();
        for call in self.by_endpoint.get(&endpoint).cloned().unwrap_or_default() {
            for dialog in self.by_call.get(&call).into_iter().flatten() {
                let one_side = dialog.parted(&call, endpoint);
                if dialog.is_of(endpoint) && from(one_side.left.endpoint) {
                    parted.push(dialog.parted(&call, one_side.left.endpoint));
                    parted.push(one_side);
                }
            }
        }
        for one in &parted {
            self.remove(&one.call_id, &one.gone.tag, &one.left.tag);
        }
        parted
    }

    pub(in crate::hub) fn len(&self) -> usize {
        self.by_call.values().map(Vec::len).sum()
    }

    fn forget(&mut self, call_id: &str, is_meant: impl Fn(&Dialog) -> bool) {
        let Some(list) = self.by_call.get_mut(call_id) else {
            return;
        };
        let mut ends = Vec::new();
        list.retain(|dialog| {
            let found = is_meant(dialog);
            if found {
                ends.push((dialog.caller.endpoint, dialog.callee.endpoint));
            }
            !found
        });
        if list.is_empty() {
            self.by_call.remove(call_id);
        }
        for (caller, callee) in ends {
            for endpoint in [caller, callee] {
                take_out(&mut self.by_endpoint, endpoint, call_id);
            }
            take_out(&mut self.by_pair, pair(caller, callee), call_id);
        }
    }
}

/// Takes one entry of a call out of a list; an empty list is not kept.
fn take_out<K: Eq + std::hash::Hash>(
    lists: &mut HashMap<K, VecDeque<Box<str>>>,
    key: K,
    call_id: &str,
) {
    let Some(calls) = lists.get_mut(&key) else {
        return;
    };
    if let Some(at) = calls.iter().position(|call| **call == *call_id) {
        calls.remove(at);
    }
    if calls.is_empty() {
        lists.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room {
        of_endpoint: 8,
        of_pair: 8,
    };

    fn side(endpoint: u64, tag: &str) -> Side {
        Side {
            endpoint: EndpointId(endpoint),
            tag: tag.into(),
        }
    }

    fn nothing_is_left(dialogs: &Dialogs) -> bool {
        dialogs.by_call.is_empty() && dialogs.by_endpoint.is_empty() && dialogs.by_pair.is_empty()
    }

    #[test]
    fn only_the_two_ends_find_each_other() {
        let mut dialogs = Dialogs::default();
        dialogs.insert("c", side(1, "a"), side(2, "b"), 1, ROOM);
        assert_eq!(
            dialogs.peer("c", EndpointId(1), "a", "b"),
            Some(EndpointId(2))
        );
        assert_eq!(
            dialogs.peer("c", EndpointId(2), "b", "a"),
            Some(EndpointId(1))
        );
        assert_eq!(dialogs.peer("c", EndpointId(3), "a", "b"), None);
        assert_eq!(dialogs.peer("c", EndpointId(1), "b", "a"), None);
        assert_eq!(dialogs.peer("d", EndpointId(1), "a", "b"), None);
        dialogs.remove("c", "b", "a");
        assert!(nothing_is_left(&dialogs));
    }

    #[test]
    fn the_oldest_dialog_makes_room() {
        let mut dialogs = Dialogs::default();
        let room = Room {
            of_endpoint: 2,
            ..ROOM
        };
        for (call, other) in [("one", 2), ("two", 3), ("three", 4)] {
            dialogs.insert(call, side(1, "a"), side(other, "b"), 1, room);
        }
        assert_eq!(dialogs.peer("one", EndpointId(1), "a", "b"), None);
        assert_eq!(
            dialogs.peer("three", EndpointId(1), "a", "b"),
            Some(EndpointId(4))
        );
        assert_eq!(dialogs.len(), 2);
        dialogs.remove_endpoint(EndpointId(1));
        assert!(nothing_is_left(&dialogs));
    }

    #[test]
    fn whoever_begins_many_dialogs_pushes_out_its_own() {
        let mut dialogs = Dialogs::default();
        let room = Room {
            of_endpoint: 8,
            of_pair: 3,
        };
        dialogs.insert("friend", side(9, "f"), side(1, "v"), 1, room);
        for n in 0..100 {
            let call = format!("flood{n}");
            dialogs.insert(&call, side(2, "a"), side(1, "v"), 1, room);
        }
        assert_eq!(dialogs.len(), 4);
        let friend = dialogs.peer("friend", EndpointId(1), "v", "f");
        assert_eq!(friend, Some(EndpointId(9)));
        let newest = dialogs.peer("flood99", EndpointId(1), "v", "a");
        assert_eq!(newest, Some(EndpointId(2)));
    }

    #[test]
    fn the_other_side_of_somebody_who_is_gone_is_told_with_the_next_number() {
        let mut dialogs = Dialogs::default();
        dialogs.insert("c", side(1, "a"), side(2, "b"), 5, ROOM);
        dialogs.insert("d", side(3, "x"), side(1, "y"), 1, ROOM);
        dialogs.used("c", EndpointId(1), "a", 7);
        dialogs.used("c", EndpointId(1), "a", 6);
        dialogs.used("c", EndpointId(2), "a", 99);
        let parted = dialogs.remove_endpoint(EndpointId(1));
        let told: Vec<_> = parted
            .iter()
            .map(|p| (&*p.call_id, &*p.gone.tag, p.number, p.left.clone()))
            .collect();
        assert_eq!(
            told,
            [("c", "a", 7, side(2, "b")), ("d", "y", 0, side(3, "x"))]
        );
        assert!(nothing_is_left(&dialogs));
    }

    #[test]
    fn two_who_part_leave_their_other_dialogs_alone() {
        let mut dialogs = Dialogs::default();
        dialogs.insert("c", side(1, "a"), side(2, "b"), 5, ROOM);
        dialogs.insert("d", side(3, "x"), side(1, "y"), 1, ROOM);
        let parted = dialogs.part(EndpointId(1), |peer| peer == EndpointId(2));
        assert_eq!(parted.len(), 2);
        assert_eq!(parted[0].left, side(1, "a"));
        assert_eq!(parted[1].left, side(2, "b"));
        assert_eq!(dialogs.len(), 1);
        assert!(dialogs.peer("d", EndpointId(1), "y", "x").is_some());
    }
}
