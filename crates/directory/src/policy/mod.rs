// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an organisation asks of its people when they sign in.
//!
//! A policy belongs to a group and sets some of its fields. The policy of a person is made field
//! by field: **the strictest value that any of the person's groups sets**; where no group sets the
//! field, the default policy's value. So a group can relax the default for its members, and one
//! strict group cannot be undone by a second, laxer one. At the end one rule stands above the
//! fields: where a card is required, a password is never accepted.

mod demands;
mod kinds;

use serde::{Deserialize, Serialize};

pub use demands::{CardRemoval, KeyAssurance, MissingPresenceKey, UnknownWord};
pub use kinds::{CardKind, CardKinds, UnknownCardKind};

/// How long a chat certificate lives, in hours, when nothing else is set.
pub const CHAT_CERTIFICATE_HOURS_DEFAULT: u16 = 12;
/// The shortest life of a chat certificate, in hours.
pub const CHAT_CERTIFICATE_HOURS_MIN: u16 = 1;
/// The longest life of a chat certificate, in hours: one week.
pub const CHAT_CERTIFICATE_HOURS_MAX: u16 = 168;

/// How long the client waits after a card was removed, in seconds, when nothing else is set.
pub const CARD_REMOVAL_GRACE_SECONDS_DEFAULT: u16 = 10;
/// The longest wait after a card was removed, in seconds: one hour.
pub const CARD_REMOVAL_GRACE_SECONDS_MAX: u16 = 3600;
/// The longest time between two proofs of presence, in minutes: one day.
pub const PRESENCE_PROOF_MINUTES_MAX: u16 = 1440;

/// Why a policy cannot be set.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The life of the chat certificate is out of bounds.
    #[error("the chat certificate lives 1 to 168 hours")]
    ChatCertificateHours,
    /// The wait after a card was removed is out of bounds.
    #[error("the grace time after a card was removed is 0 to 3600 seconds")]
    CardRemovalGrace,
    /// The time between proofs of presence is out of bounds.
    #[error("a proof of presence is asked for every 1 to 1440 minutes; 0 asks for none")]
    PresenceProofMinutes,
    /// Both at once cannot be.
    #[error("a policy cannot require a card and allow a password at once")]
    CardRequiredAndPasswordAllowed,
}

/// What one group, or the default, sets. `None` means: not set here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GroupPolicy {
    /// Whether the person must sign in with a card.
    #[serde(default)]
    pub card_required: Option<bool>,
    /// Whether a password is accepted.
    #[serde(default)]
    pub password_allowed: Option<bool>,
    /// How long a chat certificate lives, in hours.
    #[serde(default)]
    pub chat_certificate_hours: Option<u16>,
    /// The kinds of card that are accepted.
    #[serde(default)]
    pub card_kinds: Option<CardKinds>,
    /// What has to be proved about where a card's key lives.
    #[serde(default)]
    pub key_assurance: Option<KeyAssurance>,
    /// What the client does when the card is removed.
    #[serde(default)]
    pub card_removal: Option<CardRemoval>,
    /// How long it waits before it does so, in seconds.
    #[serde(default)]
    pub card_removal_grace_seconds: Option<u16>,
    /// How often the card has to prove that it is still there, in minutes; 0 is never.
    #[serde(default)]
    pub presence_proof_minutes: Option<u16>,
    /// What happens with a card that cannot prove it.
    #[serde(default)]
    pub missing_presence_key: Option<MissingPresenceKey>,
}

impl GroupPolicy {
    /// Checks the fields by themselves and against each other.
    ///
    /// # Errors
    /// When a field is out of bounds or two fields contradict each other.
    pub fn check(&self) -> Result<(), PolicyError> {
        let bounds = CHAT_CERTIFICATE_HOURS_MIN..=CHAT_CERTIFICATE_HOURS_MAX;
        if self
            .chat_certificate_hours
            .is_some_and(|hours| !bounds.contains(&hours))
        {
            return Err(PolicyError::ChatCertificateHours);
        }
        if self
            .card_removal_grace_seconds
            .is_some_and(|seconds| seconds > CARD_REMOVAL_GRACE_SECONDS_MAX)
        {
            return Err(PolicyError::CardRemovalGrace);
        }
        if self
            .presence_proof_minutes
            .is_some_and(|minutes| minutes > PRESENCE_PROOF_MINUTES_MAX)
        {
            return Err(PolicyError::PresenceProofMinutes);
        }
        if self.card_required == Some(true) && self.password_allowed == Some(true) {
            return Err(PolicyError::CardRequiredAndPasswordAllowed);
        }
        Ok(())
    }

