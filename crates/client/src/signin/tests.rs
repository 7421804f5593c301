// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine against the rig: every state, every fault.

use std::sync::Arc;

use lanyard_card::CardFault;
use lanyard_fault::Fault;
use lanyard_soap::autodiscover::{AutodiscoverResponse, Format};
use rustls::RootCertStore;
use uuid::Uuid;

use super::rig::{Rig, STS, USER, WALL, answer, card, refusal, seen};
use super::{CardTrouble, CardsSeen, Input, Order, SignIn};
use crate::cards::Remembered;
use crate::net::{HttpAnswer, NetFault};
use crate::problem::Problem;

#[test]
fn a_card_that_is_there_is_signed_in_with_one_pin_and_one_verify() {
    let mut rig = Rig::new();
    rig.begin();
    assert_eq!(
        rig.stages,
        [
            "Finding your server…",
            "Contacting server…",
            "Waiting for your PIN"
        ]
    );
    rig.pin("407316");
    assert!(rig.done, "{:?}", rig.failed);
    assert_eq!(rig.stages.last(), Some(&"Signing in…"));
    assert_eq!(rig.verifies, 1);
    assert!(!rig.watching);
}

#[test]
fn srv_alone_leads_to_the_same_certificate() {
    let mut rig = Rig::new();
    rig.by_srv = true;
    rig.begin();
    rig.pin("407316");
    assert!(rig.done, "{:?}", rig.failed);
    assert!(!rig.asked.iter().any(|url| url.starts_with(USER)));
}

#[test]
fn a_renewal_skips_discovery_and_says_why() {
    let mut rig = Rig::new();
    let order = Order {
        allowed_domains: Vec::new(),
        device: Uuid::nil(),
        roots: Arc::new(RootCertStore::empty()),
        remembered: Remembered::default(),
    };
    let alice = "alice@contoso.test".parse().unwrap();
    rig.machine = SignIn::renewal(&alice, order, STS, "It ends soon.").unwrap();
    rig.begin();
    rig.pin("407316");
    assert!(rig.done, "{:?}", rig.failed);
    assert!(!rig.asked.iter().any(|url| url.contains("lyncdiscover")));
}

#[test]
fn an_empty_reader_asks_for_the_card_and_goes_on_after_ok() {
    let mut rig = Rig::new();
    rig.cards = seen(&[]);
    rig.begin();
    assert_eq!(rig.stages.last(), Some(&"Insert your smart card"));
    rig.insert(&[card("alice", false)]);
    assert_eq!(rig.stages.last(), Some(&"Insert your smart card"));
    let outputs = rig.machine.handle(Rig::now(), Input::UseCard);
    rig.run(outputs);
    assert_eq!(rig.stages.last(), Some(&"Waiting for your PIN"));
    rig.pin("407316");
    assert!(rig.done);
}

#[test]
fn a_wrong_pin_asks_again_and_nothing_is_tried_by_itself() {
    let mut rig = Rig::new();
    let wrong = CardFault::WrongPin { tries_left: 2 };
    rig.card_answers.push(Err(CardTrouble::Card(wrong)));
    rig.begin();
    rig.pin("111222");
    assert!(!rig.done && rig.failed.is_none());
    assert_eq!(rig.verifies, 1);
    assert_eq!(rig.stages.last(), Some(&"Waiting for your PIN"));
    rig.pin("407316");
    assert!(rig.done);
}

#[test]
fn the_last_try_is_not_used_without_consent() {
    let mut rig = Rig::new();
    let wrong = CardFault::WrongPin { tries_left: 1 };
    rig.card_answers.push(Err(CardTrouble::Card(wrong)));
    rig.begin();
    rig.pin("111222");
    let refused = rig.pin_with("407316", false).unwrap_err();
    assert!(refused.is(Fault::LastTryUnconfirmed));
    assert_eq!(rig.verifies, 1);
    rig.pin_with("407316", true).unwrap();
    assert!(rig.done);
}

#[test]
fn what_is_no_pin_never_reaches_the_card() {
    let mut rig = Rig::new();
    rig.begin();
    assert!(
        rig.pin_with("12345", false)
            .unwrap_err()
            .is(Fault::PinFormat)
    );
    assert!(
        rig.pin_with("pass-word", false)
            .unwrap_err()
            .is(Fault::PinFormat)
    );
    assert_eq!(rig.verifies, 0);
}

