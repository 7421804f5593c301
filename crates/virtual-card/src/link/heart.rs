// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signs of life while a command is worked on: a chip may take a minute for an RSA key, and the
//! reader must tell that from a daemon that hangs.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A frame that says "still working".
const WORKING: [u8; 3] = [0, 1, 5];
/// Time from one sign of life to the next.
const BEAT: Duration = Duration::from_secs(1);
/// Work that began just before a beat waits for the next one.
const BEAT_HALF: Duration = Duration::from_millis(500);
/// After so many beats without work the thread sleeps until it is woken.
const IDLE_BEATS_MAX: u32 = 2;

/// The heart of one session.
pub struct Heart {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    busy_since: Option<Instant>,
    sleeps: bool,
    ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heart {
    /// Starts a heart that beats on this stream.
    pub fn start(mut stream: UnixStream) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let seen = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("card heart".to_owned())
            .spawn(move || run(&seen, |sign| stream.write_all(sign)))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Does some work; whenever it has taken another second, a sign of life goes out. None goes out
    /// after this returns.
    pub fn beat_during<T>(&self, work: impl FnOnce() -> T) -> T {
        {
            let mut state = self.shared.state();
            state.busy_since = Some(Instant::now());
            if state.sleeps {
                self.shared.changed.notify_one();
            }
        }
        let done = work();
        self.shared.state().busy_since = None;
        done
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended, too.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Heart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Heart")
    }
}

fn run(shared: &Shared, mut write: impl FnMut(&[u8]) -> io::Result<()>) {
    let mut idle: u32 = 0;
    let mut state = shared.state();
    while !state.ended {
        state.sleeps = idle >= IDLE_BEATS_MAX && state.busy_since.is_none();
        state = if state.sleeps {
            let woken = shared.changed.wait(state);
            idle = 0;
            woken.unwrap_or_else(PoisonError::into_inner)
        } else {
            let waited = shared.changed.wait_timeout(state, BEAT);
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        state.sleeps = false;
        match state.busy_since {
            None => idle = idle.saturating_add(1),
            // Written under the lock: no sign can come after the answer. The stream has a time
            // limit for writing.
            Some(since) if since.elapsed() >= BEAT_HALF && !state.ended => {
                idle = 0;
                if write(&WORKING).is_err() {
                    // The session will find out by itself.
                    return;
                }
            }
            Some(_) => idle = 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn long_work_gives_signs_of_life_and_short_work_none() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let heart = Heart::start(ours.try_clone().unwrap()).unwrap();
        assert_eq!(heart.beat_during(|| 7), 7);
        let mut sign = [0; 3];
        heart.beat_during(|| theirs.read_exact(&mut sign).unwrap());
        assert_eq!(sign, WORKING);
        // Nothing more comes from a heart at rest.
        drop(heart);
        drop(ours);
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).unwrap();
        assert_eq!(rest.len() % WORKING.len(), 0);
    }

    #[test]
    fn a_heart_that_sleeps_is_woken_by_work() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let heart = Heart::start(ours).unwrap();
        let began = Instant::now();
        while !heart.shared.state().sleeps {
            assert!(began.elapsed() < Duration::from_secs(20));
            thread::sleep(Duration::from_millis(20));
        }
        heart.beat_during(|| theirs.read_exact(&mut [0; 3]).unwrap());
    }
}