    /// This policy with the fields of `change` set over it.
    #[must_use]
    pub fn changed_by(&self, change: &Self) -> Self {
        Self {
            card_required: change.card_required.or(self.card_required),
            password_allowed: change.password_allowed.or(self.password_allowed),
            chat_certificate_hours: change
                .chat_certificate_hours
                .or(self.chat_certificate_hours),
            card_kinds: change.card_kinds.or(self.card_kinds),
            key_assurance: change.key_assurance.or(self.key_assurance),
            card_removal: change.card_removal.or(self.card_removal),
            card_removal_grace_seconds: change
                .card_removal_grace_seconds
                .or(self.card_removal_grace_seconds),
            presence_proof_minutes: change
                .presence_proof_minutes
                .or(self.presence_proof_minutes),
            missing_presence_key: change.missing_presence_key.or(self.missing_presence_key),
        }
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What holds for one person in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EffectivePolicy {
    /// Whether the person must sign in with a card.
    pub card_required: bool,
    /// Whether a password is accepted; never together with `card_required`.
    pub password_allowed: bool,
    /// How long a chat certificate lives, in hours.
    pub chat_certificate_hours: u16,
    /// The kinds of card that are accepted.
    pub card_kinds: CardKinds,
    /// What has to be proved about where a card's key lives.
    pub key_assurance: KeyAssurance,
    /// What the client does when the card is removed.
    pub card_removal: CardRemoval,
    /// How long it waits before it does so, in seconds.
    pub card_removal_grace_seconds: u16,
    /// How often the card has to prove that it is still there, in minutes; 0 is never.
    pub presence_proof_minutes: u16,
    /// What happens with a card that cannot prove it.
    pub missing_presence_key: MissingPresenceKey,
}

impl EffectivePolicy {
    /// What holds where nobody has set anything: a card, of any kind, and no password; who takes the card out is
    /// signed out.
    pub const SAFE: Self = Self {
        card_required: true,
        password_allowed: false,
        chat_certificate_hours: CHAT_CERTIFICATE_HOURS_DEFAULT,
        card_kinds: CardKinds::ALL,
        key_assurance: KeyAssurance::None,
        card_removal: CardRemoval::SignOut,
        card_removal_grace_seconds: CARD_REMOVAL_GRACE_SECONDS_DEFAULT,
        presence_proof_minutes: 0,
        missing_presence_key: MissingPresenceKey::Refuse,
    };

    /// The policy of a person in these groups, over this default. See the head of this module.
    #[must_use]
    pub fn of<'a>(
        default: &GroupPolicy,
        groups: impl IntoIterator<Item = &'a GroupPolicy>,
    ) -> Self {
        let mut strictest = GroupPolicy::default();
        for group in groups {
            strictest = GroupPolicy {
                card_required: merge(strictest.card_required, group.card_required, |a, b| a || b),
                password_allowed: merge(
                    strictest.password_allowed,
                    group.password_allowed,
                    |a, b| a && b,
                ),
                chat_certificate_hours: merge(
                    strictest.chat_certificate_hours,
                    group.chat_certificate_hours,
                    u16::min,
                ),
                card_kinds: merge(
                    strictest.card_kinds,
                    group.card_kinds,
                    CardKinds::intersection,
                ),
                key_assurance: merge(strictest.key_assurance, group.key_assurance, Ord::max),
                card_removal: merge(strictest.card_removal, group.card_removal, Ord::max),
                card_removal_grace_seconds: merge(
                    strictest.card_removal_grace_seconds,
                    group.card_removal_grace_seconds,
                    Ord::min,
                ),
                presence_proof_minutes: merge(
                    strictest.presence_proof_minutes,
                    group.presence_proof_minutes,
                    sooner,
                ),
                missing_presence_key: merge(
                    strictest.missing_presence_key,
                    group.missing_presence_key,
                    Ord::max,
                ),
            };
        }
        let fields = default.changed_by(&strictest);
        let card_required = fields.card_required.unwrap_or(Self::SAFE.card_required);
        Self {
            card_required,
            password_allowed: !card_required
                && fields
                    .password_allowed
                    .unwrap_or(Self::SAFE.password_allowed),
            chat_certificate_hours: fields
                .chat_certificate_hours
                .unwrap_or(Self::SAFE.chat_certificate_hours),
            card_kinds: fields.card_kinds.unwrap_or(Self::SAFE.card_kinds),
            key_assurance: fields.key_assurance.unwrap_or(Self::SAFE.key_assurance),
            card_removal: fields.card_removal.unwrap_or(Self::SAFE.card_removal),
            card_removal_grace_seconds: fields
                .card_removal_grace_seconds
                .unwrap_or(Self::SAFE.card_removal_grace_seconds),
            presence_proof_minutes: fields
                .presence_proof_minutes
                .unwrap_or(Self::SAFE.presence_proof_minutes),
            missing_presence_key: fields
                .missing_presence_key
                .unwrap_or(Self::SAFE.missing_presence_key),
        }
    }
}

/// The shorter of two times, where zero means never.
fn sooner(one: u16, other: u16) -> u16 {
    match (one, other) {
        (0, minutes) | (minutes, 0) => minutes,
        (one, other) => one.min(other),
    }
}

fn merge<T>(one: Option<T>, other: Option<T>, stricter: impl FnOnce(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(stricter(one, other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
