// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys, certificates and the management key of the independent card.

use anyhow::ensure;
use lanyard_card::{CardFault, CardKind, LastTry, Scheme};
use lanyard_piv::{Algorithm, ManagementAlgorithm, ManagementKey, PublicKey, Slot, StatusWord};
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::pcsc::Pcscd;
use lanyard_tests::standin::StandIn;

use crate::desk::{Authority, Desk, LIMIT, PATIENCE, blank_pin, check};

#[test]
fn a_blank_card_is_listed_as_what_it_is() {
    in_own_namespace("keys::a_blank_card_is_listed_as_what_it_is", || {
        let desk = Desk::new()?;
        let card = desk.summary()?;
        ensure!(
            card.guid.is_some() && card.kind == CardKind::Physical,
            "{card:?}"
        );
        ensure!(card.authentication_certificate.is_none());
        ensure!(card.card_authentication_certificate.is_none());
        ensure!(card.pin.tries_left == Some(3), "{card:?}");
        let mut session = desk.open()?;
        ensure!(!session.atr().is_empty());
        session.verify(&blank_pin(), LastTry::Refuse)?;
        let signed = session.sign(Slot::Authentication, Scheme::EcdsaP256Sha256, b"m");
        // This card says "execution error", and nothing about why.
        let told = [
            CardFault::NoKey(Slot::Authentication),
            CardFault::Refused(StatusWord::new(0x6400)),
        ];
        ensure!(
            signed.as_ref().is_err_and(|fault| told.contains(fault)),
            "{signed:?}"
        );
        Ok(())
    });
}

#[test]
fn every_kind_of_key_is_made_and_signs() {
    in_own_namespace("keys::every_kind_of_key_is_made_and_signs", || {
        let desk = Desk::new()?;
        let mut session = desk.open_as_admin()?;
        let slots = [
            (Slot::Authentication, Algorithm::EccP256),
            (Slot::Signature, Algorithm::EccP384),
            (Slot::CardAuthentication, Algorithm::Rsa2048),
        ];
        for (slot, algorithm) in slots {
            let key = session.generate(slot, algorithm)?;
            for scheme in Scheme::ALL {
                if scheme.key_algorithm() != algorithm {
                    continue;
                }
                // 9C wants the PIN before each use; 9E never.
                if !slot.works_without_pin() {
                    session.verify(&blank_pin(), LastTry::Refuse)?;
                }
                let signature = session.sign(slot, scheme, b"message")?;
                check(&key, scheme, b"message", &signature)?;
            }
        }
        Ok(())
    });
}

#[test]
fn certificates_are_written_and_read_again() {
    in_own_namespace("keys::certificates_are_written_and_read_again", || {
        let desk = Desk::new()?;
        let authority = Authority::new()?;
        let mut session = desk.open_as_admin()?;
        let key = session.generate(Slot::Authentication, Algorithm::EccP256)?;
        let der = authority.certify(&key)?;
        ensure!(der.len() > 255, "the certificate goes in pieces");
        session.put_certificate(Slot::Authentication, &der)?;
        ensure!(session.certificate(Slot::Authentication)?.as_deref() == Some(der.as_slice()));
        ensure!(session.public_key(Slot::Authentication)? == key);
        let none = session.public_key(Slot::Signature);
        ensure!(none == Err(CardFault::NoCertificate(Slot::Signature)));
        drop(session);
        let card = desk.summary()?;
        ensure!(card.authentication_key() == Some(key));
        ensure!(card.authentication_certificate == Some(der));
        Ok(())
    });
}

#[test]
fn only_the_right_management_key_opens_the_card_and_it_can_be_replaced() {
    in_own_namespace(
        "keys::only_the_right_management_key_opens_the_card_and_it_can_be_replaced",
        || {
            let desk = Desk::new()?;
            let own = ManagementKey::new(&[0x5A; 32])?;
            let wrong = ManagementKey::new(&[0x5A; 24])?;
            let mut session = desk.open()?;
            for key in [&wrong, &own] {
                ensure!(session.authenticate_admin(key) == Err(CardFault::AdminRefused));
            }
            let put = session.put_certificate(Slot::Authentication, b"certificate");
            ensure!(put == Err(CardFault::AdminNotAuthenticated));
            let spoken = session.authenticate_admin(&ManagementKey::blank_card())?;
            ensure!(spoken == ManagementAlgorithm::TripleDes);
            session.set_management_key(ManagementAlgorithm::Aes256, &own)?;
            drop(session);

            let mut session = desk.open()?;
            let blank = session.authenticate_admin(&ManagementKey::blank_card());
            ensure!(blank == Err(CardFault::AdminRefused));
            ensure!(session.authenticate_admin(&own)? == ManagementAlgorithm::Aes256);
            session.generate(Slot::Authentication, Algorithm::EccP256)?;
            Ok(())
        },
    );
}

#[test]
fn two_fresh_cards_are_two_cards() {
    in_own_namespace("keys::two_fresh_cards_are_two_cards", || {
        let folder = tempfile::tempdir()?;
        let pcscd = Pcscd::start(folder.path(), 2)?;
        let _one = StandIn::insert(&folder.path().join("one"), &pcscd.slot(0))?;
        let _two = StandIn::insert(&folder.path().join("two"), &pcscd.slot(1))?;
        let cards =
            lanyard_card::Cards::new(lanyard_card::CardWay::Pcsc, None).with_exchange_limit(LIMIT);
        let found = lanyard_tests::process::eventually("both cards", PATIENCE, || {
            let found: Vec<_> = cards.list().ok()?.cards().cloned().collect();
            (found.len() == 2).then_some(found)
        })?;
        ensure!(found[0].guid != found[1].guid, "{found:?}");
        let mut keys: Vec<PublicKey> = Vec::new();
        for card in &found {
            let mut session = cards.open(&card.reader)?;
            session.authenticate_admin(&ManagementKey::blank_card())?;
            keys.push(session.generate(Slot::Authentication, Algorithm::EccP256)?);
        }
        ensure!(keys[0] != keys[1]);
        // The card is found wherever it is.
        let guid = found[1]
            .guid
            .unwrap_or_else(|| unreachable!("listed with a GUID"));
        ensure!(cards.open_guid(guid)?.reader() == &found[1].reader);
        Ok(())
    });
}
