// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the holder of a card does with cards, on the card listener: renew this one, see all, report one lost.
//!
//! The TLS handshake has proved card and PIN; every request is checked like a sign-in.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_authority::audit::{Action, AuditEntry};
use lanyard_authority::{
    Actor, CardGuid, CardState, CertificateRow, ProfileName, Registry, Status,
};
use lanyard_directory::Account;
use lanyard_enrol::Evidence;
use lanyard_fault::Fault;
use lanyard_store::{CardRecord, StoreError};
use lanyard_x509::{Certificate, Csr, CsrError, PublicKey, Sid, SignatureError};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::check::Refused;
use super::pages::{Purpose, refuse, verified};
use crate::admin::{self, CardLossReason, Reply};
use crate::app::App;
use crate::card_life::{self, Renewal};
use crate::web::http::Peer;
use crate::web::urls::{
    CARD_KEYS_PATH, MY_CARD_LOST_PATH, MY_CARD_NAME_PATH, MY_CARDS_PATH, PRESENCE_PATH,
    RENEWAL_PATH, RENEWED_PATH,
};
use crate::web::{Web, answer};

/// Largest body that is read here.
const BODY_BYTES_MAX: usize = 32 * 1024;
/// Longest name of a card.
const NAME_CHARS_MAX: usize = 64;

/// The handlers.
pub(super) fn routes() -> Router<Arc<Web>> {
    Router::new()
        .route(CARD_KEYS_PATH, post(keys))
        .route(RENEWAL_PATH, post(renewal))
        .route(RENEWED_PATH, post(renewed))
        .route(MY_CARDS_PATH, get(my_cards))
        .route(MY_CARD_LOST_PATH, post(lost))
        .route(MY_CARD_NAME_PATH, post(name))
        .route(PRESENCE_PATH, post(super::presence::prove))
}

/// The holder, as the card has shown it.
struct Holder {
    account: Arc<Account>,
    sid: Sid,
    row: CertificateRow,
}

async fn holder(web: &Arc<Web>, peer: &Peer) -> Result<Holder, Fault> {
    let fault = |refused: Refused| refused.fault;
    let (card, row) = verified(web, peer, None, Purpose::Cards)
        .await
        .map_err(fault)?;
    let row = row.ok_or(Fault::CardCertificateForeign)?;
    let sid = row.account.clone().ok_or(Fault::CardCertificateForeign)?;
    Ok(Holder {
        account: Arc::clone(card.account()),
        sid,
        row,
    })
}

/// Runs work that waits for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(Fault::ServerInternal))
}

fn respond<T: Serialize>(
    headers: &HeaderMap,
    created: bool,
    outcome: Result<T, Fault>,
) -> Response {
    match outcome {
        Ok(value) => {
            let status = if created {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            match serde_json::to_string(&value) {
                Ok(text) => answer::body(status, "application/json", text),
                Err(error) => answer::internal("answer", &error),
            }
        }
        Err(fault) => refuse(headers, status_of(fault), fault),
    }
}

fn status_of(fault: Fault) -> StatusCode {
    match fault {
        Fault::EnrolmentMalformed
        | Fault::RequestMalformed
        | Fault::RequestSignature
        | Fault::RequestKeyWeak
        | Fault::RequestHashObsolete
        | Fault::RequestKeysEqual
        | Fault::RequestKeyRefused
        | Fault::CardNameRefused => StatusCode::BAD_REQUEST,
        Fault::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Fault::RenewalTooEarly | Fault::RenewalNotNeeded | Fault::RenewalMismatch => {
            StatusCode::CONFLICT
        }
        Fault::CardUnknown => StatusCode::NOT_FOUND,
        Fault::DatabaseBusy | Fault::DiskFull => StatusCode::SERVICE_UNAVAILABLE,
        Fault::ServerInternal | Fault::DatabaseDamaged => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::FORBIDDEN,
    }
}

/// A JSON body of a known form, and nothing else.
fn parsed<'a, T: Deserialize<'a>>(headers: &HeaderMap, body: &'a Bytes) -> Result<T, Fault> {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if body.len() > BODY_BYTES_MAX {
        return Err(Fault::RequestTooLarge);
    }
    if !is_json {
        return Err(Fault::EnrolmentMalformed);
    }
    serde_json::from_slice(body).map_err(|_| Fault::EnrolmentMalformed)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RenewalBody<'a> {
    csr: &'a str,
    #[serde(default)]
    card_authentication_csr: Option<&'a str>,
    /// What proves where a new key lives.
    #[serde(default)]
    attestation: Option<Evidence>,
}

#[derive(Serialize)]
struct RenewalAnswer {
    certificate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_authentication_certificate: Option<String>,
    chain: Vec<String>,
    status: &'static str,
}

