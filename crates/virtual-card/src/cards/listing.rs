// SPDX-License-Identifier: MIT OR Apache-2.0
//! What cards there are, what they tell without a PIN, and taking one into this process.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use lanyard_piv::{Guid, ManagementKey, PublicKey, Slot};
use zeroize::Zeroizing;

use super::ADMIN_KEY_FILE;
use crate::sealed::{self, ClaimError};
use crate::{
    FileStorage, FormatError, InstanceId, Places, Protection, ReferenceStatus, SealedCard,
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
    let state = sealed::public_state(&bytes)?;
    Ok(CardSummary {
        name: state.name,
        guid: state.guid,
        protection: Protection::SealedFile,
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
}

/// Takes a card into this process, which alone may use it until the value is dropped.
pub fn hold(places: &Places, instance: InstanceId) -> Result<SealedCard, HoldError> {
    let directory = places.card(instance);
    let storage = FileStorage::claim(&directory)?;
    let bytes = FileStorage::load(&directory).map_err(ReadError::Read)?;
    Ok(SealedCard::open(&bytes, storage).map_err(ReadError::Format)?)
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
