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
use zeroize::Zeroizing;

use crate::address::SignInAddress;
use crate::cards::{
    CardChange, card_problem, new_pin, parse_admin_key, pin_format_problem, stored_admin_key,
};
use crate::config::ClientConfig;
use crate::net::{HttpAnswer, HttpRequest, Net};
use crate::problem::Problem;
use crate::session::Now;
use crate::signin::{Found, Locate, Progress, Query, refusal};

/// The path of the enrolment service on a server that is named by hand.
const ENROLMENTS_PATH: &str = "/api/v1/enrolments";
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
}

#[derive(Serialize)]
struct CardBody {
    kind: &'static str,
    guid: String,
    label: String,
}

#[derive(Deserialize)]
struct AnswerBody {
    request_id: serde_json::Value,
    certificate: String,
    #[serde(default)]
    card_authentication_certificate: Option<String>,
    status: String,
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
    let service = runtime.block_on(find_service(&net, config, order))?;
    let mut session = card.open()?;
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
    authenticate(&mut session, card, order)?;
    let guid = number(&mut session)?;
    session
        .verify(&pin, LastTry::Refuse)
        .map_err(card_problem)?;
    drop(pin);
    tell("Making new keys on the card…");
    let sign_in = request(&mut session, Slot::Authentication, &order.address)?;
    let presence = request(&mut session, Slot::CardAuthentication, &order.address).ok();
    tell("Asking for the certificate…");
    let body = RequestBody {
        code: order.code.trim(),
        address: order.address.as_str(),
        template: TEMPLATE,
        csr: STANDARD.encode(&sign_in.csr),
        card_authentication_csr: presence.as_ref().map(|one| STANDARD.encode(&one.csr)),
        card: CardBody {
            kind: card.facts().kind_word(),
            guid,
            label: card.facts().label().place,
        },
        pin_changed: true,
    };
    let answer = runtime.block_on(submit(&net, &service, &body))?;
    tell("Writing the certificate to the card…");
    let enrolled = install(&mut session, &sign_in, presence.as_ref(), &answer)?;
    Ok(enrolled)
}

async fn find_service(
    net: &Net,
    config: &ClientConfig,
    order: &EnrolOrder,
) -> Result<String, Problem> {
    if let Some(server) = &order.server {
        let secure = server
            .get(..8)
            .is_some_and(|head| head.eq_ignore_ascii_case("https://"));
        if !secure {
            let detail = "Its address must begin with https://.";
            return Err(Problem::new(Fault::EnrolmentUnavailable).with_detail(detail));
        }
        let server = server.trim_end_matches('/');
        let bare = server.matches('/').count() == 2;
        return Ok(if bare {
            format!("{server}{ENROLMENTS_PATH}")
        } else {
            server.to_owned()
        });
    }
    let mut locate = Locate::new(&order.address, &config.allowed_domains);
    let mut progress = locate.begin();
    loop {
        progress = match progress {
            Progress::Failed(problem) => return Err(problem),
            Progress::Found(Found::Root {
                enrolment: Some(url),
                ..
            }) => return Ok(url),
            Progress::Found(_) => return Err(Problem::new(Fault::EnrolmentUnavailable)),
            // Unreachable by construction: every question below is answered.
            Progress::Wait => return Err(Problem::new(Fault::EnrolmentUnavailable)),
            Progress::Ask(base, queries) => ask(net, &mut locate, base, queries).await,
        };
    }
}

async fn ask(net: &Net, locate: &mut Locate, base: u64, queries: Vec<Query>) -> Progress {
    let mut progress = Progress::Wait;
    for (id, query) in (base..).zip(queries) {
        progress = match query {
            Query::Http(request) => {
                let answer = crate::net::exchange(net, request, net.trust().web()).await;
                locate.http(Now::from_system().wall, id, answer)
            }
            Query::Srv(name) => locate.srv(id, net.dns().srv(&name).await),
        };
        if progress != Progress::Wait {
            break;
        }
    }
    progress
}

/// Authenticates with the admin key: the one given, the one beside the card, or the well-known one.
fn authenticate(
    session: &mut CardSession,
    card: &CardChange<'_>,
    order: &EnrolOrder,
) -> Result<(), Problem> {
    let key = match &order.admin_key {
        Some(text) => parse_admin_key(text)?,
        None => {
            stored_admin_key(card.places(), card.facts()).unwrap_or_else(ManagementKey::blank_card)
        }
    };
    session
        .authenticate_admin(&key)
        .map(drop)
        .map_err(card_problem)
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
