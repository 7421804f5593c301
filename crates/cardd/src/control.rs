// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control socket: whoever connects hears `ready` when the cards are served. systemd holds it
//! open and starts the daemon at the first knock; by hand, the daemon makes it itself.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lanyard_virtual_card::Places;
use lanyard_virtual_card::link::{Stop, Stopper, Wait, stop_pair, wait};
use listenfd::ListenFd;

use crate::daemon::READY;

const SOCKET_MODE: u32 = 0o600;
/// A knock is answered with a few bytes.
const WRITE_MAX: Duration = Duration::from_secs(1);
/// Pause after the system refused a connection, for example for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The kernel's list of unix sockets, and what it says of one that listens.
const SOCKETS: &str = "/proc/net/unix";
const LISTENING: &str = "00010000";

/// The socket, before the cards are served: who knocks waits.
#[derive(Debug)]
pub struct Control {
    /// None where the service manager listens for a daemon that was not started by it.
    listener: Option<UnixListener>,
    /// The file, when the daemon made it itself.
    own: Option<PathBuf>,
}

/// The socket in service; it ends with the value.
#[derive(Debug)]
pub struct Serving {
    stopper: Option<Stopper>,
    thread: Option<JoinHandle<()>>,
    own: Option<PathBuf>,
}

/// Whether somebody listens at this path. To knock would start another daemon.
fn is_listened_at(path: &Path) -> bool {
    let Some(path) = path.to_str() else {
        return false;
    };
    let list = fs::read_to_string(SOCKETS).unwrap_or_default();
    list.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.nth(3) == Some(LISTENING) && words.nth(3) == Some(path)
    })
}

impl Control {
    /// Takes the socket over from the service manager, or makes it.
    pub fn bind(places: &Places) -> io::Result<Self> {
        let given = ListenFd::from_env().take_unix_listener(0)?;
        let path = places.control();
        let (listener, own) = match given {
            Some(listener) => (Some(listener), None),
            // It stays the manager's: whoever needs a daemon finds this one by its lock.
            None if path.exists() && is_listened_at(&path) => (None, None),
            None => {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                let listener = UnixListener::bind(&path)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(SOCKET_MODE))?;
                (Some(listener), Some(path))
            }
        };
        if let Some(listener) = &listener {
            listener.set_nonblocking(true)?;
        }
        Ok(Self { listener, own })
    }

    /// The cards are served: answers those who wait, and all who come.
    pub fn start(self) -> io::Result<Serving> {
        let (stopper, stop) = stop_pair()?;
        let Self { listener, own } = self;
        let start = |listener: UnixListener| {
            thread::Builder::new()
                .name("control".to_owned())
                .spawn(move || serve(&listener, &stop))
        };
        Ok(Serving {
            stopper: Some(stopper),
            thread: listener.map(start).transpose()?,
            own,
        })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stopper.take();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended, too.
            let _ = thread.join();
        }
        if let Some(path) = &self.own {
            let _ = fs::remove_file(path);
        }
    }
}

fn serve(listener: &UnixListener, stop: &Stop) {
    loop {
        match wait(listener.as_fd(), stop, None) {
            Ok(Wait::Stopped) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "the control socket cannot be watched");
                return;
            }
        }
        match listener.accept() {
            Ok((stream, _)) => {
                if let Err(error) = answer(stream) {
                    tracing::debug!(%error, "who knocked did not hear the answer");
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                tracing::warn!(%error, "a connection to the control socket failed");
                if !matches!(stop.sleep(PAUSE), Ok(false)) {
                    return;
                }
            }
        }
    }
}

fn answer(mut stream: UnixStream) -> io::Result<()> {
    let peer = rustix::net::sockopt::socket_peercred(&stream)?;
    if peer.uid != rustix::process::geteuid() && !peer.uid.is_root() {
        return Ok(());
    }
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(WRITE_MAX))?;
    writeln!(stream, "{READY}")
}
