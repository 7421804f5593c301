// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keeper in the computer's TPM: private keys never leave the chip, and the chip counts tries.
//!
//! # Layout
//!
//! * Two indices of type PIN_FAIL, one for the PIN and one for the PUK, at free handles of the
//!   owner's range. Their secrets are hashes of PIN and PUK. A wrong one is counted by the index,
//!   the right one sets the count back, at the limit all are refused. The chip's common lockout,
//!   which other programs depend on, does not see them. Who may write them: see `counters`.
//! * Keys: made under a storage key of the chip with `fixedTPM`, `fixedParent` and
//!   `sensitiveDataOrigin`, and the policy `PolicySecret(PIN's index)`. The file holds them encrypted
//!   by the chip. The key of slot 9E has no policy: it needs no PIN, but it needs this chip.
//! * The management key: sealed in the chip with an empty secret. It hides the key from whoever
//!   copies the disk, not from whoever runs programs as this person.
//! * Objects (certificates and the like): in the card's file.
//!
//! # What follows
//!
//! Changing the PIN is one command of the chip (`NV_ChangeAuth`): at any moment the old PIN holds
//! or the new one, whatever happens to this program or its file. Putting an old file back gives no
//! try back and revives no PIN. Root alone gets no use of a key: he can destroy the card, that is
//! all. A chip without such indices is served by `lockout`, which is less and says so.
//!
//! No PIN crosses the bus: sessions are salted to the storage key, whose name the file remembers.

mod attest;
mod chip;
mod counters;
mod desk;
mod keys;
mod lockout;
mod making;
mod state;

use std::sync::Arc;
use std::time::SystemTime;

use lanyard_piv::{
    Algorithm, DeskKey, DeskReadiness, DeskResponse, Guid, ManagementAlgorithm, ManagementKey,
    NewPin, ObjectId, PIN_BYTES, Pin, PublicKey, Puk, Slot,
};
use lanyard_tpm::policy::Policy;
use lanyard_tpm::{
    Auth, AuthValue, Connect, Name, Object, Session, SessionKind, Template, Tpm, TpmError,
    TpmRcBase,
};
use zeroize::Zeroizing;

pub use self::attest::{AttestationChoice, KeyEvidence};
use self::chip::{Chip, Talk, auth_of};
use self::counters::Which;
pub use self::making::NewTpmCardError;
pub(crate) use self::making::{remains, undefine};
pub(crate) use self::state::TpmState;
use self::state::{Guard, Management, StoredKey};
use crate::keeper::{Keeper, KeeperError, Opened, Protection, ReferenceError, ReferenceStatus};
use crate::sealed::{Blob, FileStorage, FormatError, OBJECTS_BYTES_MAX, Presence, Storage, random};

/// A card whose secrets are in a TPM.
pub struct TpmCard<S: Storage = FileStorage> {
    state: TpmState,
    storage: S,
    chip: Chip,
    algorithms: Vec<Algorithm>,
    epoch: u64,
}

/// Why a stored card cannot be opened.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its file is damaged, foreign or too new.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Its chip cannot be reached, or it is not this chip.
    #[error("the card's TPM cannot be used")]
    Chip(#[source] TpmError),
    /// The chip does not know the card: it was cleared, or its indices were removed.
    #[error("the TPM does not know this card any more")]
    Unknown,
}

impl<S: Storage> TpmCard<S> {
    /// Opens a stored card; `bytes` is what `storage` holds. The chip must be there.
    pub fn open(bytes: &[u8], storage: S, connect: Arc<dyn Connect>) -> Result<Self, OpenError> {
        let state = TpmState::decode(bytes)?;
        let chip = Chip::new(connect, Some(Name::from_bytes(&state.storage.0)));
        let mut talk = chip.begin().map_err(|error| match error {
            // Another storage key: another chip, or this one after it was cleared.
            TpmError::Forged => OpenError::Unknown,
            other => OpenError::Chip(other),
        })?;
        let algorithms = keys::algorithms(&talk.tpm.capabilities().map_err(OpenError::Chip)?);
        let mut card = Self {
            state,
            storage,
            chip,
            algorithms,
            epoch: 0,
        };
        if let Guard::Counters(counters) = &card.state.guard {
            let counters = counters.clone();
            for which in [Which::Pin, Which::Puk] {
                let left = counters
                    .left(&mut talk, which)
                    .map_err(|error| match error {
                        TpmError::Refused { .. } | TpmError::Malformed => OpenError::Unknown,
                        other => OpenError::Chip(other),
                    })?;
                card.note(which, left);
            }
        }
        Ok(card)
    }

