// SPDX-License-Identifier: MIT OR Apache-2.0
//! Revocation list and authority certificates: plain, cacheable, without a log-on.

use super::{Web, answer};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lanyard_authority::Registry;
use lanyard_fault::Fault;
use std::sync::Arc;

/// How long a cache may keep what is served here. A sign-in never asks a cache: it asks the registry.
const CACHE_SECS: u32 = 60;

/// `GET /crl/issuing.crl`
pub async fn revocation_list(State(web): State<Arc<Web>>) -> Response {
    let shared = Arc::clone(&web);
    match tokio::task::spawn_blocking(move || shared.app.store.current_crl()).await {
        Ok(Ok(Some(crl))) => cacheable("application/pkix-crl", crl.der),
        Ok(Ok(None)) => answer::json_fault(StatusCode::NOT_FOUND, Fault::NotFound),
        Ok(Err(error)) => answer::internal("revocation list", &error),
        Err(error) => answer::internal("revocation list", &error),
    }
}

/// `GET /aia/issuing.cer`
pub async fn issuing_certificate(State(web): State<Arc<Web>>) -> Response {
    cacheable("application/pkix-cert", web.trust.issuing().der().to_vec())
}

/// `GET /aia/root.cer`
pub async fn root_certificate(State(web): State<Arc<Web>>) -> Response {
    cacheable("application/pkix-cert", web.trust.root().der().to_vec())
}

fn cacheable(media_type: &'static str, bytes: Vec<u8>) -> Response {
    let cache = HeaderValue::from_str(&format!("public, max-age={CACHE_SECS}"))
        .unwrap_or(HeaderValue::from_static("public"));
    let kind = HeaderValue::from_static(media_type);
    (
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache)],
        bytes,
    )
        .into_response()
}

/// `GET /api/v1/services`: where a card's holder finds what is done with the card itself.
pub async fn services(
    axum::extract::State(web): axum::extract::State<std::sync::Arc<super::Web>>,
) -> axum::response::Response {
    let value = serde_json::json!({ "card": web.urls.card("") });
    super::answer::body(
        axum::http::StatusCode::OK,
        "application/json",
        value.to_string(),
    )
}
