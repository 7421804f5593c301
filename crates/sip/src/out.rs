// SPDX-License-Identifier: MIT OR Apache-2.0
//! A message about to be sent.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::addr::NameAddr;
use crate::headers::Headers;
use crate::message::{Message, StartLine};
use crate::method::Method;
use crate::name::{HeaderName, Name};
use crate::scan::{clean, is_token_byte};

/// A message about to be sent: headers can be read, changed and appended until it is serialised.
///
/// Names are written in their long form (independent clients read nothing else), Content-Length
/// always and last. Control characters in values become spaces, so no value can make a new line.
#[derive(Clone, PartialEq, Eq)]
pub struct OutMessage {
    start: Start,
    headers: Vec<(HeaderName, String)>,
    body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Start {
    Request { method: String, uri: String },
    Response { code: u16, reason: String },
}

impl OutMessage {
    /// A request without headers.
    #[must_use]
    pub fn request(method: Method<'_>, uri: impl fmt::Display) -> OutMessage {
        let keep = |c: char| u8::try_from(c).is_ok_and(is_token_byte);
        let method = method
            .as_str()
            .chars()
            .map(|c| if keep(c) { c } else { '-' })
            .collect();
        Self::of_start(Start::Request {
            method,
            uri: clean_uri(&uri.to_string()),
        })
    }

    /// A response without headers.
    #[must_use]
    pub fn response(code: u16, reason: &str) -> OutMessage {
        Self::of_start(Start::Response {
            code,
            reason: clean(reason.to_owned()),
        })
    }

    /// A response to a request: Via, From, To, Call-ID and CSeq are copied as they stand.
    #[must_use]
    pub fn response_to(request: &Message, code: u16, reason: &str) -> OutMessage {
        let mut out = Self::response(code, reason);
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            for value in request.headers(name) {
                out.headers.push((name.into(), value.to_owned()));
            }
        }
        out
    }

    /// A copy of a received message to send on: start line, headers and body, but without
    /// Content-Length (it is computed) and without the proofs of the hop that it came from.
    #[must_use]
    pub fn forward(message: &Message) -> OutMessage {
        let mut out = Self::of_start(match message.start() {
            StartLine::Request { method, uri } => Start::Request {
                method: method.as_str().to_owned(),
                uri: uri.to_owned(),
            },
            StartLine::Response { code, reason } => Start::Response {
                code,
                reason: reason.to_owned(),
            },
        });
        for header in message.iter() {
            let Some(name) = HeaderName::of(header.text) else {
                continue;
            };
            let hop_only = [
                Name::ContentLength,
                Name::Authorization,
                Name::ProxyAuthorization,
                Name::AuthenticationInfo,
                Name::ProxyAuthenticationInfo,
                Name::WwwAuthenticate,
                Name::ProxyAuthenticate,
            ];
            if !header.name.is_some_and(|known| hop_only.contains(&known)) {
                out.headers.push((name, header.value.to_owned()));
            }
        }
        out.body = message.body_bytes();
        out
    }

    fn of_start(start: Start) -> OutMessage {
        OutMessage {
            start,
            headers: Vec::with_capacity(16),
            body: Bytes::new(),
        }
    }

    /// Appends a header (chaining form of [`OutMessage::push`]).
    #[must_use]
    pub fn with(mut self, name: impl Into<HeaderName>, value: impl fmt::Display) -> OutMessage {
        self.push(name, value);
        self
    }

    /// Sets the body and its type.
    #[must_use]
    pub fn with_body(
        mut self,
        content_type: impl fmt::Display,
        body: impl Into<Bytes>,
    ) -> OutMessage {
        self.set(Name::ContentType, content_type);
        self.body = body.into();
        self
    }

