// SPDX-License-Identifier: MIT OR Apache-2.0
//! Renewal of a card that is still good: with its key or with a new one, without a new PIN, and without a
//! moment in which it holds nothing that signs in.
//!
//! The old certificate stays good until the new one has been used. With a new key, that key is made in a
//! spare slot; only when its certificate is there as well does the card put both in the old one's place, in
//! one step. Whatever breaks off in between, the card signs in, and the renewal can be begun again.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_card::piv::{Algorithm, ManagementKey, Pin, PublicKey, RetiredSlot, Slot};
use lanyard_card::{CardSession, Cards, LastTry, Scheme};
use lanyard_fault::Fault;
use lanyard_x509::{Certificate, CsrBuilder, DistinguishedName};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::Reach;
use crate::cards::{
    CardChange, CardFacts, card_problem, parse_admin_key, pin_format_problem, stored_admin_key,
};
use crate::problem::Problem;

const KEYS_PATH: &str = "/api/v1/card/keys";
const RENEWAL_PATH: &str = "/api/v1/card/renewal";
const RENEWED_PATH: &str = "/api/v1/card/renewed";
/// The spare slot in which a new key waits: the last of the retired ones.
const SPARE: u8 = 20;

/// What a renewal needs.
#[derive(Debug)]
pub struct RenewalOrder<'a> {
    /// The way to the server.
    pub reach: &'a Reach,
    /// The cards of this computer.
    pub cards: &'a Arc<Cards>,
    /// The card.
    pub card: &'a CardChange<'a>,
    /// Its PIN.
    pub pin: &'a Zeroizing<String>,
    /// With a new key.
    pub new_key: bool,
    /// The admin key of a card that nobody manages, when it is not beside the card.
    pub admin_key: Option<&'a Zeroizing<String>>,
}

/// A card that was renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Renewed {
    /// The holder as the certificate names them.
    pub holder: String,
    /// The new certificate's serial number.
    pub serial: String,
    /// Until when it holds.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// It has a new key.
    pub new_key: bool,
    /// The server has heard that the new certificate is in use; otherwise the next sign-in tells it.
    pub finished: bool,
}

#[derive(Deserialize)]
struct Keys {
    #[serde(default)]
    management_key: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    certificate: String,
    #[serde(default)]
    card_authentication_certificate: Option<String>,
}

/// Renews the card.
///
/// # Errors
/// At the first step that fails. The card signs in as before.
pub fn renew(order: &RenewalOrder<'_>, tell: &mut dyn FnMut(&str)) -> Result<Renewed, Problem> {
    let RenewalOrder {
        reach, cards, card, ..
    } = order;
    let facts = card.facts();
    let certificate = facts
        .certificate
        .as_ref()
        .ok_or_else(|| Problem::new(Fault::CardNotEnrolled))?;
    let name = certificate
        .addresses
        .first()
        .or(certificate.upn.as_ref())
        .unwrap_or(&certificate.holder);
    if order.new_key && !facts.summary.kind.is_virtual() {
        return Err(Problem::new(Fault::RenewalNewKeyUnsupported));
    }
    let pin = Pin::parse(order.pin).map_err(|_| pin_format_problem())?;
    tell("Asking whether the card can be renewed…");
    let empty = || Some("{}".to_owned());
    let answer = reach.with_card(cards, facts, &pin, KEYS_PATH, empty())?;
    let admin_keys = admin_keys(order, &answer.body)?;
    drop(answer);

    let mut session = card.open()?;
    let spare = RetiredSlot::new(SPARE).map_or(Slot::KeyManagement, Slot::Retired);
    let slot = if order.new_key {
        spare
    } else {
        Slot::Authentication
    };
    let key = if order.new_key {
        tell("Making a new key on the card…");
        authenticate(&mut session, &admin_keys)?;
        session
            .generate(spare, Algorithm::EccP256)
            .map_err(card_problem)?
    } else {
        session.public_key(slot).map_err(card_problem)?
    };
    session
        .verify(&pin, LastTry::Refuse)
        .map_err(card_problem)?;
    let csr = request(&mut session, slot, &key, name)?;
    let presence = session.public_key(Slot::CardAuthentication).ok();
    let presence_csr = presence
        .as_ref()
        .and_then(|key| request(&mut session, Slot::CardAuthentication, key, name).ok());
    let evidence = if order.new_key {
        reach.prove(&mut session, slot, &csr)?
    } else {
        None
    };
    drop(session);

    tell("Asking for the certificate…");
    let mut body = serde_json::json!({ "csr": csr, "card_authentication_csr": presence_csr });
    if let Some(evidence) = evidence {
        body["attestation"] = serde_json::to_value(evidence).unwrap_or_default();
    }
    let body = Some(body.to_string());
    let answer = reach.with_card(cards, facts, &pin, RENEWAL_PATH, body)?;
    let answer: Answer =
        serde_json::from_str(&answer.body).map_err(|_| Problem::new(Fault::EnrolmentAnswer))?;
    let certificate = fitting(&answer.certificate, &key)?;

    tell("Writing the certificate to the card…");
    let mut session = card.open()?;
    authenticate(&mut session, &admin_keys)?;
    if let (Some(text), Some(key)) = (&answer.card_authentication_certificate, &presence) {
        let presence = fitting(text, key)?;
        session
            .put_certificate(Slot::CardAuthentication, presence.der())
            .map_err(card_problem)?;
    }
    session
        .put_certificate(slot, certificate.der())
        .map_err(card_problem)?;
    if order.new_key {
        session
            .verify(&pin, LastTry::Refuse)
            .map_err(card_problem)?;
        session
            .adopt(spare, Slot::Authentication)
            .map_err(card_problem)?;
    }
    let read_back = session
        .certificate(Slot::Authentication)
        .map_err(card_problem)?;
    drop(session);
    if read_back.as_deref() != Some(certificate.der()) {
        return Err(Problem::new(Fault::RenewalDoubtful)
            .with_detail("The certificate that was written does not come back."));
    }
    // Shown once, it takes the old one's place. When the server is away just now, the next sign-in does that.
    let mut summary = facts.summary.clone();
    summary.authentication_certificate = Some(certificate.der().to_vec());
    let renewed = CardFacts::of(summary, facts.name.clone());
    let finished = reach
        .with_card(cards, &renewed, &pin, RENEWED_PATH, empty())
        .is_ok();
    Ok(Renewed {
        holder: certificate.subject().common_name().unwrap_or_default(),
        serial: certificate.serial().to_string(),
        not_after: certificate.not_after(),
        new_key: order.new_key,
        finished,
    })
}

