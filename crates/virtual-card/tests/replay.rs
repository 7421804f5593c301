// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzzer found once stays found: its corpus is replayed as an ordinary test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::fs;
use std::path::Path;

mod fuzzing;

fn replay(corpus: &str, play: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut count = 0;
    for entry in fs::read_dir(folder.join(corpus)).unwrap() {
        play(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "the corpus is empty");
}

#[test]
fn the_card_answers_every_sequence_of_the_corpus() {
    replay("virtual_card_apdu", fuzzing::commands);
}

#[test]
fn the_opened_card_answers_every_sequence_of_the_corpus() {
    replay("virtual_card_session", fuzzing::session);
}