    /// Adds a tag to To when it has none: what a response that begins a dialog, and every final
    /// one, must have.
    #[must_use]
    pub fn with_to_tag(mut self, tag: &str) -> OutMessage {
        let to = self
            .headers
            .iter_mut()
            .find(|(name, _)| *name == HeaderName::Known(Name::To));
        if let Some((_, value)) = to
            && NameAddr::parse(value).is_ok_and(|addr| addr.tag().is_none())
        {
            let token = tag
                .chars()
                .filter(|c| u8::try_from(*c).is_ok_and(is_token_byte));
            value.push_str(";tag=");
            value.extend(token);
        }
        self
    }

    /// Appends a header, also when one of that name is there. Content-Length is computed and
    /// cannot be pushed.
    pub fn push(&mut self, name: impl Into<HeaderName>, value: impl fmt::Display) {
        let name = name.into();
        if name != HeaderName::Known(Name::ContentLength) {
            self.headers.push((name, clean(value.to_string())));
        }
    }

    /// Replaces all headers of this name by one.
    pub fn set(&mut self, name: impl Into<HeaderName>, value: impl fmt::Display) {
        let name = name.into();
        let value = clean(value.to_string());
        let mut value = Some(value);
        self.headers.retain_mut(|(n, v)| {
            if *n != name {
                return true;
            }
            match value.take() {
                Some(value) => {
                    *v = value;
                    true
                }
                None => false,
            }
        });
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    /// Removes all headers of this name.
    pub fn remove(&mut self, name: impl Into<HeaderName>) {
        let name = name.into();
        self.headers.retain(|(n, _)| *n != name);
    }

    /// Replaces the Request-URI; nothing happens to a response.
    pub fn set_uri(&mut self, new: impl fmt::Display) {
        if let Start::Request { uri, .. } = &mut self.start {
            *uri = clean_uri(&new.to_string());
        }
    }

    /// True for a request.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The Request-URI; `None` for a response.
    #[must_use]
    pub fn uri(&self) -> Option<&str> {
        match &self.start {
            Start::Request { uri, .. } => Some(uri),
            Start::Response { .. } => None,
        }
    }

    /// The reason phrase; `None` for a request.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match &self.start {
            Start::Request { .. } => None,
            Start::Response { reason, .. } => Some(reason),
        }
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// All headers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &str)> {
        self.headers
            .iter()
            .map(|(name, value)| (name, value.as_str()))
    }

    /// How many bytes [`OutMessage::to_bytes`] gives, give or take the start line.
    #[must_use]
    pub fn size(&self) -> usize {
        let heads = self
            .headers
            .iter()
            .map(|(n, v)| n.as_str().len().saturating_add(v.len()).saturating_add(4))
            .fold(0, usize::saturating_add);
        heads.saturating_add(self.body.len()).saturating_add(64)
    }

    /// The message as it goes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.size().saturating_add(192));
        let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
        match &self.start {
            Start::Request { method, uri } => {
                put(method);
                put(" ");
                put(uri);
                put(" SIP/2.0\r\n");
            }
            Start::Response { code, reason } => {
                put(&format!("SIP/2.0 {code:03} "));
                put(reason);
                put("\r\n");
            }
        }
        for (name, value) in &self.headers {
            put(name.as_str());
            put(": ");
            put(value);
            put("\r\n");
        }
        put(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        out.extend_from_slice(&self.body);
        out.freeze()
    }
}

impl Headers for OutMessage {
    fn header(&self, name: Name) -> Option<&str> {
        self.headers(name).next()
    }

    fn headers(&self, name: Name) -> impl Iterator<Item = &str> {
        self.iter()
            .filter(move |(n, _)| **n == HeaderName::Known(name))
            .map(|(_, value)| value)
    }

    fn headers_named(&self, name: &str) -> impl Iterator<Item = &str> {
        let wanted = HeaderName::of(name);
        self.iter()
            .filter(move |(n, _)| Some(*n) == wanted.as_ref())
            .map(|(_, value)| value)
    }

    fn method(&self) -> Option<Method<'_>> {
        match &self.start {
            Start::Request { method, .. } => Some(Method::of(method)),
            Start::Response { .. } => None,
        }
    }

    fn status(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { code, .. } => Some(code),
        }
    }
}

