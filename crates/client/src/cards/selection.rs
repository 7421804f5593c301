// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which card is used for an address, and in words why the others are not.

use lanyard_card::KeyPresence;
use lanyard_card::piv::PublicKey;
use lanyard_fault::Fault;
use time::OffsetDateTime;

use super::facts::CardFacts;
use crate::address::SignInAddress;
use crate::config::PinPadRule;
use crate::problem::Problem;
use crate::view::LeftOut;

/// The outcome of looking through the cards.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The card to use, when only one fits or one is preferred.
    pub card: Option<CardFacts>,
    /// The cards that the person must choose from, when several fit: the newest certificate first.
    pub choices: Vec<CardFacts>,
    /// The cards that were left out, the most telling reason first.
    pub left_out: Vec<LeftOut>,
}

impl Fit {
    /// Why no card fits, when some are there: the most telling reason, and the others behind it.
    #[must_use]
    pub fn problem(left_out: &[LeftOut]) -> Option<Problem> {
        let (first, others) = left_out.split_first()?;
        let mut problem = first.reason.clone();
        if !others.is_empty() {
            let told = |left: &LeftOut| {
                let detail = left.reason.detail.as_deref();
                let detail = detail
                    .map(|detail| format!(" {detail}"))
                    .unwrap_or_default();
                format!("{}: {}{detail}", left.card, left.reason.sentence)
            };
            let all: Vec<String> = left_out.iter().map(told).collect();
            problem = problem.with_detail(format!("Cards that are here: {}", all.join(" – ")));
        }
        Some(problem)
    }
}

/// What is known besides the cards themselves: how they were used before, and what this computer's configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The number of the card that was used last.
    pub last_card: Option<String>,
    /// Serial numbers of certificates that the server refused.
    pub refused: Vec<String>,
    /// Common names of the authorities whose cards are used; none means any.
    pub issuers: Vec<String>,
    /// Whether the PIN must be typed at the reader.
    pub pin_pad: PinPadRule,
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
        match reason_against(card, address, wall, remembered) {
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
    // What the server refused before serves only when there is nothing else.
    let is_good = |card: &&CardFacts| {
        let facts = card.certificate.as_ref();
        facts.is_none_or(|facts| !remembered.refused.contains(&facts.serial))
    };
    if fitting.iter().any(&is_good) {
        for card in fitting.extract_if(.., |card| !is_good(card)) {
            let reason = Problem::new(Fault::SignInRefused)
                .with_detail("The server refused this card before.");
            let card = card.label();
            left_out.push((1, LeftOut { card, reason }));
        }
    }
    let newest_first = |card: &&CardFacts| {
        let not_before = card.certificate.as_ref().map(|facts| facts.not_before);
        std::cmp::Reverse(not_before)
    };
    fitting.sort_by_key(newest_first);
    // The newest certificate is the one that an older one was replaced by: with the card that was used last in
    // addition nobody need be asked.
    let is_last = |card: &CardFacts| {
        let last = remembered.last_card.as_deref();
        last.is_some() && card.remembered_as().as_deref() == last
    };
    let newest = fitting.first().map(newest_first);
    let preferred = fitting
        .iter()
        .find(|card| is_last(card) && Some(newest_first(card)) == newest);
    let (card, choices) = match (fitting.as_slice(), preferred) {
        ([one], _) => (Some((*one).clone()), Vec::new()),
        (_, Some(preferred)) => (Some((*preferred).clone()), Vec::new()),
        (several, None) => (None, several.iter().map(|card| (*card).clone()).collect()),
    };
    left_out.sort_by_key(|(rank, _)| *rank);
    Fit {
        card,
        choices,
        left_out: left_out.into_iter().map(|(_, left)| left).collect(),
    }
}

/// Why this card would be left out; nothing when it fits.
#[must_use]
pub(super) fn verdict(
    card: &CardFacts,
    address: &SignInAddress,
    wall: OffsetDateTime,
    remembered: &Remembered,
) -> Option<Problem> {
    reason_against(card, address, wall, remembered).map(|(_, reason)| reason)
}