    /// Opens a stored card with the chip that it remembers.
    pub(crate) fn open_stored(bytes: &[u8], storage: S) -> Result<Self, OpenError> {
        let device = TpmState::decode(bytes)?.device()?;
        Self::open(bytes, storage, Arc::new(device))
    }

    /// The person's name for the card.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Stores `next` durably, and only then makes it the card's state.
    fn commit(&mut self, next: TpmState) -> Result<(), KeeperError> {
        self.storage
            .store(&next.encode())
            .map_err(|_| KeeperError::NotWritten)?;
        self.state = next;
        Ok(())
    }

    /// What follows from what the chip has done already: kept in memory even where the disk is full.
    fn follow(&mut self, next: TpmState) {
        if self.commit(next.clone()).is_err() {
            tracing::warn!("the card's file cannot be written; the TPM is ahead of it");
            self.state = next;
        }
    }

    /// Remembers, for lists, how many tries the chip leaves.
    fn note(&mut self, which: Which, left: u8) {
        let mut next = self.state.clone();
        if let Guard::Counters(counters) = &mut next.guard {
            match which {
                Which::Pin => counters.pin_left = left,
                Which::Puk => counters.puk_left = left,
            }
        }
        if next != self.state {
            self.follow(next);
        }
    }

    fn auth(&self, which: Which, typed: &[u8; PIN_BYTES]) -> AuthValue {
        auth_of(which.place(), &self.state.guid.0, typed)
    }

    fn opened_by(&self, typed: &[u8; PIN_BYTES]) -> Opened {
        let input = chip::secret_of(Which::Pin.place(), &self.state.guid.0, typed);
        Opened::new(input)
    }

    /// What was told of tries by a refusal.
    fn refused(&mut self, which: Which, error: ReferenceError) -> ReferenceError {
        let left = match error {
            ReferenceError::Wrong { tries_left } => tries_left,
            ReferenceError::Blocked => 0,
            _ => return error,
        };
        if which == Which::Pin && left == 0 {
            self.epoch = self.epoch.wrapping_add(1);
        }
        self.note(which, left);
        error
    }

    /// Opens K on a chip without counting indices; the try is counted, durably, before.
    fn open_counted(
        &mut self,
        which: Which,
        secret: &AuthValue,
    ) -> Result<Zeroizing<Vec<u8>>, ReferenceError> {
        let Guard::Lockout(lockout) = &self.state.guard else {
            return Err(KeeperError::Damaged.into());
        };
        let before = lockout.left(which);
        let left = before.checked_sub(1).ok_or(ReferenceError::Blocked)?;
        let mut talk = self.chip.begin().map_err(KeeperError::from)?;
        let mut counted = self.state.clone();
        if let Guard::Lockout(lockout) = &mut counted.guard {
            *lockout.left_mut(which) = left;
        }
        self.commit(counted)?;
        let Guard::Lockout(lockout) = &self.state.guard else {
            return Err(KeeperError::Damaged.into());
        };
        let result = lockout.clone().open(&mut talk, which, secret);
        let mut next = self.state.clone();
        if let Guard::Lockout(lockout) = &mut next.guard {
            match &result {
                Ok(_) => *lockout.left_mut(which) = which.tries_max(),
                // The chip did not look at it.
                Err(ReferenceError::Keeper(_)) => *lockout.left_mut(which) = before,
                Err(_) => {
                    if which == Which::Pin && left == 0 {
                        self.epoch = self.epoch.wrapping_add(1);
                    }
                }
            }
        }
        if next != self.state {
            self.commit(next)?;
        }
        result
    }

    fn check_digits(&self, new: &NewPin) -> Result<(), ReferenceError> {
        if self.state.pin_digits.allows(new.pin()) {
            Ok(())
        } else {
            Err(ReferenceError::Refused)
        }
    }

