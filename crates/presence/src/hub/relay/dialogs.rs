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

#[derive(Debug)]
struct Dialog {
    caller: Side,
    callee: Side,
}

/// Every dialog of the node by its Call-ID.
#[derive(Debug, Default)]
pub(in crate::hub) struct Dialogs {
    by_call: HashMap<Box<str>, Vec<Dialog>>,
    /// Call-IDs of an endpoint, oldest first.
    by_endpoint: HashMap<EndpointId, VecDeque<Box<str>>>,
}

impl Dialogs {
    /// Remembers a dialog. An endpoint that never says goodbye loses its oldest ones.
    pub(in crate::hub) fn insert(&mut self, call_id: &str, caller: Side, callee: Side, max: usize) {
        let list = self.by_call.entry(call_id.into()).or_default();
        if list
            .iter()
            .any(|d| d.caller == caller && d.callee == callee)
        {
            return;
        }
        let ends = [caller.endpoint, callee.endpoint];
        list.push(Dialog { caller, callee });
        for endpoint in ends {
            let calls = self.by_endpoint.entry(endpoint).or_default();
            calls.push_back(call_id.into());
            let oldest = if calls.len() > max {
                calls.pop_front()
            } else {
                None
            };
            if let Some(oldest) = oldest {
                self.forget(&oldest, endpoint);
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

    /// Forgets the dialog with these two tags.
    pub(in crate::hub) fn remove(&mut self, call_id: &str, one_tag: &str, other_tag: &str) {
        let Some(list) = self.by_call.get_mut(call_id) else {
            return;
        };
        let mut ends = Vec::new();
        list.retain(|dialog| {
            let tags = (&*dialog.caller.tag, &*dialog.callee.tag);
            let found = tags == (one_tag, other_tag) || tags == (other_tag, one_tag);
            if found {
                ends.extend([dialog.caller.endpoint, dialog.callee.endpoint]);
            }
            !found
        });
        if list.is_empty() {
            self.by_call.remove(call_id);
        }
        for endpoint in ends {
            if let Some(calls) = self.by_endpoint.get_mut(&endpoint)
                && let Some(at) = calls.iter().position(|call| **call == *call_id)
            {
                calls.remove(at);
            }
        }
    }

    /// Forgets everything of an endpoint.
    pub(in crate::hub) fn remove_endpoint(&mut self, endpoint: EndpointId) {
        for call in self.by_endpoint.remove(&endpoint).unwrap_or_default() {
            self.forget(&call, endpoint);
        }
    }

    pub(in crate::hub) fn len(&self) -> usize {
        self.by_call.values().map(Vec::len).sum()
    }

    fn forget(&mut self, call_id: &str, endpoint: EndpointId) {
        let list = self.by_call.get(call_id).into_iter().flatten();
        let mine = list.filter(|d| d.caller.endpoint == endpoint || d.callee.endpoint == endpoint);
        let tags: Vec<(Box<str>, Box<str>)> = mine
            .map(|d| (d.caller.tag.clone(), d.callee.tag.clone()))
            .collect();
        for (one, other) in tags {
            self.remove(call_id, &one, &other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(endpoint: u64, tag: &str) -> Side {
        Side {
            endpoint: EndpointId(endpoint),
            tag: tag.into(),
        }
    }

    #[test]
    fn only_the_two_ends_find_each_other() {
        let mut dialogs = Dialogs::default();
        dialogs.insert("c", side(1, "a"), side(2, "b"), 8);
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
        assert_eq!(dialogs.len(), 0);
        assert!(dialogs.by_endpoint.values().all(VecDeque::is_empty));
    }

    #[test]
    fn the_oldest_dialog_makes_room() {
        let mut dialogs = Dialogs::default();
        for (call, other) in [("one", 2), ("two", 3), ("three", 4)] {
            dialogs.insert(call, side(1, "a"), side(other, "b"), 2);
        }
        assert_eq!(dialogs.peer("one", EndpointId(1), "a", "b"), None);
        assert_eq!(
            dialogs.peer("three", EndpointId(1), "a", "b"),
            Some(EndpointId(4))
        );
        assert_eq!(dialogs.len(), 2);
        dialogs.remove_endpoint(EndpointId(1));
        assert_eq!(dialogs.len(), 0);
    }
}
