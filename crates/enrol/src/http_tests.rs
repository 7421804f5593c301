// SPDX-License-Identifier: MIT OR Apache-2.0
use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use lanyard_authority::{
    Actor, Authority, AuthoritySettings, Card, CardOrder, CardSecrets, IssuedCard, MemoryRegistry,
    Person, SerialSeed, Status, ceremony,
};
use lanyard_directory::{
    AccountId, CardKind, CardKinds, CodeVerdict, EnrolCode, StorageError, StoredCode,
};
use lanyard_x509::{
    AlternativeName, BasicConstraints, CsrBuilder, DistinguishedName, Eku, Extensions, Signer,
    SoftwareKey,
};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;
use tower::ServiceExt as _;

use super::*;
use crate::attestation::{Challenges, Makers, Randomness};
use crate::desk::{CardBefore, DeskError, HandedOut, PersonFacts};
use crate::order::EnrolmentOrder;

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
const CODE: &str = "K7QM-2XW9-ABCD";
const LOST_CARD: &str = "ffffffffffffffffffffffffffffffff";
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// A desk with one person, one code and a real authority over memory.
struct Desk {
    authority: Authority,
    code: Mutex<StoredCode>,
    facts: Mutex<PersonFacts>,
    challenges: Mutex<Challenges>,
    start: Instant,
    offset: Mutex<Duration>,
    paused: Mutex<Vec<Duration>>,
    attempts_per_minute: AtomicU32,
    storage: Mutex<Option<StorageError>>,
    refused: Mutex<Vec<(Option<String>, Refusal)>>,
    handed: Mutex<Option<HandedOut>>,
}

fn account() -> AccountId {
    "S-1-5-21-1-2-3-1001".parse().unwrap()
}

fn seeds() -> [SerialSeed; 2] {
    [SerialSeed::draw().unwrap(), SerialSeed::draw().unwrap()]
}

impl Desk {
    fn new() -> Arc<Self> {
        let plan = ceremony::Plan::for_organisation("contoso.test");
        let held = ceremony::hold(&plan, seeds(), NOW).unwrap();
        let registry = Arc::new(MemoryRegistry::new());
        held.register(&*registry, &Actor::System("init".into()), NOW)
            .unwrap();
        let key = Arc::new(held.issuing_key);
        let mut settings = AuthoritySettings::new(held.root, held.issuing, key, registry);
        settings.crl_urls = vec!["http://lync.contoso.test/crl/issuing.crl".into()];
        settings.issuer_urls = vec!["http://lync.contoso.test/aia/issuing.cer".into()];
        let code: EnrolCode = CODE.parse().unwrap();
        let facts = PersonFacts {
            account: account(),
            enabled: true,
            card_kinds: CardKinds::ALL,
            key_assurance: KeyAssurance::None,
        };
        Arc::new(Self {
            authority: Authority::new(settings).unwrap(),
            code: Mutex::new(StoredCode::new(&code, [1; 16], NOW)),
            facts: Mutex::new(facts),
            challenges: Mutex::default(),
            start: Instant::now(),
            offset: Mutex::default(),
            paused: Mutex::default(),
            attempts_per_minute: AtomicU32::new(1000),
            storage: Mutex::default(),
            refused: Mutex::default(),
            handed: Mutex::default(),
        })
    }

    fn advance(&self, by: Duration) {
        *lock(&self.offset) += by;
    }
}

impl EnrolmentDesk for Desk {
    fn now(&self) -> OffsetDateTime {
        NOW + *lock(&self.offset)
    }

    fn instant(&self) -> Instant {
        self.start + *lock(&self.offset)
    }

    async fn pause(&self, duration: Duration) {
        lock(&self.paused).push(duration);
    }

    fn attempts_per_minute(&self) -> u32 {
        self.attempts_per_minute.load(Ordering::Relaxed)
    }

    fn person(&self, address: &SipAddress) -> Option<PersonFacts> {
        (address.as_str() == "alice@contoso.test").then(|| lock(&self.facts).clone())
    }

    async fn use_code(
        &self,
        _account: &AccountId,
        code: &EnrolCode,
        now: OffsetDateTime,
    ) -> Result<CodeVerdict, StorageError> {
        match *lock(&self.storage) {
            Some(error) => Err(error),
            None => Ok(lock(&self.code).try_use(code, now)),
        }
    }

