// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the card listener answers.

use super::check::{self, Evidence, Refused, VerifiedCard};
use super::holder;
use super::presence;
use crate::card_life;
use crate::web::http::Peer;
use crate::web::urls::{
    FEDERATION_PATH, PASSIVE_AUTH_PATH, PIN_CHANGED_PATH, WEB_TICKET_CERTIFICATE_PATH,
};
use crate::web::{Web, answer, certificate};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use lanyard_authority::audit::{Action, AuditEntry, AuditLog};
use lanyard_authority::{Actor, CardState, CertificateRow, Registry, Status};
use lanyard_directory::SipAddress;
use lanyard_fault::Fault;
use lanyard_soap::passive::{self, AutoPostForm, SignInRequest, SignInResponse};
use lanyard_soap::ticket::{Grant, TicketSource};
use lanyard_x509::Certificate;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// Life of the token between this endpoint and the passive one.
const TOKEN_SECS: i64 = 120;

/// The handlers of the card listener.
pub fn router(web: &Arc<Web>) -> Router {
    Router::new()
        .route(FEDERATION_PATH, get(sign_in))
        .route(PIN_CHANGED_PATH, post(pin_changed))
        .route(WEB_TICKET_CERTIFICATE_PATH, post(certificate::port))
        .merge(holder::routes())
        .with_state(Arc::clone(web))
}

/// `GET /adfs/ls/?wa=wsignin1.0&…`: a card against a token.
pub async fn sign_in(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Ok(request) = SignInRequest::from_query(query.as_deref().unwrap_or_default()) else {
        return refuse(&headers, StatusCode::BAD_REQUEST, Fault::DiscoveryRefused);
    };
    // A token is made for our own passive endpoint and for no other place.
    if request.realm != web.urls.https(PASSIVE_AUTH_PATH) {
        return refuse(
            &headers,
            StatusCode::BAD_REQUEST,
            Fault::DiscoveryForeignDomain,
        );
    }
    let asked = match &request.address {
        None => None,
        Some(address) => match address.as_str().parse::<SipAddress>() {
            Ok(address) => Some(address),
            Err(_) => return refuse(&headers, StatusCode::BAD_REQUEST, Fault::AddressMalformed),
        },
    };
    let card = match verified(&web, &peer, asked, Purpose::SignIn).await {
        Ok((card, _)) => card,
        Err(refused) => return refuse(&headers, StatusCode::FORBIDDEN, refused.fault),
    };
    match token(&web, &card) {
        Ok(wresult) => {
            tracing::info!(address = %card.account().sip_address, serial = %card.serial(), "card accepted");
            let response = SignInResponse {
                wresult,
                context: request.context.clone(),
            };
            let form = AutoPostForm {
                action: web.urls.https(PASSIVE_AUTH_PATH),
                response,
            };
            let mut page = answer::body(StatusCode::OK, "text/html; charset=utf-8", form.to_html());
            page.headers_mut().insert(
                header::CONTENT_SECURITY_POLICY,
                answer::header_value(&form.content_security_policy()),
            );
            page
        }
        Err(response) => *response,
    }
}

fn token(web: &Web, card: &VerifiedCard) -> Result<String, Box<Response>> {
    let boxed = |error: &dyn std::error::Error| Box::new(answer::internal("token", error));
    let account = card.account();
    let grant = Grant {
        account: account.id.as_str().parse().map_err(|e| boxed(&e))?,
        address: lanyard_soap::Address::parse(account.sip_address.as_str())
            .map_err(|e| boxed(&e))?,
        audience: web.audiences.passive.clone(),
        source: TicketSource::Card {
            serial: card.serial(),
        },
        lifetime: Duration::seconds(TOKEN_SECS),
    };
    let issuer = web.urls.card(FEDERATION_PATH);
    let ticket = web
        .tickets
        .passive_token(&grant, &issuer)
        .map_err(|e| boxed(&e))?;
    Ok(passive::wresult(&ticket))
}

/// What a card is checked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A token.
    SignIn,
    /// Something that its holder does with cards.
    Cards,
}

