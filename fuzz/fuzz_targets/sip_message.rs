// SPDX-License-Identifier: MIT OR Apache-2.0
//! One SIP message.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lanyard_sip::fuzzing::message(data));
