// SPDX-License-Identifier: MIT OR Apache-2.0
//! All cards of this computer, whichever way leads to them.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lanyard_piv::{Guid, Pin, Slot};

use crate::channel::{Cancel, CardPath, Ending, Provider, ReaderId, ReaderState, Readers, Slotted};
use crate::fault::CardFault;
use crate::listing::{CardKind, CardSummary, Listing, ReaderSummary};
use crate::make::Recognised;
use crate::pkcs11::{Pkcs11Settings, TokenCertificate, TokenSession, Tokens};
use crate::scheme::Scheme;
use crate::session::{CardSession, LastTry, default_exchange_limit};
use crate::socket::{SocketProvider, default_socket_directory};

/// How often a wait looks at what cannot be waited for.
pub const WAIT_SLICE_MILLIS: u64 = 500;

/// Which ways to cards are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CardWay {
    /// PC/SC and sockets; a card that is seen both ways is used through PC/SC.
    #[default]
    Auto,
    /// PC/SC alone.
    Pcsc,
    /// The sockets of our own virtual cards alone.
    Socket,
}

impl std::str::FromStr for CardWay {
    type Err = CardWayError;

    fn from_str(text: &str) -> Result<Self, CardWayError> {
        match text {
            "auto" => Ok(Self::Auto),
            "pcsc" => Ok(Self::Pcsc),
            "socket" => Ok(Self::Socket),
            _ => Err(CardWayError),
        }
    }
}

/// A text that names no way to cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the way to cards is `auto`, `pcsc` or `socket`")]
pub struct CardWayError;

/// All cards of this computer.
#[derive(Debug)]
pub struct Cards {
    providers: Vec<Box<dyn Provider>>,
    tokens: Option<Tokens>,
    exchange_limit: Duration,
    /// Makes that were found out by asking, so that a card is asked once and not at every look.
    makes: Mutex<Vec<(ReaderState, Recognised)>>,
}

/// Most makes that are kept; there are 16 readers.
const MAKES_MAX: usize = 32;

impl Cards {
    /// The cards that these ways lead to. `sockets` is the directory of the virtual cards' sockets;
    /// without it the usual one is taken (`$XDG_RUNTIME_DIR/lanyard/cards`).
    #[must_use]
    pub fn new(way: CardWay, sockets: Option<PathBuf>) -> Self {
        let mut providers: Vec<Box<dyn Provider>> = Vec::new();
        #[cfg(feature = "pcsc")]
        if way != CardWay::Socket {
            providers.push(Box::new(crate::pcsc::PcscProvider::new()));
        }
        if way != CardWay::Pcsc
            && let Some(directory) = sockets.or_else(default_socket_directory)
        {
            providers.push(Box::new(SocketProvider::new(directory)));
        }
        Self::with_providers(providers)
    }

    /// The cards of these providers, in order of preference.
    #[must_use]
    pub fn with_providers(providers: Vec<Box<dyn Provider>>) -> Self {
        Self {
            providers,
            tokens: None,
            exchange_limit: default_exchange_limit(),
            makes: Mutex::default(),
        }
    }

    /// Adds the cards that PKCS #11 modules show and PC/SC does not.
    #[must_use]
    pub fn with_pkcs11(mut self, settings: Pkcs11Settings) -> Self {
        self.tokens = (!settings.modules.is_empty()).then(|| Tokens::new(settings));
        self
    }

    /// Sets how long a card may take for an ordinary command before it counts as mute.
    #[must_use]
    pub fn with_exchange_limit(mut self, limit: Duration) -> Self {
        self.exchange_limit = limit;
        self
    }

    /// The readers and whether there are cards in them; sends nothing to any card.
    ///
    /// # Errors
    ///
    /// When no provider is in service.
    pub fn readers(&self) -> Result<Readers, CardFault> {
        let (readers, faults) = self.look();
        match faults.first() {
            _ if !readers.is_empty() => Ok(readers),
            Some((_, fault)) if faults.len() == self.providers.len() => Err(*fault),
            None if self.providers.is_empty() => Err(CardFault::NoService),
            _ => Ok(readers),
        }
    }

