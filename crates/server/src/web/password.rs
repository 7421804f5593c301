// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ticket port for people whose policy allows a password: HTTP Basic, over TLS only.
//!
//! A person who needs a card is refused before the password is looked at. Everybody else hears the
//! same words after the same work, whether the name is unknown, has no password, or the password
//! is wrong.

use super::answer::soap_fault;
use super::http::Peer;
use super::throttle::{self, Throttle};
use super::urls::WEB_TICKET_PASSWORD_PATH;
use super::{Web, webticket};
use crate::credential;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_directory::{Account, DomainName, Password, PasswordHash, SipAddress, Snapshot, Upn};
use lanyard_fault::Fault;
use lanyard_soap::autodiscover::sipuri_of_query;
use lanyard_soap::fault::Diagnostic;
use lanyard_soap::ticket::{Grant, TicketSource};
use lanyard_soap::trust::TicketRequest;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use time::Duration;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Tries for one name before the first wait.
pub const TRIES_FREE_PER_NAME: u32 = 4;
/// Tries from one network address before the first wait; an office may stand behind one.
pub const TRIES_FREE_PER_PEER: u32 = 40;
/// Passwords that are checked at once; each takes 19 MiB.
pub const CHECKS_MAX: usize = 4;
/// Longest `Authorization` header that is read.
const CREDENTIALS_BYTES_MAX: usize = 1024;
/// What a client shows when it asks for the password.
const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"Lanyard\", charset=\"UTF-8\"");

/// What the port remembers.
#[derive(Debug)]
pub struct PasswordGate {
    names: Mutex<Throttle<String>>,
    peers: Mutex<Throttle<IpAddr>>,
    checks: Semaphore,
    /// Checked in place of a hash that is not there, so that the work is the same.
    nobody: PasswordHash,
}

/// The hash that stands in for a missing one cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("password checks cannot be set up")]
pub struct GateError;

impl PasswordGate {
    /// Nobody has tried anything yet.
    ///
    /// # Errors
    /// No random numbers, or no memory for a hash.
    pub fn new() -> Result<Self, GateError> {
        let mut random = [0; 48];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| GateError)?;
        let (salt, secret) = random.split_first_chunk::<16>().ok_or(GateError)?;
        let password = Password::typed(STANDARD.encode(secret)).map_err(|_| GateError)?;
        Ok(Self {
            names: Mutex::new(Throttle::new(TRIES_FREE_PER_NAME, throttle::TRACKED_MAX)),
            peers: Mutex::new(Throttle::new(TRIES_FREE_PER_PEER, throttle::TRACKED_MAX)),
            checks: Semaphore::new(CHECKS_MAX),
            nobody: PasswordHash::new(&password, *salt).map_err(|_| GateError)?,
        })
    }

    fn begin(&self, name: &str, peer: IpAddr, now: Instant) -> Result<(), throttle::TooEarly> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        peers.check(&peer, now)?;
        names.begin(name.to_owned(), now)?;
        peers.begin(peer, now)
    }

    fn succeeded(&self, name: &str, peer: IpAddr) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        peers.take_back(&peer);
        names.forget(&name.to_owned());
    }
}

/// The address of the port, when it is to be listed. A client that says whose sign-in it is about
/// (`?sipuri=`) is told about that person; one that does not, whether anybody may use a password.
pub fn listed(web: &Web, query: &RawQuery) -> Option<String> {
    let people = web.app.directory.load();
    if !anybody_may(&people) {
        return None;
    }
    let asked = query.0.as_deref().and_then(sipuri_of_query);
    let asked: Option<SipAddress> = asked.and_then(|address| address.as_str().parse().ok());
    if asked.is_some_and(|address| needs_card(&people, people.by_address(&address))) {
        return None;
    }
    Some(web.urls.https(WEB_TICKET_PASSWORD_PATH))
}

