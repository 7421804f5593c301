// SPDX-License-Identifier: MIT OR Apache-2.0
//! Autodiscover: from the domain of an address to the server and the ways in.

use super::answer;
use super::urls::{ENROLMENTS_PATH, OAUTH_PATH, ROOT_PATH, USER_PATH, WEB_TICKET_PATH};
use super::{Web, webticket};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use lanyard_directory::SipAddress;
use lanyard_fault::Fault;
use lanyard_soap::autodiscover::{
    AccessLocation, AutodiscoverResponse, Endpoint, Format, Link, LinkToken, PresentedTicket,
    RootDocument, TicketChallenge, UserDocument, sipuri_of_query,
};
use lanyard_soap::fault::Diagnostic;
use std::sync::Arc;

/// `GET /`: the root document for a client that looks for it, a page for a person.
pub async fn front_page(state: State<Arc<Web>>, query: RawQuery, headers: HeaderMap) -> Response {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let accept = accept(&headers).unwrap_or_default();
    let discovers = host.to_ascii_lowercase().starts_with("lyncdiscover")
        || accept.contains("autodiscover")
        || query
            .0
            .as_deref()
            .is_some_and(|query| query.contains("sipuri="));
    if discovers {
        return root(state, query, headers).await;
    }
    let page = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Lanyard</title>\
                <h1>Lanyard</h1><p>This is the chat server of your organisation. \
                Sign in with the Lanyard client and your card.</p></html>\n";
    answer::body(StatusCode::OK, "text/html; charset=utf-8", page.to_owned())
}

/// The root document over HTTPS: where the user document, the ticket and the enrolment are.
pub async fn root(
    State(web): State<Arc<Web>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = foreign_domain(&web, query.as_deref()) {
        return refused;
    }
    let links = vec![
        Link::new(LinkToken::User, &user_url(&web, query.as_deref())),
        Link::new(LinkToken::Domain, &web.urls.https(ROOT_PATH)),
        Link::new(LinkToken::OAuth, &web.urls.https(OAUTH_PATH)),
        Link::new(LinkToken::Enrolment, &web.urls.https(ENROLMENTS_PATH)),
    ];
    let document = RootDocument {
        access_location: Some(AccessLocation::Internal),
        links,
    };
    document_answer(&headers, &AutodiscoverResponse::Root(document))
}

/// The root document over plain HTTP holds nothing but the way to HTTPS ([MS-OCDISCWS] 3.1.5.2).
pub async fn redirect(
    State(web): State<Arc<Web>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = foreign_domain(&web, query.as_deref()) {
        return refused;
    }
    let mut href = web.urls.https(ROOT_PATH);
    if let Some(address) = query.as_deref().and_then(sipuri_of_query) {
        href.push_str("?sipuri=");
        href.push_str(address.as_str());
    }
    document_answer(&headers, &AutodiscoverResponse::Redirect { href })
}

/// The user document: only for whoever shows a ticket.
pub async fn user(
    State(web): State<Arc<Web>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = foreign_domain(&web, query.as_deref()) {
        return refused;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let presented = PresentedTicket::from_headers(text("x-ms-webticket"), text("authorization"));
    let claims = match presented {
        Ok(Some(PresentedTicket::Saml(assertion))) => web
            .tickets
            .open(|v, now| v.web_ticket(&assertion, &web.audiences.user, now))
            .ok(),
        Ok(Some(PresentedTicket::Cwt(word))) => web
            .tickets
            .open(|v, now| v.cwt(&word, &web.audiences.user, now))
            .ok(),
        _ => None,
    };
    let Some(claims) = claims else {
        return challenge(&web);
    };
    let asked = query.as_deref().and_then(sipuri_of_query);
    if asked.is_some_and(|asked| asked != *claims.address()) {
        let fault = Some(Fault::AddressNotOfCard);
        return answer::soap_fault(&web, Diagnostic::AddressMismatch, fault);
    }
    if let Err(response) = webticket::still_good(&web, claims).await {
        return response;
    }
    let endpoint = Endpoint {
        fqdn: web.urls.host().to_owned(),
        port: web.app.config.load().sip_port(),
    };
    let document = UserDocument {
        access_location: Some(AccessLocation::Internal),
        sip_server_internal: Some(endpoint.clone()),
        sip_server_external: Some(endpoint.clone()),
        sip_client_internal: Some(endpoint.clone()),
        sip_client_external: Some(endpoint),
        links: vec![
            Link::new(LinkToken::User, &user_url(&web, query.as_deref())),
            Link::new(LinkToken::Enrolment, &web.urls.https(ENROLMENTS_PATH)),
        ],
    };
    document_answer(&headers, &AutodiscoverResponse::User(document))
}

/// 401 with both ways to a ticket: SOAP ([MS-OCAUTHWS] 1.5) and OAuth.
fn challenge(web: &Web) -> Response {
    let challenge = TicketChallenge {
        web_ticket_url: Some(web.urls.https(WEB_TICKET_PATH)),
        oauth_url: Some(web.urls.https(OAUTH_PATH)),
    };
    let mut response = answer::json_fault(StatusCode::UNAUTHORIZED, Fault::TicketInvalid);
    for (name, value) in challenge.headers() {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            response
                .headers_mut()
                .append(name, answer::header_value(&value));
        }
    }
    let value = answer::header_value(&Diagnostic::NoValidSecurityToken.header(web.urls.host()));
    response
        .headers_mut()
        .insert(answer::DIAGNOSTICS_HEADER_NAME, value);
    response
}

/// A domain that does not live here is unknown. Whether a *person* is known is not told.
fn foreign_domain(web: &Web, query: Option<&str>) -> Option<Response> {
    let asked = sipuri_of_query(query.unwrap_or_default())?;
    let address: Option<SipAddress> = asked.as_str().parse().ok();
    let people = web.app.directory.load();
    let known = address.is_some_and(|address| people.serves(&address.domain()));
    (!known).then(|| answer::json_fault(StatusCode::NOT_FOUND, Fault::ServerNotFound))
}

fn user_url(web: &Web, query: Option<&str>) -> String {
    let mut url = web.urls.https(USER_PATH);
    if let Some(address) = query.and_then(sipuri_of_query) {
        url.push_str("?sipuri=");
        url.push_str(address.as_str());
    }
    url
}

fn accept(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
}

fn document_answer(headers: &HeaderMap, document: &AutodiscoverResponse) -> Response {
    let format = Format::from_accept(accept(headers));
    let mut response = answer::body(StatusCode::OK, "", document.to_body(format));
    let kind = HeaderValue::from_static(format.content_type());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
