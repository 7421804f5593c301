// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cuts a byte stream into messages and keep-alives.

use bytes::{Buf as _, BytesMut};

use crate::limits::HEAD_BYTES_MAX;
use crate::message::Message;
use crate::name::Name;
use crate::parse::{Head, MessageError, head_end, parse_head};

/// What arrived.
#[derive(Clone, Debug)]
pub enum Frame {
    /// A message.
    Message(Message),
    /// CRLF CRLF between messages: the peer is alive and wants no answer on the Lync wire.
    KeepAlive,
}

/// Why a stream cannot be read on. The connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// What arrived is no message.
    #[error("unreadable message")]
    Message(#[source] MessageError),
    /// The stream failed before; nothing more is read from it.
    #[error("stream failed before")]
    Failed,
}

/// Cuts a byte stream into [`Frame`]s. Give it what was read with [`Framer::push`], then call
/// [`Framer::next_frame`] until it gives `None`. It never holds more than one message and what was
/// pushed last; an idle one holds no memory.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Looking for the end of a head; so many bytes were searched already.
    Head {
        searched: usize,
    },
    /// The head is read; its message is complete with so many bytes.
    Body {
        head: Head,
        total: usize,
    },
    Failed,
}

impl Default for Stage {
    fn default() -> Self {
        Stage::Head { searched: 0 }
    }
}

impl Framer {
    /// An empty framer.
    #[must_use]
    pub fn new() -> Framer {
        Framer::default()
    }

    /// Takes bytes that were read from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.stage, Stage::Failed) {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next complete frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the stream cannot be read on; every later call fails too.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if matches!(self.stage, Stage::Failed) {
            return Err(FrameError::Failed);
        }
        let result = self.advance();
        if result.is_err() {
            self.stage = Stage::Failed;
            self.buffer = BytesMut::new();
        } else if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        result.map_err(FrameError::Message)
    }

    /// True while a message has begun and not ended: the time to limit with a clock.
    #[must_use]
    pub fn is_inside_message(&self) -> bool {
        matches!(self.stage, Stage::Body { .. }) || !self.buffer.is_empty()
    }

    fn advance(&mut self) -> Result<Option<Frame>, MessageError> {
        if let Stage::Head { searched } = self.stage {
            if searched == 0 {
                match self.skip_line_ends()? {
                    LineEnds::KeepAlive => return Ok(Some(Frame::KeepAlive)),
                    LineEnds::Unclear => return Ok(None),
                    LineEnds::None => {}
                }
            }
            let Some(end) = head_end(&self.buffer, searched) else {
                if self.buffer.len() > HEAD_BYTES_MAX {
                    return Err(MessageError::HeadTooLong);
                }
                // The empty line may be cut anywhere: look at the last three bytes again.
                self.stage = Stage::Head {
                    searched: self.buffer.len().saturating_sub(3),
                };
                return Ok(None);
            };
            let head = parse_head(self.buffer.get(..end).ok_or(MessageError::Incomplete)?)?;
            let length = match head.content_length {
                Some(length) => length,
                // Some clients leave it out when there is no body.
                None if !head.has(Name::ContentType) => 0,
                None => return Err(MessageError::ContentLengthMissing),
            };
            let total = end.checked_add(length).ok_or(MessageError::BodyTooLong)?;
            self.stage = Stage::Body { head, total };
        }
        match std::mem::take(&mut self.stage) {
            Stage::Body { head, total } if self.buffer.len() >= total => {
                let bytes = self.buffer.split_to(total).freeze();
                Ok(Some(Frame::Message(Message::of_parts(bytes, head))))
            }
            stage => {
                self.stage = stage;
                Ok(None)
            }
        }
    }

    fn skip_line_ends(&mut self) -> Result<LineEnds, MessageError> {
        loop {
            match *self.buffer {
                [b'\r', b'\n', b'\r', b'\n', ..] => {
                    self.buffer.advance(4);
                    return Ok(LineEnds::KeepAlive);
                }
                [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => {
                    return Ok(LineEnds::Unclear);
                }
                // A single CRLF is the answer to a keep-alive (RFC 5626) or padding (RFC 3261, 7.5).
                [b'\r', b'\n', next, ..] if next != b'\r' => self.buffer.advance(2),
                [b'\r' | b'\n', ..] => return Err(MessageError::LineEnd),
                _ => return Ok(LineEnds::None),
            }
        }
    }
}

