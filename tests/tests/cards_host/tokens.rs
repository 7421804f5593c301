// SPDX-License-Identifier: MIT OR Apache-2.0
//! The independent card through OpenSC's PKCS #11 module, as if it were no PIV card.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lanyard_card::{
    CardFault, CardKind, CardSigner, CardSummary, CardWay, Cards, HelperProgram, LastTry, PinEntry,
    Pkcs11Settings, Scheme,
};
use lanyard_piv::{Algorithm, ManagementKey, Slot};
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::pcsc::Pcscd;
use lanyard_tests::process::{eventually, program};
use lanyard_tests::standin::StandIn;
use lanyard_tests::token::OPENSC;

use crate::desk::{Authority, Desk, PATIENCE, PIN, WRONG_PIN, check, new_pin, pin};
use crate::socket::{Home, TRANSPORT_PIN};
use crate::tls::Gate;

/// The cards that OpenSC shows, and no others.
fn through_opensc() -> Cards {
    Cards::with_providers(Vec::new()).with_pkcs11(opensc())
}

/// What signs: it also sees the readers, to leave no card verified.
fn signing() -> Arc<Cards> {
    Arc::new(Cards::new(CardWay::Pcsc, None).with_pkcs11(opensc()))
}

fn opensc() -> Pkcs11Settings {
    Pkcs11Settings {
        modules: vec![OPENSC.into()],
        helper: HelperProgram {
            program: program("lanyard"),
            arguments: vec!["pkcs11-module".into()],
        },
    }
}

/// The certificate for sign-in, as OpenSC shows it.
fn sign_in_card(cards: &Cards, desk: &Desk) -> Result<CardSummary> {
    let known = desk.summary()?.authentication_certificate;
    eventually("OpenSC shows the card", PATIENCE, || {
        let listing = cards.list().ok()?;
        listing
            .cards()
            .find(|card| card.authentication_certificate == known)
            .cloned()
    })
}

#[test]
fn a_card_opens_the_gate_through_opensc_with_each_kind_of_key() {
    in_own_namespace(
        "tokens::a_card_opens_the_gate_through_opensc_with_each_kind_of_key",
        || {
            let desk = Desk::new()?;
            let authority = Authority::new()?;
            let gate = Gate::open(&authority)?;
            for algorithm in [Algorithm::EccP256, Algorithm::Rsa2048] {
                desk.personalise(&authority, algorithm)?;
                let card = sign_in_card(&through_opensc(), &desk)?;
                let cards = signing();
                ensure!(card.kind == CardKind::Token, "{card:?}");
                for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
                    let signer = CardSigner::authentication(
                        Arc::clone(&cards),
                        &card,
                        pin(StandIn::PIN),
                        LastTry::Refuse,
                    )?;
                    let said = gate.knock(&signer, version);
                    let said = said.with_context(|| format!("{:?}", signer.fault()))?;
                    ensure!(said == "welcome", "{algorithm} {version:?}: {said}");
                    ensure!(gate.knock(&signer, version).is_err());
                    ensure!(signer.fault() == Some(CardFault::PinSpent));
                }
            }
            Ok(())
        },
    );
}

#[test]
fn wrong_pins_through_a_module_cost_one_try_each_and_never_the_last_unasked() {
    in_own_namespace(
        "tokens::wrong_pins_through_a_module_cost_one_try_each_and_never_the_last_unasked",
        || {
            let desk = Desk::new()?;
            let authority = Authority::new()?;
            let gate = Gate::open(&authority)?;
            desk.personalise(&authority, Algorithm::EccP256)?;
            let shown = through_opensc();
            let card = sign_in_card(&shown, &desk)?;
            let cards = signing();
            let version = &rustls::version::TLS13;
            let knock = |text: &str, last_try| -> Result<Option<CardFault>> {
                let cards = Arc::clone(&cards);
                let signer = CardSigner::authentication(cards, &card, pin(text), last_try)?;
                for _ in 0..3 {
                    let _ = gate.knock(&signer, version);
                }
                Ok(signer.fault())
            };
            let first = knock(WRONG_PIN, LastTry::Refuse)?;
            ensure!(first == Some(CardFault::WrongPinUncounted), "{first:?}");
            ensure!(desk.summary()?.pin.tries_left == Some(2));
            let second = knock(WRONG_PIN, LastTry::Refuse)?;
            ensure!(
                second == Some(CardFault::WrongPin { tries_left: 1 }),
                "{second:?}"
            );
            ensure!(desk.summary()?.pin.tries_left == Some(1));
            let listed = sign_in_card(&shown, &desk)?;
            ensure!(
                listed.pin.tries_left == Some(1) && listed.pin.is_low,
                "{listed:?}"
            );
            let unasked = knock(StandIn::PIN, LastTry::Refuse)?;
            ensure!(unasked == Some(CardFault::LastTry), "{unasked:?}");
            ensure!(desk.summary()?.pin.tries_left == Some(1));
            // Three handshakes with one signer: the first one signs, the others find the PIN spent.
            let asked = knock(StandIn::PIN, LastTry::Allow)?;
            ensure!(asked == Some(CardFault::PinSpent), "{asked:?}");
            ensure!(desk.summary()?.pin.tries_left == Some(3));
            Ok(())
        },
    );
}

