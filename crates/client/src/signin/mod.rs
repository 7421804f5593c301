// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way from an address to a chat certificate (S-09, S-50 to S-53), as a machine without IO.
//!
//! It knows what it wants next by what it does not know yet: the server, the ticket service, the card's token, the
//! certificate. One PIN entered is used for one VERIFY; nothing is tried again by itself.

mod cards;
mod input;
mod locate;
mod machine;
mod passive;
mod password;
mod provision;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod tests;

pub use input::{CardTrouble, CardsSeen, Input, Output};
pub(crate) use locate::check_url;
pub use locate::{Found, Locate, Progress, Query};
pub(crate) use machine::refusal;
pub use machine::{Order, SignIn};
