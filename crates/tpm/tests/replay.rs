// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzzer found once stays found: its corpus is replayed as an ordinary test, with changes.
#![allow(clippy::unwrap_used)]

mod fuzzing;

use std::fs;
use std::path::Path;

#[test]
fn the_corpus_of_answers_brings_nothing_down() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/tpm_answer");
    let mut count = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        fuzzing::run(&bytes);
        for length in 0..bytes.len() {
            fuzzing::run(&bytes[..length]);
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x81;
            fuzzing::run(&changed);
        }
        count += 1;
    }
    assert!(count > 0, "the corpus is empty");
}

proptest::proptest! {
    #[test]
    fn no_answer_at_all_brings_anything_down(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400),
    ) {
        fuzzing::run(&bytes);
    }
}
