// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection to one card, on a thread of its own.

use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use pcsc::{
    Card, Context, Disposition, Error, MAX_BUFFER_SIZE_EXTENDED, Protocols, ReaderState as Look,
    Scope, ShareMode, State, Transaction,
};
use zeroize::{Zeroize, Zeroizing};

use super::fault::fault;
use crate::channel::{Channel, Control, Ending};
use crate::fault::CardFault;

/// How long a card that broke off is watched, to tell a removed one from a broken one. The service
/// looks for cards every 400 ms.
const REMOVAL_WATCH_MILLIS: u64 = 1_200;
/// How the names of our own driver's readers begin.
#[cfg(target_os = "linux")]
const OUR_READERS: &[u8] = b"Lanyard";
/// Asks a reader of ours whose card lies in the slot: four bytes, big-endian.
#[cfg(target_os = "linux")]
const CONTROL_OWNER: u32 = 0x4233_4C59;
/// What the connection's thread is asked to do.
enum Request {
    Begin,
    Transmit(Zeroizing<Vec<u8>>),
    Control(u32, Zeroizing<Vec<u8>>),
    End(Ending),
}

type Answer = Result<Zeroizing<Vec<u8>>, CardFault>;

/// The caller's end of a connection.
pub(super) struct Connection {
    requests: SyncSender<Request>,
    answers: Receiver<Answer>,
    atr: Vec<u8>,
    /// Set when a call took too long: the thread is stuck, and later answers would be to earlier
    /// questions.
    stuck: bool,
    thread: Weak<Thread>,
}

/// What is known about a connection's thread; it lives as long as the thread.
struct Thread {
    reader: CString,
    /// The card did not answer, and the thread waits for it still.
    waits: AtomicBool,
}

/// The threads that wait for a card that does not answer.
#[derive(Default)]
pub(super) struct Silent(Mutex<Vec<Weak<Thread>>>);

impl Silent {
    /// True while a thread waits for the card in this reader.
    pub(super) fn contains(&self, reader: &CStr) -> bool {
        let waits = |thread: Arc<Thread>| {
            thread.reader.as_c_str() == reader && thread.waits.load(Ordering::Acquire)
        };
        self.threads().iter().filter_map(Weak::upgrade).any(waits)
    }

    fn add(&self, thread: &Arc<Thread>) {
        let mut threads = self.threads();
        threads.retain(|thread| thread.strong_count() > 0);
        threads.push(Arc::downgrade(thread));
    }

    fn threads(&self) -> MutexGuard<'_, Vec<Weak<Thread>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Connects to the card in this reader.
    pub(super) fn open(
        reader: CString,
        limit: Duration,
        silent: &Silent,
    ) -> Result<Self, CardFault> {
        let (requests, work) = mpsc::sync_channel(1);
        // One place: the thread never waits to give an answer that nobody collects.
        let (answer, answers) = mpsc::sync_channel(1);
        let thread = Arc::new(Thread {
            reader,
            waits: AtomicBool::new(false),
        });
        silent.add(&thread);
        let watched = Arc::downgrade(&thread);
        std::thread::Builder::new()
            .name("card".to_owned())
            .spawn(move || serve(&thread.reader, &work, &answer))
            .map_err(|_| CardFault::NoService)?;
        let mut connection = Self {
            requests,
            answers,
            atr: Vec::new(),
            stuck: false,
            thread: watched,
        };
        connection.atr = connection.wait(limit, CardFault::CardMute)?.to_vec();
        Ok(connection)
    }

    fn ask(&mut self, request: Request, limit: Duration, late: CardFault) -> Answer {
        if self.stuck {
            return Err(late);
        }
        self.requests
            .send(request)
            .map_err(|_| CardFault::Removed)?;
        self.wait(limit, late)
    }

    fn wait(&mut self, limit: Duration, late: CardFault) -> Answer {
        match self.answers.recv_timeout(limit) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                self.stuck = true;
                Err(late)
            }
            Err(RecvTimeoutError::Disconnected) => Err(CardFault::Removed),
        }
    }
}

impl Channel for Connection {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn begin(&mut self, limit: Duration) -> Result<(), CardFault> {
        self.ask(Request::Begin, limit, CardFault::InUse)
            .map(|_| ())
    }

    fn transmit(&mut self, command: &[u8], limit: Duration) -> Answer {
        let command = Zeroizing::new(command.to_vec());
        let answer = self.ask(Request::Transmit(command), limit, CardFault::CardMute);
        if self.stuck
            && let Some(thread) = self.thread.upgrade()
        {
            thread.waits.store(true, Ordering::Release);
        }
        answer
    }

    fn control(&mut self, control: Control, data: &[u8], limit: Duration) -> Answer {
        let code = match control {
            Control::Features => feature_request(),
            Control::Code(code) => code,
        };
        let data = Zeroizing::new(data.to_vec());
        self.ask(Request::Control(code, data), limit, CardFault::CardMute)
    }

