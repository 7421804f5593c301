// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card as an inserted card in a reader of our own driver, which listens inside pcscd.
//!
//! The reader speaks first: five bytes, `LY`, the version 01, the outcome (00 inserted, 01 no slot is
//! free, 02 not a reader for this person's cards), the slot. Whoever is at the other end is handed
//! the card, so it must be the driver: its user must be ours or root, or else the owner of the
//! socket's directory, which root gave him.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::frames::{End, Link, WRITE_MAX, serve};
use super::heart::Heart;
use super::stop::{Wait, wait};
use super::{SharedKeeper, Stop};

/// Where the sockets of readers are: `UID.sock` for the cards of one user, `shared.sock` for
/// everybody's.
pub const READERS_DIRECTORY: &str = "/run/lanyard/readers";
const SHARED_SOCKET: &str = "shared.sock";
/// The reader greets at once.
const GREETING_MAX: Duration = Duration::from_secs(5);
const GREETING_FRAME: [u8; 5] = [0, 5, b'L', b'Y', 1];
/// A look at the directory at least this often, should a change go unnoticed.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Pause after a reader had no slot, or let go of the card.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(4);
const OTHERS_WRITE: u32 = 0o022;

/// Into which reader cards are put.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ReaderChoice {
    /// This person's, or the shared one, whichever there is.
    #[default]
    Auto,
    /// None.
    None,
    /// The one with this socket.
    Socket(PathBuf),
}

/// The text names no reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reader is 'auto', 'none', or the absolute path of its socket")]
pub struct ReaderChoiceError;

impl FromStr for ReaderChoice {
    type Err = ReaderChoiceError;

    fn from_str(text: &str) -> Result<Self, ReaderChoiceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            path if Path::new(path).is_absolute() => Ok(Self::Socket(path.into())),
            _ => Err(ReaderChoiceError),
        }
    }
}

