// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ending threads that wait for input: they wait for the end as well.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Ends everything that waits with its [`Stop`] when it is dropped.
#[derive(Debug)]
pub struct Stopper {
    // Closing this end wakes the others.
    _end: UnixStream,
}

/// What a thread looks at besides its own input.
#[derive(Debug, Clone)]
pub struct Stop {
    end: Arc<UnixStream>,
}

/// Makes a stopper and what it stops.
pub fn stop_pair() -> io::Result<(Stopper, Stop)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((
        Stopper { _end: ours },
        Stop {
            end: Arc::new(theirs),
        },
    ))
}

impl Stop {
    /// Sleeps; `true` when the end came meanwhile.
    pub fn sleep(&self, time: Duration) -> io::Result<bool> {
        let mut fds = [PollFd::new(&*self.end, PollFlags::IN)];
        Ok(poll_for(&mut fds, Some(time))? > 0)
    }
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// There is input, or the other side has closed.
    Ready,
    /// The thread shall end.
    Stopped,
    /// Nothing came in time.
    TimedOut,
}

/// Waits for input, the end, or the time limit.
pub fn wait(input: BorrowedFd<'_>, stop: &Stop, limit: Option<Duration>) -> io::Result<Wait> {
    let stop = stop.end.as_fd();
    let mut fds = [
        PollFd::new(&stop, PollFlags::IN),
        PollFd::new(&input, PollFlags::IN),
    ];
    poll_for(&mut fds, limit)?;
    let [stopped, ready] = fds.map(|fd| !fd.revents().is_empty());
    Ok(match (stopped, ready) {
        (true, _) => Wait::Stopped,
        (false, true) => Wait::Ready,
        (false, false) => Wait::TimedOut,
    })
}

fn poll_for(fds: &mut [PollFd<'_>], limit: Option<Duration>) -> io::Result<usize> {
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    loop {
        match poll(fds, limit.as_ref()) {
            // A signal came; waiting a little longer than asked does no harm.
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_the_stopper_ends_every_wait() {
        let (stopper, stop) = stop_pair().unwrap();
        let (input, _other) = UnixStream::pair().unwrap();
        assert!(!stop.sleep(Duration::ZERO).unwrap());
        assert_eq!(
            wait(input.as_fd(), &stop, Some(Duration::ZERO)).unwrap(),
            Wait::TimedOut
        );
        drop(stopper);
        assert!(stop.sleep(Duration::from_secs(60)).unwrap());
        assert_eq!(wait(input.as_fd(), &stop, None).unwrap(), Wait::Stopped);
    }
}