/// `POST …/WinNegotiate`: name and password against a SAML ticket.
pub async fn port(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let Ok(request) = TicketRequest::parse(&body) else {
        return soap_fault(&web, Diagnostic::RequestInvalid, None);
    };
    let people = web.app.directory.load();
    let claimed: Option<SipAddress> = request
        .claimed_address
        .as_ref()
        .and_then(|address| address.as_str().parse().ok());
    let claimed = claimed.and_then(|address| people.by_address(&address).cloned());
    if !anybody_may(&people) || needs_card(&people, claimed.as_ref()) {
        return not_allowed(&web);
    }
    let Some((name, password)) = credentials(&headers) else {
        return challenge(&web, Diagnostic::NoValidSecurityToken, None);
    };
    let name = principal_name(&people, name);
    let named = account_of(&people, &name).cloned();
    if needs_card(&people, named.as_ref()) {
        return not_allowed(&web);
    }
    let peer = network(peer.address.ip());
    if let Err(early) = web.passwords.begin(&name, peer, Instant::now()) {
        tracing::info!(%peer, wait_secs = early.wait.as_secs(), "password not looked at: too many tries");
        let fault = Some(Fault::TooManyTries);
        let mut response = soap_fault(&web, Diagnostic::NotEnabled, fault);
        let wait = HeaderValue::from(early.wait.as_secs().saturating_add(1));
        response.headers_mut().insert(header::RETRY_AFTER, wait);
        return response;
    }
    let matches = match verify(&web, named.as_deref(), password).await {
        Ok(matches) => matches,
        Err(response) => return response,
    };
    let Some(account) = named.filter(|_| matches) else {
        tracing::info!(%peer, "password refused");
        metrics::counter!("lanyard_passwords_refused_total").increment(1);
        let fault = Some(Fault::PasswordRefused);
        return challenge(&web, Diagnostic::NoValidSecurityToken, fault);
    };
    web.passwords.succeeded(&name, peer);
    granted(&web, &request, &account).await
}

/// The password was right.
async fn granted(web: &Arc<Web>, request: &TicketRequest, account: &Account) -> Response {
    if !account.enabled {
        return soap_fault(web, Diagnostic::NotEnabled, Some(Fault::AccountDisabled));
    }
    let other = request
        .claimed_address
        .as_ref()
        .is_some_and(|asked| asked.as_str() != account.sip_address.as_str());
    if other {
        let fault = Some(Fault::AddressNotOfPassword);
        return soap_fault(web, Diagnostic::AddressMismatch, fault);
    }
    let Some(audience) = web.audiences.of_request(&request.applies_to) else {
        return soap_fault(web, Diagnostic::RequestInvalid, None);
    };
    let address = lanyard_soap::Address::parse(account.sip_address.as_str());
    let (Ok(address), Ok(sid)) = (address, account.id.as_str().parse()) else {
        return soap_fault(web, Diagnostic::Internal, Some(Fault::ServerInternal));
    };
    // Of the account as it was when its password was compared.
    let Some(epoch) = credential::epoch(&web.app, account) else {
        return soap_fault(web, Diagnostic::Internal, Some(Fault::ServerInternal));
    };
    let grant = Grant {
        account: sid,
        address,
        audience,
        source: TicketSource::Password { epoch },
        lifetime: Duration::minutes(webticket::WEB_TICKET_MINUTES),
    };
    webticket::answer_ticket(web, request, &grant)
}

/// Checks a password where waiting is allowed; a few at a time.
async fn verify(
    web: &Arc<Web>,
    account: Option<&Account>,
    password: Option<Password>,
) -> Result<bool, Response> {
    let hash = account.and_then(|account| account.password_hash.clone());
    let permit = web.passwords.checks.acquire().await;
    let shared = Arc::clone(web);
    let checked = tokio::task::spawn_blocking(move || {
        // A password that is too long to be one costs the same as a wrong one.
        let (password, possible) = match password {
            Some(password) => (password, true),
            None => (Password::typed(String::new()).ok()?, false),
        };
        let known = hash.is_some();
        let hash = hash.as_ref().unwrap_or(&shared.passwords.nobody);
        let matches = compare(hash, &password);
        Some(matches && known && possible)
    })
    .await;
    drop(permit);
    match checked {
        Ok(matches) => Ok(matches.unwrap_or(false)),
        Err(error) => Err(super::answer::internal("password", &error)),
    }
}

/// The work of one try; counted where it is done, so that whoever runs the server, and a test, can see
/// that each try has cost it.
fn compare(hash: &PasswordHash, password: &Password) -> bool {
    metrics::counter!("lanyard_password_hashes_total").increment(1);
    hash.verify(password)
}

fn not_allowed(web: &Web) -> Response {
    let diagnostic = Diagnostic::AuthenticationTypeNotAllowed;
    soap_fault(web, diagnostic, Some(Fault::CardRequired))
}

fn challenge(web: &Web, diagnostic: Diagnostic, fault: Option<Fault>) -> Response {
    let mut response = soap_fault(web, diagnostic, fault);
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, CHALLENGE);
    response
}

