// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PUK of a card of another make, for its holder's program: once, for a code that the desk has made.
//!
//! The program sets the holder's new PIN with it, replaces it in the same step by the one that comes with it, and
//! reports so. It shows neither.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Router};
use lanyard_authority::CardGuid;
use lanyard_authority::audit::{Action, AuditEntry, AuditLog};
use lanyard_authority::{Actor, CardKeys};
use lanyard_directory::{CODE_TRIES_MAX, CODE_TRY_WINDOW, EnrolCode, SipAddress};
use lanyard_enrol::{ATTEMPT_WINDOW, Attempts, CODE_REFUSAL_FLOOR, TRACKED_MAX, TooMany};
use lanyard_fault::Fault;
use lanyard_x509::Sid;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use super::http::Peer;
use super::urls::{UNBLOCKING_DONE_PATH, UNBLOCKINGS_PATH};
use super::{Web, answer};
use crate::card_life::{self, PukRefused};

/// Largest body that is read.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// The handlers.
pub fn router(web: &Arc<Web>) -> Router {
    let desk = Arc::new(Window {
        web: Arc::clone(web),
        peers: Mutex::new(Attempts::new(ATTEMPT_WINDOW, TRACKED_MAX)),
        wrong_codes: Mutex::new(Attempts::new(CODE_TRY_WINDOW.unsigned_abs(), TRACKED_MAX)),
    });
    Router::new()
        .route(UNBLOCKINGS_PATH, post(fetch))
        .route(UNBLOCKING_DONE_PATH, post(done))
        .with_state(desk)
}

/// The server and what is counted before it.
struct Window {
    web: Arc<Web>,
    peers: Mutex<Attempts<IpAddr>>,
    wrong_codes: Mutex<Attempts<SipAddress>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    code: String,
    address: String,
    card: String,
}

/// What is asked, as far as it could be read.
struct Asked {
    address: SipAddress,
    guid: CardGuid,
    holder: Option<Sid>,
    code: Option<EnrolCode>,
}

/// Why not.
enum Refused {
    Fault(StatusCode, Fault),
    TooMany(Duration),
}

impl From<PukRefused> for Refused {
    fn from(refused: PukRefused) -> Self {
        match refused {
            PukRefused::Code => Self::Fault(StatusCode::FORBIDDEN, Fault::UnblockCodeRefused),
            PukRefused::Server(problem) => {
                Self::Fault(StatusCode::INTERNAL_SERVER_ERROR, problem.fault())
            }
        }
    }
}

/// `POST /api/v1/card-unblockings`.
async fn fetch(
    State(window): State<Arc<Window>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let begun = Instant::now();
    let outcome = window
        .serve(&peer, &headers, &body, begun, |web, asked, holder, code| {
            let now = OffsetDateTime::now_utc();
            let (present, next) = card_life::fetch_puk(&web.app, &asked.guid, holder, code, now)?;
            let present: Vec<&str> = present.iter().map(CardKeys::puk).collect();
            Ok(json!({ "puks": present, "next_puk": next.puk() }).to_string())
        })
        .await;
    window.respond(outcome, begun).await
}

/// `POST /api/v1/card-unblockings/done`.
async fn done(
    State(window): State<Arc<Window>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let begun = Instant::now();
    let outcome = window
        .serve(&peer, &headers, &body, begun, |web, asked, holder, code| {
            let now = OffsetDateTime::now_utc();
            card_life::confirm_puk(&web.app, &asked.guid, holder, code, now)?;
            Ok(json!({ "status": "unblocked" }).to_string())
        })
        .await;
    window.respond(outcome, begun).await
}

impl Window {
    async fn serve(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
        body: &Bytes,
        begun: Instant,
        work: impl FnOnce(&Web, &Asked, &Sid, &EnrolCode) -> Result<String, PukRefused> + Send + 'static,
    ) -> Result<String, Refused> {
        let max = self.web.app.config.load().limits.enrolments_per_minute;
        lock(&self.peers)
            .count(network(peer.address.ip()), max, begun)
            .map_err(too_many)?;
        let asked = self.read(headers, body)?;
        // An address that nobody has is counted like any other.
        let address = asked.address.clone();
        lock(&self.wrong_codes)
            .count(address.clone(), CODE_TRIES_MAX, begun)
            .map_err(too_many)?;
        let web = Arc::clone(&self.web);
        let outcome = tokio::task::spawn_blocking(move || {
            let (Some(holder), Some(code)) = (&asked.holder, &asked.code) else {
                return Err(PukRefused::Code);
            };
            let outcome = work(&web, &asked, holder, code);
            if matches!(outcome, Err(PukRefused::Code)) {
                note_refusal(&web, &asked, holder);
            }
            outcome
        });
        let failed = |_| Refused::Fault(StatusCode::INTERNAL_SERVER_ERROR, Fault::ServerInternal);
        let text = outcome.await.map_err(failed)??;
        lock(&self.wrong_codes).forget(&address);
        Ok(text)
    }

    fn read(&self, headers: &HeaderMap, body: &Bytes) -> Result<Asked, Refused> {
        let refuse = |status, fault| Err(Refused::Fault(status, fault));
        let is_json = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return refuse(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Fault::EnrolmentMalformed,
            );
        }
        if body.len() > BODY_BYTES_MAX {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, Fault::RequestTooLarge);
        }
        let Ok(body) = serde_json::from_slice::<Body>(body) else {
            return refuse(StatusCode::BAD_REQUEST, Fault::EnrolmentMalformed);
        };
        let Ok(address) = body.address.parse::<SipAddress>() else {
            return refuse(StatusCode::BAD_REQUEST, Fault::AddressMalformed);
        };
        let Ok(guid) = body.card.parse() else {
            return refuse(StatusCode::BAD_REQUEST, Fault::EnrolmentMalformed);
        };
        let people = self.web.app.directory.load();
        let account = people
            .by_address(&address)
            .filter(|account| account.enabled);
        Ok(Asked {
            holder: account.and_then(|account| account.id.as_str().parse().ok()),
            address,
            guid,
            code: body.code.parse().ok(),
        })
    }

    async fn respond(&self, outcome: Result<String, Refused>, begun: Instant) -> Response {
        match outcome {
            Ok(text) => answer::body(StatusCode::OK, "application/json", text),
            Err(Refused::Fault(status, fault)) => {
                if fault == Fault::UnblockCodeRefused {
                    // Looking somebody up takes time that an unknown address does not.
                    tokio::time::sleep(CODE_REFUSAL_FLOOR.saturating_sub(begun.elapsed())).await;
                }
                answer::json_fault(status, fault)
            }
            Err(Refused::TooMany(wait)) => {
                let mut response =
                    answer::json_fault(StatusCode::TOO_MANY_REQUESTS, Fault::TooManyTries);
                let secs = wait.as_secs().saturating_add(1);
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from(secs));
                response
            }
        }
    }
}

fn note_refusal(web: &Web, asked: &Asked, holder: &Sid) {
    let mut details = serde_json::Map::new();
    details.insert("account".into(), holder.as_str().into());
    details.insert("code".into(), Fault::UnblockCodeRefused.code().into());
    let entry = AuditEntry::new(
        OffsetDateTime::now_utc(),
        Actor::System("unblocking".into()),
        Action::CardUnblockRefused,
        asked.guid.to_string(),
    )
    .with_details(&details);
    if let Err(error) = web.app.store.append(&entry) {
        tracing::error!(%error, "the audit trail could not be written");
    }
}

fn too_many(TooMany { wait }: TooMany) -> Refused {
    Refused::TooMany(wait)
}

/// A person on IPv6 has a whole network to try from: count the network.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
