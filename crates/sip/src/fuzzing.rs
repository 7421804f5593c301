// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzz targets check; an ordinary test replays their corpora. No part of the API.

use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};
use crate::{Frame, Framer, Headers as _, Message, Name, NameAddr, OutMessage, multipart};

/// Any bytes are read without a panic, and what is read survives being written and read again.
pub fn message(data: &[u8]) {
    let Ok(message) = Message::parse(data.to_vec()) else {
        return;
    };
    read_everything(&message);
    let Ok(again) = Message::parse(OutMessage::forward(&message).to_bytes()) else {
        // Compact names grow and Content-Length is added: a limit may be passed, nothing else.
        let headers = message.iter().count();
        let at_limit = data.len() > HEAD_BYTES_MAX / 4 || headers >= HEADERS_MAX;
        assert!(at_limit, "a forwarded message must parse");
        return;
    };
    assert_eq!(message.start(), again.start());
    assert_eq!(message.body(), again.body());
    for name in [
        Name::From,
        Name::To,
        Name::CallId,
        Name::CSeq,
        Name::Via,
        Name::Expires,
    ] {
        assert!(
            message.headers(name).eq(again.headers(name)),
            "{name} changed"
        );
    }
}

/// A stream gives the same frames whether it comes whole or byte by byte.
pub fn stream(data: &[u8]) {
    let whole = frames([data].into_iter());
    let pieces = frames(data.chunks(1));
    assert_eq!(whole, pieces);
}

fn frames<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Option<Vec<u8>>> {
    let mut framer = Framer::new();
    let mut out = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        loop {
            match framer.next_frame() {
                Ok(Some(Frame::Message(message))) => out.push(Some(message.bytes().to_vec())),
                Ok(Some(Frame::KeepAlive)) => out.push(None),
                Ok(None) => break,
                Err(_) => return out,
            }
        }
    }
    out
}

fn read_everything(message: &Message) {
    let _ = message.envelope();
    let _ = message.expires_secs();
    let _ = message.max_forwards();
    let _ = message.event();
    let _ = message.authorization();
    let _ = message.authentication_info();
    let _ = message.challenges().count();
    let _ = message.asserted_identity("sip");
    for header in message.iter() {
        assert_eq!(
            header.value,
            reference_unfold(header.raw),
            "{}",
            header.text
        );
        for element in crate::split_list(header.value) {
            if let Ok(address) = NameAddr::parse(element) {
                let _ = (address.display(), address.tag(), address.instance());
                if let Ok(uri) = address.sip_uri() {
                    let _ = (uri.address(), uri.gruu_instance());
                    assert_eq!(uri.to_string().parse().as_ref(), Ok(&uri));
                }
            }
        }
    }
    if let Some(kind) = message.content_type()
        && let Ok(parts) = multipart::read(&kind, message.body())
    {
        for part in parts {
            let _ = (part.content_type(), part.content_id());
        }
    }
}

/// Unfolding written another way: byte by byte, to compare with.
fn reference_unfold(raw: &[u8]) -> String {
    let mut out: Vec<u8> = Vec::new();
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\r' {
            out.push(byte);
            continue;
        }
        while matches!(out.last(), Some(b' ' | b'\t')) {
            out.pop();
        }
        while matches!(bytes.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            bytes.next();
        }
        out.push(b' ');
    }
    String::from_utf8_lossy(&out).into_owned()
}
