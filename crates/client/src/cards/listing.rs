// SPDX-License-Identifier: MIT OR Apache-2.0
//! Readers, cards and certificates as faces show them (S-28).

use std::thread;
use std::time::{Duration, Instant};

use lanyard_card::{CardFault, CardSummary, Cards, Listing};
use lanyard_fault::Fault;
use lanyard_virtual_card::{Daemon, daemon, list as virtual_list};
use serde::Serialize;
use time::OffsetDateTime;

use super::daemon::{card_places, ensure_daemon};
use super::facts::CardFacts;
use super::problems::{card_problem, tries_in_words};
use super::selection::{Remembered, verdict};
use crate::address::SignInAddress;
use crate::config::{CardPath, ClientConfig};
use crate::places::Places;
use crate::problem::Problem;

/// Time for a virtual card to appear in a reader, in milliseconds.
const APPEAR_MS_MAX: u64 = 3_000;
/// Pause between two looks, in milliseconds.
const LOOK_AGAIN_MS: u64 = 100;

/// Everything in the readers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CardListing {
    /// Readers, those with cards and those without.
    pub readers: Vec<ReaderView>,
    /// Why the smart-card service is of no use, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Problem>,
    /// PKCS #11 modules that cannot be used now, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<Problem>,
}

/// One reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReaderView {
    /// Its name.
    pub reader: String,
    /// How it is reached: `pcsc` or `socket`.
    pub path: String,
    /// The card in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<CardView>,
    /// Why the card in it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// One card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CardView {
    /// Its number, in hexadecimal digits.
    pub guid: Option<String>,
    /// The name of a virtual card.
    pub name: Option<String>,
    /// `virtual-file`, `virtual-tpm`, `physical` or `token` (through a PKCS #11 module).
    pub kind: &'static str,
    /// Who made it, and the version of its application where it tells.
    pub make: String,
    /// The virtual card's instance on this computer.
    pub instance: Option<String>,
    /// Enrolled or blank.
    pub state: CardState,
    /// The certificate for sign-in.
    pub certificate: Option<CertificateView>,
    /// It also proves its presence (slot 9E).
    pub proves_presence: bool,
    /// Tries left for the PIN.
    pub pin_tries_left: Option<u8>,
    /// The PIN is still the one of a blank card.
    pub pin_is_first: Option<bool>,
    /// The PIN in words.
    pub pin: String,
    /// The reader has keys to type the PIN on.
    pub pin_pad: bool,
    /// Whether it would be used to sign in, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignInVerdict>,
}

/// Whether a card would be used to sign in with an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignInVerdict {
    /// The address.
    pub address: String,
    /// Why the card would be left out; nothing when it fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<Problem>,
}

/// What a card is good for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CardState {
    /// No certificate.
    Blank,
    /// Enrolled, and the certificate is in its time.
    Enrolled,
    /// The certificate's time has not come.
    NotYetValid,
    /// The certificate's time is over.
    Expired,
}

impl CardState {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Blank => "blank: not enrolled",
            Self::Enrolled => "enrolled",
            Self::NotYetValid => "enrolled, but not valid yet",
            Self::Expired => "enrolled, but expired",
        }
    }
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateView {
    /// The person.
    pub holder: String,
    /// Sign-in addresses.
    pub addresses: Vec<String>,
    /// User principal name.
    pub upn: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// The authority.
    pub issuer: String,
    /// Serial number.
    pub serial: String,
    /// From when.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// Until when.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// Meant for signing in.
    pub for_sign_in: bool,
    /// It ends soon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminder: Option<Problem>,
}

/// Lists everything. Virtual cards are served first where that is wanted.
///
/// # Errors
/// When neither the smart-card service nor the virtual cards can be reached.
pub fn list(
    places: &Places,
    config: &ClientConfig,
    cards: &Cards,
    wall: OffsetDateTime,
) -> Result<CardListing, Problem> {
    list_for(places, config, cards, wall, None)
}

/// As [`list`]; with an address, each card says whether it would be used to sign in with it, and why not.
///
/// # Errors
/// As [`list`].
pub fn list_for(
    places: &Places,
    config: &ClientConfig,
    cards: &Cards,
    wall: OffsetDateTime,
    asked: Option<(&SignInAddress, &Remembered)>,
) -> Result<CardListing, Problem> {
    if config.card_path != CardPath::Pcsc {
        ensure_daemon(places)?;
    }
    let listing = match list_with_own(places, cards) {
        Ok(listing) => listing,
        Err(fault) => {
            let service = Some(card_problem(fault));
            return Ok(CardListing {
                readers: Vec::new(),
                service,
                modules: Vec::new(),
            });
        }
    };
    let readers = listing.readers.into_iter().map(|reader| {
        let (card, problem) = match reader.card {
            Ok(summary) => {
                let facts = facts_of(places, summary);
                let mut view = view(&facts, places, wall);
                view.sign_in = asked.map(|(address, remembered)| SignInVerdict {
                    address: address.to_string(),
                    left_out: verdict(&facts, address, wall, remembered),
                });
                (Some(view), None)
            }
            Err(CardFault::NoCard) => (None, None),
            Err(fault) => (None, Some(card_problem(fault))),
        };
        ReaderView {
            reader: reader.reader.name,
            path: reader.reader.path.to_string(),
            card,
            problem,
        }
    });
    // Without PC/SC the virtual cards still work; that is worth a word, not an error.
    let service = listing
        .pcsc_fault
        .map(|_| Problem::new(Fault::PcscUnavailable));
    let modules = listing.module_faults.iter().map(|(module, fault)| {
        card_problem(*fault).with_detail(format!("It is {}.", module.display()))
    });
    Ok(CardListing {
        modules: modules.collect(),
        readers: readers.collect(),
        service,
    })
}

