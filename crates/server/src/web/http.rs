// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP over an accepted connection: one router, named limits, and who is at the other end.

use crate::listener::stopped;
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// The head of a request must be complete after this time.
pub const HEAD_TIMEOUT_SECS: u64 = 10;
/// A request, its body included, must be answered after this time.
pub const REQUEST_TIMEOUT_SECS: u64 = 30;
/// A connection takes requests for so long; then the client makes a new one. Somebody who asks and
/// never reads holds a connection no longer either.
pub const CONNECTION_SECS_MAX: u64 = 120;
/// How long what is under way at that time may take.
pub const LAST_ANSWER_SECS: u64 = REQUEST_TIMEOUT_SECS + 5;
/// The head of a request may not be larger.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The body of a request may not be larger.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// Who is at the other end of the connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Network address.
    pub address: SocketAddr,
    /// The certificates that the peer showed and whose key it proved; leaf first.
    pub certificates: Arc<Vec<CertificateDer<'static>>>,
}

/// Adds what every listener has: limits, a time limit, and headers that keep answers out of caches.
pub fn with_limits(router: Router) -> Router {
    router
        .fallback(nothing_here)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(announced_size))
        .layer(middleware::from_fn(time_limit))
        .layer(middleware::from_fn(security_headers))
}

/// Speaks HTTP/1.1 on a connection until it ends or the server stops.
pub async fn serve<S>(stream: S, router: Router, peer: Peer, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router.layer(axum::Extension(peer.clone())));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEAD_TIMEOUT_SECS))
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => Some(result),
        () = stopped(&mut stop) => None,
        () = tokio::time::sleep(Duration::from_secs(CONNECTION_SECS_MAX)) => None,
    };
    let result = match result {
        Some(result) => Ok(result),
        None => {
            connection.as_mut().graceful_shutdown();
            let last = Duration::from_secs(LAST_ANSWER_SECS);
            tokio::time::timeout(last, connection.as_mut()).await
        }
    };
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(peer = %peer.address, %error, "HTTP connection ended"),
        Err(_) => tracing::info!(peer = %peer.address, "an HTTP client took no answer"),
    }
}

/// What is asked for is not here.
async fn nothing_here() -> Response {
    super::answer::json_fault(StatusCode::NOT_FOUND, lanyard_fault::Fault::NotFound)
}

/// Refuses a body that says itself that it is too large, before any of it is read: a client that
/// asks first (`Expect: 100-continue`) then gets the answer and not a broken connection.
async fn announced_size(request: Request<Body>, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        let fault = lanyard_fault::Fault::RequestTooLarge;
        return super::answer::json_fault(StatusCode::PAYLOAD_TOO_LARGE, fault);
    }
    next.run(request).await
}

async fn time_limit(request: Request<Body>, next: Next) -> Response {
    match tokio::time::timeout(Duration::from_secs(REQUEST_TIMEOUT_SECS), next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

async fn security_headers(request: Request<Body>, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}
