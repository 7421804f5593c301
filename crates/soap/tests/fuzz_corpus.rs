// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replays the corpora of the fuzz targets, and damages every file a little.

mod exercise;

use std::fs;
use std::path::Path;

fn replay(target: &str, exercise: fn(&str)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut files = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is checked in") {
        let bytes = fs::read(entry.expect("readable").path()).expect("readable");
        let text = String::from_utf8_lossy(&bytes);
        exercise(&text);
        // Cut at many places, and with one character exchanged there.
        for (at, c) in text.char_indices().step_by(23) {
            exercise(&text[..at]);
            let rest = &text[at + c.len_utf8()..];
            for other in ["<", "\"", ""] {
                exercise(&[&text[..at], other, rest].concat());
            }
        }
        files += 1;
    }
    assert!(files > 0, "the corpus of {target} is empty");
}

#[test]
fn soap_envelope_corpus_is_answered_without_panic() {
    replay("soap_envelope", exercise::soap_envelope);
}

#[test]
fn autodiscover_corpus_is_answered_without_panic() {
    replay("autodiscover_xml", exercise::autodiscover_xml);
}