#[test]
fn faults_of_the_card_end_the_attempt_in_words() {
    for (fault, expected) in [
        (CardFault::PinBlocked, Fault::PinBlocked),
        (CardFault::Removed, Fault::CardRemoved),
        (CardFault::CardMute, Fault::CardMute),
        (CardFault::NoCard, Fault::NoCard),
    ] {
        let mut rig = Rig::new();
        rig.card_answers.push(Err(CardTrouble::Card(fault)));
        rig.begin();
        rig.pin("407316");
        assert!(rig.fault().is(expected), "{fault:?}: {}", rig.fault());
        assert!(!rig.watching);
        assert!(
            rig.pin_with("407316", false).is_err(),
            "the PIN must be gone"
        );
    }
}

#[test]
fn refusals_of_the_federation_endpoint_keep_their_code_and_words() {
    for code in [
        "LY-1302", "LY-1303", "LY-1304", "LY-1306", "LY-1307", "LY-1309",
    ] {
        let mut rig = Rig::new();
        rig.card_answers.push(refusal(403, code));
        rig.begin();
        rig.pin("407316");
        assert_eq!(rig.fault().code, code);
        assert_eq!(rig.fault().sentence, "No.");
    }
}

#[test]
fn a_transport_pin_is_changed_once_before_the_card_is_used() {
    let mut rig = Rig::new();
    rig.cards = seen(&[card("alice", true)]);
    rig.begin();
    rig.pin("12345678");
    assert_eq!(rig.stages.last(), Some(&"Waiting for your new PIN"));
    let refused = rig.machine.typed_new_pin("123456").unwrap_err();
    assert!(refused.is(Fault::PinRefused));
    let outputs = rig.machine.typed_new_pin("407316").unwrap();
    rig.run(outputs);
    assert!(rig.done, "{:?}", rig.failed);
    assert_eq!((rig.changes, rig.verifies), (1, 2));
}

#[test]
fn an_issued_card_is_made_active_by_choosing_a_pin() {
    let mut rig = Rig::new();
    rig.card_answers.push(refusal(403, "LY-1305"));
    rig.begin();
    rig.pin("407316");
    assert_eq!(rig.stages.last(), Some(&"Waiting for your new PIN"));
    let outputs = rig.machine.typed_new_pin("618203").unwrap();
    rig.run(outputs);
    assert!(rig.done, "{:?}", rig.failed);
    assert_eq!(rig.changes, 1);
}

#[test]
fn a_card_pulled_while_the_pin_is_typed_leads_back_to_insertion() {
    let mut rig = Rig::new();
    rig.begin();
    rig.insert(&[]);
    assert_eq!(rig.stages.last(), Some(&"Insert your smart card"));
    assert!(rig.pin_with("407316", false).unwrap_err().is(Fault::NotNow));
}

#[test]
fn cards_that_cannot_be_used_end_the_attempt_with_the_reason() {
    let mut rig = Rig::new();
    rig.cards = seen(&[card("bob", false)]);
    rig.begin();
    assert!(rig.fault().is(Fault::CardOfSomebodyElse));
    let mut rig = Rig::new();
    rig.cards = CardsSeen::default();
    rig.begin();
    assert!(rig.fault().is(Fault::NoReader));
    let mut rig = Rig::new();
    rig.cards = CardsSeen {
        pcsc_fault: Some(CardFault::NoService),
        ..CardsSeen::default()
    };
    rig.begin();
    assert!(rig.fault().is(Fault::PcscUnavailable));
}

#[test]
fn a_clock_that_is_an_hour_off_is_named() {
    let mut rig = Rig::new();
    rig.date = Some("Sun, 22 Nov 2026 11:00:00 GMT");
    rig.begin();
    assert!(rig.fault().is(Fault::ClockWrong));
    let detail = rig.fault().detail.clone().unwrap();
    assert_eq!(
        detail,
        "This computer is about 60 minutes ahead of the server."
    );
    let mut rig = Rig::new();
    rig.date = Some("Sun, 22 Nov 2026 12:04:59 GMT");
    rig.begin();
    assert!(rig.failed.is_none());
}

#[test]
fn late_and_foreign_inputs_change_nothing() {
    let mut rig = Rig::new();
    rig.begin();
    let stray = Input::Http {
        id: 7,
        answer: Err(NetFault::Broken),
    };
    assert!(rig.machine.handle(Rig::now(), stray).is_empty());
    let stray = Input::CardAnswer(Err(CardTrouble::Card(CardFault::PinBlocked)));
    assert!(rig.machine.handle(Rig::now(), stray).is_empty());
    rig.pin("407316");
    assert!(rig.done);
    assert!(rig.machine.typed_pin("407316", true).is_err());
}

