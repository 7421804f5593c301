// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person does with a card: choose it, change its PIN, unblock it with the PUK.

use lanyard_card::piv::{NewPin, Pin, Puk};
use lanyard_card::{CardFault, CardSession, Cards, LastTry};
use lanyard_fault::Fault;
use zeroize::Zeroizing;

use super::daemon::ensure_daemon;
use super::facts::CardFacts;
use super::listing::{facts_of, instance_of};
use super::problems::{card_problem, new_pin_problem, pin_format_problem};
use crate::config::{CardPath, ClientConfig};
use crate::places::Places;
use crate::problem::Problem;

/// One card that was chosen, and the way to it.
#[derive(Debug)]
pub struct CardChange<'a> {
    places: &'a Places,
    cards: &'a Cards,
    facts: CardFacts,
}

impl<'a> CardChange<'a> {
    /// Finds the card that is meant: by name, instance, reader or the beginning of its number; without a word the
    /// only one there is.
    ///
    /// # Errors
    /// When there is none, several, or it does not answer.
    pub fn choose(
        places: &'a Places,
        config: &ClientConfig,
        cards: &'a Cards,
        which: Option<&str>,
    ) -> Result<Self, Problem> {
        if config.card_path != CardPath::Pcsc {
            ensure_daemon(places)?;
        }
        let listing = cards.list().map_err(card_problem)?;
        let why = listing.why_no_card();
        let found: Vec<CardFacts> =
            listing.cards().map(|card| facts_of(places, card.clone())).collect();
        if found.is_empty() {
            return Err(card_problem(why.unwrap_or(CardFault::NoCard)));
        }
        let total = found.len();
        let mut fitting: Vec<CardFacts> = match which {
            None => found,
            Some(which) => {
                found.into_iter().filter(|card| matches_word(places, card, which)).collect()
            }
        };
        match (fitting.pop(), fitting.len()) {
            (Some(facts), 0) => Ok(Self { places, cards, facts }),
            (Some(_), _) => {
                let detail = format!("{total} cards are there.");
                Err(Problem::new(Fault::CardAmbiguous).with_detail(detail))
            }
            (None, _) => Err(Problem::new(Fault::CardNotFound)),
        }
    }

    /// What is known of it.
    #[must_use]
    pub fn facts(&self) -> &CardFacts {
        &self.facts
    }

    /// The places of this person.
    #[must_use]
    pub fn places(&self) -> &'a Places {
        self.places
    }

    /// The card, for this program alone.
    ///
    /// # Errors
    /// When it is gone or another one is there now.
    pub fn open(&self) -> Result<CardSession, Problem> {
        let mut session = self.cards.open(&self.facts.summary.reader).map_err(card_problem)?;
        if let Some(guid) = self.facts.summary.guid {
            session.expect_guid(guid).map_err(card_problem)?;
        }
        Ok(session)
    }

    /// Whether the card still has the PIN of a blank card, as far as it tells.
    #[must_use]
    pub fn pin_is_first(&self) -> bool {
        self.facts.summary.pin.is_default == Some(true)
    }
}

fn matches_word(places: &Places, card: &CardFacts, which: &str) -> bool {
    let same = |text: &str| text.eq_ignore_ascii_case(which);
    let number = card.guid().is_some_and(|guid| {
        let typed: String = which.to_ascii_lowercase().replace('-', "");
        typed.len() >= 4 && guid.starts_with(&typed)
    });
    let instance = instance_of(places, card).is_some_and(|instance| {
        which.parse() == Ok(instance)
    });
    number
        || instance
        || card.name.as_deref().is_some_and(same)
        || same(&card.summary.reader.name)
}

/// Changes the PIN.
///
/// # Errors
/// When the old one is wrong, or the new one may not be chosen: then no try is used.
pub fn change_pin(
    card: &CardChange<'_>,
    old: &Zeroizing<String>,
    new: &Zeroizing<String>,
    last_try: bool,
) -> Result<(), Problem> {
    let old = Pin::parse(old).map_err(|_| pin_format_problem())?;
    let new = new_pin(new, Some(&old))?;
    let consent = if last_try { LastTry::Allow } else { LastTry::Refuse };
    card.open()?.change_pin(&old, &new, consent).map_err(card_problem)
}

/// Sets a new PIN with the PUK.
///
/// # Errors
/// When the PUK is wrong, or the new PIN may not be chosen: then no try is used.
pub fn unblock(
    card: &CardChange<'_>,
    puk: &Zeroizing<String>,
    new: &Zeroizing<String>,
) -> Result<(), Problem> {
    let puk = Puk::parse(puk).map_err(|_| pin_format_problem())?;
    let new = new_pin(new, None)?;
    card.open()?.unblock(&puk, &new).map_err(card_problem)
}

pub(crate) fn new_pin(text: &Zeroizing<String>, old: Option<&Pin>) -> Result<NewPin, Problem> {
    let candidate = Pin::parse(text).map_err(|error| {
        let detail = format!("As a PIN {error}.").replace("As a PIN it", "It");
        Problem::new(Fault::PinRefused).with_detail(detail)
    })?;
    NewPin::check(candidate, old).map_err(new_pin_problem)
}
