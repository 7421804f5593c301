// SPDX-License-Identifier: MIT OR Apache-2.0
//! One session over one stream.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::heart::Heart;
use super::stop::{Stop, Wait, wait};
use super::{SharedKeeper, answer_to_reset};
use crate::Application;

/// A frame that has begun must be whole within this time.
const FRAME_MAX: Duration = Duration::from_secs(5);
/// An answer must be taken within this time; it also bounds how long a card takes to go.
pub(super) const WRITE_MAX: Duration = Duration::from_secs(1);
const LENGTH_BYTES: usize = 2;

const POWER_OFF: u8 = 0x00;
const POWER_ON: u8 = 0x01;
const RESET: u8 = 0x02;
const SEND_ATR: u8 = 0x04;

/// A stream that carries frames.
pub trait Link: Read + Write + AsFd {
    /// Called before each read.
    fn before_read(&self) -> io::Result<()> {
        Ok(())
    }

    /// What tells the other side, while a command is worked on, that the card is alive.
    fn heart(&self) -> Option<&Heart> {
        None
    }
}

impl Link for UnixStream {}

impl Link for TcpStream {
    /// vpcd writes length and body apart with Nagle's algorithm on: unless the length is
    /// acknowledged at once, each command waits 40 ms for our delayed acknowledgement. The kernel
    /// forgets the option, so it is set anew each time.
    fn before_read(&self) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_tcp_quickack(self, true)?)
    }
}

/// What ended a session without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The daemon ends, or the card was taken away.
    Stopped,
    /// The other side closed the stream.
    Closed,
    /// Nothing came for too long.
    Idle,
}

/// Serves a card over a stream. The session begins and ends with a reset card.
pub fn serve<L: Link>(
    link: &mut L,
    card: &SharedKeeper,
    stop: &Stop,
    idle_max: Option<Duration>,
) -> io::Result<End> {
    let mut application = Application::new();
    loop {
        let mut length = [0; LENGTH_BYTES];
        if let Some(end) = read_length(link, &mut application, stop, &mut length, idle_max)? {
            return Ok(end);
        }
        let length = usize::from(u16::from_be_bytes(length));
        let mut body = Zeroizing::new(vec![0; length]);
        if let Some(end) = read_frame_part(link, stop, &mut body, Some(FRAME_MAX), false)? {
            return Ok(end);
        }
        match body.as_slice() {
            [] => return Err(io::ErrorKind::InvalidData.into()),
            [POWER_OFF | POWER_ON | RESET] => application.reset(),
            [SEND_ATR] => {
                // This is also how a reader asks whether the card is still there.
                application.forget_expired(Instant::now());
                write_frame(link, &answer_to_reset())?;
            }
            // A control that this card does not know.
            [_] => {}
            command => {
                let answer = match link.heart() {
                    None => answer(&mut application, card, command),
                    Some(heart) => heart.beat_during(|| answer(&mut application, card, command)),
                };
                write_frame(link, &answer)?;
            }
        }
    }
}

/// Waits for the next frame. Meanwhile a verified PIN is forgotten in time, and not only when the
/// next command comes.
fn read_length<L: Link>(
    link: &mut L,
    application: &mut Application,
    stop: &Stop,
    length: &mut [u8; LENGTH_BYTES],
    idle_max: Option<Duration>,
) -> io::Result<Option<End>> {
    let began = Instant::now();
    loop {
        let now = Instant::now();
        application.forget_expired(now);
        let idle = idle_max.map(|max| max.saturating_sub(now.saturating_duration_since(began)));
        if idle == Some(Duration::ZERO) {
            return Ok(Some(End::Idle));
        }
        let limit = [idle, application.expires_in(now)]
            .into_iter()
            .flatten()
            .min();
        match read_frame_part(link, stop, length, limit, true)? {
            Some(End::Idle) => {}
            other => return Ok(other),
        }
    }
}

/// Answers one command. The log shows its header and the status word, never a body: that may be
/// a PIN, a key or what a key was used for.
fn answer(
    application: &mut Application,
    card: &SharedKeeper,
    command: &[u8],
) -> Zeroizing<Vec<u8>> {
    let start = Instant::now();
    let answer = {
        // A panic elsewhere left the keeper at its last durable state.
        let mut keeper = card.lock().unwrap_or_else(PoisonError::into_inner);
        application.apdu(&mut *keeper, start, command)
    };
    if let (Some([class, instruction, p1, p2]), Some([high, low])) =
        (command.first_chunk(), answer.last_chunk())
    {
        tracing::debug!(
            command = %format_args!("{class:02X} {instruction:02X} {p1:02X} {p2:02X}"),
            command_bytes = command.len(),
            answer_bytes = answer.len(),
            status = %format_args!("{high:02X}{low:02X}"),
            microseconds = start.elapsed().as_micros() as u64,
            "command answered"
        );
    }
    answer
}

