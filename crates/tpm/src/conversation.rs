// SPDX-License-Identifier: MIT OR Apache-2.0
//! One conversation with a chip: commands go out with their proofs, answers come back checked.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use tpm2_protocol::data::{TpmCc, TpmRcBase};
use zeroize::Zeroizing;

use crate::auth::Auth;
use crate::crypto::sha256;
use crate::error::{Code, TpmError};
use crate::name::Handle;
use crate::session::attribute;
use crate::transport::Transport;
use crate::wire::{Answer, HEADER_BYTES, NO_SESSIONS, Reader, SESSIONS, Writer};

/// Time for an ordinary command.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// Time for making a key: RSA takes chips up to a minute and more.
const MAKE_LIMIT: Duration = Duration::from_secs(180);
/// Time for flushing at the end of a conversation: nobody waits for its outcome.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);
/// How long a busy chip is asked again.
const AGAIN_MAX: Duration = Duration::from_secs(5);
/// First pause before asking again; it doubles.
const AGAIN_PAUSE: Duration = Duration::from_millis(5);
const AGAIN_PAUSE_MAX: Duration = Duration::from_millis(200);
/// `TPM_RS_PW`: the session of a password.
const PASSWORD_SESSION: u32 = 0x4000_0009;
/// `TPM_SU_CLEAR`.
const STARTUP_CLEAR: u16 = 0x0000;

/// A conversation with a chip. What it loaded and started is flushed when it ends.
pub struct Tpm {
    transport: Box<dyn Transport>,
    /// Transient objects and sessions that are ours to flush.
    open: Vec<u32>,
}

impl fmt::Debug for Tpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tpm")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        for handle in std::mem::take(&mut self.open) {
            // Where flushing fails the chip is gone, and with it what it held.
            let _ = self.flush_within(handle, FLUSH_LIMIT);
        }
    }
}

/// A command to be sent.
pub(crate) struct Call<'a> {
    pub(crate) code: TpmCc,
    pub(crate) handles: &'a [&'a Handle],
    /// For the first handles, then sessions that only encrypt.
    pub(crate) auths: Vec<Auth<'a>>,
    pub(crate) parameters: Writer,
    /// Encrypt the first parameter of the command.
    pub(crate) hide_command: bool,
    /// Have the first parameter of the answer encrypted.
    pub(crate) hide_answer: bool,
    /// How many handles the answer holds.
    pub(crate) gives_handles: usize,
}

impl<'a> Call<'a> {
    pub(crate) fn new(code: TpmCc, handles: &'a [&'a Handle], parameters: Writer) -> Self {
        Self {
            code,
            handles,
            auths: Vec::new(),
            parameters,
            hide_command: false,
            hide_answer: false,
            gives_handles: 0,
        }
    }

    pub(crate) fn by(mut self, auth: Auth<'a>) -> Self {
        self.auths.push(auth);
        self
    }

    /// Adds a session that encrypts, where there is one.
    pub(crate) fn hidden_by(mut self, session: Option<&'a mut crate::Session>) -> Self {
        self.auths.extend(session.map(Auth::Encrypting));
        self
    }

    pub(crate) fn hiding(mut self, command: bool, answer: bool) -> Self {
        self.hide_command = command;
        self.hide_answer = answer;
        self
    }

    pub(crate) fn giving_handles(mut self, count: usize) -> Self {
        self.gives_handles = count;
        self
    }
}

/// A checked answer.
pub(crate) struct Given {
    pub(crate) handles: Vec<u32>,
    pub(crate) parameters: Zeroizing<Vec<u8>>,
}

impl Given {
    pub(crate) fn handle(&self) -> Result<u32, TpmError> {
        self.handles.first().copied().ok_or(TpmError::Malformed)
    }

    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader::new(&self.parameters)
    }
}

impl Tpm {
    pub(crate) fn new(transport: Box<dyn Transport>) -> Self {
        Self {
            transport,
            open: Vec::new(),
        }
    }

    /// Remembers what has to be flushed.
    pub(crate) fn opened(&mut self, handle: u32) {
        self.open.push(handle);
    }

