// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card that has to stay: out and back, out for good, locked and unlocked, and asked to show itself.

use std::time::Duration;

use lanyard_card::{CardKind, CardPath, CardSummary, ReaderId};
use lanyard_fault::Fault;
use time::Duration as WallDuration;

use super::{TERMINAL, World};
use crate::agent::core::Effect;
use crate::agent::protocol::Intent;
use crate::cards::CardFacts;
use crate::session::{CardPolicy, Removal};
use crate::signin::{CardsSeen, Output};
use crate::view::{Event, Stage};

fn card(kind: CardKind) -> CardFacts {
    let reader = ReaderId {
        path: CardPath::Pcsc,
        name: "Reader 0".into(),
    };
    let mut summary = CardSummary::blank(reader);
    summary.kind = kind;
    summary.guid = Some("00112233445566778899aabbccddeeff".parse().unwrap());
    CardFacts::of(summary, None)
}

fn seen(cards: &[CardFacts]) -> CardsSeen {
    CardsSeen {
        readers: vec!["Reader 0".into()],
        cards: cards.to_vec(),
        ..CardsSeen::default()
    }
}

fn policy(removal: Removal) -> CardPolicy {
    CardPolicy {
        removal,
        grace: Duration::from_secs(10),
        proof: None,
    }
}

/// Signed in with a card of this kind, under this policy.
fn world(dir: &std::path::Path, kind: CardKind, removal: Removal) -> World {
    let mut world = World::signed_in(dir, WallDuration::hours(10));
    world.core.keeping.hold(card(kind));
    let now = world.now;
    world.core.card_policy(now, policy(removal));
    world
}

impl World {
    fn look(&mut self, cards: &[CardFacts]) {
        let now = self.now;
        self.core.cards_seen(now, &seen(cards));
    }

    fn pass(&mut self, seconds: u64) {
        self.now.at += Duration::from_secs(seconds);
        let now = self.now;
        self.core.tick(now);
        self.settle();
    }
}

#[test]
fn a_card_that_comes_back_in_time_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = world(dir.path(), CardKind::Physical, Removal::SignOut);
    world.look(&[]);
    assert!(world.core.view.card_out);
    world.pass(9);
    world.look(&[card(CardKind::Physical)]);
    assert!(!world.core.view.card_out);
    world.pass(60);
    assert_eq!(world.core.view.stage, Stage::SignedIn);
}

#[test]
fn a_card_that_stays_out_ends_the_session_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = world(dir.path(), CardKind::Physical, Removal::SignOut);
    world.look(&[]);
    world.pass(11);
    world.pass(5);
    assert_eq!(world.core.view.stage, Stage::Idle);
    let problem = world.core.view.problem.clone().unwrap();
    assert!(problem.is(Fault::CardTakenOut), "{problem}");
}

#[test]
fn a_card_that_stays_out_ends_the_program_where_policy_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = world(dir.path(), CardKind::Physical, Removal::Exit);
    world.look(&[]);
    world.now.at += Duration::from_secs(11);
    let now = world.now;
    world.core.tick(now);
    world.now.at += Duration::from_secs(5);
    let now = world.now;
    world.core.tick(now);
    let effects = world.core.take_effects();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Exit)));
}

#[test]
fn virtual_cards_and_a_policy_of_nothing_are_not_watched() {
    for (kind, removal) in [
        (CardKind::VirtualFile, Removal::Exit),
        (CardKind::VirtualTpm, Removal::Lock),
        (CardKind::Physical, Removal::Nothing),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut world = world(dir.path(), kind, removal);
        let watched = |effect: &Effect| matches!(effect, Effect::SignIn(Output::WatchCards));
        assert!(!world.core.take_effects().iter().any(watched));
        world.look(&[]);
        world.pass(60);
        assert_eq!(world.core.view.stage, Stage::SignedIn);
        assert!(!world.core.view.locked);
    }
}

#[test]
fn a_locked_session_shows_nothing_and_does_nothing_until_it_is_unlocked() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = world(dir.path(), CardKind::Physical, Removal::Lock);
    let now = world.now;
    world
        .core
        .intent(now, TERMINAL, Intent::Attach { display: true });
    world.settle();
    world.look(&[]);
    world.pass(11);
    assert!(world.core.view.locked);
    let now = world.now;
    world.core.take_effects();
    world.core.intent(now, TERMINAL, Intent::Contacts);
    let refused = world.core.take_effects().into_iter().any(|effect| {
        matches!(effect, Effect::Reply { result: Err(problem), .. } if problem.is(Fault::Locked))
    });
    assert!(refused);
    // What comes meanwhile is not shown.
    world.core.effects.push(Effect::Event(Event::Contacts {
        contacts: Vec::new(),
        groups: Vec::new(),
    }));
    let shown = world.core.take_effects();
    let content = |effect: &Effect| matches!(effect, Effect::Event(Event::Contacts { .. }));
    assert!(!shown.iter().any(content));
    // Card and PIN came.
    world.core.unlock();
    let content = |effect: &Effect| matches!(effect, Effect::EventTo(_, Event::Contacts { .. }));
    assert!(world.core.take_effects().iter().any(content));
}

#[test]
fn a_card_shows_itself_before_its_time_is_over_and_the_person_hears_when_it_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = world(dir.path(), CardKind::VirtualTpm, Removal::Nothing);
    let now = world.now;
    let asked = CardPolicy {
        proof: Some(Duration::from_secs(60)),
        ..policy(Removal::Nothing)
    };
    world.core.card_policy(now, asked);
    let proves = |world: &mut World, seconds: u64| {
        world.now.at += Duration::from_secs(seconds);
        let now = world.now;
        world.core.tick(now);
        let effects = world.core.take_effects();
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::ProvePresence { .. }))
    };
    assert!(!proves(&mut world, 44));
    assert!(proves(&mut world, 2));
    // One at a time.
    assert!(!proves(&mut world, 2));
    let now = world.now;
    world.core.presence_proved(now, Ok(()));
    assert!(!proves(&mut world, 44));
    assert!(proves(&mut world, 2));
    let now = world.now;
    world
        .core
        .presence_proved(now, Err(Fault::CardRemoved.into()));
    let told = world.core.take_effects().into_iter().any(|effect| {
        matches!(effect, Effect::Event(Event::Notice { text }) if text.contains("LY-1545"))
    });
    assert!(told);
    assert!(proves(&mut world, 11));
}
