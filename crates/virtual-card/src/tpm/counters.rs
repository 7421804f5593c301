// SPDX-License-Identifier: MIT OR Apache-2.0
//! PIN and PUK as secrets of two indices that count.
//!
//! Keys open by `PolicySecret(PIN's index)`. What keeps the computer's owner (root, whose secret is
//! usually empty) from defining an index of the same name with a PIN of his own: an index that was
//! never written has another name, and only its policy may write it. The PIN's index is written
//! with the PUK, the PUK's index once, at its making, with a secret that is then forgotten. So the
//! owner can destroy the card, and nothing else.

use lanyard_tpm::policy::Policy;
use lanyard_tpm::{
    Auth, AuthValue, Handle, Name, NvPublic, PinCounter, Session, SessionKind, TpmCc, TpmError,
    TpmRcBase,
};

use super::chip::Talk;
use super::state::Counters;
use crate::keeper::{KeeperError, ReferenceError};
use crate::{PIN_TRIES_MAX, PUK_TRIES_MAX};

/// The PIN's index or the PUK's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Pin,
    Puk,
}

/// What may be done with an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    /// Set the counter; the administrator's secret is needed.
    Write,
    /// Set the secret; the administrator's secret is needed.
    Replace,
    /// Set the secret; the secret until now is needed.
    Change,
    /// Read the counter; anybody may.
    Read,
}

impl May {
    fn code(self) -> TpmCc {
        match self {
            Self::Write => TpmCc::NvWrite,
            Self::Replace | Self::Change => TpmCc::NvChangeAuth,
            Self::Read => TpmCc::NvRead,
        }
    }
}

/// The branches of an index's policy; `admin` is whose secret administers it.
pub(super) fn branches(admin: &Name) -> [Policy; 4] {
    [May::Write, May::Replace, May::Change, May::Read].map(|may| {
        let begun = Policy::new().command(may.code());
        match may {
            May::Write | May::Replace => begun.secret(admin),
            May::Change => begun.auth_value(),
            May::Read => begun,
        }
    })
}

/// Begins a policy session that may do this with an index. `admin` is the entity whose secret
/// administers it, with that secret, where one is needed.
pub(super) fn session_for(
    talk: &mut Talk,
    may: May,
    branches: &[Policy; 4],
    admin: Option<(&Handle, &AuthValue)>,
) -> Result<Session, TpmError> {
    let policy = talk.tpm.start_session(SessionKind::Policy, None)?;
    talk.tpm.policy_command(&policy, may.code())?;
    match (may, admin) {
        (May::Write | May::Replace, Some((entity, secret))) => {
            let proof = Auth::Hmac(&mut talk.session, secret);
            talk.tpm.policy_secret(entity, proof, &policy)?;
        }
        (May::Change, _) => talk.tpm.policy_auth_value(&policy)?,
        _ => {}
    }
    talk.tpm.policy_or(&policy, branches)?;
    Ok(policy)
}

impl Counters {
    pub(super) fn index(&self, which: Which) -> Result<NvPublic, KeeperError> {
        let bytes = match which {
            Which::Pin => &self.pin.0,
            Which::Puk => &self.puk.0,
        };
        NvPublic::parse(bytes).map_err(|_| KeeperError::Damaged)
    }

    fn branches(&self, which: Which) -> Result<[Policy; 4], KeeperError> {
        Ok(match which {
            Which::Pin => branches(&self.index(Which::Puk)?.name()),
            Which::Puk => branches(&Name::from_bytes(&self.warden.0)),
        })
    }

    /// Asks the chip how many tries are left.
    pub(super) fn left(&self, talk: &mut Talk, which: Which) -> Result<u8, TpmError> {
        let damaged = |_| TpmError::Malformed;
        let place = self.index(which).map_err(damaged)?.place();
        let branches = self.branches(which).map_err(damaged)?;
        let mut policy = session_for(talk, May::Read, &branches, None)?;
        let counter = talk.tpm.read_pin_counter(&place, &mut policy)?;
        talk.tpm.flush(policy.handle())?;
        Ok(u8::try_from(counter.left())
            .unwrap_or(u8::MAX)
            .min(which.tries_max()))
    }

    /// Has the chip check a PIN or PUK; gives a policy session in which it is proved.
    pub(super) fn prove(
        &self,
        talk: &mut Talk,
        which: Which,
        secret: &AuthValue,
    ) -> Result<Session, ReferenceError> {
        let place = self.index(which)?.place();
        let policy = talk
            .tpm
            .start_session(SessionKind::Policy, None)
            .map_err(KeeperError::from)?;
        let proof = Auth::Hmac(&mut talk.session, secret);
        match talk.tpm.policy_secret(&place, proof, &policy) {
            Ok(()) => Ok(policy),
            Err(error) => {
                talk.tpm.flush(policy.handle()).map_err(KeeperError::from)?;
                Err(self.refused(talk, which, &error))
            }
        }
    }

