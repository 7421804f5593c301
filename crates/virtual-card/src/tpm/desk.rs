// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unblocking by the help desk, for a card in the TPM.
//!
//! The desk takes the PUK's place: the PUK's index gets a random secret that nobody knows, and that
//! secret is sealed under each response that the desk will ever give to this card, as the sealed file
//! does with its own. With a right response the index allows a new PIN; without, it counts.

use std::time::SystemTime;

use lanyard_piv::{
    DESK_CHALLENGE_SYMBOLS, DeskChallenge, DeskKey, DeskReadiness, DeskResponse, NewPin,
};
use lanyard_tpm::{Auth, AuthValue};
use zeroize::Zeroizing;

use super::card::TpmCard;
use super::counters::Which;
use super::state::{Guard, TpmState};
use crate::keeper::{KeeperError, Opened, ReferenceError};
use crate::sealed::{
    DESK_TRIES_MAX, DESK_UNBLOCKINGS_MAX, SealedDesk, SealedUnblocking, Storage, desk_open,
    desk_seal, is_fresh, random, seconds,
};

const SECRET_BYTES: usize = 32;

impl<S: Storage> TpmCard<S> {
    pub(super) fn arm(&mut self, opened: &Opened, key: &DeskKey) -> Result<(), KeeperError> {
        let fresh = match &self.state.guard {
            Guard::Counters(_) => {
                let mut fresh = Zeroizing::new(vec![0; SECRET_BYTES]);
                random(&mut fresh)?;
                fresh
            }
            // What opens the keys, which is all that a chip without counting indices has.
            Guard::Lockout(_) => Zeroizing::new(opened.secret().to_vec()),
        };
        let desk = self.prepared(&fresh, key)?;
        if matches!(self.state.guard, Guard::Counters(_)) {
            self.take_over(opened, &fresh, &desk)?;
        }
        let mut next = self.state.clone();
        next.desk = Some(desk);
        next.puk_given_up = true;
        next.puk_initial = false;
        match &mut next.guard {
            // From now on the PIN opens nothing that administers the card.
            Guard::Counters(counters) => counters.admin.clear(),
            Guard::Lockout(lockout) => {
                let mut talk = self.chip.begin()?;
                let mut unknown = Zeroizing::new([0; SECRET_BYTES]);
                random(unknown.as_mut())?;
                let nobodys = AuthValue::new(unknown.as_ref());
                lockout.puk = super::lockout::seal(&mut talk, &nobodys, &[0; SECRET_BYTES])?;
                lockout.puk_left = 0;
            }
        }
        self.commit(next)
    }

    /// Gives the PUK's index a secret of nobody's. The responses that open it, and the secret sealed
    /// for the PIN, are in the file before the chip takes it.
    fn take_over(
        &mut self,
        opened: &Opened,
        fresh: &[u8],
        desk: &SealedDesk,
    ) -> Result<(), KeeperError> {
        let new = AuthValue::new(fresh);
        let old = self.admin_secret(opened)?;
        let mut next = self.state.clone();
        next.desk = Some(desk.clone());
        self.commit(next)?;
        self.replace_admin(&old, &new, fresh)
            .map_err(|error| match error {
                ReferenceError::Keeper(error) => error,
                _ => KeeperError::Damaged,
            })
    }

    /// The secret of the PUK's index, which the PIN opens as long as the card is not armed. While a
    /// change was under way there are two; the chip says which one holds.
    fn admin_secret(&mut self, opened: &Opened) -> Result<AuthValue, KeeperError> {
        let Guard::Counters(counters) = self.state.guard.clone() else {
            return Err(KeeperError::Damaged);
        };
        let pin = AuthValue::new(opened.secret());
        for stored in &counters.admin {
            let mut talk = self.chip.begin()?;
            let mut policy = self.open_policy(&mut talk, &pin)?;
            let object = talk.load(&stored.to_blob()?)?;
            let session = Some(&mut talk.session);
            let auth = Auth::Policy(&mut policy, None);
            let secret = AuthValue::new(&talk.tpm.unseal(&object, auth, session)?);
            talk.drop_object(&object)?;
            talk.tpm.flush(policy.handle())?;
            match counters.prove(&mut talk, Which::Puk, &secret) {
                Ok(_) => return Ok(secret),
                Err(ReferenceError::Wrong { .. }) => {}
                Err(ReferenceError::Keeper(error)) => return Err(error),
                Err(_) => return Err(KeeperError::Unsupported),
            }
        }
        // Armed before: the PUK's place is taken.
        Err(KeeperError::Unsupported)
    }

