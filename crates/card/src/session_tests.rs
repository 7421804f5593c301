// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of sessions against cards made of closures; the real ones are in the whole tests.

use std::time::Duration;

use lanyard_piv::{
    Command, DynamicAuthentication, NewPin, Pin, Response, Slot, StatusWord, ins, key_reference,
};

use crate::channel::{CardPath, Ending};
use crate::fault::CardFault;
use crate::scheme::Scheme;
use crate::session::{CardSession, LastTry, PinStatus};
use crate::testing::{FakeCard, Happened, usual};

fn card(answering: impl Fn(&Command) -> Response + Send + Sync + 'static) -> FakeCard {
    FakeCard::new(CardPath::Pcsc, move |command| {
        Ok(usual(command).unwrap_or_else(|| answering(command)))
    })
}

fn session(card: &FakeCard) -> Result<CardSession, CardFault> {
    CardSession::start(
        Box::new(card.clone()),
        card.reader(),
        Duration::from_secs(1),
    )
}

fn status(status: StatusWord) -> impl Fn(&Command) -> Response + Send + Sync + 'static {
    move |_| status.into()
}

fn pin() -> Pin {
    Pin::parse("482913").unwrap()
}

#[test]
fn a_card_without_the_application_is_no_piv_card() {
    for answer in [StatusWord::NOT_FOUND, StatusWord::FUNCTION_NOT_SUPPORTED] {
        let card = FakeCard::new(CardPath::Pcsc, move |_| Ok(answer.into()));
        assert_eq!(session(&card).err(), Some(CardFault::NotPiv));
    }
    let card = FakeCard::new(CardPath::Pcsc, |_| {
        Ok(Response::new([1, 2, 3], StatusWord::SUCCESS))
    });
    assert_eq!(session(&card).err(), Some(CardFault::NotPiv));
}

#[test]
fn reading_leaves_the_card_and_a_pin_resets_it() {
    let fake = card(status(StatusWord::tries(3)));
    let mut reading = session(&fake).unwrap();
    assert_eq!(reading.pin_status(), Ok(PinStatus::TriesLeft(3)));
    drop(reading);
    assert_eq!(
        fake.happened().last(),
        Some(&Happened::Ended(Ending::Leave))
    );

    let mut verifying = session(&fake).unwrap();
    let wrong = verifying.verify(&pin(), LastTry::Refuse);
    assert_eq!(wrong, Err(CardFault::WrongPin { tries_left: 3 }));
    drop(verifying);
    assert_eq!(
        fake.happened().last(),
        Some(&Happened::Ended(Ending::Reset))
    );
}

#[test]
fn the_last_try_is_not_used_without_consent() {
    let fake = card(|command| {
        let left = if command.data().is_empty() { 1 } else { 0 };
        StatusWord::tries(left).into()
    });
    let mut session = session(&fake).unwrap();
    assert_eq!(
        session.verify(&pin(), LastTry::Refuse),
        Err(CardFault::LastTry)
    );
    let new = NewPin::check(Pin::parse("736450").unwrap(), None).unwrap();
    assert_eq!(
        session.change_pin(&pin(), &new, LastTry::Refuse),
        Err(CardFault::LastTry)
    );
    assert_eq!(
        (
            fake.sent(ins::VERIFY),
            fake.sent(ins::CHANGE_REFERENCE_DATA)
        ),
        (0, 0)
    );
    assert_eq!(
        session.verify(&pin(), LastTry::Allow),
        Err(CardFault::PinBlocked)
    );
    assert_eq!(fake.sent(ins::VERIFY), 1);
}

#[test]
fn a_blocked_pin_is_not_tried() {
    let fake = card(status(StatusWord::BLOCKED));
    let mut session = session(&fake).unwrap();
    assert_eq!(
        session.verify(&pin(), LastTry::Allow),
        Err(CardFault::PinBlocked)
    );
    assert_eq!(fake.sent(ins::VERIFY), 0);
}

#[test]
fn a_transport_pin_that_keeps_the_key_shut_is_told_as_such() {
    let fake = card(|command| match (command.instruction(), command.p2()) {
        (ins::GET_METADATA, key_reference::PIN) => Response::new([5, 1, 1], StatusWord::SUCCESS),
        _ => StatusWord::CONDITIONS_NOT_SATISFIED.into(),
    });
    let signed = session(&fake)
        .unwrap()
        .sign(Slot::Authentication, Scheme::EcdsaP256Sha256, b"");
    assert_eq!(signed, Err(CardFault::PinMustChange));

    let other = card(status(StatusWord::CONDITIONS_NOT_SATISFIED));
    let signed = session(&other)
        .unwrap()
        .sign(Slot::Authentication, Scheme::EcdsaP256Sha256, b"");
    assert_eq!(
        signed,
        Err(CardFault::Refused(StatusWord::CONDITIONS_NOT_SATISFIED))
    );
}

