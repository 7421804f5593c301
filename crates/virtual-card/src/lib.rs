// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card we make: the PIV application, the keepers of its secrets, and its link to a reader.
//!
//! It knows no person, no server and no certificate: to it a certificate is the contents of an
//! object. What it guards it guards only as well as its keeper: a sealed file offers **no hardware
//! protection**, and says so.
//!
//! # What the card speaks
//!
//! PIV (SP 800-73-4) on the contact interface, without its optional parts: SELECT by any prefix of
//! the AID, GET DATA and PUT DATA of every object, VERIFY, CHANGE REFERENCE DATA, RESET RETRY
//! COUNTER, GENERAL AUTHENTICATE (ECDSA and ECDH on P-256 and P-384, RSA-2048, the management key by
//! 3DES or AES, one way or both ways), GENERATE ASYMMETRIC KEY PAIR in all 24 slots, chaining, GET
//! RESPONSE and extended lengths. Not built: the global PIN, biometrics on the card, secure
//! messaging and the virtual contact interface, import of keys.
//!
//! What it answers is compared with another maker's card, row by row, in the whole-system test
//! `piv_edge`; what differs stands there with its reason.
//!
//! Three things are ours. With the PIN that the card was made with, private keys answer `6985`
//! until the PIN was changed, except for one signature under a key that was generated in the same
//! session under the management key: the enrolment request. A PIN that counts, repeats or is the old
//! one is refused with `6A80` and costs no try. A verified PIN is forgotten after
//! [`VERIFIED_IDLE_MAX`] without use.
//!
//! Two commands are Yubico's, since PIV has none for the purpose: GET METADATA (`F7`) tells whether
//! PIN, PUK and management key are still the first ones and how many tries are left; SET MANAGEMENT
//! KEY (`FF`, P1 `FF`, P2 `FF`) replaces the management key after it was proved. The card claims no
//! version of a YubiKey: `FD` and `F8` are unknown to it.
//!
//! # Who may use it
//!
//! Each connection to the card's socket is a session of its own: it starts and ends with a reset
//! card, and what it verified is of no use to the others. Tries are counted, durably, before a PIN
//! or PUK is looked at.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod application;
mod cards;
mod daemon;
mod instance;
mod keeper;
pub mod link;
mod pin_digits;
mod places;
mod sealed;
#[cfg(test)]
mod testing;
mod tpm;

pub use application::{Application, VERIFIED_IDLE_MAX, VERIFIED_MAX};
pub use cards::{
    ADMIN_KEY_FILE, AdminKeyChoice, CardName, CardNameError, CardSpec, CardSummary, CreateError,
    Created, DestroyError, Held, HoldError, KeeperChoice, Listed, PinChoice, PukChoice, ReadError,
    SlotSummary, admin_key, create, destroy, first_objects, forget_admin_key, hold, keeps_own_puk,
    list,
};
pub use daemon::{Daemon, DaemonLock, DaemonLockError, daemon};
pub use instance::{CARDS_MAX, InstanceId, NotAnInstance};
pub use keeper::{Keeper, KeeperError, Opened, Protection, ReferenceError, ReferenceStatus};
/// A TPM's place, as configuration names it.
pub use lanyard_tpm::{Device as TpmDevice, TpmError};
pub use pin_digits::{NotPinDigits, PinDigits};
pub use places::{Places, PlacesError};
pub use sealed::{
    ClaimError, DESK_CHALLENGE_SECS_MAX, DESK_TRIES_MAX, DESK_UNBLOCKINGS_MAX, FileStorage,
    FormatError, KdfCost, MemoryStorage, NewCard, Presence, STATE_FILE, SealedCard, Storage,
};
pub use tpm::{AttestationChoice, KeyEvidence, NewTpmCardError, OpenError, TpmCard};

/// Wrong PINs before the PIN is blocked.
pub const PIN_TRIES_MAX: u8 = 3;
/// Wrong PUKs before the PUK is blocked, for good.
pub const PUK_TRIES_MAX: u8 = 3;
/// Bytes of a card's GUID.
pub(crate) const GUID_BYTES: usize = 16;
