// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sealed-file keeper: everything of a card in one file, private keys under the PIN.
//!
//! A random secret K opens the vault that holds the private keys. K is sealed twice, under the PIN
//! and under the PUK, each by Argon2id and AES-256-GCM; changing either seals K anew and touches no
//! key. The vault takes new keys without K (it has a public half), so that a key can be generated
//! while no PIN is known.
//!
//! What this does not do: somebody who copies the file can try all PINs elsewhere, as fast as
//! Argon2id lets him, and can put an old copy back to get the tries back. The management key and
//! the key of slot 9E are used without a PIN, so whoever reads the file has them. Hence the label
//! "no hardware protection".

mod crypto;
mod desk;
mod format;
mod keys;
mod public;
mod reference;
mod rsa_key;
mod storage;

use std::time::SystemTime;

use lanyard_piv::{
    Algorithm, DeskKey, DeskReadiness, DeskResponse, Guid, ManagementAlgorithm, ManagementKey,
    NewPin, ObjectId, PIN_BYTES, Pin, PublicKey, Puk, Slot,
};
use zeroize::Zeroizing;

pub use self::crypto::KdfCost;
use self::crypto::{KEY_BYTES, SALT_BYTES, Secret};
pub(crate) use self::crypto::{random, sha256};
pub use self::desk::{DESK_CHALLENGE_SECS_MAX, DESK_TRIES_MAX, DESK_UNBLOCKINGS_MAX};
pub(crate) use self::desk::{
    SealedDesk, SealedUnblocking, desk_open, desk_seal, is_fresh, seconds,
};
pub(crate) use self::format::Blob;
pub use self::format::FormatError;
use self::format::{CardState, SealedKey, SealedManagement, SealedReference};
pub(crate) use self::public::{PublicState, public_state};
use self::reference::Which;
pub use self::storage::{ClaimError, FileStorage, MemoryStorage, Presence, STATE_FILE, Storage};
pub(crate) use self::storage::{open_lock, write_whole};
use crate::keeper::{Keeper, KeeperError, Opened, Protection, ReferenceError, ReferenceStatus};
use crate::{CardName, PIN_TRIES_MAX, PUK_TRIES_MAX, PinDigits};

impl From<crypto::CryptoFailed> for KeeperError {
    fn from(_: crypto::CryptoFailed) -> Self {
        Self::Damaged
    }
}

/// What a new card starts with.
#[derive(Debug)]
pub struct NewCard {
    /// The person's name for it.
    pub name: CardName,
    /// Its GUID.
    pub guid: Guid,
    /// Its first PIN.
    pub pin: Pin,
    /// Whether the first PIN must be changed before private keys work.
    pub pin_is_transport: bool,
    /// Its PUK.
    pub puk: Puk,
    /// Its management key; a key of 24 bytes is spoken as 3DES and as AES-192.
    pub management_key: ManagementKey,
    /// Whether private keys are refused while the PIN is the transport PIN.
    pub force_pin_change: bool,
    /// How many digits a new PIN may have.
    pub pin_digits: PinDigits,
    /// What one guess of the PIN costs.
    pub kdf: KdfCost,
    /// The objects that it starts with.
    pub objects: Vec<(ObjectId, Vec<u8>)>,
}

/// A card whose secrets are sealed in a file.
pub struct SealedCard<S: Storage = FileStorage> {
    state: CardState,
    storage: S,
    epoch: u64,
}

impl<S: Storage> SealedCard<S> {
    /// Makes a new card and stores it.
    pub fn create(card: NewCard, mut storage: S) -> Result<Self, KeeperError> {
        let secret = crypto::random_secret()?;
        let device_key = crypto::random_secret()?;
        let guid = card.guid.as_bytes();
        let management = SealedManagement {
            algorithms: card
                .management_key
                .algorithms()
                .iter()
                .map(|kind| kind.id())
                .collect(),
            initial: card.management_key.is_blank_card(),
            sealed: Blob(crypto::seal(
                &device_key,
                &purpose(guid, MANAGEMENT),
                card.management_key.as_bytes(),
            )?),
        };
        let seal = |place: Which, typed, tries_left, initial| {
            seal_reference(
                &secret,
                &purpose(guid, place.place()),
                typed,
                card.kdf,
                tries_left,
                initial,
            )
        };
        let state = CardState {
            protection: CardState::protection(),
            name: card.name.as_str().to_owned(),
            guid: Blob(guid.to_vec()),
            kdf: card.kdf,
            force_pin_change: card.force_pin_change,
            pin_digits: card.pin_digits,
            pin: seal(
                Which::Pin,
                card.pin.padded(),
                PIN_TRIES_MAX,
                card.pin_is_transport,
            )?,
            puk: seal(
                Which::Puk,
                card.puk.padded(),
                PUK_TRIES_MAX,
                card.puk.is_transport(),
            )?,
            vault: Blob(crypto::vault_public(&secret)?),
            device_key: Blob(device_key.to_vec()),
            management,
            desk: None,
            keys: std::collections::BTreeMap::new(),
            objects: card
                .objects
                .into_iter()
                .map(|(object, contents)| (object_name(object), Blob(contents)))
                .collect(),
        };
        storage
            .store(&state.encode())
            .map_err(|_| KeeperError::NotWritten)?;
        Ok(Self {
            state,
            storage,
            epoch: 0,
        })
    }

