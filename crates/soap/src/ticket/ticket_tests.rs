// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;
use time::macros::datetime;

use super::*;
use crate::Address;
use crate::ticket::{
    CredentialEpoch, Grant, KeyId, PASSIVE_TOKEN_SECS_MAX, SamlTicket, TICKET_SECS_MAX, TicketId,
    TicketIssueError, TicketKey, TicketSource,
};
use crate::trust::ProofKey;

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
const ISSUER: &str = "https://lync.contoso.test/WebTicket/WebTicketService.svc";

fn ring() -> TicketKeyRing {
    TicketKeyRing::new(TicketKey::from_bytes(KeyId([1; 8]), [7; 32]))
}

fn audience() -> Audience {
    Audience::from_url(
        "https://lync.contoso.test/CertProv/CertProvisioningService.svc/WebTicket_Proof",
    )
    .unwrap()
}

fn grant() -> Grant {
    Grant {
        account: "S-1-5-21-1-2-3-1001".parse().unwrap(),
        address: Address::parse("alice@contoso.test").unwrap(),
        audience: audience(),
        source: TicketSource::Card {
            serial: "4a01ff".parse().unwrap(),
        },
        lifetime: Duration::hours(8),
    }
}

fn saml() -> SamlTicket {
    let key = ProofKey::from_bytes([9; 32]);
    ring()
        .issuer()
        .web_ticket(&grant(), Some(&key), ISSUER, TicketId([2; 16]), NOW)
        .unwrap()
}

#[test]
fn a_web_ticket_says_what_was_granted() {
    let ticket = saml();
    let claims = ring()
        .verifier()
        .web_ticket(ticket.assertion(), &audience(), NOW)
        .unwrap();
    assert_eq!(claims.id(), TicketId([2; 16]));
    assert_eq!(claims.account().as_str(), "S-1-5-21-1-2-3-1001");
    assert_eq!(claims.address().as_str(), "alice@contoso.test");
    assert_eq!(claims.source(), grant().source);
    assert_eq!(claims.issued(), NOW);
    assert_eq!(claims.expires(), NOW + Duration::hours(8));
    assert_eq!(claims.proof_key().unwrap().as_bytes(), [9; 32]);
    assert_eq!(ticket.expires(), claims.expires());
    assert!(
        ticket
            .assertion()
            .contains(&format!("AssertionID=\"{}\"", ticket.assertion_id()))
    );
}

#[test]
fn the_visible_assertion_is_self_contained() {
    // Nonce and ciphertext are random; the rest is always the same.
    let ticket = saml();
    let (before, sealed, after) = super::super::assertion::split(ticket.assertion()).unwrap();
    insta::assert_snapshot!(format!("{before}[{} sealed bytes]{after}", sealed.len()));
}

#[test]
fn the_proof_key_is_not_visible() {
    let secret = crate::encoding::base64(&[9; 32]);
    assert!(!saml().assertion().contains(secret.trim_end_matches('=')));
    assert!(!format!("{:?}", saml()).contains("Sealed"));
}

#[test]
fn every_change_of_an_assertion_is_found() {
    let ticket = saml();
    let (ring, audience) = (ring(), audience());
    let text = ticket.assertion();
    for at in 0..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else {
            continue;
        };
        let refused = ring
            .verifier()
            .web_ticket(&changed, &audience, NOW)
            .unwrap_err();
        assert!(
            matches!(
                refused,
                TicketError::Damaged | TicketError::UnknownKey | TicketError::WrongKind
            ),
            "byte {at}: {refused:?}"
        );
    }
    for changed in [
        format!("{text} "),
        format!(" {text}"),
        format!("<?xml version=\"1.0\"?>{text}"),
        text.replace("alice", "bobby"),
        text.replace("20:00:00", "23:00:00"),
        text.replace(
            "</saml:Advice>",
            "<lanyard:Sealed xmlns:lanyard=\"urn:lanyard:ticket:1\"/></saml:Advice>",
        ),
        String::new(),
    ] {
        let refused = ring.verifier().web_ticket(&changed, &audience, NOW);
        assert_eq!(refused.unwrap_err(), TicketError::Damaged, "{changed}");
    }
}

