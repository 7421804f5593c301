// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way to one card, and the places where cards are found.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::fault::CardFault;

/// How long a card may take for an ordinary command before it counts as mute.
pub const EXCHANGE_SECS_MAX: u64 = 10;
/// How long a card may take to make a key; RSA on a slow chip needs tens of seconds.
pub const GENERATE_SECS_MAX: u64 = 120;

/// A connection to one card. Every call blocks, for at most the limit given.
pub trait Channel: Send {
    /// The card's answer to reset.
    fn atr(&self) -> &[u8];

    /// Starts to use the card alone; other programs wait.
    ///
    /// # Errors
    ///
    /// When the card is gone or another program does not let go.
    fn begin(&mut self, limit: Duration) -> Result<(), CardFault>;

    /// Sends one command APDU and gives the card's answer.
    ///
    /// # Errors
    ///
    /// When the card is gone or silent.
    fn transmit(
        &mut self,
        command: &[u8],
        limit: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, CardFault>;

    /// Asks the reader itself, not the card. A reader may ask a person in turn, hence takes long.
    ///
    /// # Errors
    ///
    /// [`CardFault::Unsupported`] when the reader does not know the question, or there is none.
    fn control(
        &mut self,
        control: Control,
        data: &[u8],
        limit: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, CardFault> {
        let _ = (control, data, limit);
        Err(CardFault::Unsupported)
    }

    /// Ends the exclusive use.
    fn end(&mut self, ending: Ending);
}

/// What a reader can be asked (PC/SC part 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Which features it has (CM_IOCTL_GET_FEATURE_REQUEST).
    Features,
    /// The feature with this code.
    Code(u32),
}

/// How the exclusive use of a card ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As it is; allowed only where nothing secret was verified.
    Leave,
    /// With a reset, so that no other program finds the PIN verified.
    Reset,
}

/// The ways to cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CardPath {
    /// Readers of the PC/SC service.
    Pcsc,
    /// Sockets of our own virtual cards.
    Socket,
    /// A PKCS #11 module.
    Pkcs11,
}

impl fmt::Display for CardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pcsc => "pcsc",
            Self::Socket => "socket",
            Self::Pkcs11 => "pkcs11",
        })
    }
}

/// The name of one reader (or of one virtual card's socket).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReaderId {
    /// Which way leads to it.
    pub path: CardPath,
    /// Its name there.
    pub name: String,
}

impl fmt::Display for ReaderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What is in a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slotted {
    /// Nothing.
    Empty,
    /// A card.
    Card,
    /// A card that does not answer.
    Mute,
}

/// One reader, seen at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderState {
    /// Which reader.
    pub id: ReaderId,
    /// What is in it.
    pub slotted: Slotted,
    /// A number that changes with every insertion and removal, so that a card that was pulled and
    /// put back between two looks is noticed.
    pub events: u64,
}

/// All readers of a provider, or of all providers, seen at one moment.
pub type Readers = Vec<ReaderState>;

/// A place where cards are found.
pub trait Provider: Send + Sync + fmt::Debug {
    /// Which way this is.
    fn path(&self) -> CardPath;

    /// The readers and what is in them.
    ///
    /// # Errors
    ///
    /// When the place is out of service. No reader is no error here.
    fn readers(&self) -> Result<Readers, CardFault>;

    /// Connects to the card in a reader.
    ///
    /// # Errors
    ///
    /// When there is no card, or it does not answer within the limit.
    fn connect(&self, reader: &str, limit: Duration) -> Result<Box<dyn Channel>, CardFault>;

    /// Returns when something changed against what is known, or after this time at the latest.
    /// It may return early without reason.
    fn pause(&self, known: &[ReaderState], at_most: Duration);
}

/// Ends a wait from another thread.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Not cancelled yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels; waits end within half a second.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// True once cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
