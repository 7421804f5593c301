// SPDX-License-Identifier: MIT OR Apache-2.0
//! The chip's commands, one method each.

mod keys;
mod nv;
mod objects;
mod policies;
mod randomness;
mod sessions;

pub use keys::Signature;
pub use nv::{NvPublic, PIN_COUNTER_BYTES, PinCounter};
pub use objects::{Blob, Hierarchy, Object, SavedObject};