#[test]
fn a_ticket_for_another_service_is_refused() {
    let other = Audience::from_url("https://lync.contoso.test/other").unwrap();
    let refused = ring()
        .verifier()
        .web_ticket(saml().assertion(), &other, NOW);
    assert_eq!(refused.unwrap_err(), TicketError::WrongAudience);
}

#[test]
fn a_ticket_lives_from_its_beginning_to_its_end() {
    let (ticket, ring) = (saml(), ring());
    let at = |now| {
        ring.verifier()
            .web_ticket(ticket.assertion(), &audience(), now)
            .map(|_| ())
    };
    let end = NOW + Duration::hours(8);
    assert_eq!(at(end - Duration::seconds(1)), Ok(()));
    assert_eq!(at(end), Err(TicketError::Expired));
    let skew = Duration::seconds(TICKET_SKEW_SECS);
    assert_eq!(at(NOW - skew), Ok(()));
    assert_eq!(
        at(NOW - skew - Duration::seconds(1)),
        Err(TicketError::NotYetValid)
    );
}

#[test]
fn lifetimes_have_a_limit_by_kind() {
    let long = Grant {
        lifetime: Duration::days(30),
        ..grant()
    };
    let ring = ring();
    let id = TicketId([3; 16]);
    let token = ring.issuer().passive_token(&long, ISSUER, id, NOW).unwrap();
    assert_eq!(
        token.expires(),
        NOW + Duration::seconds(PASSIVE_TOKEN_SECS_MAX)
    );
    let cookie = ring.issuer().cookie(&long, id, NOW).unwrap();
    assert_eq!(cookie.expires(), NOW + Duration::seconds(TICKET_SECS_MAX));
    let none = Grant {
        lifetime: Duration::ZERO,
        ..grant()
    };
    assert_eq!(
        ring.issuer().cwt(&none, id, NOW),
        Err(TicketIssueError::Lifetime)
    );
}

#[test]
fn no_kind_is_taken_for_another() {
    let ring = ring();
    let (issuer, verifier) = (ring.issuer(), ring.verifier());
    let (id, audience) = (TicketId([3; 16]), audience());
    let token = issuer.passive_token(&grant(), ISSUER, id, NOW).unwrap();
    let ticket = issuer.web_ticket(&grant(), None, ISSUER, id, NOW).unwrap();
    let cookie = issuer.cookie(&grant(), id, NOW).unwrap();
    let cwt = issuer.cwt(&grant(), id, NOW).unwrap();
    assert!(
        verifier
            .passive_token(token.assertion(), &audience, NOW)
            .is_ok()
    );
    assert!(
        verifier
            .web_ticket(ticket.assertion(), &audience, NOW)
            .unwrap()
            .proof_key()
            .is_none()
    );
    assert!(verifier.cookie(cookie.value(), &audience, NOW).is_ok());
    assert!(verifier.cwt(cwt.value(), &audience, NOW).is_ok());
    assert!(
        verifier
            .cwt(&format!("cwt={}", cwt.value()), &audience, NOW)
            .is_ok()
    );
    for refused in [
        verifier.web_ticket(token.assertion(), &audience, NOW),
        verifier.passive_token(ticket.assertion(), &audience, NOW),
        verifier.cookie(cwt.value(), &audience, NOW),
        verifier.cwt(cookie.value(), &audience, NOW),
    ] {
        assert_eq!(refused.unwrap_err(), TicketError::WrongKind);
    }
}

/// The kind stands outside the ciphertext; changing it there must not be enough.
#[test]
fn a_changed_kind_is_damage() {
    let ring = ring();
    let cookie = ring
        .issuer()
        .cookie(&grant(), TicketId([3; 16]), NOW)
        .unwrap();
    let mut bytes = crate::encoding::from_base64_url(cookie.value()).unwrap();
    bytes[1] = crate::ticket::TicketKind::Cwt.tag();
    let forged = crate::encoding::base64_url(&bytes);
    assert_eq!(
        ring.verifier().cwt(&forged, &audience(), NOW).unwrap_err(),
        TicketError::Damaged
    );
}