    /// The policy of keys that want the PIN.
    fn key_policy(&self) -> Result<Policy, KeeperError> {
        let name = match &self.state.guard {
            Guard::Counters(counters) => counters.index(Which::Pin)?.name(),
            Guard::Lockout(lockout) => lockout.gate.to_blob()?.public.name(),
        };
        Ok(Policy::new().secret(&name))
    }

    /// A policy session in which what opens the keys is proved.
    fn open_policy(&mut self, talk: &mut Talk, secret: &AuthValue) -> Result<Session, KeeperError> {
        match self.state.guard.clone() {
            Guard::Counters(counters) => {
                counters.prove(talk, Which::Pin, secret).map_err(|error| {
                    match self.refused(Which::Pin, error) {
                        ReferenceError::Keeper(error) => error,
                        // The PIN was changed or blocked since it was verified.
                        _ => KeeperError::NotOpened,
                    }
                })
            }
            Guard::Lockout(lockout) => {
                let gate = talk.load(&lockout.gate.to_blob()?)?;
                let policy = talk.tpm.start_session(SessionKind::Policy, None)?;
                let proof = Auth::Hmac(&mut talk.session, secret);
                talk.tpm
                    .policy_secret(gate.handle(), proof, &policy)
                    .map_err(|error| {
                        if error.is_wrong_auth() {
                            KeeperError::NotOpened
                        } else {
                            error.into()
                        }
                    })?;
                talk.drop_object(&gate)?;
                Ok(policy)
            }
        }
    }

    /// Does something with a private key.
    fn use_key<T>(
        &mut self,
        slot: Slot,
        opened: Option<&Opened>,
        work: impl FnOnce(&mut Tpm, &Object, Auth<'_>, &mut Session) -> Result<T, TpmError>,
    ) -> Result<T, KeeperError> {
        let stored = self
            .state
            .keys
            .get(&slot.to_string())
            .ok_or(KeeperError::NoKey)?;
        let blob = stored.blob.to_blob()?;
        if slot.works_without_pin() {
            let mut talk = self.chip.begin()?;
            let key = talk.load(&blob)?;
            let Talk { tpm, session, .. } = &mut talk;
            return work(tpm, &key, Auth::Nothing, session).map_err(input_or_chip);
        }
        let secret = AuthValue::new(opened.ok_or(KeeperError::NotOpened)?.secret());
        let mut talk = self.chip.begin()?;
        let mut policy = self.open_policy(&mut talk, &secret)?;
        let key = talk.load(&blob)?;
        let Talk { tpm, session, .. } = &mut talk;
        work(tpm, &key, Auth::Policy(&mut policy, None), session).map_err(input_or_chip)
    }

    fn algorithm(&self, slot: Slot) -> Result<Algorithm, KeeperError> {
        let stored = self
            .state
            .keys
            .get(&slot.to_string())
            .ok_or(KeeperError::NoKey)?;
        Algorithm::from_id(stored.algorithm).ok_or(KeeperError::Unsupported)
    }
}

/// What the chip says of an input that does not fit the key.
fn input_or_chip(error: TpmError) -> KeeperError {
    let input = [
        TpmRcBase::EccPoint,
        TpmRcBase::Curve,
        TpmRcBase::Value,
        TpmRcBase::Range,
        TpmRcBase::Size,
        TpmRcBase::NoResult,
    ];
    if input.iter().any(|base| error.is(*base)) {
        KeeperError::Input
    } else {
        error.into()
    }
}

impl TpmCard<FileStorage> {
    /// Which card this is, as long as it is held.
    pub fn presence(&self) -> std::io::Result<Presence> {
        self.storage.presence()
    }
}

impl<S: Storage> Keeper for TpmCard<S> {
    fn protection(&self) -> Protection {
        Protection::Tpm
    }

    fn guid(&self) -> Guid {
        self.state.shown_guid()
    }

    fn forces_pin_change(&self) -> bool {
        self.state.force_pin_change
    }

    fn pin_status(&self) -> ReferenceStatus {
        self.state.pin_status()
    }

    fn puk_status(&self) -> ReferenceStatus {
        self.state.puk_status()
    }