/// `POST /api/v1/card/keys`: whether this card can be renewed, and the management key with which that is written to
/// it.
async fn keys(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let outcome = async {
        let holder = holder(&web, &peer).await?;
        blocking(move || {
            let now = OffsetDateTime::now_utc();
            let keys = card_life::keys_for_renewal(&web.app, &holder.row, now)?;
            let key: Option<String> = keys.map(|keys| {
                let bytes = keys.management();
                bytes.iter().map(|byte| format!("{byte:02x}")).collect()
            });
            Ok(serde_json::json!({ "management_key": key }))
        })
        .await
    };
    respond(&headers, false, outcome.await)
}

/// `POST /api/v1/card/renewal`: the next certificates of this card.
async fn renewal(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let outcome = async {
        let holder = holder(&web, &peer).await?;
        let asked: RenewalBody<'_> = parsed(&headers, &body)?;
        let asked = Renewal {
            key: key_of(asked.csr)?,
            csr: STANDARD.decode(asked.csr).unwrap_or_default(),
            evidence: asked.attestation,
            authentication_key: asked.card_authentication_csr.map(key_of).transpose()?,
        };
        if asked.authentication_key.as_ref() == Some(&asked.key) {
            return Err(Fault::RequestKeysEqual);
        }
        let shared = Arc::clone(&web);
        let issued = blocking(move || {
            let now = OffsetDateTime::now_utc();
            card_life::renew(&shared.app, &holder.account, &holder.row, asked, now)
        })
        .await?;
        let base64 = |certificate: &Certificate| STANDARD.encode(certificate.der());
        Ok(RenewalAnswer {
            certificate: base64(&issued.certificate),
            card_authentication_certificate: issued.authentication.as_ref().map(base64),
            chain: web.app.authority.chain().into_iter().map(base64).collect(),
            status: issued.status.as_str(),
        })
    };
    respond(&headers, true, outcome.await)
}

fn key_of(base64: &str) -> Result<PublicKey, Fault> {
    let der = STANDARD
        .decode(base64)
        .map_err(|_| Fault::RequestMalformed)?;
    let csr = Csr::from_der(&der).map_err(|error| match error {
        CsrError::TooLarge => Fault::RequestTooLarge,
        CsrError::Key(_) => Fault::RequestKeyWeak,
        CsrError::Signature(SignatureError::ObsoleteHash) => Fault::RequestHashObsolete,
        CsrError::Signature(_) => Fault::RequestSignature,
        _ => Fault::RequestMalformed,
    })?;
    Ok(csr.public_key().clone())
}

/// `POST /api/v1/card/renewed`: the certificate of this connection is on the card; the older ones may go.
async fn renewed(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let outcome = async {
        let holder = holder(&web, &peer).await?;
        blocking(move || {
            card_life::renewed(&web.app, &holder.row, OffsetDateTime::now_utc())?;
            Ok(serde_json::json!({ "status": "active" }))
        })
        .await
    };
    respond(&headers, false, outcome.await)
}

/// A card as its holder sees it.
#[derive(Serialize)]
struct MyCard {
    card: String,
    name: String,
    kind: &'static str,
    make: String,
    computer: String,
    state: &'static str,
    #[serde(with = "time::serde::rfc3339::option")]
    not_after: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    enrolled_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_at: Option<OffsetDateTime>,
    /// The card that asks.
    this: bool,
}

/// `GET /api/v1/my/cards`.
async fn my_cards(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let outcome = async {
        let holder = holder(&web, &peer).await?;
        blocking(move || {
            let cards = web.app.store.cards(Some(&holder.sid)).map_err(storage)?;
            let rows = web.app.store.of_account(&holder.sid).map_err(internal)?;
            let now = OffsetDateTime::now_utc();
            let cards: Vec<MyCard> = cards
                .into_iter()
                .map(|card| mine(card, &rows, &holder, now))
                .collect();
            Ok(serde_json::json!({ "cards": cards }))
        })
        .await
    };
    respond(&headers, false, outcome.await)
}

fn mine(card: CardRecord, rows: &[CertificateRow], holder: &Holder, now: OffsetDateTime) -> MyCard {
    let newest = rows.iter().find(|row| {
        row.card_guid == Some(card.guid)
            && row.profile == ProfileName::SmartcardUser
            && row.status != Status::Prepared
    });
    let not_after = newest.map(|row| row.not_after);
    MyCard {
        card: card.guid.to_string(),
        state: shown_state(card.state, not_after, now).as_str(),
        name: card.label,
        kind: card.kind.as_str(),
        make: card.make,
        computer: card.computer,
        not_after,
        enrolled_at: card.enrolled_at,
        last_used_at: card.last_used_at,
        this: holder.row.card_guid == Some(card.guid),
    }
}

