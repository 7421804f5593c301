// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine against a server made of documents: every state, every fault.

use std::sync::Arc;
use std::time::Instant;

use lanyard_card::piv::Pin;
use lanyard_card::{CardFault, CardKind, CardPath, CardSummary, PinSummary, ReaderId};
use lanyard_fault::Fault;
use lanyard_soap::Address;
use lanyard_soap::autodiscover::{
    AutodiscoverResponse, Endpoint, Format, Link, LinkToken, RootDocument, TicketChallenge,
    UserDocument,
};
use lanyard_soap::certprov::{CertRequest, CertResponse};
use lanyard_soap::mex::{CertProvMex, WebTicketMex};
use lanyard_soap::oauth::{OauthAnswer, OauthError};
use lanyard_soap::passive::{AutoPostForm, SignInRequest, SignInResponse};
use lanyard_soap::ticket::{Audience, Grant, TicketId, TicketKey, TicketKeyRing, TicketSource};
use lanyard_soap::trust::{Entropy, ProofKey, TicketRequest, TicketResponse};
use lanyard_x509::{
    CertificateSpec, Csr, DistinguishedName, Extensions, Serial, Signer, SoftwareKey,
};
use rustls::RootCertStore;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{CardTrouble, CardsSeen, Input, Order, Output, SignIn};
use crate::cards::{CardFacts, CertificateFacts, Remembered};
use crate::net::{HttpAnswer, HttpRequest, NetFault, SrvRecord};
use crate::problem::Problem;
use crate::session::Now;

const WALL: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
const STS: &str = "https://lync.contoso.test/CertProv/CertProvisioningService.svc";
const WEB_TICKET: &str = "https://lync.contoso.test/WebTicket/WebTicketService.svc";
const PASSIVE: &str = "https://lync.contoso.test/PassiveAuth/PassiveAuth.aspx";
const FEDERATION: &str = "https://lync.contoso.test:49443/adfs/ls/";
const USER: &str = "https://lync.contoso.test/autodiscover/autodiscoverservice.svc/root/user";

/// A rig around one machine.
struct Rig {
    machine: SignIn,
    ring: TicketKeyRing,
    authority: SoftwareKey,
    cards: CardsSeen,
    /// Answers of the card listener, in order; without one it gives the token.
    card_answers: Vec<Result<HttpAnswer, CardTrouble>>,
    by_srv: bool,
    date: Option<&'static str>,
    stages: Vec<&'static str>,
    verifies: usize,
    changes: usize,
    failed: Option<Problem>,
    done: bool,
    watching: bool,
    asked: Vec<String>,
}

fn address() -> Address {
    Address::parse("alice@contoso.test").unwrap()
}

fn card(name: &str, is_default: bool) -> CardFacts {
    let summary = CardSummary {
        reader: ReaderId {
            path: CardPath::Pcsc,
            name: "ACS ACR38".into(),
        },
        guid: None,
        label: None,
        kind: CardKind::Physical,
        authentication_certificate: None,
        card_authentication_certificate: None,
        pin: PinSummary {
            tries_left: Some(3),
            is_default: Some(is_default),
        },
    };
    let certificate = CertificateFacts {
        addresses: vec![format!("{name}@contoso.test")],
        upn: None,
        email: None,
        holder: name.to_owned(),
        issuer: "CA".into(),
        not_before: WALL - Duration::DAY,
        not_after: WALL + Duration::DAY,
        serial: "01".into(),
        for_sign_in: true,
    };
    CardFacts {
        summary,
        certificate: Some(certificate),
        name: None,
    }
}