/// The admin keys that may be the card's, the likeliest first.
fn admin_keys(order: &RenewalOrder<'_>, answer: &str) -> Result<Vec<ManagementKey>, Problem> {
    let keys: Keys =
        serde_json::from_str(answer).map_err(|_| Problem::new(Fault::EnrolmentAnswer))?;
    let mut all = Vec::new();
    if let Some(text) = order.admin_key {
        all.push(parse_admin_key(text)?);
    }
    if let Some(text) = keys.management_key {
        let text = Zeroizing::new(text);
        all.extend(crate::enrolment::key_and_short(&text));
    }
    all.extend(stored_admin_key(order.card.places(), order.card.facts()));
    all.push(ManagementKey::blank_card());
    Ok(all)
}

/// Shows the card the first of these keys that it takes, and says which.
pub(crate) fn authenticate<'k>(
    session: &mut CardSession,
    keys: &'k [ManagementKey],
) -> Result<&'k ManagementKey, Problem> {
    let mut last = Problem::new(Fault::AdminKeyRefused);
    for key in keys {
        match session.authenticate_admin(key) {
            Ok(_) => return Ok(key),
            Err(fault) => last = card_problem(fault),
        }
    }
    Err(last)
}

/// A request for a certificate of this key, signed by it, in base64.
fn request(
    session: &mut CardSession,
    slot: Slot,
    key: &PublicKey,
    name: &str,
) -> Result<String, Problem> {
    let malformed = || Problem::new(Fault::CardUnusable);
    let public = lanyard_x509::PublicKey::from_spki_der(&key.to_spki()).map_err(|_| malformed())?;
    let subject = DistinguishedName::from_common_name(name).map_err(|_| malformed())?;
    let unsigned = CsrBuilder::new(subject, public)
        .to_be_signed()
        .map_err(|_| malformed())?;
    let scheme = Scheme::for_requests(key);
    let signature = session
        .sign(slot, scheme, unsigned.bytes())
        .map_err(card_problem)?;
    let csr = unsigned.assemble(&signature).map_err(|_| malformed())?;
    Ok(STANDARD.encode(csr.der()))
}

fn fitting(text: &str, key: &PublicKey) -> Result<Certificate, Problem> {
    let certificate = STANDARD
        .decode(text)
        .ok()
        .and_then(|der| Certificate::from_der(&der).ok())
        .ok_or(Fault::EnrolmentAnswer)?;
    if certificate.spki_der() == key.to_spki().as_slice() {
        Ok(certificate)
    } else {
        Err(Problem::new(Fault::EnrolmentMismatch))
    }
}
