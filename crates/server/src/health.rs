// SPDX-License-Identifier: MIT OR Apache-2.0
//! Metrics and health, for this computer only.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use lanyard_directory::DirectoryStore;
use lanyard_fault::Fault;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use crate::app::App;
use crate::listener::stopped;
use crate::problem::Problem;

/// The prefix of every figure.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Begins to count.
///
/// # Errors
/// When something counts already.
pub fn start_recorder() -> Result<PrometheusHandle, Problem> {
    let handle = PrometheusBuilder::new()
        .install_recorder()
        .map_err(|error| Problem::with(Fault::ServerInternal, error))?;
    metrics::describe_gauge!("lanyard_accounts", "Accounts in the directory");
    metrics::describe_gauge!("lanyard_sessions", "Live sessions");
    metrics::describe_counter!(
        "lanyard_admin_requests_total",
        "Administration verbs served"
    );
    Ok(handle)
}

/// Serves `/metrics` and `/healthz` until the server stops.
pub async fn serve(app: Arc<App>, listener: TcpListener, figures: PrometheusHandle) {
    let mut stop = app.stopping();
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(show_health))
        .with_state(Shared { app, figures });
    let stopped = async move {
        stopped(&mut stop).await;
    };
    if let Err(error) = axum::serve(listener, router)
        .with_graceful_shutdown(stopped)
        .await
    {
        tracing::error!(%error, "the metrics listener failed");
    }
}

#[derive(Clone)]
struct Shared {
    app: Arc<App>,
    figures: PrometheusHandle,
}

async fn show_metrics(State(shared): State<Shared>) -> impl IntoResponse {
    metrics::gauge!("lanyard_accounts").set(shared.app.directory.load().len() as f64);
    let app = Arc::clone(&shared.app);
    let sessions = tokio::task::spawn_blocking(move || app.sessions().list().len()).await;
    metrics::gauge!("lanyard_sessions").set(sessions.unwrap_or_default() as f64);
    shared.figures.run_upkeep();
    (
        [(header::CONTENT_TYPE, TEXT_FORMAT)],
        shared.figures.render(),
    )
}

/// Healthy is who can read the database.
async fn show_health(State(shared): State<Shared>) -> impl IntoResponse {
    let app = Arc::clone(&shared.app);
    let read = tokio::task::spawn_blocking(move || app.store.default_policy()).await;
    match read {
        Ok(Ok(_)) => (StatusCode::OK, "ok\n".to_owned()),
        Ok(Err(error)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", Problem::from(error)),
        ),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", Problem::new(Fault::ServerInternal)),
        ),
    }
}
