// SPDX-License-Identifier: MIT OR Apache-2.0
//! The address book: who works here, for whoever shows a ticket, and the photographs.
//!
//! Nothing is told without a ticket for this very service; whether a person exists neither. With one,
//! people who may not sign in are as unknown as those who never were.

use super::answer::{self, SOAP_TYPE, soap_fault};
use super::pace::Pace;
use super::urls::{ADDRESS_BOOK_BEARER_PATH, WEB_TICKET_PATH};
use super::{Web, webticket};
use crate::sip::people::{company, photo_path};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lanyard_directory::{Account, AccountId, PhotoHash, Search, SearchField};
use lanyard_fault::Fault;
use lanyard_soap::addressbook::{
    Attribute, Entry, PhotoReference, SearchRequest, SearchResponse, Term,
};
use lanyard_soap::autodiscover::{PresentedTicket, TicketChallenge};
use lanyard_soap::fault::Diagnostic;
use lanyard_soap::mex::AddressBookMex;
use lanyard_soap::ticket::{Claims, TicketError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Requests of one person at once: a client asks for each contact when it signs in.
pub const REQUESTS_AT_ONCE: u32 = 400;
/// Further requests of one person in a second.
pub const REQUESTS_PER_SECOND: u32 = 10;
/// People whose requests are counted at a time.
const TRACKED_MAX: usize = 65_536;
/// How long a client may keep a photograph, in seconds; another photograph has another address.
const PHOTO_KEPT: HeaderValue = HeaderValue::from_static("private, max-age=86400, immutable");

/// Who asked how often.
#[derive(Debug)]
pub struct Searches(Mutex<Pace<AccountId>>);

impl Default for Searches {
    fn default() -> Self {
        let pace = Pace::new(REQUESTS_AT_ONCE, REQUESTS_PER_SECOND, TRACKED_MAX);
        Self(Mutex::new(pace))
    }
}

impl Searches {
    fn take(&self, account: &AccountId) -> Result<(), Duration> {
        let mut pace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pace.take(account.clone(), Instant::now())
    }
}

/// `GET …/mex`: who issues tickets for the address book, and where it takes them.
pub async fn mex(State(web): State<Arc<Web>>) -> Response {
    let document = AddressBookMex {
        issuer: web.urls.https(WEB_TICKET_PATH),
        endpoint: web.urls.https(ADDRESS_BOOK_BEARER_PATH),
    };
    answer::body(StatusCode::OK, SOAP_TYPE, document.to_xml())
}

/// `POST …/WebTicket_Bearer`: a search.
pub async fn search(State(web): State<Arc<Web>>, body: String) -> Response {
    // Ticket first: who has none learns nothing, not even whether the search is well-formed.
    let Some(assertion) = SearchRequest::ticket_of(&body) else {
        return soap_fault(&web, Diagnostic::NoValidSecurityToken, None);
    };
    let account = match admitted(&web, &assertion).await {
        Ok(account) => account,
        Err(response) => return *response,
    };
    let Ok((request, _)) = SearchRequest::parse(&body) else {
        return soap_fault(&web, Diagnostic::RequestInvalid, None);
    };
    metrics::counter!("lanyard_searches_total").increment(1);
    let shared = Arc::clone(&web);
    let found = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let answer = look(&shared, &request);
        let found = answer.entries.len();
        tracing::debug!(address = %account.sip_address, found, micros = begun.elapsed().as_micros(), "search");
        answer.to_xml(&request.wanted)
    });
    match found.await {
        Ok(xml) => answer::body(StatusCode::OK, SOAP_TYPE, xml),
        Err(error) => answer::internal("search", &error),
    }
}

/// `GET …/photos/HASH.jpg`: a photograph.
pub async fn photo(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Ok(Some(PresentedTicket::Saml(assertion))) =
        PresentedTicket::from_headers(text("x-ms-webticket"), None)
    else {
        return challenge(&web);
    };
    if let Err(response) = admitted(&web, &assertion).await {
        return if response.status() == StatusCode::UNAUTHORIZED {
            challenge(&web)
        } else {
            *response
        };
    }
    let hash = name.strip_suffix(".jpg").map(str::parse::<PhotoHash>);
    let Some(Ok(hash)) = hash else {
        return answer::json_fault(StatusCode::NOT_FOUND, Fault::NotFound);
    };
    let shared = Arc::clone(&web);
    match tokio::task::spawn_blocking(move || shared.app.store.photo(&hash)).await {
        Ok(Ok(Some(jpeg))) => {
            let kind = HeaderValue::from_static("image/jpeg");
            let policy = HeaderValue::from_static("default-src 'none'; sandbox");
            let headers = [
                (header::CONTENT_TYPE, kind),
                (header::CACHE_CONTROL, PHOTO_KEPT),
                (header::CONTENT_SECURITY_POLICY, policy),
            ];
            (StatusCode::OK, headers, jpeg).into_response()
        }
        Ok(Ok(None)) => answer::json_fault(StatusCode::NOT_FOUND, Fault::PhotoMissing),
        Ok(Err(error)) => answer::internal("photo", &error),
        Err(error) => answer::internal("photo", &error),
    }
}

