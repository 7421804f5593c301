// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making, listing and destroying virtual cards, in tpmvscmgr's words and with its defaults.

mod care;
mod listing;
mod making;
mod spec;

pub use care::{forget_admin_key, keeps_own_puk};
pub use listing::{
    CardSummary, Held, HoldError, Listed, ReadError, SlotSummary, admin_key, hold, list,
};
pub use making::{CreateError, Created, DestroyError, create, destroy, first_objects};
pub use spec::{
    AdminKeyChoice, CardName, CardNameError, CardSpec, KeeperChoice, PinChoice, PukChoice,
};

/// Name of the file with the management key of a card that was made with a random one.
pub const ADMIN_KEY_FILE: &str = "admin-key";

#[cfg(test)]
mod tests;
