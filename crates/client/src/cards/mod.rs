// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards for the client: what they say in words, which one fits an address, and what faces may do with them.

mod admin;
mod daemon;
mod facts;
mod listing;
mod problems;
mod selection;
mod virtual_cards;

pub(crate) use admin::new_pin;
pub use admin::{CardChange, Purpose, change_pin, check_new_pin, check_puk, unblock};
pub use daemon::ensure_daemon;
pub use facts::{CardFacts, CertificateFacts};
pub use listing::{CardListing, CardState, CardView, CertificateView, ReaderView, list};
pub(crate) use listing::{facts_of, list_with_own};
pub use problems::{card_problem, new_pin_problem, pin_format_problem, tries_in_words};
pub use selection::{Fit, Remembered, fit};
pub use virtual_cards::{
    AdminKeyChoice, CreateCard, Created, PinChoice, PukChoice, create, destroy, is_first_pin,
    parse_admin_key, stored_admin_key,
};

use std::sync::Arc;

use lanyard_card::{CardWay, Cards};
use zeroize::Zeroizing;

use crate::config::{CardPath, ClientConfig};
use crate::places::Places;
use crate::problem::Problem;

/// The cards that this configuration reaches.
#[must_use]
pub fn open(config: &ClientConfig, places: &Places) -> Arc<Cards> {
    let way = match config.card_path {
        CardPath::Auto => CardWay::Auto,
        CardPath::Pcsc => CardWay::Pcsc,
        CardPath::Socket => CardWay::Socket,
    };
    Arc::new(Cards::new(way, Some(places.card_sockets())))
}

/// Takes what a person typed as a PIN.
///
/// # Errors
/// When it is not six to eight digits.
pub fn parse_pin(text: &Zeroizing<String>) -> Result<lanyard_card::piv::Pin, Problem> {
    lanyard_card::piv::Pin::parse(text).map_err(|_| pin_format_problem())
}
