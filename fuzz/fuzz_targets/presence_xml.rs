// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every XML document of the presence wire.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lanyard_presence::fuzzing::xml(data));
