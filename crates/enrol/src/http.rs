// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handler.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_attest::Level;
use lanyard_authority::{CardCare, IssuedCard};
use lanyard_directory::{
    CODE_TRIES_MAX, CODE_TRY_WINDOW, CodeVerdict, EnrolCode, KeyAssurance, SipAddress,
};
use lanyard_x509::Certificate;
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::attestation::{AttestationError, CHALLENGE_LIFETIME};
use crate::decide::{admit, decide, is_enough};
use crate::desk::{DeskError, EnrolmentDesk, HandedOut, Peer, PersonFacts, RefusedAttempt};
use crate::limit::{ATTEMPT_WINDOW, Attempts, TRACKED_MAX, TooMany};
use crate::refusal::Refusal;
use crate::request::{Asked, Check};

/// Path of the enrolment interface.
pub const ENROLMENTS_PATH: &str = "/api/v1/enrolments";
/// Path of the question whether an enrolment would be accepted.
pub const CHECK_PATH: &str = "/api/v1/enrolments/check";
/// Path where a computer begins to prove that a key lives in its TPM.
pub const ATTESTATIONS_PATH: &str = "/api/v1/attestations";
/// Largest body that is read.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// A refused code is answered no earlier than this after the request was read: looking up a
/// person and writing down a wrong try take time that an unknown address does not.
pub const CODE_REFUSAL_FLOOR: Duration = Duration::from_millis(250);

/// The routes of the enrolment interface. Requests carry a [`Peer`] as extension.
pub fn router<D: EnrolmentDesk>(desk: Arc<D>) -> Router {
    let counter = Counter {
        desk,
        peers: Mutex::new(Attempts::new(ATTEMPT_WINDOW, TRACKED_MAX)),
        wrong_codes: Mutex::new(Attempts::new(CODE_TRY_WINDOW.unsigned_abs(), TRACKED_MAX)),
    };
    Router::new()
        .route(ENROLMENTS_PATH, post(enrol::<D>))
        .route(CHECK_PATH, post(check::<D>))
        .route(ATTESTATIONS_PATH, post(attest::<D>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(counter))
}

/// The desk and what is counted before it.
struct Counter<D> {
    desk: Arc<D>,
    peers: Mutex<Attempts<IpAddr>>,
    wrong_codes: Mutex<Attempts<SipAddress>>,
}

/// The answer to an enrolment.
#[derive(Debug, Serialize)]
struct Answer {
    request_id: String,
    certificate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_authentication_certificate: Option<String>,
    chain: Vec<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_keys: Option<KeysAnswer>,
}

/// The answer to a check.
#[derive(Debug, Serialize)]
struct Accepted {
    status: &'static str,
    /// What policy demands to be proved about where the key lives.
    key_assurance: &'static str,
    /// The management key that the card has, when an earlier enrolment has set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    management_key: Option<SecretText>,
}

/// A challenge for a TPM.
#[derive(Debug, Serialize)]
struct ChallengeAnswer {
    id: String,
    nonce: String,
    /// `TPM2B_ID_OBJECT`.
    credential: String,
    /// `TPM2B_ENCRYPTED_SECRET`.
    encrypted_seed: String,
    expires_in_seconds: u64,
}

/// The keys that a card gets.
#[derive(Debug, Serialize)]
struct KeysAnswer {
    version: u32,
    management_key: SecretText,
    #[serde(skip_serializing_if = "Option::is_none")]
    desk_key: Option<SecretText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    puk: Option<SecretText>,
}

impl KeysAnswer {
    fn of(handed: &HandedOut) -> Self {
        let keys = &handed.keys;
        Self {
            version: handed.version,
            management_key: hex(keys.management()),
            desk_key: (handed.care == CardCare::Challenge).then(|| hex(keys.desk())),
            puk: (handed.care == CardCare::Puk)
                .then(|| SecretText(Zeroizing::new(keys.puk().to_owned()))),
        }
    }
}

/// Says whether an enrolment would be accepted, without using the code up.
async fn check<D: EnrolmentDesk>(
    State(counter): State<Arc<Counter<D>>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(Peer(ip))| {
        network(ip)
    });
    let begun = counter.desk.instant();
    let (address, outcome) = counter.check(peer, begun, &headers, body).await;
    match outcome {
        Ok(accepted) => answered(StatusCode::OK, &accepted),
        Err(refusal) => counter.refuse(peer, address, refusal, begun).await,
    }
}

