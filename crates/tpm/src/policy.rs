// SPDX-License-Identifier: MIT OR Apache-2.0
//! Digests of policies, computed on this side (part 3, 23): what a policy session must have
//! gathered. Whoever checks evidence of a chip computes the same.

use crate::crypto::{DIGEST_BYTES, sha256};
use crate::name::Name;
use tpm2_protocol::data::TpmCc;

/// A policy's digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy([u8; DIGEST_BYTES]);

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy {
    /// Nothing was asked for yet.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; DIGEST_BYTES])
    }

    /// The digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// And the secret of an entity must have been proved.
    #[must_use]
    pub fn secret(self, entity: &Name) -> Self {
        // The second step takes in the reference, which is always empty here.
        let first = self.extend(TpmCc::PolicySecret, entity.as_bytes());
        Self(sha256(&first.0))
    }

    /// And the secret of the entity itself must be proved with the command.
    #[must_use]
    pub fn auth_value(self) -> Self {
        self.extend(TpmCc::PolicyAuthValue, &[])
    }

    /// And only for this command.
    #[must_use]
    pub fn command(self, code: TpmCc) -> Self {
        self.extend(TpmCc::PolicyCommandCode, &(code as u32).to_be_bytes())
    }

    /// One of these, two to eight.
    #[must_use]
    pub fn any_of(branches: &[Self]) -> Self {
        let all: Vec<u8> = branches.iter().flat_map(|branch| branch.0).collect();
        Self::new().extend(TpmCc::PolicyOr, &all)
    }

    fn extend(self, code: TpmCc, bytes: &[u8]) -> Self {
        Self(sha256(
            &[&self.0[..], &(code as u32).to_be_bytes(), bytes].concat(),
        ))
    }
}
