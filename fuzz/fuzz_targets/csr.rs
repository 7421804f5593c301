// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificate requests from anybody: what is read can be read again from its PEM, and is the same.
#![no_main]

use lanyard_x509::Csr;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(csr) = Csr::parse(bytes) {
        let again = Csr::parse(csr.to_pem().as_bytes()).expect("PEM of a request is a request");
        assert_eq!(again.der(), csr.der());
        assert_eq!(again.wish(), csr.wish());
    }
});
