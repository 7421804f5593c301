// SPDX-License-Identifier: MIT OR Apache-2.0
//! The passive endpoint: sends the person to the federation endpoint and takes the token back.

use super::answer;
use super::urls::{FEDERATION_PATH, PASSIVE_AUTH_PATH};
use super::{Web, webticket};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lanyard_fault::Fault;
use lanyard_soap::passive::{self, SignInRequest, SignInResponse};
use lanyard_soap::ticket::Grant;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// Life of the cookie: long enough to get the tickets of one sign-in.
pub const COOKIE_MINUTES: i64 = 10;

/// `GET /PassiveAuth/PassiveAuth.aspx`: on to the federation endpoint.
pub async fn begin(State(web): State<Arc<Web>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let request = SignInRequest {
        realm: web.urls.https(PASSIVE_AUTH_PATH),
        context: String::new(),
        address: lanyard_soap::autodiscover::sipuri_of_query(&query),
    };
    let target = request.to_url(&web.urls.card(FEDERATION_PATH));
    let location = HeaderValue::from_str(&target).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

/// `POST /PassiveAuth/PassiveAuth.aspx`: the token against the cookie.
pub async fn finish(State(web): State<Arc<Web>>, body: String) -> Response {
    let refused = || answer::json_fault(StatusCode::FORBIDDEN, Fault::TicketInvalid);
    let Ok(response) = SignInResponse::from_form_body(&body) else {
        return answer::json_fault(StatusCode::BAD_REQUEST, Fault::TicketInvalid);
    };
    let Ok(assertion) = passive::assertion_of_wresult(&response.wresult) else {
        return refused();
    };
    let opened = web
        .tickets
        .open(|v, now| v.passive_token(&assertion, &web.audiences.passive, now));
    let Ok(claims) = opened else { return refused() };
    if web.tickets.use_token(&claims).is_err() {
        return refused();
    }
    let claims = match webticket::still_good(&web, claims).await {
        Ok((claims, _)) => claims,
        Err(response) => return response,
    };
    let grant = Grant {
        account: claims.account().clone(),
        address: claims.address().clone(),
        audience: web.audiences.cookie.clone(),
        source: claims.source(),
        lifetime: Duration::minutes(COOKIE_MINUTES),
    };
    match web.tickets.cookie(&grant) {
        Ok(cookie) => {
            let value = passive::set_cookie(&cookie, OffsetDateTime::now_utc());
            let page = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
                        <title>Lanyard</title><p>You are signed in. You can close this page.</p></html>\n";
            let mut response =
                answer::body(StatusCode::OK, "text/html; charset=utf-8", page.to_owned());
            response
                .headers_mut()
                .insert(header::SET_COOKIE, answer::header_value(&value));
            response
        }
        Err(error) => answer::internal("cookie", &error),
    }
}
