// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a signature takes: the chip's bare command, a card in the TPM, a card in a file.
//!
//! Run by `cargo xtask bench`; needs swtpm. Prints JSON; compare figures of one run.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

#[path = "../../tpm/tests/support/swtpm.rs"]
mod swtpm;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lanyard_piv::{Algorithm, Guid, ManagementKey, NewPin, Pin, Puk, Slot};
use lanyard_tpm::{
    Auth, AuthValue, Connect, Device, Hierarchy, KeyUse, SessionKind, Template, TpmAlgId,
    TpmEccCurve,
};
use lanyard_virtual_card::{
    CardName, KdfCost, Keeper, MemoryStorage, NewCard, PinDigits, SealedCard, TpmCard,
    first_objects,
};

const ROUNDS: usize = 300;
const FIRST_PIN: &str = "12345678";
const PIN: &str = "35914782";

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let chip = swtpm::Swtpm::start(folder.path());
    let device: Device = chip.device().parse().unwrap();
    let mut rows = Vec::new();
    bare(&device, &mut rows);
    let connect = Arc::new(device.clone());
    let storage = MemoryStorage::default();
    let card =
        TpmCard::create_through(blank(), None, storage, connect, device.to_string()).unwrap();
    of_card("TPM", card, &mut rows);
    of_card(
        "sealed file",
        SealedCard::create(blank(), MemoryStorage::default()).unwrap(),
        &mut rows,
    );
    println!("[\n{}\n]", rows.join(",\n"));
}

/// `TPM2_Sign` alone, the key loaded and its secret empty: the least that a signature can cost.
fn bare(device: &Device, rows: &mut Vec<String>) {
    let mut tpm = device.connect().unwrap();
    let storage = tpm
        .create_primary(Hierarchy::Owner, &Template::storage())
        .unwrap();
    let mut session = tpm
        .start_session(SessionKind::Hmac, Some(&storage))
        .unwrap();
    let template = Template::ecc(TpmEccCurve::NistP256, KeyUse::Sign, None);
    let nothing = AuthValue::empty();
    let blob = tpm
        .create(&storage, &nothing, &[], &template, &mut session)
        .unwrap();
    let key = tpm.load(&storage, &blob).unwrap();
    measure(rows, "TPM2_Sign, P-256, key loaded", || {
        tpm.sign(&key, Auth::Nothing, None, TpmAlgId::Sha256, &[7; 32])
            .unwrap();
    });
}

fn of_card(kind: &str, mut card: impl Keeper, rows: &mut Vec<String>) {
    let new = NewPin::check(pin(PIN), None).unwrap();
    card.change_pin(&pin(FIRST_PIN), &new).unwrap();
    card.generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    let opened = card.verify(&pin(PIN)).unwrap();
    measure(
        rows,
        &format!("signature, P-256, card in the {kind}"),
        || {
            card.sign(Slot::Authentication, Some(&opened), &[7; 32])
                .unwrap();
        },
    );
    measure(
        rows,
        &format!("PIN and signature, card in the {kind}"),
        || {
            let opened = card.verify(&pin(PIN)).unwrap();
            card.sign(Slot::Authentication, Some(&opened), &[7; 32])
                .unwrap();
        },
    );
}

fn measure(rows: &mut Vec<String>, name: &str, mut work: impl FnMut()) {
    let rounds = if name.contains("PIN") {
        ROUNDS / 10
    } else {
        ROUNDS
    };
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    let at = |hundredths: usize| times[times.len() * hundredths / 100].as_micros();
    let (half, most) = (at(50), at(95));
    rows.push(format!(
        "  {{\"name\": \"{name}\", \"p50_us\": {half}, \"p95_us\": {most}}}"
    ));
}

fn pin(text: &str) -> Pin {
    Pin::parse(text).unwrap()
}

fn blank() -> NewCard {
    let guid = Guid::new([0x47; 16]);
    NewCard {
        name: CardName::parse("bench").unwrap(),
        guid,
        pin: pin(FIRST_PIN),
        pin_is_transport: true,
        puk: Puk::parse("87612345").unwrap(),
        management_key: ManagementKey::blank_card(),
        force_pin_change: true,
        pin_digits: PinDigits::default(),
        kdf: KdfCost::RECOMMENDED,
        objects: first_objects(guid, [0x11; 14]),
    }
}
