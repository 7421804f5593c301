// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the listeners that clients see are started.

use crate::app::App;
use crate::config::Config;
use crate::desk;
use crate::federation::{self, CardTrust};
use crate::listener::{self, SharedTls};
use crate::sip::connection;
use crate::sip::core::{CoreSessions, SipCore};
use crate::sip::people::DirectoryPeople;
use crate::sip::signin::SipShared;
use crate::tls::{self, Identity, IdentityError};
use crate::web::address_book::Searches;
use crate::web::http::{self, Peer};
use crate::web::password::{GateError, PasswordGate};
use crate::web::tickets::{Audiences, Tickets};
use crate::web::urls::{ADDRESS_BOOK_FILES_PATH, ADDRESS_BOOK_PATH, CERT_PROV_PATH, Urls};
use crate::web::{self, Web};
use arc_swap::ArcSwap;
use axum::Router;
use lanyard_presence::xml::provisioning::AddressBook;
use lanyard_presence::{Hub, HubConfig};
use lanyard_sip_auth::{InnerAcceptor, InnerTls, InnerTlsError, tls12};
use lanyard_soap::ticket::{AudienceError, TicketKeyError};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::time_provider::DefaultTimeProvider;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// So many signs of life may be missed before a connection counts as lost. Some clients give the first
/// one only after a minute.
const SIGNS_OF_LIFE_MISSED: u32 = 4;

/// The listeners, bound before anything is started, so that a port in use is known at once.
#[derive(Debug)]
pub struct Listeners {
    /// SIP over TLS.
    pub sip: TcpListener,
    /// HTTPS.
    pub https: TcpListener,
    /// HTTPS with the card's certificate.
    pub card: TcpListener,
    /// Plain HTTP.
    pub http: TcpListener,
}

