// SPDX-License-Identifier: MIT OR Apache-2.0
//! `multipart/related` bodies, written for readers that are easily confused, and read.

use std::fmt::Write as _;

use bytes::Bytes;
use memchr::memmem;

use crate::limits::PARTS_MAX;
use crate::name::Name;
use crate::typed::MediaType;

/// Writes a `multipart/related` body.
///
/// The MIME reader of a common client cuts four bytes off the end of each part, so that every part
/// ends with an empty line before its boundary. XML and text readers ignore it.
#[derive(Clone, Debug)]
pub struct MultipartWriter {
    root_type: String,
    root_id: String,
    parts: Vec<(String, String, Bytes)>,
}

impl MultipartWriter {
    /// Begins with the first part, which the others belong to. Identifiers are written as
    /// `Content-ID: <id>`.
    #[must_use]
    pub fn related(root_type: &str, root_id: &str, root: impl Into<Bytes>) -> Self {
        let (root_type, root_id) = (line_text(root_type), line_text(root_id));
        let parts = vec![(root_type.clone(), root_id.clone(), root.into())];
        MultipartWriter {
            root_type,
            root_id,
            parts,
        }
    }

    /// Appends a part. The bytes may be shared with other messages.
    pub fn push(&mut self, content_type: &str, id: &str, body: impl Into<Bytes>) {
        self.parts
            .push((line_text(content_type), line_text(id), body.into()));
    }

    /// The value for Content-Type, and the body.
    #[must_use]
    pub fn finish(self) -> (String, Bytes) {
        let boundary = self.free_boundary();
        let content_type = format!(
            "multipart/related; type=\"{}\";start=\"<{}>\";boundary={boundary}",
            self.root_type, self.root_id
        );
        let size = self
            .parts
            .iter()
            .map(|p| p.2.len().saturating_add(256))
            .sum();
        let mut out = Vec::with_capacity(size);
        for (content_type, id, body) in &self.parts {
            let mut head = String::new();
            // Writing to a String cannot fail.
            let _ = write!(
                head,
                "--{boundary}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{id}>\r\n\
                 Content-Type: {content_type}\r\n\r\n"
            );
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(body);
            out.extend_from_slice(b"\r\n\r\n");
        }
        out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        (content_type, out.into())
    }

    /// The first of a row of boundaries that no part holds: no randomness needed.
    fn free_boundary(&self) -> String {
        let mut number = 0u64;
        loop {
            let boundary = format!("Lanyard-Part-{number}");
            let taken = |part: &(String, String, Bytes)| {
                memmem::find(&part.2, boundary.as_bytes()).is_some()
            };
            if !self.parts.iter().any(taken) {
                return boundary;
            }
            number = number.saturating_add(1);
        }
    }
}

/// Why a multipart body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MultipartError {
    /// The type is not `multipart/…`.
    #[error("not a multipart body")]
    Type,
    /// The type names no boundary, or an empty or overlong one.
    #[error("multipart boundary is missing or malformed")]
    Boundary,
    /// The body does not hold the boundary, or does not end with it.
    #[error("multipart body is not closed")]
    Unterminated,
    /// A part has no empty line after its headers, or a header without a colon.
    #[error("malformed headers of a part")]
    PartHead,
    /// More than [`PARTS_MAX`] parts.
    #[error("more than {PARTS_MAX} parts")]
    TooMany,
}

/// One part of a multipart body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    headers: Vec<(&'a str, &'a str)>,
    /// What the part holds. Writers like ours leave an empty line at its end.
    pub body: &'a [u8],
}

impl<'a> Part<'a> {
    /// The part's type.
    #[must_use]
    pub fn content_type(&self) -> Option<MediaType<'a>> {
        MediaType::parse(self.header(Name::ContentType)?)
    }

    /// The part's identifier, without angle brackets.
    #[must_use]
    pub fn content_id(&self) -> Option<&'a str> {
        let value = self.header(Name::ContentId)?;
        Some(
            value
                .strip_prefix('<')
                .and_then(|v| v.strip_suffix('>'))
                .unwrap_or(value),
        )
    }

    /// A header of the part.
    #[must_use]
    pub fn header(&self, name: Name) -> Option<&'a str> {
        self.header_named(name.as_str())
    }

    /// As [`Part::header`], for a name that may be unknown to [`Name`]; in any case.
    #[must_use]
    pub fn header_named(&self, name: &str) -> Option<&'a str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }
}

/// The longest boundary of RFC 2046 5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

