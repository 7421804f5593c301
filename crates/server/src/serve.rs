// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running the server: everything is opened and bound before anything is served.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lanyard_authority::Actor;
use lanyard_authority::audit::{Action, AuditEntry, AuditLog, sign_head};
use lanyard_fault::Fault;
use time::OffsetDateTime;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config::{self, Config};
use crate::data::DataDir;
use crate::federation::presence::{SWEEP_INTERVAL, sweep};
use crate::logging::LogLevel;
use crate::open::{DataLock, open_app};
use crate::problem::{Problem, chain};
use crate::wire::{self, Listeners};
use crate::{admin, health};

/// Connections that may wait to be accepted; a storm of reconnects must not be turned away by the
/// kernel.
const BACKLOG: u32 = 4096;
/// How often revocation list and listener certificate are looked at; what gets old is made anew.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// How often the head of the audit trail is signed.
const HEAD_SIGN_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the parts may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs the server until it is told to stop.
///
/// # Errors
/// Why it could not start.
pub fn run(data: DataDir, config_file: PathBuf) -> Result<(), Problem> {
    let config = config::load(&config_file)?;
    let log = LogLevel::start(&config.log)?;
    let lock = DataLock::take(&data)?;
    crate::descriptors::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::with(Fault::ServerInternal, error))?;
    let outcome = runtime.block_on(serve(data, config, &config_file, &log));
    runtime.shutdown_timeout(STOP_TIMEOUT);
    drop(lock);
    outcome
}

async fn serve(
    data: DataDir,
    config: Config,
    config_file: &Path,
    log: &LogLevel,
) -> Result<(), Problem> {
    let listen = config.listen.clone();
    let figures = health::start_recorder()?;
    let app = Arc::new(open_app(data, config)?);
    // Signals first: who sends one right after the start is heard.
    let mut terminate = listen_for(SignalKind::terminate())?;
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    let mut hang_up = listen_for(SignalKind::hangup())?;

    let listeners = Listeners {
        sip: bind("sip", listen.sip)?,
        https: bind("https", listen.https)?,
        card: bind("card", listen.card)?,
        http: bind("http", listen.http)?,
    };
    let metrics = bind("metrics", listen.metrics)?;
    // Before anybody is served: who is let in has a trail to be written into.
    record(&app, Action::ServerStarted).await?;
    // A server that stood still for months shows nobody what ended meanwhile.
    let fresh = Arc::clone(&app);
    match tokio::task::spawn_blocking(move || refresh(&fresh)).await {
        Ok(Ok(())) => {}
        Ok(Err(problem)) => tracing::error!(%problem, "the upkeep failed"),
        Err(error) => tracing::error!(%error, "the upkeep failed"),
    }
    let socket_path = app.data.admin_socket();
    let socket = admin::bind(&socket_path)?;

    let wire = wire::start(Arc::clone(&app), listeners).await?;
    let health = tokio::spawn(health::serve(Arc::clone(&app), metrics, figures));
    let admin = tokio::spawn(admin::serve(Arc::clone(&app), socket));
    let upkeep = tokio::spawn(upkeep(Arc::clone(&app)));
    let presence = tokio::spawn(presence(Arc::clone(&app)));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        sip = %listen.sip, https = %listen.https, card = %listen.card, http = %listen.http,
        metrics = %listen.metrics, accounts = app.directory.load().len(),
        "ready"
    );

    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => reload(&app, config_file, log).await,
        }
    }

    tracing::info!("stopping");
    app.stop();
    let parts = async { tokio::join!(wire, health, admin) };
    if tokio::time::timeout(STOP_TIMEOUT, parts).await.is_err() {
        tracing::warn!("some connections were cut");
    }
    upkeep.abort();
    presence.abort();
    let _ = std::fs::remove_file(&socket_path);
    if let Err(problem) = record(&app, Action::ServerStopped).await {
        tracing::error!(%problem, "the stop could not be recorded");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Reads the configuration again. What cannot change without a restart is named; a configuration
/// with a fault changes nothing.
async fn reload(app: &Arc<App>, config_file: &Path, log: &LogLevel) {
    let next = match config::load(config_file) {
        Ok(next) => next,
        Err(error) => {
            let problem = Problem::from(error);
            tracing::error!(%problem, "the configuration was not reloaded");
            return;
        }
    };
    if let Err(problem) = log.change(&next.log.level) {
        tracing::error!(%problem, "the log level was not changed");
    }
    let for_restart = app.config.load().restart_needed(&next);
    if !for_restart.is_empty() {
        tracing::warn!(
            keys = for_restart.join(", "),
            "these changes wait for a restart"
        );
    }
    let (app, log_level) = (Arc::clone(app), next.log.level.clone());
    let reloaded = tokio::task::spawn_blocking(move || {
        if let Err(error) = app.reload_tls(&next) {
            tracing::error!(error, "the certificate of the listeners stays the old one");
        }
        let mut merged = Config::clone(&app.config.load());
        merged.log.level = next.log.level;
        merged.tls = next.tls;
        app.config.store(Arc::new(merged));
        let entry = entry(Action::ConfigurationReloaded);
        app.store.append(&entry).map_err(admin::audit_problem)
    })
    .await;
    match reloaded {
        Ok(Ok(_)) => tracing::info!(log_level, "the configuration was reloaded"),
        Ok(Err(problem)) => tracing::error!(%problem, "the reload could not be recorded"),
        Err(error) => tracing::error!(%error, "the reload failed"),
    }
}

/// What has to be done from time to time: lists and certificates, the signed head of the trail.
async fn upkeep(app: Arc<App>) {
    let mut list = tokio::time::interval(REFRESH_INTERVAL);
    // The start has just been signed.
    let first = tokio::time::Instant::now() + HEAD_SIGN_INTERVAL;
    let mut heads = tokio::time::interval_at(first, HEAD_SIGN_INTERVAL);
    loop {
        let is_list = tokio::select! {
            _ = list.tick() => true,
            _ = heads.tick() => false,
        };
        let app = Arc::clone(&app);
        let done = tokio::task::spawn_blocking(move || {
            if is_list {
                refresh(&app)
            } else {
                sign_trail(&app)
            }
        });
        match done.await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => tracing::error!(%problem, "the upkeep failed"),
            Err(error) => tracing::error!(%error, "the upkeep failed"),
        }
    }
}