    fn end(&mut self, ending: Ending) {
        let _ = self.ask(Request::End(ending), ENDING_LIMIT, CardFault::CardMute);
    }
}

/// The control code of CM_IOCTL_GET_FEATURE_REQUEST, which each system builds in its own way.
fn feature_request() -> u32 {
    /// PC/SC part 10, 2.2.
    const FEATURE_REQUEST: u32 = 3400;
    u32::try_from(pcsc::ctl_code(FEATURE_REQUEST.into())).unwrap_or(FEATURE_REQUEST)
}

/// How long the caller waits for the end of a transaction; the thread goes on without it.
const ENDING_LIMIT: Duration = Duration::from_secs(2);

/// The connection's thread: connects, then does what it is asked until nobody asks any more.
fn serve(reader: &CStr, work: &Receiver<Request>, answers: &SyncSender<Answer>) {
    // A context of its own: the calls of one context wait for each other.
    let connection = Context::establish(Scope::User).and_then(|context| {
        let (card, protocol) = connect(&context, reader)?;
        // Asking the card's own status would wait for a program that holds it.
        let mut looks = [Look::new(reader, State::UNAWARE)];
        context.get_status_change(Duration::ZERO, &mut looks)?;
        let [look] = looks;
        Ok((context, card, protocol, look.atr().to_vec()))
    });
    let (context, mut card, protocol, atr) = match connection {
        Ok(connection) => connection,
        Err(error) => {
            let _ = answers.send(Err(fault(error)));
            return;
        }
    };
    if is_another_users(&card, reader) {
        let _ = answers.send(Err(CardFault::ForeignCard));
        return;
    }
    if answers.send(Ok(Zeroizing::new(atr))).is_err() {
        return;
    }
    while let Ok(request) = work.recv() {
        if !matches!(request, Request::Begin) {
            // Nothing begun: nothing to send, and an end is no error.
            let outcome = match request {
                Request::End(_) => Ok(Zeroizing::default()),
                _ => Err(CardFault::Interrupted),
            };
            if answers.send(outcome).is_err() {
                break;
            }
            continue;
        }
        match begin(&mut card, protocol) {
            Ok(transaction) => {
                if answers.send(Ok(Zeroizing::default())).is_err() {
                    // The caller waited too long and has gone; nothing was sent to the card.
                    break;
                }
                let line = Line {
                    context: &context,
                    reader,
                    case_3_only: protocol == Protocols::T0,
                };
                line.converse(transaction, work, answers);
            }
            Err(error) => {
                let _ = answers.send(Err(fault(error)));
            }
        }
    }
    // Every transaction has ended the way it should; a second reset would hit the next program.
    let _ = card.disconnect(Disposition::LeaveCard);
}

/// Whether the card is another user's. Readers of our own driver tell whose card lies in them: a
/// reader that several people share could show a card that looks like this person's and is handed
/// the PIN.
#[cfg(target_os = "linux")]
fn is_another_users(card: &Card, reader: &CStr) -> bool {
    if !reader.to_bytes().starts_with(OUR_READERS) {
        return false;
    }
    let mut buffer = [0; 4];
    match card.control(CONTROL_OWNER.into(), &[], &mut buffer) {
        Ok([a, b, c, d]) => {
            u32::from_be_bytes([*a, *b, *c, *d]) != rustix::process::geteuid().as_raw()
        }
        // Another maker's reader of that name.
        _ => false,
    }
}

#[cfg(not(target_os = "linux"))]
fn is_another_users(_card: &Card, _reader: &CStr) -> bool {
    false
}

/// Connects with T=1 where the card speaks it, else with T=0, and tells which.
fn connect(context: &Context, reader: &CStr) -> Result<(Card, Protocols), Error> {
    let with = |protocol| {
        context
            .connect(reader, ShareMode::Shared, protocol)
            .map(|card| (card, protocol))
    };
    match with(Protocols::T1) {
        Err(Error::ProtoMismatch) => with(Protocols::T0),
        other => other,
    }
}

/// Begins a transaction; once more after reconnecting, when another program reset the card before.
fn begin(card: &mut Card, protocol: Protocols) -> Result<Transaction<'_>, Error> {
    match card.transaction2() {
        Ok(transaction) => Ok(transaction),
        Err((card, Error::ResetCard)) => {
            card.reconnect(ShareMode::Shared, protocol, Disposition::LeaveCard)?;
            card.transaction()
        }
        Err((_, error)) => Err(error),
    }
}

fn disposition(ending: Ending) -> Disposition {
    match ending {
        Ending::Leave => Disposition::LeaveCard,
        Ending::Reset => Disposition::ResetCard,
    }
}

struct Line<'a> {
    context: &'a Context,
    reader: &'a CStr,
    case_3_only: bool,
}

