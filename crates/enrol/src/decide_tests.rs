// SPDX-License-Identifier: MIT OR Apache-2.0
use lanyard_authority::Card;
use lanyard_directory::{CardKinds, CodeRefused};
use lanyard_x509::{Signer as _, SoftwareKey};
use proptest::prelude::*;

use super::*;

fn asked(kind: lanyard_authority::CardKind, pin_changed: bool) -> Asked {
    Asked {
        code: None,
        address: "alice@contoso.test".parse().unwrap(),
        card: Card {
            guid: "00112233445566778899aabbccddeeff".parse().unwrap(),
            kind,
        },
        label: String::new(),
        make: String::new(),
        computer: String::new(),
        care: lanyard_authority::CardCare::Own,
        key: SoftwareKey::generate().unwrap().public_key().clone(),
        authentication_key: None,
        pin_changed,
        evidence: None,
        csr: Vec::new(),
    }
}

fn person(enabled: bool, card_kinds: CardKinds) -> PersonFacts {
    PersonFacts {
        account: "S-1-5-21-1-2-3-1001".parse().unwrap(),
        enabled,
        card_kinds,
        key_assurance: KeyAssurance::None,
    }
}

#[test]
fn a_card_with_a_chosen_pin_is_active_at_once_and_another_one_is_not() {
    for (pin_changed, status) in [(true, Status::Active), (false, Status::Issued)] {
        let asked = asked(lanyard_authority::CardKind::Physical, pin_changed);
        let person = Some(person(true, CardKinds::ALL));
        let order = decide(asked, person, Some(Ok(())), Ok(Level::None)).unwrap();
        assert_eq!(order.status, status);
    }
}

#[test]
fn a_key_about_which_too_little_is_proved_is_refused() {
    let kind = lanyard_authority::CardKind::VirtualTpm;
    for demanded in KeyAssurance::ALL {
        assert_eq!(demanded_level(*demanded).as_str(), demanded.as_str());
        for level in Level::ALL {
            let mut person = person(true, CardKinds::ALL);
            person.key_assurance = *demanded;
            let order = decide(asked(kind, true), Some(person), Some(Ok(())), Ok(level));
            if level >= demanded_level(*demanded) {
                assert_eq!(order.unwrap().level, level);
            } else {
                assert_eq!(order.unwrap_err(), Refusal::KeyAssurance);
            }
        }
    }
    let wrong = Err(AttestationError::NotThisKey);
    let person = Some(person(true, CardKinds::ALL));
    let order = decide(asked(kind, true), person, Some(Ok(())), wrong);
    // Nobody asked for it; but who says something untrue about a key gets no certificate for it.
    assert_eq!(
        order.unwrap_err(),
        Refusal::Attestation(AttestationError::NotThisKey)
    );
}

#[test]
fn each_kind_of_card_is_weighed_by_its_own_word() {
    for kind in lanyard_authority::CardKind::ALL {
        assert_eq!(policy_kind(kind).as_str(), kind.as_str());
    }
}

proptest! {
    /// Whatever the facts: no order without the right code, an enabled account and an accepted kind.
    #[test]
    fn an_order_needs_every_fact(
        known: bool,
        enabled: bool,
        verdict in proptest::option::of(prop_oneof![
            Just(Ok(())),
            Just(Err(CodeRefused::Wrong)),
            Just(Err(CodeRefused::Used)),
            Just(Err(CodeRefused::Expired)),
            Just(Err(CodeRefused::TooManyTries)),
        ]),
        kind in proptest::sample::select(lanyard_authority::CardKind::ALL.to_vec()),
        allowed in proptest::sample::subsequence(CardKind::ALL.to_vec(), 0..=3),
    ) {
        let kinds: CardKinds = allowed.iter().copied().collect();
        let person = known.then(|| person(enabled, kinds));
        let outcome = decide(asked(kind, true), person, verdict, Ok(Level::None)).map(|_| ());
        let right = known && verdict == Some(Ok(()));
        let expected = match (right, enabled, kinds.contains(policy_kind(kind))) {
            (false, ..) => Err(Refusal::Code),
            (true, false, _) => Err(Refusal::AccountDisabled),
            (true, true, false) => Err(Refusal::CardKind),
            (true, true, true) => Ok(()),
        };
        prop_assert_eq!(outcome, expected);
    }
}