/// Looks again and again whose card has not shown that it is there.
async fn presence(app: Arc<App>) {
    let mut clock = tokio::time::interval(SWEEP_INTERVAL);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let app = Arc::clone(&app);
        let swept = tokio::task::spawn_blocking(move || sweep(&app, OffsetDateTime::now_utc()));
        if let Err(error) = swept.await {
            tracing::error!(%error, "presence could not be looked after");
        }
    }
}

/// The revocation list and the certificate of the listeners.
fn refresh(app: &App) -> Result<(), Problem> {
    match admin::renew_when_due(app, OffsetDateTime::now_utc()) {
        Ok(true) => tracing::info!("the certificate of the listeners was made anew"),
        Ok(false) => {}
        Err(problem) => tracing::error!(%problem, "the certificate of the listeners stays"),
    }
    let now = OffsetDateTime::now_utc();
    crate::card_life::expire_due(app, now)?;
    let is_due = app.list_is_due.swap(false, Ordering::Relaxed);
    let list = if is_due {
        app.authority.make_crl(now)
    } else {
        app.authority.crl(now)
    };
    list.map_err(|error| {
        app.list_is_due.store(true, Ordering::Relaxed);
        Problem::with(Fault::ServerInternal, chain(&error))
    })?;
    Ok(())
}

fn sign_trail(app: &App) -> Result<(), Problem> {
    let head = app.store.head().map_err(admin::audit_problem)?;
    let signed = sign_head(head, app.authority.signer(), OffsetDateTime::now_utc())
        .map_err(|error| Problem::from_error(Fault::AuthorityUnusable, &error))?;
    app.store
        .save_signed_head(&signed)
        .map_err(admin::audit_problem)
}

/// Writes a row of the server itself into the audit trail, and signs the head over it.
async fn record(app: &Arc<App>, action: Action) -> Result<(), Problem> {
    let app = Arc::clone(app);
    let recorded = tokio::task::spawn_blocking(move || {
        app.store
            .append(&entry(action))
            .map_err(admin::audit_problem)?;
        sign_trail(&app)
    });
    recorded
        .await
        .unwrap_or_else(|error| Err(Problem::with(Fault::ServerInternal, error)))
}

fn entry(action: Action) -> AuditEntry {
    let actor = Actor::System("server".to_owned());
    AuditEntry::new(OffsetDateTime::now_utc(), actor, action, "lanyard-server")
}

fn listen_for(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Problem> {
    signal(kind).map_err(|error| Problem::with(Fault::ServerInternal, error))
}

/// Binds one listener; a port in use is named with its key.
fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, Problem> {
    let bound = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            Problem::with(Fault::PortInUse, format_args!("listen.{key} = {address}"))
        }
        _ => Problem::with(
            Fault::PortUnusable,
            format_args!("listen.{key} = {address}: {error}"),
        ),
    })
}

impl From<wire::WireError> for Problem {
    fn from(error: wire::WireError) -> Self {
        let fault = match error {
            wire::WireError::LegacyNotBuilt => Fault::ConfigInvalid,
            _ => Fault::TlsIdentityUnusable,
        };
        Self::from_error(fault, &error)
    }
}
