// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making, listing and destroying virtual cards, in tpmvscmgr's words and with its defaults.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use lanyard_piv::{
    CapabilityContainer, Chuid, Guid, KeyHistory, ManagementKey, NewPin, ObjectId, Pin, PublicKey,
    Puk, Slot,
};
use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use crate::sealed::{self, ClaimError, NewCard};
use crate::{
    FileStorage, FormatError, InstanceId, KdfCost, KeeperError, Places, PlacesError, Protection,
    ReferenceStatus, SealedCard,
};

/// Name of the file with the management key of a card that was made with a random one.
pub const ADMIN_KEY_FILE: &str = "admin-key";
const ADMIN_KEY_FILE_NEW: &str = "admin-key.new";
const ADMIN_KEY_FILE_BYTES_MAX: u64 = 256;
/// Serialises making and destroying.
const LOCK_FILE: &str = ".lock";
/// Directories that are not cards yet, or no longer.
const NEW_DIRECTORY: &str = ".new";
const DESTROYED_DIRECTORY: &str = ".destroyed";
const DIRECTORY_MODE: u32 = 0o700;
const NAME_CHARS_MAX: usize = 64;
/// The PIN and the PUK that tpmvscmgr calls default.
const DEFAULT_PIN: &str = "12345678";
const ADMIN_KEY_BYTES: usize = 32;
const PUK_DIGITS: usize = 8;

/// A person's name for a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardName(String);

/// The text is no card name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a card's name has 1 to {NAME_CHARS_MAX} characters and no control characters")]
pub struct CardNameError;

