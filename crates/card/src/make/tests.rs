// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes that we cannot run, played by scripts after their makers' documents.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lanyard_piv::{
    Command, DynamicAuthentication, ManagementAlgorithm, ManagementKey, ObjectId, Response, Slot,
    StatusWord, ins, key_reference,
};

use super::recognise::atr_name;
use super::table::{FEITIAN_RID, IDPRIME_SECOND_AID, SWISSBIT_RID, rows};
use super::{Make, Recognised};
use crate::channel::CardPath;
use crate::fault::CardFault;
use crate::session::{CardSession, KeyPresence};
use crate::testing::FakeCard;
use crate::{Cards, Channel, Provider};

/// Answers to reset that were read from cards in the field (pcsc-tools' list of smart cards).
const ATRS: &[(&str, &[u8])] = &[
    (
        "yubikey",
        &[
            0x3B, 0xFD, 0x13, 0, 0, 0x81, 0x31, 0xFE, 0x15, 0x80, 0x73, 0xC0, 0x21, 0xC0, 0x57,
            0x59, 0x75, 0x62, 0x69, 0x4B, 0x65, 0x79, 0x40,
        ],
    ),
    (
        "yubikey4",
        &[
            0x3B, 0xF8, 0x13, 0, 0, 0x81, 0x31, 0xFE, 0x15, 0x59, 0x75, 0x62, 0x69, 0x6B, 0x65,
            0x79, 0x34, 0xD4,
        ],
    ),
    (
        "nitrokey 3",
        &[
            0x3B, 0x8C, 0x01, 0x80, 0x5A, 0x4E, 0x69, 0x74, 0x72, 0x6F, 0x6B, 0x65, 0x79, 0x20,
            0x33, 0x7D,
        ],
    ),
    (
        "c2300",
        &[
            0x3B, 0xD5, 0x96, 0xFF, 0x81, 0x91, 0xFE, 0x1F, 0xC3, 0x43, 0x32, 0x33, 0x30, 0x30,
            0xCC,
        ],
    ),
];

fn atr_of(name: &str) -> &'static [u8] {
    let found = ATRS.iter().find(|(known, _)| *known == name);
    found.map_or(&[0x3B, 0x00], |(_, atr)| atr)
}

/// A card of some make: what it answers to SELECT, which other applications it knows, its version.
#[derive(Clone, Default)]
struct Script {
    atr: &'static str,
    select: Vec<u8>,
    others: Vec<&'static [u8]>,
    version: Option<Vec<u8>>,
    metadata: bool,
}

impl Script {
    fn labelled(label: &str) -> Self {
        let template = lanyard_piv::ApplicationTemplate {
            label: Some(label.to_owned()),
            algorithms: vec![],
        };
        Self {
            select: template.encode(),
            ..Self::default()
        }
    }

    fn silent() -> Self {
        Self {
            select: lanyard_piv::ApplicationTemplate::default().encode(),
            ..Self::default()
        }
    }

    fn fake(&self) -> FakeCard {
        let script = self.clone();
        // A card forgets its selected application when another one is selected.
        let selected = Arc::new(Mutex::new(false));
        FakeCard::new(CardPath::Pcsc, move |command| {
            let mut piv = selected.lock().unwrap();
            Ok(match command.instruction() {
                ins::SELECT if command.data() == lanyard_piv::AID => {
                    *piv = true;
                    Response::new(script.select.clone(), StatusWord::SUCCESS)
                }
                ins::SELECT => {
                    *piv = false;
                    match script.others.contains(&command.data()) {
                        true => StatusWord::SUCCESS.into(),
                        false => StatusWord::NOT_FOUND.into(),
                    }
                }
                _ if !*piv => StatusWord::INSTRUCTION_NOT_SUPPORTED.into(),
                0xFD => match &script.version {
                    Some(version) => Response::new(version.clone(), StatusWord::SUCCESS),
                    None => StatusWord::INSTRUCTION_NOT_SUPPORTED.into(),
                },
                ins::VERIFY => StatusWord::tries(3).into(),
                ins::GET_METADATA if script.metadata => match command.p2() {
                    key_reference::PIN => {
                        Response::new(vec![0x05, 1, 1, 0x06, 2, 3, 3], StatusWord::SUCCESS)
                    }
                    _ => StatusWord::REFERENCE_NOT_FOUND.into(),
                },
                ins::GET_METADATA => StatusWord::INSTRUCTION_NOT_SUPPORTED.into(),
                _ => StatusWord::NOT_FOUND.into(),
            })
        })
        .with_atr(atr_of(self.atr))
    }

    fn session(&self) -> (FakeCard, CardSession) {
        let fake = self.fake();
        let channel: Box<dyn Channel> = fake.connect("fake", Duration::from_secs(1)).unwrap();
        let session = CardSession::start(channel, fake.reader(), Duration::from_secs(1));
        (fake, session.unwrap())
    }
}

