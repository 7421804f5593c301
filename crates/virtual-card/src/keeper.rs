// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seam between the card's commands and what guards its secrets.
//!
//! The computer's TPM is one keeper, the sealed file another.

use std::fmt;

use std::time::SystemTime;

use lanyard_piv::{
    Algorithm, DeskKey, DeskReadiness, DeskResponse, Guid, ManagementAlgorithm, ManagementKey,
    NewPin, ObjectId, Pin, PublicKey, Puk, Slot, Tries,
};
use zeroize::Zeroizing;

use crate::tpm::KeyEvidence;

/// How well a card's secrets are guarded against somebody who has the computer's disk.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// The computer's TPM: keys do not leave it, and it counts tries itself.
    Tpm,
    /// A file sealed under the PIN: eight digits can be tried out by whoever copies it.
    SealedFile,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tpm => f.write_str("in the TPM of this computer"),
            Self::SealedFile => f.write_str("sealed file, no hardware protection"),
        }
    }
}

/// What opens the private keys after the right PIN; zeroed when dropped.
///
/// It belongs to one session of one card: what it holds is the keeper's business.
pub struct Opened(Zeroizing<Vec<u8>>);

impl Opened {
    /// Wraps what the keeper needs.
    #[must_use]
    pub fn new(secret: Zeroizing<Vec<u8>>) -> Self {
        Self(secret)
    }

    /// What the keeper wrapped.
    #[must_use]
    pub fn secret(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened(..)")
    }
}

/// Why a PIN or PUK did not do what it should.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Wrong; so many tries are left.
    #[error("wrong, {tries_left} tries left")]
    Wrong {
        /// Tries before it is blocked.
        tries_left: u8,
    },
    /// No tries are left.
    #[error("blocked")]
    Blocked,
    /// The new PIN is the old one.
    #[error("the new PIN is the old one")]
    SameAsOld,
    /// The new PIN is shorter or longer than this card takes.
    #[error("the new PIN has too few or too many digits for this card")]
    Refused,
    /// The keeper failed; nothing was given away and nothing is half done.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
}

/// Why a keeper cannot do its work.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeeperError {
    /// The change could not be made durable, so it was not made.
    #[error("the card's state cannot be written")]
    NotWritten,
    /// There is no key in this slot.
    #[error("there is no key in this slot")]
    NoKey,
    /// The key needs the PIN.
    #[error("the key needs the PIN")]
    NotOpened,
    /// This kind of key, or this use of it, is not known here.
    #[error("this kind of key cannot be used this way")]
    Unsupported,
    /// The input does not fit the key.
    #[error("the input does not fit the key")]
    Input,
    /// There is no room for more objects.
    #[error("there is no room for more objects")]
    Full,
    /// A stored secret does not open: the state is damaged.
    #[error("the card's state is damaged")]
    Damaged,
    /// The TPM cannot be reached, or is busy for too long.
    #[error("the TPM does not answer")]
    Unreachable,
    /// The TPM's common lockout is on: other programs gave it too many wrong secrets.
    #[error("the TPM is locked for everyone for a while")]
    LockedOut,
    /// The TPM refused what it should not refuse.
    #[error("the TPM refused")]
    Device,
}

/// The PIN's or the PUK's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReferenceStatus {
    /// Tries left, and tries after a success.
    pub tries: Tries,
    /// Still the value that the card was made with.
    pub initial: bool,
}

/// Guards one card's secrets, counters and objects.
///
/// Every change is durable before the method returns. A method that fails changed nothing, except
/// that a try may have been counted: a try is counted *before* the PIN or PUK is looked at, so that
/// pulling the plug gives no free guess.
pub trait Keeper: Send {
    /// How well the secrets are guarded.
    fn protection(&self) -> Protection;
    /// The card's GUID.
    fn guid(&self) -> Guid;
    /// Whether private keys are refused until the first PIN was changed.
    fn forces_pin_change(&self) -> bool;
    /// The PIN's state.
    fn pin_status(&self) -> ReferenceStatus;
    /// The PUK's state.
    fn puk_status(&self) -> ReferenceStatus;
    /// Grows whenever what was opened with the former PIN must no longer count.
    fn pin_epoch(&self) -> u64;

    /// Checks the PIN.
    fn verify(&mut self, pin: &Pin) -> Result<Opened, ReferenceError>;
    /// Replaces the PIN.
    fn change_pin(&mut self, old: &Pin, new: &NewPin) -> Result<Opened, ReferenceError>;
    /// Replaces the PUK.
    fn change_puk(&mut self, old: &Puk, new: &Puk) -> Result<(), ReferenceError>;
    /// Sets a new PIN by means of the PUK, and gives back all tries.
    fn unblock(&mut self, puk: &Puk, new: &NewPin) -> Result<(), ReferenceError>;

