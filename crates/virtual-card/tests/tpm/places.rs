// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making and destroying: what a crash or an absent chip leaves behind is taken away later.

use std::fs;

use lanyard_virtual_card::{
    CardName, CardSpec, InstanceId, KeeperChoice, Places, Protection, create, destroy, hold, list,
};

use crate::support::{Bench, FIRST_PIN, bench, pin};

fn places(bench: &Bench) -> Places {
    Places::new(
        &bench.folder.path().join("cards"),
        &bench.folder.path().join("run"),
    )
}

fn spec(bench: &Bench) -> CardSpec {
    let mut spec = CardSpec::new(CardName::parse("My card").unwrap());
    spec.keeper = KeeperChoice::Tpm {
        device: bench.device(),
        attestation: None,
    };
    spec
}

fn first() -> InstanceId {
    "0".parse().unwrap()
}

#[test]
fn a_card_in_the_chip_is_made_listed_held_and_destroyed() {
    let bench = bench();
    let places = places(&bench);
    let created = create(&places, spec(&bench)).unwrap();
    let listed = list(&places);
    let card = listed[0].card.as_ref().unwrap();
    assert_eq!(
        (card.guid, card.protection),
        (created.guid, Protection::Tpm)
    );
    assert!(card.pin.initial);
    let mut held = hold(&places, created.instance).unwrap();
    assert!(hold(&places, created.instance).is_err(), "one at a time");
    assert!(held.verify(&pin(FIRST_PIN)).is_ok());
    assert_eq!(bench.indices().len(), 2);
    destroy(&places, created.instance).unwrap();
    assert!(list(&places).is_empty());
    assert!(bench.indices().is_empty());
    let after = held.verify(&pin(FIRST_PIN));
    assert!(after.is_err(), "a destroyed card answers no more");
}

#[test]
fn what_a_crash_while_making_left_in_the_chip_is_taken_out_with_the_next_card() {
    let bench = bench();
    let places = places(&bench);
    create(&places, spec(&bench)).unwrap();
    // As if the process had died just before the card got its place.
    fs::rename(places.card(first()), places.cards().join(".new")).unwrap();
    assert_eq!(bench.indices().len(), 2);
    create(&places, spec(&bench)).unwrap();
    assert_eq!(bench.indices().len(), 2, "those of the new card alone");
    let mut held = hold(&places, first()).unwrap();
    assert!(held.verify(&pin(FIRST_PIN)).is_ok());
}

#[test]
fn a_card_destroyed_while_its_chip_is_away_leaves_no_key_and_is_swept_later() {
    let mut bench = bench();
    let places = places(&bench);
    let created = create(&places, spec(&bench)).unwrap();
    let mut held = hold(&places, created.instance).unwrap();
    held.generate(
        lanyard_piv::Slot::Authentication,
        lanyard_piv::Algorithm::EccP256,
    )
    .unwrap();
    drop(held);
    bench.chip.kill();
    destroy(&places, created.instance).unwrap();
    assert!(list(&places).is_empty());
    let left = fs::read_dir(places.cards())
        .unwrap()
        .map(|entry| entry.unwrap().path().join("card.json"))
        .find(|path| path.exists())
        .unwrap();
    let text = fs::read_to_string(left).unwrap();
    assert!(text.contains("\"keys\": {}"), "{text}");
    bench.chip.power_on();
    assert_eq!(bench.indices().len(), 2);
    create(&places, spec(&bench)).unwrap();
    assert_eq!(bench.indices().len(), 2, "those of the new card alone");
}
