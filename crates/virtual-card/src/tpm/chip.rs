// SPDX-License-Identifier: MIT OR Apache-2.0
//! The chip of a card: short conversations, each with one salted session.

use std::sync::{Arc, Mutex, PoisonError};

use lanyard_tpm::{
    AuthValue, Blob, Connect, Hierarchy, Name, Object, SavedObject, Session, SessionKind, Template,
    Tpm, TpmError, TpmRcBase,
};
use zeroize::Zeroizing;

use crate::keeper::KeeperError;
use crate::sealed::sha256;

/// Opens conversations with the chip that a card was made in.
pub(super) struct Chip {
    connect: Arc<dyn Connect>,
    /// The name of the storage key, which tells one chip from another; none while a card is made.
    storage: Option<Name>,
    /// The storage key, encrypted by the chip, so that it is derived once and not for every
    /// signature. Good until the chip's next power-up.
    saved: Mutex<Option<SavedObject>>,
}

/// One conversation: the storage key is loaded, and a session is salted to it.
pub(super) struct Talk {
    pub(super) tpm: Tpm,
    pub(super) storage: Object,
    pub(super) session: Session,
}

impl Chip {
    pub(super) fn new(connect: Arc<dyn Connect>, storage: Option<Name>) -> Self {
        Self {
            connect,
            storage,
            saved: Mutex::new(None),
        }
    }

    /// From now on only the chip with this storage key is this card's.
    pub(super) fn pin_to(&mut self, storage: Name) {
        self.storage = Some(storage);
    }

    /// Begins a conversation.
    pub(super) fn begin(&self) -> Result<Talk, TpmError> {
        let mut tpm = self.connect.connect()?;
        let storage = self.storage_key(&mut tpm)?;
        // Somebody between us and the chip, or another chip, has another key; the PIN of this card
        // is not for them.
        if self
            .storage
            .as_ref()
            .is_some_and(|name| *name != storage.public().name())
        {
            return Err(TpmError::Forged);
        }
        let session = tpm.start_session(SessionKind::Hmac, Some(&storage))?;
        Ok(Talk {
            tpm,
            storage,
            session,
        })
    }

    fn storage_key(&self, tpm: &mut Tpm) -> Result<Object, TpmError> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*saved {
            match tpm.restore(known) {
                Ok(object) => return Ok(object),
                Err(error) if error.is_unreachable() => return Err(error),
                // The chip was powered up anew: what it encrypted before is void.
                Err(_) => *saved = None,
            }
        }
        let object = tpm.create_primary(Hierarchy::Owner, &Template::storage())?;
        *saved = Some(tpm.save(&object)?);
        Ok(object)
    }
}

impl Talk {
    /// Loads an object of this card.
    pub(super) fn load(&mut self, blob: &Blob) -> Result<Object, TpmError> {
        self.tpm.load(&self.storage, blob)
    }

    /// Seals data in the chip.
    pub(super) fn seal(
        &mut self,
        auth: &AuthValue,
        data: &[u8],
        template: &Template,
    ) -> Result<Blob, TpmError> {
        self.tpm
            .create(&self.storage, auth, data, template, &mut self.session)
    }

    /// Makes room: an object that is not needed any more in this conversation.
    pub(super) fn drop_object(&mut self, object: &Object) -> Result<(), TpmError> {
        self.tpm.flush(object.handle().value())
    }
}

/// What the chip is asked with instead of the PIN or PUK itself: bound to card and place.
pub(super) fn secret_of(place: &str, guid: &[u8], typed: &[u8]) -> Zeroizing<Vec<u8>> {
    let parts = [
        b"lanyard tpm card v1 ",
        place.as_bytes(),
        b" ",
        guid,
        b" ",
        typed,
    ];
    Zeroizing::new(sha256(&Zeroizing::new(parts.concat())))
}

/// The same, ready for the chip.
pub(super) fn auth_of(place: &str, guid: &[u8], typed: &[u8]) -> AuthValue {
    AuthValue::new(&secret_of(place, guid, typed))
}

impl From<&TpmError> for KeeperError {
    fn from(error: &TpmError) -> Self {
        // What the card's holder or a help desk can act on is told apart; the rest is in the log.
        tracing::warn!(%error, "the TPM did not do what the card needs");
        match error {
            error if error.is(TpmRcBase::Lockout) => Self::LockedOut,
            error if error.is_unreachable() => Self::Unreachable,
            TpmError::Busy(_) => Self::Unreachable,
            _ => Self::Device,
        }
    }
}

impl From<TpmError> for KeeperError {
    fn from(error: TpmError) -> Self {
        Self::from(&error)
    }
}
