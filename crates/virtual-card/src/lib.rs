// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card we make: the PIV application, the keepers of its secrets, and its link to a reader.
//!
//! It knows no person, no server and no certificate: to it a certificate is the contents of an
//! object. What it guards it guards only as well as its keeper: a sealed file offers **no hardware
//! protection**, and says so.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod application;
mod cards;
mod daemon;
mod instance;
mod keeper;
pub mod link;
mod places;
mod sealed;
#[cfg(test)]
mod testing;

pub use application::{Application, VERIFIED_IDLE_MAX, VERIFIED_MAX};
pub use cards::{
    ADMIN_KEY_FILE, AdminKeyChoice, CardName, CardNameError, CardSpec, CardSummary, CreateError,
    Created, DestroyError, HoldError, Listed, PinChoice, PukChoice, ReadError, SlotSummary,
    admin_key, create, destroy, first_objects, hold, list,
};
pub use daemon::{Daemon, DaemonLock, DaemonLockError, daemon};
pub use instance::{CARDS_MAX, InstanceId, NotAnInstance};
pub use keeper::{Keeper, KeeperError, Opened, Protection, ReferenceError, ReferenceStatus};
pub use places::{Places, PlacesError};
pub use sealed::{
    ClaimError, FileStorage, FormatError, KdfCost, MemoryStorage, NewCard, Presence, STATE_FILE,
    SealedCard, Storage,
};

/// Wrong PINs before the PIN is blocked.
pub const PIN_TRIES_MAX: u8 = 3;
/// Wrong PUKs before the PUK is blocked, for good.
pub const PUK_TRIES_MAX: u8 = 3;
/// Bytes of a card's GUID.
pub(crate) const GUID_BYTES: usize = 16;