#[test]
fn our_own_card_signs_through_opensc_and_the_module_survives_a_restart_of_the_service() {
    in_own_namespace(
        "tokens::our_own_card_signs_through_opensc_and_the_module_survives_a_restart_of_the_service",
        || {
            let home = Home::new()?;
            let mut pcscd = Pcscd::start(home.folder.path(), 1)?;
            let cardd = home.serve(&["--vpcd", &pcscd.slot(0)])?;
            let piv = Cards::new(CardWay::Pcsc, None);
            let authority = Authority::new()?;
            let card = eventually("our card in the reader", PATIENCE, || {
                piv.list().ok()?.cards().next().cloned()
            })?;
            let mut session = piv.open(&card.reader)?;
            let first = pin(TRANSPORT_PIN);
            session.change_pin(&first, &new_pin(PIN), LastTry::Refuse)?;
            session.authenticate_admin(&ManagementKey::blank_card())?;
            let key = session.generate(Slot::Authentication, Algorithm::EccP256)?;
            session.put_certificate(Slot::Authentication, &authority.certify(&key)?)?;
            drop(session);

            let cards = through_opensc();
            let token = || {
                eventually("OpenSC shows our card", PATIENCE, || {
                    let listing = cards.list().ok()?;
                    let card = listing.cards().next()?;
                    (card.authentication_key()? == key).then(|| card.token.clone())?
                })
            };
            let sign = || -> Result<()> {
                let mut session = cards.open_token(&token()?)?;
                session.verify(&PinEntry::Typed(pin(PIN)), LastTry::Refuse)?;
                let scheme = Scheme::EcdsaP256Sha256;
                let signature = session.sign(scheme, b"message")?;
                check(&key, scheme, b"message", &signature)
            };
            sign()?;
            pcscd.terminate()?;
            drop(cardd);
            ensure!(cards.list()?.cards().next().is_none());
            pcscd = Pcscd::start(home.folder.path(), 1)?;
            let _cardd = home.serve_again(&["--vpcd", &pcscd.slot(0)])?;
            sign()
        },
    );
}

#[test]
fn nobody_signs_without_a_pin_after_us() {
    in_own_namespace("tokens::nobody_signs_without_a_pin_after_us", || {
        let desk = Desk::new()?;
        let authority = Authority::new()?;
        let gate = Gate::open(&authority)?;
        let card = desk.personalise(&authority, Algorithm::EccP256)?;
        let signer = CardSigner::authentication(
            Arc::clone(&desk.cards),
            &card,
            pin(StandIn::PIN),
            LastTry::Refuse,
        )?;
        ensure!(gate.knock(&signer, &rustls::version::TLS13)? == "welcome");
        // Another process, at once: GENERAL AUTHENTICATE on slot 9A without a PIN.
        let mut command = std::process::Command::new("opensc-tool");
        command.args(["--reader", "0"]);
        command.args(["-s", "00:A4:04:00:05:A0:00:00:03:08"]);
        let sign = format!("00:87:11:9A:26:7C:24:82:00:81:20{}:00", ":AB".repeat(32));
        command.args(["-s", &sign]);
        let limit = std::time::Duration::from_secs(30);
        let output = lanyard_tests::process::run_limited(&mut command, "", limit)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(said.contains("SW1=0x69, SW2=0x82"), "{said}");
        Ok(())
    });
}
