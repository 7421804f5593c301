// SPDX-License-Identifier: MIT OR Apache-2.0
//! The person's side of enrolment: PIN first, fresh keys on the card, requests signed by the card, certificates back.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_card::piv::{Algorithm, Chuid, Guid, ManagementKey, ObjectId, Pin, PublicKey, Slot};
use lanyard_card::{CardSession, LastTry, Scheme};
use lanyard_fault::Fault;
use lanyard_x509::{Certificate, CsrBuilder, DistinguishedName};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::address::SignInAddress;
use crate::attestation::{self, Evidence};
use crate::card_life::{
    CardKeysBody, Care, Personalised, care_of, computer_name, find_service, personalise,
};
use crate::cards::{
    CardChange, card_problem, new_pin, parse_admin_key, pin_format_problem, stored_admin_key,
};
use crate::config::ClientConfig;
use crate::net::{HttpAnswer, HttpRequest, Net};
use crate::problem::Problem;
use crate::signin::refusal;

/// The template of a person's card.
const TEMPLATE: &str = "SmartcardUser";

/// What an enrolment needs.
#[derive(Debug)]
pub struct EnrolOrder {
    /// For whom.
    pub address: SignInAddress,
    /// The service, when it is not to be found by itself.
    pub server: Option<String>,
    /// The one-time code.
    pub code: Zeroizing<String>,
    /// The card's PIN as it is.
    pub pin: Zeroizing<String>,
    /// The new PIN; needed while the card has its first one.
    pub new_pin: Option<Zeroizing<String>>,
    /// The admin key in hexadecimal digits; without it the one beside the card or the well-known one is tried.
    pub admin_key: Option<Zeroizing<String>>,
    /// The key and certificate that are there may be replaced.
    pub overwrite: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enrolled {
    /// The authority's number of the request.
    pub request: String,
    /// The holder as the certificate names them.
    pub holder: String,
    /// The authority.
    pub issuer: String,
    /// Serial number.
    pub serial: String,
    /// Until when.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: time::OffsetDateTime,
    /// The card can be used now; otherwise the holder's first sign-in makes it active.
    pub active: bool,
    /// The card also proves its presence.
    pub proves_presence: bool,
    /// The help desk can unblock it.
    pub in_care: bool,
    /// Why it cannot, where it was meant to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub care_problem: Option<Problem>,
}

#[derive(Serialize)]
struct RequestBody<'a> {
    code: &'a str,
    address: &'a str,
    template: &'a str,
    csr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_authentication_csr: Option<String>,
    card: CardBody,
    pin_changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation: Option<Evidence>,
}

#[derive(Serialize)]
struct CardBody {
    kind: &'static str,
    guid: String,
    label: String,
    make: String,
    computer: String,
    care: &'static str,
}

#[derive(Serialize)]
struct CheckBody<'a> {
    code: &'a str,
    address: &'a str,
    card: &'a CardBody,
}

/// What the server says before anything happens to the card.
#[derive(Default, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Checked {
    #[serde(default)]
    management_key: Option<String>,
}

#[derive(Deserialize)]
struct AnswerBody {
    request_id: serde_json::Value,
    certificate: String,
    #[serde(default)]
    card_authentication_certificate: Option<String>,
    status: String,
    #[serde(default)]
    card_keys: Option<CardKeysBody>,
}

/// What make a card is, where it tells.
fn make_of(card: &CardChange<'_>) -> String {
    let summary = &card.facts().summary;
    if summary.kind.is_virtual() {
        "Lanyard".to_owned()
    } else {
        summary.label.clone().unwrap_or_default()
    }
}

/// A key on the card and the request that it signed.
struct Requested {
    key: PublicKey,
    csr: Vec<u8>,
}

