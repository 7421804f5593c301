// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an organisation asks of its people when they sign in.
//!
//! A policy belongs to a group and sets some of its fields. The policy of a person is made field
//! by field: **the strictest value that any of the person's groups sets**; where no group sets the
//! field, the default policy's value. So a group can relax the default for its members, and one
//! strict group cannot be undone by a second, laxer one. At the end one rule stands above the
//! fields: where a card is required, a password is never accepted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How long a chat certificate lives, in hours, when nothing else is set.
pub const CHAT_CERTIFICATE_HOURS_DEFAULT: u16 = 12;
/// The shortest life of a chat certificate, in hours.
pub const CHAT_CERTIFICATE_HOURS_MIN: u16 = 1;
/// The longest life of a chat certificate, in hours: one week.
pub const CHAT_CERTIFICATE_HOURS_MAX: u16 = 168;

/// What kind of card holds a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CardKind {
    /// A card of plastic in a reader.
    Physical,
    /// A virtual card whose key lives in the computer's TPM.
    VirtualTpm,
    /// A virtual card in a sealed file: no hardware protection.
    VirtualFile,
}

impl CardKind {
    /// All kinds, the best protected first.
    pub const ALL: [Self; 3] = [Self::Physical, Self::VirtualTpm, Self::VirtualFile];

    /// The word for this kind in commands, requests and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Physical => "physical",
            Self::VirtualTpm => "virtual-tpm",
            Self::VirtualFile => "virtual-file",
        }
    }
}

impl fmt::Display for CardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no kind of card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the kinds of card are physical, virtual-tpm and virtual-file")]
pub struct UnknownCardKind;

impl FromStr for CardKind {
    type Err = UnknownCardKind;

    fn from_str(text: &str) -> Result<Self, UnknownCardKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text.trim())
            .ok_or(UnknownCardKind)
    }
}

/// A set of kinds of card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardKinds {
    bits: u8,
}

impl CardKinds {
    /// No kind at all.
    pub const NONE: Self = Self { bits: 0 };
    /// Every kind.
    pub const ALL: Self = Self { bits: 0b111 };

    /// Whether this kind is in the set.
    #[must_use]
    pub fn contains(self, kind: CardKind) -> bool {
        self.bits & bit(kind) != 0
    }

    /// The set with this kind added.
    #[must_use]
    pub fn with(self, kind: CardKind) -> Self {
        Self {
            bits: self.bits | bit(kind),
        }
    }

    /// What both sets hold.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self {
            bits: self.bits & other.bits,
        }
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// The kinds in the set.
    pub fn iter(self) -> impl Iterator<Item = CardKind> {
        CardKind::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<CardKind> for CardKinds {
    fn from_iter<I: IntoIterator<Item = CardKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for CardKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (at, kind) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            f.write_str(kind.as_str())?;
        }
        Ok(())
    }
}

impl FromStr for CardKinds {
    type Err = UnknownCardKind;

    /// Reads a list such as `physical,virtual-tpm`, or `none`.
    fn from_str(text: &str) -> Result<Self, UnknownCardKind> {
        if text.trim() == "none" {
            return Ok(Self::NONE);
        }
        text.split(',').map(str::parse::<CardKind>).collect()
    }
}

impl Serialize for CardKinds {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for CardKinds {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Vec::<CardKind>::deserialize(from)?.into_iter().collect())
    }
}

/// Why a policy cannot be set.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The life of the chat certificate is out of bounds.
    #[error("the chat certificate lives 1 to 168 hours")]
    ChatCertificateHours,
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
}

impl EffectivePolicy {
    /// What holds where nobody has set anything: a card, of any kind, and no password.
    pub const SAFE: Self = Self {
        card_required: true,
        password_allowed: false,
        chat_certificate_hours: CHAT_CERTIFICATE_HOURS_DEFAULT,
        card_kinds: CardKinds::ALL,
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
        }
    }
}

fn bit(kind: CardKind) -> u8 {
    match kind {
        CardKind::Physical => 0b001,
        CardKind::VirtualTpm => 0b010,
        CardKind::VirtualFile => 0b100,
    }
}

