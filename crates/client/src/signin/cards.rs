// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card's part of a sign-in: insertion, one PIN, one signature, and the forced change of a transport PIN.

use lanyard_card::piv::{NewPin, Pin};
use lanyard_card::{CardFault, PinEntry, TokenPin};
use lanyard_fault::Fault;

use super::input::{CardTrouble, CardsSeen, Output};
use super::machine::{SignIn, Waiting};
use crate::cards::{CardFacts, Fit, card_problem, fit, new_pin_problem, pin_format_problem};
use crate::config::PinPadRule;
use crate::net::{HttpAnswer, HttpRequest, Method, authority};
use crate::problem::Problem;
use crate::session::Now;
use crate::view::{CardChoice, ChangePin, ChooseCard, EnterPin, InsertCard, PadUse, Stage};

/// Where the holder of a card reports the first change of the PIN.
const PIN_CHANGED_PATH: &str = "/api/v1/card/pin-changed";

/// Where the card's part stands.
#[derive(Debug)]
pub(super) enum CardStep {
    /// The first listing is awaited.
    Listing,
    /// No card fits yet; one may have been detected since.
    Insert { detected: Vec<CardFacts> },
    /// Several cards fit: the person's choice is awaited.
    Choose { choices: Vec<CardFacts> },
    /// The PIN is awaited.
    Pin {
        card: Box<CardFacts>,
        tries_left: Option<u8>,
    },
    /// A new PIN is awaited; the old one was typed just now.
    NewPin {
        card: Box<CardFacts>,
        old: Pin,
        last_try: bool,
    },
    /// The card changes its PIN.
    Changing { card: Box<CardFacts>, new: Pin },
    /// The change is reported to the server.
    Reporting { card: Box<CardFacts>, pin: Pin },
    /// The card listener is asked for the token. The PIN is kept for its answer alone.
    Token {
        card: Box<CardFacts>,
        pin: PinEntry,
        changed: bool,
    },
}

impl SignIn {
    pub(super) fn ask_card(&mut self) {
        self.waiting = Waiting::Card(CardStep::Listing);
        self.cards = Some(CardsSeen::default());
        self.outputs.push(Output::WatchCards);
    }

    pub(super) fn cards_seen(&mut self, now: Now, seen: CardsSeen) {
        let Waiting::Card(step) = &self.waiting else {
            return;
        };
        self.cards = Some(seen.clone());
        let fit = fit(&seen.cards, &self.address, now.wall, &self.remembered);
        let mut left_out = fit.left_out;
        left_out.extend(seen.mute);
        match step {
            CardStep::Listing => match fit.card {
                // A card that is there needs no prompt to insert it.
                Some(card) => self.ask_pin(card, None, None),
                None if !fit.choices.is_empty() => self.choose(fit.choices),
                None if self.has_password_way() => self.ask_password(None),
                None => {
                    if let Some(problem) = Fit::problem(&left_out) {
                        return self.fail(problem);
                    }
                    if seen.readers.is_empty() {
                        let no_service = seen.pcsc_fault == Some(CardFault::NoService);
                        let fault = if no_service {
                            Fault::PcscUnavailable
                        } else {
                            Fault::NoReader
                        };
                        return self.fail(fault.into());
                    }
                    self.insert(seen.readers, Vec::new(), left_out);
                }
            },
            CardStep::Insert { .. } => {
                let detected = fit.card.into_iter().chain(fit.choices).collect();
                self.insert(seen.readers, detected, left_out);
            }
            CardStep::Choose { choices } => {
                let now_there: Vec<CardFacts> = fit.card.into_iter().chain(fit.choices).collect();
                let same = now_there.len() == choices.len()
                    && choices
                        .iter()
                        .all(|one| now_there.iter().any(|other| is_same(one, other)));
                match now_there.len() {
                    _ if same => {}
                    0 => self.insert(seen.readers, Vec::new(), left_out),
                    _ => self.choose(now_there),
                }
            }
            CardStep::Pin { card, .. } | CardStep::NewPin { card, .. } => {
                let still = seen.cards.iter().any(|one| is_same(one, card));
                if !still {
                    let detected = fit.card.into_iter().chain(fit.choices).collect();
                    self.insert(seen.readers, detected, left_out);
                }
            }
            // The signer itself notices a card that is pulled.
            _ => {}
        }
    }

