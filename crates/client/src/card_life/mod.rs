// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens to a card after it was made: keys at enrolment, renewal, unblocking by the help desk, and a person's
//! other cards.

mod mine;
mod personalise;
mod reach;
mod reminder;
mod renewal;
mod unblock;

pub use mine::{MyCard, MyCards};
pub(crate) use personalise::{CardKeysBody, Care, Personalised, care_of, personalise};
pub use reach::Reach;
pub(crate) use reach::{computer_name, find_service};
pub use reminder::{REMINDER_DAYS, reminder, reminder_due};
pub(crate) use renewal::authenticate;
pub use renewal::{RenewalOrder, Renewed, renew};
pub use unblock::{DeskWay, desk_way, unblock_with_code, unblock_with_response};