fn metadata_asked(fake: &FakeCard) -> usize {
    fake.happened()
        .iter()
        .filter(|event| {
            matches!(event, crate::testing::Happened::Sent(command)
                if command.instruction() == ins::GET_METADATA)
        })
        .count()
}

#[test]
fn the_name_in_an_answer_to_reset_is_read_in_both_of_its_forms() {
    for (name, atr) in ATRS {
        assert_eq!(atr_name(atr).as_deref(), Some(*name));
    }
    for broken in [
        &[][..],
        &[0x3B],
        &[0x3B, 0x04, 0xAA],
        &[0x3B, 0x80],
        &[0x3B, 0x80, 0x80],
    ] {
        assert_eq!(atr_name(broken), None, "{broken:02x?}");
    }
}

#[test]
fn every_make_is_recognised_by_what_its_cards_say() {
    let with = |atr: &'static str, script: Script| Script { atr, ..script };
    let knows = |application: &'static [u8], script: Script| Script {
        others: vec![application],
        ..script
    };
    let cards = [
        (Make::Lanyard, Script::labelled("Lanyard virtual card")),
        (Make::YubiKey, with("yubikey", Script::silent())),
        (Make::YubiKey, with("yubikey4", Script::silent())),
        (Make::Nitrokey, Script::labelled("Nitrokey PIV")),
        (Make::Nitrokey, with("nitrokey 3", Script::silent())),
        (Make::PivApplet, Script::labelled("PivApplet v0.9.0/RE")),
        (Make::OpenFips201, Script::labelled("OpenFIPS201")),
        (
            Make::SwissbitIshield2,
            knows(SWISSBIT_RID, Script::labelled("OpenFIPS201")),
        ),
        (
            Make::HidCrescendo,
            Script::labelled("HID Global ActivID Applet 3.0.3"),
        ),
        (Make::HidCrescendo, with("c2300", Script::silent())),
        (Make::Feitian, knows(FEITIAN_RID, Script::silent())),
        (Make::IdPrime, knows(IDPRIME_SECOND_AID, Script::silent())),
        (Make::Plain, Script::silent()),
    ];
    for (make, script) in cards {
        let (_, mut session) = script.session();
        assert_eq!(session.recognise().unwrap().make, make);
        // Whatever was asked, the PIV application is the one that is spoken to afterwards.
        assert!(session.pin_status().is_ok(), "{make}");
    }
}

#[test]
fn an_application_that_answers_with_file_control_information_is_one_too() {
    let label = b"PivApplet v0.9.0/RE";
    let mut inner = vec![0x50, u8::try_from(label.len()).unwrap()];
    inner.extend_from_slice(label);
    let mut outer = vec![0xA5, u8::try_from(inner.len()).unwrap()];
    outer.extend_from_slice(&inner);
    let mut select = vec![0x6F, u8::try_from(outer.len()).unwrap()];
    select.extend_from_slice(&outer);
    let script = Script {
        select,
        ..Script::default()
    };
    let (_, session) = script.session();
    assert_eq!(session.recognised().make, Make::PivApplet);
}

#[test]
fn metadata_is_asked_only_of_cards_that_may_know_it() {
    let yubikey = |version: &[u8]| Script {
        atr: "yubikey",
        version: Some(version.to_vec()),
        metadata: true,
        ..Script::silent()
    };
    let (old, mut session) = yubikey(&[5, 2, 7]).session();
    assert_eq!(session.recognise().unwrap().to_string(), "YubiKey 5.2.7");
    assert_eq!(session.pin_is_default(), Ok(None));
    assert_eq!(metadata_asked(&old), 0);
    let (_, mut session) = yubikey(&[5, 4, 3]).session();
    session.recognise().unwrap();
    assert_eq!(session.pin_is_default(), Ok(Some(true)));
    let presence = session.key_presence(Slot::Authentication);
    assert_eq!(presence, Ok(KeyPresence::Missing));

    let hid = Script {
        metadata: true,
        ..Script::labelled("HID Global ActivID Applet 3.0.3")
    };
    let (fake, mut session) = hid.session();
    assert_eq!(session.pin_is_default(), Ok(None));
    assert_eq!(metadata_asked(&fake), 0);

    // What the iShield Key 2 tells of keys is what was once true.
    let swissbit = Script {
        others: vec![SWISSBIT_RID],
        metadata: true,
        ..Script::labelled("OpenFIPS201")
    };
    let (_, mut session) = swissbit.session();
    session.recognise().unwrap();
    assert_eq!(session.pin_is_default(), Ok(Some(true)));
    let presence = session.key_presence(Slot::Authentication);
    assert_eq!(presence, Ok(KeyPresence::Unknown));
}

