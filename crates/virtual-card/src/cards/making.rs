// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making and destroying: a card exists whole or not at all.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use lanyard_piv::{
    CapabilityContainer, Chuid, Guid, KeyHistory, ManagementKey, ObjectId, Pin, Puk,
};
use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use super::{ADMIN_KEY_FILE, AdminKeyChoice, CardSpec, KeeperChoice, PinChoice, PukChoice};
use crate::sealed::{self, ClaimError, NewCard};
use crate::tpm;
use crate::{
    FileStorage, InstanceId, KeeperError, NewTpmCardError, Places, PlacesError, STATE_FILE,
    SealedCard, TpmCard,
};

const STATE_FILE_NEW: &str = "card.json.new";
const ADMIN_KEY_FILE_NEW: &str = "admin-key.new";
/// Serialises making and destroying.
const LOCK_FILE: &str = ".lock";
/// Directories that are not cards yet, or no longer.
pub(super) const NEW_DIRECTORY: &str = ".new";
/// What the names of destroyed cards begin with.
const DESTROYED_PREFIX: &str = ".destroyed";
const DIRECTORY_MODE: u32 = 0o700;
/// The PIN and the PUK that tpmvscmgr calls default.
pub(super) const DEFAULT_PIN: &str = "12345678";
const ADMIN_KEY_BYTES: usize = 32;
const PUK_DIGITS: usize = 8;

/// A card that was made.
#[derive(Debug)]
pub struct Created {
    /// Its instance id.
    pub instance: InstanceId,
    /// Its GUID.
    pub guid: Guid,
    /// Its PUK, where it was drawn at random: tell it now, it is nowhere else.
    pub puk: Option<Puk>,
}

