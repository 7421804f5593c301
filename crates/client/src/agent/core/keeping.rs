// SPDX-License-Identifier: MIT OR Apache-2.0
//! What policy asks of the card while somebody is signed in: that it stays, and that it shows that it is there.
//!
//! A plastic card that is taken out locks, ends or exits after a grace time; a virtual card is never taken out. Where
//! presence has to be proved, the card signs without a PIN (slot 9E) before its time is over; a card that does not is
//! told to the person, and the server ends the session.

use std::time::{Duration, Instant};

use lanyard_fault::Fault;

use super::{Core, Effect};
use crate::cards::CardFacts;
use crate::problem::Problem;
use crate::session::{CardPolicy, Now, Removal};
use crate::signin::{CardsSeen, Output, SignIn};
use crate::view::Event;

/// The server's words about policy are asked for again after this time.
const POLICY_AGAIN: Duration = Duration::from_secs(300);
/// A proof of presence that failed is tried again after this time.
const PROOF_AGAIN: Duration = Duration::from_secs(10);
/// Why the PIN is asked for in a session that is locked.
const UNLOCK_REASON: &str =
    "Lanyard is locked because your card was taken out. The PIN unlocks it.";

/// The card in use and what is asked of it.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    card: Option<CardFacts>,
    policy: CardPolicy,
    ask_policy_at: Option<Instant>,
    /// Since when the card is out.
    out_since: Option<Instant>,
    prove_at: Option<Instant>,
    is_proving: bool,
    /// The person was told that the card does not prove itself.
    was_told: bool,
    /// Why the session is being ended from here.
    pub(super) ending: Option<Problem>,
}

impl Keeping {
    /// This card is the one in use.
    #[cfg(test)]
    pub(super) fn hold(&mut self, card: CardFacts) {
        self.card = Some(card);
    }
}

impl Core {
    /// The card that has just proved itself is the one that has to stay.
    pub(super) fn keep_card(&mut self, now: Now) {
        let used = self.sign_in.as_ref().and_then(SignIn::used_card).cloned();
        let policy = self.keeping.policy;
        self.keeping = Keeping {
            card: used,
            policy,
            ask_policy_at: Some(now.at + POLICY_AGAIN),
            ..Keeping::default()
        };
        self.plan_proof(now);
        self.watch_card();
    }

    /// The session is over; the card may go where it likes.
    pub(super) fn keep_nothing(&mut self) {
        if self.wants_watch() && self.sign_in.is_none() {
            self.effects.push(Effect::SignIn(Output::StopWatching));
        }
        self.keeping = Keeping::default();
        self.view.locked = false;
        self.view.card_out = false;
    }

    /// Policy as the server says it now.
    pub(super) fn card_policy(&mut self, now: Now, policy: CardPolicy) {
        self.keeping.ask_policy_at = Some(now.at + POLICY_AGAIN);
        if self.keeping.policy == policy {
            return;
        }
        let had_proof = self.keeping.policy.proof;
        self.keeping.policy = policy;
        if had_proof != policy.proof {
            self.plan_proof(now);
        }
        self.watch_card();
    }

    /// Whether the readers are looked at for the session's sake.
    pub(super) fn wants_watch(&self) -> bool {
        let stays = |card: &CardFacts| card.summary.kind.is_virtual();
        self.session.is_some()
            && self.keeping.policy.removal != Removal::Nothing
            && self.keeping.card.as_ref().is_some_and(|card| !stays(card))
    }

    /// Looks at the readers from now on, unless the sign-in machine does so anyway.
    pub(super) fn watch_card(&mut self) {
        if self.wants_watch() && self.sign_in.is_none() {
            self.effects.push(Effect::SignIn(Output::WatchCards));
        }
    }

    /// The readers were looked at.
    pub(in crate::agent) fn cards_seen(&mut self, now: Now, seen: &CardsSeen) {
        if !self.wants_watch() || !self.was_registered || self.leaving.is_some() {
            return;
        }
        let is_here = self.is_here(seen);
        match (is_here, self.keeping.out_since) {
            (true, Some(_)) => {
                self.keeping.out_since = None;
                self.view.card_out = false;
                self.tell_session();
            }
            (false, None) if !self.view.locked => {
                self.keeping.out_since = Some(now.at);
                self.view.card_out = true;
                self.tell_session();
                let text = self.removal_words();
                self.effects.push(Effect::Event(Event::Notice { text }));
            }
            _ => {}
        }
    }

