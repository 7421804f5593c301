// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card in a reader: PC/SC, PIV sessions, insertion and removal.
//!
//! This crate asks nobody for a PIN, keeps none longer than one use, and tries nothing twice by
//! itself. All calls block; run them on a thread that may. A card that hangs yields
//! [`CardFault::CardMute`] after a time limit.
//!
//! ```no_run
//! use lanyard_card::{CardWay, Cards, LastTry, Scheme};
//! use lanyard_piv::{Pin, Slot};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cards = Cards::new(CardWay::Auto, None);
//! let listing = cards.list()?;
//! let card = listing.cards().next().ok_or("no card")?;
//! let mut session = cards.open(&card.reader)?;
//! session.verify(&Pin::parse("482913")?, LastTry::Refuse)?;
//! let signature = session.sign(Slot::Authentication, Scheme::EcdsaP256Sha256, b"message")?;
//! # Ok(())
//! # }
//! ```
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod admin;
mod cards;
mod channel;
mod desk;
mod events;
mod fault;
mod listing;
mod make;
mod pad;
mod padding;
#[cfg(feature = "pcsc")]
mod pcsc;
mod pin_entry;
mod pkcs11;
mod scheme;
mod session;
#[cfg(test)]
mod session_tests;
mod signer;
mod socket;
#[cfg(test)]
mod testing;
mod vouch;

#[cfg(feature = "pcsc")]
pub use self::pcsc::PcscProvider;
pub use cards::{CardWay, Cards, WAIT_SLICE_MILLIS};
pub use channel::{
    Cancel, CardPath, Channel, Control, EXCHANGE_SECS_MAX, Ending, GENERATE_SECS_MAX, Provider,
    ReaderId, ReaderState, Readers, Slotted,
};
pub use desk::DeskOutcome;
pub use events::{CardEvent, changes};
pub use fault::CardFault;
/// The words of the card: PINs, keys, slots.
pub use lanyard_piv as piv;
pub use listing::{CardKind, CardSummary, Listing, PinSummary, ReaderSummary};
pub use make::{CardVersion, Make, Recognised};
pub use pad::{PAD_SECS, PinPad};
pub use pin_entry::{PinEntry, TokenPin, TokenPinError};
pub use pkcs11::{
    HelperProgram, Pkcs11Settings, TokenCertificate, TokenSession, registered_modules,
    serve_pkcs11_module,
};
pub use scheme::{Scheme, SchemeError};
pub use session::{CardSession, KeyPresence, LastTry, PinStatus};
pub use signer::CardSigner;
pub use socket::{SocketProvider, default_socket_directory};
pub use vouch::CardAttestation;

/// True when this build reaches cards through PC/SC.
pub const HAS_PCSC: bool = cfg!(feature = "pcsc");