fn merge<T>(one: Option<T>, other: Option<T>, stricter: impl FnOnce(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(stricter(one, other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn with_nothing_set_a_card_is_required_and_a_password_refused() {
        let policy = EffectivePolicy::of(&GroupPolicy::default(), []);
        assert_eq!(policy, EffectivePolicy::SAFE);
        assert!(policy.card_required && !policy.password_allowed);
        assert_eq!(policy.chat_certificate_hours, 12);
    }

    #[test]
    fn a_group_relaxes_the_default_for_its_members() {
        let relaxed = GroupPolicy {
            card_required: Some(false),
            password_allowed: Some(true),
            ..GroupPolicy::default()
        };
        let policy = EffectivePolicy::of(&GroupPolicy::default(), [&relaxed]);
        assert!(!policy.card_required && policy.password_allowed);
    }

    #[test]
    fn the_strictest_of_several_groups_wins() {
        let lax = GroupPolicy {
            card_required: Some(false),
            password_allowed: Some(true),
            chat_certificate_hours: Some(24),
            card_kinds: Some(CardKinds::ALL),
        };
        let strict = GroupPolicy {
            card_required: Some(true),
            chat_certificate_hours: Some(4),
            card_kinds: Some(CardKinds::NONE.with(CardKind::Physical)),
            ..GroupPolicy::default()
        };
        for groups in [[&lax, &strict], [&strict, &lax]] {
            let policy = EffectivePolicy::of(&GroupPolicy::default(), groups);
            assert!(policy.card_required && !policy.password_allowed);
            assert_eq!(policy.chat_certificate_hours, 4);
            assert!(!policy.card_kinds.contains(CardKind::VirtualFile));
        }
    }

    #[test]
    fn the_life_of_a_chat_certificate_has_bounds() {
        let hours = |hours| GroupPolicy {
            chat_certificate_hours: Some(hours),
            ..GroupPolicy::default()
        };
        assert!(hours(CHAT_CERTIFICATE_HOURS_MIN).check().is_ok());
        assert!(hours(CHAT_CERTIFICATE_HOURS_MAX).check().is_ok());
        assert_eq!(hours(0).check(), Err(PolicyError::ChatCertificateHours));
        assert_eq!(
            hours(CHAT_CERTIFICATE_HOURS_MAX + 1).check(),
            Err(PolicyError::ChatCertificateHours)
        );
    }

    #[test]
    fn a_policy_cannot_require_a_card_and_allow_a_password() {
        let both = GroupPolicy {
            card_required: Some(true),
            password_allowed: Some(true),
            ..GroupPolicy::default()
        };
        assert_eq!(
            both.check(),
            Err(PolicyError::CardRequiredAndPasswordAllowed)
        );
    }

    #[test]
    fn kinds_read_as_they_are_written() {
        for text in [
            "none",
            "physical",
            "physical,virtual-file",
            "physical,virtual-tpm,virtual-file",
        ] {
            assert_eq!(text.parse::<CardKinds>().unwrap().to_string(), text);
        }
        assert_eq!("wooden".parse::<CardKinds>(), Err(UnknownCardKind));
    }

    fn any_policy() -> impl Strategy<Value = GroupPolicy> {
        (
            any::<Option<bool>>(),
            any::<Option<bool>>(),
            proptest::option::of(1u16..=168),
            proptest::option::of((0u8..8).prop_map(|bits| CardKinds { bits })),
        )
            .prop_map(
                |(card_required, password_allowed, chat_certificate_hours, card_kinds)| {
                    GroupPolicy {
                        card_required,
                        password_allowed,
                        chat_certificate_hours,
                        card_kinds,
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn one_more_group_that_sets_everything_never_relaxes_a_grouped_person(
            first in any_policy(), second in any_policy(), default in any_policy()
        ) {
            let alone = EffectivePolicy::of(&default, [&first]);
            let both = EffectivePolicy::of(&default, [&first, &second]);
            prop_assert!(!(both.card_required && both.password_allowed));
            if first.card_required.is_some() && alone.card_required {
                prop_assert!(both.card_required);
            }
            if first.card_kinds.is_some() {
                prop_assert_eq!(both.card_kinds.intersection(alone.card_kinds), both.card_kinds);
            }
            if first.chat_certificate_hours.is_some() {
                prop_assert!(both.chat_certificate_hours <= alone.chat_certificate_hours);
            }
        }
    }
}