    async fn look_at_code(
        &self,
        _account: &AccountId,
        code: &EnrolCode,
        now: OffsetDateTime,
    ) -> Result<CodeVerdict, StorageError> {
        let mut stored = lock(&self.code);
        let used = stored.used_at;
        let verdict = stored.try_use(code, now);
        stored.used_at = used;
        Ok(verdict)
    }

    async fn card_before(&self, _account: &AccountId, card: Card) -> Result<CardBefore, DeskError> {
        if card.guid == LOST_CARD.parse().unwrap() {
            return Err(DeskError::CardState);
        }
        Ok(CardBefore {
            keys: lock(&self.handed).clone(),
        })
    }

    async fn makers(&self) -> Result<Makers, StorageError> {
        Ok(Makers::default())
    }

    fn challenges(&self) -> &Mutex<Challenges> {
        &self.challenges
    }

    fn randomness(&self) -> Result<Randomness, DeskError> {
        Ok(Randomness {
            id: [1; 32],
            nonce: [2; 32],
            secret: [3; 32],
            seed: [4; 32],
        })
    }

    async fn hand_out(
        &self,
        _account: &AccountId,
        _card: Card,
    ) -> Result<Option<HandedOut>, DeskError> {
        Ok(lock(&self.handed).clone())
    }

    async fn issue(
        &self,
        order: EnrolmentOrder,
        now: OffsetDateTime,
    ) -> Result<IssuedCard, DeskError> {
        let sid = order.account.as_str().parse().unwrap();
        let order = CardOrder {
            person: Person {
                account: order.account.as_str().parse().unwrap(),
                display_name: "Alice Almeida".into(),
                address: "alice@contoso.test".parse().unwrap(),
                upn: "alice@corp.contoso.test".parse().unwrap(),
                email: None,
            },
            card: order.card,
            key: order.key,
            authentication_key: order.authentication_key,
            policies: Vec::new(),
            requester: Actor::Person(sid),
            approver: Actor::Administrator("root".into()),
        };
        let issued = self
            .authority
            .issue_card(order, seeds(), Status::Active, now);
        issued.map_err(|error| DeskError::from(&error))
    }

    fn chain(&self) -> Vec<Certificate> {
        self.authority.chain().map(Clone::clone).to_vec()
    }

    fn note_refusal(&self, attempt: &RefusedAttempt<'_>) {
        let address = attempt.address.map(|a| a.as_str().to_owned());
        lock(&self.refused).push((address, attempt.refusal));
    }
}

fn csr(key: &SoftwareKey) -> String {
    let subject = DistinguishedName::from_common_name("alice@contoso.test").unwrap();
    let csr = CsrBuilder::new(subject, key.public_key().clone())
        .sign(key)
        .unwrap();
    STANDARD.encode(csr.der())
}

fn body(key: &SoftwareKey) -> Value {
    json!({
        "code": CODE,
        "address": "sip:Alice@contoso.test",
        "template": "SmartcardUser",
        "csr": csr(key),
        "card": { "kind": "virtual-file", "guid": "0123456789abcdef0123456789abcdef", "label": "laptop" },
        "pin_changed": true,
    })
}

async fn send(desk: &Arc<Desk>, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    send_to(&router(Arc::clone(desk)), request).await
}

