// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for something to do: a change among the cards, a signal, or a while.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// A look at the cards happens at least this often, should a change go unnoticed.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What ended the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The cards may have changed.
    Look,
    /// The daemon shall end.
    End,
}

/// Watches the directory of the cards, and the signals that end the daemon.
#[derive(Debug)]
pub struct Watch {
    directory: PathBuf,
    changes: OwnedFd,
    signals: UnixStream,
}

impl Watch {
    /// Starts to watch.
    pub fn start(directory: &Path) -> io::Result<Self> {
        let (signals, written) = UnixStream::pair()?;
        for signal in [SIGTERM, SIGINT] {
            pipe::register(signal, written.try_clone()?)?;
        }
        let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self {
            directory: directory.to_owned(),
            changes,
            signals,
        })
    }

    /// Waits.
    pub fn wait(&mut self) -> io::Result<Event> {
        // Set anew each time: the directory itself may have been replaced.
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        match inotify::add_watch(&self.changes, &self.directory, flags) {
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
        let limit = Timespec::try_from(LOOK_AGAIN).map_err(io::Error::other)?;
        let mut fds = [
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&self.changes, PollFlags::IN),
        ];
        match poll(&mut fds, Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [signalled, changed] = fds.map(|fd| !fd.revents().is_empty());
        if signalled {
            let _ = self.signals.read(&mut [0; 16])?;
            return Ok(Event::End);
        }
        if changed {
            self.forget_changes()?;
        }
        Ok(Event::Look)
    }

    /// Empties the queue: the daemon looks at the whole directory anyway.
    fn forget_changes(&self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match rustix::io::read(&self.changes, &mut buffer) {
                Ok(0) | Err(Errno::WOULDBLOCK) => return Ok(()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