    /// Ends an object or session now.
    pub fn flush(&mut self, handle: u32) -> Result<(), TpmError> {
        self.open.retain(|open| *open != handle);
        self.flush_within(handle, COMMAND_LIMIT)
    }

    fn flush_within(&mut self, handle: u32, limit: Duration) -> Result<(), TpmError> {
        let parameters = Writer::new().u32(handle);
        let bytes = frame(TpmCc::FlushContext, NO_SESSIONS, parameters)?;
        let answer = self.transport.exchange(&bytes, limit)?;
        match Answer::parse(&answer, 0, 0)?.code {
            0 => Ok(()),
            code => Err(refused(TpmCc::FlushContext, code)),
        }
    }

    /// `TPM2_Startup(CLEAR)`: a simulator's power switch; on a computer the firmware does it.
    pub fn startup(&mut self) -> Result<(), TpmError> {
        let parameters = Writer::new().u16(STARTUP_CLEAR);
        let bytes = frame(TpmCc::Startup, NO_SESSIONS, parameters)?;
        let answer = self.transport.exchange(&bytes, COMMAND_LIMIT)?;
        match Answer::parse(&answer, 0, 0)?.code {
            0 => Ok(()),
            code if Code::new(code).is(TpmRcBase::Initialize) => Ok(()),
            code => Err(refused(TpmCc::Startup, code)),
        }
    }

    /// Sends a command and checks its answer.
    pub(crate) fn run(&mut self, mut call: Call<'_>) -> Result<Given, TpmError> {
        let bytes = command(&mut call)?;
        let answer = self.exchange(call.code, &bytes)?;
        let answer = Answer::parse(&answer, call.gives_handles, call.auths.len())?;
        if answer.code != 0 {
            return Err(refused(call.code, answer.code));
        }
        let parameters = check(&mut call, &answer)?;
        Ok(Given {
            handles: answer.handles,
            parameters,
        })
    }

    /// Sends bytes until the chip has time for them.
    fn exchange(&mut self, code: TpmCc, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let limit = match code {
            TpmCc::Create | TpmCc::CreatePrimary => MAKE_LIMIT,
            _ => COMMAND_LIMIT,
        };
        let start = Instant::now();
        let mut pause = AGAIN_PAUSE;
        let mut started = false;
        loop {
            let answer = self.transport.exchange(bytes, limit)?;
            let response = Code::new(Answer::parse(&answer, 0, 0).map_or(0, |answer| answer.code));
            if response.is(TpmRcBase::Initialize) && !started {
                started = true;
                self.startup()?;
            } else if !response.asks_again() {
                return Ok(answer);
            } else if start.elapsed() >= AGAIN_MAX {
                return Err(TpmError::Busy(response));
            } else {
                thread::sleep(pause);
                pause = pause.saturating_mul(2).min(AGAIN_PAUSE_MAX);
            }
        }
    }
}

fn refused(command: TpmCc, code: u32) -> TpmError {
    TpmError::Refused {
        command,
        code: Code::new(code),
    }
}

/// The bytes of a command: header and body.
fn frame(code: TpmCc, tag: u16, body: Writer) -> Result<Zeroizing<Vec<u8>>, TpmError> {
    let length = body.as_bytes().len().saturating_add(HEADER_BYTES);
    Writer::new()
        .u16(tag)
        .u32(u32::try_from(length).map_err(|_| TpmError::TooLong)?)
        .u32(code as u32)
        .bytes(body.as_bytes())
        .finish()
}

