// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fuzz corpus, replayed without a fuzzer.

#[test]
fn the_corpus_of_documents_is_read() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fuzz/corpus/presence_xml"
    );
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("corpus") {
        let bytes = std::fs::read(entry.expect("entry").path()).expect("file");
        lanyard_presence::fuzzing::xml(&bytes);
        count += 1;
    }
    assert!(count > 10, "the corpus is there");
}
