// SPDX-License-Identifier: MIT OR Apache-2.0
//! One slot: the card in it, and what pcscd has noticed of its coming and going.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::line::{Control, FRAME_BYTES_MAX, Patience, ask, tell};
use super::{CardError, locked};

/// For a command: a card that works says so every second.
const COMMAND: Patience = Patience {
    silence: Duration::from_secs(10),
    // Longer than any chip takes for an RSA key.
    whole: Duration::from_secs(180),
};
/// For the ATR, which takes no work.
const ATR: Patience = Patience {
    silence: Duration::from_secs(3),
    whole: Duration::from_secs(3),
};
/// pcscd writes into its state of the slot after a failed start of a card, and would overwrite that
/// the card has gone: so it is told a little later.
const SETTLING: Duration = Duration::from_millis(250);
/// ISO/IEC 7816-3: TS, T0 and at most 31 more.
const ATR_BYTES_MAX: usize = 33;
const ATR_BYTES_MIN: usize = 2;
/// Class, instruction and two parameters. Shorter ones would be taken for controls.
const COMMAND_BYTES_MIN: usize = 4;
/// "Wrong length" (ISO/IEC 7816-4, 5.6).
const WRONG_LENGTH: [u8; 2] = [0x67, 0x00];

/// A slot of a reader.
#[derive(Debug)]
pub struct Slot {
    state: Mutex<State>,
    changed: Condvar,
    /// Held through a whole question and answer.
    talking: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    card: Option<Card>,
    /// Grows with each coming and going.
    changes: u64,
    /// What of it the service's watching thread was woken for.
    told: u64,
    gap: Gap,
    woken: bool,
    /// Calls that switch the card on or reset it, at the moment.
    starting: u32,
    /// When such a call has failed.
    failed: Option<Instant>,
}

impl State {
    /// The card, as pcscd shall see it.
    fn shown(&self) -> Option<&Card> {
        self.card.as_ref().filter(|_| self.gap == Gap::Seen)
    }

    /// The card, when it can be asked something.
    fn usable(&self) -> Option<&Card> {
        self.shown().filter(|card| !card.gone)
    }

    /// How long a card that has gone must still be shown; `None` while nobody can say.
    fn settles_in(&self) -> Option<Duration> {
        if self.starting > 0 {
            return None;
        }
        let since = self.failed.map_or(SETTLING, |failed| failed.elapsed());
        Some(SETTLING.saturating_sub(since))
    }

    fn take_out(&mut self) {
        self.card = None;
        self.gap = Gap::New;
        self.changes = self.changes.wrapping_add(1);
    }
}

/// A card that goes and another that comes before pcscd has looked would be one card to it, with
/// what was verified on the first. So the second stays hidden until the gap was seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// Nothing is hidden.
    #[default]
    Seen,
    /// A card went; the watching thread has not been woken yet.
    New,
    /// It was woken and is about to look.
    Told,
}