#[test]
fn a_card_is_asked_for_its_make_once_and_not_at_every_look() {
    let script = Script {
        others: vec![FEITIAN_RID],
        ..Script::silent()
    };
    let fake = script.fake();
    let cards = Cards::with_providers(vec![Box::new(fake.clone())]);
    let probes = || {
        fake.happened()
            .iter()
            .filter(|event| {
                matches!(event, crate::testing::Happened::Sent(command)
                    if command.instruction() == ins::SELECT && command.data() == FEITIAN_RID)
            })
            .count()
    };
    for _ in 0..3 {
        let listing = cards.list().unwrap();
        let card = listing.cards().next().unwrap();
        assert_eq!(card.make.make, Make::Feitian);
        assert_eq!(probes(), 1);
    }
}

#[test]
fn a_card_with_administration_of_its_own_is_sent_no_management_key() {
    let key = ManagementKey::new(&[7; 16]).unwrap();
    let (fake, mut session) = Script::labelled("HID Global ActivID Applet 3.0.3").session();
    let refused = session.authenticate_admin(&key);
    assert_eq!(refused, Err(CardFault::Unsupported));
    assert_eq!(fake.sent(ins::GENERAL_AUTHENTICATE), 0);
    let script = Script {
        atr: "",
        others: vec![FEITIAN_RID],
        ..Script::silent()
    };
    let (fake, mut session) = script.session();
    session.recognise().unwrap();
    let refused = session.set_management_key(ManagementAlgorithm::Aes128, &key);
    assert_eq!(refused, Err(CardFault::Unsupported));
    assert_eq!(fake.sent(ins::SET_MANAGEMENT_KEY), 0);
}

/// An IDPrime card proves itself under the tag of the witness; taken from no other make.
#[test]
fn a_proof_under_the_wrong_tag_is_taken_from_the_make_that_gives_it_so() {
    let admits = |idprime: bool| {
        let key = ManagementKey::new(&[7; 16]).unwrap();
        let fake = FakeCard::new(CardPath::Pcsc, move |command: &Command| {
            let success = |template: &DynamicAuthentication| {
                Ok(Response::new(template.encode(), StatusWord::SUCCESS))
            };
            match command.instruction() {
                ins::SELECT if command.data() == lanyard_piv::AID => Ok(Response::new(
                    lanyard_piv::ApplicationTemplate::default().encode(),
                    StatusWord::SUCCESS,
                )),
                ins::SELECT if idprime && command.data() == IDPRIME_SECOND_AID => {
                    Ok(StatusWord::SUCCESS.into())
                }
                ins::GENERAL_AUTHENTICATE if command.p1() == ManagementAlgorithm::Aes128.id() => {
                    let question = DynamicAuthentication::parse(command.data()).unwrap();
                    let mut answer = DynamicAuthentication::default();
                    answer.witness = Some(match &question.challenge {
                        None => vec![1; 16],
                        Some(asked) => key.encrypt(ManagementAlgorithm::Aes128, asked).unwrap(),
                    });
                    success(&answer)
                }
                ins::GET_DATA if ObjectId::from_tag_list(command.data()) == Ok(ObjectId::CHUID) => {
                    Ok(StatusWord::NOT_FOUND.into())
                }
                _ => Ok(StatusWord::NOT_FOUND.into()),
            }
        });
        let channel = fake.connect("fake", Duration::from_secs(1)).unwrap();
        let mut session =
            CardSession::start(channel, fake.reader(), Duration::from_secs(1)).unwrap();
        session.recognise().unwrap();
        session.authenticate_admin(&ManagementKey::new(&[7; 16]).unwrap())
    };
    assert_eq!(admits(true), Ok(ManagementAlgorithm::Aes128));
    assert_eq!(admits(false), Err(CardFault::BadAnswer));
}

#[test]
fn every_make_has_its_row_and_says_where_the_facts_are_from() {
    for row in rows() {
        assert_eq!(row.make.row().name, row.name);
        assert!(!row.source.is_empty());
        let key = row.factory_key.map(ManagementKey::new);
        assert!(key.is_none_or(|key| key.is_ok()), "{}", row.name);
    }
    let twice = |one: &&super::Row| rows().iter().filter(|row| row.make == one.make).count() > 1;
    assert!(!rows().iter().any(|row| twice(&row)));
    assert_eq!(Recognised::default().to_string(), "PIV card");
}

#[test]
fn whatever_a_card_says_is_read_without_harm() {
    // A generator without a library: the same bytes in every run.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut byte = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    for round in 0..20_000_usize {
        let mut bytes: Vec<u8> = (0..round % 40).map(|_| byte()).collect();
        if let (Some(first), true) = (bytes.first_mut(), round % 2 == 0) {
            *first = if round % 4 == 0 { 0x61 } else { 0x6F };
        }
        let label = super::label_of(&bytes).flatten();
        let _ = Recognised::at_first_sight(&bytes, label.as_deref());
        let _ = crate::pad::PinPad::parse(&bytes);
    }
}
