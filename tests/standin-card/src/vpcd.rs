// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card end of the vpcd protocol: a length of two bytes, big-endian, and a message. The same over
//! a unix socket for Lanyard's own reader driver, which says first whether the card is in.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::card::Card;
use crate::control::{Control, Wish};

const OFF: u8 = 0x00;
const ON: u8 = 0x01;
const RESET: u8 = 0x02;
const SEND_ATR: u8 = 0x04;
/// T=1, and card capabilities that promise neither chaining nor extended length.
const ATR: [u8; 11] = [
    0x3B, 0x95, 0x13, 0x81, 0x01, 0x80, 0x73, 0xFF, 0x01, 0x00, 0x0B,
];

const CONNECT_SECS_MAX: u64 = 30;

/// How often a card that nobody asks looks at the hand.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What Lanyard's reader says to a card that is in: five bytes, `LY`, version, outcome 0; a slot follows.
const INSERTED: [u8; 6] = [0, 5, b'L', b'Y', 1, 0];

/// The connection to the reader.
pub enum Line {
    /// To vpcd, which asks every 400 ms whether the card is there.
    Vpcd(TcpStream),
    /// To Lanyard's driver, which asks nothing of the sort.
    Driver(UnixStream),
}

impl Line {
    /// Connects as soon as the reader listens. An address with a slash is a unix socket.
    pub fn connect(address: &str) -> io::Result<Self> {
        let start = Instant::now();
        loop {
            let connected = if address.contains('/') {
                Self::driver(address)
            } else {
                TcpStream::connect(address).and_then(|stream| {
                    stream.set_nodelay(true)?;
                    Ok(Self::Vpcd(stream))
                })
            };
            match connected {
                Ok(line) => return Ok(line),
                Err(error) if start.elapsed() > Duration::from_secs(CONNECT_SECS_MAX) => {
                    return Err(error);
                }
                Err(_) => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    fn driver(socket: &str) -> io::Result<Self> {
        let mut stream = UnixStream::connect(socket)?;
        let mut greeting = [0; 7];
        stream.read_exact(&mut greeting)?;
        if greeting[..6] != INSERTED {
            return Err(io::Error::other("the reader does not take the card"));
        }
        Ok(Self::Driver(stream))
    }

    /// Waits for the next message, or until the hand takes the card.
    fn read(&mut self, control: &Control) -> io::Result<Option<Vec<u8>>> {
        if let Self::Driver(stream) = self {
            stream.set_read_timeout(Some(LOOK_EVERY))?;
            let mut first = [0];
            loop {
                match stream.read(&mut first) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => break,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if control.wish() == Wish::Out {
                            return Ok(None);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            stream.set_read_timeout(None)?;
            let mut second = [0];
            self.fill(&mut second)?;
            return self.body([first[0], second[0]]).map(Some);
        }
        let mut length = [0; 2];
        self.fill(&mut length)?;
        self.body(length).map(Some)
    }

    fn body(&mut self, length: [u8; 2]) -> io::Result<Vec<u8>> {
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        self.fill(&mut message)?;
        Ok(message)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            // The reader sends length and body apart, with Nagle's delay between them until we
            // acknowledge the first; the option does not stay set.
            Self::Vpcd(stream) => {
                rustix::net::sockopt::set_tcp_quickack(&*stream, true)?;
                stream.read_exact(buffer)
            }
            Self::Driver(stream) => stream.read_exact(buffer),
        }
    }

    fn write(&mut self, message: &[u8]) -> io::Result<()> {
        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(message);
        match self {
            Self::Vpcd(stream) => stream.write_all(&framed),
            Self::Driver(stream) => stream.write_all(&framed),
        }
    }
}

/// Why a session of the card ended.
pub enum Ended {
    /// Powered off or reset; what was verified is forgotten.
    Reset,
    /// The hand took the card.
    Pulled,
    /// The reader has gone.
    ReaderGone,
}

/// Answers the reader until the card is reset or taken.
pub fn serve(line: &mut Line, card: &mut Card<'_>, control: &Control) -> io::Result<Ended> {
    loop {
        let message = match line.read(control) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(Ended::Pulled),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
                ) =>
            {
                return Ok(Ended::ReaderGone);
            }
            Err(error) => return Err(error),
        };
        match (control.wish(), uses_key_slot(&message)) {
            (Wish::OutWhenSigning, true) => control.set("out"),
            (Wish::MuteWhenSigning, true) => control.set("mute"),
            _ => {}
        }
        if control.wait_while_mute() == Wish::Out {
            return Ok(Ended::Pulled);
        }
        match message.as_slice() {
            [OFF | RESET] => return Ok(Ended::Reset),
            [ON] => {}
            [SEND_ATR] => line.write(&ATR)?,
            command => line.write(&card.answer(command))?,
        }
    }
}

/// GENERAL AUTHENTICATE with another key than the management key.
fn uses_key_slot(message: &[u8]) -> bool {
    matches!(message, [_, 0x87, _, reference, ..] if *reference != 0x9B)
}