#[derive(Debug, Clone)]
struct Card {
    stream: Arc<UnixStream>,
    uid: u32,
    atr: Vec<u8>,
    /// It has gone, and pcscd is told so soon.
    gone: bool,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            talking: Mutex::new(()),
        }
    }

    /// Whether a card is there, as pcscd shall see it. Asks nobody.
    pub fn is_present(&self) -> bool {
        locked(&self.state).shown().is_some()
    }

    /// Whether a new card has room.
    pub(super) fn is_free(&self) -> bool {
        locked(&self.state).card.is_none()
    }

    /// Whose card is there.
    pub fn owner(&self) -> Option<u32> {
        locked(&self.state).usable().map(|card| card.uid)
    }

    /// The connection to the card, until it has gone.
    pub(super) fn stream(&self) -> Option<Arc<UnixStream>> {
        let state = locked(&self.state);
        let card = state.card.as_ref().filter(|card| !card.gone)?;
        Some(Arc::clone(&card.stream))
    }

    /// A card of this user comes.
    pub(super) fn insert(&self, stream: Arc<UnixStream>, uid: u32) {
        let mut state = locked(&self.state);
        state.card = Some(Card {
            stream,
            uid,
            atr: Vec::new(),
            gone: false,
        });
        state.failed = None;
        state.changes = state.changes.wrapping_add(1);
        self.changed.notify_all();
    }

    /// This card goes; another one that came meanwhile stays.
    pub(super) fn remove(&self, gone: &Arc<UnixStream>) {
        let mut state = locked(&self.state);
        let settled = state.settles_in() == Some(Duration::ZERO);
        if let Some(card) = state.card.as_mut()
            && Arc::ptr_eq(&card.stream, gone)
        {
            card.gone = true;
            if settled {
                state.take_out();
            }
            self.changed.notify_all();
        }
        drop(state);
        // Ends whoever waits for its answer, and tells the card that it is out.
        let _ = gone.shutdown(Shutdown::Both);
    }

    /// Whatever card is there goes, at once.
    pub(super) fn clear(&self) {
        let mut state = locked(&self.state);
        if let Some(card) = &state.card {
            let _ = card.stream.shutdown(Shutdown::Both);
            state.take_out();
            self.changed.notify_all();
        }
    }

    /// Waits until a card comes or goes, for pcscd's watching thread. Returns at once when that has
    /// happened since the last time.
    pub fn wait_for_change(&self, limit: Duration) {
        let now = Instant::now();
        let end = now.checked_add(limit).unwrap_or(now);
        let mut state = locked(&self.state);
        if state.gap == Gap::Told {
            // It has looked since it was told. A card that waited may be seen now.
            state.gap = Gap::Seen;
            if state.card.is_some() {
                state.changes = state.changes.wrapping_add(1);
            }
        }
        loop {
            let mut left = end.saturating_duration_since(Instant::now());
            if state.card.as_ref().is_some_and(|card| card.gone) {
                match state.settles_in() {
                    Some(Duration::ZERO) => state.take_out(),
                    Some(settles) => left = left.min(settles),
                    None => {}
                }
            }
            if state.changes != state.told || state.woken {
                break;
            }
            if left.is_zero() {
                return;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.woken = false;
        state.told = state.changes;
        if state.gap == Gap::New {
            state.gap = Gap::Told;
        }
    }

    /// Ends the wait of [`Slot::wait_for_change`], or the next one.
    pub fn wake(&self) {
        locked(&self.state).woken = true;
        self.changed.notify_all();
    }

    /// Switches the card on and gives its ATR.
    pub fn power_on(&self) -> Result<Vec<u8>, CardError> {
        self.start(Control::On)
    }

    /// Resets the card and gives its ATR.
    pub fn reset(&self) -> Result<Vec<u8>, CardError> {
        self.start(Control::Reset)
    }

    fn start(&self, how: Control) -> Result<Vec<u8>, CardError> {
        let count = |state: &mut State| state.starting = state.starting.saturating_add(1);
        count(&mut locked(&self.state));
        let started = self.start_card(how);
        let mut state = locked(&self.state);
        state.starting = state.starting.saturating_sub(1);
        if started.is_err() {
            state.failed = Some(Instant::now());
        }
        self.changed.notify_all();
        started
    }

    fn start_card(&self, how: Control) -> Result<Vec<u8>, CardError> {
        let atr = self.talk(|stream| {
            tell(stream, how)?;
            let atr = ask(stream, &[Control::SendAtr as u8], ATR)?;
            if (ATR_BYTES_MIN..=ATR_BYTES_MAX).contains(&atr.len()) {
                Ok(atr)
            } else {
                Err(io::ErrorKind::InvalidData.into())
            }
        })?;
        if let Some(card) = locked(&self.state).card.as_mut() {
            card.atr.clone_from(&atr);
        }
        Ok(atr.to_vec())
    }

    /// Switches the card off. An empty slot is off.
    pub fn power_off(&self) {
        let _ = self.talk(|stream| tell(stream, Control::Off));
    }

    /// The ATR of the card as it was last switched on.
    pub fn atr(&self) -> Option<Vec<u8>> {
        let state = locked(&self.state);
        let card = state.usable()?;
        (!card.atr.is_empty()).then(|| card.atr.clone())
    }

    /// Hands a command to the card and gives its answer.
    pub fn transmit(&self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, CardError> {
        if !(COMMAND_BYTES_MIN..=FRAME_BYTES_MAX).contains(&command.len()) {
            return Ok(Zeroizing::new(WRONG_LENGTH.to_vec()));
        }
        self.talk(|stream| ask(stream, command, COMMAND))
    }

    /// One thing with the card, alone. A card that fails in it is taken out: its next words might
    /// be the answer to the last question.
    fn talk<T>(&self, how: impl FnOnce(&UnixStream) -> io::Result<T>) -> Result<T, CardError> {
        let _alone = locked(&self.talking);
        let stream = {
            let state = locked(&self.state);
            let card = state.usable().ok_or(CardError::Absent)?;
            Arc::clone(&card.stream)
        };
        how(&stream).map_err(|error| {
            self.remove(&stream);
            match error.kind() {
                io::ErrorKind::TimedOut => CardError::Mute,
                _ => CardError::Broken(error),
            }
        })
    }
}