impl Line<'_> {
    /// Answers requests until the transaction ends, by request or because the caller is gone; then
    /// the card is reset, for nobody knows what was verified.
    fn converse(
        &self,
        transaction: Transaction<'_>,
        work: &Receiver<Request>,
        answers: &SyncSender<Answer>,
    ) {
        let mut buffer = Zeroizing::new(vec![0; MAX_BUFFER_SIZE_EXTENDED]);
        let (ending, asked) = loop {
            match work.recv() {
                Ok(Request::Transmit(command)) => {
                    let answer = self.transmit(&transaction, &command, &mut buffer);
                    if answers.send(answer).is_err() {
                        break (Ending::Reset, false);
                    }
                }
                Ok(Request::Control(code, data)) => {
                    let answer = self.control(&transaction, code, &data, &mut buffer);
                    if answers.send(answer).is_err() {
                        break (Ending::Reset, false);
                    }
                }
                Ok(Request::Begin) => {
                    if answers.send(Ok(Zeroizing::default())).is_err() {
                        break (Ending::Reset, false);
                    }
                }
                Ok(Request::End(ending)) => break (ending, true),
                Err(_) => break (Ending::Reset, false),
            }
        };
        if let Err((transaction, error)) = transaction.end(disposition(ending)) {
            tracing::debug!(%error, "the end of a card transaction failed");
            // Once more by dropping it. The service itself forgets a client that breaks off.
            drop(transaction);
        }
        if asked {
            let _ = answers.send(Ok(Zeroizing::default()));
        }
    }

    fn transmit(
        &self,
        transaction: &Transaction<'_>,
        command: &[u8],
        buffer: &mut [u8],
    ) -> Result<Zeroizing<Vec<u8>>, CardFault> {
        let command = if self.case_3_only {
            without_expected(command)
        } else {
            command
        };
        let answer = match transaction.transmit(command, buffer) {
            // A reader whose card breaks off in the middle may give an answer without a status.
            Ok([] | [_]) => return Err(self.broken(Error::NotTransacted)),
            Ok(answer) => Zeroizing::new(answer.to_vec()),
            Err(error) => return Err(self.broken(error)),
        };
        buffer.zeroize();
        Ok(answer)
    }

    fn control(
        &self,
        transaction: &Transaction<'_>,
        code: u32,
        data: &[u8],
        buffer: &mut [u8],
    ) -> Result<Zeroizing<Vec<u8>>, CardFault> {
        match transaction.control(code.into(), data, buffer) {
            Ok(answer) => Ok(Zeroizing::new(answer.to_vec())),
            Err(Error::ResetCard) => Err(CardFault::Interrupted),
            // Drivers refuse what they do not know in many ways; a card that was pulled meanwhile
            // is told apart by looking.
            Err(error) => {
                tracing::debug!(%error, "the reader refused");
                Err(if self.is_present() {
                    CardFault::Unsupported
                } else {
                    CardFault::Removed
                })
            }
        }
    }

    fn is_present(&self) -> bool {
        let mut looks = [Look::new(self.reader, State::UNAWARE)];
        let looked = self.context.get_status_change(Duration::ZERO, &mut looks);
        let [look] = &looks;
        looked.is_ok() && look.event_state().contains(State::PRESENT)
    }

    /// A card that is pulled in the middle of a command gives all kinds of errors; the service
    /// notices the removal a little later.
    fn broken(&self, error: Error) -> CardFault {
        if !matches!(
            error,
            Error::NotTransacted
                | Error::CommError
                | Error::InternalError
                | Error::CommDataLost
                | Error::UnresponsiveCard
                | Error::UnpoweredCard
        ) {
            return fault(error);
        }
        let deadline = Instant::now().checked_add(Duration::from_millis(REMOVAL_WATCH_MILLIS));
        let mut looks = [Look::new(self.reader, State::UNAWARE)];
        while self
            .context
            .get_status_change(Duration::ZERO, &mut looks)
            .is_ok()
        {
            let [look] = &looks;
            if !look.event_state().contains(State::PRESENT) {
                return CardFault::Removed;
            }
            if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        CardFault::CardMute
    }
}

/// T=0 knows no command with both data and expected length; the answer is fetched afterwards.
fn without_expected(command: &[u8]) -> &[u8] {
    match command {
        [_, _, _, _, length, rest @ ..]
            if rest.len() == usize::from(*length).wrapping_add(1) && *length > 0 =>
        {
            command.split_last().map_or(command, |(_, shorter)| shorter)
        }
        _ => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_case_4_command_loses_its_expected_length() {
        assert_eq!(
            without_expected(&[0, 0xA4, 4, 0, 1, 9, 0]),
            [0, 0xA4, 4, 0, 1, 9]
        );
        assert_eq!(
            without_expected(&[0, 0xA4, 4, 0, 1, 9]),
            [0, 0xA4, 4, 0, 1, 9]
        );
        assert_eq!(without_expected(&[0, 0xC0, 0, 0, 0]), [0, 0xC0, 0, 0, 0]);
    }
}
