// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plain owned data that the hub, the store and the client share.

pub mod availability;
pub mod people;
pub mod roster;
pub mod store;
pub mod uri;
