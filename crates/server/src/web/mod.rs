// SPDX-License-Identifier: MIT OR Apache-2.0
//! What clients ask over HTTP: discovery, tickets, chat certificates, revocation lists.

pub mod address_book;
pub mod answer;
pub mod certificate;
pub mod discovery;
pub mod http;
pub mod pace;
pub mod passive;
pub mod password;
pub mod plain;
pub mod provision;
pub mod throttle;
pub mod tickets;
pub mod unblock;
pub mod urls;
pub mod webticket;

use crate::app::App;
use crate::federation::CardTrust;
use axum::Router;
use axum::routing::{get, post};
use password::PasswordGate;
use std::sync::Arc;
use tickets::{Audiences, Tickets};
use urls::Urls;

/// What the handlers share.
#[derive(Debug)]
pub struct Web {
    /// The server.
    pub app: Arc<App>,
    /// Where everything lives.
    pub urls: Urls,
    /// The services that tickets are for.
    pub audiences: Audiences,
    /// Sealing and opening tickets.
    pub tickets: Tickets,
    /// Who tried which password how often.
    pub passwords: PasswordGate,
    /// Who asked the address book how often.
    pub searches: address_book::Searches,
    /// Whose cards are accepted.
    pub trust: CardTrust,
}

/// The handlers of the HTTPS listener.
pub fn router(web: &Arc<Web>) -> Router {
    let ticket_mex = format!("{}/mex", urls::WEB_TICKET_PATH);
    let provisioning_mex = format!("{}/mex", urls::CERT_PROV_PATH);
    Router::new()
        .route("/", get(discovery::front_page))
        .route(urls::ROOT_PATH, get(discovery::root))
        .route(urls::USER_PATH, get(discovery::user))
        .route(&ticket_mex, get(webticket::mex))
        .route(urls::WEB_TICKET_PASSIVE_PATH, post(webticket::passive_port))
        .route(urls::WEB_TICKET_PASSWORD_PATH, post(password::port))
        .route(urls::OAUTH_PATH, post(webticket::oauth))
        .route(
            urls::PASSIVE_AUTH_PATH,
            get(passive::begin).post(passive::finish),
        )
        .route(&provisioning_mex, get(provision::mex))
        .route(urls::CERT_PROV_PROOF_PATH, post(provision::get_and_publish))
        .route(
            &format!("{}/mex", urls::ADDRESS_BOOK_PATH),
            get(address_book::mex),
        )
        .route(urls::ADDRESS_BOOK_BEARER_PATH, post(address_book::search))
        .route(
            &format!(
                "{}/{}/{{name}}",
                urls::ADDRESS_BOOK_FILES_PATH,
                urls::PHOTOS
            ),
            get(address_book::photo),
        )
        .route(urls::SERVICES_PATH, get(plain::services))
        .route(urls::CRL_PATH, get(plain::revocation_list))
        .route(urls::AIA_PATH, get(plain::issuing_certificate))
        .route(urls::ROOT_CERTIFICATE_PATH, get(plain::root_certificate))
        .with_state(Arc::clone(web))
}

/// The handlers of the plain HTTP listener: what must be readable before anything is trusted.
pub fn plain_router(web: &Arc<Web>) -> Router {
    Router::new()
        .route("/", get(discovery::redirect))
        .route(urls::ROOT_PATH, get(discovery::redirect))
        .route(urls::CRL_PATH, get(plain::revocation_list))
        .route(urls::AIA_PATH, get(plain::issuing_certificate))
        .route(urls::ROOT_CERTIFICATE_PATH, get(plain::root_certificate))
        .with_state(Arc::clone(web))
}
