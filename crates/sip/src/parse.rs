// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reader of a message's head: one pass, no copies but for folded values.

use std::ops::Range;

use memchr::{memchr, memmem};

use crate::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX, LINE_BYTES_MAX};
use crate::name::Name;
use crate::scan::{decimal, is_token, is_token_byte};

/// Why bytes are no message. On a stream each of them ends the connection: after it nobody can say
/// where the next message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The bytes end before the head or the body does.
    #[error("message is incomplete")]
    Incomplete,
    /// More than [`HEAD_BYTES_MAX`] bytes before the empty line.
    #[error("message head is longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    /// A line of more than [`LINE_BYTES_MAX`] bytes.
    #[error("header is longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    /// More than [`HEADERS_MAX`] headers.
    #[error("more than {HEADERS_MAX} headers")]
    TooManyHeaders,
    /// A Content-Length of more than [`BODY_BYTES_MAX`].
    #[error("message body is longer than {BODY_BYTES_MAX} bytes")]
    BodyTooLong,
    /// The head is not UTF-8.
    #[error("message head is not UTF-8")]
    NotUtf8,
    /// A CR or LF that is not part of a CRLF.
    #[error("line does not end with CR LF")]
    LineEnd,
    /// A control character that no backslash in a quoted string announces.
    #[error("control character in the message head")]
    ControlCharacter,
    /// The first line is neither a request line nor a status line.
    #[error("malformed first line")]
    StartLine,
    /// The first line is of another version of SIP, or of another protocol.
    #[error("not SIP/2.0")]
    Version,
    /// A header without a colon, or with a name that is no token.
    #[error("malformed header line")]
    HeaderLine,
    /// Content-Length is no number, or stands there more than once.
    #[error("malformed or repeated Content-Length")]
    ContentLength,
    /// A body is announced (Content-Type) on a stream without saying how long it is.
    #[error("Content-Length is missing")]
    ContentLengthMissing,
}

/// Offsets into the message's bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Heads are far shorter than 4 GiB; a longer one would give an empty span.
    fn new(start: usize, end: usize) -> Span {
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Span { start, end },
            _ => Span { start: 0, end: 0 },
        }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

#[derive(Debug)]
pub(crate) enum Start {
    Request { method: Span, uri: Span },
    Response { code: u16, reason: Span },
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Option<Name>,
    pub(crate) text: Span,
    pub(crate) value: Span,
    /// Index into [`Head::unfolded`] when the value was folded.
    pub(crate) unfolded: Option<u16>,
}

/// The index of one head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) start: Start,
    pub(crate) entries: Vec<Entry>,
    /// One bit per known name: stands there; stands there more than once.
    pub(crate) seen: u64,
    pub(crate) repeated: u64,
    pub(crate) unfolded: Vec<Box<str>>,
    /// Bytes up to and including the empty line.
    pub(crate) length: usize,
    /// What Content-Length says.
    pub(crate) content_length: Option<usize>,
}

impl Head {
    pub(crate) fn has(&self, name: Name) -> bool {
        self.seen & name.bit() != 0
    }
}

/// Finds where the head ends (after the empty line), looking from `from` on.
pub(crate) fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let at = memmem::find(bytes.get(from..)?, b"\r\n\r\n")?;
    at.checked_add(from)?.checked_add(4)
}

/// Reads a message that lies in memory whole; gives its head and its full length.
pub(crate) fn parse_whole(bytes: &[u8]) -> Result<(Head, usize), MessageError> {
    let end = head_end(bytes, 0).ok_or(MessageError::Incomplete)?;
    let head = parse_head(bytes.get(..end).ok_or(MessageError::Incomplete)?)?;
    let total = match head.content_length {
        Some(length) => end.checked_add(length).ok_or(MessageError::BodyTooLong)?,
        None => bytes.len(),
    };
    if total.saturating_sub(end) > BODY_BYTES_MAX {
        return Err(MessageError::BodyTooLong);
    }
    if total > bytes.len() {
        return Err(MessageError::Incomplete);
    }
    Ok((head, total))
}

