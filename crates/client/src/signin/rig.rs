// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server made of documents, for tests of the machine.

use std::sync::Arc;
use std::time::Instant;

use lanyard_card::{CardPath, CardSummary, PinEntry, PinSummary, ReaderId};
use lanyard_soap::Address;
use lanyard_soap::autodiscover::{
    AutodiscoverResponse, Endpoint, Format, Link, LinkToken, RootDocument, TicketChallenge,
    UserDocument,
};
use lanyard_soap::certprov::{CertRequest, CertResponse};
use lanyard_soap::mex::{CertProvMex, WebTicketMex};
use lanyard_soap::oauth::{OauthAnswer, OauthError};
use lanyard_soap::passive::{AutoPostForm, SignInRequest, SignInResponse};
use lanyard_soap::ticket::{
    Audience, CredentialEpoch, Grant, TicketId, TicketKey, TicketKeyRing, TicketSource,
};
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

pub(super) const WALL: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
pub(super) const STS: &str = "https://lync.contoso.test/CertProv/CertProvisioningService.svc";
pub(super) const WEB_TICKET: &str = "https://lync.contoso.test/WebTicket/WebTicketService.svc";
pub(super) const PASSIVE: &str = "https://lync.contoso.test/PassiveAuth/PassiveAuth.aspx";
pub(super) const FEDERATION: &str = "https://lync.contoso.test:49443/adfs/ls/";
pub(super) const USER: &str =
    "https://lync.contoso.test/autodiscover/autodiscoverservice.svc/root/user";

/// A rig around one machine.
pub(super) struct Rig {
    pub(super) machine: SignIn,
    pub(super) ring: TicketKeyRing,
    pub(super) authority: SoftwareKey,
    pub(super) cards: CardsSeen,
    /// Answers of the card listener, in order; without one it gives the token.
    pub(super) card_answers: Vec<Result<HttpAnswer, CardTrouble>>,
    pub(super) by_srv: bool,
    /// The password that policy lets the person use.
    pub(super) password: Option<&'static str>,
    pub(super) date: Option<&'static str>,
    pub(super) stages: Vec<&'static str>,
    pub(super) verifies: usize,
    pub(super) changes: usize,
    pub(super) failed: Option<Problem>,
    pub(super) done: bool,
    pub(super) watching: bool,
    /// Where PINs were typed.
    pub(super) entries: Vec<&'static str>,
    pub(super) asked: Vec<String>,
}

pub(super) fn address() -> Address {
    Address::parse("alice@contoso.test").unwrap()
}

pub(super) fn card(name: &str, is_default: bool) -> CardFacts {
    let reader = ReaderId {
        path: CardPath::Pcsc,
        name: "ACS ACR38".into(),
    };
    let pin = PinSummary {
        tries_left: Some(3),
        is_default: Some(is_default),
        is_low: false,
    };
    let summary = CardSummary {
        pin,
        ..CardSummary::blank(reader)
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

pub(super) fn seen(cards: &[CardFacts]) -> CardsSeen {
    CardsSeen {
        readers: vec!["ACS ACR38".into()],
        cards: cards.to_vec(),
        ..CardsSeen::default()
    }
}

pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> HttpAnswer {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    HttpAnswer {
        status,
        headers,
        body: body.into(),
        raw: bytes::Bytes::new(),
    }
}

pub(super) fn refusal(status: u16, code: &str) -> Result<HttpAnswer, CardTrouble> {
    let body = format!(r#"{{"error":{{"code":"{code}","message":"No.","next":"Ask."}}}}"#);
    Ok(answer(status, &[], body))
}

impl Rig {
    pub(super) fn new() -> Self {
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
            password: None,
            date: None,
            stages: Vec::new(),
            verifies: 0,
            changes: 0,
            failed: None,
            done: false,
            entries: Vec::new(),
            watching: false,
            asked: Vec::new(),
        }
    }

    pub(super) fn now() -> Now {
        Now {
            at: Instant::now(),
            wall: WALL,
        }
    }

    pub(super) fn begin(&mut self) {
        let outputs = self.machine.begin();
        self.run(outputs);
    }

    pub(super) fn pin(&mut self, pin: &str) {
        self.pin_with(pin, false).unwrap();
    }

    pub(super) fn pin_with(&mut self, pin: &str, last_try: bool) -> Result<(), Problem> {
        let outputs = self.machine.typed_pin(pin, last_try)?;
        self.run(outputs);
        Ok(())
    }

    pub(super) fn insert(&mut self, cards: &[CardFacts]) {
        let outputs = self.machine.handle(Self::now(), Input::Cards(seen(cards)));
        self.run(outputs);
    }

    pub(super) fn run(&mut self, outputs: Vec<Output>) {
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
                    if let PinEntry::Typed(pin) = &pin {
                        assert!(!pin.is_transport());
                    }
                    self.entries.push(match pin {
                        PinEntry::Typed(_) => "typed",
                        PinEntry::Token(_) => "token",
                        PinEntry::Pad => "pad",
                    });
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

    pub(super) fn card(&mut self, request: &HttpRequest) -> Result<HttpAnswer, CardTrouble> {
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

    pub(super) fn http(&self, request: &HttpRequest) -> Result<HttpAnswer, NetFault> {
        let url = request.url.as_str();
        let mut found = self.page(url, request)?;
        if let Some(date) = self.date {
            found.headers.push(("date".into(), date.into()));
        }
        Ok(found)
    }

    pub(super) fn page(&self, url: &str, request: &HttpRequest) -> Result<HttpAnswer, NetFault> {
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
                    raw: bytes::Bytes::new(),
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
            } else if url.starts_with(&format!("{WEB_TICKET}/mex?sipuri=alice@contoso.test")) {
                let mex = WebTicketMex {
                    passive: Some(format!("{WEB_TICKET}/Passive")),
                    win_negotiate: self.password.map(|_| format!("{WEB_TICKET}/Password")),
                    certificate: None,
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
            } else if url == format!("{WEB_TICKET}/Password") {
                let expected = super::password::basic("alice@contoso.test", self.password.unwrap());
                if has("authorization").unwrap().1 == expected {
                    self.ticket(&request.body)
                } else {
                    answer(401, &[("www-authenticate", "Basic")], "")
                }
            } else if url.ends_with("/WebTicket_Proof") {
                self.certificate(&request.body)
            } else {
                panic!("nobody serves {url}")
            },
        )
    }

    pub(super) fn ticket(&self, body: &str) -> HttpAnswer {
        let request = TicketRequest::parse(body).unwrap();
        let server = Entropy::random().unwrap();
        let proof = ProofKey::derive(request.entropy.as_ref().unwrap(), &server);
        let grant = Grant {
            account: "S-1-5-21-1-2-3-1000".parse().unwrap(),
            address: address(),
            audience: Audience::from_url(&request.applies_to).unwrap(),
            source: TicketSource::Password {
                epoch: CredentialEpoch([7; 16]),
            },
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

    pub(super) fn certificate(&self, body: &str) -> HttpAnswer {
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

    pub(super) fn fault(&self) -> &Problem {
        self.failed
            .as_ref()
            .expect("the machine should have failed")
    }
}