async fn send_to(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, BODY_BYTES_MAX).await.unwrap();
    (
        parts.status,
        parts.headers,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

fn post_json(body: &Value) -> Request<Body> {
    post_bytes("application/json", body.to_string().into_bytes())
}

fn post_bytes(kind: &str, body: Vec<u8>) -> Request<Body> {
    Request::post(ENROLMENTS_PATH)
        .header(header::CONTENT_TYPE, kind)
        .extension(Peer(PEER))
        .body(Body::from(body))
        .unwrap()
}

async fn code_of(desk: &Arc<Desk>, body: &Value) -> (u16, String) {
    let (status, _, answer) = send(desk, post_json(body)).await;
    (
        status.as_u16(),
        answer["error"]["code"]
            .as_str()
            .unwrap_or("none")
            .to_owned(),
    )
}

fn certificate(answer: &Value, name: &str) -> Certificate {
    let der = STANDARD.decode(answer[name].as_str().unwrap()).unwrap();
    Certificate::from_der(&der).unwrap()
}

fn changed(body: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut body = body.clone();
    change(&mut body);
    body
}

#[tokio::test]
async fn code_and_request_give_a_certificate_of_the_profile() {
    let (desk, key) = (Desk::new(), SoftwareKey::generate().unwrap());
    let (status, headers, answer) = send(&desk, post_json(&body(&key))).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer["status"], "active");
    let certificate = certificate(&answer, "certificate");
    assert_eq!(answer["request_id"], certificate.serial().to_string());
    assert_eq!(certificate.public_key().unwrap(), *key.public_key());
    assert_eq!(
        certificate.claims().account.unwrap().as_str(),
        account().as_str()
    );
    let chain = answer["chain"].as_array().unwrap();
    assert_eq!(chain.len(), 2);
    assert!(answer.get("card_authentication_certificate").is_none());
}

#[tokio::test]
async fn both_keys_of_a_card_get_a_certificate() {
    let desk = Desk::new();
    let (key, second) = (
        SoftwareKey::generate().unwrap(),
        SoftwareKey::generate().unwrap(),
    );
    let body = changed(&body(&key), |b| {
        b["card_authentication_csr"] = csr(&second).into()
    });
    let (status, _, answer) = send(&desk, post_json(&body)).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let authentication = certificate(&answer, "card_authentication_certificate");
    assert_eq!(authentication.public_key().unwrap(), *second.public_key());
}

/// The profile makes the certificate, the request gives the key.
#[tokio::test]
async fn what_a_request_asks_for_does_not_matter() {
    let key = SoftwareKey::generate().unwrap();
    let greedy = Extensions {
        basic_constraints: Some(BasicConstraints {
            ca: true,
            path_len: None,
        }),
        ekus: vec![Eku::SERVER_AUTH],
        alternative_names: vec![AlternativeName::Upn("bob@contoso.test".parse().unwrap())],
        sid: Some("S-1-5-21-1-2-3-500".parse().unwrap()),
        ..Extensions::default()
    };
    let subject = DistinguishedName::from_common_name("Administrator").unwrap();
    let csr = CsrBuilder::new(subject, key.public_key().clone())
        .with_extensions(greedy)
        .sign(&key)
        .unwrap();
    let (plain, greedy) = (Desk::new(), Desk::new());
    let (_, _, plain) = send(&plain, post_json(&body(&key))).await;
    let asked = changed(&body(&key), |b| {
        b["csr"] = STANDARD.encode(csr.der()).into()
    });
    let (status, _, greedy) = send(&greedy, post_json(&asked)).await;
    assert_eq!(status, StatusCode::CREATED, "{greedy}");
    let (plain, greedy) = (
        certificate(&plain, "certificate"),
        certificate(&greedy, "certificate"),
    );
    assert_eq!(plain.subject(), greedy.subject());
    assert_eq!(plain.claims(), greedy.claims());
    assert_eq!(plain.extensions().ekus, greedy.extensions().ekus);
    assert!(!greedy.extensions().is_ca());
}

#[tokio::test]
async fn every_way_of_not_having_the_code_looks_the_same() {
    let key = SoftwareKey::generate().unwrap();
    let body = body(&key);
    let mut answers = Vec::new();
    for change in [
        (|b: &mut Value| b["code"] = "AAAA-BBBB-CCCC".into()) as fn(&mut Value),
        |b| b["code"] = "not a code".into(),
        |b| drop(b.as_object_mut().unwrap().remove("code")),
        |b| b["address"] = "nobody@contoso.test".into(),
        |b| b["address"] = "alice@elsewhere.test".into(),
    ] {
        let desk = Desk::new();
        let (status, _, answer) = send(&desk, post_json(&changed(&body, change))).await;
        assert_eq!(*lock(&desk.paused), [CODE_REFUSAL_FLOOR]);
        answers.push((status, answer.to_string()));
    }
    // Expired, used, and another person's code.
    let desk = Desk::new();
    desk.advance(Duration::from_secs(25 * 3600));
    let (status, _, answer) = send(&desk, post_json(&body)).await;
    answers.push((status, answer.to_string()));
    let desk = Desk::new();
    assert_eq!(send(&desk, post_json(&body)).await.0, StatusCode::CREATED);
    let (status, _, answer) = send(&desk, post_json(&body)).await;
    answers.push((status, answer.to_string()));
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].0, StatusCode::FORBIDDEN);
    insta::assert_snapshot!(answers[0].1);
}

