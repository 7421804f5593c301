// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card whose program is killed, again and again, while it changes its PIN and makes keys: the old
//! state or the new one is there, never neither; and what an old copy of the file does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use lanyard_piv::{
    Algorithm, Command as Apdu, DynamicAuthentication, Guid, ManagementAlgorithm, ManagementKey,
    NewPin, ObjectId, Pin, Puk, Response, Slot,
};
use lanyard_virtual_card::{
    Application, CardName, FileStorage, FormatError, KdfCost, Keeper, NewCard, PinDigits,
    ReferenceError, STATE_FILE, SealedCard, first_objects,
};

/// Names the card's directory to the child.
const CHILD: &str = "LANYARD_CRASH_CARD";
const PINS: [&str; 2] = ["35914782", "86421357"];
const WRONG_PIN: &str = "97531246";
const PUK: &str = "24681357";
const KILLS: u32 = 40;
/// The child is killed this long after it began to work, at most.
const WORKS_MICROS_MAX: u64 = 200_000;
const PATIENCE: Duration = Duration::from_secs(30);
const OBJECT_BYTES: usize = 3_000;

fn pin(text: &str) -> Pin {
    Pin::parse(text).unwrap()
}

fn make(directory: &Path) {
    let guid = Guid::new([0x47; 16]);
    let card = NewCard {
        name: CardName::parse("crashed").unwrap(),
        guid,
        pin: pin(PINS[0]),
        pin_is_transport: false,
        puk: Puk::parse(PUK).unwrap(),
        management_key: ManagementKey::blank_card(),
        force_pin_change: true,
        pin_digits: PinDigits::default(),
        kdf: KdfCost::LEAST,
        objects: first_objects(guid, [0x11; 14]),
    };
    let storage = FileStorage::claim(directory).unwrap();
    let mut card = SealedCard::create(card, storage).unwrap();
    card.generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    card.put_object(ObjectId::PRINTED, Some(&[0; OBJECT_BYTES]))
        .unwrap();
}

