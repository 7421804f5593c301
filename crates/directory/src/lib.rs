// SPDX-License-Identifier: MIT OR Apache-2.0
//! People, accounts, groups, policy and one-time codes: who may come in, and how.
//!
//! This crate opens no database and no socket, reads no clock and draws no random numbers: times
//! and random bytes are arguments, and storage is a trait that `store` implements.

mod account;
mod address;
mod code;
mod group;
mod import;
mod password;
mod policy;
mod search;
mod snapshot;
mod storage;

pub use account::{
    Account, AccountChange, AccountDomain, AccountId, AccountIdError, NewAccount, PhotoHash,
    PhotoHashError, TEXT_CHARS_MAX, TextError, check_text,
};
pub use address::{AddressError, DomainName, Email, SipAddress, Upn};
pub use code::{
    CODE_ENTROPY_BYTES, CODE_LIFETIME, CODE_SALT_BYTES, CODE_TRIES_MAX, CODE_TRY_WINDOW,
    CodeRefused, CodeText, CodeVerdict, EnrolCode, StoredCode,
};
pub use group::{Group, GroupName, GroupNameError};
pub use import::{
    IMPORT_BYTES_MAX, IMPORT_ROWS_MAX, ImportError, ImportFault, ImportRow, parse_import,
};
pub use password::{
    PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, Password, PasswordError, PasswordHash,
    PasswordHashError,
};
pub use policy::{
    CARD_REMOVAL_GRACE_SECONDS_DEFAULT, CARD_REMOVAL_GRACE_SECONDS_MAX,
    CHAT_CERTIFICATE_HOURS_DEFAULT, CHAT_CERTIFICATE_HOURS_MAX, CHAT_CERTIFICATE_HOURS_MIN,
    CardKind, CardKinds, CardRemoval, EffectivePolicy, GroupPolicy, KeyAssurance,
    MissingPresenceKey, PRESENCE_PROOF_MINUTES_MAX, PolicyError, UnknownCardKind, UnknownWord,
};
pub use search::{SEARCH_TEXT_CHARS_MAX, SEARCH_WORDS_MAX, Search, SearchField};
pub use snapshot::{Directory, Snapshot};
pub use storage::{DirectoryStore, EnrolCodes, StorageError};