    fn insert(
        &mut self,
        readers: Vec<String>,
        detected: Vec<CardFacts>,
        left_out: Vec<crate::view::LeftOut>,
    ) {
        let label = detected.first().map(CardFacts::label);
        self.waiting = Waiting::Card(CardStep::Insert { detected });
        self.show(Stage::InsertCard(InsertCard {
            readers,
            detected: label,
            left_out,
        }));
    }

    pub(super) fn use_card(&mut self) {
        if let Waiting::Card(CardStep::Insert { detected }) = &mut self.waiting {
            let detected = std::mem::take(detected);
            self.choose(detected);
        }
    }

    /// Asks for the PIN of the only card, or which of several it shall be.
    fn choose(&mut self, mut choices: Vec<CardFacts>) {
        // A session that is renewed goes on with its own card.
        let renewed = self.why.as_ref().and_then(|_| {
            let last = self.remembered.last_card.clone()?;
            choices
                .iter()
                .position(|card| card.remembered_as().as_ref() == Some(&last))
        });
        if let Some(place) = renewed.or((choices.len() == 1).then_some(0)) {
            let card = choices.swap_remove(place);
            return self.ask_pin(card, None, None);
        }
        if choices.is_empty() {
            return;
        }
        let cards = choices.iter().map(|card| CardChoice {
            card: card.label(),
            number: card.guid(),
            not_after: card.certificate.as_ref().map(|facts| facts.not_after),
        });
        let cards = cards.collect();
        self.show(Stage::ChooseCard(ChooseCard { cards }));
        self.waiting = Waiting::Card(CardStep::Choose { choices });
    }

    pub(super) fn card_chosen(&mut self, number: usize) {
        if let Waiting::Card(CardStep::Choose { choices }) = &mut self.waiting {
            let place = number.checked_sub(1).filter(|place| *place < choices.len());
            if let Some(place) = place {
                let card = choices.swap_remove(place);
                self.ask_pin(card, None, None);
            }
        }
    }

    fn ask_pin(&mut self, card: CardFacts, tries_left: Option<u8>, miss: Option<Problem>) {
        let tries_left = tries_left.or(card.summary.pin.tries_left);
        let pad = match (card.summary.has_pad, self.remembered.pin_pad) {
            (_, PinPadRule::Require) => PadUse::Required,
            (true, PinPadRule::Auto) => PadUse::Offered,
            _ => PadUse::None,
        };
        self.show(Stage::EnterPin(EnterPin {
            card: card.label(),
            pad,
            tries_left,
            last_try: tries_left == Some(1),
            miss,
            why: self.why.clone(),
        }));
        self.waiting = Waiting::Card(CardStep::Pin {
            card: Box::new(card),
            tries_left,
        });
    }

    /// The person's PIN, or their word that they type it at the reader.
    fn enter(&mut self, pin: PinEntry, last_try: bool) -> Result<Vec<Output>, Problem> {
        let Waiting::Card(CardStep::Pin { card, tries_left }) = &self.waiting else {
            return Err(Problem::new(Fault::NotNow));
        };
        if *tries_left == Some(1) && !last_try {
            return Err(Problem::new(Fault::LastTryUnconfirmed));
        }
        let card = card.clone();
        let is_first = card.summary.pin.is_default == Some(true);
        match pin {
            PinEntry::Typed(pin) if pin.is_transport() || is_first => {
                self.ask_new_pin(card, pin, last_try, None);
            }
            // The old PIN is not ours to keep for a change here.
            PinEntry::Pad | PinEntry::Token(_) if is_first => {
                return Err(Problem::new(Fault::PinMustChange));
            }
            pin => self.ask_token(card, pin, last_try, false),
        }
        Ok(self.take())
    }

