// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secrets of the sign-in: from a descriptor, from the typed line, or from the terminal of a script.

use lanyard_client::agent::protocol::{Intent, SecretKind};
use lanyard_client::view::{ChooseCard, EnterPin};
use lanyard_client::{Fault, Problem, cards};
use zeroize::Zeroizing;

use super::session::{Leave, Mode, Terminal};
use crate::secrets;

impl Terminal {
    pub(super) fn ask_pin(&mut self, last_try: bool, miss: Option<Problem>) -> Option<Leave> {
        self.mode = Mode::Pin { last_try };
        if let Some(fd) = self.options.pin_fd {
            return match secrets::from_fd(fd) {
                Ok(pin) => self.hand_over(SecretKind::Pin, pin, self.options.use_last_try),
                // What was in the descriptor is used up: the miss is the reason to tell.
                Err(problem) => self.give_up(miss.unwrap_or(problem)),
            };
        }
        if self.screen.is_interactive() {
            self.editor.set_secret(true);
            return None;
        }
        match secrets::ask("PIN") {
            Ok(pin) => self.hand_over(SecretKind::Pin, pin, self.options.use_last_try),
            Err(problem) => self.give_up(miss.unwrap_or(problem)),
        }
    }

    /// The PIN is typed at the reader: at once where nothing speaks against it, otherwise when the person says so.
    pub(super) fn ask_at_reader(&mut self, enter: &EnterPin) -> Option<Leave> {
        let last_try = enter.last_try;
        if enter.miss.is_none() && (!last_try || self.options.use_last_try) {
            self.mode = Mode::Working;
            self.post(Intent::UsePad { last_try });
            return None;
        }
        if self.screen.is_interactive() {
            self.mode = Mode::Pad { last_try };
            return None;
        }
        let problem = enter.miss.clone();
        self.give_up(problem.unwrap_or(Fault::LastTryUnconfirmed.into()))
    }

    /// One of several cards: the one that was named, or what the person answers.
    pub(super) fn ask_card(&mut self, choice: &ChooseCard) -> Option<Leave> {
        self.mode = Mode::Choose;
        if let Some(word) = self.options.card.take() {
            let word = word.to_lowercase();
            let fits = |card: &lanyard_client::view::CardChoice| {
                let number = card.number.as_deref().unwrap_or_default();
                let typed = word.replace('-', "");
                card.card.place.to_lowercase() == word
                    || (typed.len() >= 4 && number.starts_with(&typed))
            };
            let mut found = (1..).zip(&choice.cards).filter(|(_, card)| fits(card));
            if let (Some((number, _)), None) = (found.next(), found.next()) {
                self.post(Intent::ChooseCard { number });
                return None;
            }
            if !self.screen.is_interactive() {
                return self.give_up(Fault::CardNotFound.into());
            }
        }
        if self.screen.is_interactive() {
            return None;
        }
        let names: Vec<String> = choice
            .cards
            .iter()
            .map(|one| one.card.to_string())
            .collect();
        let detail = format!("They are: {}.", names.join("; "));
        self.give_up(Problem::new(Fault::CardChoiceNeeded).with_detail(detail))
    }

    pub(super) fn ask_password(&mut self, miss: Option<Problem>) -> Option<Leave> {
        self.mode = Mode::Password;
        if let Some(fd) = self.options.password_fd {
            return match secrets::from_fd(fd) {
                Ok(password) => self.hand_over(SecretKind::Password, password, false),
                Err(problem) => self.give_up(miss.unwrap_or(problem)),
            };
        }
        if self.screen.is_interactive() {
            self.editor.set_secret(true);
            return None;
        }
        match secrets::ask("Password") {
            Ok(password) => self.hand_over(SecretKind::Password, password, false),
            Err(problem) => self.give_up(miss.unwrap_or(problem)),
        }
    }

    pub(super) fn ask_new_pin(&mut self, refused: Option<Problem>) -> Option<Leave> {
        self.mode = Mode::NewPin { first: None };
        if let Some(fd) = self.options.new_pin_fd {
            return match secrets::from_fd(fd) {
                Ok(pin) => self.hand_over(SecretKind::NewPin, pin, false),
                Err(problem) => self.give_up(refused.unwrap_or(problem)),
            };
        }
        if self.screen.is_interactive() {
            self.editor.set_secret(true);
            return None;
        }
        match secrets::choose(None, "New PIN", |pin| cards::check_new_pin(pin, None)) {
            Ok(pin) => self.hand_over(SecretKind::NewPin, pin, false),
            Err(problem) => self.give_up(refused.unwrap_or(problem)),
        }
    }

    pub(super) fn hand_over(
        &mut self,
        kind: SecretKind,
        value: Zeroizing<String>,
        last_try: bool,
    ) -> Option<Leave> {
        match self.face.secret(kind, value, last_try) {
            Ok(()) => None,
            Err(problem) if !self.screen.is_interactive() || self.options.pin_fd.is_some() => {
                self.give_up(problem)
            }
            Err(problem) => {
                let text = self.screen.style.bad(&problem.to_string());
                self.screen.line(&text);
                None
            }
        }
    }

    /// Without anybody to ask, the attempt is over.
    pub(super) fn give_up(&mut self, problem: Problem) -> Option<Leave> {
        let renewing = self.was_in;
        let _ = self.face.request(Intent::Cancel);
        if renewing {
            None
        } else {
            Some(Leave::With(problem))
        }
    }
}
