// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fuzz corpus, replayed without a fuzzer.
#![allow(clippy::unwrap_used)]

use lanyard_sip_auth::fuzzing::auth_header;
use proptest::prelude::*;

#[test]
fn the_corpus_of_authentication_headers_lets_nobody_in() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fuzz/corpus/sip_auth_header"
    );
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        auth_header(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "corpus is empty");
}

proptest! {
    #[test]
    fn arbitrary_authentication_headers_let_nobody_in(
        scheme in prop_oneof!["TLS-DSK", "NTLM", "[!-~]{0,8}"],
        params in prop::collection::vec(
            ("qop|opaque|realm|targetname|crand|cnum|response|gssapi-data|version|[!-~]{1,5}", "\"?[ -~]{0,12}\"?"),
            0..10,
        ),
    ) {
        let params: Vec<_> = params.into_iter().map(|(n, v)| format!("{n}={v}")).collect();
        auth_header(format!("{scheme} {}", params.join(", ")).as_bytes());
    }
}