    fn prepared(&self, secret: &[u8], key: &DeskKey) -> Result<SealedDesk, KeeperError> {
        let guid = self.state.shown_guid();
        let waiting = (0..DESK_UNBLOCKINGS_MAX)
            .map(|_| {
                let mut drawn = [0; DESK_CHALLENGE_SYMBOLS];
                random(&mut drawn)?;
                let challenge = DeskChallenge::from_random(drawn);
                let response = key.respond(guid, &challenge);
                desk_seal(&self.state.guid.0, secret, &challenge, &response)
            })
            .collect::<Result<Vec<SealedUnblocking>, KeeperError>>()?;
        Ok(SealedDesk {
            tries_left: DESK_TRIES_MAX,
            shown_at: None,
            waiting,
        })
    }

    pub(super) fn show_challenge(&mut self, now: SystemTime) -> Result<DeskReadiness, KeeperError> {
        let mut desk = self.state.desk.clone().ok_or(KeeperError::NoKey)?;
        if desk.show(seconds(now)) {
            let next = self.with_desk(desk.clone());
            self.commit(next)?;
        }
        desk.readiness()
    }

    pub(super) fn unblock_by_desk(
        &mut self,
        response: &DeskResponse,
        new: &NewPin,
        now: SystemTime,
    ) -> Result<(), ReferenceError> {
        let mut desk = self.state.desk.clone().ok_or(KeeperError::NoKey)?;
        let first = desk.waiting.first().cloned().ok_or(KeeperError::NoKey)?;
        let shown = desk.shown_at.ok_or(KeeperError::NotOpened)?;
        if !is_fresh(shown, seconds(now)) {
            return Err(KeeperError::NotOpened.into());
        }
        // Counted, durably, before anything is compared.
        desk.tries_left = desk
            .tries_left
            .checked_sub(1)
            .ok_or(ReferenceError::Blocked)?;
        let tries_left = desk.tries_left;
        self.commit(self.with_desk(desk.clone()))?;
        let Ok(secret) = desk_open(&self.state.guid.0, &first, response) else {
            return Err(ReferenceError::Wrong { tries_left });
        };
        let result = match &self.state.guard {
            Guard::Counters(_) => self.unblock_with(&AuthValue::new(&secret), new),
            Guard::Lockout(_) => {
                let pin = self.auth(Which::Pin, new.pin().padded());
                let sealed = self.seal_pin(&pin, &secret).map_err(ReferenceError::from);
                self.epoch = self.epoch.wrapping_add(1);
                sealed
            }
        };
        match &result {
            Ok(()) => desk.next(),
            // The response was right, and it is still good.
            Err(ReferenceError::SameAsOld | ReferenceError::Keeper(_)) => {
                desk.tries_left = tries_left.saturating_add(1);
            }
            Err(_) => {}
        }
        let mut next = self.with_desk(desk);
        if result.is_ok() {
            // The desk's secret was right, so the PUK's place is taken, also if this program was
            // stopped before it could write so.
            next.puk_given_up = true;
            if let Guard::Counters(counters) = &mut next.guard {
                counters.admin.clear();
            }
        }
        self.follow(next);
        result
    }

    fn with_desk(&self, desk: SealedDesk) -> TpmState {
        let mut next = self.state.clone();
        next.desk = Some(desk);
        next
    }
}
