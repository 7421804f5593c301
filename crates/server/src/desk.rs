// SPDX-License-Identifier: MIT OR Apache-2.0
//! The enrolment desk: what the enrolment interface asks of this server.

use crate::app::App;
use crate::card_life;
use crate::sessions::{SessionEnd, SessionSelector};
use crate::web::Web;
use crate::web::http::Peer as HttpPeer;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use lanyard_authority::audit::{Action, AuditEntry, AuditLog};
use lanyard_authority::{
    Actor, Card, CardGuid, CardOrder, IssuedCard, Person, Registry, SerialSeed, Status,
};
use lanyard_directory::{
    Account, AccountId, CodeVerdict, EnrolCode, EnrolCodes, SipAddress, StorageError,
};
use lanyard_enrol::{
    CardBefore, Challenges, DeskError, EnrolmentDesk, EnrolmentOrder, HandedOut, Makers, Peer,
    PersonFacts, Randomness, RefusedAttempt,
};
use lanyard_x509::{Certificate, Serial};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// The handlers of the enrolment interface.
pub fn router(web: &Arc<Web>) -> Router {
    let desk = Arc::new(Desk {
        app: Arc::clone(&web.app),
    });
    lanyard_enrol::router(desk).layer(middleware::from_fn(tell_peer))
}

/// Passes on who is at the other end, in the enrolment room's own type.
async fn tell_peer(mut request: Request<Body>, next: Next) -> Response {
    if let Some(peer) = request.extensions().get::<HttpPeer>() {
        let peer = Peer(peer.address.ip());
        request.extensions_mut().insert(peer);
    }
    next.run(request).await
}

/// Enrolment over directory, store and authority.
#[derive(Debug)]
struct Desk {
    app: Arc<App>,
}

impl EnrolmentDesk for Desk {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn attempts_per_minute(&self) -> u32 {
        self.app.config.load().limits.enrolments_per_minute
    }

    fn person(&self, address: &SipAddress) -> Option<PersonFacts> {
        let people = self.app.directory.load();
        let account = people.by_address(address)?;
        Some(PersonFacts {
            account: account.id.clone(),
            enabled: account.enabled,
            card_kinds: people.policy_of(account).card_kinds,
            key_assurance: people.policy_of(account).key_assurance,
        })
    }

    async fn use_code(
        &self,
        account: &AccountId,
        code: &EnrolCode,
        now: OffsetDateTime,
    ) -> Result<CodeVerdict, StorageError> {
        let (app, account, code) = (Arc::clone(&self.app), account.clone(), code.clone());
        let judged = tokio::task::spawn_blocking(move || {
            EnrolCodes::use_code(&app.store, &account, &code, now)
        });
        judged.await.unwrap_or(Err(StorageError::Failed))
    }

    async fn look_at_code(
        &self,
        account: &AccountId,
        code: &EnrolCode,
        now: OffsetDateTime,
    ) -> Result<CodeVerdict, StorageError> {
        let (app, account, code) = (Arc::clone(&self.app), account.clone(), code.clone());
        let judged = tokio::task::spawn_blocking(move || {
            let judged = app
                .store
                .write(move |tx| tx.look_at_code(&account, &code, now));
            judged.map_err(|error: lanyard_store::StoreError| error.into())
        });
        judged.await.unwrap_or(Err(StorageError::Failed))
    }

    async fn makers(&self) -> Result<Makers, StorageError> {
        let app = Arc::clone(&self.app);
        let read = tokio::task::spawn_blocking(move || crate::attestation::makers(&app.store));
        read.await.unwrap_or(Err(StorageError::Failed))
    }

    fn challenges(&self) -> &Mutex<Challenges> {
        &self.app.challenges
    }

    fn randomness(&self) -> Result<Randomness, DeskError> {
        crate::attestation::randomness().ok_or(DeskError::Authority)
    }

    async fn card_before(&self, account: &AccountId, card: Card) -> Result<CardBefore, DeskError> {
        let (app, account) = (Arc::clone(&self.app), account.clone());
        let found =
            tokio::task::spawn_blocking(move || card_life::before_enrolment(&app, &account, card));
        found.await.unwrap_or(Err(DeskError::Authority))
    }

    async fn hand_out(
        &self,
        account: &AccountId,
        card: Card,
    ) -> Result<Option<HandedOut>, DeskError> {
        let (app, account) = (Arc::clone(&self.app), account.clone());
        let now = self.now();
        let keys =
            tokio::task::spawn_blocking(move || card_life::hand_out(&app, &account, card, now));
        keys.await.unwrap_or(Err(DeskError::Authority))
    }

    async fn issue(
        &self,
        order: EnrolmentOrder,
        now: OffsetDateTime,
    ) -> Result<IssuedCard, DeskError> {
        let app = Arc::clone(&self.app);
        let issued = tokio::task::spawn_blocking(move || issue(&app, order, now));
        issued.await.unwrap_or(Err(DeskError::Authority))
    }

