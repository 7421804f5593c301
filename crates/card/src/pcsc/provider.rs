// SPDX-License-Identifier: MIT OR Apache-2.0
//! The readers of the service.

use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pcsc::{Context, Error, ReaderState as Look, Scope, State};

use super::connection::{Connection, Silent};
use super::fault::{fault, is_service_gone};
use crate::channel::{CardPath, Channel, Provider, ReaderId, ReaderState, Readers, Slotted};
use crate::fault::CardFault;

/// Most readers that the service has (16) with room to spare.
const READER_NAMES_BYTES: usize = 16 * 1024;

/// The PC/SC service of this computer. It may start, stop and restart while this value lives.
pub struct PcscProvider {
    looking: Service,
    /// A context of its own: the calls of one context wait for each other, and a wait is long.
    waiting: Service,
    silent: Silent,
}

impl PcscProvider {
    /// Connects when it is first needed.
    #[must_use]
    pub fn new() -> Self {
        Self {
            looking: Service::default(),
            waiting: Service::default(),
            silent: Silent::default(),
        }
    }
}

impl PcscProvider {
    fn is_in_use(&self, reader: &CStr) -> bool {
        let state = self.looking.run(|context| {
            let mut looks = [Look::new(reader, State::UNAWARE)];
            context.get_status_change(Duration::ZERO, &mut looks)?;
            let [look] = looks;
            Ok(look.event_state())
        });
        state.is_ok_and(|state| state.intersects(State::INUSE | State::EXCLUSIVE))
    }
}

/// A connection to the service, established anew when the service was restarted.
#[derive(Default)]
struct Service {
    context: Mutex<Option<Context>>,
    /// How often the service was lost: a new one counts events from nothing again.
    lost: AtomicU32,
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

    fn lost(&self) -> u32 {
        self.lost.load(Ordering::Acquire)
    }

    fn forget(&self) {
        self.lost.fetch_add(1, Ordering::AcqRel);
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
            let lost = self.looking.lost();
            let state = |look| reader_state(look, lost);
            Ok(looks.iter().filter_map(state).collect())
        })
    }

    fn connect(&self, reader: &str, limit: Duration) -> Result<Box<dyn Channel>, CardFault> {
        let reader = CString::new(reader).map_err(|_| CardFault::NoReader)?;
        let connected = Connection::open(reader.clone(), limit, &self.silent);
        if let Err(CardFault::CardMute) = connected
            && !self.silent.contains(&reader)
            && self.is_in_use(&reader)
        {
            // The service lets nobody connect while another program has a transaction.
            return Err(CardFault::InUse);
        }
        connected.map(|connection| Box::new(connection) as _)
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
            let lost = self.looking.lost();
            let state = |look| reader_state(look, lost);
            let now: Readers = looks.iter().skip(1).filter_map(state).collect();
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

fn reader_state(look: &Look, lost: u32) -> Option<ReaderState> {
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
        events: (u64::from(lost) << 32) | u64::from(look.event_count()),
    })
}