    /// The kinds of management key that the card answers to, the reported one first.
    fn management_algorithms(&self) -> Vec<ManagementAlgorithm>;
    /// Whether the management key is still the published default.
    fn management_is_initial(&self) -> bool;
    /// The management key, to check an answer with.
    fn management_key(&self) -> Result<ManagementKey, KeeperError>;
    /// Replaces the management key.
    fn set_management_key(
        &mut self,
        algorithm: ManagementAlgorithm,
        key: &ManagementKey,
    ) -> Result<(), KeeperError>;

    /// The key in a slot.
    fn key(&self, slot: Slot) -> Option<PublicKey>;
    /// Makes a new key pair in a slot; needs no PIN.
    fn generate(&mut self, slot: Slot, algorithm: Algorithm) -> Result<PublicKey, KeeperError>;
    /// The kinds of key that it can make, the preferred one first.
    fn algorithms(&self) -> Vec<Algorithm>;
    /// Signs a digest: an ECDSA signature in DER.
    fn sign(
        &mut self,
        slot: Slot,
        opened: Option<&Opened>,
        digest: &[u8],
    ) -> Result<Vec<u8>, KeeperError>;
    /// Agrees on a secret with the holder of a point (ECDH).
    fn agree(
        &mut self,
        slot: Slot,
        opened: Option<&Opened>,
        point: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeeperError>;
    /// The bare private operation of an RSA key on a block that the host padded: exactly as long as
    /// the modulus and smaller than it, else [`KeeperError::Input`]. The answer has the same length.
    /// To a PIV card signing and decrypting are the same; [`KeeperError::Unsupported`] for ECC keys.
    fn rsa(
        &mut self,
        slot: Slot,
        opened: Option<&Opened>,
        block: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeeperError>;

    /// The contents of an object.
    fn object(&self, object: ObjectId) -> Option<Vec<u8>>;
    /// Replaces an object; `None` removes it.
    fn put_object(&mut self, object: ObjectId, contents: Option<&[u8]>) -> Result<(), KeeperError>;

    /// Whether the card can be put into the care of a help desk at all.
    fn has_desk(&self) -> bool {
        false
    }
    /// Prepares the card for unblocking by the help desk, and gives the PUK up: from now on only the
    /// desk's responses replace the PIN. What is kept must not contain the key or any response.
    fn arm_desk(&mut self, opened: &Opened, key: &DeskKey) -> Result<(), KeeperError> {
        let _ = (opened, key);
        Err(KeeperError::Unsupported)
    }
    /// The challenge for the desk. It stays the same for [`crate::DESK_CHALLENGE_SECS_MAX`], then another
    /// takes its place. [`KeeperError::NoKey`] when the card was never armed or has used up all.
    fn desk_challenge(&mut self, now: SystemTime) -> Result<DeskReadiness, KeeperError> {
        let _ = now;
        Err(KeeperError::NoKey)
    }
    /// Sets a new PIN with the desk's response to the challenge that was shown, which is used up by it.
    fn desk_unblock(
        &mut self,
        response: &DeskResponse,
        new: &NewPin,
        now: SystemTime,
    ) -> Result<(), ReferenceError> {
        let _ = (response, new, now);
        Err(KeeperError::NoKey.into())
    }
    /// Moves key and certificate from one slot to another, both or neither.
    fn adopt(&mut self, from: Slot, to: Slot, opened: &Opened) -> Result<(), KeeperError> {
        let _ = (from, to, opened);
        Err(KeeperError::Unsupported)
    }

    /// Has the chip say that the key of a slot is in it; `qualifying` is the verifier's, at most 64
    /// bytes. [`KeeperError::Unsupported`] where there is no chip or no attestation key.
    fn attest(&mut self, slot: Slot, qualifying: &[u8]) -> Result<KeyEvidence, KeeperError> {
        let _ = (slot, qualifying);
        Err(KeeperError::Unsupported)
    }
    /// Opens what a verifier encrypted to the chip for this card's attestation key: `TPM2B_ID_OBJECT`
    /// and `TPM2B_ENCRYPTED_SECRET` without their lengths.
    fn activate(
        &mut self,
        id_object: &[u8],
        encrypted_secret: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeeperError> {
        let _ = (id_object, encrypted_secret);
        Err(KeeperError::Unsupported)
    }

    /// Fills `bytes` with randomness for challenges.
    fn random(&mut self, bytes: &mut [u8]) -> Result<(), KeeperError>;
}
