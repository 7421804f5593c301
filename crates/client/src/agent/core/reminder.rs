// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reminders that the certificate on the card in use ends soon.

use super::{Core, Effect};
use crate::card_life::{reminder, reminder_due};
use crate::session::Now;
use crate::signin::SignIn;
use crate::view::Event;

impl Core {
    /// The card that has just proved itself: its end is known from now on.
    pub(super) fn note_card_end(&mut self) {
        let used = self.sign_in.as_ref().and_then(SignIn::used_card);
        self.view.card_ends = used.and_then(|card| Some(card.certificate.as_ref()?.not_after));
        self.reminded = None;
    }

    /// Reminds once for each of the steps, and at once after a sign-in.
    pub(super) fn reminder_tick(&mut self, now: Now) {
        let (true, Some(end)) = (self.was_registered, self.view.card_ends) else {
            return;
        };
        let due = reminder_due(end, now.wall);
        if due.is_none() || due == self.reminded {
            return;
        }
        self.reminded = due;
        if let Some(problem) = reminder(end, now.wall) {
            let text = problem.to_string();
            self.effects.push(Effect::Event(Event::Notice { text }));
        }
    }
}