/// Checks the peer's card, and writes the decision into the audit trail when it is against one of
/// our own cards.
pub(super) async fn verified(
    web: &Arc<Web>,
    peer: &Peer,
    asked: Option<SipAddress>,
    purpose: Purpose,
) -> Result<(VerifiedCard, Option<CertificateRow>), Refused> {
    let leaf = peer
        .certificates
        .first()
        .and_then(|der| Certificate::from_der(der.as_ref()).ok())
        .ok_or(Fault::CardCertificateForeign)?;
    let web = Arc::clone(web);
    let address = peer.address;
    let decided = tokio::task::spawn_blocking(move || {
        let now = OffsetDateTime::now_utc();
        let row = web.app.store.find(&leaf.serial()).map_err(|error| {
            tracing::error!(%error, "the registry did not answer");
            Refused::from(Fault::ServerInternal)
        })?;
        let card = row.as_ref().map(|row| card_life::state_of(&web.app, row));
        let card = card.transpose().map_err(|error| {
            tracing::error!(%error, "the registry did not answer");
            Refused::from(Fault::ServerInternal)
        })?;
        let people = web.app.directory.load();
        let evidence = Evidence {
            card: card.flatten(),
            leaf: &leaf,
            intermediates: web.trust.intermediates(),
            anchors: web.trust.anchors(),
            row: row.as_ref(),
            people: &people,
            address: asked.as_ref(),
            now,
        };
        let decision = check::verify(&evidence).and_then(|card| {
            let policy = people.policy_of(card.account());
            let may = match &row {
                Some(row) if purpose == Purpose::SignIn => {
                    presence::has_key_or_may_lack(&web.app, row, &policy)
                }
                _ => Ok(true),
            };
            match may {
                Ok(true) => Ok(card),
                Ok(false) => Err(Refused {
                    fault: Fault::PresenceKeyMissing,
                    account: Some(card.account().id.clone()),
                }),
                Err(_) => Err(Fault::ServerInternal.into()),
            }
        });
        if let Err(refused) = &decision {
            tracing::info!(peer = %address, code = %refused.fault.code(), "card refused");
            note_refusal(&web, refused, asked.as_ref(), now);
        }
        if let (Ok(_), Some(row), Purpose::SignIn) = (&decision, &row, purpose) {
            card_life::used(&web.app, row, now);
            // The renewed certificate is in use: the older ones have done their service.
            card_life::renewed(&web.app, row, now).map_err(Refused::from)?;
        }
        decision.map(|card| (card, row))
    })
    .await;
    decided.unwrap_or_else(|_| Err(Fault::ServerInternal.into()))
}

/// A refused card of ours is worth an entry; a stranger's certificate is not: anybody could fill
/// the trail with those.
fn note_refusal(web: &Web, refused: &Refused, asked: Option<&SipAddress>, now: OffsetDateTime) {
    let Some(account) = &refused.account else {
        return;
    };
    let Ok(sid) = account.as_str().parse() else {
        return;
    };
    let subject = asked.map_or_else(|| account.as_str().to_owned(), |a| a.as_str().to_owned());
    let mut details = serde_json::Map::new();
    details.insert("code".into(), refused.fault.code().into());
    let entry = AuditEntry::new(now, Actor::Person(sid), Action::SignInRefused, subject)
        .with_details(&details);
    if let Err(error) = web.app.store.append(&entry) {
        tracing::error!(%error, "the audit trail could not be written");
    }
}

/// `POST /api/v1/card/pin-changed`: the holder has chosen a PIN, the issued card becomes active.
///
/// The request proves by its TLS handshake that the card signs with the new PIN.
pub async fn pin_changed(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let Some(leaf) = peer
        .certificates
        .first()
        .and_then(|der| Certificate::from_der(der.as_ref()).ok())
    else {
        return refuse(
            &headers,
            StatusCode::FORBIDDEN,
            Fault::CardCertificateForeign,
        );
    };
    let shared = Arc::clone(&web);
    let done = tokio::task::spawn_blocking(move || activate(&shared, &leaf)).await;
    match done {
        Ok(Ok(())) => answer::body(
            StatusCode::OK,
            "application/json",
            serde_json::json!({ "status": "active" }).to_string(),
        ),
        Ok(Err(fault)) => refuse(&headers, StatusCode::FORBIDDEN, fault),
        Err(error) => answer::internal("activation", &error),
    }
}

fn activate(web: &Web, leaf: &Certificate) -> Result<(), Fault> {
    let now = OffsetDateTime::now_utc();
    let internal = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "the registry did not answer");
        Fault::ServerInternal
    };
    let row = web
        .app
        .store
        .find(&leaf.serial())
        .map_err(|e| internal(&e))?;
    let card = row.as_ref().map(|row| card_life::state_of(&web.app, row));
    let card = card.transpose().map_err(|e| internal(&e))?.flatten();
    if card.is_some_and(CardState::is_out) {
        return Err(Fault::CardCertificateRevoked);
    }
    let people = web.app.directory.load();
    let evidence = Evidence {
        card,
        leaf,
        intermediates: web.trust.intermediates(),
        anchors: web.trust.anchors(),
        row: row.as_ref(),
        people: &people,
        address: None,
        now,
    };
    let (account, row) = check::holder(&evidence).map_err(|refused| refused.fault)?;
    match row.status {
        Status::Active => return Ok(()),
        Status::Issued => {}
        Status::Revoked | Status::Prepared => return Err(Fault::CardCertificateRevoked),
    }
    if !account.enabled {
        return Err(Fault::AccountDisabled);
    }
    let sid = row.account.clone().ok_or(Fault::ServerInternal)?;
    web.app
        .authority
        .activate(&row.serial, Actor::Person(sid.clone()), now)
        .map_err(|e| internal(&e))?;
    if let Some(guid) = row.card_guid {
        card_life::activated(&web.app, &sid, &guid, now).map_err(|e| internal(&e))?;
    }
    Ok(())
}

/// A refusal for a person at a browser, or as JSON for a program that asks for it.
pub(super) fn refuse(headers: &HeaderMap, status: StatusCode, fault: Fault) -> Response {
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html") && !accept.contains("application/json"));
    if !wants_page {
        return answer::json_fault(status, fault);
    }
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Lanyard</title>\
         <h1>Sign-in refused</h1><p>{}</p><p>{}</p><p>Code {}</p></html>\n",
        fault.sentence(),
        fault.next_step(),
        fault.code()
    );
    answer::body(status, "text/html; charset=utf-8", page)
}