    /// The person types the PIN at the reader.
    ///
    /// # Errors
    /// When no PIN is asked for, the reader has no keys, or it is the last try and the person did not agree to use it.
    pub fn use_pad(&mut self, last_try: bool) -> Result<Vec<Output>, Problem> {
        let Waiting::Card(CardStep::Pin { card, .. }) = &self.waiting else {
            return Err(Problem::new(Fault::NotNow));
        };
        if !card.summary.has_pad || self.remembered.pin_pad == PinPadRule::Never {
            return Err(Problem::new(Fault::PadMissing));
        }
        self.enter(PinEntry::Pad, last_try)
    }

    fn ask_new_pin(
        &mut self,
        card: Box<CardFacts>,
        old: Pin,
        last_try: bool,
        refused: Option<Problem>,
    ) {
        self.show(Stage::ChangePin(ChangePin {
            card: card.label(),
            refused,
        }));
        self.waiting = Waiting::Card(CardStep::NewPin {
            card,
            old,
            last_try,
        });
    }

    /// The new PIN of a forced change.
    ///
    /// # Errors
    /// When none is asked for, or it may not be chosen; the question stays open then.
    pub fn new_pin(&mut self, candidate: Pin) -> Result<Vec<Output>, Problem> {
        let Waiting::Card(CardStep::NewPin {
            card,
            old,
            last_try,
        }) = &self.waiting
        else {
            return Err(Problem::new(Fault::NotNow));
        };
        let new = NewPin::check(candidate.clone(), Some(old)).map_err(new_pin_problem)?;
        let (card, old, last_try) = (card.clone(), old.clone(), *last_try);
        self.show(Stage::SigningIn);
        self.outputs.push(Output::ChangePin {
            card: card.clone(),
            old,
            new,
            last_try,
        });
        self.waiting = Waiting::Card(CardStep::Changing {
            card,
            new: candidate,
        });
        Ok(self.take())
    }

    pub(super) fn pin_changed(&mut self, result: Result<(), CardFault>) {
        let Waiting::Card(CardStep::Changing { .. }) = &self.waiting else {
            return;
        };
        let Waiting::Card(CardStep::Changing { card, new }) =
            std::mem::replace(&mut self.waiting, Waiting::Nothing)
        else {
            return;
        };
        match result {
            Ok(()) => {
                let url = self.known.federation_url.as_deref().and_then(authority);
                let Some((_, host, port)) = url else {
                    return self.fail(Fault::DiscoveryRefused.into());
                };
                let request = HttpRequest {
                    method: Method::Post,
                    url: format!("https://{host}:{port}{PIN_CHANGED_PATH}"),
                    headers: vec![("accept", "application/json".to_owned())],
                    body: String::new(),
                };
                let pin = new.clone();
                self.waiting = Waiting::Card(CardStep::Reporting {
                    card: card.clone(),
                    pin: new,
                });
                self.exchange(card, pin.into(), false, request);
            }
            Err(fault) => self.card_failed(card, fault),
        }
    }

    fn ask_token(&mut self, card: Box<CardFacts>, pin: PinEntry, last_try: bool, changed: bool) {
        self.show(match pin {
            PinEntry::Pad => Stage::TypeOnReader(card.label()),
            PinEntry::Typed(_) | PinEntry::Token(_) => Stage::SigningIn,
        });
        let url = self.known.federation_url.clone().unwrap_or_default();
        let request = HttpRequest::get(url).header("accept", "application/json, text/html;q=0.9");
        let used = pin.clone();
        self.waiting = Waiting::Card(CardStep::Token {
            card: card.clone(),
            pin,
            changed,
        });
        self.exchange(card, used, last_try, request);
    }

    fn exchange(
        &mut self,
        card: Box<CardFacts>,
        pin: PinEntry,
        last_try: bool,
        request: HttpRequest,
    ) {
        self.outputs.push(Output::CardExchange {
            card,
            pin,
            last_try,
            request,
        });
    }