/// Name and password of the header; the password is `None` when it is longer than any can be.
fn credentials(headers: &HeaderMap) -> Option<(String, Option<Password>)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || token.len() > CREDENTIALS_BYTES_MAX {
        return None;
    }
    let bytes = Zeroizing::new(STANDARD.decode(token.trim()).ok()?);
    let text = std::str::from_utf8(&bytes).ok()?;
    // RFC 7617 2: the name has no colon, the password may.
    let (name, password) = text.split_once(':')?;
    Some((
        name.trim().to_lowercase(),
        Password::typed(password.to_owned()).ok(),
    ))
}

/// `DOMAIN\user` as `user@domain`: the first domain here that is called so, or whose first label is.
/// Only the text decides, so that it costs the same and reads the same whoever it names, and tries
/// count together in whatever form the name is written.
fn principal_name(people: &Snapshot, typed: String) -> String {
    let Some((domain, user)) = typed.split_once('\\') else {
        return typed;
    };
    let is_called = |known: &&DomainName| {
        let known = known.as_str();
        let label = known.split('.').next().unwrap_or(known);
        known.eq_ignore_ascii_case(domain) || label.eq_ignore_ascii_case(domain)
    };
    match people.domains().iter().find(is_called) {
        Some(known) if !user.contains(['@', '\\']) => format!("{user}@{known}"),
        _ => typed,
    }
}

/// The account of a typed name: a sign-in address or a user principal name.
fn account_of<'a>(people: &'a Snapshot, name: &str) -> Option<&'a Arc<Account>> {
    let by_address = name.parse::<SipAddress>().ok();
    by_address
        .and_then(|address| people.by_address(&address))
        .or_else(|| people.by_upn(&name.parse::<Upn>().ok()?))
}

fn needs_card(people: &Snapshot, account: Option<&Arc<Account>>) -> bool {
    account.is_some_and(|account| !people.policy_of(account).password_allowed)
}

fn anybody_may(people: &Snapshot) -> bool {
    people
        .accounts()
        .any(|account| account.enabled && people.policy_of(account).password_allowed)
}

/// The network that tries are counted for: one IPv4 address, or the 64 bits of an IPv6 network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(prefix.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header_of(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = format!("Basic {}", STANDARD.encode(text));
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[test]
    fn name_and_password_are_taken_apart_at_the_first_colon() {
        let (name, password) = credentials(&header_of("Alice@Contoso.test:a:b")).unwrap();
        assert_eq!(name, "alice@contoso.test");
        assert!(password.is_some());
        assert!(credentials(&header_of("no colon")).is_none());
        let (_, password) = credentials(&header_of(&format!("a:{}", "x".repeat(257)))).unwrap();
        assert!(password.is_none());
    }

    #[test]
    fn other_schemes_and_damage_are_no_credentials() {
        for value in ["", "Basic", "Basic !!", "NTLM TlRM", "Bearer YTpi"] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert!(credentials(&headers).is_none(), "{value}");
        }
    }

    #[test]
    fn the_hash_that_stands_in_for_a_missing_one_costs_the_same() {
        let password = Password::typed("erin has a long password".to_owned()).unwrap();
        let real = PasswordHash::new(&password, [7; 16]).unwrap();
        let stand_in = PasswordGate::new().unwrap().nobody;
        let cost = |hash: &PasswordHash| {
            let parts: Vec<String> = hash.as_phc().split('$').map(str::to_owned).collect();
            let [_, algorithm, version, cost, salt, sum] = parts.as_slice() else {
                panic!("{} parts", parts.len());
            };
            let texts = [algorithm, version, cost].map(Clone::clone);
            (texts, salt.len(), sum.len())
        };
        assert_eq!(cost(&stand_in), cost(&real));
        assert!(!stand_in.verify(&password));
    }

    #[test]
    fn tries_from_one_ipv6_network_are_counted_together() {
        let [one, two, other]: [IpAddr; 3] = [
            "2001:db8::1".parse().unwrap(),
            "2001:db8::2:3".parse().unwrap(),
            "2001:db8:0:1::1".parse().unwrap(),
        ];
        assert_eq!(network(one), network(two));
        assert_ne!(network(one), network(other));
        assert_eq!(
            network("::ffff:192.0.2.1".parse().unwrap()),
            "192.0.2.1".parse::<IpAddr>().unwrap()
        );
    }
}
