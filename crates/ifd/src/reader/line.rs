// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames to and from a card, each within a time limit.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use zeroize::Zeroizing;

const LENGTH_BYTES: usize = 2;
/// Longest command or answer that fits into a frame.
pub const FRAME_BYTES_MAX: usize = u16::MAX as usize;
/// A card that says "still working".
const WORKING: u8 = 0x05;
/// A frame must be taken, and one that has begun must be whole, within this time.
const FRAME_MAX: Duration = Duration::from_secs(2);

/// A control to the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Control {
    /// Power off.
    Off = 0x00,
    /// Power on.
    On = 0x01,
    /// Reset.
    Reset = 0x02,
    /// "Send the ATR".
    SendAtr = 0x04,
}

/// How long an answer may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Without a sign of life.
    pub silence: Duration,
    /// In all.
    pub whole: Duration,
}

/// What the reader says to whoever connects: five bytes, `LY`, the version 01, the outcome, the
/// slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// The card lies in this slot.
    Inserted {
        /// Counted from 0.
        slot: u8,
    },
    /// No slot is free.
    Full,
    /// The reader is for somebody else's cards.
    NotYours,
}

impl Greeting {
    /// As a body.
    pub fn encode(self) -> [u8; 5] {
        let (outcome, slot) = match self {
            Self::Inserted { slot } => (0, slot),
            Self::Full => (1, 0),
            Self::NotYours => (2, 0),
        };
        [b'L', b'Y', 1, outcome, slot]
    }
}

/// Greets a guest. A new connection has room for it.
pub fn greet(stream: &UnixStream, greeting: Greeting) -> io::Result<()> {
    write_frame(stream, &greeting.encode(), Instant::now())
}

/// Tells the card something that has no answer.
pub fn tell(stream: &UnixStream, control: Control) -> io::Result<()> {
    write_frame(stream, &[control as u8], after(FRAME_MAX))
}

/// Asks the card and waits for its answer.
pub fn ask(
    stream: &UnixStream,
    question: &[u8],
    patience: Patience,
) -> io::Result<Zeroizing<Vec<u8>>> {
    expect_silence(stream)?;
    write_frame(stream, question, after(FRAME_MAX))?;
    let end = after(patience.whole);
    loop {
        let answer = read_frame(stream, end.min(after(patience.silence)))?;
        match answer.as_slice() {
            [WORKING] => {}
            [] | [_] => return Err(io::ErrorKind::InvalidData.into()),
            _ => return Ok(answer),
        }
    }
}

/// A card speaks only when it is asked: anything else would be taken for the next answer.
fn expect_silence(stream: &UnixStream) -> io::Result<()> {
    let mut byte = [0];
    match recv(stream, &mut byte, RecvFlags::DONTWAIT | RecvFlags::PEEK) {
        Err(Errno::AGAIN) => Ok(()),
        Ok((0, _)) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        Err(error) => Err(error.into()),
    }
}

fn after(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit).unwrap_or(now)
}

fn write_frame(stream: &UnixStream, body: &[u8], end: Instant) -> io::Result<()> {
    let length = u16::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut frame = Zeroizing::new(Vec::with_capacity(body.len().saturating_add(LENGTH_BYTES)));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(body);
    let mut rest = frame.as_slice();
    while !rest.is_empty() {
        // Without SIGPIPE: the process is pcscd's, and so are its signals.
        match send(stream, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::AGAIN) => wait(stream, PollFlags::OUT, end)?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads a frame that must begin before `end`.
fn read_frame(stream: &UnixStream, end: Instant) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut length = [0; LENGTH_BYTES];
    wait(stream, PollFlags::IN, end)?;
    let whole = after(FRAME_MAX);
    fill(stream, &mut length, whole)?;
    let mut body = Zeroizing::new(vec![0; usize::from(u16::from_be_bytes(length))]);
    fill(stream, &mut body, whole)?;
    Ok(body)
}

fn fill(stream: &UnixStream, buffer: &mut [u8], end: Instant) -> io::Result<()> {
    let mut rest = buffer;
    while !rest.is_empty() {
        match recv(stream, &mut *rest, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((count, _)) => rest = rest.get_mut(count..).unwrap_or_default(),
            Err(Errno::AGAIN) => wait(stream, PollFlags::IN, end)?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait(stream: &UnixStream, what: PollFlags, end: Instant) -> io::Result<()> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut fds = [PollFd::from_borrowed_fd(stream.as_fd(), what)];
        match poll(&mut fds, Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