/// Reads a head. `bytes` end with the empty line.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Head, MessageError> {
    if bytes.len() > HEAD_BYTES_MAX {
        return Err(MessageError::HeadTooLong);
    }
    if std::str::from_utf8(bytes).is_err() {
        return Err(MessageError::NotUtf8);
    }
    // Two passes without branches instead of a test at every byte.
    if bytes.iter().fold(false, |found, &b| found | is_control(b)) {
        check_controls(bytes)?;
    }
    check_line_ends(bytes)?;
    let (line, mut at) = take_line(bytes, 0)?;
    let start = parse_start(bytes, line)?;
    let mut head = Head {
        start,
        entries: Vec::with_capacity(24),
        seen: 0,
        repeated: 0,
        unfolded: Vec::new(),
        length: bytes.len(),
        content_length: None,
    };
    loop {
        let line_start = at;
        let (line, next) = take_line(bytes, at)?;
        at = next;
        if line.is_empty() {
            break;
        }
        let mut line_end = line.end;
        let mut folded = false;
        // A line that begins with a space or tab continues the one before (RFC 3261, 7.3.1).
        while matches!(bytes.get(at), Some(b' ' | b'\t')) {
            let (more, next) = take_line(bytes, at)?;
            (line_end, at, folded) = (more.end, next, true);
        }
        if line_end.saturating_sub(line_start) > LINE_BYTES_MAX {
            return Err(MessageError::LineTooLong);
        }
        if head.entries.len() >= HEADERS_MAX {
            return Err(MessageError::TooManyHeaders);
        }
        push_entry(&mut head, bytes, line_start..line_end, folded)?;
    }
    // The empty line that ends the head is the first one.
    if at != bytes.len() {
        return Err(MessageError::HeaderLine);
    }
    Ok(head)
}

fn push_entry(
    head: &mut Head,
    bytes: &[u8],
    line: Range<usize>,
    folded: bool,
) -> Result<(), MessageError> {
    let text = bytes.get(line.clone()).ok_or(MessageError::HeaderLine)?;
    let colon = memchr(b':', text).ok_or(MessageError::HeaderLine)?;
    let (name, value) = text
        .split_at_checked(colon)
        .ok_or(MessageError::HeaderLine)?;
    let value = value.get(1..).unwrap_or_default();
    let is_space = |b: &u8| matches!(b, b' ' | b'\t');
    let name_len = name
        .len()
        .saturating_sub(name.iter().rev().take_while(|b| is_space(b)).count());
    let name = name.get(..name_len).unwrap_or_default();
    if name.is_empty() || !name.iter().copied().all(is_token_byte) {
        return Err(MessageError::HeaderLine);
    }
    // CR and LF are white space at the edges too: a fold may come first or last.
    let is_edge = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    let skipped = value.iter().take_while(|b| is_edge(b)).count();
    let value = value.get(skipped..).unwrap_or_default();
    let dropped = value.iter().rev().take_while(|b| is_edge(b)).count();
    let value = value
        .get(..value.len().saturating_sub(dropped))
        .unwrap_or_default();

    let known = Name::lookup(name);
    let text_span = Span::new(line.start, line.start.saturating_add(name_len));
    let value_start = line
        .start
        .saturating_add(colon)
        .saturating_add(1)
        .saturating_add(skipped);
    let value_span = Span::new(value_start, value_start.saturating_add(value.len()));
    let unfolded = if folded && memchr(b'\n', value).is_some() {
        let index = u16::try_from(head.unfolded.len()).map_err(|_| MessageError::TooManyHeaders)?;
        head.unfolded.push(unfold(value).into_boxed_str());
        Some(index)
    } else {
        None
    };
    if known == Some(Name::ContentLength) {
        if head.content_length.is_some() {
            return Err(MessageError::ContentLength);
        }
        let text = std::str::from_utf8(value).map_err(|_| MessageError::NotUtf8)?;
        let length = decimal::<u64>(text).ok_or(MessageError::ContentLength)?;
        let length = usize::try_from(length).map_err(|_| MessageError::BodyTooLong)?;
        if length > BODY_BYTES_MAX {
            return Err(MessageError::BodyTooLong);
        }
        head.content_length = Some(length);
    }
    if let Some(name) = known {
        head.repeated |= head.seen & name.bit();
        head.seen |= name.bit();
    }
    head.entries.push(Entry {
        name: known,
        text: text_span,
        value: value_span,
        unfolded,
    });
    Ok(())
}