/// Why the listeners could not be started.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Chain or key of the listeners cannot be used.
    #[error("the certificate of the listeners cannot be used")]
    Identity(#[from] IdentityError),
    /// The verifier of chat certificates cannot be made.
    #[error("the issuing authority cannot verify chat certificates")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// The root certificate is no trust anchor.
    #[error("the root certificate is not usable")]
    Root(#[source] rustls::Error),
    /// The inner handshake cannot be set up.
    #[error("the inner handshake cannot be set up")]
    Inner(#[from] InnerTlsError),
    /// The configuration asks for what was not built in.
    #[error(
        "sip.legacy_tls_dsk is on, but this lanyard-server was built without the feature \"legacy\""
    )]
    LegacyNotBuilt,
    /// No random numbers.
    #[error("no random numbers")]
    Random,
    /// Password checks cannot be set up.
    #[error(transparent)]
    Passwords(#[from] GateError),
    /// No ticket key.
    #[error(transparent)]
    TicketKey(#[from] TicketKeyError),
    /// The host name makes no address.
    #[error("the host name makes no address")]
    Audience(#[from] AudienceError),
}

/// The TLS configurations of the three listeners, exchanged together on reload.
struct TlsSet {
    sip: SharedTls,
    https: SharedTls,
    card: SharedTls,
}

impl TlsSet {
    fn load(app: &App, config: &Config) -> Result<[rustls::ServerConfig; 3], IdentityError> {
        let identity = identity(app, config)?;
        let issuing = app.authority.issuing().to_rustls();
        let hints = webpki::anchor_from_trusted_cert(&issuing)
            .map(|anchor| rustls::DistinguishedName::in_sequence(&anchor.subject))
            .into_iter()
            .collect();
        let mut https = tls::plain_config(&identity)?;
        https.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut card = tls::card_config(&identity, hints)?;
        card.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok([tls::plain_config(&identity)?, https, card])
    }

    fn new(configs: [rustls::ServerConfig; 3]) -> Self {
        let [sip, https, card] = configs.map(|config| Arc::new(ArcSwap::from_pointee(config)));
        Self { sip, https, card }
    }
}

fn identity(app: &App, config: &Config) -> Result<Identity, IdentityError> {
    Identity::load(
        &app.data.resolve(&config.tls.certificate),
        &app.data.resolve(&config.tls.key),
    )
}

/// Starts serving clients. The returned task ends after [`App::stopping`] has become true and the
/// open connections have been closed.
///
/// # Errors
/// When nothing was started.
pub async fn start(
    app: Arc<App>,
    listeners: Listeners,
) -> Result<tokio::task::JoinHandle<()>, WireError> {
    let config = app.config.load_full();
    let urls = Urls::new(
        config.server.host.as_str(),
        config.https_port(),
        config.card_port(),
        config.http_port(),
    );
    let tls = TlsSet::new(TlsSet::load(&app, &config)?);
    let core = hub(&app, &config, &urls)?;
    let clients = inner_clients(&app)?;
    let acceptor = inner_acceptor(&app, &config, &clients)?;
    let inner = Arc::new(ArcSwap::from_pointee(acceptor));
    let shared = Arc::new(SipShared {
        settings: Arc::new(inner_settings(
            &config,
            &urls,
            Arc::clone(&inner),
            &clients,
        )?),
        idle: Duration::from_secs(u64::from(config.limits.sip_idle_secs)),
        promised: Duration::from_secs(u64::from(config.limits.sip_keep_alive_secs))
            .saturating_mul(SIGNS_OF_LIFE_MISSED),
        association: Duration::from_secs(u64::from(config.limits.sip_association_secs)),
        message_bytes_max: config.limits.sip_message_bytes_max as usize,
        core: Arc::clone(&core),
        app: Arc::clone(&app),
    });
    let authority = &app.authority;
    let web = Arc::new(Web {
        audiences: Audiences::new(&urls)?,
        tickets: Tickets::new(OffsetDateTime::now_utc())?,
        passwords: PasswordGate::new()?,
        searches: Searches::default(),
        trust: CardTrust::new(authority.issuing().clone(), authority.root().clone()),
        urls,
        app: Arc::clone(&app),
    });
    app.set_sessions(Arc::new(CoreSessions(Arc::clone(&core))));
    let swapped = [
        Arc::clone(&tls.sip),
        Arc::clone(&tls.https),
        Arc::clone(&tls.card),
    ];
    let reloading = Arc::downgrade(&app);
    app.set_reload_tls(Box::new(move |config| {
        let app = reloading
            .upgrade()
            .ok_or_else(|| "the server is stopping".to_owned())?;
        let fresh = TlsSet::load(&app, config).map_err(|error| error.to_string())?;
        let acceptor = inner_acceptor(&app, config, &clients).map_err(|error| error.to_string())?;
        inner.store(Arc::new(acceptor));
        for (shared, config) in swapped.iter().zip(fresh) {
            shared.store(Arc::new(config));
        }
        Ok(())
    }));
    Ok(tokio::spawn(run(app, listeners, tls, shared, web)))
}

async fn run(
    app: Arc<App>,
    listeners: Listeners,
    tls: TlsSet,
    shared: Arc<SipShared>,
    web: Arc<Web>,
) {
    let stop = app.stopping();
    let wanted = app.config.load().limits.connections_max as usize;
    let (sip_max, brief_max) = crate::descriptors::connections();
    let connections_max = wanted.min(brief_max);
    if sip_max < wanted {
        tracing::info!(
            sip_max,
            brief_max,
            "the limit of open files allows fewer connections than limits.connections_max; raise \
             LimitNOFILE"
        );
    }
    let core = Arc::clone(&shared.core);
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&core).run_timers(stop.clone()));
    {
        let stop = stop.clone();
        let watched = app.stopping();
        tasks.spawn(listener::serve_tls(
            "sip",
            listeners.sip,
            wanted.min(sip_max),
            tls.sip,
            watched,
            move |stream, peer, guest| {
                connection::serve(Arc::clone(&shared), stream, peer, guest, stop.clone())
            },
        ));
    }
    let https = http::with_limits(
        web::router(&web)
            .merge(desk::router(&web))
            .merge(web::unblock::router(&web)),
    );
    tasks.spawn(serve_https(
        "https",
        listeners.https,
        connections_max,
        tls.https,
        https,
        app.stopping(),
    ));
    let card = http::with_limits(federation::pages::router(&web));
    tasks.spawn(serve_https(
        "card",
        listeners.card,
        connections_max,
        tls.card,
        card,
        app.stopping(),
    ));
    let plain = http::with_limits(web::plain_router(&web));
    let http_stop = stop.clone();
    tasks.spawn(listener::serve_plain(
        "http",
        listeners.http,
        connections_max,
        app.stopping(),
        move |stream, peer| {
            let peer = Peer {
                address: peer,
                certificates: Arc::new(Vec::new()),
            };
            http::serve(stream, plain.clone(), peer, http_stop.clone())
        },
    ));
    listener::stopped(&mut stop.clone()).await;
    core.end_all_for_stop();
    while tasks.join_next().await.is_some() {}
}

async fn serve_https(
    name: &'static str,
    listener: TcpListener,
    connections_max: usize,
    tls: SharedTls,
    router: Router,
    stop: tokio::sync::watch::Receiver<bool>,
) {
    let watched = stop.clone();
    listener::serve_tls(
        name,
        listener,
        connections_max,
        tls,
        watched,
        move |stream, address, guest| {
            // The handshake is over; from here on the times of HTTP count.
            drop(guest);
            let certificates: Vec<CertificateDer<'static>> = stream
                .get_ref()
                .1
                .peer_certificates()
                .map(|chain| chain.iter().map(|der| der.clone().into_owned()).collect())
                .unwrap_or_default();
            let peer = Peer {
                address,
                certificates: Arc::new(certificates),
            };
            http::serve(stream, router.clone(), peer, stop.clone())
        },
    )
    .await;
}

fn hub(app: &Arc<App>, config: &Config, urls: &Urls) -> Result<Arc<SipCore>, WireError> {
    let mut seed = [0; 16];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| WireError::Random)?;
    let number = u128::from_le_bytes(seed);
    let seed = [number as u64, (number >> 64) as u64];
    let host = config.server.host.as_str();
    let domain = config
        .server
        .domains
        .first()
        .map_or(host, |domain| domain.as_str());
    let mut hub_config = HubConfig::new(host, domain, seed);
    hub_config.explain = crate::sip::words::explain;
    hub_config.port = config.sip_port();
    hub_config.register_expires_secs = config.limits.sip_registration_secs;
    hub_config.keep_alive_secs = config.limits.sip_keep_alive_secs;
    hub_config.grace = Duration::from_secs(u64::from(config.limits.sip_grace_secs));
    hub_config.domains = config
        .server
        .domains
        .iter()
        .map(|d| d.as_str().to_owned())
        .collect();
    hub_config.provisioning = hub_config.provisioning.with_address_book(&AddressBook {
        query: urls.https(ADDRESS_BOOK_PATH),
        files: urls.https(ADDRESS_BOOK_FILES_PATH),
    });
    let people = Box::new(DirectoryPeople::new(Arc::clone(app), urls));
    let hub = Hub::new(hub_config, people, crate::sip::core::now());
    Ok(SipCore::new(hub, Arc::new(app.store.clone()), host))
}