#[test]
fn a_person_whose_policy_allows_it_is_asked_for_a_password() {
    let mut rig = Rig::new();
    rig.password = Some("Grüße aus Málaga");
    rig.cards = CardsSeen::default();
    rig.begin();
    assert_eq!(rig.stages.last(), Some(&"Waiting for your password"));
    assert!(!rig.watching);
    let outputs = rig.machine.typed_password("wrong").unwrap();
    rig.run(outputs);
    assert_eq!(rig.stages.last(), Some(&"Waiting for your password"));
    assert!(rig.failed.is_none());
    let outputs = rig.machine.typed_password("Grüße aus Málaga").unwrap();
    rig.run(outputs);
    assert!(rig.done, "{:?}", rig.failed);
    assert_eq!(rig.verifies, 0);
}

#[test]
fn a_card_that_fits_comes_before_the_password() {
    let mut rig = Rig::new();
    rig.password = Some("Grüße aus Málaga");
    rig.begin();
    assert_eq!(rig.stages.last(), Some(&"Waiting for your PIN"));
    assert!(
        rig.machine
            .typed_password("x")
            .unwrap_err()
            .is(Fault::NotNow)
    );
    rig.pin("407316");
    assert!(rig.done);
}

#[test]
fn a_card_only_person_is_never_asked_for_a_password() {
    let mut rig = Rig::new();
    rig.cards = CardsSeen::default();
    rig.begin();
    assert!(rig.fault().is(Fault::NoReader));
    assert!(!rig.stages.contains(&"Waiting for your password"));
}

mod discovery {
    use super::super::{Locate, Progress, Query};
    use super::*;

    fn locate(allowed: &[&str]) -> (Locate, u64) {
        let allowed: Vec<String> = allowed.iter().map(|domain| (*domain).to_owned()).collect();
        let mut locate = Locate::new(&"alice@contoso.test".parse().unwrap(), &allowed);
        let Progress::Ask(base, queries) = locate.begin() else {
            panic!("no questions")
        };
        assert_eq!(queries.len(), 2);
        (locate, base)
    }

    fn redirect(href: &str) -> Result<HttpAnswer, NetFault> {
        let document = AutodiscoverResponse::Redirect {
            href: href.to_owned(),
        };
        let headers = [("content-type", Format::Xml.content_type())];
        Ok(answer(200, &headers, document.to_body(Format::Xml)))
    }

    fn problem(progress: Progress) -> Problem {
        let Progress::Failed(problem) = progress else {
            panic!("no failure: {progress:?}")
        };
        problem
    }

    #[test]
    fn the_internal_name_counts_before_the_faster_external_one() {
        let (mut locate, base) = locate(&[]);
        let external = redirect("https://external.contoso.test/");
        assert_eq!(locate.http(WALL, base + 1, external), Progress::Wait);
        let internal = redirect("https://internal.contoso.test/");
        let Progress::Ask(_, queries) = locate.http(WALL, base, internal) else {
            panic!()
        };
        let Some(Query::Http(request)) = queries.first() else {
            panic!()
        };
        assert_eq!(request.url, "https://internal.contoso.test/");
    }

    #[test]
    fn a_redirection_to_another_organisation_needs_policy() {
        let (mut strict, base) = locate(&[]);
        let foreign = "https://lync.fabrikam.test/";
        let refused = problem(strict.http(WALL, base, redirect(foreign)));
        assert!(refused.is(Fault::DiscoveryForeignDomain));
        let (mut allowed, base) = locate(&["fabrikam.test"]);
        assert!(matches!(
            allowed.http(WALL, base, redirect(foreign)),
            Progress::Ask(..)
        ));
        let (mut lookalike, base) = locate(&[]);
        let lookalike_host = "https://lync.evilcontoso.test/";
        let refused = problem(lookalike.http(WALL, base, redirect(lookalike_host)));
        assert!(refused.is(Fault::DiscoveryForeignDomain));
    }

