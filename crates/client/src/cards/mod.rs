// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards for the client: what they say in words, which one fits an address, and what faces may do with them.

mod admin;
mod daemon;
mod facts;
mod listing;
mod pin_policy;
mod problems;
mod selection;
mod virtual_cards;

pub(crate) use admin::new_pin;
pub use admin::{
    CardChange, Purpose, change_pin, change_pin_on_reader, check_new_pin, check_puk, unblock,
};
pub use daemon::ensure_daemon;
pub use facts::{CardFacts, CertificateFacts};
pub use listing::{
    CardListing, CardState, CardView, CertificateView, ReaderView, SignInVerdict, list, list_for,
};
pub(crate) use listing::{facts_of, list_with_own};
pub use problems::{card_problem, new_pin_problem, pin_format_problem, tries_in_words};
pub use selection::{Fit, Remembered, fit};
pub use virtual_cards::{
    AdminKeyChoice, AttestationChoice, CreateCard, Created, KeeperChoice, PinChoice, PukChoice,
    create, destroy, is_first_pin, parse_admin_key, stored_admin_key,
};
pub(crate) use virtual_cards::{forget_stored_admin_key, keeps_own_puk};

use std::env;
use std::path::Path;
use std::sync::Arc;

use lanyard_card::{CardWay, Cards, HelperProgram, Pkcs11Settings};
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
    let cards = Cards::new(way, Some(places.card_sockets()));
    Arc::new(match config.card_path {
        // Whoever wants the virtual cards' sockets and nothing else gets nothing else.
        CardPath::Socket => cards,
        CardPath::Auto | CardPath::Pcsc => cards.with_pkcs11(Pkcs11Settings {
            modules: config.pkcs11_modules.clone(),
            helper: helper(),
        }),
    })
}

/// The program that runs PKCS #11 modules: `lanyard` itself, which is this program or lies beside it.
fn helper() -> HelperProgram {
    const PROGRAM: &str = "lanyard";
    let own = env::current_exe().unwrap_or_default();
    let is_it = own.file_name().is_some_and(|name| name == PROGRAM);
    let beside = own.parent().map(|folder| folder.join(PROGRAM));
    let program = if is_it {
        own
    } else {
        beside
            .filter(|path| path.is_file())
            .unwrap_or_else(|| PROGRAM.into())
    };
    HelperProgram {
        program,
        arguments: vec![PKCS11_VERB.into()],
    }
}

/// The hidden verb of `lanyard` that runs one PKCS #11 module for the program that started it.
pub const PKCS11_VERB: &str = "pkcs11-module";

/// Runs one PKCS #11 module for the program at the other end of standard input, until that end is closed.
///
/// # Errors
/// When standard input is no socket.
pub fn serve_pkcs11_module(module: &Path) -> Result<(), Problem> {
    lanyard_card::serve_pkcs11_module(module).map_err(card_problem)
}

/// Takes what a person typed as a PIN.
///
/// # Errors
/// When it is not six to eight digits.
pub fn parse_pin(text: &Zeroizing<String>) -> Result<lanyard_card::piv::Pin, Problem> {
    lanyard_card::piv::Pin::parse(text).map_err(|_| pin_format_problem())
}
