// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands of a card in the TPM.

use std::time::SystemTime;

use lanyard_piv::{
    Algorithm, DeskKey, DeskReadiness, DeskResponse, Guid, ManagementAlgorithm, ManagementKey,
    NewPin, ObjectId, Pin, PublicKey, Puk, Slot,
};
use lanyard_tpm::{Auth, AuthValue};
use zeroize::Zeroizing;

use super::attest::KeyEvidence;
use super::card::{TpmCard, seal_management};
use super::counters::Which;
use super::state::{Guard, StoredKey};
use super::{chip, keys, lockout, state};
use crate::keeper::{Keeper, KeeperError, Opened, Protection, ReferenceError, ReferenceStatus};
use crate::sealed::{Blob, OBJECTS_BYTES_MAX, Storage, random};

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
            self.unblock_with(&admin, new)?;
            if self.state.desk.is_some() {
                // Arming was cut off, and the PUK still holds: the desk's secret never will.
                let mut next = self.state.clone();
                next.desk = None;
                self.follow(next);
            }
            return Ok(());
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

/// A number of the chip at its full length.
fn padded(number: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, KeeperError> {
    state::left_padded(number, length)
        .map(Zeroizing::new)
        .ok_or(KeeperError::Device)
}