    /// Opens a stored card; `bytes` is what `storage` holds.
    pub fn open(bytes: &[u8], storage: S) -> Result<Self, FormatError> {
        Ok(Self {
            state: CardState::decode(bytes)?,
            storage,
            epoch: 0,
        })
    }

    /// The person's name for the card.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Stores `next` durably, and only then makes it the card's state.
    fn commit(&mut self, next: CardState) -> Result<(), KeeperError> {
        self.storage
            .store(&next.encode())
            .map_err(|_| KeeperError::NotWritten)?;
        self.state = next;
        Ok(())
    }

    /// Opens K with a PIN or PUK. The try is counted, durably, before anything is compared; the
    /// caller gives the tries back together with its own change.
    fn unseal(&mut self, which: Which, typed: &[u8; PIN_BYTES]) -> Result<Secret, ReferenceError> {
        let tries_left = which
            .of(&self.state)
            .tries_left
            .checked_sub(1)
            .ok_or(ReferenceError::Blocked)?;
        let mut counted = self.state.clone();
        which.of_mut(&mut counted).tries_left = tries_left;
        self.commit(counted)?;

        match self.try_open(which, typed)? {
            Some(secret) => Ok(secret),
            None => {
                if tries_left == 0 {
                    self.epoch = self.epoch.wrapping_add(1);
                }
                Err(ReferenceError::Wrong { tries_left })
            }
        }
    }

    /// Tries to open K, without counting.
    fn try_open(
        &self,
        which: Which,
        typed: &[u8; PIN_BYTES],
    ) -> Result<Option<Secret>, KeeperError> {
        let reference = which.of(&self.state);
        let key = crypto::derive(typed, &reference.salt.0, self.state.kdf)?;
        let purpose = purpose(&self.state.guid.0, which.place());
        let Ok(opened) = crypto::open(&key, &purpose, &reference.sealed.0) else {
            return Ok(None);
        };
        to_secret(&opened).map(Some)
    }

    /// Seals K anew under a PIN or PUK, with all tries.
    fn reseal(
        &self,
        which: Which,
        secret: &Secret,
        typed: &[u8; PIN_BYTES],
    ) -> Result<SealedReference, KeeperError> {
        let purpose = purpose(&self.state.guid.0, which.place());
        seal_reference(
            secret,
            &purpose,
            typed,
            self.state.kdf,
            which.tries_max(),
            false,
        )
    }

    fn check_digits(&self, new: &NewPin) -> Result<(), ReferenceError> {
        if self.state.pin_digits.allows(new.pin()) {
            Ok(())
        } else {
            Err(ReferenceError::Refused)
        }
    }

    fn device_key(&self) -> Result<Secret, KeeperError> {
        to_secret(&self.state.device_key.0)
    }
}

impl SealedCard<FileStorage> {
    /// Which card this is, as long as it is held.
    pub fn presence(&self) -> std::io::Result<Presence> {
        self.storage.presence()
    }
}

impl<S: Storage> Keeper for SealedCard<S> {
    fn protection(&self) -> Protection {
        Protection::SealedFile
    }

    fn guid(&self) -> Guid {
        self.state.shown_guid()
    }

    fn forces_pin_change(&self) -> bool {
        self.state.force_pin_change
    }

    fn pin_status(&self) -> ReferenceStatus {
        Which::Pin.status(&self.state)
    }

    fn puk_status(&self) -> ReferenceStatus {
        Which::Puk.status(&self.state)
    }

    fn pin_epoch(&self) -> u64 {
        self.epoch
    }

    fn verify(&mut self, pin: &Pin) -> Result<Opened, ReferenceError> {
        let secret = self.unseal(Which::Pin, pin.padded())?;
        let mut next = self.state.clone();
        next.pin.tries_left = PIN_TRIES_MAX;
        self.commit(next)?;
        Ok(opened(&secret))
    }