    /// The readers and what their cards tell without a PIN.
    ///
    /// # Errors
    ///
    /// When no provider is in service. Faults of single cards are in the listing.
    pub fn list(&self) -> Result<Listing, CardFault> {
        let (states, faults) = self.look_at_readers();
        if faults.len() == self.providers.len() && self.tokens.is_none() {
            return Err(faults
                .first()
                .map_or(CardFault::NoService, |(_, fault)| *fault));
        }
        let pcsc = faults.iter().find(|(path, _)| *path == CardPath::Pcsc);
        let pcsc_fault = pcsc.map(|(_, fault)| *fault);
        let mut readers: Vec<ReaderSummary> = Vec::new();
        for state in states {
            let card = self.summary(&state);
            let again = card.as_ref().is_ok_and(|card| {
                let same = |other: &CardSummary| card.guid.is_some() && other.guid == card.guid;
                state.id.path == CardPath::Socket
                    && readers
                        .iter()
                        .any(|reader| reader.card.as_ref().is_ok_and(same))
            });
            if !again {
                readers.push(ReaderSummary {
                    reader: state.id,
                    card,
                });
            }
        }
        let mut listing = Listing {
            readers,
            pcsc_fault,
            module_faults: Vec::new(),
        };
        if let Some(tokens) = &self.tokens {
            add_tokens(&mut listing, tokens);
        }
        Ok(listing)
    }

    /// Finds the key of a card that is reached through a PKCS #11 module.
    ///
    /// # Errors
    ///
    /// When the token is gone, or its module breaks off.
    pub fn open_token(&self, which: &TokenCertificate) -> Result<TokenSession, CardFault> {
        let tokens = self.tokens.as_ref().ok_or(CardFault::ModuleUnusable)?;
        tokens.open(which)
    }

    /// Takes the card in this reader for us alone.
    ///
    /// # Errors
    ///
    /// When there is no card, it does not answer, or it is no PIV card.
    pub fn open(&self, reader: &ReaderId) -> Result<CardSession, CardFault> {
        let provider = self
            .providers
            .iter()
            .find(|provider| provider.path() == reader.path);
        let provider = provider.ok_or(CardFault::NoReader)?;
        let channel = provider.connect(&reader.name, self.exchange_limit)?;
        CardSession::start(channel, reader.clone(), self.exchange_limit)
    }

    /// Takes the card with this GUID for us alone, in whichever reader it is.
    ///
    /// # Errors
    ///
    /// [`CardFault::NoCard`] when it is in none, or what [`Cards::open`] says.
    pub fn open_guid(&self, guid: Guid) -> Result<CardSession, CardFault> {
        let listing = self.list()?;
        let card = listing.cards().find(|card| card.guid == Some(guid));
        let mut session = self.open(&card.ok_or(CardFault::NoCard)?.reader)?;
        session.expect_guid(guid)?;
        Ok(session)
    }

    /// Resets the card that a module has used, where PC/SC reaches it: some modules leave a card with
    /// its PIN verified, for the next program to use.
    pub(crate) fn reset_token(&self, which: &TokenCertificate) {
        for provider in &self.providers {
            let Ok(readers) = provider.readers() else {
                continue;
            };
            for state in readers {
                let there = state.slotted == Slotted::Card;
                if there && is_slot(&which.slot_description, &state.id.name) {
                    let channel = provider.connect(&state.id.name, self.exchange_limit);
                    if let Ok(mut channel) = channel
                        && channel.begin(self.exchange_limit).is_ok()
                    {
                        channel.end(Ending::Reset);
                    }
                }
            }
        }
    }

    /// SELECT, VERIFY and one signature in one transaction that ends with a reset of the card.
    ///
    /// # Errors
    ///
    /// What [`Cards::open`], [`CardSession::verify`] and [`CardSession::sign`] say.
    pub fn sign_with_pin(
        &self,
        card: &CardSummary,
        slot: Slot,
        scheme: Scheme,
        message: &[u8],
        pin: &Pin,
        last_try: LastTry,
    ) -> Result<Vec<u8>, CardFault> {
        let mut session = self.open_same(&card.reader, card.guid)?;
        session.verify(pin, last_try)?;
        session.sign(slot, scheme, message)
    }

