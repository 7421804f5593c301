// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards in the readers of the PC/SC service.
//!
//! PC/SC has no time limits: a card that hangs hangs the call. So each connection lives on a
//! thread of its own, and the caller waits for it with a limit. A thread that is stuck is left
//! behind; it ends, and resets the card, when the service lets it go.

use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pcsc::{
    Card, Context, Disposition, Error, MAX_BUFFER_SIZE_EXTENDED, Protocol, Protocols,
    ReaderState as Look, Scope, ShareMode, State, Transaction,
};
use zeroize::{Zeroize, Zeroizing};

use crate::channel::{
    CardPath, Channel, Ending, Provider, ReaderId, ReaderState, Readers, Slotted,
};
use crate::fault::CardFault;

/// How long a card that broke off is watched, to tell a removed one from a broken one. The service
/// looks for cards every 400 ms.
const REMOVAL_WATCH_MILLIS: u64 = 1_200;
/// Most readers that the service has (16) with room to spare.
const READER_NAMES_BYTES: usize = 16 * 1024;

/// The PC/SC service of this computer. It may start, stop and restart while this value lives.
pub struct PcscProvider {
    looking: Service,
    /// A context of its own: the calls of one context wait for each other, and a wait is long.
    waiting: Service,
}

impl PcscProvider {
    /// Connects when it is first needed.
    #[must_use]
    pub fn new() -> Self {
        Self {
            looking: Service::default(),
            waiting: Service::default(),
        }
    }
}

/// A connection to the service, established anew when the service was restarted.
#[derive(Default)]
struct Service {
    context: Mutex<Option<Context>>,
}

impl Service {
    fn context(&self) -> Result<Context, Error> {
        let mut held = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = &*held {
            return Ok(context.clone());
        }
        let context = Context::establish(Scope::User)?;
        *held = Some(context.clone());
        Ok(context)
    }

    fn forget(&self) {
        *self.context.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Does something with the service, once more with a new context when the old one is void.
    fn run<T>(&self, work: impl Fn(&Context) -> Result<T, Error>) -> Result<T, CardFault> {
        let first = self.context().and_then(|context| work(&context));
        let again = match first {
            Err(error) if is_service_gone(error) => {
                self.forget();
                self.context().and_then(|context| work(&context))
            }
            other => other,
        };
        again.map_err(|error| {
            if is_service_gone(error) {
                self.forget();
            }
            fault(error)
        })
    }
}

impl Default for PcscProvider {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PcscProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PcscProvider")
    }
}

impl Provider for PcscProvider {
    fn path(&self) -> CardPath {
        CardPath::Pcsc
    }

    fn readers(&self) -> Result<Readers, CardFault> {
        self.looking.run(|context| {
            let mut looks: Vec<Look> = reader_names(context)?
                .into_iter()
                .map(|name| Look::new(name, State::UNAWARE))
                .collect();
            if looks.is_empty() {
                return Ok(Readers::new());
            }
            match context.get_status_change(Duration::ZERO, &mut looks) {
                // A reader that went away between the two calls: its state says so.
                Ok(()) | Err(Error::Timeout | Error::UnknownReader) => {}
                Err(error) => return Err(error),
            }
            Ok(looks.iter().filter_map(reader_state).collect())
        })
    }

    fn connect(&self, reader: &str, limit: Duration) -> Result<Box<dyn Channel>, CardFault> {
        let reader = CString::new(reader).map_err(|_| CardFault::NoReader)?;
        PcscChannel::connect(reader, limit).map(|channel| Box::new(channel) as _)
    }

    fn pause(&self, known: &[ReaderState], at_most: Duration) {
        let start = Instant::now();
        let waited = self.waiting.run(|context| {
            let mut looks = vec![Look::new(pcsc::PNP_NOTIFICATION(), State::UNAWARE)];
            for state in known {
                let Ok(name) = CString::new(state.id.name.as_str()) else {
                    continue;
                };
                looks.push(Look::new(name, State::UNAWARE));
            }
            // The first look takes in what is there now, the second one waits for a change.
            match context.get_status_change(Duration::ZERO, &mut looks) {
                Ok(()) | Err(Error::Timeout) => {}
                Err(error) => return Err(error),
            }
            let now: Readers = looks.iter().skip(1).filter_map(reader_state).collect();
            if now != known {
                return Ok(());
            }
            looks.iter_mut().for_each(Look::sync_current_state);
            match context.get_status_change(at_most, &mut looks) {
                Ok(()) | Err(Error::Timeout) => Ok(()),
                Err(error) => Err(error),
            }
        });
        if waited.is_err() {
            // The service is down, or a reader unknown by now: no busy loop.
            std::thread::sleep(at_most.saturating_sub(start.elapsed()).min(RETRY_PAUSE));
        }
    }
}

/// How long a wait rests when the service does not let it wait.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