#[test]
fn tickets_outlive_a_rotation_but_not_their_key() {
    let mut ring = ring();
    let cookie = ring
        .issuer()
        .cookie(&grant(), TicketId([3; 16]), NOW)
        .unwrap();
    let next = |n| TicketKey::from_bytes(KeyId([n; 8]), [n; 32]);
    ring.rotate(next(2));
    ring.rotate(next(3));
    assert!(
        ring.verifier()
            .cookie(cookie.value(), &audience(), NOW)
            .is_ok()
    );
    ring.rotate(next(4));
    let refused = ring.verifier().cookie(cookie.value(), &audience(), NOW);
    assert_eq!(refused.unwrap_err(), TicketError::UnknownKey);
}

#[test]
fn the_right_name_with_the_wrong_secret_opens_nothing() {
    let other = TicketKeyRing::new(TicketKey::from_bytes(KeyId([1; 8]), [8; 32]));
    let refused = other
        .verifier()
        .web_ticket(saml().assertion(), &audience(), NOW);
    assert_eq!(refused.unwrap_err(), TicketError::Damaged);
}

#[test]
fn addresses_with_markup_stay_text() {
    let grant = Grant {
        address: Address::parse("o'brien|'\u{e000}@contoso.test").unwrap(),
        ..grant()
    };
    let ring = ring();
    let ticket = ring
        .issuer()
        .web_ticket(&grant, None, "a<b>\"&", TicketId([3; 16]), NOW)
        .unwrap();
    let claims = ring
        .verifier()
        .web_ticket(ticket.assertion(), &audience(), NOW)
        .unwrap();
    assert_eq!(claims.address(), &grant.address);
}

proptest! {
    #[test]
    fn any_grant_comes_back(
        user in "[a-z0-9.+_\u{e4}-]{1,60}",
        serial in proptest::collection::vec(1u8..=255, 1..20),
        path in "[a-z0-9/._-]{0,100}",
        secs in 1i64..40_000,
        epoch in proptest::option::of(proptest::array::uniform16(any::<u8>())),
        proof in proptest::option::of(proptest::array::uniform32(any::<u8>())),
        id in proptest::array::uniform16(any::<u8>()),
    ) {
        let grant = Grant {
            account: "S-1-5-21-1-2-3-1001".parse().unwrap(),
            address: Address::parse(&format!("{user}@contoso.test")).unwrap(),
            audience: Audience::from_url(&format!("https://h/{path}")).unwrap(),
            source: match epoch {
                Some(epoch) => TicketSource::Password { epoch: CredentialEpoch(epoch) },
                None => TicketSource::Card {
                    serial: lanyard_x509::Serial::from_be_bytes(&serial).unwrap(),
                },
            },
            lifetime: Duration::seconds(secs),
        };
        let ring = ring();
        let key = proof.map(ProofKey::from_bytes);
        let ticket = ring.issuer().web_ticket(&grant, key.as_ref(), ISSUER, TicketId(id), NOW).unwrap();
        let claims = ring.verifier().web_ticket(ticket.assertion(), &grant.audience, NOW).unwrap();
        prop_assert_eq!(claims.address(), &grant.address);
        prop_assert_eq!(claims.source(), grant.source);
        prop_assert_eq!(claims.id(), TicketId(id));
        prop_assert_eq!(claims.proof_key().map(|k| k.as_bytes().to_vec()), proof.map(|k| k.to_vec()));
        prop_assert_eq!((claims.expires() - NOW).whole_seconds(), secs.min(TICKET_SECS_MAX));
    }

    #[test]
    fn no_text_is_taken_for_a_ticket(text in "[A-Za-z0-9_-]{0,300}") {
        let ring = ring();
        prop_assert!(ring.verifier().cookie(&text, &audience(), NOW).is_err());
        prop_assert!(ring.verifier().cwt(&text, &audience(), NOW).is_err());
    }
}
