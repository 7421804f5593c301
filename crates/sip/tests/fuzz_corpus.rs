// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fuzz corpora, replayed without a fuzzer.
#![allow(clippy::unwrap_used)]

fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "corpus of {target} is empty");
}

#[test]
fn the_corpus_of_messages_is_read() {
    replay("sip_message", lanyard_sip::fuzzing::message);
}

#[test]
fn the_corpus_of_streams_is_read() {
    replay("sip_stream", lanyard_sip::fuzzing::stream);
}

#[test]
fn the_torture_messages_keep_the_same_promises() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/torture");
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        lanyard_sip::fuzzing::message(&bytes);
        lanyard_sip::fuzzing::stream(&bytes);
    }
}