    fn pin_epoch(&self) -> u64 {
        self.epoch
    }

    fn verify(&mut self, pin: &Pin) -> Result<Opened, ReferenceError> {
        let secret = self.auth(Which::Pin, pin.padded());
        let opened = match self.state.guard.clone() {
            Guard::Counters(counters) => {
                let mut talk = self.chip.begin().map_err(KeeperError::from)?;
                counters
                    .prove(&mut talk, Which::Pin, &secret)
                    .map_err(|error| self.refused(Which::Pin, error))?;
                self.note(Which::Pin, Which::Pin.tries_max());
                self.opened_by(pin.padded())
            }
            Guard::Lockout(_) => Opened::new(self.open_counted(Which::Pin, &secret)?),
        };
        if self.state.pin_initial && !pin.is_transport() {
            // The PIN was changed, and this program was stopped before it could write so.
            let mut next = self.state.clone();
            next.pin_initial = false;
            self.follow(next);
        }
        Ok(opened)
    }

    fn change_pin(&mut self, old: &Pin, new: &NewPin) -> Result<Opened, ReferenceError> {
        if old == new.pin() {
            return Err(ReferenceError::SameAsOld);
        }
        self.check_digits(new)?;
        let secrets = [old, new.pin()].map(|pin| self.auth(Which::Pin, pin.padded()));
        let [old_secret, new_secret] = &secrets;
        let opened = match self.state.guard.clone() {
            Guard::Counters(counters) => {
                let mut talk = self.chip.begin().map_err(KeeperError::from)?;
                counters
                    .change(&mut talk, Which::Pin, old_secret, new_secret)
                    .map_err(|error| self.refused(Which::Pin, error))?;
                self.note(Which::Pin, Which::Pin.tries_max());
                let mut next = self.state.clone();
                next.pin_initial = false;
                self.follow(next);
                self.opened_by(new.pin().padded())
            }
            Guard::Lockout(_) => {
                let k = self.open_counted(Which::Pin, old_secret)?;
                self.seal_pin(new_secret, &k)?;
                Opened::new(k)
            }
        };
        self.epoch = self.epoch.wrapping_add(1);
        Ok(opened)
    }

    fn change_puk(&mut self, old: &Puk, new: &Puk) -> Result<(), ReferenceError> {
        if self.state.puk_given_up {
            return Err(ReferenceError::Blocked);
        }
        let secrets = [old, new].map(|puk| self.auth(Which::Puk, puk.padded()));
        let [old_secret, new_secret] = &secrets;
        match self.state.guard.clone() {
            Guard::Counters(_) => self.replace_admin(
                old_secret,
                new_secret,
                &chip::secret_of(Which::Puk.place(), &self.state.guid.0, new.padded()),
            )?,
            Guard::Lockout(_) => {
                let k = self.open_counted(Which::Puk, old_secret)?;
                let mut talk = self.chip.begin().map_err(KeeperError::from)?;
                let sealed = lockout::seal(&mut talk, new_secret, &k)?;
                let mut next = self.state.clone();
                if let Guard::Lockout(lockout) = &mut next.guard {
                    lockout.puk = sealed;
                }
                self.commit(next)?;
            }
        }
        let mut next = self.state.clone();
        next.puk_initial = new.is_transport();
        self.follow(next);
        Ok(())
    }

    fn unblock(&mut self, puk: &Puk, new: &NewPin) -> Result<(), ReferenceError> {
        if self.state.puk_given_up {
            return Err(ReferenceError::Blocked);
        }
        self.check_digits(new)?;
        let admin = self.auth(Which::Puk, puk.padded());
        if let Guard::Counters(_) = &self.state.guard {
            return self.unblock_with(&admin, new);
        }
        let k = self.open_counted(Which::Puk, &admin)?;
        let secret = self.auth(Which::Pin, new.pin().padded());
        self.seal_pin(&secret, &k)?;
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
        let blob = self.state.management.sealed.to_blob()?;
        let mut talk = self.chip.begin()?;
        let object = talk.load(&blob)?;
        let session = Some(&mut talk.session);
        let bytes = talk.tpm.unseal(&object, Auth::Nothing, session)?;
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
        let mut talk = self.chip.begin()?;
        let mut next = self.state.clone();
        next.management = seal_management(&mut talk, vec![algorithm.id()], key)?;
        self.commit(next)
    }

