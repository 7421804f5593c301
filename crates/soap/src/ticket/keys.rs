// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys that seal tickets, and their rotation.

use std::fmt;

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::issue::TicketIssuer;
use super::verify::TicketVerifier;

/// Keys that still open tickets: the current one and those before it.
///
/// With a rotation every few hours this covers the longest life of a ticket.
pub const KEYS_KEPT_MAX: usize = 3;

const SECRET_BYTES: usize = 32;

/// Names a key inside a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 8]);

/// A secret that seals and opens tickets.
#[derive(Clone)]
pub struct TicketKey {
    id: KeyId,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

/// The generator of random numbers failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no random numbers for a ticket key")]
pub struct TicketKeyError;

impl TicketKey {
    /// A fresh key.
    pub fn random() -> Result<Self, TicketKeyError> {
        let mut id = [0; 8];
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        rand::fill(&mut id).map_err(|_| TicketKeyError)?;
        rand::fill(secret.as_mut_slice()).map_err(|_| TicketKeyError)?;
        Ok(Self {
            id: KeyId(id),
            secret,
        })
    }

    /// A key that was kept elsewhere.
    #[must_use]
    pub fn from_bytes(id: KeyId, secret: [u8; SECRET_BYTES]) -> Self {
        Self {
            id,
            secret: Zeroizing::new(secret),
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn secret(&self) -> &[u8] {
        self.secret.as_slice()
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKey({:?}, ..)", self.id)
    }
}

/// The keys in use, the newest first.
#[derive(Debug, Clone)]
pub struct TicketKeyRing {
    current: TicketKey,
    earlier: Vec<TicketKey>,
}

impl TicketKeyRing {
    /// A ring of one key.
    #[must_use]
    pub fn new(current: TicketKey) -> Self {
        Self {
            current,
            earlier: Vec::new(),
        }
    }

    /// Makes `next` the sealing key. The oldest key beyond [`KEYS_KEPT_MAX`] is forgotten, and
    /// the tickets it sealed with it.
    pub fn rotate(&mut self, next: TicketKey) {
        let previous = std::mem::replace(&mut self.current, next);
        self.earlier.insert(0, previous);
        self.earlier.truncate(KEYS_KEPT_MAX - 1);
    }

    /// What makes tickets.
    #[must_use]
    pub fn issuer(&self) -> TicketIssuer<'_> {
        TicketIssuer::new(&self.current)
    }

    /// What opens tickets.
    #[must_use]
    pub fn verifier(&self) -> TicketVerifier<'_> {
        TicketVerifier::new(self)
    }

    pub(super) fn find(&self, id: KeyId) -> Option<&TicketKey> {
        std::iter::once(&self.current)
            .chain(&self.earlier)
            .find(|key| key.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> TicketKey {
        TicketKey::from_bytes(KeyId([n; 8]), [n; 32])
    }

    #[test]
    fn a_key_is_kept_for_exactly_as_many_rotations_as_the_limit_says() {
        let mut ring = TicketKeyRing::new(key(0));
        for n in 1..KEYS_KEPT_MAX {
            ring.rotate(key(u8::try_from(n).unwrap()));
        }
        assert!(ring.find(KeyId([0; 8])).is_some());
        ring.rotate(key(99));
        assert!(ring.find(KeyId([0; 8])).is_none());
        assert!(ring.find(KeyId([99; 8])).is_some());
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let shown = format!("{:?}", TicketKey::from_bytes(KeyId([1; 8]), [0xAB; 32]));
        assert!(
            !shown.contains("171") && !shown.to_lowercase().contains("abab"),
            "{shown}"
        );
        assert!(shown.ends_with("..)"));
    }

    #[test]
    fn random_keys_differ() {
        let (a, b) = (TicketKey::random().unwrap(), TicketKey::random().unwrap());
        assert_ne!(a.id(), b.id());
        assert_ne!(a.secret(), b.secret());
    }
}