/// Puts a command together: encrypts, hashes, proves.
fn command(call: &mut Call<'_>) -> Result<Zeroizing<Vec<u8>>, TpmError> {
    for auth in &mut call.auths {
        match auth {
            Auth::Hmac(session, _)
            | Auth::Policy(session, _)
            | Auth::Changing { session, .. }
            | Auth::Encrypting(session) => session.renew()?,
            Auth::Nothing | Auth::Password(_) => {}
        }
    }
    let mut parameters = Zeroizing::new(call.parameters.as_bytes().to_vec());
    let hides = hiding_session(&call.auths, call.hide_command || call.hide_answer)?;
    if call.hide_command
        && let Some((session, auth)) = hides.and_then(|at| keys_of(call.auths.get(at)?))
    {
        session.encrypt(auth, first_parameter(&mut parameters)?)?;
    }
    let mut body = Writer::new();
    for handle in call.handles {
        body = body.u32(handle.value);
    }
    if call.auths.is_empty() {
        return frame(call.code, NO_SESSIONS, body.bytes(&parameters));
    }
    let mut hashed = Writer::new().u32(call.code as u32);
    for handle in call.handles {
        hashed = hashed.bytes(handle.name.as_bytes());
    }
    let cp_hash = sha256(hashed.bytes(&parameters).as_bytes());
    let mut area = Writer::new();
    for (at, auth) in call.auths.iter().enumerate() {
        area = session_area(area, call, hides, at, auth, &cp_hash);
    }
    let length = u32::try_from(area.as_bytes().len()).map_err(|_| TpmError::TooLong)?;
    body = body.u32(length).bytes(area.as_bytes()).bytes(&parameters);
    frame(call.code, SESSIONS, body)
}

/// One `TPMS_AUTH_COMMAND`.
fn session_area(
    area: Writer,
    call: &Call<'_>,
    hides: Option<usize>,
    at: usize,
    auth: &Auth<'_>,
    cp_hash: &[u8],
) -> Writer {
    let password = match auth {
        Auth::Nothing => Some(&[][..]),
        Auth::Password(value) => Some(value.as_bytes()),
        _ => None,
    };
    if let Some(password) = password {
        return area.u32(PASSWORD_SESSION).sized(&[]).u8(0).sized(password);
    }
    let Some((session, value)) = keys_of(auth) else {
        return area;
    };
    let attributes = attributes(call, hides == Some(at));
    // Part 1, 19.6.5: the first session also vouches for the nonce of the one that encrypts.
    let other = hides
        .filter(|hiding| at == 0 && *hiding != 0)
        .and_then(|hiding| keys_of(call.auths.get(hiding)?))
        .map_or(&[][..], |(session, _)| &session.nonce_tpm);
    let area = area
        .u32(session.handle)
        .sized(&session.nonce_caller)
        .u8(attributes);
    if session.proves(value) {
        area.sized(&session.command_hmac(value, cp_hash, other, attributes))
    } else {
        area.sized(&[])
    }
}

fn attributes(call: &Call<'_>, hides: bool) -> u8 {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    attribute::CONTINUE
        | flag(hides && call.hide_command, attribute::DECRYPT)
        | flag(hides && call.hide_answer, attribute::ENCRYPT)
}

/// Checks every proof of an answer, then decrypts its first parameter.
fn check(call: &mut Call<'_>, answer: &Answer<'_>) -> Result<Zeroizing<Vec<u8>>, TpmError> {
    let mut parameters = Zeroizing::new(answer.parameters.to_vec());
    let hashed = Writer::new()
        .u32(answer.code)
        .u32(call.code as u32)
        .bytes(answer.parameters);
    let rp_hash = sha256(hashed.as_bytes());
    let hides = hiding_session(&call.auths, call.hide_answer)?;
    for (auth, answered) in call.auths.iter_mut().zip(&answer.sessions) {
        let (session, value) = match auth {
            Auth::Nothing | Auth::Password(_) => continue,
            Auth::Hmac(session, value) | Auth::Policy(session, Some(value)) => {
                (session, value.as_bytes())
            }
            Auth::Changing { session, new, .. } => (session, new.as_bytes()),
            Auth::Policy(session, None) | Auth::Encrypting(session) => (session, &[][..]),
        };
        if session.proves(value) {
            session.accept(value, &rp_hash, answered)?;
        } else {
            session.accept_unproved(answered)?;
        }
    }
    if call.hide_answer
        && let Some((session, auth)) = hides.and_then(|at| keys_of(call.auths.get(at)?))
    {
        session.decrypt(auth, first_parameter(&mut parameters)?)?;
    }
    Ok(parameters)
}

