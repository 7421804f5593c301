// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proof of presence: while somebody is signed in, the card shows again and again that it is still there.
//!
//! The client opens the card listener with the card's own certificate (slot 9E, no PIN): in the handshake the card
//! signs what this server has just drawn, so an older proof is worth nothing. What comes of it is a time per card;
//! [`sweep`] ends the sessions of cards whose time is over.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use lanyard_authority::{CardGuid, CertificateRow, ProfileName, Registry, Status};
use lanyard_directory::{EffectivePolicy, MissingPresenceKey};
use lanyard_fault::Fault;
use lanyard_store::StoreError;
use lanyard_x509::{Certificate, ChainCheck, Eku, Serial, Sid, verify_chain};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

use super::pages::refuse;
use crate::app::App;
use crate::card_life;
use crate::sessions::{SessionEnd, SessionSelector};
use crate::web::http::Peer;
use crate::web::{Web, answer};

/// How often sessions are looked at.
pub const SWEEP_INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);
/// Cards of which a time is kept at most; beyond that the oldest time is forgotten, and that card proves again.
const PROOFS_MAX: usize = 200_000;

/// When each card last showed that it is there.
#[derive(Debug, Default)]
pub struct Proofs {
    /// By number and holder: the number alone is what an enrolment claims, and two people may claim one.
    seen: Mutex<HashMap<(CardGuid, Sid), OffsetDateTime>>,
}

impl Proofs {
    fn note(&self, card: (CardGuid, Sid), now: OffsetDateTime) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= PROOFS_MAX && !seen.contains_key(&card) {
            let oldest = seen
                .iter()
                .min_by_key(|(_, at)| **at)
                .map(|(card, _)| card.clone());
            if let Some(oldest) = oldest {
                seen.remove(&oldest);
            }
        }
        seen.insert(card, now);
    }

    fn last(&self, card: &(CardGuid, Sid)) -> Option<OffsetDateTime> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(card).copied()
    }
}

/// `POST /api/v1/card/presence`, with the certificate of slot 9E.
pub(super) async fn prove(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let shown = peer
        .certificates
        .first()
        .and_then(|der| Certificate::from_der(der.as_ref()).ok());
    let work = move || match shown {
        Some(leaf) => accept(&web, &leaf, OffsetDateTime::now_utc()),
        None => Err(Fault::CardCertificateForeign),
    };
    let outcome = tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(Fault::ServerInternal));
    match outcome {
        Ok(minutes) => {
            let body = serde_json::json!({ "next_in_seconds": u64::from(minutes) * 60 });
            answer::body(StatusCode::OK, "application/json", body.to_string())
        }
        Err(fault) => {
            tracing::info!(peer = %peer.address, code = %fault.code(), "proof of presence refused");
            refuse(&headers, StatusCode::FORBIDDEN, fault)
        }
    }
}

/// Checks the card's own certificate and notes the time. Gives the minutes until the next proof.
fn accept(web: &Web, leaf: &Certificate, now: OffsetDateTime) -> Result<u16, Fault> {
    let check = ChainCheck {
        intermediates: web.trust.intermediates(),
        anchors: web.trust.anchors(),
        now,
        required_eku: Eku::PIV_CARD_AUTH,
        crls: &[],
    };
    verify_chain(leaf, &check).map_err(|_| Fault::PresenceCertificate)?;
    let internal = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a proof of presence could not be checked");
        Fault::ServerInternal
    };
    let app = &web.app;
    let row = app.store.find(&leaf.serial()).map_err(|e| internal(&e))?;
    let row = row.ok_or(Fault::CardCertificateForeign)?;
    let fits = row.profile == ProfileName::CardAuthentication
        && row.der.as_deref().is_none_or(|der| der == leaf.der());
    let (true, Some(card), Some(holder)) = (fits, row.card_guid, row.account.as_ref()) else {
        return Err(Fault::PresenceCertificate);
    };
    if row.status != Status::Active {
        return Err(Fault::CardCertificateRevoked);
    }
    let state = card_life::state_of(app, &row).map_err(|e| internal(&e))?;
    if state.is_some_and(lanyard_authority::CardState::is_out) {
        return Err(Fault::CardCertificateRevoked);
    }
    let policy = policy_of(app, holder).ok_or(Fault::AccountUnknown)?;
    app.proofs.note((card, holder.clone()), now);
    Ok(policy.presence_proof_minutes)
}