/// The state with what the calendar adds to it.
fn shown_state(
    state: CardState,
    not_after: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> CardState {
    let over = not_after.is_some_and(|end| end <= now);
    match state {
        CardState::Enrolled | CardState::Active if over => CardState::Expired,
        other => other,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LostBody {
    card: String,
}

#[derive(Serialize)]
struct LostAnswer {
    card: String,
    state: &'static str,
    sessions_ended: usize,
}

/// `POST /api/v1/my/cards/lost`: out of force when the answer comes. Also for the card that asks: whoever holds it
/// may want exactly that.
async fn lost(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let outcome = async {
        let holder = holder(&web, &peer).await?;
        let asked: LostBody = parsed(&headers, &body)?;
        blocking(move || {
            let card = own_card(&web.app, &holder.sid, &asked.card)?;
            let actor = Actor::Person(holder.sid);
            let reply = admin::end_card(&web.app, &actor, &card, CardLossReason::Lost);
            let sessions_ended = match reply.map_err(|problem| problem.fault())? {
                Reply::CardEnd(end) => end.sessions_ended,
                _ => 0,
            };
            Ok(LostAnswer {
                card: card.guid.to_string(),
                state: CardState::Lost.as_str(),
                sessions_ended,
            })
        })
        .await
    };
    respond(&headers, false, outcome.await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NameBody {
    card: String,
    name: String,
}

/// `POST /api/v1/my/cards/name`.
async fn name(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let outcome = async {
        let holder = holder(&web, &peer).await?;
        let asked: NameBody = parsed(&headers, &body)?;
        let label = card_name(&asked.name)?;
        blocking(move || {
            let card = own_card(&web.app, &holder.sid, &asked.card)?;
            rename(&web.app, Actor::Person(holder.sid), &card, label.clone())?;
            Ok(serde_json::json!({ "card": card.guid.to_string(), "name": label }))
        })
        .await
    };
    respond(&headers, false, outcome.await)
}

/// A name that a card may have.
///
/// # Errors
/// When it is empty, too long, or no plain text.
pub(crate) fn card_name(text: &str) -> Result<String, Fault> {
    let text = text.trim();
    let good = !text.is_empty()
        && text.chars().count() <= NAME_CHARS_MAX
        && !text.chars().any(char::is_control);
    good.then(|| text.to_owned()).ok_or(Fault::CardNameRefused)
}

/// Gives a card another name.
///
/// # Errors
/// When the database fails.
pub(crate) fn rename(app: &App, by: Actor, card: &CardRecord, label: String) -> Result<(), Fault> {
    let mut details = serde_json::Map::new();
    details.insert("account".into(), card.holder.as_str().into());
    details.insert("name".into(), label.clone().into());
    let now = OffsetDateTime::now_utc();
    let entry =
        AuditEntry::new(now, by, Action::CardRenamed, card.guid.to_string()).with_details(&details);
    let (guid, holder) = (card.guid, card.holder.clone());
    let written = app.store.write(move |tx| {
        if let Some(mut card) = tx.card(&guid, &holder)? {
            card.label = label;
            tx.put_card(&card)?;
            tx.audit(&entry)?;
        }
        Ok::<_, StoreError>(())
    });
    written.map_err(storage)
}

/// The person's own card of this number; of somebody else's card it is not even said that it exists.
fn own_card(app: &App, sid: &Sid, number: &str) -> Result<CardRecord, Fault> {
    let guid: CardGuid = number.parse().map_err(|_| Fault::CardUnknown)?;
    let card = app.store.card(&guid, sid).map_err(storage)?;
    card.ok_or(Fault::CardUnknown)
}

fn storage(error: StoreError) -> Fault {
    crate::problem::Problem::from(error).fault()
}

fn internal(error: impl std::error::Error) -> Fault {
    tracing::error!(%error, "the registry did not answer");
    Fault::ServerInternal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cards_are_plain_and_short() {
        assert_eq!(card_name(" laptop "), Ok("laptop".to_owned()));
        assert_eq!(card_name(&"x".repeat(64)), Ok("x".repeat(64)));
        for bad in ["", "  ", "a\nb", &"x".repeat(65)] {
            assert_eq!(card_name(bad), Err(Fault::CardNameRefused), "{bad:?}");
        }
    }

    #[test]
    fn a_card_whose_time_is_over_is_shown_as_expired() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let over = Some(now);
        let good = Some(now + time::Duration::SECOND);
        assert_eq!(
            shown_state(CardState::Active, over, now),
            CardState::Expired
        );
        assert_eq!(shown_state(CardState::Active, good, now), CardState::Active);
        assert_eq!(shown_state(CardState::Lost, over, now), CardState::Lost);
    }
}