    fn change_pin(&mut self, old: &Pin, new: &NewPin) -> Result<Opened, ReferenceError> {
        if old == new.pin() {
            return Err(ReferenceError::SameAsOld);
        }
        self.check_digits(new)?;
        let secret = self.unseal(Which::Pin, old.padded())?;
        let mut next = self.state.clone();
        next.pin = self.reseal(Which::Pin, &secret, new.pin().padded())?;
        self.commit(next)?;
        self.epoch = self.epoch.wrapping_add(1);
        Ok(opened(&secret))
    }

    fn change_puk(&mut self, old: &Puk, new: &Puk) -> Result<(), ReferenceError> {
        let secret = self.unseal(Which::Puk, old.padded())?;
        let mut next = self.state.clone();
        next.puk = self.reseal(Which::Puk, &secret, new.padded())?;
        next.puk.initial = new.is_transport();
        Ok(self.commit(next)?)
    }

    fn unblock(&mut self, puk: &Puk, new: &NewPin) -> Result<(), ReferenceError> {
        self.check_digits(new)?;
        let secret = self.unseal(Which::Puk, puk.padded())?;
        let mut next = self.state.clone();
        next.puk.tries_left = PUK_TRIES_MAX;
        if self.try_open(Which::Pin, new.pin().padded())?.is_some() {
            // The holder of the PUK learns nothing that he could not set.
            self.commit(next)?;
            return Err(ReferenceError::SameAsOld);
        }
        next.pin = self.reseal(Which::Pin, &secret, new.pin().padded())?;
        self.commit(next)?;
        self.epoch = self.epoch.wrapping_add(1);
        Ok(())
    }

    fn management_algorithms(&self) -> Vec<ManagementAlgorithm> {
        let ids = &self.state.management.algorithms;
        ids.iter()
            .filter_map(|id| ManagementAlgorithm::from_id(*id))
            .collect()
    }

    fn management_is_initial(&self) -> bool {
        self.state.management.initial
    }

    fn management_key(&self) -> Result<ManagementKey, KeeperError> {
        let purpose = purpose(&self.state.guid.0, MANAGEMENT);
        let bytes = crypto::open(
            &self.device_key()?,
            &purpose,
            &self.state.management.sealed.0,
        )?;
        ManagementKey::new(&bytes).map_err(|_| KeeperError::Damaged)
    }

    fn set_management_key(
        &mut self,
        algorithm: ManagementAlgorithm,
        key: &ManagementKey,
    ) -> Result<(), KeeperError> {
        if !key.algorithms().contains(&algorithm) {
            return Err(KeeperError::Input);
        }
        let purpose = purpose(&self.state.guid.0, MANAGEMENT);
        let mut next = self.state.clone();
        next.management = SealedManagement {
            algorithms: vec![algorithm.id()],
            initial: key.is_blank_card(),
            sealed: Blob(crypto::seal(&self.device_key()?, &purpose, key.as_bytes())?),
        };
        self.commit(next)
    }

    fn key(&self, slot: Slot) -> Option<PublicKey> {
        self.state.public_key(slot)
    }

    fn algorithms(&self) -> Vec<Algorithm> {
        Algorithm::ALL.to_vec()
    }

    fn generate(&mut self, slot: Slot, algorithm: Algorithm) -> Result<PublicKey, KeeperError> {
        let (pkcs8, public, stored) = match algorithm {
            Algorithm::Rsa2048 => {
                let pair = rsa_key::generate()?;
                let stored = pair.public.encode();
                (pair.pkcs8, pair.public, stored)
            }
            Algorithm::EccP256 | Algorithm::EccP384 => {
                let pair = keys::generate(algorithm)?;
                let public =
                    PublicKey::ecc(algorithm, &pair.point).map_err(|_| KeeperError::Unsupported)?;
                (pair.pkcs8, public, pair.point)
            }
        };
        let purpose = purpose(&self.state.guid.0, &slot.to_string());
        let sealed = if slot.works_without_pin() {
            crypto::seal(&self.device_key()?, &purpose, &pkcs8)?
        } else {
            crypto::vault_put(&self.state.vault.0, &purpose, &pkcs8)?
        };
        let mut next = self.state.clone();
        let stored = SealedKey {
            algorithm: algorithm.id(),
            public: Blob(stored),
            sealed: Blob(sealed),
        };
        next.keys.insert(slot.to_string(), stored);
        self.commit(next)?;
        Ok(public)
    }

    fn sign(
        &mut self,
        slot: Slot,
        opened: Option<&Opened>,
        digest: &[u8],
    ) -> Result<Vec<u8>, KeeperError> {
        let (algorithm, pkcs8) = self.private_key(slot, opened)?;
        keys::sign(algorithm, &pkcs8, digest)
    }