    /// Why the chip refused a PIN or PUK.
    fn refused(&self, talk: &mut Talk, which: Which, error: &TpmError) -> ReferenceError {
        if error.is(TpmRcBase::AuthUnavailable) {
            return ReferenceError::Blocked;
        }
        if !error.is_wrong_auth() {
            return KeeperError::from(error).into();
        }
        match self.left(talk, which) {
            Ok(tries_left) => ReferenceError::Wrong { tries_left },
            Err(error) => KeeperError::from(error).into(),
        }
    }

    /// Replaces a PIN or PUK by means of itself: one step of the chip, done or not done.
    pub(super) fn change(
        &self,
        talk: &mut Talk,
        which: Which,
        old: &AuthValue,
        new: &AuthValue,
    ) -> Result<(), ReferenceError> {
        let proved = self.prove(talk, which, old)?;
        talk.tpm.flush(proved.handle()).map_err(KeeperError::from)?;
        let place = self.index(which)?.place();
        let branches = self.branches(which)?;
        let mut policy =
            session_for(talk, May::Change, &branches, None).map_err(KeeperError::from)?;
        let change = Auth::Changing {
            session: &mut policy,
            old,
            new,
        };
        talk.tpm
            .change_index_auth(&place, change, new, &mut talk.session)
            .map_err(KeeperError::from)?;
        talk.tpm.flush(policy.handle()).map_err(KeeperError::from)?;
        Ok(())
    }

    /// Sets a new PIN by means of the PUK, or of what took its place, and gives back all tries.
    pub(super) fn unblock(
        &self,
        talk: &mut Talk,
        admin: &AuthValue,
        new: &AuthValue,
    ) -> Result<(), ReferenceError> {
        let proved = self.prove(talk, Which::Puk, admin)?;
        talk.tpm.flush(proved.handle()).map_err(KeeperError::from)?;
        let before = self.left(talk, Which::Pin).map_err(KeeperError::from)?;
        // One try tells whether the new PIN is the old one; if it is not, the PIN is blocked until
        // the new one is in place.
        self.set_left(talk, admin, 1)?;
        match self.prove(talk, Which::Pin, new) {
            Ok(proved) => {
                talk.tpm.flush(proved.handle()).map_err(KeeperError::from)?;
                self.set_left(talk, admin, before)?;
                return Err(ReferenceError::SameAsOld);
            }
            Err(ReferenceError::Wrong { .. }) => {}
            Err(other) => return Err(other),
        }
        self.replace_pin(talk, admin, new)?;
        self.set_left(talk, admin, PIN_TRIES_MAX)?;
        Ok(())
    }

    fn replace_pin(
        &self,
        talk: &mut Talk,
        admin: &AuthValue,
        new: &AuthValue,
    ) -> Result<(), KeeperError> {
        let place = self.index(Which::Pin)?.place();
        let entity = self.index(Which::Puk)?.place();
        let branches = self.branches(Which::Pin)?;
        let mut policy = session_for(talk, May::Replace, &branches, Some((&entity, admin)))?;
        let auth = Auth::Policy(&mut policy, None);
        talk.tpm
            .change_index_auth(&place, auth, new, &mut talk.session)?;
        Ok(talk.tpm.flush(policy.handle())?)
    }

    fn set_left(&self, talk: &mut Talk, admin: &AuthValue, left: u8) -> Result<(), KeeperError> {
        let entity = self.index(Which::Puk)?.place();
        let branches = self.branches(Which::Pin)?;
        let place = self.index(Which::Pin)?.place();
        write(talk, &place, &branches, (&entity, admin), Which::Pin, left)
    }
}

/// Writes a counter.
pub(super) fn write(
    talk: &mut Talk,
    place: &Handle,
    branches: &[Policy; 4],
    admin: (&Handle, &AuthValue),
    which: Which,
    left: u8,
) -> Result<(), KeeperError> {
    let limit = which.tries_max();
    let counter = PinCounter {
        failed: u32::from(limit.saturating_sub(left)),
        limit: u32::from(limit),
    };
    let mut policy = session_for(talk, May::Write, branches, Some(admin))?;
    talk.tpm
        .write_index(place, &mut policy, &counter.to_bytes())?;
    Ok(talk.tpm.flush(policy.handle())?)
}

impl Which {
    pub(super) fn tries_max(self) -> u8 {
        match self {
            Self::Pin => PIN_TRIES_MAX,
            Self::Puk => PUK_TRIES_MAX,
        }
    }

    pub(super) fn place(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Puk => "puk",
        }
    }
}