fn reason_against(
    card: &CardFacts,
    address: &SignInAddress,
    wall: OffsetDateTime,
    remembered: &Remembered,
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
    if !remembered.issuers.is_empty() && !remembered.issuers.contains(&facts.issuer) {
        let detail = format!("It was issued by {}.", facts.issuer);
        return Some((
            3,
            Problem::new(Fault::CardOfOtherOrganisation).with_detail(detail),
        ));
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
    if card.summary.key == KeyPresence::Missing {
        return Some((2, Problem::new(Fault::CardKeyMissing)));
    }
    let der = card.summary.authentication_certificate.as_deref();
    if der.is_some_and(|der| PublicKey::of_certificate(der).is_err()) {
        return Some((2, Problem::new(Fault::CardKeyKind)));
    }
    if card.summary.pin.is_blocked() {
        return Some((1, Problem::new(Fault::PinBlocked)));
    }
    if remembered.pin_pad == PinPadRule::Require && !card.summary.has_pad {
        return Some((1, Problem::new(Fault::PadRequired)));
    }
    None
}

#[cfg(test)]
mod tests {
    use lanyard_card::{CardPath, CardSummary, PinSummary, ReaderId};
    use time::macros::datetime;

    use super::super::facts::CertificateFacts;
    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn card(address: &str, not_before: OffsetDateTime) -> CardFacts {
        let reader = ReaderId {
            path: CardPath::Pcsc,
            name: "Reader".into(),
        };
        let pin = PinSummary {
            tries_left: Some(3),
            is_default: Some(false),
            is_low: false,
        };
        let summary = CardSummary {
            pin,
            ..CardSummary::blank(reader)
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
    fn several_fitting_cards_are_asked_about_unless_the_newest_was_used_last() {
        let old = card("alice@contoso.test", datetime!(2026-01-01 0:00 UTC));
        let mut new = card("alice@contoso.test", datetime!(2026-11-01 0:00 UTC));
        new.certificate.as_mut().unwrap().serial = "new".into();
        let cards = [old.clone(), new.clone()];
        let asked = fit(&cards, &alice(), NOW, &Remembered::default());
        assert!(asked.card.is_none());
        let serials: Vec<_> = asked
            .choices
            .iter()
            .map(|card| card.certificate.as_ref().unwrap().serial.as_str())
            .collect();
        assert_eq!(serials, ["new", "01"]);
        let last = |serial: &str| Remembered {
            last_card: Some(serial.into()),
            ..Remembered::default()
        };
        let chosen = fit(&cards, &alice(), NOW, &last("new"));
        assert_eq!(chosen.card.unwrap().certificate, new.certificate);
        // A newer card than the one that was used last: perhaps it replaces that one.
        assert_eq!(fit(&cards, &alice(), NOW, &last("01")).choices.len(), 2);

        let refused = Remembered {
            refused: vec!["new".into()],
            ..Remembered::default()
        };
        let chosen = fit(&cards, &alice(), NOW, &refused);
        assert_eq!(chosen.card.unwrap().certificate, old.certificate);
        assert!(chosen.left_out[0].reason.is(Fault::SignInRefused));
    }

    #[test]
    fn when_none_fits_every_card_is_told_with_its_reason() {
        let bob = card("bob@contoso.test", NOW);
        let mut blocked = card("alice@contoso.test", datetime!(2026-01-01 0:00 UTC));
        blocked.summary.pin.tries_left = Some(0);
        let fit = fit(&[bob, blocked], &alice(), NOW, &Remembered::default());
        let problem = Fit::problem(&fit.left_out).unwrap();
        assert!(problem.is(Fault::PinBlocked));
        let detail = problem.detail.unwrap();
        assert!(detail.contains("bob@contoso.test"), "{detail}");
        assert!(detail.contains("blocked"), "{detail}");
    }

    #[test]
    fn what_the_configuration_wants_leaves_cards_out() {
        let reason = |remembered: &Remembered| {
            let card = card("alice@contoso.test", datetime!(2026-01-01 0:00 UTC));
            fit(&[card], &alice(), NOW, remembered)
                .left_out
                .first()
                .map(|left| left.reason.clone())
        };
        let own = Remembered {
            issuers: vec!["Contoso Issuing CA".into()],
            ..Remembered::default()
        };
        assert_eq!(reason(&own), None);
        let other = Remembered {
            issuers: vec!["Fabrikam CA".into()],
            ..Remembered::default()
        };
        let told = reason(&other).unwrap();
        assert!(told.is(Fault::CardOfOtherOrganisation));
        assert_eq!(
            told.detail.as_deref(),
            Some("It was issued by Contoso Issuing CA.")
        );
        let at_reader = Remembered {
            pin_pad: PinPadRule::Require,
            ..Remembered::default()
        };
        assert!(reason(&at_reader).unwrap().is(Fault::PadRequired));
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
        assert!(reason(|card| card.summary.key = KeyPresence::Missing).is(Fault::CardKeyMissing));
        assert!(
            reason(|card| card.summary.authentication_certificate = Some(vec![0x30, 0]))
                .is(Fault::CardKeyKind)
        );
    }
}