/// Begins the proof that a key lives in a TPM.
async fn attest<D: EnrolmentDesk>(
    State(counter): State<Arc<Counter<D>>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(Peer(ip))| {
        network(ip)
    });
    let begun = counter.desk.instant();
    match counter.begin_proof(peer, begun, &headers, body).await {
        Ok(challenge) => answered(StatusCode::CREATED, &challenge),
        Err(refusal) => counter.refuse(peer, None, refusal, begun).await,
    }
}

async fn enrol<D: EnrolmentDesk>(
    State(counter): State<Arc<Counter<D>>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    // Without the extension all requests count as one peer: too strict rather than too lax.
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(Peer(ip))| {
        network(ip)
    });
    let begun = counter.desk.instant();
    let (address, outcome) = counter.serve(peer, begun, &headers, body).await;
    match outcome {
        Ok(answer) => answered(StatusCode::CREATED, &answer),
        Err(refusal) => counter.refuse(peer, address, refusal, begun).await,
    }
}

impl<D: EnrolmentDesk> Counter<D> {
    async fn refuse(
        &self,
        peer: IpAddr,
        address: Option<SipAddress>,
        refusal: Refusal,
        begun: Instant,
    ) -> Response {
        self.desk.note_refusal(&RefusedAttempt {
            peer,
            address: address.as_ref(),
            refusal,
        });
        if refusal == Refusal::Code {
            let spent = self.desk.instant().saturating_duration_since(begun);
            self.desk
                .pause(CODE_REFUSAL_FLOOR.saturating_sub(spent))
                .await;
        }
        refused(refusal)
    }

