// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person does with a card: choose it, change its PIN, unblock it with the PUK.

use lanyard_card::piv::{NewPin, Pin, Puk};
use lanyard_card::{CardFault, CardSession, Cards, LastTry};
use lanyard_fault::Fault;
use zeroize::Zeroizing;

use super::daemon::ensure_daemon;
use super::facts::CardFacts;
use super::listing::{facts_of, instance_of, list_with_own};
use super::problems::{card_problem, new_pin_problem, pin_format_problem};
use crate::address::SignInAddress;
use crate::config::{CardPath, ClientConfig};
use crate::places::Places;
use crate::problem::Problem;

/// What a card is wanted for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// To be enrolled for this person.
    Enrol(&'a SignInAddress),
    /// Something else.
    Any,
}

/// One card that was chosen, and the way to it.
#[derive(Debug)]
pub struct CardChange<'a> {
    places: &'a Places,
    cards: &'a Cards,
    facts: CardFacts,
}

impl<'a> CardChange<'a> {
    /// Finds the card that is meant: by name, instance, reader or the beginning of its number. Without a word, the
    /// person's own virtual cards come before others, and for an enrolment blank cards before enrolled ones.
    ///
    /// # Errors
    /// When there is none, several, or it does not answer.
    pub fn choose(
        places: &'a Places,
        config: &ClientConfig,
        cards: &'a Cards,
        which: Option<&str>,
        purpose: Purpose<'_>,
    ) -> Result<Self, Problem> {
        if config.card_path != CardPath::Pcsc {
            ensure_daemon(places)?;
        }
        let listing = list_with_own(places, cards).map_err(card_problem)?;
        let why = listing.why_no_card();
        let found: Vec<CardFacts> = listing
            .cards()
            .map(|card| facts_of(places, card.clone()))
            .collect();
        if found.is_empty() {
            return Err(card_problem(why.unwrap_or(CardFault::NoCard)));
        }
        let mut fitting: Vec<CardFacts> = match which {
            Some(which) => found
                .into_iter()
                .filter(|card| matches_word(places, card, which))
                .collect(),
            None => best(places, found, purpose)?,
        };
        match (fitting.pop(), fitting.is_empty()) {
            (Some(facts), true) => Ok(Self {
                places,
                cards,
                facts,
            }),
            (Some(last), false) => {
                fitting.push(last);
                let names: Vec<String> = fitting.iter().map(name_to_type).collect();
                let detail = format!("They are: {}.", names.join("; "));
                Err(Problem::new(Fault::CardChoiceNeeded).with_detail(detail))
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
        if self.facts.summary.token.is_some() {
            let detail = "It is no PIV card: it is good for signing in alone. Its maker's program does the rest.";
            return Err(Problem::new(Fault::CardUnusable).with_detail(detail));
        }
        let mut session = self
            .cards
            .open(&self.facts.summary.reader)
            .map_err(card_problem)?;
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

/// The cards that are meant most likely, when nobody said which.
fn best(
    places: &Places,
    found: Vec<CardFacts>,
    purpose: Purpose<'_>,
) -> Result<Vec<CardFacts>, Problem> {
    let mut foreign = None;
    let mut ranked: Vec<((bool, bool), CardFacts)> = Vec::new();
    for card in found {
        let enrolled = card.certificate.as_ref();
        if let (Purpose::Enrol(address), Some(certificate)) = (purpose, enrolled)
            && !certificate.is_for(address.as_str())
        {
            let whose = format!("It is the card of {}.", certificate.holder);
            foreign = Some(Problem::new(Fault::CardOfSomebodyElse).with_detail(whose));
            continue;
        }
        let own = instance_of(places, &card).is_some();
        let blank = matches!(purpose, Purpose::Enrol(_)) && enrolled.is_none();
        ranked.push(((own, blank), card));
    }
    let Some(top) = ranked.iter().map(|(rank, _)| *rank).max() else {
        return Err(foreign.unwrap_or(Fault::CardNotFound.into()));
    };
    Ok(ranked
        .into_iter()
        .filter(|(rank, _)| *rank == top)
        .map(|(_, card)| card)
        .collect())
}

/// A card in the words that `--card` takes.
fn name_to_type(card: &CardFacts) -> String {
    let place = card
        .name
        .clone()
        .unwrap_or_else(|| card.summary.reader.name.clone());
    match card.guid() {
        Some(guid) => format!("{place} ({})", guid.get(..8).unwrap_or_default()),
        None => place,
    }
}

fn matches_word(places: &Places, card: &CardFacts, which: &str) -> bool {
    let same = |text: &str| text.eq_ignore_ascii_case(which);
    let number = card.guid().is_some_and(|guid| {
        let typed: String = which.to_ascii_lowercase().replace('-', "");
        typed.len() >= 4 && guid.starts_with(&typed)
    });
    let instance = instance_of(places, card).is_some_and(|instance| which.parse() == Ok(instance));
    number || instance || card.name.as_deref().is_some_and(same) || same(&card.summary.reader.name)
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
    let consent = if last_try {
        LastTry::Allow
    } else {
        LastTry::Refuse
    };
    card.open()?
        .change_pin(&old, &new, consent)
        .map_err(card_problem)
}

/// Changes the PIN; the old and the new one are typed at the reader. What may be chosen is then the card's word alone.
///
/// # Errors
/// When the reader has no keys, the old PIN is wrong, or the entry was broken off.
pub fn change_pin_on_reader(card: &CardChange<'_>, last_try: bool) -> Result<(), Problem> {
    let consent = if last_try {
        LastTry::Allow
    } else {
        LastTry::Refuse
    };
    card.open()?
        .change_pin_on_pad(consent)
        .map_err(card_problem)
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

/// Whether a PIN may be chosen, with the reason when not. `old` is the one that it replaces, where that is known.
///
/// # Errors
/// When it is no PIN, trivial, or the old one.
pub fn check_new_pin(
    new: &Zeroizing<String>,
    old: Option<&Zeroizing<String>>,
) -> Result<(), Problem> {
    let old = old.and_then(|old| Pin::parse(old).ok());
    new_pin(new, old.as_ref()).map(drop)
}

/// Whether a text is a PUK.
///
/// # Errors
/// When it is none.
pub fn check_puk(puk: &Zeroizing<String>) -> Result<(), Problem> {
    Puk::parse(puk).map(drop).map_err(|_| pin_format_problem())
}

pub(crate) fn new_pin(text: &Zeroizing<String>, old: Option<&Pin>) -> Result<NewPin, Problem> {
    let candidate = Pin::parse(text).map_err(|error| {
        let detail = format!("As a PIN {error}.").replace("As a PIN it", "It");
        Problem::new(Fault::PinRefused).with_detail(detail)
    })?;
    NewPin::check(candidate, old).map_err(new_pin_problem)
}
