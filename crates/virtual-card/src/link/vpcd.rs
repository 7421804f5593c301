// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card as an inserted card in vpcd, the virtual reader of vsmartcard. For tests and demos:
//! vpcd takes whoever connects first for the card and hands him the PIN.

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::frames::{End, WRITE_MAX, serve};
use super::{SharedKeeper, Stop};

const CONNECT_MAX: Duration = Duration::from_secs(2);
/// First and longest pause between two tries to connect.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A connection that lasted this long was a real one: the next try comes soon.
const REAL_CONNECTION: Duration = Duration::from_secs(1);

/// Where vpcd waits for a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VpcdAddress {
    host: String,
    port: u16,
}

/// The text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address is HOST:PORT, for example 127.0.0.1:35963")]
pub struct VpcdAddressError;

impl VpcdAddress {
    /// The two slots of one vpcd: its port and the one above.
    #[must_use]
    pub fn slots(&self) -> Vec<Self> {
        let second = self.port.checked_add(1).map(|port| Self {
            host: self.host.clone(),
            port,
        });
        [Some(self.clone()), second].into_iter().flatten().collect()
    }
}

impl FromStr for VpcdAddress {
    type Err = VpcdAddressError;

    fn from_str(text: &str) -> Result<Self, VpcdAddressError> {
        let (host, port) = text.rsplit_once(':').ok_or(VpcdAddressError)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().map_err(|_| VpcdAddressError)?;
        if host.is_empty() || port == 0 {
            return Err(VpcdAddressError);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for VpcdAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Keeps the card inserted in one slot until the end: connects, serves, connects again.
pub fn run(address: &VpcdAddress, card: &SharedKeeper, stop: &Stop) {
    let mut pause = PAUSE_MIN;
    let mut told = false;
    loop {
        let began = Instant::now();
        match connect(address).and_then(|mut stream| {
            tracing::info!(%address, "card inserted");
            told = false;
            serve(&mut stream, card, stop, None)
        }) {
            Ok(End::Stopped) => return,
            Ok(end) => tracing::info!(%address, ?end, "the reader let go of the card"),
            // Once for each outage: the reader may not be there for days.
            Err(error) if !told => {
                tracing::warn!(%address, %error, "the reader cannot be reached; trying again");
                told = true;
            }
            Err(error) => tracing::debug!(%address, %error, "the reader cannot be reached"),
        }
        if began.elapsed() >= REAL_CONNECTION {
            pause = PAUSE_MIN;
        }
        if !matches!(stop.sleep(pause), Ok(false)) {
            return;
        }
        pause = PAUSE_MAX.min(pause.saturating_mul(2));
    }
}

fn connect(address: &VpcdAddress) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for candidate in (address.host.as_str(), address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, CONNECT_MAX) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(WRITE_MAX))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;
    use crate::link::stop_pair;
    use crate::testing::blank;

    #[test]
    fn addresses_are_host_and_port() {
        for text in ["127.0.0.1:35963", "localhost:1", "[::1]:36864"] {
            assert_eq!(text.parse::<VpcdAddress>().unwrap().to_string(), text);
        }
        for text in ["", "127.0.0.1", ":1", "host:0", "host:65536", "host:x"] {
            assert_eq!(text.parse::<VpcdAddress>(), Err(VpcdAddressError), "{text}");
        }
    }

    #[test]
    fn one_vpcd_has_two_slots() {
        let slots = "h:36864".parse::<VpcdAddress>().unwrap().slots();
        assert_eq!(
            slots.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["h:36864", "h:36865"]
        );
        assert_eq!("h:65535".parse::<VpcdAddress>().unwrap().slots().len(), 1);
    }

    #[test]
    fn the_card_comes_back_when_the_reader_does() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: VpcdAddress = listener.local_addr().unwrap().to_string().parse().unwrap();
        let (stopper, stop) = stop_pair().unwrap();
        let card: SharedKeeper = Arc::new(Mutex::new(blank().0));
        let thread = thread::spawn(move || run(&address, &card, &stop));
        for _ in 0..2 {
            let (mut reader, _) = listener.accept().unwrap();
            reader.write_all(&[0, 1, 4]).unwrap();
            let mut length = [0; 2];
            reader.read_exact(&mut length).unwrap();
            assert_eq!(usize::from(length[1]), crate::link::answer_to_reset().len());
        }
        drop(stopper);
        thread.join().unwrap();
    }

    /// vpcd writes the length and the body apart and lets Nagle's algorithm hold back the second:
    /// without quick acknowledgement each command takes 40 ms and more.
    #[test]
    fn a_reader_that_writes_in_two_pieces_is_answered_at_once() {
        const COMMANDS: u32 = 100;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: VpcdAddress = listener.local_addr().unwrap().to_string().parse().unwrap();
        let (stopper, stop) = stop_pair().unwrap();
        let card: SharedKeeper = Arc::new(Mutex::new(blank().0));
        let thread = thread::spawn(move || run(&address, &card, &stop));
        let (mut reader, _) = listener.accept().unwrap();
        let began = Instant::now();
        for _ in 0..COMMANDS {
            reader.write_all(&[0, 4]).unwrap();
            reader.write_all(&[0, 0x20, 0, 0x80]).unwrap();
            let mut answer = [0; 4];
            reader.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [0, 2, 0x63, 0xC3]);
        }
        let each = began.elapsed() / COMMANDS;
        assert!(
            each < Duration::from_millis(15),
            "{each:?} for each command"
        );
        drop(stopper);
        thread.join().unwrap();
    }
}