/// Each fold with the white space around it becomes one space.
fn unfold(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let mut out = String::with_capacity(text.len());
    for line in text.split("\r\n") {
        let line = line.trim_matches([' ', '\t']);
        if !line.is_empty() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(line);
        }
    }
    out
}

/// The line that begins at `at` without its CRLF, and where the next one begins.
fn take_line(bytes: &[u8], at: usize) -> Result<(Range<usize>, usize), MessageError> {
    let rest = bytes.get(at..).ok_or(MessageError::Incomplete)?;
    let length = memchr(b'\r', rest).ok_or(MessageError::Incomplete)?;
    if length > LINE_BYTES_MAX {
        return Err(MessageError::LineTooLong);
    }
    let end = at.saturating_add(length);
    Ok((at..end, end.saturating_add(2)))
}

/// Every CR is followed by an LF and every LF follows a CR: then looking for either is enough.
fn check_line_ends(bytes: &[u8]) -> Result<(), MessageError> {
    let pairs = bytes.iter().zip(bytes.get(1..).unwrap_or_default());
    let broken = pairs.fold(false, |found, (&a, &b)| {
        found | ((a == b'\r') != (b == b'\n'))
    });
    if broken || bytes.first() == Some(&b'\n') || bytes.last() == Some(&b'\r') {
        return Err(MessageError::LineEnd);
    }
    Ok(())
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n')) || byte == 0x7f
}

/// RFC 3261 allows control characters as quoted pairs only.
fn check_controls(bytes: &[u8]) -> Result<(), MessageError> {
    let mut previous = 0;
    for &byte in bytes {
        if is_control(byte) && previous != b'\\' {
            return Err(MessageError::ControlCharacter);
        }
        previous = byte;
    }
    Ok(())
}

fn parse_start(bytes: &[u8], line: Range<usize>) -> Result<Start, MessageError> {
    let text = bytes.get(line.clone()).ok_or(MessageError::StartLine)?;
    let text = std::str::from_utf8(text).map_err(|_| MessageError::NotUtf8)?;
    let span = |part: &str, offset: usize| {
        let start = line.start.saturating_add(offset);
        Span::new(start, start.saturating_add(part.len()))
    };
    let (first, rest) = text.split_once(' ').ok_or(MessageError::StartLine)?;
    if is_version(first) {
        // "SIP/2.0 100 " with an empty phrase is valid; without the last space it is tolerated.
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let number = decimal::<u16>(code).filter(|c| code.len() == 3 && (100..=699).contains(c));
        let number = number.ok_or(MessageError::StartLine)?;
        let offset = text.len().saturating_sub(reason.len());
        return Ok(Start::Response {
            code: number,
            reason: span(reason, offset),
        });
    }
    let (uri, version) = rest.split_once(' ').ok_or(MessageError::StartLine)?;
    let uri_ok = uri.contains(':')
        && uri
            .bytes()
            .all(|b| b > b' ' && b < 0x7f && !matches!(b, b'<' | b'>' | b'"'));
    if !is_token(first) || !uri_ok {
        return Err(MessageError::StartLine);
    }
    if !is_version(version) {
        let other = version
            .split_once('/')
            .is_some_and(|(name, _)| is_token(name))
            && !version.contains(' ');
        return Err(if other {
            MessageError::Version
        } else {
            MessageError::StartLine
        });
    }
    Ok(Start::Request {
        method: span(first, 0),
        uri: span(uri, first.len().saturating_add(1)),
    })
}

