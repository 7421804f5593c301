// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which card is used for an address, and in words why the others are not.

use lanyard_fault::Fault;
use time::OffsetDateTime;

use super::facts::CardFacts;
use crate::address::SignInAddress;
use crate::problem::Problem;
use crate::view::LeftOut;

/// The outcome of looking through the cards.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The card to use.
    pub card: Option<CardFacts>,
    /// The cards that were left out, the most telling reason first.
    pub left_out: Vec<LeftOut>,
}

/// What is remembered of cards that were used before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The number of the card that was used last.
    pub last_card: Option<String>,
    /// Serial numbers of certificates that the server refused.
    pub refused: Vec<String>,
}

/// Chooses among these cards.
#[must_use]
pub fn fit(
    cards: &[CardFacts],
    address: &SignInAddress,
    wall: OffsetDateTime,
    remembered: &Remembered,
) -> Fit {
    let mut fitting: Vec<&CardFacts> = Vec::new();
    let mut left_out: Vec<(u8, LeftOut)> = Vec::new();
    for card in cards {
        match reason_against(card, address, wall) {
            None => fitting.push(card),
            Some((rank, reason)) => {
                left_out.push((
                    rank,
                    LeftOut {
                        card: card.label(),
                        reason,
                    },
                ));
            }
        }
    }
    // The newest certificate is the one that an older one was replaced by; among equals the card used last.
    let newest = |card: &&&CardFacts| {
        let facts = card.certificate.as_ref();
        let good = facts.is_none_or(|facts| !remembered.refused.contains(&facts.serial));
        let last = remembered.last_card.as_deref();
        let is_last = last.is_some() && card.guid().as_deref() == last;
        (good, facts.map(|facts| facts.not_before), is_last)
    };
    let card = fitting
        .iter()
        .max_by_key(newest)
        .map(|card| (*card).clone());
    left_out.sort_by_key(|(rank, _)| *rank);
    Fit {
        card,
        left_out: left_out.into_iter().map(|(_, left)| left).collect(),
    }
}

fn reason_against(
    card: &CardFacts,
    address: &SignInAddress,
    wall: OffsetDateTime,
) -> Option<(u8, Problem)> {
    let Some(facts) = &card.certificate else {
        return Some((5, Problem::new(Fault::CardNotEnrolled)));
    };
    if !facts.is_for(address.as_str()) {
        let whose = match facts.addresses.first().or(facts.upn.as_ref()) {
            Some(named) if !facts.holder.is_empty() && facts.holder != *named => {
                format!("It is the card of {} ({named}).", facts.holder)
            }
            Some(named) => format!("It is the card of {named}."),
            None => format!("It is the card of {}.", facts.holder),
        };
        return Some((
            4,
            Problem::new(Fault::CardOfSomebodyElse).with_detail(whose),
        ));
    }
    if !facts.for_sign_in {
        return Some((3, Problem::new(Fault::CardCertificatePurpose)));
    }
    if wall > facts.not_after {
        let detail = format!("It ended on {}.", facts.not_after.date());
        return Some((
            2,
            Problem::new(Fault::CardCertificateExpired).with_detail(detail),
        ));
    }
    if wall < facts.not_before {
        let detail = format!("It begins on {}.", facts.not_before.date());
        return Some((
            2,
            Problem::new(Fault::CardCertificateNotYetValid).with_detail(detail),
        ));
    }
    if card.summary.pin.is_blocked() {
        return Some((1, Problem::new(Fault::PinBlocked)));
    }
    None
}

#[cfg(test)]
mod tests {
    use lanyard_card::{CardKind, CardPath, CardSummary, PinSummary, ReaderId};
    use time::macros::datetime;

    use super::super::facts::CertificateFacts;
    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn card(address: &str, not_before: OffsetDateTime) -> CardFacts {
        let summary = CardSummary {
            reader: ReaderId {
                path: CardPath::Pcsc,
                name: "Reader".into(),
            },
            guid: None,
            label: None,
            kind: CardKind::Physical,
            authentication_certificate: None,
            card_authentication_certificate: None,
            pin: PinSummary {
                tries_left: Some(3),
                is_default: Some(false),
            },
        };
        let certificate = CertificateFacts {
            addresses: vec![address.to_owned()],
            upn: Some("a.almeida@corp.contoso.test".into()),
            email: None,
            holder: "Alice Almeida".into(),
            issuer: "Contoso Issuing CA".into(),
            not_before,
            not_after: datetime!(2027-11-22 12:00 UTC),
            serial: "01".into(),
            for_sign_in: true,
        };
        CardFacts {
            summary,
            certificate: Some(certificate),
            name: None,
        }
    }

    fn alice() -> SignInAddress {
        "alice@contoso.test".parse().unwrap()
    }

    #[test]
    fn the_newest_fitting_certificate_is_chosen() {
        let old = card("alice@contoso.test", datetime!(2026-01-01 0:00 UTC));
        let mut new = card("alice@contoso.test", datetime!(2026-11-01 0:00 UTC));
        new.certificate.as_mut().unwrap().serial = "new".into();
        let cards = [new.clone(), old.clone()];
        let chosen = fit(&cards, &alice(), NOW, &Remembered::default())
            .card
            .unwrap();
        assert_eq!(chosen.certificate, new.certificate);
        let refused = Remembered {
            refused: vec!["new".into()],
            last_card: None,
        };
        let chosen = fit(&cards, &alice(), NOW, &refused).card.unwrap();
        assert_eq!(chosen.certificate, old.certificate);
    }

    #[test]
    fn somebody_elses_card_is_left_out_with_its_owner() {
        let fit = fit(
            &[card("bob@contoso.test", NOW)],
            &alice(),
            NOW,
            &Remembered::default(),
        );
        assert!(fit.card.is_none());
        let reason = &fit.left_out[0].reason;
        assert!(reason.is(Fault::CardOfSomebodyElse));
        assert_eq!(
            reason.detail.as_deref(),
            Some("It is the card of Alice Almeida (bob@contoso.test).")
        );
    }

    #[test]
    fn each_fault_of_a_certificate_has_its_own_reason() {
        let reason = |change: fn(&mut CardFacts)| {
            let mut card = card("alice@contoso.test", datetime!(2026-01-01 0:00 UTC));
            change(&mut card);
            fit(&[card], &alice(), NOW, &Remembered::default())
                .left_out
                .remove(0)
                .reason
        };
        assert!(
            reason(|card| card.certificate.as_mut().unwrap().for_sign_in = false)
                .is(Fault::CardCertificatePurpose)
        );
        assert!(
            reason(|card| card.certificate.as_mut().unwrap().not_after = NOW - time::Duration::DAY)
                .is(Fault::CardCertificateExpired)
        );
        assert!(
            reason(|card| card.certificate.as_mut().unwrap().not_before = NOW + time::Duration::DAY)
                .is(Fault::CardCertificateNotYetValid)
        );
        assert!(reason(|card| card.certificate = None).is(Fault::CardNotEnrolled));
        assert!(reason(|card| card.summary.pin.tries_left = Some(0)).is(Fault::PinBlocked));
    }
}
