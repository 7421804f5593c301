// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzzers call, and what the replay of their corpora calls.

pub mod apdu;
pub mod tlv;
