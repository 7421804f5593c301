// SPDX-License-Identifier: MIT OR Apache-2.0
//! A person's own cards, as the server knows them; the card at hand opens the list.

use std::sync::Arc;

use lanyard_card::Cards;
use lanyard_card::piv::Pin;
use lanyard_fault::Fault;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::Reach;
use crate::cards::{CardFacts, pin_format_problem};
use crate::problem::Problem;

const CARDS_PATH: &str = "/api/v1/my/cards";
const LOST_PATH: &str = "/api/v1/my/cards/lost";
const NAME_PATH: &str = "/api/v1/my/cards/name";
/// Fewest digits of a number that name a card.
const NUMBER_DIGITS_MIN: usize = 4;

/// One card of the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MyCard {
    /// Its number.
    pub card: String,
    /// Its name.
    pub name: String,
    /// `virtual-file`, `virtual-tpm` or `physical`.
    pub kind: String,
    /// Its make, as far as it is known.
    pub make: String,
    /// The computer that it was enrolled on.
    pub computer: String,
    /// Where it stands.
    pub state: String,
    /// When its certificate ends.
    #[serde(with = "time::serde::rfc3339::option")]
    pub not_after: Option<OffsetDateTime>,
    /// When it was enrolled first.
    #[serde(with = "time::serde::rfc3339")]
    pub enrolled_at: OffsetDateTime,
    /// When it was used last.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used_at: Option<OffsetDateTime>,
    /// The card that has asked.
    pub this: bool,
}

#[derive(Deserialize)]
struct List {
    cards: Vec<MyCard>,
}

#[derive(Deserialize)]
struct Lost {
    sessions_ended: usize,
}

/// The person's cards, opened by one of them.
#[derive(Debug)]
pub struct MyCards<'a> {
    reach: &'a Reach,
    cards: &'a Arc<Cards>,
    with: &'a CardFacts,
    pin: Pin,
}

impl<'a> MyCards<'a> {
    /// Takes the card at hand and its PIN.
    ///
    /// # Errors
    /// When it is no PIN.
    pub fn open(
        reach: &'a Reach,
        cards: &'a Arc<Cards>,
        with: &'a CardFacts,
        pin: &Zeroizing<String>,
    ) -> Result<Self, Problem> {
        let pin = Pin::parse(pin).map_err(|_| pin_format_problem())?;
        Ok(Self {
            reach,
            cards,
            with,
            pin,
        })
    }

    /// All cards of the person.
    ///
    /// # Errors
    /// When card or server refuse.
    pub fn list(&self) -> Result<Vec<MyCard>, Problem> {
        let answer = self.ask(CARDS_PATH, None)?;
        let list: List =
            serde_json::from_str(&answer).map_err(|_| Problem::new(Fault::EnrolmentAnswer))?;
        Ok(list.cards)
    }

    /// The card that is meant: by its name, its computer, or the beginning of its number.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn find(&self, which: &str) -> Result<MyCard, Problem> {
        pick(self.list()?, which)
    }

    /// Reports a card lost. It is out of force when this returns; gives how many sessions ended.
    ///
    /// # Errors
    /// When card or server refuse.
    pub fn report_lost(&self, card: &MyCard) -> Result<usize, Problem> {
        let body = serde_json::json!({ "card": card.card });
        let answer = self.ask(LOST_PATH, Some(body.to_string()))?;
        let lost: Lost =
            serde_json::from_str(&answer).map_err(|_| Problem::new(Fault::EnrolmentAnswer))?;
        Ok(lost.sessions_ended)
    }

    /// Gives a card another name.
    ///
    /// # Errors
    /// When card or server refuse.
    pub fn rename(&self, card: &MyCard, name: &str) -> Result<(), Problem> {
        let body = serde_json::json!({ "card": card.card, "name": name });
        self.ask(NAME_PATH, Some(body.to_string())).map(drop)
    }

    fn ask(&self, path: &str, json: Option<String>) -> Result<String, Problem> {
        let answer = self
            .reach
            .with_card(self.cards, self.with, &self.pin, path, json)?;
        Ok(answer.body)
    }
}

fn pick(cards: Vec<MyCard>, which: &str) -> Result<MyCard, Problem> {
    let typed = which.trim();
    let digits = typed.to_ascii_lowercase().replace('-', "");
    let fits = |card: &MyCard| {
        card.name.eq_ignore_ascii_case(typed)
            || card.computer.eq_ignore_ascii_case(typed)
            || (digits.len() >= NUMBER_DIGITS_MIN && card.card.starts_with(&digits))
    };
    let mut fitting: Vec<MyCard> = cards.into_iter().filter(fits).collect();
    match (fitting.pop(), fitting.as_slice()) {
        (Some(card), []) => Ok(card),
        (None, _) => Err(Problem::new(Fault::CardUnknown)),
        (Some(last), more) => {
            let names: Vec<String> = more
                .iter()
                .chain([&last])
                .map(|card| {
                    let number = card.card.get(..8).unwrap_or_default();
                    format!("{} ({number})", card.name)
                })
                .collect();
            let detail = format!("They are: {}.", names.join("; "));
            Err(Problem::new(Fault::CardChoiceNeeded).with_detail(detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(number: &str, name: &str, computer: &str) -> MyCard {
        MyCard {
            card: number.into(),
            name: name.into(),
            kind: "virtual-file".into(),
            make: String::new(),
            computer: computer.into(),
            state: "active".into(),
            not_after: None,
            enrolled_at: OffsetDateTime::UNIX_EPOCH,
            last_used_at: None,
            this: false,
        }
    }

    #[test]
    fn a_card_is_named_by_name_computer_or_number() {
        let cards = || {
            vec![
                card("a1b2c3d4", "laptop", "pc-1"),
                card("a1ffffff", "desk", "pc-2"),
            ]
        };
        for which in ["Laptop", "PC-1", "a1b2", "A1B2-C3D4"] {
            assert_eq!(pick(cards(), which).unwrap().name, "laptop", "{which}");
        }
        assert!(pick(cards(), "a1").unwrap_err().is(Fault::CardUnknown));
        let twins = vec![
            card("a1b2c3d4", "laptop", ""),
            card("ffff0000", "laptop", ""),
        ];
        let several = pick(twins, "laptop").unwrap_err();
        assert!(several.is(Fault::CardChoiceNeeded));
        assert!(several.to_string().contains("laptop (a1b2c3d4)"));
    }
}
