// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the session may do at this moment.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lanyard_piv::{ManagementAlgorithm, Slot, StatusWord};
use zeroize::Zeroizing;

use crate::keeper::{Keeper, Opened};

/// A verified PIN that no key was used with is forgotten after this time.
pub const VERIFIED_IDLE_MAX: Duration = Duration::from_secs(15);
/// A verified PIN is forgotten after this time, however busy the session is.
pub const VERIFIED_MAX: Duration = Duration::from_secs(300);

/// What was proved in this session.
#[derive(Default)]
pub(super) struct Access {
    verified: Option<Verified>,
    management: bool,
    challenge: Option<Challenge>,
    /// Slots whose key was generated in this session and has not signed its request yet.
    fresh_keys: BTreeSet<Slot>,
}

struct Verified {
    opened: Opened,
    since: Instant,
    used: Instant,
    epoch: u64,
    /// No private key was used since VERIFY.
    fresh: bool,
}

/// A random block that the host must answer.
pub(super) struct Challenge {
    pub(super) kind: ChallengeKind,
    pub(super) algorithm: ManagementAlgorithm,
    pub(super) block: Zeroizing<Vec<u8>>,
}

/// Which way the management key is being proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChallengeKind {
    /// The host encrypts our challenge.
    External,
    /// The host decrypts our witness, and we answer its challenge.
    Mutual,
}

/// What a private key is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Sign,
    Agree,
}

impl Access {
    /// Forgets a verified PIN whose time is over, or that was changed or blocked elsewhere.
    pub(super) fn expire(&mut self, keeper: &dyn Keeper, now: Instant) {
        self.forget_expired(now);
        let epoch = keeper.pin_epoch();
        self.verified = self
            .verified
            .take()
            .filter(|verified| verified.epoch == epoch);
    }

    /// Forgets a verified PIN whose time is over.
    pub(super) fn forget_expired(&mut self, now: Instant) {
        if self.expires_in(now) == Some(Duration::ZERO) {
            self.verified = None;
        }
    }

    /// How long a verified PIN will still be remembered, if there is one.
    pub(super) fn expires_in(&self, now: Instant) -> Option<Duration> {
        self.verified.as_ref().map(|verified| {
            let old = VERIFIED_MAX.saturating_sub(now.saturating_duration_since(verified.since));
            let idle =
                VERIFIED_IDLE_MAX.saturating_sub(now.saturating_duration_since(verified.used));
            old.min(idle)
        })
    }

    /// The PIN was right.
    pub(super) fn pin_verified(&mut self, opened: Opened, epoch: u64, now: Instant) {
        self.verified = Some(Verified {
            opened,
            since: now,
            used: now,
            epoch,
            fresh: true,
        });
    }

    /// The PIN was wrong, changed by others, or shall be forgotten.
    pub(super) fn forget_pin(&mut self) {
        self.verified = None;
    }

    pub(super) fn is_pin_verified(&self) -> bool {
        self.verified.is_some()
    }

    /// The management key was proved, or was not.
    pub(super) fn set_management(&mut self, proved: bool) {
        self.management = proved;
        if !proved {
            self.fresh_keys.clear();
        }
    }

    /// Passes only after the management key was proved.
    pub(super) fn require_management(&self) -> Result<(), StatusWord> {
        if self.management {
            Ok(())
        } else {
            Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED)
        }
    }

    pub(super) fn key_generated(&mut self, slot: Slot) {
        self.fresh_keys.insert(slot);
    }

    pub(super) fn set_challenge(&mut self, challenge: Challenge) {
        self.challenge = Some(challenge);
    }

    pub(super) fn take_challenge(&mut self) -> Option<Challenge> {
        self.challenge.take()
    }

    pub(super) fn forget_challenge(&mut self) {
        self.challenge = None;
    }

    /// What the verified PIN opens, for a change that needs the PIN and uses no key.
    pub(super) fn opened(&mut self, now: Instant) -> Result<&Opened, StatusWord> {
        let verified = self
            .verified
            .as_mut()
            .ok_or(StatusWord::SECURITY_STATUS_NOT_SATISFIED)?;
        verified.used = now;
        Ok(&verified.opened)
    }

    /// Passes when this use of a private key is allowed now, and gives what opens the key. A pass
    /// is spent: 9C wants the PIN anew for the next use.
    pub(super) fn use_key(
        &mut self,
        keeper: &dyn Keeper,
        slot: Slot,
        wanted: Use,
        now: Instant,
    ) -> Result<Option<&Opened>, StatusWord> {
        if !slot.works_without_pin() {
            let verified = self
                .verified
                .as_ref()
                .ok_or(StatusWord::SECURITY_STATUS_NOT_SATISFIED)?;
            // SP 800-73-4 part 1, 3.2.3: "PIN always".
            if slot == Slot::Signature && !verified.fresh {
                return Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED);
            }
        }
        if keeper.forces_pin_change() && keeper.pin_status().initial {
            // With the transport PIN a key signs nothing but its own enrolment request: one
            // signature, by the station that has just generated it.
            let enrols = self.management && wanted == Use::Sign && self.fresh_keys.remove(&slot);
            if !enrols {
                return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
            }
        }
        if let Some(verified) = &mut self.verified {
            verified.fresh = false;
            verified.used = now;
        }
        Ok(self.verified.as_ref().map(|verified| &verified.opened))
    }
}
