// SPDX-License-Identifier: MIT OR Apache-2.0
//! How bytes reach a chip and come back, always within a time limit.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::conversation::Tpm;
use crate::error::TpmError;
use crate::wire::HEADER_BYTES;

/// Largest command or answer; the kernel's driver has the same limit (`TPM_BUFSIZE`).
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// A way to one chip, open for one conversation.
///
/// The same bytes go through `/dev/tpmrm0`, a simulator's socket and, on Windows, the TPM Base
/// Services: a transport for those needs this one method.
pub trait Transport: Send {
    /// Sends a command and gives the whole answer, or fails when none comes within `limit`.
    fn exchange(&mut self, command: &[u8], limit: Duration)
    -> Result<Zeroizing<Vec<u8>>, TpmError>;
}

/// Opens conversations with one chip.
pub trait Connect: Send + Sync {
    /// Opens the way.
    fn transport(&self) -> Result<Box<dyn Transport>, TpmError>;

    /// Begins a conversation.
    fn connect(&self) -> Result<Tpm, TpmError> {
        Ok(Tpm::new(self.transport()?))
    }
}

/// A stream that tells whether it is readable and may be given limits.
pub(crate) trait Stream: Read + Write + Send {
    fn limit_read(&self, limit: Duration) -> io::Result<()>;
    fn limit_write(&self, limit: Duration) -> io::Result<()>;
}

impl Stream for std::net::TcpStream {
    fn limit_read(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))
    }
    fn limit_write(&self, limit: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(limit))
    }
}

impl Stream for std::os::unix::net::UnixStream {
    fn limit_read(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))
    }
    fn limit_write(&self, limit: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(limit))
    }
}

/// A simulator's data socket: commands and answers one after the other, nothing around them.
pub(crate) struct StreamTransport<S>(pub(crate) S);

impl<S: Stream> Transport for StreamTransport<S> {
    fn exchange(
        &mut self,
        command: &[u8],
        limit: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let end = deadline(limit);
        self.0.limit_write(left(end)?).map_err(broken)?;
        self.0.write_all(command).map_err(broken)?;
        let mut answer = Zeroizing::new(vec![0; HEADER_BYTES]);
        self.fill(&mut answer, 0, end)?;
        let size = answer
            .get(2..6)
            .and_then(|size| Some(u32::from_be_bytes(size.try_into().ok()?)))
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| (HEADER_BYTES..=MESSAGE_BYTES_MAX).contains(size))
            .ok_or(TpmError::Malformed)?;
        let mut whole = Zeroizing::new(vec![0; size]);
        if let Some(start) = whole.get_mut(..HEADER_BYTES) {
            start.copy_from_slice(&answer);
        }
        self.fill(&mut whole, HEADER_BYTES, end)?;
        Ok(whole)
    }
}

impl<S: Stream> StreamTransport<S> {
    fn fill(&mut self, buffer: &mut [u8], from: usize, end: Instant) -> Result<(), TpmError> {
        let mut at = from;
        while at < buffer.len() {
            self.0.limit_read(left(end)?).map_err(broken)?;
            let free = buffer.get_mut(at..).unwrap_or_default();
            match self.0.read(free) {
                Ok(0) => return Err(broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => at = at.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(error)),
            }
        }
        Ok(())
    }
}

/// The kernel's character device, opened non-blocking: one write is a command, one read its answer.
pub(crate) struct CharacterTransport(pub(crate) File);

impl Transport for CharacterTransport {
    fn exchange(
        &mut self,
        command: &[u8],
        limit: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let end = deadline(limit);
        loop {
            match self.0.write(command) {
                Ok(count) if count == command.len() => break,
                Ok(_) => return Err(TpmError::Malformed),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The device still works on what came before.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::OUT, end)?;
                }
                Err(error) => return Err(broken(error)),
            }
        }
        let mut answer = Zeroizing::new(vec![0; MESSAGE_BYTES_MAX]);
        loop {
            self.wait(PollFlags::IN, end)?;
            match self.0.read(&mut answer) {
                Ok(0) => {}
                Ok(count) => {
                    answer.truncate(count);
                    return Ok(answer);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                    ) => {}
                Err(error) => return Err(broken(error)),
            }
        }
    }
}

impl CharacterTransport {
    fn wait(&self, what: PollFlags, end: Instant) -> Result<(), TpmError> {
        let fd = self.0.as_fd();
        let limit = Timespec::try_from(left(end)?).map_err(|_| TpmError::TimedOut)?;
        match poll(&mut [PollFd::new(&fd, what)], Some(&limit)) {
            Ok(0) => Err(TpmError::TimedOut),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(broken(error.into())),
        }
    }
}

fn deadline(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit).unwrap_or(now)
}

/// What is left of the time, never zero: a limit of zero would mean none.
fn left(end: Instant) -> Result<Duration, TpmError> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(TpmError::TimedOut)
    } else {
        Ok(left)
    }
}

fn broken(error: io::Error) -> TpmError {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => TpmError::TimedOut,
        _ => TpmError::Broken(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    /// Sends `answer` piece by piece, then keeps the line open.
    fn peer(answer: Vec<u8>) -> (StreamTransport<UnixStream>, thread::JoinHandle<()>) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let thread = thread::spawn(move || {
            let mut command = [0; 4];
            theirs.read_exact(&mut command).unwrap();
            for byte in answer {
                // The other side may have given up.
                let _ = theirs.write_all(&[byte]);
            }
            let _ = theirs.read(&mut command);
        });
        (StreamTransport(ours), thread)
    }

    #[test]
    fn an_answer_in_pieces_is_put_together() {
        let answer = vec![0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 9, 9];
        let (mut transport, thread) = peer(answer.clone());
        let got = transport.exchange(b"ping", Duration::from_secs(30));
        assert_eq!(*got.unwrap(), answer);
        drop(transport);
        thread.join().unwrap();
    }

    #[test]
    fn a_size_that_cannot_be_is_refused_before_it_is_read() {
        for size in [[0, 0, 0, 9], [0, 0, 0x10, 1], [0xFF; 4]] {
            let answer = [&[0x80, 1][..], &size, &[0; 4]].concat();
            let (mut transport, thread) = peer(answer);
            let got = transport.exchange(b"ping", Duration::from_secs(30));
            assert!(matches!(got, Err(TpmError::Malformed)));
            drop(transport);
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_character_device_gives_its_answer_in_one_piece_and_in_time() {
        // A socket that keeps messages apart stands for the device.
        let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(ours));
        let mut transport = CharacterTransport(file);
        let thread = thread::spawn(move || {
            let mut command = [0; 16];
            assert_eq!(theirs.recv(&mut command).unwrap(), 4);
            thread::sleep(Duration::from_millis(20));
            theirs.send(b"pong").unwrap();
            theirs
        });
        let got = transport.exchange(b"ping", Duration::from_secs(30));
        assert_eq!(got.unwrap().as_slice(), b"pong");
        let _theirs = thread.join().unwrap();
        let got = transport.exchange(b"ping", Duration::from_millis(50));
        assert!(matches!(got, Err(TpmError::TimedOut)));
    }

    #[test]
    fn a_chip_that_says_nothing_is_given_up() {
        let (mut transport, thread) = peer(vec![0x80]);
        let got = transport.exchange(b"ping", Duration::from_millis(100));
        assert!(matches!(got, Err(TpmError::TimedOut)));
        drop(transport);
        thread.join().unwrap();
    }
}