/// Which session encrypts: the last salted one.
fn hiding_session(auths: &[Auth<'_>], wanted: bool) -> Result<Option<usize>, TpmError> {
    if !wanted {
        return Ok(None);
    }
    let salted =
        |auth: &Auth<'_>| keys_of(auth).is_some_and(|(session, _)| !session.key.is_empty());
    // Without a salted session nothing would be hidden, and nobody would notice.
    auths
        .iter()
        .rposition(salted)
        .map(Some)
        .ok_or(TpmError::Crypto)
}

fn keys_of<'b>(auth: &'b Auth<'_>) -> Option<(&'b crate::Session, &'b [u8])> {
    match auth {
        Auth::Nothing | Auth::Password(_) => None,
        Auth::Hmac(session, value) | Auth::Policy(session, Some(value)) => {
            Some((session, value.as_bytes()))
        }
        Auth::Changing { session, old, .. } => Some((session, old.as_bytes())),
        Auth::Policy(session, None) | Auth::Encrypting(session) => Some((session, &[])),
    }
}

/// The body of the first parameter, which is a sized buffer in every command that hides one.
fn first_parameter(parameters: &mut [u8]) -> Result<&mut [u8], TpmError> {
    let (length, rest) = parameters
        .split_at_mut_checked(2)
        .ok_or(TpmError::Malformed)?;
    let length = Reader::new(length).u16()?;
    rest.get_mut(..usize::from(length))
        .ok_or(TpmError::Malformed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A chip that is busy for so many commands, and was not started before that.
    struct Busy {
        left: usize,
        code: u32,
        asked: Arc<AtomicUsize>,
    }

    impl Transport for Busy {
        fn exchange(
            &mut self,
            command: &[u8],
            _: Duration,
        ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let startup = command.get(6..10) == Some(&[0, 0, 1, 0x44]);
            let code = if self.left == 0 || startup {
                0
            } else {
                self.code
            };
            self.left = self.left.saturating_sub(1);
            Writer::new().u16(NO_SESSIONS).u32(10).u32(code).finish()
        }
    }

    fn ask(left: usize, code: u32) -> (Result<(), TpmError>, usize) {
        let asked = Arc::new(AtomicUsize::new(0));
        let chip = Busy {
            left,
            code,
            asked: Arc::clone(&asked),
        };
        let mut tpm = Tpm::new(Box::new(chip));
        let call = Call::new(TpmCc::SelfTest, &[], Writer::new());
        let result = tpm.run(call).map(drop);
        drop(tpm);
        (result, asked.load(Ordering::SeqCst))
    }

    #[test]
    fn a_busy_chip_is_asked_again_for_a_bounded_time() {
        for code in [0x922, 0x908, 0x90A, 0x902] {
            let (result, asked) = ask(3, code);
            assert!(result.is_ok(), "{code:x}");
            assert_eq!(asked, 4);
        }
        let (result, asked) = ask(usize::MAX, 0x922);
        assert!(matches!(result, Err(TpmError::Busy(_))));
        assert!(asked < 100, "{asked} times is no pause");
    }

    #[test]
    fn a_chip_that_was_not_started_is_started_once() {
        let (result, asked) = ask(1, 0x100);
        assert!(result.is_ok());
        assert_eq!(asked, 3);
        let (result, _) = ask(usize::MAX, 0x100);
        assert!(result.is_err_and(|error| error.is(TpmRcBase::Initialize)));
    }

    #[test]
    fn nothing_is_called_hidden_without_a_salted_session() {
        let (asked, code) = (Arc::new(AtomicUsize::new(0)), 0);
        let chip = Busy {
            left: 0,
            code,
            asked: Arc::clone(&asked),
        };
        let mut tpm = Tpm::new(Box::new(chip));
        let call = Call::new(TpmCc::StirRandom, &[], Writer::new().sized(b"secret"));
        let refused = tpm.run(call.hiding(true, false)).map(drop);
        assert!(matches!(refused, Err(TpmError::Crypto)));
        assert_eq!(asked.load(Ordering::SeqCst), 0, "nothing was sent");
    }
}