    fn agree(
        &mut self,
        slot: Slot,
        opened: Option<&Opened>,
        point: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeeperError> {
        let (algorithm, pkcs8) = self.private_key(slot, opened)?;
        keys::agree(algorithm, &pkcs8, point)
    }

    fn rsa(
        &mut self,
        slot: Slot,
        opened: Option<&Opened>,
        block: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeeperError> {
        match self.private_key(slot, opened)? {
            (Algorithm::Rsa2048, pkcs8) => rsa_key::private_operation(&pkcs8, block),
            _ => Err(KeeperError::Unsupported),
        }
    }

    fn object(&self, object: ObjectId) -> Option<Vec<u8>> {
        self.state
            .objects
            .get(&object_name(object))
            .map(|blob| blob.0.clone())
    }

    fn put_object(&mut self, object: ObjectId, contents: Option<&[u8]>) -> Result<(), KeeperError> {
        let mut next = self.state.clone();
        match contents {
            Some(contents) => {
                next.objects
                    .insert(object_name(object), Blob(contents.to_vec()));
            }
            None => {
                next.objects.remove(&object_name(object));
            }
        }
        let total: usize = next.objects.values().map(|blob| blob.0.len()).sum();
        if contents.is_some() && total > OBJECTS_BYTES_MAX {
            return Err(KeeperError::Full);
        }
        self.commit(next)
    }

    fn has_desk(&self) -> bool {
        true
    }

    fn arm_desk(&mut self, opened: &Opened, key: &DeskKey) -> Result<(), KeeperError> {
        self.arm(opened, key)
    }

    fn desk_challenge(&mut self, now: SystemTime) -> Result<DeskReadiness, KeeperError> {
        self.show_challenge(now)
    }

    fn desk_unblock(
        &mut self,
        response: &DeskResponse,
        new: &NewPin,
        now: SystemTime,
    ) -> Result<(), ReferenceError> {
        self.unblock_by_desk(response, new, now)
    }

    fn adopt(&mut self, from: Slot, to: Slot, opened: &Opened) -> Result<(), KeeperError> {
        self.adopt_key(from, to, opened)
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), KeeperError> {
        Ok(crypto::random(bytes)?)
    }
}

impl<S: Storage> SealedCard<S> {
    /// Takes a private key out, for one use.
    fn private_key(
        &self,
        slot: Slot,
        opened: Option<&Opened>,
    ) -> Result<(Algorithm, Zeroizing<Vec<u8>>), KeeperError> {
        let stored = self
            .state
            .keys
            .get(&slot.to_string())
            .ok_or(KeeperError::NoKey)?;
        let algorithm = Algorithm::from_id(stored.algorithm).ok_or(KeeperError::Unsupported)?;
        let purpose = purpose(&self.state.guid.0, &slot.to_string());
        let pkcs8 = if slot.works_without_pin() {
            crypto::open(&self.device_key()?, &purpose, &stored.sealed.0)?
        } else {
            let secret = to_secret(opened.ok_or(KeeperError::NotOpened)?.secret())?;
            crypto::vault_take(&secret, &purpose, &stored.sealed.0)?
        };
        Ok((algorithm, pkcs8))
    }
}

/// Most bytes of all objects together: room for 30 certificates of usual size.
pub(crate) const OBJECTS_BYTES_MAX: usize = 128 * 1024;

const MANAGEMENT: &str = "management";

/// Binds a sealed secret to its card and to its place there.
fn purpose(guid: &[u8], place: &str) -> Vec<u8> {
    [b"lanyard virtual card v1 ", guid, b" ", place.as_bytes()].concat()
}

fn seal_reference(
    secret: &Secret,
    purpose: &[u8],
    typed: &[u8; PIN_BYTES],
    kdf: KdfCost,
    tries_left: u8,
    initial: bool,
) -> Result<SealedReference, KeeperError> {
    let mut salt = [0; SALT_BYTES];
    crypto::random(&mut salt)?;
    let key = crypto::derive(typed, &salt, kdf)?;
    let sealed = crypto::seal(&key, purpose, secret.as_ref())?;
    Ok(SealedReference {
        tries_left,
        initial,
        salt: Blob(salt.to_vec()),
        sealed: Blob(sealed),
    })
}

fn to_secret(bytes: &[u8]) -> Result<Secret, KeeperError> {
    let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| KeeperError::Damaged)?;
    Ok(Zeroizing::new(bytes))
}

fn opened(secret: &Secret) -> Opened {
    Opened::new(Zeroizing::new(secret.to_vec()))
}

fn object_name(object: ObjectId) -> String {
    object.to_string()
}

#[cfg(test)]
mod tests;