enum LineEnds {
    KeepAlive,
    Unclear,
    None,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Headers;
    use crate::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX};

    const ONE: &str = "MESSAGE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 5\r\n\r\nhe\r\nl";
    const TWO: &str = "SIP/2.0 200 OK\r\nCall-ID: 2\r\n\r\n";

    fn frames(framer: &mut Framer) -> Vec<String> {
        let mut out = Vec::new();
        while let Some(frame) = framer.next_frame().unwrap() {
            out.push(match frame {
                Frame::KeepAlive => "alive".to_owned(),
                Frame::Message(m) => {
                    format!(
                        "{} {}",
                        m.call_id().unwrap(),
                        String::from_utf8_lossy(m.body())
                    )
                }
            });
        }
        out
    }

    #[test]
    fn frames_are_the_same_however_the_stream_is_cut() {
        let stream = format!("\r\n\r\n{ONE}{TWO}\r\n\r\n\r\n{ONE}\r\n{TWO}\r\n\r\n");
        let expected = [
            "alive",
            "1 he\r\nl",
            "2 ",
            "alive",
            "1 he\r\nl",
            "2 ",
            "alive",
        ];
        for size in 1..stream.len() {
            let mut framer = Framer::new();
            let mut seen = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                framer.push(chunk);
                seen.extend(frames(&mut framer));
            }
            assert_eq!(seen, expected, "chunks of {size}");
            assert!(!framer.is_inside_message());
        }
    }

    #[test]
    fn an_endless_head_is_refused_at_the_limit() {
        let mut framer = Framer::new();
        framer.push(b"OPTIONS sip:a@b SIP/2.0\r\n");
        let mut pushed = 0;
        let error = loop {
            framer.push(b"A: b\r\n");
            pushed += 6;
            assert!(pushed < HEAD_BYTES_MAX + 1000);
            if let Err(error) = framer.next_frame() {
                break error;
            }
        };
        assert_eq!(error, FrameError::Message(MessageError::HeadTooLong));
        assert!(pushed > HEAD_BYTES_MAX - 100);
        framer.push(ONE.as_bytes());
        assert_eq!(framer.next_frame().unwrap_err(), FrameError::Failed);
    }

    #[test]
    fn a_body_is_taken_at_the_limit_and_refused_one_over() {
        let head = |n| format!("MESSAGE sip:a@b SIP/2.0\r\nContent-Length: {n}\r\n\r\n");
        let mut framer = Framer::new();
        framer.push(head(BODY_BYTES_MAX).as_bytes());
        assert!(framer.next_frame().unwrap().is_none());
        assert!(framer.is_inside_message());
        framer.push(&vec![b'x'; BODY_BYTES_MAX]);
        assert!(matches!(framer.next_frame(), Ok(Some(Frame::Message(_)))));
        framer.push(head(BODY_BYTES_MAX + 1).as_bytes());
        let error = FrameError::Message(MessageError::BodyTooLong);
        assert_eq!(framer.next_frame().unwrap_err(), error);
    }

    #[test]
    fn a_body_without_length_cannot_be_framed() {
        let mut framer = Framer::new();
        framer.push(b"MESSAGE sip:a@b SIP/2.0\r\nContent-Type: text/plain\r\n\r\nhello");
        let error = FrameError::Message(MessageError::ContentLengthMissing);
        assert_eq!(framer.next_frame().unwrap_err(), error);
    }

    #[test]
    fn lone_line_ends_are_refused() {
        for bad in ["\n", "\r\r", "\r\n\r\r", "\rX"] {
            let mut framer = Framer::new();
            framer.push(bad.as_bytes());
            let error = FrameError::Message(MessageError::LineEnd);
            assert_eq!(framer.next_frame().unwrap_err(), error, "{bad:?}");
        }
    }
}