/// Enrols a card. Nothing on the card is replaced before the PIN was accepted and the service was found.
///
/// # Errors
/// At the first step that fails; the order of the steps leaves a card that can be enrolled once more.
pub fn enrol(
    config: &Arc<ClientConfig>,
    card: &CardChange<'_>,
    order: &EnrolOrder,
    tell: &mut dyn FnMut(&str),
) -> Result<Enrolled, Problem> {
    if card.facts().certificate.is_some() && !order.overwrite {
        return Err(Problem::new(Fault::CardAlreadyEnrolled));
    }
    let pin = Pin::parse(&order.pin).map_err(|_| pin_format_problem())?;
    // A PIN that may not be chosen is refused before anything else happens.
    let must_change = card.pin_is_first() || pin.is_transport();
    let new = match &order.new_pin {
        Some(text) => Some(new_pin(text, Some(&pin))?),
        None if must_change => return Err(Problem::new(Fault::PinMustChange)),
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| Problem::new(Fault::AgentUnreachable))?;
    let net = Net::new(Arc::clone(config)).map_err(|error| {
        Problem::new(Fault::ConfigClientInvalid).with_detail(format!("{error}."))
    })?;
    tell("Finding the enrolment service…");
    let server = order.server.as_deref();
    let service = runtime.block_on(find_service(&net, config, &order.address, server))?;
    // Asked before anything on the card is replaced: a wrong code costs no key.
    tell("Checking the code…");
    let mut session = card.open()?;
    let facts = CardBody {
        kind: card.facts().kind_word(),
        guid: number_so_far(&mut session)?,
        label: card.facts().label().place,
        make: make_of(card),
        computer: computer_name(),
        care: Care::Own.word(),
    };
    let before = runtime.block_on(check(&net, &service, order, &facts))?;
    let pin = match new {
        Some(new) => {
            tell("Changing the PIN…");
            session
                .change_pin(&pin, &new, LastTry::Refuse)
                .map_err(card_problem)?;
            new.into_pin()
        }
        None => pin,
    };
    let care = authenticate(&mut session, card, order, &before)?;
    let guid = number(&mut session)?;
    session
        .verify(&pin, LastTry::Refuse)
        .map_err(card_problem)?;
    tell("Making new keys on the card…");
    let sign_in = request(&mut session, Slot::Authentication, &order.address)?;
    let presence = request(&mut session, Slot::CardAuthentication, &order.address).ok();
    let proving = attestation::gather(
        &net,
        &service,
        &mut session,
        Slot::Authentication,
        &sign_in.csr,
    );
    let evidence = runtime.block_on(proving)?;
    if evidence.is_some() {
        tell("Proving where the key lives…");
    }
    tell("Asking for the certificate…");
    let body = RequestBody {
        code: order.code.trim(),
        address: order.address.as_str(),
        template: TEMPLATE,
        csr: STANDARD.encode(&sign_in.csr),
        card_authentication_csr: presence.as_ref().map(|one| STANDARD.encode(&one.csr)),
        card: CardBody {
            guid,
            care: care.word(),
            ..facts
        },
        pin_changed: true,
        attestation: evidence,
    };
    let answer = runtime.block_on(submit(&net, &service, &body))?;
    tell("Writing the certificate to the card…");
    let mut enrolled = install(&mut session, &sign_in, presence.as_ref(), &answer)?;
    if let Some(keys) = &answer.card_keys {
        tell("Putting the card into the care of your help desk…");
        match personalise(&mut session, card, &pin, care, keys) {
            Personalised::Done => enrolled.in_care = true,
            Personalised::Not(problem) => enrolled.care_problem = Some(problem),
        }
    }
    Ok(enrolled)
}

/// Asks whether the enrolment would be accepted. Gives the admin key that an earlier one has put on the card.
async fn check(
    net: &Net,
    service: &str,
    order: &EnrolOrder,
    card: &CardBody,
) -> Result<Checked, Problem> {
    let host = crate::net::authority(service)
        .map(|(_, host, _)| host)
        .unwrap_or_default();
    let body = CheckBody {
        code: order.code.trim(),
        address: order.address.as_str(),
        card,
    };
    let json = serde_json::to_string(&body).map_err(|_| Problem::new(Fault::EnrolmentAnswer))?;
    let url = format!("{}/check", service.trim_end_matches('/'));
    let request = HttpRequest::post(url, "application/json", json);
    let answer = crate::net::exchange(net, request, net.trust().web())
        .await
        .map_err(|fault| fault.problem(&host))?;
    match answer.status {
        200 => serde_json::from_str(&answer.body).map_err(|_| Problem::new(Fault::EnrolmentAnswer)),
        // Servers of before this question was there.
        404 | 405 => Ok(Checked::default()),
        _ => Err(refusal(&answer, &host)),
    }
}

/// The card's number as it is; a blank one gets its number later, and until then has all zeros.
fn number_so_far(session: &mut CardSession) -> Result<String, Problem> {
    let guid = session.guid().map_err(card_problem)?;
    Ok(guid.unwrap_or(Guid::new([0; 16])).to_string())
}

/// An admin key, and what a card that knows no AES has of it.
pub(crate) fn key_and_short(text: &Zeroizing<String>) -> Vec<ManagementKey> {
    let long = ManagementKey::from_hex(text).ok();
    let short = text
        .get(..48)
        .and_then(|short| ManagementKey::from_hex(short).ok());
    long.into_iter().chain(short).collect()
}

