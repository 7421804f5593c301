// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handles and names: a handle is a place in the chip, a name says what lies there.

use crate::crypto::sha256;

/// `TPM_ALG_SHA256`: all names of ours are made with it.
pub(crate) const SHA256: u16 = 0x000B;

/// An entity's name (part 1, 16): for objects and indices the hash of their public area, so that
/// what an authorisation is given for cannot be exchanged on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(Vec<u8>);

impl Name {
    /// The name of an object or index with this public area, hashed with SHA-256.
    #[must_use]
    pub fn of_public(area: &[u8]) -> Self {
        Self([&SHA256.to_be_bytes()[..], &sha256(area)].concat())
    }

    /// The name of what has no public area: its handle.
    #[must_use]
    pub fn of_handle(handle: u32) -> Self {
        Self(handle.to_be_bytes().to_vec())
    }

    /// A name that was stored or told.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A place in the chip, and what is expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    pub(crate) value: u32,
    pub(crate) name: Name,
}

impl Handle {
    /// A hierarchy or a session: its handle is its name.
    #[must_use]
    pub fn permanent(value: u32) -> Self {
        Self {
            value,
            name: Name::of_handle(value),
        }
    }

    /// An object or index that is expected to have this name.
    #[must_use]
    pub fn named(value: u32, name: Name) -> Self {
        Self { value, name }
    }

    /// Its number.
    #[must_use]
    pub fn value(&self) -> u32 {
        self.value
    }

    /// What is expected there.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }
}
