// SPDX-License-Identifier: MIT OR Apache-2.0
//! The readers of lanyard-soap; see tests/exercise of that crate.
#![no_main]

#[allow(dead_code)]
#[path = "../../crates/soap/tests/exercise/mod.rs"]
mod exercise;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| exercise::soap_envelope(text));
