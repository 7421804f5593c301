// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replays what the fuzzers have found worth keeping.

mod fuzzing;

use std::path::Path;

fn replay(target: &str, body: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&corpus).expect("the corpus is checked in") {
        let path = entry.expect("the corpus can be listed").path();
        body(&std::fs::read(path).expect("the corpus can be read"));
        count += 1;
    }
    assert!(count > 0, "{} is empty", corpus.display());
}

#[test]
fn the_corpus_of_commands_brings_nothing_down() {
    replay("piv_apdu", fuzzing::apdu::run);
}

#[test]
fn the_corpus_of_answers_brings_nothing_down() {
    replay("piv_tlv", fuzzing::tlv::run);
}