#[tokio::test]
async fn the_time_that_was_spent_shortens_the_pause() {
    let (desk, key) = (Desk::new(), SoftwareKey::generate().unwrap());
    let body = changed(&body(&key), |b| b["code"] = "AAAA-BBBB-CCCC".into());
    send(&desk, post_json(&body)).await;
    assert_eq!(lock(&desk.paused).len(), 1);
    let refused = lock(&desk.refused).clone();
    assert_eq!(
        refused,
        [(Some("alice@contoso.test".into()), Refusal::Code)]
    );
}

#[tokio::test]
async fn wrong_codes_are_counted_for_known_and_unknown_addresses_alike() {
    let key = SoftwareKey::generate().unwrap();
    for address in ["alice@contoso.test", "nobody@contoso.test"] {
        let desk = Desk::new();
        let router = router(Arc::clone(&desk));
        let wrong = changed(&body(&key), |b| {
            b["code"] = "AAAA-BBBB-CCCC".into();
            b["address"] = address.into();
        });
        for _ in 0..CODE_TRIES_MAX {
            assert_eq!(
                send_to(&router, post_json(&wrong)).await.0,
                StatusCode::FORBIDDEN
            );
        }
        // Now even the right code waits.
        let right = changed(&wrong, |b| b["code"] = CODE.into());
        let (status, headers, answer) = send_to(&router, post_json(&right)).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer["error"]["code"], "LY-1406");
        assert_eq!(headers[header::RETRY_AFTER], "901");
        desk.advance(CODE_TRY_WINDOW.unsigned_abs());
        let (status, _, _) = send_to(&router, post_json(&right)).await;
        let known = address.starts_with("alice");
        assert_eq!(
            status,
            if known {
                StatusCode::CREATED
            } else {
                StatusCode::FORBIDDEN
            }
        );
    }
}

#[tokio::test]
async fn attempts_of_one_network_are_limited() {
    let (desk, key) = (Desk::new(), SoftwareKey::generate().unwrap());
    desk.attempts_per_minute.store(2, Ordering::Relaxed);
    let router = router(Arc::clone(&desk));
    let from = |ip: &str| {
        let mut request = post_json(&json!({}));
        request.extensions_mut().insert(Peer(ip.parse().unwrap()));
        request
    };
    for ip in ["2001:db8::1", "2001:db8::2"] {
        assert_eq!(send_to(&router, from(ip)).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(
        send_to(&router, from("2001:db8::3")).await.0,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(
        send_to(&router, from("2001:db8:0:1::1")).await.0,
        StatusCode::BAD_REQUEST
    );
    for ip in ["192.0.2.1", "::ffff:192.0.2.1"] {
        assert_eq!(send_to(&router, from(ip)).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(
        send_to(&router, from("192.0.2.1")).await.0,
        StatusCode::TOO_MANY_REQUESTS
    );
    desk.advance(ATTEMPT_WINDOW);
    let (status, _, answer) = send_to(&router, post_json(&body(&key))).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}

#[tokio::test]
async fn policy_is_told_to_whoever_has_the_code_and_to_nobody_else() {
    let key = SoftwareKey::generate().unwrap();
    let desk = Desk::new();
    lock(&desk.facts).card_kinds = CardKinds::NONE.with(CardKind::Physical);
    let wrong = changed(&body(&key), |b| b["code"] = "AAAA-BBBB-CCCC".into());
    assert_eq!(code_of(&desk, &wrong).await, (403, "LY-1401".into()));
    assert_eq!(code_of(&desk, &body(&key)).await, (403, "LY-1309".into()));
    let desk = Desk::new();
    lock(&desk.facts).enabled = false;
    assert_eq!(code_of(&desk, &wrong).await, (403, "LY-1401".into()));
    assert_eq!(code_of(&desk, &body(&key)).await, (403, "LY-1306".into()));
}

#[path = "http_check_tests.rs"]
mod check;
#[path = "http_refusal_tests.rs"]
mod refusals;