/// Authenticates with the admin key: the one given, the one of an earlier enrolment, the one beside the card, or the
/// well-known one.
fn authenticate(
    session: &mut CardSession,
    card: &CardChange<'_>,
    order: &EnrolOrder,
    before: &Checked,
) -> Result<Care, Problem> {
    let known = match &before.management_key {
        Some(text) => key_and_short(&Zeroizing::new(text.clone())),
        None => Vec::new(),
    };
    let keys = match &order.admin_key {
        Some(text) => vec![parse_admin_key(text)?],
        None => {
            let mut keys = known.clone();
            keys.extend(stored_admin_key(card.places(), card.facts()));
            // What a blank card of this make has; one key is tried and not a list of guesses.
            let factory = card.facts().summary.make.make.factory_management_key();
            let factory = factory.and_then(|key| ManagementKey::new(key).ok());
            keys.push(factory.unwrap_or_else(ManagementKey::blank_card));
            keys
        }
    };
    let key = crate::card_life::authenticate(session, &keys)?;
    Ok(care_of(session, card, key, known.contains(key)))
}

/// The card's number. One that was never personalised gets a random one, so that it can be reported lost.
fn number(session: &mut CardSession) -> Result<String, Problem> {
    let guid = match session.guid().map_err(card_problem)? {
        Some(guid) if !guid.is_nil() => guid,
        _ => {
            let guid = Guid::new(*Uuid::new_v4().as_bytes());
            let contents = Chuid { guid }.encode();
            session
                .put_object(ObjectId::CHUID, &contents)
                .map_err(card_problem)?;
            guid
        }
    };
    Ok(guid
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn request(
    session: &mut CardSession,
    slot: Slot,
    address: &SignInAddress,
) -> Result<Requested, Problem> {
    let key = session
        .generate(slot, Algorithm::EccP256)
        .map_err(card_problem)?;
    let malformed = || Problem::new(Fault::CardUnusable);
    let public = lanyard_x509::PublicKey::from_spki_der(&key.to_spki()).map_err(|_| malformed())?;
    // The authority writes the names; the request only has to have one.
    let subject = DistinguishedName::from_common_name(address.as_str()).map_err(|_| malformed())?;
    let unsigned = CsrBuilder::new(subject, public)
        .to_be_signed()
        .map_err(|_| malformed())?;
    let scheme = Scheme::for_requests(&key);
    let signature = session
        .sign(slot, scheme, unsigned.bytes())
        .map_err(card_problem)?;
    let csr = unsigned.assemble(&signature).map_err(|_| malformed())?;
    Ok(Requested {
        key,
        csr: csr.der().to_vec(),
    })
}

async fn submit(net: &Net, service: &str, body: &RequestBody<'_>) -> Result<AnswerBody, Problem> {
    let host = crate::net::authority(service)
        .map(|(_, host, _)| host)
        .unwrap_or_default();
    let json = serde_json::to_string(body).map_err(|_| Problem::new(Fault::EnrolmentAnswer))?;
    let request = HttpRequest::post(service, "application/json", json);
    let answer: HttpAnswer = crate::net::exchange(net, request, net.trust().web())
        .await
        .map_err(|fault| fault.problem(&host))?;
    if answer.status != 201 && answer.status != 200 {
        return Err(refusal(&answer, &host));
    }
    serde_json::from_str(&answer.body).map_err(|_| Problem::new(Fault::EnrolmentAnswer))
}

/// Writes the certificates, reads them back, and checks that they are for the keys that were just made.
fn install(
    session: &mut CardSession,
    sign_in: &Requested,
    presence: Option<&Requested>,
    answer: &AnswerBody,
) -> Result<Enrolled, Problem> {
    let certificate = fitting(&answer.certificate, sign_in)?;
    session
        .put_certificate(Slot::Authentication, certificate.der())
        .map_err(card_problem)?;
    let mut proves_presence = false;
    if let (Some(text), Some(requested)) = (&answer.card_authentication_certificate, presence) {
        let presence = fitting(text, requested)?;
        session
            .put_certificate(Slot::CardAuthentication, presence.der())
            .map_err(card_problem)?;
        proves_presence = true;
    }
    let read_back = session
        .certificate(Slot::Authentication)
        .map_err(card_problem)?;
    if read_back.as_deref() != Some(certificate.der()) {
        return Err(Problem::new(Fault::CardUnusable)
            .with_detail("The certificate that was written does not come back."));
    }
    let request = match &answer.request_id {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Ok(Enrolled {
        request,
        holder: certificate.subject().common_name().unwrap_or_default(),
        issuer: certificate.issuer().common_name().unwrap_or_default(),
        serial: certificate.serial().to_string(),
        not_after: certificate.not_after(),
        active: answer.status == "active",
        proves_presence,
        in_care: false,
        care_problem: None,
    })
}

fn fitting(text: &str, requested: &Requested) -> Result<Certificate, Problem> {
    let certificate = STANDARD
        .decode(text)
        .ok()
        .and_then(|der| Certificate::from_der(&der).ok())
        .ok_or(Fault::EnrolmentAnswer)?;
    if certificate.spki_der() == requested.key.to_spki().as_slice() {
        Ok(certificate)
    } else {
        Err(Problem::new(Fault::EnrolmentMismatch))
    }
}