    #[test]
    fn redirections_leave_https_never_and_end_some_time() {
        let (mut locate, base) = locate(&[]);
        let plain = problem(locate.http(WALL, base, redirect("http://lync.contoso.test/")));
        assert!(plain.is(Fault::DiscoveryRefused));
        let (mut circle, base) = self::locate(&[]);
        let mut progress = circle.http(WALL, base, redirect("https://lync.contoso.test/"));
        for _ in 0..10 {
            let Progress::Ask(base, _) = progress else {
                break;
            };
            progress = circle.http(WALL, base, redirect("https://lync.contoso.test/"));
        }
        assert!(problem(progress).is(Fault::DiscoveryRefused));
    }

    #[test]
    fn a_certificate_that_is_not_trusted_ends_the_search_at_once() {
        let (mut locate, base) = locate(&[]);
        let failed = locate.http(WALL, base + 1, Err(NetFault::CertificateUntrusted));
        assert!(problem(failed).is(Fault::ServerCertificateUntrusted));
    }

    #[test]
    fn nothing_found_says_whether_there_was_a_server_at_all() {
        for (fault, expected) in [
            (NetFault::NameUnknown, Fault::ServerNotFound),
            (NetFault::Unreachable, Fault::ServerUnreachable),
            (NetFault::TimedOut, Fault::ServerTimedOut),
        ] {
            let (mut locate, base) = locate(&[]);
            let _ = locate.http(WALL, base, Err(fault));
            let mut progress = locate.http(WALL, base + 1, Err(fault));
            while let Progress::Ask(base, queries) = progress {
                progress = Progress::Wait;
                for (id, query) in (base..).zip(queries) {
                    progress = match query {
                        Query::Http(_) => locate.http(WALL, id, Err(fault)),
                        Query::Srv(_) => locate.srv(id, Err(NetFault::NameUnknown)),
                    };
                }
            }
            assert!(problem(progress).is(expected), "{fault:?}");
        }
    }
}

#[test]
fn of_several_cards_that_fit_the_person_chooses_one() {
    let mut rig = Rig::new();
    let mut other = card("alice", false);
    other.summary.reader.name = "Other reader".into();
    other.certificate.as_mut().unwrap().serial = "02".into();
    rig.cards = seen(&[card("alice", false), other]);
    rig.begin();
    assert_eq!(rig.stages.last(), Some(&"Choose a card"));
    assert!(rig.machine.typed_pin("407316", false).is_err());
    // A number that none of them has changes nothing.
    let outputs = rig.machine.handle(Rig::now(), Input::ChooseCard(3));
    assert!(outputs.is_empty());
    let outputs = rig.machine.handle(Rig::now(), Input::ChooseCard(2));
    rig.run(outputs);
    rig.pin("407316");
    assert!(rig.done);
    let used = rig.machine.used_card().unwrap();
    assert_eq!(used.certificate.as_ref().unwrap().serial, "02");
}

#[test]
fn a_pin_at_the_reader_is_asked_once_and_again_only_by_the_person() {
    let mut rig = Rig::new();
    let mut at_reader = card("alice", false);
    at_reader.summary.has_pad = true;
    rig.cards = seen(&[at_reader]);
    rig.card_answers = vec![Err(CardTrouble::Card(CardFault::PadCancelled))];
    rig.begin();
    let outputs = rig.machine.use_pad(false).unwrap();
    rig.run(outputs);
    assert_eq!(rig.entries, ["pad"]);
    assert_eq!(rig.stages.last(), Some(&"Waiting for your PIN"));
    let outputs = rig.machine.use_pad(false).unwrap();
    rig.run(outputs);
    assert!(rig.done);
    assert_eq!(rig.entries, ["pad", "pad"]);
}

#[test]
fn where_the_reader_is_wanted_nothing_typed_at_the_computer_is_taken() {
    let mut rig = Rig::new();
    rig.machine.remembered.pin_pad = crate::config::PinPadRule::Require;
    let mut at_reader = card("alice", false);
    at_reader.summary.has_pad = true;
    rig.cards = seen(&[at_reader]);
    rig.begin();
    let refused = rig.machine.typed_pin("407316", false).unwrap_err();
    assert!(refused.is(Fault::PadRequired));
    assert_eq!(rig.verifies, 0);
    let outputs = rig.machine.use_pad(false).unwrap();
    rig.run(outputs);
    assert!(rig.done);

    // A reader without keys is told, and never replaced by the keyboard.
    let mut rig = Rig::new();
    rig.machine.remembered.pin_pad = crate::config::PinPadRule::Require;
    rig.cards = seen(&[card("alice", false)]);
    rig.begin();
    assert!(rig.failed.unwrap().is(Fault::PadRequired));
}
