// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our own virtual cards by their unix sockets, where there is no PC/SC service.
//!
//! Each message is a length of two bytes, big-endian, and that many bytes; a single byte is a
//! control: 00 off, 01 on, 02 reset, 04 "send your answer to reset". One connection is one card
//! session; the card serves one at a time.

use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::channel::{
    CardPath, Channel, Ending, Provider, ReaderId, ReaderState, Readers, Slotted,
};
use crate::fault::CardFault;

const OFF: u8 = 0x00;
const ON: u8 = 0x01;
const RESET: u8 = 0x02;
const ATR: u8 = 0x04;
const EXTENSION: &str = "sock";
/// Most sockets that are looked at; a computer has ten cards at most.
const SOCKETS_MAX: usize = 64;

/// Where the sockets are: `$XDG_RUNTIME_DIR/lanyard/cards`. `None` without that variable.
#[must_use]
pub fn default_socket_directory() -> Option<PathBuf> {
    let runtime = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?);
    runtime
        .is_absolute()
        .then(|| runtime.join("lanyard").join("cards"))
}

/// The sockets of a directory, one virtual card each.
#[derive(Debug)]
pub struct SocketProvider {
    directory: PathBuf,
}

impl SocketProvider {
    /// Looks at the sockets of this directory; it need not exist yet.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }
}

impl Provider for SocketProvider {
    fn path(&self) -> CardPath {
        CardPath::Socket
    }

    fn readers(&self) -> Result<Readers, CardFault> {
        let Ok(entries) = std::fs::read_dir(&self.directory) else {
            return Ok(Readers::new());
        };
        let mut readers: Readers = entries
            .flatten()
            .take(SOCKETS_MAX)
            .filter_map(|entry| {
                let path = entry.path();
                if path.extension()? != EXTENSION {
                    return None;
                }
                let name = path.file_stem()?.to_str()?.to_owned();
                // A new socket has another number or another time than the one before it.
                let metadata = entry.metadata().ok()?;
                let events = metadata.ino().rotate_left(32)
                    ^ metadata.ctime().unsigned_abs().rotate_left(16)
                    ^ metadata.ctime_nsec().unsigned_abs();
                let id = ReaderId {
                    path: CardPath::Socket,
                    name,
                };
                Some(ReaderState {
                    id,
                    slotted: Slotted::Card,
                    events,
                })
            })
            .collect();
        readers.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(readers)
    }

    fn connect(&self, reader: &str, limit: Duration) -> Result<Box<dyn Channel>, CardFault> {
        if reader.contains('/') {
            return Err(CardFault::NoReader);
        }
        let mut path = self.directory.join(reader).into_os_string();
        path.push(".");
        path.push(EXTENSION);
        SocketChannel::connect(Path::new(&path), limit).map(|channel| Box::new(channel) as _)
    }

    fn pause(&self, _known: &[ReaderState], at_most: Duration) {
        std::thread::sleep(at_most);
    }
}

struct SocketChannel {
    stream: UnixStream,
    atr: Vec<u8>,
}

impl SocketChannel {
    fn connect(path: &Path, limit: Duration) -> Result<Self, CardFault> {
        let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => CardFault::NoCard,
            io::ErrorKind::PermissionDenied => CardFault::ForeignSocket,
            _ => CardFault::Removed,
        })?;
        if !is_ours(&stream) {
            return Err(CardFault::ForeignSocket);
        }
        let mut channel = Self {
            stream,
            atr: Vec::new(),
        };
        let deadline = deadline(limit);
        channel.write(&[ON], deadline)?;
        channel.write(&[ATR], deadline)?;
        channel.atr = channel.read(deadline)?.to_vec();
        Ok(channel)
    }

    fn write(&mut self, message: &[u8], deadline: Instant) -> Result<(), CardFault> {
        let length = u16::try_from(message.len()).map_err(|_| CardFault::Unsupported)?;
        let mut framed = Zeroizing::new(Vec::with_capacity(message.len().saturating_add(2)));
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(message);
        self.stream
            .set_write_timeout(Some(left(deadline)?))
            .map_err(fault)?;
        self.stream.write_all(&framed).map_err(fault)
    }

    fn read(&mut self, deadline: Instant) -> Result<Zeroizing<Vec<u8>>, CardFault> {
        let mut length = [0; 2];
        self.fill(&mut length, deadline)?;
        let mut message = Zeroizing::new(vec![0; usize::from(u16::from_be_bytes(length))]);
        self.fill(&mut message, deadline)?;
        Ok(message)
    }

    /// Reads until the buffer is full. The limit holds for the whole, not for each piece.
    fn fill(&mut self, mut buffer: &mut [u8], deadline: Instant) -> Result<(), CardFault> {
        while !buffer.is_empty() {
            self.stream
                .set_read_timeout(Some(left(deadline)?))
                .map_err(fault)?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(CardFault::Removed),
                Ok(count) => buffer = buffer.get_mut(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(fault(error)),
            }
        }
        Ok(())
    }
}

impl Channel for SocketChannel {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn begin(&mut self, _limit: Duration) -> Result<(), CardFault> {
        // The connection itself is the exclusive use.
        Ok(())
    }

    fn transmit(
        &mut self,
        command: &[u8],
        limit: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, CardFault> {
        let deadline = deadline(limit);
        self.write(command, deadline)?;
        self.read(deadline)
    }

    fn end(&mut self, ending: Ending) {
        if ending == Ending::Reset {
            let _ = self.write(&[RESET], deadline(Duration::from_secs(1)));
        }
    }
}

impl Drop for SocketChannel {
    fn drop(&mut self) {
        let _ = self.write(&[OFF], deadline(Duration::from_secs(1)));
    }
}

fn deadline(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit).unwrap_or(now)
}

fn left(deadline: Instant) -> Result<Duration, CardFault> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(CardFault::CardMute)
    } else {
        Ok(left)
    }
}

fn fault(error: io::Error) -> CardFault {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => CardFault::CardMute,
        _ => CardFault::Removed,
    }
}

/// True when the program behind the socket runs as the same user (or as root, who may do anyway).
/// Whoever holds the other end is handed the PIN.
#[cfg(target_os = "linux")]
fn is_ours(stream: &UnixStream) -> bool {
    let Ok(peer) = rustix::net::sockopt::socket_peercred(stream) else {
        return false;
    };
    peer.uid == rustix::process::geteuid() || peer.uid.is_root()
}

/// Elsewhere the directory's own mode (0700, made by the session manager) has to do.
#[cfg(not(target_os = "linux"))]
fn is_ours(_stream: &UnixStream) -> bool {
    true
}