impl fmt::Display for ReaderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::None => f.write_str("none"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

impl ReaderChoice {
    /// The sockets to try, best first.
    fn sockets(&self) -> Vec<PathBuf> {
        match self {
            Self::None => Vec::new(),
            Self::Socket(path) => vec![path.clone()],
            Self::Auto => {
                let directory = Path::new(READERS_DIRECTORY);
                let own = format!("{}.sock", rustix::process::geteuid().as_raw());
                vec![directory.join(own), directory.join(SHARED_SOCKET)]
            }
        }
    }
}

/// Why a card is not in a reader.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is no reader")]
    Absent(#[source] io::Error),
    #[error("no slot of the reader is free; the card has its own socket all the same")]
    Full,
    #[error("the reader is for another user's cards")]
    NotOurs,
    #[error("what listens there is not the reader driver; the card is kept from it")]
    Stranger,
    #[error("what listens there does not speak like the reader driver")]
    Speech(#[source] io::Error),
}

/// Keeps the card inserted until the end: finds a reader, serves, and finds one again.
pub fn run(choice: &ReaderChoice, card: &SharedKeeper, stop: &Stop) {
    let sockets = choice.sockets();
    if sockets.is_empty() {
        return;
    }
    let mut told = String::new();
    let mut pause = PAUSE;
    loop {
        // Watching begins before the look: what changes meanwhile is noticed.
        let changes = Changes::watch(&sockets);
        let began = Instant::now();
        match insert(&sockets) {
            Ok((socket, slot, mut link)) => {
                tracing::info!(reader = %socket.display(), slot, "card inserted");
                told.clear();
                match serve(&mut link, card, stop, None) {
                    Ok(End::Stopped) => return,
                    Ok(end) => tracing::info!(?end, "the reader let go of the card"),
                    Err(error) => tracing::warn!(%error, "the reader broke off"),
                }
                if began.elapsed() >= PAUSE_MAX {
                    pause = PAUSE;
                }
            }
            Err(refusal) => {
                // Once for each outage: there may be no reader for days.
                let words = refusal.to_string();
                match (&refusal, words == told) {
                    (_, true) => {}
                    (Refusal::Absent(error), _) => tracing::info!(%error, "{words}; waiting"),
                    _ => tracing::warn!("{words}"),
                }
                told = words;
                if let Refusal::Absent(_) = refusal {
                    // Nothing to do until something changes there.
                    pause = PAUSE;
                    match changes.wait(stop) {
                        Ok(Wait::Stopped) | Err(_) => return,
                        Ok(_) => continue,
                    }
                }
            }
        }
        // The reader may be about to come back, for example with pcscd: soon, and then less often.
        match changes.wait_at_most(stop, pause) {
            Ok(Wait::Stopped) | Err(_) => return,
            Ok(Wait::Ready) => {}
            Ok(Wait::TimedOut) => pause = PAUSE_MAX.min(pause.saturating_mul(2)),
        }
    }
}

/// Puts the card into the first reader that takes it.
fn insert(sockets: &[PathBuf]) -> Result<(&Path, u8, ReaderLink), Refusal> {
    let mut last = Refusal::Absent(io::ErrorKind::NotFound.into());
    for socket in sockets {
        match insert_at(socket) {
            Ok((slot, link)) => return Ok((socket, slot, link)),
            // A reader that is not there says less than one that refuses.
            Err(Refusal::Absent(_)) if !matches!(last, Refusal::Absent(_)) => {}
            Err(refusal) => last = refusal,
        }
    }
    Err(last)
}

fn insert_at(socket: &Path) -> Result<(u8, ReaderLink), Refusal> {
    let mut stream = UnixStream::connect(socket).map_err(Refusal::Absent)?;
    if !is_the_driver(&stream, socket).map_err(Refusal::Speech)? {
        return Err(Refusal::Stranger);
    }
    let mut greeting = [0; 7];
    stream
        .set_read_timeout(Some(GREETING_MAX))
        .and_then(|()| stream.set_write_timeout(Some(WRITE_MAX)))
        .and_then(|()| stream.read_exact(&mut greeting))
        .and_then(|()| stream.set_read_timeout(None))
        .map_err(Refusal::Speech)?;
    let (version, outcome) = greeting.split_at(GREETING_FRAME.len());
    match (version == GREETING_FRAME, outcome) {
        (true, [0, slot]) => {
            let heart = stream
                .try_clone()
                .and_then(Heart::start)
                .map_err(Refusal::Speech)?;
            Ok((*slot, ReaderLink { stream, heart }))
        }
        (true, [1, _]) => Err(Refusal::Full),
        (true, [2, _]) => Err(Refusal::NotOurs),
        _ => Err(Refusal::Speech(io::ErrorKind::InvalidData.into())),
    }
}

/// Whether the listener is who may listen there.
fn is_the_driver(stream: &UnixStream, socket: &Path) -> io::Result<bool> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?.uid;
    if peer.is_root() || peer == rustix::process::geteuid() {
        return Ok(true);
    }
    let Some(directory) = socket.parent() else {
        return Ok(false);
    };
    // pcscd may have a user of its own. And inside a user namespace root has the same number as
    // everybody else who is not in it; but only root can have put things below directories of
    // root's into which nobody else may write.
    let root = fs::metadata("/")?.uid();
    let found = fs::symlink_metadata(directory)?;
    let mut chain = directory.ancestors().skip(1);
    let roots = chain.all(|above| {
        fs::symlink_metadata(above).is_ok_and(|above| {
            above.is_dir() && above.uid() == root && above.permissions().mode() & OTHERS_WRITE == 0
        })
    });
    Ok(roots
        && found.is_dir()
        && found.permissions().mode() & OTHERS_WRITE == 0
        && found.uid() == peer.as_raw())
}

/// The connection to the reader.
struct ReaderLink {
    stream: UnixStream,
    heart: Heart,
}

impl Read for ReaderLink {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for ReaderLink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl AsFd for ReaderLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Link for ReaderLink {
    fn heart(&self) -> Option<&Heart> {
        Some(&self.heart)
    }
}

/// Notices when a socket appears.
struct Changes(Option<OwnedFd>);

impl Changes {
    fn watch(sockets: &[PathBuf]) -> Self {
        let Ok(changes) = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) else {
            return Self(None);
        };
        for socket in sockets {
            // The directory itself may not be there yet.
            let there = socket.ancestors().skip(1).find(|above| above.is_dir());
            let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ATTRIB;
            if let Some(there) = there {
                let _ = inotify::add_watch(&changes, there, flags);
            }
        }
        Self(Some(changes))
    }

    fn wait(&self, stop: &Stop) -> io::Result<Wait> {
        self.wait_at_most(stop, LOOK_AGAIN)
    }

    fn wait_at_most(&self, stop: &Stop, limit: Duration) -> io::Result<Wait> {
        match &self.0 {
            Some(changes) => wait(changes.as_fd(), stop, Some(limit)),
            None if stop.sleep(limit)? => Ok(Wait::Stopped),
            None => Ok(Wait::TimedOut),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;
    use crate::link::{Stopper, answer_to_reset, stop_pair};
    use crate::testing::blank;

    const PATIENCE: Duration = Duration::from_secs(20);

    struct Running {
        stopper: Option<Stopper>,
        thread: Option<thread::JoinHandle<()>>,
    }

    impl Running {
        fn start(socket: &Path) -> Self {
            let choice = ReaderChoice::Socket(socket.to_owned());
            let (stopper, stop) = stop_pair().unwrap();
            let card: SharedKeeper = Arc::new(Mutex::new(blank().0));
            let thread = thread::spawn(move || run(&choice, &card, &stop));
            Self {
                stopper: Some(stopper),
                thread: Some(thread),
            }
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.stopper.take();
            self.thread.take().unwrap().join().unwrap();
        }
    }

    fn accept(listener: &UnixListener, outcome: u8) -> UnixStream {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(&[&GREETING_FRAME[..], &[outcome, 0]].concat())
            .unwrap();
        stream
    }

    fn tells_its_atr(reader: &mut UnixStream) {
        reader.write_all(&[0, 1, 4]).unwrap();
        let mut answer = vec![0; answer_to_reset().len() + 2];
        reader.read_exact(&mut answer).unwrap();
        assert_eq!(answer[2..], answer_to_reset());
    }

    #[test]
    fn a_choice_is_read_back_from_its_words() {
        for text in ["auto", "none", "/run/lanyard/readers/1000.sock"] {
            assert_eq!(text.parse::<ReaderChoice>().unwrap().to_string(), text);
        }
        assert_eq!("reader".parse::<ReaderChoice>(), Err(ReaderChoiceError));
        assert_eq!(
            ReaderChoice::Auto.sockets()[1],
            Path::new("/run/lanyard/readers/shared.sock")
        );
        assert!(ReaderChoice::None.sockets().is_empty());
    }

    #[test]
    fn the_card_comes_when_the_reader_does_and_comes_back() {
        let base = tempfile::tempdir().unwrap();
        let socket = base.path().join("later/s");
        let _running = Running::start(&socket);
        for _ in 0..2 {
            let _ = fs::create_dir(base.path().join("later"));
            let _ = fs::remove_file(&socket);
            let listener = UnixListener::bind(&socket).unwrap();
            tells_its_atr(&mut accept(&listener, 0));
        }
    }

    #[test]
    fn a_full_reader_is_asked_again() {
        let base = tempfile::tempdir().unwrap();
        let socket = base.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let _running = Running::start(&socket);
        drop(accept(&listener, 1));
        tells_its_atr(&mut accept(&listener, 0));
    }

    #[test]
    fn the_end_comes_while_the_card_waits_for_a_reader() {
        let base = tempfile::tempdir().unwrap();
        let began = Instant::now();
        drop(Running::start(&base.path().join("never")));
        assert!(began.elapsed() < PATIENCE);
    }

    #[test]
    fn what_does_not_speak_like_the_driver_gets_nothing() {
        let base = tempfile::tempdir().unwrap();
        let socket = base.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let other = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&[0, 1, 4, 0, 1, 4, 0]).unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap();
            rest
        });
        assert!(matches!(insert_at(&socket), Err(Refusal::Speech(_))));
        assert!(other.join().unwrap().is_empty());
    }
}