    fn key(&self, slot: Slot) -> Option<PublicKey> {
        self.state.public_key(slot)
    }

    fn algorithms(&self) -> Vec<Algorithm> {
        self.algorithms.clone()
    }

    fn generate(&mut self, slot: Slot, algorithm: Algorithm) -> Result<PublicKey, KeeperError> {
        if !self.algorithms.contains(&algorithm) {
            return Err(KeeperError::Unsupported);
        }
        let template = keys::template(slot, algorithm, self.key_policy()?.as_bytes());
        let mut talk = self.chip.begin()?;
        let blob = talk.seal(&AuthValue::empty(), &[], &template)?;
        let key = StoredKey {
            algorithm: algorithm.id(),
            blob: blob.into(),
        };
        let public = key.public_key().ok_or(KeeperError::Device)?;
        let mut next = self.state.clone();
        next.keys.insert(slot.to_string(), key);
        self.commit(next)?;
        Ok(public)
    }

    fn sign(
        &mut self,
        slot: Slot,
        opened: Option<&Opened>,
        digest: &[u8],
    ) -> Result<Vec<u8>, KeeperError> {
        let (hash, digest) = keys::fitted(self.algorithm(slot)?, digest)?;
        let signature = self.use_key(slot, opened, |tpm, key, auth, session| {
            tpm.sign(key, auth, Some(session), hash, &digest)
        })?;
        Ok(keys::der(&signature))
    }

