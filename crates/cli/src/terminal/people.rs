// SPDX-License-Identifier: MIT OR Apache-2.0
//! People who were found, and their cards.

use lanyard_client::SignInAddress;
use lanyard_client::agent::protocol::ReplyBody;

use super::session::Terminal;
use crate::people;

impl Terminal {
    /// Shows people and cards that were asked for.
    pub(super) fn people_replied(&mut self, body: &ReplyBody) {
        if let Some(people) = &body.people {
            let more = body.more == Some(true);
            for line in people::people_lines(people, more, self.screen.style) {
                self.screen.line(&line);
            }
            self.found = people.iter().map(|one| one.address.clone()).collect();
        }
        if let Some(person) = &body.person {
            for line in people::person_lines(person, self.screen.style) {
                self.screen.line(&line);
            }
        }
    }

    /// The address that was typed, or the one with this number among those found last.
    pub(super) fn found_or_typed(&self, typed: &str) -> Result<SignInAddress, ()> {
        let number = typed.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        if let Some(found) = number.and_then(|number| self.found.get(number)) {
            return Ok(found.clone());
        }
        typed.parse().map_err(|_| ())
    }
}
