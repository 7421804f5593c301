// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes of commands and answers: big-endian numbers and sized buffers, bounded both ways.
//!
//! Reading never panics and never reads past the end; writing zeroes what it held.

use zeroize::Zeroizing;

use crate::error::TpmError;
use crate::transport::MESSAGE_BYTES_MAX;

/// Bytes of the header of a command and of an answer: tag, size, code.
pub const HEADER_BYTES: usize = 10;
/// `TPM_ST_NO_SESSIONS`.
pub const NO_SESSIONS: u16 = 0x8001;
/// `TPM_ST_SESSIONS`.
pub const SESSIONS: u16 = 0x8002;

/// Writes a command.
#[derive(Debug, Default, Clone)]
pub struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        // Room for a whole message: growing would leave copies of secrets behind.
        Self(Zeroizing::new(Vec::with_capacity(MESSAGE_BYTES_MAX)))
    }

    /// One byte.
    #[must_use]
    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    /// Two bytes.
    #[must_use]
    pub fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Four bytes.
    #[must_use]
    pub fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Eight bytes.
    #[must_use]
    pub fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Bytes as they are.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes after their length (a TPM2B). What is too long for a length makes a message that is
    /// too long for a command, which [`Writer::finish`] refuses.
    #[must_use]
    pub fn sized(self, bytes: &[u8]) -> Self {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.u16(length).bytes(bytes)
    }

    /// What was written so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, where they fit into a message.
    pub fn finish(self) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        if self.0.len() > MESSAGE_BYTES_MAX {
            return Err(TpmError::TooLong);
        }
        Ok(self.0)
    }
}

/// Reads an answer.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], TpmError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(TpmError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TpmError> {
        self.take(N)?.try_into().map_err(|_| TpmError::Malformed)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, TpmError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, TpmError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, TpmError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, TpmError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Bytes after their length (a TPM2B).
    pub fn sized(&mut self) -> Result<&'a [u8], TpmError> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// What is left.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Fails unless everything was read.
    pub fn end(self) -> Result<(), TpmError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(TpmError::Malformed)
        }
    }
}

/// An answer, taken apart as far as its form goes. Nothing in it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The response code; without success there is nothing else.
    pub code: u32,
    /// Handles of what was loaded or started.
    pub handles: Vec<u32>,
    /// The parameters, as they travelled.
    pub parameters: &'a [u8],
    /// One for each session of the command.
    pub sessions: Vec<SessionAnswer<'a>>,
}

/// What a session adds to an answer (`TPMS_AUTH_RESPONSE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionAnswer<'a> {
    /// The chip's new nonce.
    pub nonce: &'a [u8],
    /// Attributes (`TPMA_SESSION`).
    pub attributes: u8,
    /// The proof.
    pub hmac: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Takes an answer apart: `handles` as many as the command promises, `sessions` as many as it
    /// was sent with.
    ///
    /// # Errors
    /// When it has another form, is cut off, or goes on after its end.
    pub fn parse(bytes: &'a [u8], handles: usize, sessions: usize) -> Result<Self, TpmError> {
        let mut reader = Reader::new(bytes);
        let tag = reader.u16()?;
        let size = reader.u32()?;
        let code = reader.u32()?;
        if usize::try_from(size) != Ok(bytes.len()) {
            return Err(TpmError::Malformed);
        }
        if code != 0 {
            return Ok(Self {
                code,
                handles: Vec::new(),
                parameters: &[],
                sessions: Vec::new(),
            });
        }
        let expected = if sessions == 0 { NO_SESSIONS } else { SESSIONS };
        if tag != expected {
            return Err(TpmError::Malformed);
        }
        let handles = (0..handles)
            .map(|_| reader.u32())
            .collect::<Result<_, _>>()?;
        if sessions == 0 {
            return Ok(Self {
                code,
                handles,
                parameters: reader.rest(),
                sessions: Vec::new(),
            });
        }
        let length = usize::try_from(reader.u32()?).map_err(|_| TpmError::Malformed)?;
        let parameters = reader.take(length)?;
        let sessions = (0..sessions)
            .map(|_| {
                Ok(SessionAnswer {
                    nonce: reader.sized()?,
                    attributes: reader.u8()?,
                    hmac: reader.sized()?,
                })
            })
            .collect::<Result<_, TpmError>>()?;
        reader.end()?;
        Ok(Self {
            code,
            handles,
            parameters,
            sessions,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_too_long_for_a_command_is_refused() {
        let fits = Writer::new().bytes(&[0; MESSAGE_BYTES_MAX]);
        assert!(fits.finish().is_ok());
        let over = Writer::new().bytes(&[0; MESSAGE_BYTES_MAX + 1]);
        assert!(matches!(over.finish(), Err(TpmError::TooLong)));
        assert!(Writer::new().sized(&[0; 70_000]).finish().is_err());
    }

    #[test]
    fn an_answer_that_goes_on_after_its_end_is_refused() {
        let mut bytes = vec![0x80, 0x01, 0, 0, 0, 11, 0, 0, 0, 0, 7];
        assert_eq!(Answer::parse(&bytes, 0, 0).unwrap().parameters, [7]);
        bytes.push(0);
        assert!(Answer::parse(&bytes, 0, 0).is_err());
    }

    proptest! {
        #[test]
        fn reading_any_bytes_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            handles in 0_usize..3,
            sessions in 0_usize..3,
        ) {
            let _ = Answer::parse(&bytes, handles, sessions);
        }

        #[test]
        fn reading_any_body_behind_a_good_header_never_panics(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            handles in 0_usize..3,
            sessions in 0_usize..3,
        ) {
            let tag = if sessions == 0 { NO_SESSIONS } else { SESSIONS };
            let bytes = Writer::new()
                .u16(tag)
                .u32(u32::try_from(body.len() + HEADER_BYTES).unwrap())
                .u32(0)
                .bytes(&body);
            if let Ok(answer) = Answer::parse(bytes.as_bytes(), handles, sessions) {
                prop_assert_eq!(answer.handles.len(), handles);
                prop_assert_eq!(answer.sessions.len(), sessions);
            }
        }

        #[test]
        fn what_is_written_is_read_back(
            one in any::<u16>(), two in any::<u32>(), three in any::<u64>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let written = Writer::new().u16(one).u32(two).u64(three).sized(&bytes).finish().unwrap();
            let mut reader = Reader::new(&written);
            prop_assert_eq!(reader.u16().unwrap(), one);
            prop_assert_eq!(reader.u32().unwrap(), two);
            prop_assert_eq!(reader.u64().unwrap(), three);
            prop_assert_eq!(reader.sized().unwrap(), &bytes[..]);
            prop_assert!(reader.end().is_ok());
        }
    }
}
