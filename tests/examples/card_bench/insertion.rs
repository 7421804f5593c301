// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards that come and go: when a program that waits hears of it.

use crate::PATIENCE;
use anyhow::{Result, ensure};
use lanyard_tests::pcsc::Pcscd;
use pcsc::{Context, ReaderState, Scope, State};
use std::ffi::CString;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const INSERTIONS: u32 = 20;

/// A card that comes and goes, which says its ATR and nothing else.
enum Dummy {
    Ours(UnixStream),
    Vpcd(TcpStream),
}

impl Dummy {
    fn insert(address: &str) -> Result<Self> {
        let dummy = if address.contains('/') {
            let mut stream = UnixStream::connect(address)?;
            let mut greeting = [0; 7];
            stream.read_exact(&mut greeting)?;
            ensure!(greeting[5] == 0, "the reader is full");
            let ours = stream.try_clone()?;
            std::thread::spawn(move || talk(&mut stream, || Ok(())));
            Self::Ours(ours)
        } else {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let ours = stream.try_clone()?;
            let quick = stream.try_clone()?;
            std::thread::spawn(move || {
                talk(&mut stream, || {
                    Ok(rustix::net::sockopt::set_tcp_quickack(&quick, true)?)
                })
            });
            Self::Vpcd(ours)
        };
        Ok(dummy)
    }

    fn remove(&self) -> Result<()> {
        match self {
            Self::Ours(stream) => stream.shutdown(Shutdown::Both)?,
            Self::Vpcd(stream) => stream.shutdown(Shutdown::Both)?,
        }
        Ok(())
    }
}

fn talk<S: Read + Write>(stream: &mut S, before: impl Fn() -> Result<()>) -> Result<()> {
    loop {
        let mut length = [0; 2];
        before()?;
        stream.read_exact(&mut length)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
        before()?;
        stream.read_exact(&mut body)?;
        match body.as_slice() {
            [4] => stream.write_all(&[0, 4, 0x3B, 0x80, 0x01, 0x81])?,
            [_] => {}
            _ => stream.write_all(&[0, 2, 0x6D, 0x00])?,
        }
    }
}

/// Waits for states of one reader.
pub struct Watch {
    context: Context,
    looks: [ReaderState; 1],
}

impl Watch {
    /// Of this reader.
    pub fn new(pcscd: &Pcscd, reader: u16) -> Result<Self> {
        let name = CString::new(pcscd.reader_name(reader))?;
        Ok(Self {
            context: Context::establish(Scope::User)?,
            looks: [ReaderState::new(name, State::UNAWARE)],
        })
    }

    /// Until the reader is in this state.
    pub fn until(&mut self, wanted: State) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let [look] = &mut self.looks;
            if look.event_state().contains(wanted) {
                return Ok(());
            }
            ensure!(Instant::now() < end, "not {wanted:?} within {PATIENCE:?}");
            look.sync_current_state();
            self.context.get_status_change(PATIENCE, &mut self.looks)?;
        }
    }
}

/// How long it takes until a program that waits hears of a card that comes, and of one that goes.
pub fn insertions(pcscd: &Pcscd) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let mut watch = Watch::new(pcscd, 1)?;
    watch.until(State::EMPTY)?;
    let (mut coming, mut going) = (Vec::new(), Vec::new());
    for round in 0..INSERTIONS {
        // At another moment of the service's own round each time.
        std::thread::sleep(Duration::from_millis(150) + Duration::from_millis(37) * (round % 11));
        let began = Instant::now();
        let dummy = Dummy::insert(&pcscd.slot(1))?;
        watch.until(State::PRESENT)?;
        coming.push(began.elapsed());
        std::thread::sleep(Duration::from_millis(150) + Duration::from_millis(41) * (round % 10));
        let began = Instant::now();
        dummy.remove()?;
        watch.until(State::EMPTY)?;
        going.push(began.elapsed());
    }
    Ok((coming, going))
}