    fn chain(&self) -> Vec<Certificate> {
        self.app.authority.chain().into_iter().cloned().collect()
    }

    fn note_refusal(&self, attempt: &RefusedAttempt<'_>) {
        let code = attempt.refusal.fault().code();
        tracing::info!(peer = %attempt.peer, %code, "enrolment refused");
        // Strangers may not fill the trail: only what names a person of ours is written down.
        let Some(address) = attempt.address else {
            return;
        };
        if self.app.directory.load().by_address(address).is_none() {
            return;
        }
        let mut details = serde_json::Map::new();
        details.insert("code".into(), code.into());
        details.insert("peer".into(), attempt.peer.to_string().into());
        let entry = AuditEntry::new(
            OffsetDateTime::now_utc(),
            Actor::System("enrolment".into()),
            Action::EnrolmentRefused,
            address.as_str(),
        )
        .with_details(&details);
        let app = Arc::clone(&self.app);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = app.store.append(&entry) {
                tracing::error!(%error, "the audit trail could not be written");
            }
        });
    }
}

fn issue(app: &App, order: EnrolmentOrder, now: OffsetDateTime) -> Result<IssuedCard, DeskError> {
    let people = app.directory.load();
    let account = people.by_id(&order.account).ok_or(DeskError::Authority)?;
    let holder = person(account)?.account;
    let requester = Actor::Person(holder.clone());
    // Whoever made the code has approved what is enrolled with it.
    let approver = app
        .store
        .code_maker(&order.account)
        .map_err(|error| DeskError::Storage(error.into()))?
        .unwrap_or_else(|| Actor::System("one-time-code".into()));
    // The card's own state first: whoever may not be enrolled gets no certificate.
    card_life::enrolled(app, &holder, &order, now)?;
    let card_order = CardOrder {
        person: person(account)?,
        card: order.card,
        key: order.key,
        authentication_key: order.authentication_key,
        policies: order
            .level
            .policy(app.authority.card_attested_policy().as_ref())
            .into_iter()
            .collect(),
        requester: requester.clone(),
        approver,
    };
    let seeds = [draw()?, draw()?];
    let issued = app
        .authority
        .issue_card(card_order, seeds, order.status, now)
        .map_err(|error| {
            tracing::error!(%error, "a card could not be enrolled");
            DeskError::from(&error)
        })?;
    let mut keep = vec![issued.certificate.serial()];
    keep.extend(issued.authentication.iter().map(Certificate::serial));
    if issued.status == Status::Active {
        card_life::activated(app, &holder, &order.card.guid, now)?;
    }
    supersede(app, account, &order.card.guid, &keep, requester, now);
    tracing::info!(address = %account.sip_address, card = %order.card.guid, label = %order.label, key = %order.level, "card enrolled");
    Ok(issued)
}

/// The same card enrolled again: what it held before ends now. Only for the person's own card: the
/// number in a request is a claim, and nobody may end somebody else's certificates with it.
fn supersede(
    app: &App,
    account: &Account,
    card: &CardGuid,
    keep: &[Serial],
    by: Actor,
    now: OffsetDateTime,
) {
    let rows = match app.store.of_card(card) {
        Ok(rows) => rows,
        Err(error) => {
            tracing::error!(%error, "earlier certificates of a card could not be looked up");
            return;
        }
    };
    let own = |row: &lanyard_authority::CertificateRow| {
        row.account
            .as_ref()
            .is_some_and(|sid| sid.as_str() == account.id.as_str())
    };
    let earlier = rows
        .iter()
        .any(|row| row.status == Status::Active && !keep.contains(&row.serial));
    if !earlier || !rows.iter().all(own) {
        return;
    }
    match app.authority.supersede_card(card, keep, by, now) {
        Ok(withdrawn) => {
            let serials = withdrawn
                .certificates
                .iter()
                .map(|row| row.serial.to_string())
                .collect();
            app.sessions().end(
                &SessionSelector::Certificates(serials),
                SessionEnd::CardRevoked,
            );
            if let Err(error) = app.authority.make_crl(now) {
                tracing::error!(%error, "the revocation list could not be made");
            }
        }
        Err(error) => {
            tracing::error!(%error, "earlier certificates of a card could not be withdrawn")
        }
    }
}

pub(crate) fn person(account: &Account) -> Result<Person, DeskError> {
    let refused = |_| DeskError::Authority;
    Ok(Person {
        account: account.id.as_str().parse().map_err(refused)?,
        display_name: account.display_name.clone(),
        address: account.sip_address.as_str().parse().map_err(refused)?,
        upn: account.upn.as_str().parse().map_err(refused)?,
        // An address that a certificate cannot carry is left out, not changed.
        email: account.email.as_str().parse().ok(),
    })
}

pub(crate) fn draw() -> Result<SerialSeed, DeskError> {
    SerialSeed::draw().map_err(|_| DeskError::Authority)
}
