// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any sequence of commands to a virtual card whose PIN is verified and management key proved.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/virtual-card/tests/fuzzing/mod.rs"]
mod fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::session(bytes));