/// Why a card was not made.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The directories cannot be used.
    #[error(transparent)]
    Places(#[from] PlacesError),
    /// The person has as many cards as one may have.
    #[error("there are already {} virtual cards", crate::CARDS_MAX)]
    TooMany,
    /// The files cannot be written.
    #[error("the card's files cannot be written")]
    Write(#[source] io::Error),
    /// The secrets cannot be made or sealed.
    #[error("the card's secrets cannot be sealed")]
    Seal(#[from] KeeperError),
    /// The TPM cannot take the card.
    #[error("the TPM cannot take the card")]
    Tpm(#[from] NewTpmCardError),
}

/// Makes a card. It exists whole or not at all, whatever happens meanwhile.
pub fn create(places: &Places, spec: CardSpec) -> Result<Created, CreateError> {
    places.make_cards()?;
    let _lock = lock(places).map_err(CreateError::Write)?;
    let instance = InstanceId::all()
        .find(|instance| !places.card(*instance).exists())
        .ok_or(CreateError::TooMany)?;

    let directory = places.cards().join(NEW_DIRECTORY);
    // A leftover of a crash: nobody has ever seen it as a card.
    discard(&directory).map_err(CreateError::Write)?;
    sweep(places);
    let builder = |path: &Path| DirBuilder::new().mode(DIRECTORY_MODE).create(path);
    builder(&directory).map_err(CreateError::Write)?;
    let created = fill(&directory, instance, spec).and_then(|created| {
        fs::rename(&directory, places.card(instance)).map_err(CreateError::Write)?;
        File::open(places.cards())
            .and_then(|cards| cards.sync_all())
            .map_err(CreateError::Write)?;
        Ok(created)
    });
    if created.is_err() {
        let _ = discard(&directory);
    }
    created
}

/// Writes a new card's files into its directory.
fn fill(directory: &Path, instance: InstanceId, spec: CardSpec) -> Result<Created, CreateError> {
    let guid = random_guid()?;
    let mut unique = [0; 14];
    sealed::random(&mut unique).map_err(KeeperError::from)?;
    let default_pin = || Pin::parse(DEFAULT_PIN).map_err(|_| KeeperError::Input);
    let (pin, pin_is_transport) = match spec.pin {
        PinChoice::Default => (default_pin()?, true),
        PinChoice::Given(pin) => (pin.into_pin(), false),
    };
    if !matches!(spec.puk, PukChoice::Random) {
        super::care::keep_own_puk(directory).map_err(CreateError::Write)?;
    }
    let (puk, told) = match spec.puk {
        PukChoice::Default => (
            Puk::parse(DEFAULT_PIN).map_err(|_| KeeperError::Input)?,
            None,
        ),
        PukChoice::Given(puk) => (puk, None),
        PukChoice::Random => {
            let puk = random_puk()?;
            (puk.clone(), Some(puk))
        }
    };
    let (management_key, keep) = match spec.admin_key {
        AdminKeyChoice::Default => (ManagementKey::blank_card(), false),
        AdminKeyChoice::Given(key) => (key, false),
        AdminKeyChoice::Random => (random_admin_key()?, true),
    };
    if keep {
        let text = Zeroizing::new(hex_of(management_key.as_bytes()));
        sealed::write_whole(
            directory,
            ADMIN_KEY_FILE_NEW,
            ADMIN_KEY_FILE,
            text.as_bytes(),
        )
        .map_err(CreateError::Write)?;
    }
    let card = NewCard {
        name: spec.name,
        guid,
        pin,
        pin_is_transport,
        puk,
        management_key,
        force_pin_change: spec.force_pin_change,
        pin_digits: spec.pin_digits,
        kdf: spec.kdf,
        objects: first_objects(guid, unique),
    };
    let storage = FileStorage::claim(directory).map_err(|error| match error {
        ClaimError::Lock(error) => CreateError::Write(error),
        ClaimError::InUse => CreateError::Write(io::ErrorKind::ResourceBusy.into()),
    })?;
    match spec.keeper {
        KeeperChoice::SealedFile => {
            SealedCard::create(card, storage)?;
        }
        KeeperChoice::Tpm {
            device,
            attestation,
        } => {
            TpmCard::create(card, attestation, storage, device)?;
        }
    }
    Ok(Created {
        instance,
        guid,
        puk: told,
    })
}

/// The objects that a card is born with.
#[must_use]
pub fn first_objects(guid: Guid, unique: [u8; 14]) -> Vec<(ObjectId, Vec<u8>)> {
    vec![
        (ObjectId::CHUID, Chuid { guid }.encode()),
        (
            ObjectId::CAPABILITY_CONTAINER,
            CapabilityContainer { unique }.encode(),
        ),
        (ObjectId::KEY_HISTORY, KeyHistory::default().encode()),
    ]
}

/// Why a card was not destroyed.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DestroyError {
    /// There is no such card.
    #[error("there is no such card")]
    NotFound,
    /// Its files cannot be removed.
    #[error("the card's files cannot be removed")]
    Remove(#[source] io::Error),
}

/// Destroys a card, irrevocably. A daemon that serves it notices and removes it from the reader.
///
/// What a card has in the TPM is taken out as well. Where the chip cannot be reached the card is
/// gone all the same, and what it left there is taken out the next time that a card is made or
/// destroyed.
pub fn destroy(places: &Places, instance: InstanceId) -> Result<(), DestroyError> {
    if !places.card(instance).is_dir() {
        return Err(DestroyError::NotFound);
    }
    let _lock = lock(places).map_err(DestroyError::Remove)?;
    let mut unique = [0; 8];
    sealed::random(&mut unique).map_err(|_| DestroyError::Remove(io::ErrorKind::Other.into()))?;
    let gone = places
        .cards()
        .join(format!("{DESTROYED_PREFIX}-{}", hex_of(&unique)));
    // Renaming takes the card away in one step; after a crash the rest is removed next time.
    match fs::rename(places.card(instance), &gone) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(DestroyError::NotFound);
        }
        Err(error) => return Err(DestroyError::Remove(error)),
    }
    sweep(places);
    Ok(())
}

/// Removes what destroyed cards left behind, as far as that can be done now.
fn sweep(places: &Places) {
    let Ok(entries) = fs::read_dir(places.cards()) else {
        return;
    };
    for entry in entries.flatten() {
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(DESTROYED_PREFIX)
            && let Err(error) = discard(&entry.path())
        {
            tracing::warn!(%error, "a destroyed card left something behind");
        }
    }
}

/// Removes a card's directory, and before it what the card has in a chip.
fn discard(directory: &Path) -> io::Result<()> {
    let Ok(bytes) = FileStorage::load(directory) else {
        return remove(directory);
    };
    match tpm::undefine(&bytes) {
        Ok(()) => remove(directory),
        Err(error) => {
            // The keys go now; only the names of the chip's indices stay, until the chip is there.
            if let Some(remains) = tpm::remains(&bytes) {
                sealed::write_whole(directory, STATE_FILE_NEW, STATE_FILE, &remains)?;
            }
            let _ = fs::remove_file(directory.join(ADMIN_KEY_FILE));
            Err(io::Error::other(error))
        }
    }
}

fn lock(places: &Places) -> io::Result<File> {
    let lock = sealed::open_lock(&places.cards().join(LOCK_FILE))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    Ok(lock)
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A random UUID of version 4 (RFC 9562, 5.4).
fn random_guid() -> Result<Guid, KeeperError> {
    let mut bytes = [0; 16];
    sealed::random(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    Ok(Guid::new(bytes))
}

fn random_admin_key() -> Result<ManagementKey, KeeperError> {
    let mut bytes = Zeroizing::new([0; ADMIN_KEY_BYTES]);
    sealed::random(bytes.as_mut())?;
    ManagementKey::new(bytes.as_ref()).map_err(|_| KeeperError::Input)
}

/// Eight digits, each equally likely.
fn random_puk() -> Result<Puk, KeeperError> {
    let mut digits = Zeroizing::new(String::with_capacity(PUK_DIGITS));
    while digits.len() < PUK_DIGITS {
        let mut byte = [0];
        sealed::random(&mut byte)?;
        // Sixteen values, ten of them digits: the others are drawn again.
        digits.extend(char::from_digit(u32::from(byte[0] & 0x0F), 10));
    }
    Puk::parse(&digits).map_err(|_| KeeperError::Input)
}

fn hex_of(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(hex_digit)
        .collect()
}

fn hex_digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}
