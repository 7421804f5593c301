// SPDX-License-Identifier: MIT OR Apache-2.0
//! The value of an authentication header.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lanyard_sip_auth::fuzzing::auth_header(data));