    /// Waits until the readers differ from what is known, and gives them. When the time is over,
    /// gives what is there, unchanged.
    ///
    /// # Errors
    ///
    /// [`CardFault::Cancelled`]. A service that is down counts as having no readers.
    pub fn wait_for_change(
        &self,
        known: &[ReaderState],
        at_most: Duration,
        cancel: &Cancel,
    ) -> Result<Readers, CardFault> {
        let start = Instant::now();
        loop {
            if cancel.is_cancelled() {
                if let Some(tokens) = &self.tokens {
                    tokens.rest();
                }
                return Err(CardFault::Cancelled);
            }
            let (readers, _) = self.look();
            let left = at_most.saturating_sub(start.elapsed());
            if readers != known || left.is_zero() {
                return Ok(readers);
            }
            let slice = left.min(Duration::from_millis(WAIT_SLICE_MILLIS));
            match self.providers.first() {
                Some(provider) => {
                    let path = provider.path();
                    let of_it: Readers = known
                        .iter()
                        .filter(|state| state.id.path == path)
                        .cloned()
                        .collect();
                    provider.pause(&of_it, slice);
                }
                None => std::thread::sleep(slice),
            }
        }
    }

    /// Opens the card in this reader and checks that it is the one that was chosen.
    pub(crate) fn open_same(
        &self,
        reader: &ReaderId,
        guid: Option<Guid>,
    ) -> Result<CardSession, CardFault> {
        let mut session = self.open(reader)?;
        if let Some(guid) = guid {
            session.expect_guid(guid)?;
        }
        Ok(session)
    }

    fn look(&self) -> (Readers, Vec<(CardPath, CardFault)>) {
        let (mut readers, faults) = self.look_at_readers();
        if let Some(tokens) = &self.tokens {
            readers.extend(tokens.readers());
        }
        (readers, faults)
    }

    fn look_at_readers(&self) -> (Readers, Vec<(CardPath, CardFault)>) {
        let (mut readers, mut faults) = (Readers::new(), Vec::new());
        for provider in &self.providers {
            match provider.readers() {
                Ok(found) => readers.extend(found),
                Err(fault) => faults.push((provider.path(), fault)),
            }
        }
        (readers, faults)
    }

    fn summary(&self, state: &ReaderState) -> Result<CardSummary, CardFault> {
        match state.slotted {
            Slotted::Empty => Err(CardFault::NoCard),
            Slotted::Mute => Err(CardFault::CardMute),
            Slotted::Card => {
                let mut session = self.open(&state.id)?;
                let known = self.known_make(state);
                let asked = known.is_none();
                if let Some(known) = known {
                    session.set_recognised(known);
                }
                let summary = CardSummary::read(&mut session)?;
                if asked {
                    self.remember_make(state, &summary.make);
                }
                Ok(summary)
            }
        }
    }

    fn known_make(&self, state: &ReaderState) -> Option<Recognised> {
        let makes = self.makes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = makes.iter().find(|(known, _)| known == state);
        known.map(|(_, make)| make.clone())
    }

    fn remember_make(&self, state: &ReaderState, make: &Recognised) {
        let mut makes = self.makes.lock().unwrap_or_else(PoisonError::into_inner);
        makes.retain(|(known, _)| known.id != state.id);
        if makes.len() < MAKES_MAX {
            makes.push((state.clone(), make.clone()));
        }
    }
}

/// Adds what only a module shows: a card is listed once, as a PIV card where it is one.
fn add_tokens(listing: &mut Listing, tokens: &Tokens) {
    for shown in tokens.list() {
        let cards = match shown.cards {
            Ok(cards) => cards,
            Err(fault) => {
                listing.module_faults.push((shown.module, fault));
                continue;
            }
        };
        for card in cards {
            if listing.cards().any(|known| is_same(known, &card)) {
                continue;
            }
            // What PC/SC could not use, the module can.
            listing.readers.retain(|reader| {
                reader.card != Err(CardFault::NotPiv) || !is_in(&card, &reader.reader)
            });
            listing.readers.push(ReaderSummary {
                reader: card.reader.clone(),
                card: Ok(card),
            });
        }
    }
}

