// SPDX-License-Identifier: MIT OR Apache-2.0
//! A received message: the bytes and an index into them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::envelope::{Defect, Envelope};
use crate::headers::Headers;
use crate::method::Method;
use crate::name::Name;
use crate::parse::{Head, MessageError, Span, Start, parse_whole};

/// A received message. Cloning shares the bytes.
///
/// It pins the block of memory that it was received in: keep values, not messages, for long.
#[derive(Clone)]
pub struct Message {
    inner: Arc<Inner>,
}

struct Inner {
    bytes: Bytes,
    head: Head,
}

/// The first line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// `METHOD uri SIP/2.0`
    Request {
        /// The method.
        method: Method<'a>,
        /// The Request-URI as it stands; its scheme may be unknown.
        uri: &'a str,
    },
    /// `SIP/2.0 code reason`
    Response {
        /// The status code, 100 to 699.
        code: u16,
        /// The reason phrase; it may be empty.
        reason: &'a str,
    },
}

/// One header of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name as it stands.
    pub text: &'a str,
    /// The name when it is a known one, in long or compact form.
    pub name: Option<Name>,
    /// The value with folding undone and outer spaces removed.
    pub value: &'a str,
    /// The value exactly as received, folds included, outer spaces removed.
    pub raw: &'a [u8],
}

impl Message {
    /// Reads one message that lies in memory whole. Bytes after the body are ignored, as RFC 3261
    /// 18.3 asks for datagrams; a stream is cut by [`crate::Framer`] instead.
    ///
    /// # Errors
    /// What is malformed or too long.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Message, MessageError> {
        let mut bytes = bytes.into();
        while bytes.starts_with(b"\r\n") {
            bytes = bytes.slice(2..);
        }
        let (head, total) = parse_whole(&bytes)?;
        bytes.truncate(total);
        Ok(Self::of_parts(bytes, head))
    }

    pub(crate) fn of_parts(bytes: Bytes, head: Head) -> Message {
        Message {
            inner: Arc::new(Inner { bytes, head }),
        }
    }

    /// The five fields that every message must have, read and checked.
    ///
    /// # Errors
    /// The first defect found. For a request it is worth a 400 with its text.
    pub fn envelope(&self) -> Result<Envelope<'_>, Defect> {
        Envelope::of(self)
    }

    /// The first line.
    #[must_use]
    pub fn start(&self) -> StartLine<'_> {
        match &self.inner.head.start {
            Start::Request { method, uri } => StartLine::Request {
                method: Method::of(self.text(*method)),
                uri: self.text(*uri),
            },
            Start::Response { code, reason } => StartLine::Response {
                code: *code,
                reason: self.text(*reason),
            },
        }
    }

    /// True for a request.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self.inner.head.start, Start::Request { .. })
    }

    /// The Request-URI as it stands; `None` for a response.
    #[must_use]
    pub fn uri(&self) -> Option<&str> {
        match self.start() {
            StartLine::Request { uri, .. } => Some(uri),
            StartLine::Response { .. } => None,
        }
    }

    /// The reason phrase; `None` for a request.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self.start() {
            StartLine::Request { .. } => None,
            StartLine::Response { reason, .. } => Some(reason),
        }
    }

    /// All headers in order.
    pub fn iter(&self) -> impl Iterator<Item = Header<'_>> {
        self.inner.head.entries.iter().map(|entry| Header {
            text: self.text(entry.text),
            name: entry.name,
            value: match entry
                .unfolded
                .and_then(|at| self.inner.head.unfolded.get(at as usize))
            {
                Some(unfolded) => unfolded,
                None => self.text(entry.value),
            },
            raw: self.slice(entry.value),
        })
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.inner
            .bytes
            .get(self.inner.head.length..)
            .unwrap_or_default()
    }

    /// The body, sharing the message's memory.
    #[must_use]
    pub fn body_bytes(&self) -> Bytes {
        let mut bytes = self.inner.bytes.clone();
        bytes.split_off(self.inner.head.length.min(bytes.len()))
    }

    /// The whole message as received.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.inner.bytes
    }

    /// True when a header of this name stands there more than once.
    pub(crate) fn repeats(&self, name: Name) -> bool {
        self.inner.head.repeated & name.bit() != 0
    }

    fn slice(&self, span: Span) -> &[u8] {
        self.inner.bytes.get(span.range()).unwrap_or_default()
    }

    /// The parser has seen that the whole head is UTF-8 and cuts it at ASCII bytes only.
    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.slice(span)).unwrap_or_default()
    }
}

impl Headers for Message {
    fn header(&self, name: Name) -> Option<&str> {
        if !self.inner.head.has(name) {
            return None;
        }
        self.headers(name).next()
    }

    fn headers(&self, name: Name) -> impl Iterator<Item = &str> {
        let head = &self.inner.head;
        head.entries
            .iter()
            .filter(move |entry| entry.name == Some(name))
            .map(
                |entry| match entry.unfolded.and_then(|at| head.unfolded.get(at as usize)) {
                    Some(unfolded) => &**unfolded,
                    None => self.text(entry.value),
                },
            )
    }

    fn headers_named(&self, name: &str) -> impl Iterator<Item = &str> {
        let known = Name::lookup(name.as_bytes());
        self.iter()
            .filter(move |header| match known {
                Some(known) => header.name == Some(known),
                None => header.name.is_none() && header.text.eq_ignore_ascii_case(name),
            })
            .map(|header| header.value)
    }

    fn method(&self) -> Option<Method<'_>> {
        match self.start() {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    fn status(&self) -> Option<u16> {
        match self.inner.head.start {
            Start::Request { .. } => None,
            Start::Response { code, .. } => Some(code),
        }
    }
}

/// First line and sizes only: headers hold signatures and bodies hold what people say.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("start", &self.start())
            .field("headers", &self.inner.head.entries.len())
            .field("body_bytes", &self.body().len())
            .finish()
    }
}
