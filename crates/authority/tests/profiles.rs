// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the certificates of each profile look like, field by field, and byte by byte in length.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use lanyard_authority::{
    Actor, CHAT_LIFETIME_DEFAULT, Grant, Order, SerialSeed, ServerName, Status,
};
use lanyard_x509::{Certificate, KeyAlgorithm, Oid, PublicKey};
use support::{House, NOW, alice, card, officer};

/// The generator of P-256: a key that everybody knows.
const POINT: &str = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                     4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

fn known_key() -> PublicKey {
    let point: Vec<u8> = (0..POINT.len() / 2)
        .map(|at| u8::from_str_radix(&POINT[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    PublicKey::from_point(KeyAlgorithm::P256, &point).unwrap()
}

fn dump(house: &House, grant: Grant) -> String {
    let order = Order {
        grant,
        key: known_key(),
        requester: Actor::Person(alice().account),
        approver: officer(),
    };
    let seed = SerialSeed([7; 16]);
    let issued = house
        .authority
        .issue(order, seed, Status::Active, NOW)
        .unwrap();
    show(house, &issued.certificate)
}

/// The fields, without what differs from run to run: the authority's key.
fn show(house: &House, certificate: &Certificate) -> String {
    let mut fields = certificate.fields().clone();
    assert_eq!(fields.spki_der, known_key().spki_der());
    fields.spki_der.clear();
    let mut text = format!("{fields:#?}");
    let issuer = house
        .authority
        .issuing()
        .extensions()
        .subject_key_id
        .clone()
        .unwrap();
    text = text.replace(&issuer.to_string(), "[the issuer's key]");
    if let Some(template) = certificate.extensions().template {
        let number = template.oid.to_string();
        let last = number.rsplit('.').next().unwrap();
        text = text.replace(&number, &format!("[the root's branch].{last}"));
    }
    text
}

#[test]
fn a_smartcard_user_certificate() {
    let house = House::new();
    insta::assert_snapshot!(dump(
        &house,
        Grant::SmartcardUser {
            person: alice(),
            card: card(1),
            policies: Vec::new(),
        }
    ));
}

#[test]
fn a_card_authentication_certificate() {
    let house = House::new();
    let card_certificate = house
        .enrol(alice(), card(1), Status::Active)
        .certificate
        .serial();
    let account = alice().account;
    insta::assert_snapshot!(dump(
        &house,
        Grant::CardAuthentication {
            account,
            card: card(1),
            card_certificate
        }
    ));
}

#[test]
fn a_chat_certificate() {
    let house = House::new();
    let card_certificate = house
        .enrol(alice(), card(1), Status::Active)
        .certificate
        .serial();
    insta::assert_snapshot!(dump(
        &house,
        Grant::ChatUser {
            account: alice().account,
            address: alice().address,
            card_certificate: Some(card_certificate),
            lifetime: CHAT_LIFETIME_DEFAULT,
        }
    ));
}

#[test]
fn a_server_certificate() {
    let house = House::new();
    let names: Vec<ServerName> = ["lync.contoso.test", "lyncdiscover.contoso.test", "::1"]
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
    insta::assert_snapshot!(dump(&house, Grant::ServerTls { names }));
}

#[test]
fn a_card_certificate_fits_any_card() {
    let house = House::new();
    let issued = house.enrol(alice(), card(1), Status::Active);
    // PIV cards take at most 1,895 bytes for a certificate in slot 9A (SP 800-73, container minimum 1,856).
    assert!(
        issued.certificate.der().len() < 1200,
        "{}",
        issued.certificate.der().len()
    );
}

#[test]
fn a_card_certificate_says_what_was_proved_about_its_key() {
    let house = House::new();
    let proved: Oid = "1.3.6.1.4.1.311.21.31".parse().unwrap();
    let mut order = support::card_order(alice(), card(2));
    order.policies = vec![proved];
    let seeds = [SerialSeed([1; 16]), SerialSeed([2; 16])];
    let issued = house
        .authority
        .issue_card(order, seeds, Status::Active, NOW)
        .unwrap();
    assert_eq!(issued.certificate.extensions().policies, [proved]);
    let other = issued.authentication.unwrap();
    assert!(other.extensions().policies.is_empty());
}
