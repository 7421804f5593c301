// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card's own unix socket, for programs of the same person. Each connection is a session of
//! its own: what one verified is of no use to another.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::frames::{WRITE_MAX, serve};
use super::stop::{Wait, wait};
use super::{SharedKeeper, Stop};

/// Most sessions at a time; one more is turned away.
pub const SESSIONS_MAX: usize = 8;
/// A session in which nothing happens ends.
const IDLE_MAX: Duration = Duration::from_secs(600);
const SOCKET_MODE: u32 = 0o600;
/// Pause after the system refused a connection, for example for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket; its file goes with it.
#[derive(Debug)]
pub struct SocketServer {
    listener: UnixListener,
    path: PathBuf,
}

impl SocketServer {
    /// Binds the socket in a directory that only the owner may enter. A file that an earlier
    /// process left there is replaced: the card's lock says that there is no such process now.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        let server = Self {
            listener,
            path: path.to_owned(),
        };
        fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
        server.listener.set_nonblocking(true)?;
        Ok(server)
    }

    /// Serves the card until the end, and waits for the sessions to end.
    pub fn run(&self, card: &SharedKeeper, stop: &Stop) {
        let mut sessions: Vec<JoinHandle<()>> = Vec::new();
        loop {
            match wait(self.listener.as_fd(), stop, None) {
                Ok(Wait::Stopped) => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "the card's socket cannot be watched");
                    break;
                }
            }
            sessions.retain(|session| !session.is_finished());
            match self.listener.accept() {
                Ok((stream, _)) if sessions.len() < SESSIONS_MAX => {
                    sessions.extend(start(stream, card, stop));
                }
                Ok(_) => tracing::warn!("too many programs use the card; one was turned away"),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection to the card failed");
                    if !matches!(stop.sleep(ACCEPT_PAUSE), Ok(false)) {
                        break;
                    }
                }
            }
        }
        for session in sessions {
            let _ = session.join();
        }
    }
}

impl Drop for SocketServer {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Starts a session for a program of the same person.
fn start(mut stream: UnixStream, card: &SharedKeeper, stop: &Stop) -> Option<JoinHandle<()>> {
    match is_same_person(&stream) {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!("a program of another person was turned away from the card");
            return None;
        }
        Err(error) => {
            tracing::warn!(%error, "the system does not say whose program connects");
            return None;
        }
    }
    let (card, stop) = (card.clone(), stop.clone());
    let session = thread::Builder::new()
        .name("card session".to_owned())
        .spawn(move || {
            let prepared = stream
                .set_nonblocking(false)
                .and_then(|()| stream.set_write_timeout(Some(WRITE_MAX)));
            match prepared.and_then(|()| serve(&mut stream, &card, &stop, Some(IDLE_MAX))) {
                Ok(end) => tracing::debug!(?end, "card session ended"),
                Err(error) => tracing::debug!(%error, "card session broke off"),
            }
        });
    session
        .inspect_err(|error| tracing::warn!(%error, "no thread for a card session"))
        .ok()
}

fn is_same_person(stream: &UnixStream) -> io::Result<bool> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    Ok(peer.uid == rustix::process::geteuid())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::link::{Stopper, stop_pair};
    use crate::testing::blank;

    struct Running {
        directory: tempfile::TempDir,
        stopper: Option<Stopper>,
        thread: Option<JoinHandle<()>>,
    }

    impl Running {
        fn start() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let server = SocketServer::bind(&directory.path().join("s")).unwrap();
            let (stopper, stop) = stop_pair().unwrap();
            let card: SharedKeeper = Arc::new(Mutex::new(blank().0));
            let thread = thread::spawn(move || server.run(&card, &stop));
            Self {
                directory,
                stopper: Some(stopper),
                thread: Some(thread),
            }
        }

        fn connect(&self) -> UnixStream {
            let stream = UnixStream::connect(self.directory.path().join("s")).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            stream
        }

        fn stop(&mut self) {
            self.stopper.take();
            self.thread.take().unwrap().join().unwrap();
        }
    }

    fn exchange(stream: &mut UnixStream, command: &[u8]) -> Vec<u8> {
        let length = u16::try_from(command.len()).unwrap().to_be_bytes();
        stream.write_all(&[&length, command].concat()).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).unwrap();
        answer
    }

    const QUERY: &[u8] = &[0, 0x20, 0, 0x80];
    const VERIFY: &[u8] = b"\x00\x20\x00\x80\x0812345678";

    #[test]
    fn what_one_program_verified_is_of_no_use_to_another() {
        let mut running = Running::start();
        let (mut one, mut two) = (running.connect(), running.connect());
        assert_eq!(exchange(&mut one, VERIFY), [0x90, 0]);
        assert_eq!(exchange(&mut one, QUERY), [0x90, 0]);
        assert_eq!(exchange(&mut two, QUERY), [0x63, 0xC3]);
        drop(one);
        assert_eq!(exchange(&mut running.connect(), QUERY), [0x63, 0xC3]);
        running.stop();
    }

    #[test]
    fn the_socket_is_private_and_goes_with_the_server() {
        let mut running = Running::start();
        let path = running.directory.path().join("s");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            SOCKET_MODE
        );
        let _open = running.connect();
        running.stop();
        assert!(!path.exists());
    }

    #[test]
    fn one_program_too_many_is_turned_away_and_the_others_go_on() {
        let mut running = Running::start();
        let mut open: Vec<_> = (0..SESSIONS_MAX).map(|_| running.connect()).collect();
        for stream in &mut open {
            assert_eq!(exchange(stream, QUERY), [0x63, 0xC3]);
        }
        let mut late = running.connect();
        let _ = late.write_all(&[0, 1, 4]);
        // Closed with or without our byte read: end of file or a reset.
        assert!(matches!(late.read(&mut [0]), Ok(0) | Err(_)));
        assert_eq!(exchange(&mut open[0], QUERY), [0x63, 0xC3]);
        running.stop();
    }
}
