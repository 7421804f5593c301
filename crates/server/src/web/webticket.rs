// SPDX-License-Identifier: MIT OR Apache-2.0
//! The web ticket service: what a passive sign-in earned becomes a ticket for one service.

use super::answer::{self, SOAP_TYPE, soap_fault};
use super::urls::{
    PASSIVE_AUTH_PATH, USER_PATH, WEB_TICKET_CERTIFICATE_PATH, WEB_TICKET_PASSIVE_PATH,
    WEB_TICKET_PATH,
};
use super::{Web, password};
use crate::credential;
use crate::federation::standing::{self, Standing, StandingError};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use lanyard_fault::Fault;
use lanyard_soap::fault::Diagnostic;
use lanyard_soap::mex::WebTicketMex;
use lanyard_soap::oauth::{OauthAnswer, OauthError, OauthRequest};
use lanyard_soap::passive::cookie_value;
use lanyard_soap::ticket::{Claims, Grant};
use lanyard_soap::trust::{Entropy, ProofKey, TicketRequest, TicketResponse};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// Life of a web ticket. It is used within seconds, to fetch a chat certificate.
pub const WEB_TICKET_MINUTES: i64 = 60;

/// `GET …/mex`: the ways to get a ticket.
pub async fn mex(State(web): State<Arc<Web>>, query: RawQuery) -> Response {
    let document = WebTicketMex {
        passive: Some(web.urls.https(WEB_TICKET_PASSIVE_PATH)),
        win_negotiate: password::listed(&web, &query),
        certificate: Some(web.urls.card(WEB_TICKET_CERTIFICATE_PATH)),
    };
    answer::body(StatusCode::OK, SOAP_TYPE, document.to_xml())
}

/// `POST …/Passive`: the cookie of the passive sign-in against a SAML ticket.
pub async fn passive_port(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let Some(claims) = cookie_claims(&web, &headers) else {
        return soap_fault(&web, Diagnostic::NoValidSecurityToken, None);
    };
    let Ok(request) = TicketRequest::parse(&body) else {
        return soap_fault(&web, Diagnostic::RequestInvalid, None);
    };
    let other = request
        .claimed_address
        .as_ref()
        .is_some_and(|asked| asked != claims.address());
    if other {
        let fault = Some(Fault::AddressNotOfCard);
        return soap_fault(&web, Diagnostic::AddressMismatch, fault);
    }
    let Some(audience) = web.audiences.of_request(&request.applies_to) else {
        return soap_fault(&web, Diagnostic::RequestInvalid, None);
    };
    let claims = match still_good(&web, claims).await {
        Ok((claims, _)) => claims,
        Err(response) => return response,
    };
    let grant = Grant {
        account: claims.account().clone(),
        address: claims.address().clone(),
        audience,
        source: claims.source(),
        lifetime: Duration::minutes(WEB_TICKET_MINUTES),
    };
    answer_ticket(&web, &request, &grant)
}

/// Seals a ticket and answers the request with it; with entropy in the request it gets a proof key.
pub fn answer_ticket(web: &Web, request: &TicketRequest, grant: &Grant) -> Response {
    let server_entropy = match request
        .entropy
        .as_ref()
        .map(|_| Entropy::random())
        .transpose()
    {
        Ok(entropy) => entropy,
        Err(error) => return answer::internal("entropy", &error),
    };
    let proof = match (&request.entropy, &server_entropy) {
        (Some(client), Some(server)) => Some(ProofKey::derive(client, server)),
        _ => None,
    };
    let issuer = web.urls.https(WEB_TICKET_PATH);
    match web.tickets.web_ticket(grant, proof.as_ref(), &issuer) {
        Ok(ticket) => {
            tracing::info!(address = %grant.address, audience = %grant.audience.as_str(), "web ticket issued");
            let xml = TicketResponse::new(request, &ticket, server_entropy.as_ref()).to_xml();
            answer::body(StatusCode::OK, SOAP_TYPE, xml)
        }
        Err(error) => answer::internal("web ticket", &error),
    }
}

/// `POST /WebTicket/oauthtoken`: the same for browser-style clients.
pub async fn oauth(State(web): State<Arc<Web>>, headers: HeaderMap, body: String) -> Response {
    let passive_auth_url = web.urls.https(PASSIVE_AUTH_PATH);
    let refused = |error: OauthError, diagnostic: Diagnostic| {
        let json = OauthAnswer::Refused {
            error,
            passive_auth_url: Some(passive_auth_url.clone()),
        }
        .to_json();
        let mut response = answer::body(StatusCode::BAD_REQUEST, "application/json", json);
        let value = answer::header_value(&diagnostic.header(web.urls.host()));
        response
            .headers_mut()
            .insert(answer::DIAGNOSTICS_HEADER_NAME, value);
        response
    };
    if let Err(error) = OauthRequest::parse(&body) {
        let diagnostic = match error {
            OauthError::UnsupportedGrantType => Diagnostic::AuthenticationTypeNotAllowed,
            _ => Diagnostic::RequestInvalid,
        };
        return refused(error, diagnostic);
    }
    let Some(claims) = cookie_claims(&web, &headers) else {
        return refused(OauthError::InvalidGrant, Diagnostic::NoValidSecurityToken);
    };
    let claims = match still_good(&web, claims).await {
        Ok((claims, _)) => claims,
        Err(response) => return response,
    };
    let Ok(audience) = lanyard_soap::ticket::Audience::from_url(&web.urls.https(USER_PATH)) else {
        return refused(OauthError::ServerError, Diagnostic::Internal);
    };
    let grant = Grant {
        account: claims.account().clone(),
        address: claims.address().clone(),
        audience,
        source: claims.source(),
        lifetime: Duration::minutes(WEB_TICKET_MINUTES),
    };
    match web.tickets.cwt(&grant) {
        Ok(ticket) => {
            let expires_in_secs = (ticket.expires() - OffsetDateTime::now_utc())
                .whole_seconds()
                .max(0);
            let json = OauthAnswer::Granted {
                cwt: ticket.value().to_owned(),
                expires_in_secs,
            }
            .to_json();
            answer::body(StatusCode::OK, "application/json", json)
        }
        Err(error) => answer::internal("cwt", &error),
    }
}

/// The claims of the passive cookie, when there is a good one.
fn cookie_claims(web: &Web, headers: &HeaderMap) -> Option<Claims> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(cookie_value)
        .and_then(|value| {
            web.tickets
                .open(|v, now| v.cookie(value, &web.audiences.cookie, now))
                .ok()
        })
}

/// Asks account and registry again whether the claims still stand.
pub async fn still_good(web: &Arc<Web>, claims: Claims) -> Result<(Claims, Standing), Response> {
    let shared = Arc::clone(web);
    let checked = tokio::task::spawn_blocking(move || {
        let people = shared.app.directory.load();
        let now = OffsetDateTime::now_utc();
        let epoch = |account: &_| credential::epoch(&shared.app, account);
        let standing = standing::of_ticket(&claims, &people, &shared.app.store, epoch, now);
        standing.map(|standing| (claims, standing))
    })
    .await;
    match checked {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(StandingError::Refused(fault))) => {
            Err(soap_fault(web, Diagnostic::NotEnabled, Some(fault)))
        }
        Ok(Err(error)) => Err(answer::internal("registry", &error)),
        Err(error) => Err(answer::internal("registry", &error)),
    }
}
