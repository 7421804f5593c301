// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes into the sign-in machine, and what comes out of it.

use std::fmt;
use std::sync::Arc;

use lanyard_card::piv::{NewPin, Pin};
use lanyard_card::{CardFault, PinEntry};

use crate::cards::{CardFacts, card_problem};
use crate::net::{HttpAnswer, HttpRequest, NetFault, SrvRecord};
use crate::problem::Problem;
use crate::session::Credential;
use crate::view::{LeftOut, Stage};

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// The answer to [`Output::Http`].
    Http {
        /// Its number.
        id: u64,
        /// The answer.
        answer: Result<HttpAnswer, NetFault>,
    },
    /// The answer to [`Output::Srv`].
    Srv {
        /// Its number.
        id: u64,
        /// The records.
        answer: Result<Vec<SrvRecord>, NetFault>,
    },
    /// The cards as they are now.
    Cards(CardsSeen),
    /// The person goes on with the card that was detected.
    UseCard,
    /// The person chose among several cards; counted from one.
    ChooseCard(usize),
    /// The answer to [`Output::CardExchange`].
    CardAnswer(Result<HttpAnswer, CardTrouble>),
    /// The answer to [`Output::ChangePin`].
    PinChanged(Result<(), CardFault>),
    /// The server's registrar wants a certificate of this service.
    StsUri(String),
    /// The registrar could not be asked.
    SipFailed(Problem),
}

/// What is to be done.
pub enum Output {
    /// Send this request over a connection without a client certificate.
    Http {
        /// Comes back with the answer.
        id: u64,
        /// The request.
        request: HttpRequest,
    },
    /// Ask for these SRV records.
    Srv {
        /// Comes back with the answer.
        id: u64,
        /// The name.
        name: String,
    },
    /// List the cards now and after every change.
    WatchCards,
    /// The cards do not matter any more.
    StopWatching,
    /// Send this request with the card's certificate; the PIN is for one VERIFY.
    CardExchange {
        /// Which card.
        card: Box<CardFacts>,
        /// The PIN, or where it is typed.
        pin: PinEntry,
        /// The person agreed to use the last try.
        last_try: bool,
        /// The request.
        request: HttpRequest,
    },
    /// Change the card's PIN.
    ChangePin {
        /// Which card.
        card: Box<CardFacts>,
        /// The PIN as it is.
        old: Pin,
        /// The new one.
        new: NewPin,
        /// The person agreed to use the last try.
        last_try: bool,
    },
    /// Connect to the registrar here; it will name its certificate service.
    Sip {
        /// Host.
        host: String,
        /// Port.
        port: u16,
    },
    /// The display changed.
    Show(Stage),
    /// The certificate that the registrar wants. The machine has done its work.
    Credential(Arc<Credential>),
    /// It did not work. The machine has ended.
    Failed(Problem),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { id, request } => write!(f, "Http({id}, {request:?})"),
            Self::Srv { id, name } => write!(f, "Srv({id}, {name})"),
            Self::WatchCards => f.write_str("WatchCards"),
            Self::StopWatching => f.write_str("StopWatching"),
            Self::CardExchange { request, .. } => write!(f, "CardExchange({request:?}, ..)"),
            Self::ChangePin { .. } => f.write_str("ChangePin(..)"),
            Self::Sip { host, port } => write!(f, "Sip({host}:{port})"),
            Self::Show(stage) => write!(f, "Show({stage:?})"),
            Self::Credential(_) => f.write_str("Credential(..)"),
            Self::Failed(problem) => write!(f, "Failed({problem})"),
        }
    }
}

/// What was found in the readers.
#[derive(Debug, Clone, Default)]
pub struct CardsSeen {
    /// Readers for cards that are inserted, by name.
    pub readers: Vec<String>,
    /// The cards that answered.
    pub cards: Vec<CardFacts>,
    /// Cards that did not, with the reason.
    pub mute: Vec<LeftOut>,
    /// Why PC/SC is of no use, where it is wanted.
    pub pcsc_fault: Option<CardFault>,
}

/// Why an exchange with the card did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardTrouble {
    /// The card.
    Card(CardFault),
    /// The network or the server.
    Net(NetFault),
}

impl CardTrouble {
    pub(crate) fn problem(self, host: &str) -> Problem {
        match self {
            Self::Card(fault) => card_problem(fault),
            Self::Net(fault) => fault.problem(host),
        }
    }
}
