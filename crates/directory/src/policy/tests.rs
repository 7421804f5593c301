// SPDX-License-Identifier: MIT OR Apache-2.0
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
        ..GroupPolicy::default()
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
        proptest::option::of(proptest::sample::select(KeyAssurance::ALL)),
        proptest::option::of(proptest::sample::select(CardRemoval::ALL)),
        proptest::option::of(0u16..=PRESENCE_PROOF_MINUTES_MAX),
    )
        .prop_map(
            |(card, password, hours, card_kinds, key_assurance, card_removal, minutes)| {
                GroupPolicy {
                    card_required: card,
                    password_allowed: password,
                    chat_certificate_hours: hours,
                    card_kinds,
                    key_assurance,
                    card_removal,
                    presence_proof_minutes: minutes,
                    ..GroupPolicy::default()
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
        if first.key_assurance.is_some() {
            prop_assert!(both.key_assurance >= alone.key_assurance);
        }
        if first.card_removal.is_some() {
            prop_assert!(both.card_removal >= alone.card_removal);
        }
        if first.presence_proof_minutes.is_some_and(|minutes| minutes > 0) {
            prop_assert!((1..=alone.presence_proof_minutes).contains(&both.presence_proof_minutes));
        }
    }
}
