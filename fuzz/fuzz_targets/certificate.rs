// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificates from anybody, as the card listener gets them: every accessor works on what was read.
#![no_main]

use lanyard_x509::{Certificate, ChainCheck, Crl, Eku, verify_chain};
use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;

fuzz_target!(|bytes: &[u8]| {
    let _ = Crl::from_der(bytes);
    let Ok(certificate) = Certificate::from_der(bytes) else { return };
    let again = Certificate::from_pem(&certificate.to_pem()).expect("PEM of a certificate is one");
    assert_eq!(again.fields(), certificate.fields());
    let _ = certificate.claims();
    let _ = certificate.public_key();
    let _ = (certificate.subject().to_string(), certificate.issuer().to_string());
    let anchors = [certificate.clone()];
    let check = ChainCheck {
        intermediates: &[],
        anchors: &anchors,
        now: OffsetDateTime::UNIX_EPOCH,
        required_eku: Eku::CLIENT_AUTH,
        crls: &[],
    };
    let _ = verify_chain(&certificate, &check);
});
