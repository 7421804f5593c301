// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stream of SIP messages.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lanyard_sip::fuzzing::stream(data));