    /// A card that cannot be read just now, and a reader service that rests, are not a card that was taken out.
    fn is_here(&self, seen: &CardsSeen) -> bool {
        let Some(card) = &self.keeping.card else {
            return true;
        };
        let same = |other: &CardFacts| {
            other.remembered_as() == card.remembered_as() && other.remembered_as().is_some()
        };
        seen.cards.iter().any(same) || !seen.mute.is_empty() || seen.pcsc_fault.is_some()
    }

    fn removal_words(&self) -> String {
        let policy = self.keeping.policy;
        let seconds = policy.grace.as_secs();
        let what = match policy.removal {
            Removal::Nothing => return String::new(),
            Removal::Lock => "Lanyard locks",
            Removal::SignOut => "you are signed out",
            Removal::Exit => "you are signed out and Lanyard ends",
        };
        format!("Your card was taken out. Put it back, or {what} in {seconds} seconds.")
    }

    pub(super) fn keeping_tick(&mut self, now: Now) {
        if self.session.is_none() || !self.was_registered || self.leaving.is_some() {
            return;
        }
        if self.keeping.ask_policy_at.is_some_and(|at| at <= now.at) {
            self.keeping.ask_policy_at = Some(now.at + POLICY_AGAIN);
            if let Some(session) = &mut self.session {
                session.ask_policy(now);
            }
            self.session_actions(now);
        }
        let out = self.keeping.out_since;
        if out.is_some_and(|since| now.at.duration_since(since) >= self.keeping.policy.grace) {
            self.keeping.out_since = None;
            self.card_is_gone(now);
        }
        let due = self.keeping.prove_at.is_some_and(|at| at <= now.at);
        if let (true, false, Some(card), Some(service)) = (
            due,
            self.keeping.is_proving,
            self.keeping.card.clone(),
            self.sts_uri.clone(),
        ) {
            self.keeping.is_proving = true;
            let card = Box::new(card);
            self.effects.push(Effect::ProvePresence { card, service });
        }
    }

    fn card_is_gone(&mut self, now: Now) {
        match self.keeping.policy.removal {
            Removal::Nothing => {}
            Removal::Lock => self.lock(now),
            Removal::SignOut | Removal::Exit => {
                let exit = self.keeping.policy.removal == Removal::Exit;
                self.keeping.ending = Some(Fault::CardTakenOut.into());
                self.leave(now, None, false, exit);
            }
        }
    }

    fn lock(&mut self, now: Now) {
        self.view.locked = true;
        self.view.card_out = false;
        self.tell_session();
        self.begin_unlock(now);
    }

    /// Asks for the card and its PIN; who shows both sees everything again.
    pub(super) fn begin_unlock(&mut self, now: Now) {
        if self.sign_in.is_some() {
            return;
        }
        let (Some(service), Some(address)) = (self.sts_uri.clone(), self.view.address.clone())
        else {
            return;
        };
        if let Ok(mut unlock) = SignIn::renewal(&address, self.order(), &service, UNLOCK_REASON) {
            self.renewing = true;
            let outputs = unlock.begin();
            self.sign_in = Some(unlock);
            self.sign_in_outputs(now, outputs);
        }
    }

    /// Card and PIN were shown.
    pub(super) fn unlock(&mut self) {
        if !self.view.locked {
            return;
        }
        self.view.locked = false;
        self.tell_session();
        for face in self.attached.clone() {
            self.show_all(face);
        }
    }

    /// What a face may not see while nobody holds the card.
    pub(super) fn is_hidden(&self, effect: &Effect) -> bool {
        let (Effect::Event(event) | Effect::EventTo(_, event)) = effect else {
            return false;
        };
        self.view.locked
            && !matches!(
                event,
                Event::Session(_) | Event::Notice { .. } | Event::Exit
            )
    }

    fn plan_proof(&mut self, now: Now) {
        // Well before the server's limit, so that one that fails can be tried again.
        let ahead = |every: Duration| now.at + every.mul_f32(0.75);
        self.keeping.prove_at = self.keeping.policy.proof.map(ahead);
        self.keeping.was_told = false;
    }

    /// What came of a proof of presence.
    pub(in crate::agent) fn presence_proved(&mut self, now: Now, outcome: Result<(), Problem>) {
        self.keeping.is_proving = false;
        let Err(problem) = outcome else {
            return self.plan_proof(now);
        };
        tracing::info!(%problem, "the card did not prove that it is there");
        if self.keeping.policy.proof.is_none() {
            return;
        }
        self.keeping.prove_at = Some(now.at + PROOF_AGAIN);
        if !self.keeping.was_told {
            self.keeping.was_told = true;
            let told = Problem::new(Fault::PresenceUnproved).with_detail(problem.sentence);
            let text = told.to_string();
            self.effects.push(Effect::Event(Event::Notice { text }));
        }
    }
}