/// First line and sizes only: headers hold signatures and bodies hold what people say.
impl fmt::Debug for OutMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutMessage")
            .field("start", &self.start)
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// A URI that cannot leave its place in the first line: bytes that no URI may hold are escaped.
fn clean_uri(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte > b' ' && byte < 0x7f && !matches!(byte, b'<' | b'>' | b'"') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason_phrase;

    fn register() -> Message {
        Message::parse(
            "REGISTER sip:contoso.test SIP/2.0\r\n\
             v: SIP/2.0/tls 127.0.0.1:52378;branch=z9hG4bK1\r\n\
             Via: SIP/2.0/TLS proxy\r\n\
             f: \"Alice\"\r\n <sip:alice@contoso.test>;tag=1;epid=abb2cb12b77f\r\n\
             t: <sip:alice@contoso.test>\r\n\
             Authorization: TLS-DSK x=\"1\"\r\n\
             CSEQ: 007 REGISTER\r\n\
             i: abc\r\n\
             X-Other: y\r\n\
             c: text/plain\r\n\
             l: 5\r\n\r\nhello",
        )
        .unwrap()
    }

    fn text(out: &OutMessage) -> String {
        String::from_utf8_lossy(&out.to_bytes()).replace('\r', "")
    }

    #[test]
    fn a_response_copies_what_it_must_and_uses_long_names() {
        let out = OutMessage::response_to(&register(), 200, reason_phrase(200))
            .with_to_tag("A1B2")
            .with(Name::Expires, 600)
            .with(Name::Supported, "adhoclist")
            .with(Name::Supported, "msrtc-event-categories");
        insta::assert_snapshot!(text(&out));
    }

    #[test]
    fn a_forwarded_request_loses_the_proofs_of_its_hop_only() {
        insta::assert_snapshot!(text(&OutMessage::forward(&register())));
    }

    #[test]
    fn a_to_tag_is_added_once() {
        let out = OutMessage::response_to(&register(), 200, "OK").with_to_tag("a;b\r\nc");
        assert_eq!(out.to_addr().unwrap().tag(), Some("abc"));
        assert_eq!(out.with_to_tag("d").to_addr().unwrap().tag(), Some("abc"));
    }

    #[test]
    fn set_replaces_all_of_a_name_and_remove_takes_them_away() {
        let mut out = OutMessage::response(200, "OK")
            .with("x-a", 1)
            .with(Name::Supported, "a")
            .with("X-A", 2)
            .with(Name::ContentLength, 99);
        out.set("X-a", 3);
        assert_eq!(out.headers_named("x-A").collect::<Vec<_>>(), ["3"]);
        out.remove("X-A");
        out.set(Name::Supported, "b");
        out.set(Name::Event, "presence");
        assert_eq!(
            text(&out),
            "SIP/2.0 200 OK\nSupported: b\nEvent: presence\nContent-Length: 0\n\n"
        );
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let out = OutMessage::request(Method::Other("A B\r\nC"), "sip:a b\r\nEvil: <x>@c")
            .with(Name::Subject, "one\r\nEvil: two\0");
        assert_eq!(
            text(&out),
            "A-B--C sip:a%20b%0D%0AEvil:%20%3Cx%3E@c SIP/2.0\n\
             Subject: one  Evil: two \nContent-Length: 0\n\n"
        );
        let out = OutMessage::response(400, "Bad\r\nEvil: x");
        assert_eq!(
            text(&out),
            "SIP/2.0 400 Bad  Evil: x\nContent-Length: 0\n\n"
        );
    }

    #[test]
    fn no_header_value_is_printed_by_debug() {
        let out = OutMessage::forward(&register()).with_body("text/plain", "secret");
        let text = format!("{out:?} {:?}", register());
        assert!(!text.contains("alice") && !text.contains("secret") && !text.contains("hello"));
    }
}
