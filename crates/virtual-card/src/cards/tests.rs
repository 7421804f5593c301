// SPDX-License-Identifier: MIT OR Apache-2.0

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lanyard_piv::{NewPin, Pin};

use super::making::{DEFAULT_PIN, NEW_DIRECTORY};
use super::*;
use crate::{ClaimError, FormatError, KdfCost, Places};

fn places() -> (tempfile::TempDir, Places) {
    let base = tempfile::tempdir().unwrap();
    let places = Places::new(&base.path().join("cards"), &base.path().join("run"));
    (base, places)
}

fn spec() -> CardSpec {
    let mut spec = CardSpec::new(CardName::parse("My card").unwrap());
    spec.kdf = KdfCost::LEAST;
    spec
}

#[test]
fn a_card_is_made_listed_held_and_destroyed() {
    let (_base, places) = places();
    let created = create(&places, spec()).unwrap();
    assert_eq!(created.instance.to_string(), r"ROOT\SMARTCARDREADER\0000");
    let listed = list(&places);
    let card = listed[0].card.as_ref().unwrap();
    assert_eq!((card.name.as_str(), card.guid), ("My card", created.guid));
    assert!(card.pin.initial && card.puk.initial && card.admin_key_is_default);

    let mut held = hold(&places, created.instance).unwrap();
    assert!(matches!(
        hold(&places, created.instance),
        Err(HoldError::Claim(ClaimError::InUse))
    ));
    assert!(held.verify(&Pin::parse(DEFAULT_PIN).unwrap()).is_ok());

    destroy(&places, created.instance).unwrap();
    assert!(list(&places).is_empty());
    let after = held.verify(&Pin::parse(DEFAULT_PIN).unwrap());
    assert!(after.is_err(), "a destroyed card answers no more");
    assert!(matches!(
        destroy(&places, created.instance),
        Err(DestroyError::NotFound)
    ));
}

#[test]
fn the_eleventh_card_is_refused_and_a_freed_place_is_used_again() {
    let (_base, places) = places();
    for _ in 0..crate::CARDS_MAX {
        create(&places, spec()).unwrap();
    }
    assert!(matches!(create(&places, spec()), Err(CreateError::TooMany)));
    let third = "3".parse().unwrap();
    destroy(&places, third).unwrap();
    assert_eq!(create(&places, spec()).unwrap().instance, third);
}

#[test]
fn a_random_admin_key_is_kept_for_enrolment_and_private() {
    let (_base, places) = places();
    let mut spec = spec();
    spec.admin_key = AdminKeyChoice::Random;
    spec.puk = PukChoice::Random;
    let created = create(&places, spec).unwrap();
    let kept = admin_key(&places, created.instance).unwrap().unwrap();
    let mut held = hold(&places, created.instance).unwrap();
    assert_eq!(held.management_key(), Ok(kept));
    let file = places.card(created.instance).join(ADMIN_KEY_FILE);
    assert_eq!(
        fs::metadata(file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let new = NewPin::check(Pin::parse("35914782").unwrap(), None).unwrap();
    assert_eq!(held.unblock(&created.puk.unwrap(), &new), Ok(()));
}

#[test]
fn a_default_card_has_no_admin_key_beside_it() {
    let (_base, places) = places();
    let created = create(&places, spec()).unwrap();
    assert!(admin_key(&places, created.instance).unwrap().is_none());
    assert!(created.puk.is_none());
}

#[test]
fn a_chosen_pin_is_no_transport_pin() {
    let (_base, places) = places();
    let mut spec = spec();
    let pin = NewPin::check(Pin::parse("35914782").unwrap(), None).unwrap();
    spec.pin = PinChoice::Given(pin);
    let created = create(&places, spec).unwrap();
    assert!(
        !hold(&places, created.instance)
            .unwrap()
            .pin_status()
            .initial
    );
}

#[test]
fn a_damaged_card_is_listed_as_damaged_and_not_held() {
    let (_base, places) = places();
    let created = create(&places, spec()).unwrap();
    let file = places.card(created.instance).join(crate::STATE_FILE);
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(
        list(&places)[0].card,
        Err(ReadError::Format(FormatError::Damaged))
    ));
    assert!(matches!(
        hold(&places, created.instance),
        Err(HoldError::Read(_))
    ));
}

#[test]
fn what_a_crash_left_behind_is_no_card() {
    let (_base, places) = places();
    places.make_cards().unwrap();
    fs::create_dir(places.cards().join(NEW_DIRECTORY)).unwrap();
    fs::write(
        places.cards().join(NEW_DIRECTORY).join("card.json"),
        b"half",
    )
    .unwrap();
    assert!(list(&places).is_empty());
    create(&places, spec()).unwrap();
    assert!(!places.cards().join(NEW_DIRECTORY).exists());
}

#[test]
fn names_are_words_and_not_control_characters() {
    assert_eq!(CardName::parse(" Älice ").unwrap().as_str(), "Älice");
    for text in ["", "  ", "a\nb", "\u{1b}[31m", &"x".repeat(65)] {
        assert_eq!(CardName::parse(text), Err(CardNameError), "{text:?}");
    }
}
