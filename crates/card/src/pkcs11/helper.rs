// SPDX-License-Identifier: MIT OR Apache-2.0
//! The process that runs a module, seen from the program that asks it.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::HelperProgram;
use super::wire::{Fields, Message};
use crate::fault::CardFault;

/// How long a helper may take to log out and end before it is killed.
const END_MILLIS_MAX: u64 = 1_500;

/// A running helper. It ends when this value is dropped, and whatever was logged in with it.
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
        // The other end sees that nobody asks any more, logs out and lets its module tidy up.
        let _ = self.line.shutdown(Shutdown::Both);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(END_MILLIS_MAX) {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
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

#[cfg(test)]
mod tests {
    use super::super::wire::Verb;
    use super::*;

    /// A helper played by the shell.
    fn played(script: &str) -> Helper {
        let helper = HelperProgram {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
        };
        Helper::start(&helper, Path::new("module.so")).unwrap()
    }

    #[test]
    fn a_module_that_hangs_is_given_up_in_time_and_its_process_ended() {
        let mut helper = played("exec sleep 600");
        let start = Instant::now();
        let limit = Duration::from_millis(300);
        let answer = helper.ask(&Message::ask(Verb::List), limit).err();
        assert_eq!(answer, Some(CardFault::ModuleMute));
        assert!(matches!(helper.child.try_wait(), Ok(Some(_))));
        let again = helper.ask(&Message::ask(Verb::List), limit).err();
        assert_eq!(again, Some(CardFault::ModuleUnusable));
        drop(helper);
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_module_that_ends_or_says_something_else_is_told() {
        let limit = Duration::from_secs(30);
        for script in [
            "kill -SEGV $$",
            "exit 0",
            "printf 'Enter PIN: ............' >&0",
        ] {
            let mut helper = played(script);
            let answer = helper.ask(&Message::ask(Verb::List), limit).err();
            assert_eq!(answer, Some(CardFault::ModuleUnusable), "{script}");
        }
    }
}