    fn agree(
        &mut self,
        slot: Slot,
        opened: Option<&Opened>,
        point: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeeperError> {
        let algorithm = self.algorithm(slot)?;
        if algorithm == Algorithm::Rsa2048 {
            return Err(KeeperError::Unsupported);
        }
        let (x, y) = keys::coordinates(algorithm, point)?;
        let agreed = self.use_key(slot, opened, |tpm, key, auth, session| {
            tpm.agree(key, auth, Some(session), x, y)
        })?;
        padded(&agreed, algorithm.input_bytes())
    }

    fn rsa(
        &mut self,
        slot: Slot,
        opened: Option<&Opened>,
        block: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeeperError> {
        let algorithm = self.algorithm(slot)?;
        if algorithm != Algorithm::Rsa2048 {
            return Err(KeeperError::Unsupported);
        }
        let key = self.key(slot).ok_or(KeeperError::Damaged)?;
        let (modulus, _) = key.modulus_and_exponent().ok_or(KeeperError::Damaged)?;
        // Of the same length, big-endian numbers compare as their bytes do.
        if block.len() != modulus.len() || block >= modulus {
            return Err(KeeperError::Input);
        }
        let answer = self.use_key(slot, opened, |tpm, key, auth, session| {
            tpm.rsa(key, auth, Some(session), block)
        })?;
        padded(&answer, algorithm.input_bytes())
    }

    fn object(&self, object: ObjectId) -> Option<Vec<u8>> {
        let blob = self.state.objects.get(&object.to_string());
        blob.map(|blob| blob.0.clone())
    }

    fn put_object(&mut self, object: ObjectId, contents: Option<&[u8]>) -> Result<(), KeeperError> {
        let mut next = self.state.clone();
        match contents {
            Some(contents) => {
                next.objects
                    .insert(object.to_string(), Blob(contents.to_vec()));
            }
            None => {
                next.objects.remove(&object.to_string());
            }
        }
        let total: usize = next.objects.values().map(|blob| blob.0.len()).sum();
        if contents.is_some() && total > OBJECTS_BYTES_MAX {
            return Err(KeeperError::Full);
        }
        self.commit(next)
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
        self.check_digits(new)?;
        self.unblock_by_desk(response, new, now)
    }

    fn adopt(&mut self, from: Slot, to: Slot, _opened: &Opened) -> Result<(), KeeperError> {
        // A key without PIN is another key; the others are all under the same policy.
        if from.works_without_pin() != to.works_without_pin() {
            return Err(KeeperError::Unsupported);
        }
        let mut next = self.state.clone();
        let key = next.keys.remove(&from.to_string());
        next.keys
            .insert(to.to_string(), key.ok_or(KeeperError::NoKey)?);
        let place = |slot| ObjectId::certificate(slot).to_string();
        let certificate = next.objects.remove(&place(from));
        next.objects
            .insert(place(to), certificate.ok_or(KeeperError::NoKey)?);
        self.commit(next)
    }

    fn attest(&mut self, slot: Slot, qualifying: &[u8]) -> Result<KeyEvidence, KeeperError> {
        self.evidence(slot, qualifying)
    }

    fn activate(
        &mut self,
        id_object: &[u8],
        encrypted_secret: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeeperError> {
        self.activate_credential(id_object, encrypted_secret)
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), KeeperError> {
        Ok(random(bytes)?)
    }
}

impl<S: Storage> TpmCard<S> {
    /// A new PIN on a chip without counting indices.
    fn seal_pin(&mut self, secret: &AuthValue, k: &[u8]) -> Result<(), KeeperError> {
        let mut talk = self.chip.begin()?;
        let sealed = lockout::seal(&mut talk, secret, k)?;
        let mut next = self.state.clone();
        next.pin_initial = false;
        if let Guard::Lockout(lockout) = &mut next.guard {
            lockout.pin = sealed;
            lockout.pin_left = Which::Pin.tries_max();
        }
        self.commit(next)
    }

    /// Sets a new PIN with the secret of the PUK's index.
    fn unblock_with(&mut self, admin: &AuthValue, new: &NewPin) -> Result<(), ReferenceError> {
        let Guard::Counters(counters) = self.state.guard.clone() else {
            return Err(KeeperError::Damaged.into());
        };
        let secret = self.auth(Which::Pin, new.pin().padded());
        let mut talk = self.chip.begin().map_err(KeeperError::from)?;
        let result = counters.unblock(&mut talk, admin, &secret);
        // Whatever happened, the chip knows how many tries are left now.
        for which in [Which::Pin, Which::Puk] {
            if let Ok(left) = counters.left(&mut talk, which) {
                self.note(which, left);
            }
        }
        result?;
        let mut next = self.state.clone();
        next.pin_initial = false;
        self.follow(next);
        self.epoch = self.epoch.wrapping_add(1);
        Ok(())
    }

    /// Gives the PUK's index another secret; the new one is sealed for the PIN before the chip
    /// takes it, so that it is never lost.
    fn replace_admin(
        &mut self,
        old: &AuthValue,
        new: &AuthValue,
        new_bytes: &[u8],
    ) -> Result<(), ReferenceError> {
        let Guard::Counters(counters) = self.state.guard.clone() else {
            return Err(KeeperError::Damaged.into());
        };
        let mut talk = self.chip.begin().map_err(KeeperError::from)?;
        // A wrong one is found out before anything is written.
        counters
            .prove(&mut talk, Which::Puk, old)
            .map_err(|error| self.refused(Which::Puk, error))?;
        let template = Template::sealed(Some(self.key_policy()?.as_bytes()), false);
        let sealed = talk
            .seal(&AuthValue::empty(), new_bytes, &template)
            .map_err(KeeperError::from)?;
        let mut next = self.state.clone();
        if let Guard::Counters(counters) = &mut next.guard {
            counters.admin.push(sealed.clone().into());
            counters.puk_left = Which::Puk.tries_max();
        }
        self.commit(next)?;
        counters.change(&mut talk, Which::Puk, old, new)?;
        let mut next = self.state.clone();
        if let Guard::Counters(counters) = &mut next.guard {
            counters.admin = vec![sealed.into()];
        }
        self.follow(next);
        Ok(())
    }
}

fn seal_management(
    talk: &mut Talk,
    algorithms: Vec<u8>,
    key: &ManagementKey,
) -> Result<Management, KeeperError> {
    let template = Template::sealed(None, false);
    Ok(Management {
        algorithms,
        initial: key.is_blank_card(),
        sealed: talk
            .seal(&AuthValue::empty(), key.as_bytes(), &template)?
            .into(),
    })
}

/// A number of the chip at its full length.
fn padded(number: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, KeeperError> {
    state::left_padded(number, length)
        .map(Zeroizing::new)
        .ok_or(KeeperError::Device)
}