/// Whose ticket this is, when it is good for the address book and not used too often.
async fn admitted(web: &Arc<Web>, assertion: &str) -> Result<Arc<Account>, Box<Response>> {
    let refused = |diagnostic| Box::new(soap_fault(web, diagnostic, Some(Fault::TicketInvalid)));
    let opened = web
        .tickets
        .open(|verifier, now| verifier.web_ticket(assertion, &web.audiences.address_book, now));
    let claims: Claims = match opened {
        Ok(claims) => claims,
        Err(TicketError::Expired) => return Err(refused(Diagnostic::TicketExpired)),
        Err(_) => return Err(refused(Diagnostic::TicketInvalid)),
    };
    let (_, standing) = webticket::still_good(web, claims).await.map_err(Box::new)?;
    if let Err(wait) = web.searches.take(&standing.account.id) {
        metrics::counter!("lanyard_searches_refused_total").increment(1);
        let fault = Some(Fault::SearchTooOften);
        let mut response = soap_fault(web, Diagnostic::NotEnabled, fault);
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        let seconds = HeaderValue::from(wait.as_secs().saturating_add(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        return Err(Box::new(response));
    }
    Ok(standing.account)
}

/// 401 with the way to a ticket. No scheme of HTTP is offered: a browser has nothing to ask for.
fn challenge(web: &Web) -> Response {
    let challenge = TicketChallenge {
        web_ticket_url: Some(web.urls.https(WEB_TICKET_PATH)),
        oauth_url: None,
    };
    let mut response = answer::json_fault(StatusCode::UNAUTHORIZED, Fault::TicketInvalid);
    for (name, value) in challenge.headers() {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            let value = answer::header_value(&value);
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn look(web: &Web, request: &SearchRequest) -> SearchResponse {
    let company = company(&web.app);
    let Some(search) = understood(&request.terms, &company) else {
        return SearchResponse::default();
    };
    let people = web.app.directory.load();
    let (found, more) = people.search(&search, request.results_max);
    SearchResponse {
        entries: found.iter().map(|one| entry(one, &company)).collect(),
        more,
    }
}

/// The directory's search; `None` when nobody can fit.
fn understood(terms: &[Term], company: &str) -> Option<Search> {
    let mut search = Search::default();
    let mut any = false;
    for Term { on, value } in terms {
        let field = match on {
            None => SearchField::Any,
            Some(Attribute::DisplayName | Attribute::GivenName | Attribute::Surname) => {
                SearchField::Name
            }
            Some(Attribute::Mail) => SearchField::Email,
            Some(Attribute::SipAddress | Attribute::MailNickname) => SearchField::Address,
            Some(Attribute::Title) => SearchField::Title,
            Some(Attribute::Telephone) => SearchField::Phone,
            // Everybody is of the one organisation, or nobody is.
            Some(Attribute::Company) if begins(company, value) => continue,
            Some(_) => return None,
        };
        if !search.also(field, value) {
            return None;
        }
        any = true;
    }
    any.then_some(search)
}

fn begins(text: &str, beginning: &str) -> bool {
    text.to_lowercase()
        .starts_with(&beginning.trim().to_lowercase())
}

fn entry(account: &Account, company: &str) -> Entry {
    Entry {
        sip_uri: account.sip_address.uri(),
        display_name: account.display_name.clone(),
        mail: account.email.as_str().to_owned(),
        title: account.title.clone().unwrap_or_default(),
        telephone: account.phone.clone().unwrap_or_default(),
        company: company.to_owned(),
        photo: account.photo.as_ref().map(|hash| PhotoReference {
            path: photo_path(hash),
            hash: hash.as_str().to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(on: Option<Attribute>, value: &str) -> Term {
        Term {
            on,
            value: value.to_owned(),
        }
    }

    #[test]
    fn the_organisation_alone_finds_nobody_and_a_wrong_one_neither() {
        let company = Some(Attribute::Company);
        assert_eq!(understood(&[term(company, "Cont")], "Contoso"), None);
        let both = |of: &str| [term(company, of), term(Some(Attribute::Surname), "m")];
        assert!(understood(&both("contoso"), "Contoso").is_some());
        assert_eq!(understood(&both("fabrikam"), "Contoso"), None);
        assert_eq!(understood(&[term(Some(Attribute::Other), "DE")], ""), None);
    }

    #[test]
    fn a_value_without_a_word_finds_nobody() {
        assert_eq!(understood(&[term(None, "*")], ""), None);
        assert!(understood(&[term(None, "a")], "").is_some());
    }
}
