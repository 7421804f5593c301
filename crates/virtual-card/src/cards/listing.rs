// SPDX-License-Identifier: MIT OR Apache-2.0
//! What cards there are, what they tell without a PIN, and taking one into this process.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::{Arc, Mutex};

use lanyard_piv::{Guid, ManagementKey, PublicKey, Slot};
use zeroize::Zeroizing;

use super::ADMIN_KEY_FILE;
use crate::link::SharedKeeper;
use crate::sealed::{self, ClaimError};
use crate::tpm::TpmState;
use crate::{
    FileStorage, FormatError, InstanceId, Keeper, OpenError, Places, Presence, Protection,
    ReferenceStatus, SealedCard, TpmCard,
};

const ADMIN_KEY_FILE_BYTES_MAX: u64 = 256;

/// What a card tells without being asked for a PIN.
#[derive(Debug)]
pub struct CardSummary {
    /// The person's name for it.
    pub name: String,
    /// Its GUID.
    pub guid: Guid,
    /// How well its secrets are guarded.
    pub protection: Protection,
    /// The PIN's state.
    pub pin: ReferenceStatus,
    /// The PUK's state.
    pub puk: ReferenceStatus,
    /// Whether the management key is still the published default.
    pub admin_key_is_default: bool,
    /// The slots that hold something.
    pub slots: Vec<SlotSummary>,
}

/// What lies in one slot.
#[derive(Debug)]
pub struct SlotSummary {
    /// The slot.
    pub slot: Slot,
    /// The public half of its key.
    pub key: Option<PublicKey>,
    /// The contents of its certificate object, as the card holds them.
    pub certificate: Option<Vec<u8>>,
}

/// A card in a list, or why it cannot be read.
#[derive(Debug)]
pub struct Listed {
    /// Its instance id.
    pub instance: InstanceId,
    /// What it tells.
    pub card: Result<CardSummary, ReadError>,
}

/// Why a card's file cannot be used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("the card's file cannot be read")]
    Read(#[source] io::Error),
    /// The file is damaged, foreign or too new.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// Lists the cards of a person; a card that somebody holds is listed as well.
#[must_use]
pub fn list(places: &Places) -> Vec<Listed> {
    InstanceId::all()
        .filter(|instance| places.card(*instance).is_dir())
        .map(|instance| Listed {
            instance,
            card: summary(&places.card(instance)),
        })
        .collect()
}

fn summary(directory: &Path) -> Result<CardSummary, ReadError> {
    let bytes = FileStorage::load(directory).map_err(ReadError::Read)?;
    let (state, protection) = if TpmState::is_ours(&bytes) {
        (TpmState::decode(&bytes)?.public(), Protection::Tpm)
    } else {
        (sealed::public_state(&bytes)?, Protection::SealedFile)
    };
    Ok(CardSummary {
        name: state.name,
        guid: state.guid,
        protection,
        pin: state.pin,
        puk: state.puk,
        admin_key_is_default: state.management_is_initial,
        slots: state
            .slots
            .into_iter()
            .map(|(slot, key, certificate)| SlotSummary {
                slot,
                key,
                certificate,
            })
            .collect(),
    })
}

/// Why a card cannot be held.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// Another process holds it, or its lock cannot be opened.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Its file cannot be used.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its TPM cannot be used, or does not know the card.
    #[error(transparent)]
    Chip(OpenError),
}

/// A card in this process; nobody else may use it until the value is dropped.
pub struct Held {
    presence: Presence,
    card: Kept,
}

enum Kept {
    Sealed(Box<SealedCard>),
    Tpm(Box<TpmCard>),
}

impl Held {
    /// Which card this is: another card in the same place is another one.
    #[must_use]
    pub fn presence(&self) -> Presence {
        self.presence
    }

    /// Shares the card between the threads that serve it.
    #[must_use]
    pub fn share(self) -> SharedKeeper {
        match self.card {
            Kept::Sealed(card) => Arc::new(Mutex::new(*card)),
            Kept::Tpm(card) => Arc::new(Mutex::new(*card)),
        }
    }
}

impl Deref for Held {
    type Target = dyn Keeper;

    fn deref(&self) -> &Self::Target {
        match &self.card {
            Kept::Sealed(card) => &**card,
            Kept::Tpm(card) => &**card,
        }
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match &mut self.card {
            Kept::Sealed(card) => &mut **card,
            Kept::Tpm(card) => &mut **card,
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held(..)")
    }
}

/// Takes a card into this process, which alone may use it until the value is dropped.
pub fn hold(places: &Places, instance: InstanceId) -> Result<Held, HoldError> {
    let directory = places.card(instance);
    let storage = FileStorage::claim(&directory)?;
    let presence = storage.presence().map_err(ReadError::Read)?;
    let bytes = FileStorage::load(&directory).map_err(ReadError::Read)?;
    let card = if TpmState::is_ours(&bytes) {
        let card = TpmCard::open_stored(&bytes, storage).map_err(|error| match error {
            OpenError::Format(error) => HoldError::Read(error.into()),
            other => HoldError::Chip(other),
        })?;
        Kept::Tpm(Box::new(card))
    } else {
        let card = SealedCard::open(&bytes, storage).map_err(ReadError::Format)?;
        Kept::Sealed(Box::new(card))
    };
    Ok(Held { presence, card })
}

/// The management key that was kept beside a card when it was made with a random one.
pub fn admin_key(places: &Places, instance: InstanceId) -> io::Result<Option<ManagementKey>> {
    let file = match File::open(places.card(instance).join(ADMIN_KEY_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Zeroizing::new(String::new());
    file.take(ADMIN_KEY_FILE_BYTES_MAX)
        .read_to_string(&mut text)?;
    ManagementKey::from_hex(text.trim())
        .map(Some)
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}
