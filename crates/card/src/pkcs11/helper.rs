// SPDX-License-Identifier: MIT OR Apache-2.0
//! The process that runs a module, seen from the program that asks it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::HelperProgram;
use super::wire::{Fields, Message};
use crate::fault::CardFault;

/// A running helper. It is killed when this value is dropped: whatever was logged in ends with it.
#[derive(Debug)]
pub(super) struct Helper {
    child: Child,
    line: UnixStream,
}

impl Helper {
    pub(super) fn start(helper: &HelperProgram, module: &Path) -> Result<Self, CardFault> {
        let (line, theirs) = UnixStream::pair().map_err(|_| CardFault::ModuleUnusable)?;
        let child = Command::new(&helper.program)
            .args(&helper.arguments)
            .arg(module)
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                tracing::warn!(%error, "the helper for a PKCS #11 module cannot be started");
                CardFault::ModuleUnusable
            })?;
        Ok(Self { child, line })
    }

    /// Asks, and waits for the answer within the limit.
    pub(super) fn ask(&mut self, question: &Message, limit: Duration) -> Result<Fields, CardFault> {
        let asked = self
            .line
            .set_write_timeout(Some(limit))
            .and_then(|()| question.write(&mut self.line));
        if let Err(error) = asked {
            return Err(self.broken(&error));
        }
        let deadline = Instant::now().checked_add(limit);
        let mut timed = Timed {
            line: &self.line,
            deadline,
        };
        let answer = Message::read(&mut timed).map_err(|error| self.broken(&error))?;
        answer.into_answer()
    }

    /// A helper that said nothing in time is killed: nobody knows what its module is doing.
    fn broken(&mut self, error: &io::Error) -> CardFault {
        let hangs = matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        );
        let _ = self.child.kill();
        let ended = self.child.wait();
        tracing::warn!(%error, ?ended, hangs, "a PKCS #11 module broke off");
        if hangs {
            CardFault::ModuleMute
        } else {
            CardFault::ModuleUnusable
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Timed<'a> {
    line: &'a UnixStream,
    deadline: Option<Instant>,
}

impl io::Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let now = Instant::now();
        let left = self.deadline.map(|end| end.saturating_duration_since(now));
        let left = left.filter(|left| !left.is_zero());
        self.line
            .set_read_timeout(Some(left.ok_or(io::ErrorKind::TimedOut)?))?;
        let mut line = self.line;
        line.read(buffer)
    }
}