#[test]
fn a_signature_of_the_wrong_form_is_refused() {
    for (response, good) in [
        (vec![0x30, 6, 2, 1, 5, 2, 1, 7], true),
        (vec![0x30, 3, 2, 1, 5], false),
        (vec![0x30, 7, 2, 1, 5, 2, 1, 7, 0], false),
        (vec![0x30, 5, 2, 0, 2, 1, 7], false),
        (vec![1; 64], false),
        (vec![], false),
    ] {
        let template = DynamicAuthentication::answer(response.clone()).encode();
        let fake = card(move |_| Response::new(template.clone(), StatusWord::SUCCESS));
        let signed =
            session(&fake)
                .unwrap()
                .sign(Slot::CardAuthentication, Scheme::EcdsaP256Sha256, b"m");
        assert_eq!(
            signed,
            if good {
                Ok(response)
            } else {
                Err(CardFault::BadAnswer)
            }
        );
    }
}

#[test]
fn long_answers_are_collected_and_endless_ones_refused() {
    let object = lanyard_piv::ObjectId::certificate(Slot::Authentication);
    let whole = object.wrap(&[0x70, 3, 1, 2, 3, 0x71, 1, 0, 0xFE, 0]);
    let (first, rest) = whole.split_at(5);
    let (first, rest) = (first.to_vec(), rest.to_vec());
    let fake = card(move |command| match command.instruction() {
        ins::GET_RESPONSE => Response::new(rest.clone(), StatusWord::SUCCESS),
        _ => Response::new(first.clone(), StatusWord::more(rest.len())),
    });
    let certificate = session(&fake).unwrap().certificate(Slot::Authentication);
    assert_eq!(certificate, Ok(Some(vec![1, 2, 3])));

    let endless = card(|_| Response::new([0; 256], StatusWord::more(256)));
    let certificate = session(&endless).unwrap().certificate(Slot::Authentication);
    assert_eq!(certificate, Err(CardFault::BadAnswer));
    let empty = card(|_| StatusWord::more(5).into());
    let certificate = session(&empty).unwrap().certificate(Slot::Authentication);
    assert_eq!(certificate, Err(CardFault::BadAnswer));
}

#[test]
fn a_wish_for_the_exact_length_is_granted_once() {
    let fake = card(
        |command| match (command.instruction(), command.expected()) {
            (ins::GET_METADATA, Some(3)) => Response::new([5, 1, 0], StatusWord::SUCCESS),
            _ => StatusWord::new(0x6C03).into(),
        },
    );
    assert_eq!(session(&fake).unwrap().pin_is_default(), Ok(Some(false)));
    let stubborn = card(|_| StatusWord::new(0x6C03).into());
    assert_eq!(session(&stubborn).unwrap().pin_is_default(), Ok(None));
}

#[test]
fn a_long_command_goes_in_pieces_and_stops_at_the_first_refusal() {
    let fake = card(|command| match command.is_chained() {
        true => StatusWord::SUCCESS.into(),
        false => StatusWord::SECURITY_STATUS_NOT_SATISFIED.into(),
    });
    let put = session(&fake)
        .unwrap()
        .put_certificate(Slot::Authentication, &[1; 600]);
    assert_eq!(put, Err(CardFault::AdminNotAuthenticated));
    assert_eq!(fake.sent(ins::PUT_DATA), 3);

    let early = card(status(StatusWord::SECURITY_STATUS_NOT_SATISFIED));
    let put = session(&early)
        .unwrap()
        .put_certificate(Slot::Authentication, &[1; 600]);
    assert_eq!(put, Err(CardFault::AdminNotAuthenticated));
    assert_eq!(early.sent(ins::PUT_DATA), 1);
}

#[test]
fn a_card_that_does_not_know_the_management_key_is_refused() {
    let key = lanyard_piv::ManagementKey::new(&[9; 32]).unwrap();
    // It takes any proof and answers the challenge with nonsense.
    let fake = card(|command| match command.instruction() {
        ins::GET_METADATA => StatusWord::INSTRUCTION_NOT_SUPPORTED.into(),
        _ if command.data().len() < 10 => {
            let mut witness = DynamicAuthentication::request_witness();
            witness.witness = Some(vec![1; 16]);
            Response::new(witness.encode(), StatusWord::SUCCESS)
        }
        _ => {
            let answer = DynamicAuthentication::answer(vec![2; 16]).encode();
            Response::new(answer, StatusWord::SUCCESS)
        }
    });
    let outcome = session(&fake).unwrap().authenticate_admin(&key);
    assert_eq!(outcome, Err(CardFault::AdminRefused));
}