fn seen(cards: &[CardFacts]) -> CardsSeen {
    CardsSeen {
        readers: vec!["ACS ACR38".into()],
        cards: cards.to_vec(),
        ..CardsSeen::default()
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> HttpAnswer {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    HttpAnswer {
        status,
        headers,
        body: body.into(),
    }
}

fn refusal(status: u16, code: &str) -> Result<HttpAnswer, CardTrouble> {
    let body = format!(r#"{{"error":{{"code":"{code}","message":"No.","next":"Ask."}}}}"#);
    Ok(answer(status, &[], body))
}

impl Rig {
    fn new() -> Self {
        let order = Order {
            allowed_domains: Vec::new(),
            device: Uuid::nil(),
            roots: Arc::new(RootCertStore::empty()),
            remembered: Remembered::default(),
        };
        let machine = SignIn::new(&"alice@contoso.test".parse().unwrap(), order).unwrap();
        Self {
            machine,
            ring: TicketKeyRing::new(TicketKey::random().unwrap()),
            authority: SoftwareKey::generate().unwrap(),
            cards: seen(&[card("alice", false)]),
            card_answers: Vec::new(),
            by_srv: false,
            date: None,
            stages: Vec::new(),
            verifies: 0,
            changes: 0,
            failed: None,
            done: false,
            watching: false,
            asked: Vec::new(),
        }
    }

    fn now() -> Now {
        Now {
            at: Instant::now(),
            wall: WALL,
        }
    }

    fn begin(&mut self) {
        let outputs = self.machine.begin();
        self.run(outputs);
    }

    fn pin(&mut self, pin: &str) {
        self.pin_with(pin, false).unwrap();
    }

    fn pin_with(&mut self, pin: &str, last_try: bool) -> Result<(), Problem> {
        let outputs = self.machine.typed_pin(pin, last_try)?;
        self.run(outputs);
        Ok(())
    }

    fn insert(&mut self, cards: &[CardFacts]) {
        let outputs = self.machine.handle(Self::now(), Input::Cards(seen(cards)));
        self.run(outputs);
    }

    fn run(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            let input = match output {
                Output::Http { id, request } => {
                    self.asked.push(request.url.clone());
                    Input::Http {
                        id,
                        answer: self.http(&request),
                    }
                }
                Output::Srv { id, name } => {
                    let answer = if self.by_srv && name.starts_with("_sipinternaltls") {
                        let target = "sip.contoso.test".to_owned();
                        Ok(vec![SrvRecord {
                            priority: 0,
                            weight: 0,
                            target,
                            port: 5061,
                        }])
                    } else {
                        Err(NetFault::NameUnknown)
                    };
                    Input::Srv { id, answer }
                }
                Output::WatchCards => {
                    self.watching = true;
                    Input::Cards(self.cards.clone())
                }
                Output::StopWatching => {
                    self.watching = false;
                    continue;
                }
                Output::CardExchange { pin, request, .. } => {
                    self.verifies += 1;
                    assert!(!pin.is_transport());
                    Input::CardAnswer(self.card(&request))
                }
                Output::ChangePin { .. } => {
                    self.changes += 1;
                    Input::PinChanged(Ok(()))
                }
                Output::Sip { .. } => Input::StsUri(STS.to_owned()),
                Output::Show(stage) => {
                    self.stages.push(stage.words());
                    continue;
                }
                Output::Credential(_) => {
                    self.done = true;
                    continue;
                }
                Output::Failed(problem) => {
                    self.failed = Some(problem);
                    continue;
                }
            };
            let outputs = self.machine.handle(Self::now(), input);
            self.run(outputs);
        }
    }

    fn card(&mut self, request: &HttpRequest) -> Result<HttpAnswer, CardTrouble> {
        if request.url.ends_with("/api/v1/card/pin-changed") {
            return Ok(answer(204, &[], ""));
        }
        if !self.card_answers.is_empty() {
            return self.card_answers.remove(0);
        }
        let form = AutoPostForm {
            action: PASSIVE.to_owned(),
            response: SignInResponse {
                wresult: "<token/>".into(),
                context: String::new(),
            },
        };
        Ok(answer(
            200,
            &[("content-type", "text/html")],
            form.to_html(),
        ))
    }

    fn http(&self, request: &HttpRequest) -> Result<HttpAnswer, NetFault> {
        let url = request.url.as_str();
        let mut found = self.page(url, request)?;
        if let Some(date) = self.date {
            found.headers.push(("date".into(), date.into()));
        }
        Ok(found)
    }

    fn page(&self, url: &str, request: &HttpRequest) -> Result<HttpAnswer, NetFault> {
        let xml = [("content-type", Format::Xml.content_type())];
        let has = |name: &str| request.headers.iter().find(|(known, _)| *known == name);
        Ok(
            if url.starts_with("https://lyncdiscoverinternal.") && !self.by_srv {
                let root = RootDocument {
                    access_location: None,
                    links: vec![Link::new(LinkToken::User, USER)],
                };
                answer(
                    200,
                    &xml,
                    AutodiscoverResponse::Root(root).to_body(Format::Xml),
                )
            } else if url.contains("lyncdiscover") {
                return Err(NetFault::NameUnknown);
            } else if url.starts_with(USER) && has("x-ms-webticket").is_none() {
                let challenge = TicketChallenge {
                    web_ticket_url: Some(WEB_TICKET.to_owned()),
                    oauth_url: None,
                };
                let headers = challenge.headers();
                let headers: Vec<(String, String)> = headers
                    .into_iter()
                    .map(|(name, value)| (name.to_ascii_lowercase(), value))
                    .collect();
                HttpAnswer {
                    status: 401,
                    headers,
                    body: String::new(),
                }
            } else if url.starts_with(USER) {
                let server = Endpoint {
                    fqdn: "sip.contoso.test".into(),
                    port: 5061,
                };
                let user = UserDocument {
                    access_location: None,
                    sip_server_internal: None,
                    sip_server_external: None,
                    sip_client_internal: Some(server),
                    sip_client_external: None,
                    links: Vec::new(),
                };
                answer(
                    200,
                    &xml,
                    AutodiscoverResponse::User(user).to_body(Format::Xml),
                )
            } else if url.ends_with("/oauthtoken") {
                let refused = OauthAnswer::Refused {
                    error: OauthError::InvalidGrant,
                    passive_auth_url: Some(PASSIVE.to_owned()),
                };
                answer(400, &[], refused.to_json())
            } else if url.starts_with(PASSIVE) && request.body.is_empty() {
                let to = SignInRequest {
                    realm: PASSIVE.to_owned(),
                    context: String::new(),
                    address: Some(address()),
                };
                answer(302, &[("location", &to.to_url(FEDERATION))], "")
            } else if url.starts_with(PASSIVE) {
                answer(
                    200,
                    &[("set-cookie", "RPSAuth=c29tZQ; Secure; HttpOnly")],
                    "",
                )
            } else if url == format!("{WEB_TICKET}/mex") {
                let mex = WebTicketMex {
                    passive: Some(format!("{WEB_TICKET}/Passive")),
                    win_negotiate: None,
                };
                answer(200, &[], mex.to_xml())
            } else if url == format!("{STS}/mex") {
                let endpoint = format!("{STS}/WebTicket_Proof");
                answer(
                    200,
                    &[],
                    CertProvMex {
                        issuer: WEB_TICKET.into(),
                        endpoint,
                    }
                    .to_xml(),
                )
            } else if url == format!("{WEB_TICKET}/Passive") {
                assert_eq!(has("cookie").unwrap().1, "RPSAuth=c29tZQ");
                self.ticket(&request.body)
            } else if url.ends_with("/WebTicket_Proof") {
                self.certificate(&request.body)
            } else {
                panic!("nobody serves {url}")
            },
        )
    }

    fn ticket(&self, body: &str) -> HttpAnswer {
        let request = TicketRequest::parse(body).unwrap();
        let server = Entropy::random().unwrap();
        let proof = ProofKey::derive(request.entropy.as_ref().unwrap(), &server);
        let grant = Grant {
            account: "S-1-5-21-1-2-3-1000".parse().unwrap(),
            address: address(),
            audience: Audience::from_url(&request.applies_to).unwrap(),
            source: TicketSource::Password,
            lifetime: Duration::HOUR,
        };
        let id = TicketId::random().unwrap();
        let ticket = self
            .ring
            .issuer()
            .web_ticket(&grant, Some(&proof), WEB_TICKET, id, WALL)
            .unwrap();
        answer(
            200,
            &[],
            TicketResponse::new(&request, &ticket, Some(&server)).to_xml(),
        )
    }

    fn certificate(&self, body: &str) -> HttpAnswer {
        let request = CertRequest::parse(body).unwrap();
        let audience = Audience::from_url(&format!("{STS}/WebTicket_Proof")).unwrap();
        let claims = self
            .ring
            .verifier()
            .web_ticket(request.assertion(), &audience, WALL)
            .unwrap();
        request.verify_proof(&claims, WALL).unwrap();
        let csr = Csr::from_der(request.csr_der()).unwrap();
        let name = DistinguishedName::from_common_name("alice@contoso.test").unwrap();
        let spec = CertificateSpec {
            serial: Serial::from_random([1; 16]),
            issuer: DistinguishedName::from_common_name("CA").unwrap(),
            subject: name,
            not_before: WALL - Duration::MINUTE,
            not_after: WALL + Duration::hours(12),
            public_key: csr.public_key().clone(),
            extensions: Extensions::default(),
        };
        assert_ne!(csr.public_key(), self.authority.public_key());
        answer(
            200,
            &[],
            CertResponse::to_xml(spec.sign(&self.authority).unwrap().der()),
        )
    }

    fn fault(&self) -> &Problem {
        self.failed
            .as_ref()
            .expect("the machine should have failed")
    }
}

#[test]
fn a_card_that_is_there_is_signed_in_with_one_pin_and_one_verify() {
    let mut rig = Rig::new();
    rig.begin();
    assert_eq!(
        rig.stages,
        [
            "Finding your server…",
            "Contacting server…",
            "Waiting for your PIN"
        ]
    );
    rig.pin("407316");
    assert!(rig.done, "{:?}", rig.failed);
    assert_eq!(rig.stages.last(), Some(&"Signing in…"));
    assert_eq!(rig.verifies, 1);
    assert!(!rig.watching);
}

#[test]
fn srv_alone_leads_to_the_same_certificate() {
    let mut rig = Rig::new();
    rig.by_srv = true;
    rig.begin();
    rig.pin("407316");
    assert!(rig.done, "{:?}", rig.failed);
    assert!(!rig.asked.iter().any(|url| url.starts_with(USER)));
}

#[test]
fn a_renewal_skips_discovery_and_says_why() {
    let mut rig = Rig::new();
    let order = Order {
        allowed_domains: Vec::new(),
        device: Uuid::nil(),
        roots: Arc::new(RootCertStore::empty()),
        remembered: Remembered::default(),
    };
    let alice = "alice@contoso.test".parse().unwrap();
    rig.machine = SignIn::renewal(&alice, order, STS, "It ends soon.").unwrap();
    rig.begin();
    rig.pin("407316");
    assert!(rig.done, "{:?}", rig.failed);
    assert!(!rig.asked.iter().any(|url| url.contains("lyncdiscover")));
}

#[test]
fn an_empty_reader_asks_for_the_card_and_goes_on_after_ok() {
    let mut rig = Rig::new();
    rig.cards = seen(&[]);
    rig.begin();
    assert_eq!(rig.stages.last(), Some(&"Insert your smart card"));
    rig.insert(&[card("alice", false)]);
    assert_eq!(rig.stages.last(), Some(&"Insert your smart card"));
    let outputs = rig.machine.handle(Rig::now(), Input::UseCard);
    rig.run(outputs);
    assert_eq!(rig.stages.last(), Some(&"Waiting for your PIN"));
    rig.pin("407316");
    assert!(rig.done);
}

#[test]
fn a_wrong_pin_asks_again_and_nothing_is_tried_by_itself() {
    let mut rig = Rig::new();
    let wrong = CardFault::WrongPin { tries_left: 2 };
    rig.card_answers.push(Err(CardTrouble::Card(wrong)));
    rig.begin();
    rig.pin("111222");
    assert!(!rig.done && rig.failed.is_none());
    assert_eq!(rig.verifies, 1);
    assert_eq!(rig.stages.last(), Some(&"Waiting for your PIN"));
    rig.pin("407316");
    assert!(rig.done);
}

#[test]
fn the_last_try_is_not_used_without_consent() {
    let mut rig = Rig::new();
    let wrong = CardFault::WrongPin { tries_left: 1 };
    rig.card_answers.push(Err(CardTrouble::Card(wrong)));
    rig.begin();
    rig.pin("111222");
    let refused = rig.pin_with("407316", false).unwrap_err();
    assert!(refused.is(Fault::LastTryUnconfirmed));
    assert_eq!(rig.verifies, 1);
    rig.pin_with("407316", true).unwrap();
    assert!(rig.done);
}

#[test]
fn what_is_no_pin_never_reaches_the_card() {
    let mut rig = Rig::new();
    rig.begin();
    assert!(
        rig.pin_with("12345", false)
            .unwrap_err()
            .is(Fault::PinFormat)
    );
    assert!(
        rig.pin_with("pass-word", false)
            .unwrap_err()
            .is(Fault::PinFormat)
    );
    assert_eq!(rig.verifies, 0);
}

#[test]
fn faults_of_the_card_end_the_attempt_in_words() {
    for (fault, expected) in [
        (CardFault::PinBlocked, Fault::PinBlocked),
        (CardFault::Removed, Fault::CardRemoved),
        (CardFault::CardMute, Fault::CardMute),
        (CardFault::NoCard, Fault::NoCard),
    ] {
        let mut rig = Rig::new();
        rig.card_answers.push(Err(CardTrouble::Card(fault)));
        rig.begin();
        rig.pin("407316");
        assert!(rig.fault().is(expected), "{fault:?}: {}", rig.fault());
        assert!(!rig.watching);
        assert!(
            rig.pin_with("407316", false).is_err(),
            "the PIN must be gone"
        );
    }
}

#[test]
fn refusals_of_the_federation_endpoint_keep_their_code_and_words() {
    for code in [
        "LY-1302", "LY-1303", "LY-1304", "LY-1306", "LY-1307", "LY-1309",
    ] {
        let mut rig = Rig::new();
        rig.card_answers.push(refusal(403, code));
        rig.begin();
        rig.pin("407316");
        assert_eq!(rig.fault().code, code);
        assert_eq!(rig.fault().sentence, "No.");
    }
}

#[test]
fn a_transport_pin_is_changed_once_before_the_card_is_used() {
    let mut rig = Rig::new();
    rig.cards = seen(&[card("alice", true)]);
    rig.begin();
    rig.pin("12345678");
    assert_eq!(rig.stages.last(), Some(&"Waiting for your new PIN"));
    let refused = rig.machine.typed_new_pin("123456").unwrap_err();
    assert!(refused.is(Fault::PinRefused));
    let outputs = rig.machine.typed_new_pin("407316").unwrap();
    rig.run(outputs);
    assert!(rig.done, "{:?}", rig.failed);
    assert_eq!((rig.changes, rig.verifies), (1, 2));
}

#[test]
fn an_issued_card_is_made_active_by_choosing_a_pin() {
    let mut rig = Rig::new();
    rig.card_answers.push(refusal(403, "LY-1305"));
    rig.begin();
    rig.pin("407316");
    assert_eq!(rig.stages.last(), Some(&"Waiting for your new PIN"));
    let outputs = rig.machine.typed_new_pin("618203").unwrap();
    rig.run(outputs);
    assert!(rig.done, "{:?}", rig.failed);
    assert_eq!(rig.changes, 1);
}

#[test]
fn a_card_pulled_while_the_pin_is_typed_leads_back_to_insertion() {
    let mut rig = Rig::new();
    rig.begin();
    rig.insert(&[]);
    assert_eq!(rig.stages.last(), Some(&"Insert your smart card"));
    assert!(rig.pin_with("407316", false).unwrap_err().is(Fault::NotNow));
}

#[test]
fn cards_that_cannot_be_used_end_the_attempt_with_the_reason() {
    let mut rig = Rig::new();
    rig.cards = seen(&[card("bob", false)]);
    rig.begin();
    assert!(rig.fault().is(Fault::CardOfSomebodyElse));
    let mut rig = Rig::new();
    rig.cards = CardsSeen::default();
    rig.begin();
    assert!(rig.fault().is(Fault::NoReader));
    let mut rig = Rig::new();
    rig.cards = CardsSeen {
        pcsc_fault: Some(CardFault::NoService),
        ..CardsSeen::default()
    };
    rig.begin();
    assert!(rig.fault().is(Fault::PcscUnavailable));
}

#[test]
fn a_clock_that_is_an_hour_off_is_named() {
    let mut rig = Rig::new();
    rig.date = Some("Sun, 22 Nov 2026 11:00:00 GMT");
    rig.begin();
    assert!(rig.fault().is(Fault::ClockWrong));
    let detail = rig.fault().detail.clone().unwrap();
    assert_eq!(
        detail,
        "This computer is about 60 minutes ahead of the server."
    );
    let mut rig = Rig::new();
    rig.date = Some("Sun, 22 Nov 2026 12:04:59 GMT");
    rig.begin();
    assert!(rig.failed.is_none());
}

#[test]
fn late_and_foreign_inputs_change_nothing() {
    let mut rig = Rig::new();
    rig.begin();
    let stray = Input::Http {
        id: 7,
        answer: Err(NetFault::Broken),
    };
    assert!(rig.machine.handle(Rig::now(), stray).is_empty());
    let stray = Input::CardAnswer(Err(CardTrouble::Card(CardFault::PinBlocked)));
    assert!(rig.machine.handle(Rig::now(), stray).is_empty());
    rig.pin("407316");
    assert!(rig.done);
    assert!(
        rig.machine
            .pin(Pin::parse("407316").unwrap(), true)
            .is_err()
    );
}

mod discovery {
    use super::super::{Locate, Progress, Query};
    use super::*;

    fn locate(allowed: &[&str]) -> (Locate, u64) {
        let allowed: Vec<String> = allowed.iter().map(|domain| (*domain).to_owned()).collect();
        let mut locate = Locate::new(&"alice@contoso.test".parse().unwrap(), &allowed);
        let Progress::Ask(base, queries) = locate.begin() else {
            panic!("no questions")
        };
        assert_eq!(queries.len(), 2);
        (locate, base)
    }

    fn redirect(href: &str) -> Result<HttpAnswer, NetFault> {
        let document = AutodiscoverResponse::Redirect {
            href: href.to_owned(),
        };
        let headers = [("content-type", Format::Xml.content_type())];
        Ok(answer(200, &headers, document.to_body(Format::Xml)))
    }

    fn problem(progress: Progress) -> Problem {
        let Progress::Failed(problem) = progress else {
            panic!("no failure: {progress:?}")
        };
        problem
    }

    #[test]
    fn the_internal_name_counts_before_the_faster_external_one() {
        let (mut locate, base) = locate(&[]);
        let external = redirect("https://external.contoso.test/");
        assert_eq!(locate.http(WALL, base + 1, external), Progress::Wait);
        let internal = redirect("https://internal.contoso.test/");
        let Progress::Ask(_, queries) = locate.http(WALL, base, internal) else {
            panic!()
        };
        let Some(Query::Http(request)) = queries.first() else {
            panic!()
        };
        assert_eq!(request.url, "https://internal.contoso.test/");
    }

    #[test]
    fn a_redirection_to_another_organisation_needs_policy() {
        let (mut strict, base) = locate(&[]);
        let foreign = "https://lync.fabrikam.test/";
        let refused = problem(strict.http(WALL, base, redirect(foreign)));
        assert!(refused.is(Fault::DiscoveryForeignDomain));
        let (mut allowed, base) = locate(&["fabrikam.test"]);
        assert!(matches!(
            allowed.http(WALL, base, redirect(foreign)),
            Progress::Ask(..)
        ));
        let (mut lookalike, base) = locate(&[]);
        let lookalike_host = "https://lync.evilcontoso.test/";
        let refused = problem(lookalike.http(WALL, base, redirect(lookalike_host)));
        assert!(refused.is(Fault::DiscoveryForeignDomain));
    }

    #[test]
    fn redirections_leave_https_never_and_end_some_time() {
        let (mut locate, base) = locate(&[]);
        let plain = problem(locate.http(WALL, base, redirect("http://lync.contoso.test/")));
        assert!(plain.is(Fault::DiscoveryRefused));
        let (mut circle, base) = self::locate(&[]);
        let mut progress = circle.http(WALL, base, redirect("https://lync.contoso.test/"));
        for _ in 0..10 {
            let Progress::Ask(base, _) = progress else {
                break;
            };
            progress = circle.http(WALL, base, redirect("https://lync.contoso.test/"));
        }
        assert!(problem(progress).is(Fault::DiscoveryRefused));
    }

    #[test]
    fn a_certificate_that_is_not_trusted_ends_the_search_at_once() {
        let (mut locate, base) = locate(&[]);
        let failed = locate.http(WALL, base + 1, Err(NetFault::CertificateUntrusted));
        assert!(problem(failed).is(Fault::ServerCertificateUntrusted));
    }

    #[test]
    fn nothing_found_says_whether_there_was_a_server_at_all() {
        for (fault, expected) in [
            (NetFault::NameUnknown, Fault::ServerNotFound),
            (NetFault::Unreachable, Fault::ServerUnreachable),
            (NetFault::TimedOut, Fault::ServerTimedOut),
        ] {
            let (mut locate, base) = locate(&[]);
            let _ = locate.http(WALL, base, Err(fault));
            let mut progress = locate.http(WALL, base + 1, Err(fault));
            while let Progress::Ask(base, queries) = progress {
                progress = Progress::Wait;
                for (id, query) in (base..).zip(queries) {
                    progress = match query {
                        Query::Http(_) => locate.http(WALL, id, Err(fault)),
                        Query::Srv(_) => locate.srv(id, Err(NetFault::NameUnknown)),
                    };
                }
            }
            assert!(problem(progress).is(expected), "{fault:?}");
        }
    }
}
