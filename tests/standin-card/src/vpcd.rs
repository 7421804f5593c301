// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card end of the vpcd protocol: a length of two bytes, big-endian, and a message.

use std::io::{self, Read, Write};
use std::net::TcpStream;
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

/// The connection to the reader.
pub struct Line(TcpStream);

impl Line {
    /// Connects as soon as the reader listens.
    pub fn connect(address: &str) -> io::Result<Self> {
        let start = Instant::now();
        loop {
            match TcpStream::connect(address) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Self(stream));
                }
                Err(error) if start.elapsed() > Duration::from_secs(CONNECT_SECS_MAX) => {
                    return Err(error);
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 2];
        self.fill(&mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        self.fill(&mut message)?;
        Ok(message)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        // The reader sends length and body apart, with Nagle's delay between them until we
        // acknowledge the first; the option does not stay set.
        rustix::net::sockopt::set_tcp_quickack(&self.0, true)?;
        self.0.read_exact(buffer)
    }

    fn write(&mut self, message: &[u8]) -> io::Result<()> {
        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(message);
        self.0.write_all(&framed)
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
        let message = match line.read() {
            Ok(message) => message,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Ended::ReaderGone);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
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
