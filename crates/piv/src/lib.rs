// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PIV data model and APDUs, for both edges of the card.
//!
//! This crate opens no reader, reads no clock and draws no random numbers: the host side (`card`)
//! and the card side (`virtual-card`) both turn bytes into values and values into bytes here.
//! Citations are to NIST SP 800-73-4 part 1 (data model) and part 2 (card commands), and to
//! SP 800-78-4 (algorithms).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod apdu;
mod authenticate;
mod chain;
mod chip;
mod commands;
mod desk;
mod management;
mod metadata;
mod objects;
mod public_key;
mod secret;
mod slot;
mod status;
pub mod tlv;

pub use apdu::{
    ApduError, CHAINED, COMMAND_DATA_BYTES_MAX, Command, EXPECTED_BYTES_EXTENDED_MAX,
    EXPECTED_BYTES_SHORT_MAX, Response, ResponseError, SHORT_DATA_BYTES_MAX,
};
pub use authenticate::DynamicAuthentication;
pub use chain::{Incoming, IncomingError, Outgoing};
pub use chip::{ChipEvidence, OpenedSecret, QUALIFYING_BYTES_MAX, WrappedSecret, chip_p1};
pub use commands::{
    AID, AID_PREFIX_BYTES_MIN, ins, key_reference, matches_application, reference_change,
};
pub use desk::{
    DESK_CHALLENGE_SYMBOLS, DESK_KEY_BYTES, DESK_RESPONSE_SYMBOLS, DeskChallenge, DeskKey,
    DeskReadiness, DeskResponse, DeskTextError, desk_p1,
};
pub use management::{
    ManagementAlgorithm, ManagementKey, ManagementKeyError, SetManagementKey, SetManagementKeyError,
};
pub use metadata::{Metadata, Tries};
pub use objects::{
    APPLICATION_LABEL, ApplicationTemplate, CapabilityContainer, CertificateObject, Chuid,
    Discovery, KeyHistory, OBJECT_BYTES_MAX, ObjectError, ObjectId, PutData,
};
pub use public_key::{GenerateTemplate, PublicKey, PublicKeyError};
pub use secret::{
    NewPin, NewPinError, PIN_BYTES, PIN_DIGITS_MAX, PIN_DIGITS_MIN, Pin, PinFormatError, Puk,
};
pub use slot::{Algorithm, Guid, GuidError, RetiredSlot, Slot};
pub use status::StatusWord;
