// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines of the agent's protocol: read with a limit into a buffer that is wiped, because a PIN may be in it.

use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::{Zeroize, Zeroizing};

/// Longest line, in bytes, without its end.
pub const LINE_BYTES_MAX: usize = 256 * 1024;

/// Why no line came.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The other side sends without end.
    #[error("a line is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads lines from a stream.
#[derive(Debug)]
pub struct LineReader<R> {
    stream: R,
    // Never grows: a reallocation would leave a copy of a PIN behind.
    buffer: Zeroizing<Vec<u8>>,
    filled: usize,
    taken: usize,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads from this stream.
    pub fn new(stream: R) -> Self {
        let buffer = Zeroizing::new(vec![0; LINE_BYTES_MAX.saturating_add(1)]);
        Self {
            stream,
            buffer,
            filled: 0,
            taken: 0,
        }
    }

    /// The next line without its end; `None` when the other side is gone. Wipes the line before.
    /// May be cancelled between two reads without losing bytes.
    ///
    /// # Errors
    /// When the line is too long or the connection breaks.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, LineError> {
        self.drop_taken();
        let mut searched = 0;
        loop {
            let unread = self.buffer.get(searched..self.filled).unwrap_or_default();
            if let Some(at) = unread.iter().position(|byte| *byte == b'\n') {
                let end = searched.saturating_add(at);
                self.taken = end.saturating_add(1);
                return Ok(self.buffer.get(..end));
            }
            searched = self.filled;
            let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
            if room.is_empty() {
                return Err(LineError::TooLong);
            }
            match self.stream.read(room).await? {
                0 => return Ok(None),
                count => self.filled = self.filled.saturating_add(count),
            }
        }
    }

    fn drop_taken(&mut self) {
        self.buffer.copy_within(self.taken..self.filled, 0);
        let rest = self.filled.saturating_sub(self.taken);
        self.buffer
            .get_mut(rest..self.filled)
            .unwrap_or_default()
            .zeroize();
        self.filled = rest;
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_one_by_one_and_are_wiped() {
        let mut reader = LineReader::new(&b"one\ntwo-secret\nthree"[..]);
        assert_eq!(reader.next().await.unwrap(), Some(&b"one"[..]));
        assert_eq!(reader.next().await.unwrap(), Some(&b"two-secret"[..]));
        assert_eq!(reader.next().await.unwrap(), None);
        let left: Vec<u8> = reader
            .buffer
            .iter()
            .copied()
            .filter(|byte| *byte != 0)
            .collect();
        assert_eq!(left, b"three");
    }

    #[tokio::test]
    async fn a_line_at_the_limit_is_read_and_one_over_is_refused() {
        let mut line = vec![b'x'; LINE_BYTES_MAX];
        line.push(b'\n');
        let mut reader = LineReader::new(line.as_slice());
        assert_eq!(
            reader.next().await.unwrap().map(<[u8]>::len),
            Some(LINE_BYTES_MAX)
        );
        line.insert(0, b'x');
        let mut reader = LineReader::new(line.as_slice());
        assert!(matches!(reader.next().await, Err(LineError::TooLong)));
    }
}