/// Begins each inner handshake with the certificate that the listeners have by then: connections live long.
struct NewestAcceptor(Arc<ArcSwap<tls12::Acceptor>>);

impl InnerAcceptor for NewestAcceptor {
    fn accept(&self, client_hello: &[u8]) -> Result<Box<dyn InnerTls>, InnerTlsError> {
        self.0.load().accept(client_hello)
    }
}

/// The inner handshake trusts chat certificates of our own issuing authority. Which of them are
/// still good is asked afterwards, of the registry.
fn inner_clients(app: &App) -> Result<Arc<dyn ClientCertVerifier>, WireError> {
    let mut roots = RootCertStore::empty();
    for certificate in app.authority.chain() {
        roots
            .add(certificate.to_rustls())
            .map_err(WireError::Root)?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider());
    Ok(builder.build()?)
}

fn inner_acceptor(
    app: &App,
    config: &Config,
    clients: &Arc<dyn ClientCertVerifier>,
) -> Result<tls12::Acceptor, WireError> {
    let (chain, key) = identity(app, config)?.into_parts();
    let time = Arc::new(DefaultTimeProvider);
    Ok(tls12::Acceptor::new(chain, key, Arc::clone(clients), time)?)
}

fn inner_settings(
    config: &Config,
    urls: &Urls,
    newest: Arc<ArcSwap<tls12::Acceptor>>,
    clients: &Arc<dyn ClientCertVerifier>,
) -> Result<lanyard_sip_auth::server::Settings, WireError> {
    let mut acceptor: Box<dyn InnerAcceptor> = Box::new(NewestAcceptor(newest));
    if config.sip.legacy_tls_dsk {
        acceptor = beside_legacy(acceptor, config.server.host.as_str(), Arc::clone(clients))?;
        tracing::warn!(
            "sip.legacy_tls_dsk is on: clients whose inner handshake is TLS 1.0 with RSA key \
             transport are accepted, and their messages are signed with HMAC-SHA1"
        );
    }
    Ok(lanyard_sip_auth::server::Settings {
        targetname: config.server.host.as_str().to_owned(),
        sts_uri: urls.https(CERT_PROV_PATH),
        acceptor,
    })
}

#[cfg(feature = "legacy")]
fn beside_legacy(
    modern: Box<dyn InnerAcceptor>,
    host: &str,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<Box<dyn InnerAcceptor>, WireError> {
    let time = Arc::new(DefaultTimeProvider);
    let both = lanyard_sip_auth::legacy::Acceptor::new(modern, host, clients, time)?;
    Ok(Box::new(both))
}

#[cfg(not(feature = "legacy"))]
fn beside_legacy(
    _modern: Box<dyn InnerAcceptor>,
    _host: &str,
    _clients: Arc<dyn ClientCertVerifier>,
) -> Result<Box<dyn InnerAcceptor>, WireError> {
    Err(WireError::LegacyNotBuilt)
}
