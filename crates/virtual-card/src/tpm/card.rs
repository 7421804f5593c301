// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card in the TPM: its state, and the steps that its commands are made of.

use std::sync::Arc;

use lanyard_piv::{Algorithm, ManagementKey, NewPin, PIN_BYTES, Slot};
use lanyard_tpm::policy::Policy;
use lanyard_tpm::{
    Auth, AuthValue, Connect, Name, Object, Session, SessionKind, Template, Tpm, TpmError,
    TpmRcBase,
};
use zeroize::Zeroizing;

use super::chip::{self, Chip, Talk, auth_of};
use super::counters::Which;
use super::state::{Guard, Management, TpmState};
use super::{keys, lockout};
use crate::keeper::{KeeperError, Opened, ReferenceError};
use crate::sealed::{FileStorage, FormatError, Presence, Storage};

/// A card whose secrets are in a TPM.
pub struct TpmCard<S: Storage = FileStorage> {
    pub(super) state: TpmState,
    pub(super) storage: S,
    pub(super) chip: Chip,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) epoch: u64,
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
    pub(super) fn commit(&mut self, next: TpmState) -> Result<(), KeeperError> {
        self.storage
            .store(&next.encode())
            .map_err(|_| KeeperError::NotWritten)?;
        self.state = next;
        Ok(())
    }

    /// What follows from what the chip has done already: kept in memory even where the disk is full.
    pub(super) fn follow(&mut self, next: TpmState) {
        if self.commit(next.clone()).is_err() {
            tracing::warn!("the card's file cannot be written; the TPM is ahead of it");
            self.state = next;
        }
    }

    /// Remembers, for lists, how many tries the chip leaves.
    pub(super) fn note(&mut self, which: Which, left: u8) {
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

    pub(super) fn auth(&self, which: Which, typed: &[u8; PIN_BYTES]) -> AuthValue {
        auth_of(which.place(), &self.state.guid.0, typed)
    }

    pub(super) fn opened_by(&self, typed: &[u8; PIN_BYTES]) -> Opened {
        let input = chip::secret_of(Which::Pin.place(), &self.state.guid.0, typed);
        Opened::new(input)
    }

    /// What was told of tries by a refusal.
    pub(super) fn refused(&mut self, which: Which, error: ReferenceError) -> ReferenceError {
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
    pub(super) fn open_counted(
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

    pub(super) fn check_digits(&self, new: &NewPin) -> Result<(), ReferenceError> {
        if self.state.pin_digits.allows(new.pin()) {
            Ok(())
        } else {
            Err(ReferenceError::Refused)
        }
    }

    /// The policy of keys that want the PIN.
    pub(super) fn key_policy(&self) -> Result<Policy, KeeperError> {
        let name = match &self.state.guard {
            Guard::Counters(counters) => counters.index(Which::Pin)?.name(),
            Guard::Lockout(lockout) => lockout.gate.to_blob()?.public.name(),
        };
        Ok(Policy::new().secret(&name))
    }

    /// A policy session in which what opens the keys is proved.
    pub(super) fn open_policy(
        &mut self,
        talk: &mut Talk,
        secret: &AuthValue,
    ) -> Result<Session, KeeperError> {
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
    pub(super) fn use_key<T>(
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

    pub(super) fn algorithm(&self, slot: Slot) -> Result<Algorithm, KeeperError> {
        let stored = self
            .state
            .keys
            .get(&slot.to_string())
            .ok_or(KeeperError::NoKey)?;
        Algorithm::from_id(stored.algorithm).ok_or(KeeperError::Unsupported)
    }
}

/// What the chip says of an input that does not fit the key.
pub(super) fn input_or_chip(error: TpmError) -> KeeperError {
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

impl<S: Storage> TpmCard<S> {
    /// A new PIN on a chip without counting indices.
    pub(super) fn seal_pin(&mut self, secret: &AuthValue, k: &[u8]) -> Result<(), KeeperError> {
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
    pub(super) fn unblock_with(
        &mut self,
        admin: &AuthValue,
        new: &NewPin,
    ) -> Result<(), ReferenceError> {
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
    pub(super) fn replace_admin(
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

pub(super) fn seal_management(
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