/// Lists the cards; waits a moment for the person's own virtual cards, which the smart-card service sees only some
/// time after they were made.
pub(crate) fn list_with_own(places: &Places, cards: &Cards) -> Result<Listing, CardFault> {
    let card_places = card_places(places);
    let own: Vec<_> = match daemon(&card_places) {
        Daemon::Absent => Vec::new(),
        Daemon::Running { .. } => virtual_list(&card_places)
            .into_iter()
            .filter_map(|listed| Some(listed.card.ok()?.guid))
            .collect(),
    };
    let end = Instant::now() + Duration::from_millis(APPEAR_MS_MAX);
    loop {
        let listing = cards.list();
        let seen = |guid| {
            let found = listing.as_ref().ok().map(|listing| listing.cards());
            found.is_some_and(|mut cards| cards.any(|card| card.guid == Some(guid)))
        };
        if own.iter().all(|guid| seen(*guid)) || Instant::now() >= end {
            return listing;
        }
        thread::sleep(Duration::from_millis(LOOK_AGAIN_MS));
    }
}

/// A card's facts, with the name that the person gave it.
#[must_use]
pub(crate) fn facts_of(places: &Places, summary: CardSummary) -> CardFacts {
    let name = summary.guid.and_then(|guid| {
        virtual_list(&card_places(places))
            .into_iter()
            .filter_map(|listed| listed.card.ok())
            .find(|card| card.guid == guid)
            .map(|card| card.name)
    });
    CardFacts::of(summary, name)
}

/// The instance of a virtual card of this computer.
pub(super) fn instance_of(
    places: &Places,
    facts: &CardFacts,
) -> Option<lanyard_virtual_card::InstanceId> {
    let guid = facts.summary.guid?;
    virtual_list(&card_places(places))
        .into_iter()
        .find(|listed| listed.card.as_ref().is_ok_and(|card| card.guid == guid))
        .map(|listed| listed.instance)
}

fn view(facts: &CardFacts, places: &Places, wall: OffsetDateTime) -> CardView {
    let pin = facts.summary.pin;
    let state = match &facts.certificate {
        None => CardState::Blank,
        Some(certificate) if wall > certificate.not_after => CardState::Expired,
        Some(certificate) if wall < certificate.not_before => CardState::NotYetValid,
        Some(_) => CardState::Enrolled,
    };
    let certificate = facts
        .certificate
        .as_ref()
        .map(|certificate| CertificateView {
            holder: certificate.holder.clone(),
            addresses: certificate.addresses.clone(),
            upn: certificate.upn.clone(),
            email: certificate.email.clone(),
            issuer: certificate.issuer.clone(),
            serial: certificate.serial.clone(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            for_sign_in: certificate.for_sign_in,
            reminder: crate::card_life::reminder(certificate.not_after, wall),
        });
    CardView {
        guid: facts.guid(),
        name: facts.name.clone(),
        kind: facts.kind_word(),
        make: make_words(&facts.summary),
        instance: instance_of(places, facts).map(|instance| instance.to_string()),
        state,
        certificate,
        proves_presence: facts.summary.card_authentication_certificate.is_some(),
        pin_tries_left: pin.tries_left,
        pin_is_first: pin.is_default,
        pin: if pin.is_low && pin.tries_left.is_none() {
            "A wrong PIN was typed; the card does not tell how many tries are left.".to_owned()
        } else {
            pin_words(pin.tries_left, pin.is_default)
        },
        pin_pad: facts.summary.has_pad,
        sign_in: None,
    }
}

fn make_words(summary: &CardSummary) -> String {
    match &summary.token {
        Some(token) if token.maker.is_empty() => "a card behind a PKCS #11 module".to_owned(),
        Some(token) => token.maker.clone(),
        None => summary.make.to_string(),
    }
}

fn pin_words(tries_left: Option<u8>, is_default: Option<bool>) -> String {
    let first = match is_default {
        Some(true) => "Still the first PIN: change it before use. ",
        _ => "",
    };
    match tries_left {
        Some(0) => "Blocked.".to_owned(),
        Some(tries) => format!("{first}{}", tries_in_words(tries)),
        None => format!("{first}The card does not tell how many tries are left."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pin_is_told_in_words() {
        assert_eq!(pin_words(Some(0), None), "Blocked.");
        assert_eq!(pin_words(Some(3), Some(false)), "3 tries are left.");
        let first = pin_words(Some(3), Some(true));
        assert_eq!(
            first,
            "Still the first PIN: change it before use. 3 tries are left."
        );
    }
}
