// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a REGISTER takes to parse: the median of several rounds, in nanoseconds.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use lanyard_sip::bench;

const ROUNDS: usize = 15;
const MESSAGES_PER_ROUND: u32 = 20_000;

fn main() {
    let bytes = bytes::Bytes::from_static(bench::REGISTER);
    let median = |work: &dyn Fn()| {
        let mut rounds: Vec<u128> = (0..ROUNDS)
            .map(|_| {
                let begun = Instant::now();
                for _ in 0..MESSAGES_PER_ROUND {
                    work();
                }
                begun.elapsed().as_nanos() / u128::from(MESSAGES_PER_ROUND)
            })
            .collect();
        rounds.sort_unstable();
        rounds.get(ROUNDS / 2).copied().unwrap_or_default()
    };
    let index = median(&|| {
        let _ = black_box(lanyard_sip::Message::parse(black_box(bytes.clone())));
    });
    let whole = median(&|| {
        black_box(bench::parse_register(black_box(&bytes)));
    });
    println!(
        "{{\"message_bytes\":{},\"index_ns\":{index},\"read_ns\":{whole}}}",
        bytes.len()
    );
}