/// Reads a multipart body.
///
/// # Errors
/// What is malformed.
pub fn read<'a>(
    content_type: &MediaType<'_>,
    body: &'a [u8],
) -> Result<Vec<Part<'a>>, MultipartError> {
    if !content_type.essence().starts_with("multipart/") {
        return Err(MultipartError::Type);
    }
    let boundary = content_type
        .params
        .get("boundary")
        .ok_or(MultipartError::Boundary)?;
    if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX || !boundary.is_ascii() {
        return Err(MultipartError::Boundary);
    }
    let delimiter = format!("\r\n--{boundary}");
    let opening = delimiter.trim_start().as_bytes();
    // The first delimiter may stand at the very beginning, without a line end before it.
    let mut rest = match body.strip_prefix(opening) {
        Some(rest) => rest,
        None => {
            after(body, delimiter.as_bytes())
                .ok_or(MultipartError::Unterminated)?
                .1
        }
    };
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        let line = rest
            .iter()
            .take_while(|b| matches!(b, b' ' | b'\t'))
            .count();
        let content = rest.get(line..).and_then(|r| r.strip_prefix(b"\r\n"));
        let content = content.ok_or(MultipartError::Boundary)?;
        let (part, next) =
            after(content, delimiter.as_bytes()).ok_or(MultipartError::Unterminated)?;
        if parts.len() >= PARTS_MAX {
            return Err(MultipartError::TooMany);
        }
        parts.push(read_part(part)?);
        rest = next;
    }
}

fn read_part(part: &[u8]) -> Result<Part<'_>, MultipartError> {
    if let Some(body) = part.strip_prefix(b"\r\n") {
        return Ok(Part {
            headers: Vec::new(),
            body,
        });
    }
    let (head, body) = after(part, b"\r\n\r\n").ok_or(MultipartError::PartHead)?;
    let head = std::str::from_utf8(head).map_err(|_| MultipartError::PartHead)?;
    let mut headers = Vec::new();
    for line in head.split("\r\n") {
        // Folded lines of parts carry nothing that we read.
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or(MultipartError::PartHead)?;
        headers.push((name.trim(), value.trim()));
    }
    Ok(Part { headers, body })
}

/// What stands before and after the first `mark`.
fn after<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::find(bytes, mark)?;
    Some((bytes.get(..at)?, bytes.get(at.checked_add(mark.len())?..)?))
}

fn line_text(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_ascii_control() && !matches!(c, '<' | '>'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_each_part_ends_with_an_empty_line() {
        let mut writer = MultipartWriter::related("application/rlmi+xml", "list", "<list/>");
        writer.push(
            "application/msrtc-event-categories+xml",
            "1",
            "<c>--Lanyard-Part-0\r\n</c>",
        );
        let (content_type, body) = writer.finish();
        let content_type = MediaType::parse(&content_type).unwrap();
        assert_eq!(content_type.params.get("boundary"), Some("Lanyard-Part-1"));
        assert_eq!(
            content_type.params.get("type"),
            Some("application/rlmi+xml")
        );
        let parts = read(&content_type, &body).unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].body, b"<list/>\r\n");
        assert_eq!(parts[0].content_id(), Some("list"));
        assert!(parts[0].content_type().unwrap().is("application/rlmi+xml"));
        assert_eq!(parts[1].body, b"<c>--Lanyard-Part-0\r\n</c>\r\n");
    }

    #[test]
    fn malformed_bodies_are_told_apart() {
        let with = |ct: &str, body: &str| {
            read(&MediaType::parse(ct).unwrap(), body.as_bytes()).map(|p| p.len())
        };
        let ct = "multipart/mixed;boundary=\"b\"";
        assert_eq!(with("text/plain", ""), Err(MultipartError::Type));
        assert_eq!(with("multipart/mixed", ""), Err(MultipartError::Boundary));
        assert_eq!(with(ct, ""), Err(MultipartError::Unterminated));
        assert_eq!(with(ct, "--b\r\n\r\nx"), Err(MultipartError::Unterminated));
        assert_eq!(
            with(ct, "--b\r\nA: b\r\n--b--"),
            Err(MultipartError::PartHead)
        );
        assert_eq!(with(ct, "--b--"), Ok(0));
        assert_eq!(
            with(
                ct,
                "preamble\r\n--b\r\n\r\nx\r\n--b \r\nA:b\r\n\r\ny\r\n--b--\r\n"
            ),
            Ok(2)
        );
        let many = format!("{}--b--", "--b\r\n\r\n\r\n".repeat(PARTS_MAX + 1));
        assert_eq!(with(ct, &many), Err(MultipartError::TooMany));
    }
}
