// SPDX-License-Identifier: MIT OR Apache-2.0
//! `keyroost-host READER`: a PIV host that we did not write, before the card in a reader.
//!
//! It goes through all that it can do with a card whose management key is the blank one: keys in
//! all kinds of slots with its own self-test, certificates, certificate requests (written to the
//! working directory), PIN, PUK and management key. Standard input holds three lines: the PIN,
//! another PIN, the PUK. It prints a line for each step and ends with status 1 at the first that
//! goes wrong; at the end the card has the PIN, PUK and management key that it began with.

use std::error::Error;
use std::io;

use keyroost_piv::{KeyAlg, MgmtAlg, PinPolicy, Slot, TouchPolicy};
use keyroost_pivtest::{Outcome, SelfTest};
use keyroost_transport::{CertCompression, CurrentMgmtAuth, PivSession};

type Done = Result<(), Box<dyn Error>>;

/// Three times 01 to 08.
const BLANK: [u8; 24] = [
    1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
];
const KEYS: [(Slot, KeyAlg); 7] = [
    (Slot::Authentication, KeyAlg::EccP256),
    (Slot::Signature, KeyAlg::EccP384),
    (Slot::Signature, KeyAlg::Rsa2048),
    (Slot::KeyManagement, KeyAlg::Rsa2048),
    (Slot::CardAuthentication, KeyAlg::EccP256),
    (Slot::Retired(1), KeyAlg::EccP256),
    (Slot::Retired(20), KeyAlg::Rsa2048),
];
/// 2026-01-01 and 2036-01-01, in seconds.
const VALID: (i64, i64) = (1_767_225_600, 2_082_758_400);

struct Words {
    pin: String,
    other_pin: String,
    puk: String,
}

fn main() -> Done {
    let reader = std::env::args()
        .nth(1)
        .ok_or("usage: keyroost-host READER")?;
    let mut lines = io::stdin().lines();
    let mut line = || {
        lines
            .next()
            .unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    };
    let words = Words {
        pin: line()?,
        other_pin: line()?,
        puk: line()?,
    };
    PivSession::with_transaction(&reader, |session| all(session, &words))
}

fn all(session: &mut PivSession<'_>, words: &Words) -> Done {
    let status = session.status()?;
    step(&format!("the card claims version {:?}", status.version));
    management(session)?;
    for (slot, algorithm) in KEYS {
        key(session, slot, algorithm, words.pin.as_bytes())?;
    }
    references(session, words)
}

/// Every kind of management key, and a wrong one.
fn management(session: &mut PivSession<'_>) -> Done {
    session.authenticate_management(MgmtAlg::TripleDes, &BLANK)?;
    step("the blank management key as triple DES");
    if session
        .authenticate_management(MgmtAlg::TripleDes, &[9; 24])
        .is_ok()
    {
        return Err("a wrong management key is accepted".into());
    }
    let mut current = BLANK.to_vec();
    session.authenticate_management(MgmtAlg::TripleDes, &current)?;
    let changes: [(MgmtAlg, Vec<u8>); 4] = [
        (MgmtAlg::Aes128, vec![0x21; 16]),
        (MgmtAlg::Aes256, vec![0x23; 32]),
        (MgmtAlg::Aes192, vec![0x22; 24]),
        (MgmtAlg::TripleDes, BLANK.to_vec()),
    ];
    for (algorithm, key) in changes {
        session.set_management_key(CurrentMgmtAuth::Key(&current), algorithm, &key, false)?;
        session.authenticate_management(algorithm, &key)?;
        step(&format!("a management key for {algorithm:?}"));
        current = key;
    }
    Ok(())
}

/// A key, its self-test, its request and its certificate.
fn key(session: &mut PivSession<'_>, slot: Slot, algorithm: KeyAlg, pin: &[u8]) -> Done {
    let name = format!("{:02X}", slot.key_ref());
    let public = session.generate_key(slot, algorithm, PinPolicy::Default, TouchPolicy::Default)?;
    // Agreeing on secrets is for key management alone.
    let agrees = matches!(slot, Slot::KeyManagement | Slot::Retired(_));
    for (test, outcome) in session.self_test(slot, algorithm, &public, Some(pin))? {
        let refused = matches!(&outcome, Outcome::Failed(why) if why.contains("SW=6A80"));
        if test == SelfTest::KeyAgree && !agrees && algorithm != KeyAlg::Rsa2048 {
            if !refused {
                return Err(format!("{name} agrees on secrets: {outcome:?}").into());
            }
            step(&format!("{name} {algorithm:?} {test:?}: Refused"));
            continue;
        }
        if outcome.is_failure() {
            return Err(format!("{name} {algorithm:?} {test:?}: {outcome:?}").into());
        }
        step(&format!("{name} {algorithm:?} {test:?}: {outcome:?}"));
    }
    let request = session.generate_csr(slot, "CN=keyroost", pin, None)?;
    std::fs::write(format!("request-{name}.pem"), request)?;
    let (certificate, _) = session.self_signed_certificate(
        slot,
        "CN=keyroost",
        VALID.0,
        VALID.1,
        pin,
        CertCompression::Auto,
        None,
    )?;
    if session.read_certificate(slot)?.as_deref() != Some(&certificate[..]) {
        return Err(format!("{name}: another certificate is read").into());
    }
    step(&format!("{name} request and certificate"));
    Ok(())
}

/// PIN and PUK.
fn references(session: &mut PivSession<'_>, words: &Words) -> Done {
    let (pin, other, puk) = (
        words.pin.as_bytes(),
        words.other_pin.as_bytes(),
        words.puk.as_bytes(),
    );
    if session.verify_pin(other).is_ok() {
        return Err("a wrong PIN is accepted".into());
    }
    session.verify_pin(pin)?;
    session.change_pin(pin, other)?;
    session.verify_pin(other)?;
    session.unblock_pin(puk, pin)?;
    session.verify_pin(pin)?;
    session.change_puk(puk, other)?;
    if session.unblock_pin(puk, pin).is_ok() {
        return Err("the former PUK is accepted".into());
    }
    session.change_puk(other, puk)?;
    step("PIN and PUK changed, unblocked and changed back");
    session.clear_certificate(Slot::Retired(1))?;
    if session.read_certificate(Slot::Retired(1))?.is_some() {
        return Err("a removed certificate is read".into());
    }
    step("a certificate removed");
    Ok(())
}

fn step(words: &str) {
    println!("ok: {words}");
}