fn reader_names(context: &Context) -> Result<Vec<CString>, Error> {
    let mut buffer = vec![0; READER_NAMES_BYTES];
    match context.list_readers(&mut buffer) {
        Ok(names) => Ok(names.map(CStr::to_owned).collect()),
        Err(Error::NoReadersAvailable) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn reader_state(look: &Look) -> Option<ReaderState> {
    let state = look.event_state();
    if state.intersects(State::UNKNOWN | State::IGNORE) {
        return None;
    }
    let slotted = if state.contains(State::MUTE) {
        Slotted::Mute
    } else if state.contains(State::PRESENT) {
        Slotted::Card
    } else {
        Slotted::Empty
    };
    let name = look.name().to_string_lossy().into_owned();
    let id = ReaderId {
        path: CardPath::Pcsc,
        name,
    };
    Some(ReaderState {
        id,
        slotted,
        events: u64::from(look.event_count()),
    })
}

/// What the connection's thread is asked to do.
enum Request {
    Begin,
    Transmit(Zeroizing<Vec<u8>>),
    End(Ending),
}

type Answer = Result<Zeroizing<Vec<u8>>, CardFault>;

/// The caller's end of a connection.
struct PcscChannel {
    requests: SyncSender<Request>,
    answers: Receiver<Answer>,
    atr: Vec<u8>,
    /// Set when a call took too long: the thread is stuck, and later answers would be to earlier
    /// questions.
    stuck: bool,
}

impl PcscChannel {
    fn connect(reader: CString, limit: Duration) -> Result<Self, CardFault> {
        let (requests, work) = mpsc::sync_channel(1);
        // One place: the thread never waits to give an answer that nobody collects.
        let (answer, answers) = mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("card".to_owned())
            .spawn(move || serve(&reader, &work, &answer))
            .map_err(|_| CardFault::NoService)?;
        let mut channel = Self {
            requests,
            answers,
            atr: Vec::new(),
            stuck: false,
        };
        channel.atr = channel.wait(limit, CardFault::CardMute)?.to_vec();
        Ok(channel)
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

impl Channel for PcscChannel {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn begin(&mut self, limit: Duration) -> Result<(), CardFault> {
        self.ask(Request::Begin, limit, CardFault::InUse)
            .map(|_| ())
    }

    fn transmit(&mut self, command: &[u8], limit: Duration) -> Answer {
        let command = Zeroizing::new(command.to_vec());
        self.ask(Request::Transmit(command), limit, CardFault::CardMute)
    }

    fn end(&mut self, ending: Ending) {
        let _ = self.ask(Request::End(ending), ENDING_LIMIT, CardFault::CardMute);
    }
}

/// How long the caller waits for the end of a transaction; the thread goes on without it.
const ENDING_LIMIT: Duration = Duration::from_secs(2);

/// The connection's thread: connects, then does what it is asked until nobody asks any more.
fn serve(reader: &CStr, work: &Receiver<Request>, answers: &SyncSender<Answer>) {
    // A context of its own: the calls of one context wait for each other.
    let connection = Context::establish(Scope::User).and_then(|context| {
        let card = context.connect(reader, ShareMode::Shared, Protocols::ANY)?;
        let status = card.status2_owned()?;
        Ok((context, card, status))
    });
    let (context, mut card, status) = match connection {
        Ok(connection) => connection,
        Err(error) => {
            let _ = answers.send(Err(fault(error)));
            return;
        }
    };
    let case_3_only = status.protocol2() == Some(Protocol::T0);
    if answers
        .send(Ok(Zeroizing::new(status.atr().to_vec())))
        .is_err()
    {
        return;
    }
    let mut ended = Ending::Leave;
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
        match begin(&mut card) {
            Ok(transaction) => {
                if answers.send(Ok(Zeroizing::default())).is_err() {
                    // The caller waited too long and has gone; nothing was sent to the card.
                    break;
                }
                let line = Line {
                    context: &context,
                    reader,
                    case_3_only,
                };
                ended = line.converse(transaction, work, answers);
            }
            Err(error) => {
                let _ = answers.send(Err(fault(error)));
            }
        }
    }
    let _ = card.disconnect(disposition(ended));
}

/// Begins a transaction; once more after reconnecting, when another program reset the card before.
fn begin(card: &mut Card) -> Result<Transaction<'_>, Error> {
    match card.transaction2() {
        Ok(transaction) => Ok(transaction),
        Err((card, Error::ResetCard)) => {
            card.reconnect(ShareMode::Shared, Protocols::ANY, Disposition::LeaveCard)?;
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
    ) -> Ending {
        let mut buffer = Zeroizing::new(vec![0; MAX_BUFFER_SIZE_EXTENDED]);
        let (ending, asked) = loop {
            match work.recv() {
                Ok(Request::Transmit(command)) => {
                    let answer = self.transmit(&transaction, &command, &mut buffer);
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
            drop(transaction);
        }
        if asked {
            let _ = answers.send(Ok(Zeroizing::default()));
        }
        ending
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
            Ok(answer) => Zeroizing::new(answer.to_vec()),
            Err(error) => return Err(self.broken(error)),
        };
        buffer.zeroize();
        Ok(answer)
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

fn is_service_gone(error: Error) -> bool {
    matches!(
        error,
        Error::NoService
            | Error::ServiceStopped
            | Error::InvalidHandle
            | Error::CommError
            | Error::InternalError
    )
}

fn fault(error: Error) -> CardFault {
    match error {
        Error::NoService | Error::ServiceStopped | Error::InvalidHandle => CardFault::NoService,
        Error::NoReadersAvailable | Error::UnknownReader => CardFault::NoReader,
        Error::NoSmartcard => CardFault::NoCard,
        Error::RemovedCard | Error::ReaderUnavailable => CardFault::Removed,
        Error::ResetCard => CardFault::Interrupted,
        Error::SharingViolation => CardFault::InUse,
        Error::Timeout
        | Error::UnresponsiveCard
        | Error::UnpoweredCard
        | Error::NotTransacted
        | Error::CommDataLost => CardFault::CardMute,
        Error::Cancelled => CardFault::Cancelled,
        error => {
            tracing::debug!(%error, "the smart-card service refused");
            CardFault::NoService
        }
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