    pub(super) fn card_answered(&mut self, now: Now, answer: Result<HttpAnswer, CardTrouble>) {
        let step = match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Card(step) => step,
            other => {
                self.waiting = other;
                return;
            }
        };
        match step {
            // Servers that keep no such record do not know the path; the change itself is done.
            CardStep::Reporting { card, pin } => match answer {
                Ok(_) => self.ask_token(card, pin.into(), false, true),
                Err(trouble) => self.trouble(card, trouble),
            },
            CardStep::Token { card, pin, changed } => match answer {
                Ok(answer) => self.token_answered(now, card, pin, changed, &answer),
                Err(trouble) => self.trouble(card, trouble),
            },
            other => self.waiting = Waiting::Card(other),
        }
    }

    fn token_answered(
        &mut self,
        now: Now,
        card: Box<CardFacts>,
        pin: PinEntry,
        changed: bool,
        answer: &HttpAnswer,
    ) {
        if let Some(problem) = super::locate::clock_problem(answer, now.wall) {
            return self.fail(problem);
        }
        if answer.status != 200 {
            let host = self.federation_host();
            let problem = super::machine::refusal(answer, &host);
            if let (PinEntry::Typed(pin), true, false) =
                (pin, problem.is(Fault::CardNotActive), changed)
            {
                // The one prompt's PIN is the old one; the holder chooses the new one now.
                return self.ask_new_pin(card, pin, false, None);
            }
            self.used = Some(*card);
            return self.fail(problem);
        }
        drop(pin);
        self.used = Some(*card);
        self.cards = None;
        self.outputs.push(Output::StopWatching);
        self.token_came(answer);
    }

    fn trouble(&mut self, card: Box<CardFacts>, trouble: CardTrouble) {
        match trouble {
            CardTrouble::Card(fault) => self.card_failed(card, fault),
            CardTrouble::Net(_) => {
                let host = self.federation_host();
                self.fail(trouble.problem(&host));
            }
        }
    }

    fn card_failed(&mut self, card: Box<CardFacts>, fault: CardFault) {
        match fault {
            // The person may type again; nothing is tried by itself.
            CardFault::WrongPin { tries_left } => {
                self.ask_pin(*card, Some(tries_left), Some(card_problem(fault)));
            }
            CardFault::LastTry => self.ask_pin(*card, Some(1), Some(card_problem(fault))),
            CardFault::WrongPinUncounted
            | CardFault::TokenPinRefused
            | CardFault::PadCancelled
            | CardFault::PadTimedOut => self.ask_pin(*card, None, Some(card_problem(fault))),
            _ => self.fail(card_problem(fault)),
        }
    }

    fn federation_host(&self) -> String {
        let url = self.known.federation_url.as_deref().and_then(authority);
        url.map(|(_, host, _)| host).unwrap_or_default()
    }

    /// Takes what the person typed.
    ///
    /// # Errors
    /// When none is asked for, it is no PIN of this card, it must be typed at the reader, or it is the last try and the
    /// person did not agree to use it.
    pub fn typed_pin(&mut self, text: &str, last_try: bool) -> Result<Vec<Output>, Problem> {
        let Waiting::Card(CardStep::Pin { card, .. }) = &self.waiting else {
            return Err(Problem::new(Fault::NotNow));
        };
        // Never the keyboard in the reader's place where the organisation wants the reader.
        if self.remembered.pin_pad == PinPadRule::Require {
            return Err(Problem::new(Fault::PadRequired));
        }
        let pin = match &card.summary.token {
            Some(token) => TokenPin::parse(text, token.pin_bytes)
                .map(PinEntry::Token)
                .map_err(|error| {
                    let detail = format!("As a PIN {error}.").replace("As a PIN it", "It");
                    Problem::new(Fault::TokenPinFormat).with_detail(detail)
                })?,
            None => Pin::parse(text).map_err(|_| pin_format_problem())?.into(),
        };
        self.enter(pin, last_try)
    }

    /// Takes what the person typed as the new PIN.
    ///
    /// # Errors
    /// When it is no PIN, or as [`SignIn::new_pin`].
    pub fn typed_new_pin(&mut self, text: &str) -> Result<Vec<Output>, Problem> {
        let pin = Pin::parse(text).map_err(|_| pin_format_problem())?;
        self.new_pin(pin)
    }
}

/// The same card in the same reader.
fn is_same(one: &CardFacts, other: &CardFacts) -> bool {
    one.summary.reader == other.summary.reader
        && one.summary.guid == other.summary.guid
        && one.certificate == other.certificate
}