fn is_version(text: &str) -> bool {
    text.eq_ignore_ascii_case("SIP/2.0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Headers, Message};

    fn request(headers: &str) -> Result<Message, MessageError> {
        Message::parse(format!("OPTIONS sip:a@b SIP/2.0\r\n{headers}\r\n"))
    }

    #[test]
    fn names_are_found_in_any_case_compact_and_repeated() {
        let m = request("F: <sip:x@y>;tag=1\r\nSUPPORTED:a\r\nk : b\r\nms-Keep-Alive: UAC\r\n")
            .unwrap();
        assert_eq!(m.header(Name::From), Some("<sip:x@y>;tag=1"));
        assert_eq!(m.headers(Name::Supported).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(m.header_named("MS-KEEP-ALIVE"), Some("UAC"));
        assert_eq!(m.header_named("from"), Some("<sip:x@y>;tag=1"));
        assert_eq!(m.header_named("f"), Some("<sip:x@y>;tag=1"));
        assert_eq!(m.header_named("x-none"), None);
    }

    #[test]
    fn a_folded_value_reads_as_one_line_and_keeps_its_bytes() {
        let m = request("Subject: \r\n one \t\r\n\t two\r\n \r\nX: y\r\n").unwrap();
        assert_eq!(m.header(Name::Subject), Some("one two"));
        let header = m.iter().next().unwrap();
        assert_eq!(header.raw, b"one \t\r\n\t two");
        assert_eq!(m.header_named("x"), Some("y"));
    }

    #[test]
    fn lines_must_end_with_cr_lf() {
        assert_eq!(
            request("A: b\nC: d\r\n").unwrap_err(),
            MessageError::LineEnd
        );
        assert_eq!(
            request("A: b\rC: d\r\n").unwrap_err(),
            MessageError::LineEnd
        );
    }

    #[test]
    fn control_characters_need_a_backslash() {
        assert_eq!(
            request("A: \"\x07\"\r\n").unwrap_err(),
            MessageError::ControlCharacter
        );
        assert_eq!(
            request("A: \0\r\n").unwrap_err(),
            MessageError::ControlCharacter
        );
        assert!(request("A: \"\\\x07\"\r\n").is_ok());
    }

    #[test]
    fn a_name_without_colon_or_with_a_space_is_refused() {
        for bad in ["From\r\n", ": x\r\n", "A B: x\r\n", "Ä: x\r\n"] {
            assert_eq!(request(bad).unwrap_err(), MessageError::HeaderLine, "{bad}");
        }
    }

    #[test]
    fn the_number_of_headers_is_limited() {
        let of = |n| request(&"A: b\r\n".repeat(n)).map(|_| ());
        assert_eq!(of(HEADERS_MAX), Ok(()));
        assert_eq!(of(HEADERS_MAX + 1), Err(MessageError::TooManyHeaders));
    }

    #[test]
    fn the_length_of_a_line_is_limited_with_its_folds() {
        let of = |n: usize| request(&format!("A: {}\r\n", "x".repeat(n - 3))).map(|_| ());
        assert_eq!(of(LINE_BYTES_MAX), Ok(()));
        assert_eq!(of(LINE_BYTES_MAX + 1), Err(MessageError::LineTooLong));
        let folded = format!("A: x\r\n {}\r\n", "x".repeat(LINE_BYTES_MAX - 6));
        assert_eq!(request(&folded).map(|_| ()), Err(MessageError::LineTooLong));
    }

    #[test]
    fn content_length_must_be_one_number() {
        for bad in ["-1", "+1", "1 1", "", "0x1", "99999999999999999999"] {
            let result = request(&format!("Content-Length: {bad}\r\n"));
            assert_eq!(result.unwrap_err(), MessageError::ContentLength, "{bad}");
        }
        let twice = request("Content-Length: 0\r\nl: 0\r\n");
        assert_eq!(twice.unwrap_err(), MessageError::ContentLength);
        let over = request(&format!("Content-Length: {}\r\n", BODY_BYTES_MAX + 1));
        assert_eq!(over.unwrap_err(), MessageError::BodyTooLong);
        assert_eq!(
            request("Content-Length: 1\r\n").unwrap_err(),
            MessageError::Incomplete
        );
    }

    #[test]
    fn a_start_line_is_strict() {
        for (line, error) in [
            ("OPTIONS  sip:a@b SIP/2.0", MessageError::StartLine),
            ("OPTIONS sip:a@b SIP/2.0 ", MessageError::StartLine),
            ("OPTIONS <sip:a@b> SIP/2.0", MessageError::StartLine),
            ("OPTIONS sip:a@b SIP/7.0", MessageError::Version),
            ("GET http://a/ HTTP/1.1", MessageError::Version),
            ("OPT;IONS sip:a@b SIP/2.0", MessageError::StartLine),
            ("SIP/2.0 99 x", MessageError::StartLine),
            ("SIP/2.0 700 x", MessageError::StartLine),
            ("SIP/2.0 4294967301 better not", MessageError::StartLine),
            ("x", MessageError::StartLine),
        ] {
            let result = Message::parse(format!("{line}\r\n\r\n"));
            assert_eq!(result.map(|_| ()), Err(error), "{line}");
        }
    }
}
