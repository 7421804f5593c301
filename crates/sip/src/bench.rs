// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `cargo xtask bench` measures here; no part of the API.

use crate::{Headers as _, Message, Name};

/// A REGISTER of the size and shape that signed-in clients send.
pub const REGISTER: &[u8] = include_bytes!("../testdata/bench-register.sip");

/// Parses the message and reads what a server reads of every REGISTER; returns a number that
/// depends on all of it, so that nothing can be left out.
#[must_use]
pub fn parse_register(bytes: &bytes::Bytes) -> usize {
    let Ok(message) = Message::parse(bytes.clone()) else {
        return 0;
    };
    let Ok(envelope) = message.envelope() else {
        return 0;
    };
    let Some(Ok(auth)) = message.authorization() else {
        return 0;
    };
    let texts = [
        envelope.from.tag(),
        envelope.from.epid(),
        envelope.via.branch(),
        Some(envelope.call_id),
        Some(envelope.cseq.number_text),
        auth.get("opaque"),
        auth.get("cnum"),
        auth.get("response"),
        message.header(Name::Expires),
    ];
    texts
        .into_iter()
        .flatten()
        .map(str::len)
        .fold(0, usize::saturating_add)
}