/// Fills `buffer`. Between two frames the other side may close and may take `limit` for each read;
/// inside a frame it must not close and has `limit` for the whole.
fn read_frame_part<L: Link>(
    link: &mut L,
    stop: &Stop,
    buffer: &mut [u8],
    limit: Option<Duration>,
    between_frames: bool,
) -> io::Result<Option<End>> {
    let mut begun = !between_frames;
    let mut deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut rest = buffer;
    while !rest.is_empty() {
        link.before_read()?;
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match wait(link.as_fd(), stop, left)? {
            Wait::Stopped => return Ok(Some(End::Stopped)),
            Wait::TimedOut if begun => return Err(io::ErrorKind::TimedOut.into()),
            Wait::TimedOut => return Ok(Some(End::Idle)),
            Wait::Ready => {}
        }
        let count = match link.read(rest) {
            Ok(0) if begun => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => return Ok(Some(End::Closed)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        rest = rest.get_mut(count..).unwrap_or_default();
        if !begun {
            begun = true;
            deadline = Instant::now().checked_add(FRAME_MAX);
        }
    }
    Ok(None)
}

/// Writes length and body in one go.
fn write_frame<L: Link>(link: &mut L, body: &[u8]) -> io::Result<()> {
    // No answer of this card comes near the limit of the length field.
    let length = u16::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut frame = Zeroizing::new(Vec::with_capacity(body.len().saturating_add(LENGTH_BYTES)));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(body);
    link.write_all(&frame)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;
    use crate::link::stop::stop_pair;
    use crate::testing::blank;

    fn served() -> (
        UnixStream,
        thread::JoinHandle<io::Result<End>>,
        super::super::Stopper,
    ) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let (stopper, stop) = stop_pair().unwrap();
        let card: SharedKeeper = Arc::new(Mutex::new(blank().0));
        let thread = thread::spawn(move || serve(&mut theirs, &card, &stop, None));
        (ours, thread, stopper)
    }

    fn send(stream: &mut UnixStream, body: &[u8]) {
        write_frame(stream, body).unwrap();
    }

    fn receive(stream: &mut UnixStream) -> Vec<u8> {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut body).unwrap();
        body
    }

    #[test]
    fn controls_and_commands_are_answered_as_vpcd_expects() {
        let (mut stream, thread, _stopper) = served();
        send(&mut stream, &[POWER_ON]);
        send(&mut stream, &[SEND_ATR]);
        assert_eq!(receive(&mut stream), answer_to_reset());
        send(&mut stream, &[0, 0x20, 0, 0x80]);
        assert_eq!(receive(&mut stream), [0x63, 0xC3]);
        drop(stream);
        assert_eq!(thread.join().unwrap().unwrap(), End::Closed);
    }

    #[test]
    fn a_reset_forgets_the_pin() {
        let (mut stream, _thread, _stopper) = served();
        let query = [0, 0x20, 0, 0x80];
        send(
            &mut stream,
            &[&[0, 0x20, 0, 0x80, 8][..], b"12345678"].concat(),
        );
        assert_eq!(receive(&mut stream), [0x90, 0x00]);
        send(&mut stream, &query);
        assert_eq!(receive(&mut stream), [0x90, 0x00]);
        for control in [POWER_OFF, RESET] {
            send(&mut stream, &[control]);
            send(&mut stream, &query);
            assert_eq!(receive(&mut stream), [0x63, 0xC3]);
        }
    }

    #[test]
    fn taking_the_card_away_ends_the_session() {
        let (_stream, thread, stopper) = served();
        drop(stopper);
        assert_eq!(thread.join().unwrap().unwrap(), End::Stopped);
    }

    #[test]
    fn a_cut_off_frame_is_a_fault() {
        let (mut stream, thread, _stopper) = served();
        stream.write_all(&[0, 9, 1]).unwrap();
        drop(stream);
        let error = thread.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn an_empty_frame_is_a_fault() {
        let (mut stream, thread, _stopper) = served();
        send(&mut stream, &[]);
        assert_eq!(
            thread.join().unwrap().unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn a_session_in_which_nothing_happens_ends() {
        let (_ours, mut theirs) = UnixStream::pair().unwrap();
        let (_stopper, stop) = stop_pair().unwrap();
        let card: SharedKeeper = Arc::new(Mutex::new(blank().0));
        let idle_max = Some(Duration::from_millis(1));
        assert_eq!(
            serve(&mut theirs, &card, &stop, idle_max).unwrap(),
            End::Idle
        );
    }
}