impl CardName {
    /// Takes a name of 1 to 64 characters.
    pub fn parse(text: &str) -> Result<Self, CardNameError> {
        let text = text.trim();
        let length = text.chars().count();
        if !(1..=NAME_CHARS_MAX).contains(&length) || text.chars().any(char::is_control) {
            return Err(CardNameError);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `--pin`.
#[derive(Debug, Default)]
pub enum PinChoice {
    /// 12345678, which serves only to choose the real one.
    #[default]
    Default,
    /// What the person typed.
    Given(NewPin),
}

/// `--puk`.
#[derive(Debug, Default)]
pub enum PukChoice {
    /// 12345678.
    #[default]
    Default,
    /// Eight random digits, told once.
    Random,
    /// What the person typed.
    Given(Puk),
}

/// `--admin-key`.
#[derive(Debug, Default)]
pub enum AdminKeyChoice {
    /// The published key 01 to 08, three times; spoken as 3DES and as AES-192.
    #[default]
    Default,
    /// A random AES-256 key of this card's own, kept beside the card for enrolment.
    Random,
    /// What the person typed.
    Given(ManagementKey),
}

/// What a new card shall be.
#[derive(Debug)]
pub struct CardSpec {
    /// The person's name for it.
    pub name: CardName,
    /// Its first PIN.
    pub pin: PinChoice,
    /// Its PUK.
    pub puk: PukChoice,
    /// Its management key.
    pub admin_key: AdminKeyChoice,
    /// Whether private keys are refused until the default PIN was changed. Only strict PIV test
    /// programs want this off.
    pub force_pin_change: bool,
    /// What one guess of the PIN costs whoever copied the file.
    pub kdf: KdfCost,
}

impl CardSpec {
    /// A card with all defaults.
    #[must_use]
    pub fn new(name: CardName) -> Self {
        Self {
            name,
            pin: PinChoice::Default,
            puk: PukChoice::Default,
            admin_key: AdminKeyChoice::Default,
            force_pin_change: true,
            kdf: KdfCost::RECOMMENDED,
        }
    }
}

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
    remove(&directory).map_err(CreateError::Write)?;
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
        let _ = remove(&directory);
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
        kdf: spec.kdf,
        objects: first_objects(guid, unique),
    };
    let storage = FileStorage::claim(directory).map_err(|error| match error {
        ClaimError::Lock(error) => CreateError::Write(error),
        ClaimError::InUse => CreateError::Write(io::ErrorKind::ResourceBusy.into()),
    })?;
    SealedCard::create(card, storage)?;
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
    io::Read::read_to_string(
        &mut io::Read::take(file, ADMIN_KEY_FILE_BYTES_MAX),
        &mut text,
    )?;
    ManagementKey::from_hex(text.trim())
        .map(Some)
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
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
pub fn destroy(places: &Places, instance: InstanceId) -> Result<(), DestroyError> {
    if !places.card(instance).is_dir() {
        return Err(DestroyError::NotFound);
    }
    let _lock = lock(places).map_err(DestroyError::Remove)?;
    let gone = places.cards().join(DESTROYED_DIRECTORY);
    // Renaming takes the card away in one step; after a crash the rest is removed next time.
    remove(&gone).map_err(DestroyError::Remove)?;
    match fs::rename(places.card(instance), &gone) {
        Ok(()) => remove(&gone).map_err(DestroyError::Remove),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DestroyError::NotFound),
        Err(error) => Err(DestroyError::Remove(error)),
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
        // 250 is the largest multiple of ten in a byte.
        if byte[0] < 250 {
            digits.push(char::from(b'0' + byte[0] % 10));
        }
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::Keeper;

    fn places() -> (tempfile::TempDir, Places) {
        let base = tempfile::tempdir().unwrap();
        let places = Places::new(&base.path().join("cards"), &base.path().join("run"));
        (base, places)
    }

    fn spec() -> CardSpec {
        let mut spec = CardSpec::new(CardName::parse("My card").unwrap());
        spec.kdf = KdfCost::LEAST;
        spec
    }

    #[test]
    fn a_card_is_made_listed_held_and_destroyed() {
        let (_base, places) = places();
        let created = create(&places, spec()).unwrap();
        assert_eq!(created.instance.to_string(), r"ROOT\SMARTCARDREADER\0000");
        let listed = list(&places);
        let card = listed[0].card.as_ref().unwrap();
        assert_eq!((card.name.as_str(), card.guid), ("My card", created.guid));
        assert!(card.pin.initial && card.puk.initial && card.admin_key_is_default);

        let mut held = hold(&places, created.instance).unwrap();
        assert!(matches!(
            hold(&places, created.instance),
            Err(HoldError::Claim(ClaimError::InUse))
        ));
        assert!(held.verify(&Pin::parse(DEFAULT_PIN).unwrap()).is_ok());

        destroy(&places, created.instance).unwrap();
        assert!(list(&places).is_empty());
        let after = held.verify(&Pin::parse(DEFAULT_PIN).unwrap());
        assert!(after.is_err(), "a destroyed card answers no more");
        assert!(matches!(
            destroy(&places, created.instance),
            Err(DestroyError::NotFound)
        ));
    }

    #[test]
    fn the_eleventh_card_is_refused_and_a_freed_place_is_used_again() {
        let (_base, places) = places();
        for _ in 0..crate::CARDS_MAX {
            create(&places, spec()).unwrap();
        }
        assert!(matches!(create(&places, spec()), Err(CreateError::TooMany)));
        let third = "3".parse().unwrap();
        destroy(&places, third).unwrap();
        assert_eq!(create(&places, spec()).unwrap().instance, third);
    }

    #[test]
    fn a_random_admin_key_is_kept_for_enrolment_and_private() {
        let (_base, places) = places();
        let mut spec = spec();
        spec.admin_key = AdminKeyChoice::Random;
        spec.puk = PukChoice::Random;
        let created = create(&places, spec).unwrap();
        let kept = admin_key(&places, created.instance).unwrap().unwrap();
        let mut held = hold(&places, created.instance).unwrap();
        assert_eq!(held.management_key(), Ok(kept));
        let file = places.card(created.instance).join(ADMIN_KEY_FILE);
        assert_eq!(
            fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let new = NewPin::check(Pin::parse("35914782").unwrap(), None).unwrap();
        assert_eq!(held.unblock(&created.puk.unwrap(), &new), Ok(()));
    }

    #[test]
    fn a_default_card_has_no_admin_key_beside_it() {
        let (_base, places) = places();
        let created = create(&places, spec()).unwrap();
        assert!(admin_key(&places, created.instance).unwrap().is_none());
        assert!(created.puk.is_none());
    }

    #[test]
    fn a_chosen_pin_is_no_transport_pin() {
        let (_base, places) = places();
        let mut spec = spec();
        let pin = NewPin::check(Pin::parse("35914782").unwrap(), None).unwrap();
        spec.pin = PinChoice::Given(pin);
        let created = create(&places, spec).unwrap();
        assert!(
            !hold(&places, created.instance)
                .unwrap()
                .pin_status()
                .initial
        );
    }

    #[test]
    fn a_damaged_card_is_listed_as_damaged_and_not_held() {
        let (_base, places) = places();
        let created = create(&places, spec()).unwrap();
        let file = places.card(created.instance).join(crate::STATE_FILE);
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(
            list(&places)[0].card,
            Err(ReadError::Format(FormatError::Damaged))
        ));
        assert!(matches!(
            hold(&places, created.instance),
            Err(HoldError::Read(_))
        ));
    }

    #[test]
    fn what_a_crash_left_behind_is_no_card() {
        let (_base, places) = places();
        places.make_cards().unwrap();
        fs::create_dir(places.cards().join(NEW_DIRECTORY)).unwrap();
        fs::write(
            places.cards().join(NEW_DIRECTORY).join("card.json"),
            b"half",
        )
        .unwrap();
        assert!(list(&places).is_empty());
        create(&places, spec()).unwrap();
        assert!(!places.cards().join(NEW_DIRECTORY).exists());
    }

    #[test]
    fn names_are_words_and_not_control_characters() {
        assert_eq!(CardName::parse(" Älice ").unwrap().as_str(), "Älice");
        for text in ["", "  ", "a\nb", "\u{1b}[31m", &"x".repeat(65)] {
            assert_eq!(CardName::parse(text), Err(CardNameError), "{text:?}");
        }
    }
}
