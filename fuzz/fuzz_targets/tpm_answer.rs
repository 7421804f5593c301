// SPDX-License-Identifier: MIT OR Apache-2.0
#![no_main]

#[path = "../../crates/tpm/tests/fuzzing/mod.rs"]
mod fuzzing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::run(bytes));