/// Whether this card may come in where presence has to be proved: it has a key for it, or policy lets it in without.
///
/// # Errors
/// When the registry does not answer.
pub fn has_key_or_may_lack(
    app: &App,
    row: &CertificateRow,
    policy: &EffectivePolicy,
) -> Result<bool, StoreError> {
    if policy.presence_proof_minutes == 0
        || policy.missing_presence_key == MissingPresenceKey::Allow
    {
        return Ok(true);
    }
    has_key(app, &row.serial)
}

/// Whether the card of this certificate has a key for proofs of presence.
fn has_key(app: &App, card_certificate: &Serial) -> Result<bool, StoreError> {
    let bound = app.store.bound_to(card_certificate);
    let bound = bound.map_err(|error| {
        tracing::error!(%error, "the registry did not answer");
        StoreError::NoRow("certificates")
    })?;
    Ok(bound
        .iter()
        .any(|row| row.profile == ProfileName::CardAuthentication && row.status != Status::Revoked))
}

/// Ends the sessions whose cards have not shown for too long that they are there. Says how many.
pub fn sweep(app: &App, now: OffsetDateTime) -> usize {
    let mut ended = 0;
    for session in app.sessions().list() {
        let policy = {
            let people = app.directory.load();
            let Some(account) = people.by_id(&session.account) else {
                continue;
            };
            people.policy_of(account)
        };
        let Some(serial) = session.card_serial.as_deref() else {
            continue;
        };
        if policy.presence_proof_minutes == 0 {
            continue;
        }
        let grace = Duration::seconds(i64::from(app.config.load().limits.presence_grace_secs));
        let interval = Duration::minutes(i64::from(policy.presence_proof_minutes));
        let limit = interval.saturating_add(grace);
        // The sign-in itself was a proof; only who is older than that has to have given another one.
        if now - session.since <= limit {
            continue;
        }
        let Some(row) = parse(serial).and_then(|serial| app.store.find(&serial).ok().flatten())
        else {
            continue;
        };
        let card = row.card_guid.zip(row.account.clone());
        let last = card.and_then(|card| app.proofs.last(&card));
        if last.is_some_and(|last| now - last <= limit) {
            continue;
        }
        let lacks = policy.missing_presence_key == MissingPresenceKey::Allow
            && !has_key(app, &row.serial).unwrap_or(true);
        if lacks {
            continue;
        }
        let which = SessionSelector::Id(session.id.clone());
        ended += app.sessions().end(&which, SessionEnd::PresenceMissing);
        tracing::info!(address = %session.address, "session ended: its card did not show that it is there");
    }
    ended
}

/// What a client has to know of a person's policy about cards, by name.
#[must_use]
pub fn client_settings(policy: &EffectivePolicy) -> [(&'static str, String); 3] {
    [
        ("cardRemoval", policy.card_removal.to_string()),
        (
            "cardRemovalGraceSeconds",
            policy.card_removal_grace_seconds.to_string(),
        ),
        (
            "presenceProofSeconds",
            (u64::from(policy.presence_proof_minutes) * 60).to_string(),
        ),
    ]
}

fn policy_of(app: &App, holder: &Sid) -> Option<EffectivePolicy> {
    let people = app.directory.load();
    let id = holder.as_str().parse().ok()?;
    let account = people.by_id(&id)?;
    Some(people.policy_of(account))
}

fn parse(serial: &str) -> Option<Serial> {
    serial.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_claims_the_number_of_another_card_proves_nothing_for_its_holder() {
        let number = CardGuid([7; 16]);
        let holder = |last: u32| -> Sid { format!("S-1-5-21-1-2-3-{last}").parse().unwrap() };
        let proofs = Proofs::default();
        let now = OffsetDateTime::UNIX_EPOCH;
        proofs.note((number, holder(1001)), now);
        assert_eq!(proofs.last(&(number, holder(1001))), Some(now));
        assert_eq!(proofs.last(&(number, holder(1002))), None);
    }
}