/// True when a token is a card that is listed already: in the same reader as a PIV card, or with the
/// same certificate, through whichever module.
fn is_same(known: &CardSummary, token: &CardSummary) -> bool {
    let is_piv = known.kind != CardKind::Token;
    (is_piv && is_in(token, &known.reader))
        || known.authentication_certificate == token.authentication_certificate
}

fn is_in(token: &CardSummary, reader: &ReaderId) -> bool {
    is_slot(&token.reader.name, &reader.name)
}

/// Whether a module's slot is this reader. Modules cut the names of readers off after 64 bytes, the
/// size of the field in PKCS #11.
fn is_slot(description: &str, reader: &str) -> bool {
    let cut = description.len() >= 60 && reader.starts_with(description);
    !description.is_empty() && (reader == description || cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FakeCard, GUID, usual};
    use lanyard_piv::StatusWord;

    fn card(path: CardPath) -> FakeCard {
        FakeCard::new(path, |command| {
            Ok(
                usual(command).unwrap_or_else(|| match command.instruction() {
                    lanyard_piv::ins::VERIFY => StatusWord::tries(3).into(),
                    _ => StatusWord::NOT_FOUND.into(),
                }),
            )
        })
    }

    #[derive(Debug)]
    struct Down;

    impl Provider for Down {
        fn path(&self) -> CardPath {
            CardPath::Pcsc
        }

        fn readers(&self) -> Result<Readers, CardFault> {
            Err(CardFault::NoService)
        }

        fn connect(
            &self,
            _reader: &str,
            _limit: Duration,
        ) -> Result<Box<dyn crate::Channel>, CardFault> {
            Err(CardFault::NoService)
        }

        fn pause(&self, _known: &[ReaderState], _at_most: Duration) {}
    }

    #[test]
    fn a_card_seen_both_ways_is_listed_once_and_by_pcsc() {
        let both: Vec<Box<dyn Provider>> = vec![
            Box::new(card(CardPath::Pcsc)),
            Box::new(card(CardPath::Socket)),
        ];
        let listing = Cards::with_providers(both).list().unwrap();
        assert_eq!(listing.readers.len(), 1);
        let found = listing.cards().next().unwrap();
        assert_eq!(
            (found.reader.path, found.guid),
            (CardPath::Pcsc, Some(GUID))
        );
        assert_eq!(found.pin.tries_left, Some(3));
        assert_eq!(listing.why_no_card(), None);
    }

    #[test]
    fn sockets_serve_where_the_service_is_down() {
        let cards = Cards::with_providers(vec![Box::new(Down), Box::new(card(CardPath::Socket))]);
        let listing = cards.list().unwrap();
        assert_eq!(listing.pcsc_fault, Some(CardFault::NoService));
        assert_eq!(listing.cards().count(), 1);
        assert!(cards.open_guid(GUID).is_ok());
        assert_eq!(
            cards.open_guid(Guid::new([8; 16])).err(),
            Some(CardFault::NoCard)
        );
    }

    #[test]
    fn without_any_way_there_is_no_service() {
        assert_eq!(
            Cards::with_providers(vec![Box::new(Down)]).list().err(),
            Some(CardFault::NoService)
        );
        assert_eq!(
            Cards::with_providers(Vec::new()).list().err(),
            Some(CardFault::NoService)
        );
        assert_eq!(
            Cards::with_providers(Vec::new()).readers().err(),
            Some(CardFault::NoService)
        );
    }

    #[test]
    fn a_wait_ends_with_a_change_with_its_time_or_when_it_is_cancelled() {
        let cards = Cards::with_providers(vec![Box::new(card(CardPath::Socket))]);
        let cancel = Cancel::new();
        let now = cards
            .wait_for_change(&[], Duration::from_secs(60), &cancel)
            .unwrap();
        assert_eq!(now.len(), 1);
        assert_eq!(
            cards.wait_for_change(&now, Duration::ZERO, &cancel),
            Ok(now.clone())
        );
        cancel.cancel();
        let cancelled = cards.wait_for_change(&now, Duration::from_secs(60), &cancel);
        assert_eq!(cancelled, Err(CardFault::Cancelled));
    }
}