/// Claims the card as soon as the former process has let go of it. A child of a test beside this one
/// holds the lock, too, until it is a program of its own.
fn claim(directory: &Path) -> FileStorage {
    let start = Instant::now();
    loop {
        match FileStorage::claim(directory) {
            Ok(storage) => return storage,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Opens the card as a new process does.
fn open(directory: &Path) -> SealedCard {
    let storage = claim(directory);
    SealedCard::open(&FileStorage::load(directory).unwrap(), storage).unwrap()
}

/// Which of the two PINs is the right one.
fn current_pin(card: &mut SealedCard) -> usize {
    let right: Vec<usize> = (0..PINS.len())
        .filter(|index| card.verify(&pin(PINS[*index])).is_ok())
        .collect();
    assert_eq!(right.len(), 1, "one PIN, and only one, opens the card");
    right[0]
}

/// What the child does until it is killed: changes the PIN, makes keys, writes an object.
#[expect(clippy::print_stdout, reason = "the parent waits for the word")]
fn work(directory: &Path) -> ! {
    let mut card = open(directory);
    let mut current = current_pin(&mut card);
    let mut session = Application::new();
    let mut send = |card: &mut SealedCard, command: Apdu| {
        let mut answer = None;
        for piece in command.split() {
            let bytes = piece.to_bytes().unwrap();
            let bytes = session.apdu(card, Instant::now(), &bytes);
            answer = Some(Response::parse(&bytes).unwrap());
        }
        answer.unwrap()
    };
    let (algorithm, key) = (ManagementAlgorithm::TripleDes, ManagementKey::blank_card());
    let ask = DynamicAuthentication::request_challenge();
    let challenge = send(&mut card, Apdu::authenticate_management(algorithm, &ask));
    let challenge = DynamicAuthentication::parse(challenge.data()).unwrap();
    let response = key
        .encrypt(algorithm, challenge.challenge.as_deref().unwrap())
        .unwrap();
    let response = DynamicAuthentication::answer(response);
    let proved = send(
        &mut card,
        Apdu::authenticate_management(algorithm, &response),
    );
    assert!(proved.status().is_success());

    println!("ready");
    std::io::stdout().flush().unwrap();
    for round in 0_u64.. {
        let other = 1 - current;
        let new = NewPin::check(pin(PINS[other]), None).unwrap();
        let change = Apdu::change_pin(&pin(PINS[current]), &new);
        assert!(send(&mut card, change).status().is_success());
        current = other;
        let kind = if round % 16 == 15 {
            Algorithm::Rsa2048
        } else {
            Algorithm::EccP256
        };
        let slot = [Slot::Authentication, Slot::KeyManagement][usize::from(round % 2 == 1)];
        let made = send(&mut card, Apdu::generate(slot, kind));
        // An RSA key is told in two pieces.
        assert!(made.status().is_success() || made.status().more_available().is_some());
        let contents = vec![round as u8; OBJECT_BYTES];
        let put = Apdu::put_data(ObjectId::PRINTED, &contents);
        assert!(send(&mut card, put).status().is_success());
    }
    unreachable!("the rounds do not end")
}

/// A random number without a crate for it.
fn dice() -> u64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

#[test]
fn a_program_killed_while_it_changes_a_card_leaves_the_old_state_or_the_new_one() {
    if let Some(directory) = env::var_os(CHILD) {
        work(Path::new(&directory));
    }
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let mut seen = [0_u32; 2];
    for _ in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "a_program_killed_while_it_changes_a_card_leaves_the_old_state_or_the_new_one",
                "--nocapture",
            ])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines
            .map_while(Result::ok)
            .any(|line| line.ends_with("ready"));
        assert!(ready, "the child ended by itself");
        thread::sleep(Duration::from_micros(dice() % WORKS_MICROS_MAX));
        child.kill().unwrap();
        child.wait().unwrap();

        let mut card = open(folder.path());
        let current = current_pin(&mut card);
        seen[current] += 1;
        let opened = card.verify(&pin(PINS[current])).unwrap();
        // The key whose public half the card tells is the one that it signs with.
        match card.key(Slot::Authentication).unwrap() {
            key if key.algorithm() == Algorithm::EccP256 => {
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"message");
                let signature = card
                    .sign(Slot::Authentication, Some(&opened), digest.as_ref())
                    .unwrap();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.point().unwrap())
                    .verify(b"message", &signature)
                    .unwrap();
            }
            _ => drop(
                card.rsa(Slot::Authentication, Some(&opened), &[1; 256])
                    .unwrap(),
            ),
        }
        let object = card.object(ObjectId::PRINTED).unwrap();
        assert_eq!(object.len(), OBJECT_BYTES);
        assert!(
            object.iter().all(|byte| *byte == object[0]),
            "half an object"
        );
    }
    assert!(
        seen.iter().all(|count| *count > 0),
        "the kills never hit both: {seen:?}"
    );
    println!("{KILLS} kills; the PIN was then {seen:?}");
}

#[test]
fn a_file_that_was_cut_off_is_refused_at_every_length() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let file = folder.path().join(STATE_FILE);
    let whole = fs::read(&file).unwrap();
    for length in (0..whole.len()).step_by(97) {
        fs::write(&file, &whole[..length]).unwrap();
        let storage = claim(folder.path());
        let refused = SealedCard::open(&FileStorage::load(folder.path()).unwrap(), storage);
        assert!(
            matches!(refused, Err(FormatError::Damaged | FormatError::Foreign)),
            "cut to {length}"
        );
    }
}

/// The limit of a card without hardware, written down so that nobody believes otherwise: an old copy
/// of its file is a whole and consistent card. The TPM's counters know better.
#[test]
fn an_old_copy_of_the_file_gives_back_the_tries_and_the_former_pin() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let file = folder.path().join(STATE_FILE);
    let old = fs::read(&file).unwrap();
    let mut card = open(folder.path());
    let new = NewPin::check(pin(PINS[1]), None).unwrap();
    card.change_pin(&pin(PINS[0]), &new).unwrap();
    for _ in 0..3 {
        let _ = card.verify(&pin(WRONG_PIN));
    }
    let blocked = card.verify(&pin(PINS[1]));
    assert!(matches!(blocked, Err(ReferenceError::Blocked)));

    // While a program holds the card, the file is only written: an old copy has no effect.
    fs::write(&file, &old).unwrap();
    let blocked = card.verify(&pin(PINS[0]));
    assert!(matches!(blocked, Err(ReferenceError::Blocked)));
    drop(card);

    let mut card = open(folder.path());
    assert_eq!(card.pin_status().tries.left, 3);
    assert_eq!(current_pin(&mut card), 0);
}