    async fn begin_proof(
        &self,
        peer: IpAddr,
        begun: Instant,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<ChallengeAnswer, Refusal> {
        let body = self.read(peer, begun, headers, body)?;
        let makers = self.desk.makers().await.map_err(DeskError::from)?;
        let random = self.desk.randomness()?;
        let now = self.desk.now();
        let begun = lock(self.desk.challenges()).begin(&body, &makers, random, now, begun)?;
        Ok(ChallengeAnswer {
            id: STANDARD.encode(begun.id),
            nonce: STANDARD.encode(begun.nonce),
            credential: STANDARD.encode(begun.credential.blob),
            encrypted_seed: STANDARD.encode(begun.credential.encrypted_seed),
            expires_in_seconds: CHALLENGE_LIFETIME.as_secs(),
        })
    }

    /// What the evidence about the key is worth.
    async fn prove(
        &self,
        asked: &Asked,
        begun: Instant,
    ) -> Result<Result<Level, AttestationError>, Refusal> {
        let Some(evidence) = &asked.evidence else {
            return Ok(Ok(Level::None));
        };
        let makers = self.desk.makers().await.map_err(DeskError::from)?;
        let now = self.desk.now();
        let mut challenges = lock(self.desk.challenges());
        Ok(challenges.judge(evidence, &asked.csr, &asked.key, &makers, now, begun))
    }

    /// Serves one check; beside the outcome, the address it was for, when it could be read.
    async fn check(
        &self,
        peer: IpAddr,
        begun: Instant,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> (Option<SipAddress>, Result<Accepted, Refusal>) {
        let check = self
            .read(peer, begun, headers, body)
            .and_then(|body| Ok(Check::parse(&body)?));
        let check = match check {
            Ok(check) => check,
            Err(refusal) => return (None, Err(refusal)),
        };
        let address = check.address.clone();
        let outcome = self.look(check, begun).await;
        (Some(address), outcome)
    }

    async fn look(&self, check: Check, begun: Instant) -> Result<Accepted, Refusal> {
        let Check {
            code,
            address,
            card,
        } = check;
        let (person, verdict) = self
            .judge(&address, code.as_ref(), begun, Use::Look)
            .await?;
        let person = admit(card.kind, person, verdict)?;
        let key_assurance = person.key_assurance.as_str();
        let before = self.desk.card_before(&person.account, card).await?;
        Ok(Accepted {
            status: "accepted",
            key_assurance,
            management_key: before.keys.map(|handed| hex(handed.keys.management())),
        })
    }

    /// Counts the try, finds the person and has the code judged.
    async fn judge(
        &self,
        address: &SipAddress,
        code: Option<&EnrolCode>,
        begun: Instant,
        how: Use,
    ) -> Result<(Option<PersonFacts>, Option<CodeVerdict>), Refusal> {
        // An address that nobody has is counted like any other.
        lock(&self.wrong_codes)
            .count(address.clone(), CODE_TRIES_MAX, begun)
            .map_err(too_many)?;
        let now = self.desk.now();
        let person = self.desk.person(address);
        let verdict = match (&person, code) {
            (Some(person), Some(code)) => {
                let verdict = match how {
                    Use::Look => self.desk.look_at_code(&person.account, code, now).await,
                    Use::Up => self.desk.use_code(&person.account, code, now).await,
                };
                Some(verdict.map_err(|error| Refusal::Desk(error.into()))?)
            }
            _ => None,
        };
        if verdict == Some(Ok(())) {
            lock(&self.wrong_codes).forget(address);
        }
        Ok((person, verdict))
    }

    /// Serves one request; beside the outcome, the address it was for, when it could be read.
    async fn serve(
        &self,
        peer: IpAddr,
        begun: Instant,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> (Option<SipAddress>, Result<Answer, Refusal>) {
        let asked = self
            .read(peer, begun, headers, body)
            .and_then(|body| Ok(Asked::parse(&body)?));
        let asked = match asked {
            Ok(asked) => asked,
            Err(refusal) => return (None, Err(refusal)),
        };
        let address = asked.address.clone();
        let outcome = self.decide_and_issue(asked, begun).await;
        (Some(address), outcome)
    }

    fn read(
        &self,
        peer: IpAddr,
        begun: Instant,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Bytes, Refusal> {
        let max = self.desk.attempts_per_minute();
        lock(&self.peers)
            .count(peer, max, begun)
            .map_err(too_many)?;
        let body = body.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge,
            _ => Refusal::NotJson,
        })?;
        if !is_json(headers) {
            return Err(Refusal::NotJson);
        }
        Ok(body)
    }

    async fn decide_and_issue(&self, asked: Asked, begun: Instant) -> Result<Answer, Refusal> {
        let proved = self.prove(&asked, begun).await?;
        let demanded = self
            .desk
            .person(&asked.address)
            .map_or(KeyAssurance::None, |person| person.key_assurance);
        // A code is not spent on a key that will be refused.
        let how = match proved {
            Ok(level) if is_enough(level, demanded) => Use::Up,
            _ => Use::Look,
        };
        let (person, verdict) = self
            .judge(&asked.address, asked.code.as_ref(), begun, how)
            .await?;
        let now = self.desk.now();
        let order = decide(asked, person, verdict, proved)?;
        let (account, card) = (order.account.clone(), order.card);
        let issued = self.desk.issue(order, now).await?;
        // The certificates are issued: a card without keys of its own is better than none.
        let keys = self.desk.hand_out(&account, card).await.unwrap_or(None);
        let keys = keys.as_ref().map(KeysAnswer::of);
        Ok(Answer::of(&issued, &self.desk.chain(), keys))
    }
}

impl Answer {
    fn of(issued: &IssuedCard, chain: &[Certificate], card_keys: Option<KeysAnswer>) -> Self {
        let base64 = |certificate: &Certificate| STANDARD.encode(certificate.der());
        Self {
            request_id: issued.certificate.serial().to_string(),
            certificate: base64(&issued.certificate),
            card_authentication_certificate: issued.authentication.as_ref().map(base64),
            chain: chain.iter().map(base64).collect(),
            status: issued.status.as_str(),
            card_keys,
        }
    }
}

/// What becomes of a right code.
#[derive(Debug, Clone, Copy)]
enum Use {
    /// It stays good.
    Look,
    /// It is used up.
    Up,
}

fn hex(bytes: &[u8]) -> SecretText {
    SecretText(Zeroizing::new(
        bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    ))
}

/// A secret in an answer.
struct SecretText(Zeroizing<String>);

impl Serialize for SecretText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(..)")
    }
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

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn too_many(TooMany { wait }: TooMany) -> Refusal {
    Refusal::TooManyTries { wait }
}

/// Counters stay right when a thread panics between two steps.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answered(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refused(refusal: Refusal) -> Response {
    let fault = refusal.fault();
    let body = json!({
        "error": {
            "code": fault.code(),
            "message": fault.sentence(),
            "next": fault.next_step(),
        }
    });
    let mut response = answered(refusal.status(), &body);
    if let Refusal::TooManyTries { wait } = refusal {
        let secs = wait.as_secs().saturating_add(1);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
