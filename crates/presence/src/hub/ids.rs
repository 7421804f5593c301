// SPDX-License-Identifier: MIT OR Apache-2.0
//! Identifiers that nobody guesses by counting: a keyed hash of a counter, seeded from outside.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

/// Gives every tag, branch and number of the hub.
#[derive(Debug)]
pub(super) struct Ids {
    seed: [u64; 2],
    counter: u64,
}

impl Ids {
    pub(super) fn new(seed: [u64; 2]) -> Self {
        Self { seed, counter: 0 }
    }

    /// The next plain number: for keys of our own maps.
    pub(super) fn number(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        self.counter
    }

    /// The next tag.
    pub(super) fn tag(&mut self) -> String {
        let counter = self.number();
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed[0]);
        hasher.write_u64(counter);
        hasher.write_u64(self.seed[1]);
        format!("{:016X}", hasher.finish())
    }

    /// The next branch.
    pub(super) fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.tag())
    }
}
