// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine: what is known, what is awaited, and what is to be learnt next.

use std::sync::Arc;

use lanyard_fault::Fault;
use lanyard_soap::autodiscover::{AutodiscoverResponse, TicketChallenge};
use lanyard_soap::mex::{CertProvMex, WebTicketMex};
use lanyard_soap::oauth::{CONTENT_TYPE_FORM, OauthAnswer, OauthRequest};
use lanyard_soap::trust::{Entropy, WebTicket};
use lanyard_soap::{Address, autodiscover};
use lanyard_x509::SoftwareKey;
use rustls::RootCertStore;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::cards::CardStep;
use super::input::{CardsSeen, Input, Output};
use super::locate::{ACCEPT_XML, Found, Locate, Progress, Query, check_url, clock_problem};
use crate::address::SignInAddress;
use crate::cards::{CardFacts, Remembered};
use crate::net::{HttpAnswer, HttpRequest, NetFault, authority};
use crate::problem::Problem;
use crate::session::Now;
use crate::view::Stage;

/// Numbers of requests outside discovery begin here.
const FIRST_REQUEST: u64 = 1_000;

/// What is awaited.
#[derive(Debug)]
pub(super) enum Waiting {
    Nothing,
    Locate(Box<Locate>),
    UserChallenge,
    Passive,
    Redirect,
    Card(CardStep),
    Password,
    Cookie,
    WebTicketMex,
    UserTicket(Entropy),
    UserDocument,
    Registrar,
    CertProvMex,
    CertTicket(Entropy),
    Certificate(SoftwareKey),
    Ended,
}

/// What is known so far.
#[derive(Default)]
pub(super) struct Known {
    pub(super) user_url: Option<String>,
    pub(super) web_ticket_url: Option<String>,
    pub(super) oauth_url: Option<String>,
    pub(super) passive_url: Option<String>,
    pub(super) federation_url: Option<String>,
    pub(super) ways: Option<Ways>,
    pub(super) proof: Option<Proof>,
    pub(super) registrar: Option<(String, u16)>,
    pub(super) sts_uri: Option<String>,
    pub(super) cert_port: Option<String>,
    pub(super) user_ticket: Option<WebTicket>,
}

/// The ways to a ticket that the server offers to this person.
#[derive(Debug)]
pub(super) struct Ways {
    /// With what a card earns.
    pub(super) card: Option<String>,
    /// With a password.
    pub(super) password: Option<String>,
}

/// What the person has proven themselves with; worth tickets.
pub(super) enum Proof {
    /// The cookie that a card has earned.
    Card(Zeroizing<String>),
    /// The password, until the last ticket is there.
    Password(Zeroizing<String>),
}

/// One attempt to sign in.
pub struct SignIn {
    pub(super) address: SignInAddress,
    pub(super) soap_address: Address,
    pub(super) device: Uuid,
    pub(super) roots: Arc<RootCertStore>,
    /// Why the PIN is asked for although the person is signed in.
    pub(super) why: Option<String>,
    pub(super) remembered: Remembered,
    pub(super) used: Option<CardFacts>,
    pub(super) known: Known,
    pub(super) waiting: Waiting,
    pub(super) cards: Option<CardsSeen>,
    pub(super) outputs: Vec<Output>,
    allowed: Vec<String>,
    located: bool,
    host: String,
    shown: Option<Stage>,
    next_id: u64,
    current: u64,
}

/// What an attempt needs besides the address.
#[derive(Debug, Clone)]
pub struct Order {
    /// Domains that may answer for the address besides its own.
    pub allowed_domains: Vec<String>,
    /// This endpoint.
    pub device: Uuid,
    /// What server certificates must lead to.
    pub roots: Arc<RootCertStore>,
    /// What is remembered of cards.
    pub remembered: Remembered,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignIn({}, {:?})", self.address, self.shown)
    }
}

impl SignIn {
    /// An attempt that begins with finding the server.
    ///
    /// # Errors
    /// When the address cannot stand in the protocols.
    pub fn new(address: &SignInAddress, order: Order) -> Result<Self, Problem> {
        let soap_address =
            Address::parse(address.as_str()).map_err(|_| Problem::new(Fault::AddressMalformed))?;
        Ok(Self {
            address: address.clone(),
            soap_address,
            device: order.device,
            roots: order.roots,
            why: None,
            remembered: order.remembered,
            used: None,
            known: Known::default(),
            waiting: Waiting::Nothing,
            cards: None,
            outputs: Vec::new(),
            allowed: order.allowed_domains,
            located: false,
            host: String::new(),
            shown: None,
            next_id: FIRST_REQUEST,
            current: 0,
        })
    }

    /// A renewal of the certificate in a session that goes on: the service is known, the PIN is asked with a reason.
    ///
    /// # Errors
    /// As [`SignIn::new`].
    pub fn renewal(
        address: &SignInAddress,
        order: Order,
        sts_uri: &str,
        why: &str,
    ) -> Result<Self, Problem> {
        let mut renewal = Self::new(address, order)?;
        renewal.located = true;
        renewal.known.sts_uri = Some(sts_uri.to_owned());
        renewal.why = Some(why.to_owned());
        Ok(renewal)
    }

    /// Begins.
    pub fn begin(&mut self) -> Vec<Output> {
        self.proceed();
        self.take()
    }

    /// Something happened.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Output> {
        match input {
            Input::Http { id, answer } => self.http(now, id, answer),
            Input::Srv { id, answer } => {
                if let Waiting::Locate(locate) = &mut self.waiting {
                    let progress = locate.srv(id, answer);
                    self.located(progress);
                }
            }
            Input::Cards(seen) => self.cards_seen(now, seen),
            Input::UseCard => self.use_card(),
            Input::ChooseCard(number) => self.card_chosen(number),
            Input::CardAnswer(answer) => self.card_answered(now, answer),
            Input::PinChanged(result) => self.pin_changed(result),
            Input::StsUri(uri) => {
                if matches!(self.waiting, Waiting::Registrar) {
                    self.learn(&uri, |known, uri| known.sts_uri = Some(uri));
                }
            }
            Input::SipFailed(problem) => {
                if matches!(self.waiting, Waiting::Registrar) {
                    self.fail(problem);
                }
            }
        }
        self.take()
    }

    /// The card that was used.
    #[must_use]
    pub fn used_card(&self) -> Option<&CardFacts> {
        self.used.as_ref()
    }

    /// The certificate service, once it is known.
    #[must_use]
    pub fn sts_uri(&self) -> Option<&str> {
        self.known.sts_uri.as_deref()
    }

    pub(super) fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Does the next thing that is not known yet.
    pub(super) fn proceed(&mut self) {
        let known = &self.known;
        if !self.located {
            self.locate();
        } else if known.user_url.is_some() && known.web_ticket_url.is_none() {
            self.get_user(None);
        } else if known.sts_uri.is_none() && known.web_ticket_url.is_none() {
            self.ask_registrar();
        } else if known.web_ticket_url.is_none() {
            self.get_cert_prov_mex();
        } else if known.ways.is_none() {
            self.get_ways();
        } else if known.proof.is_none() {
            self.prove();
        } else if known.registrar.is_none() && known.user_url.is_some() && known.sts_uri.is_none() {
            self.user_document();
        } else if known.sts_uri.is_none() {
            self.ask_registrar();
        } else if known.cert_port.is_none() {
            self.get_cert_prov_mex();
        } else {
            self.get_certificate();
        }
    }

    /// The card, or the password where there is no way with a card.
    fn prove(&mut self) {
        let known = &self.known;
        if known.ways.as_ref().is_some_and(|ways| ways.card.is_none()) {
            self.ask_password(None);
        } else if known.passive_url.is_none() {
            self.ask_passive();
        } else if known.federation_url.is_none() {
            self.get_passive();
        } else {
            self.ask_card();
        }
    }

    /// Which ways there are depends on the person: a card-only person is never asked for a password.
    fn get_ways(&mut self) {
        self.show(Stage::ContactingServer);
        let web_ticket = self.known.web_ticket_url.clone().unwrap_or_default();
        let url = format!("{web_ticket}/mex?sipuri={}", self.address_in_query());
        self.request(Waiting::WebTicketMex, HttpRequest::get(url));
    }

    /// The address with those characters escaped that mean something in a query.
    pub(super) fn address_in_query(&self) -> String {
        self.address
            .as_str()
            .replace('+', "%2B")
            .replace('\'', "%27")
    }

    fn locate(&mut self) {
        self.show(Stage::FindingServer);
        let mut locate = Locate::new(&self.address, &self.allowed);
        let progress = locate.begin();
        self.waiting = Waiting::Locate(Box::new(locate));
        self.located(progress);
    }

    fn located(&mut self, progress: Progress) {
        match progress {
            Progress::Ask(base, queries) => {
                for (id, query) in (base..).zip(queries) {
                    self.outputs.push(match query {
                        Query::Http(request) => Output::Http { id, request },
                        Query::Srv(name) => Output::Srv { id, name },
                    });
                }
            }
            Progress::Wait => {}
            Progress::Failed(problem) => self.fail(problem),
            Progress::Found(found) => {
                self.located = true;
                match found {
                    Found::Root {
                        user: Some(user), ..
                    } => self.known.user_url = Some(user),
                    Found::Root { user: None, .. } => {
                        return self.fail(Fault::DiscoveryRefused.into());
                    }
                    Found::Registrar(records) => {
                        let first = records.into_iter().next();
                        self.known.registrar = first.map(|record| (record.target, record.port));
                    }
                }
                self.proceed();
            }
        }
    }

    pub(super) fn get_user(&mut self, ticket: Option<&WebTicket>) {
        let url = self.known.user_url.clone().unwrap_or_default();
        let request = HttpRequest::get(url).header("accept", ACCEPT_XML);
        match ticket {
            None => {
                self.show(Stage::ContactingServer);
                self.request(Waiting::UserChallenge, request);
            }
            Some(ticket) => {
                let value = autodiscover::web_ticket_header(ticket.assertion());
                self.request(
                    Waiting::UserDocument,
                    request.header("x-ms-webticket", value),
                );
            }
        }
    }

    fn ask_registrar(&mut self) {
        let Some((host, port)) = self.known.registrar.clone() else {
            return self.fail(Fault::DiscoveryRefused.into());
        };
        if self.known.proof.is_none() {
            self.show(Stage::ContactingServer);
        }
        self.waiting = Waiting::Registrar;
        self.outputs.push(Output::Sip { host, port });
    }

    fn get_cert_prov_mex(&mut self) {
        if self.known.proof.is_none() {
            self.show(Stage::ContactingServer);
        }
        let url = format!("{}/mex", self.known.sts_uri.clone().unwrap_or_default());
        self.request(Waiting::CertProvMex, HttpRequest::get(url));
    }

    fn ask_passive(&mut self) {
        self.show(Stage::ContactingServer);
        let web_ticket = self.known.web_ticket_url.clone().unwrap_or_default();
        let beside = || {
            web_ticket
                .rsplit_once('/')
                .map(|(base, _)| format!("{base}/oauthtoken"))
        };
        let Some(url) = self.known.oauth_url.clone().or_else(beside) else {
            return self.fail(Fault::DiscoveryRefused.into());
        };
        let body = OauthRequest::to_form_body();
        self.request(
            Waiting::Passive,
            HttpRequest::post(url, CONTENT_TYPE_FORM, body),
        );
    }

    fn http(&mut self, now: Now, id: u64, answer: Result<HttpAnswer, NetFault>) {
        if let Waiting::Locate(locate) = &mut self.waiting {
            let progress = locate.http(now.wall, id, answer);
            return self.located(progress);
        }
        if id != self.current {
            return;
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(fault) => return self.fail(fault.problem(&self.host)),
        };
        if let Some(problem) = clock_problem(&answer, now.wall) {
            return self.fail(problem);
        }
        match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::UserChallenge => self.user_challenged(&answer),
            Waiting::Passive => self.passive_answered(&answer),
            Waiting::Redirect => self.redirected(&answer),
            Waiting::Cookie => self.cookie_came(&answer),
            Waiting::WebTicketMex => self.web_ticket_mex(&answer),
            Waiting::UserTicket(entropy) => self.user_ticket(&answer, &entropy),
            Waiting::UserDocument => self.user_document_came(&answer),
            Waiting::CertProvMex => self.cert_prov_mex(&answer),
            Waiting::CertTicket(entropy) => self.cert_ticket(now, &answer, &entropy),
            Waiting::Certificate(key) => self.certificate(now, &answer, key),
            other => self.waiting = other,
        }
    }

    fn user_challenged(&mut self, answer: &HttpAnswer) {
        if answer.status != 401 {
            return self.refused(answer);
        }
        let challenge = TicketChallenge::from_headers(answer.header_lines());
        let Some(url) = challenge.web_ticket_url else {
            return self.fail(Fault::DiscoveryRefused.into());
        };
        if let Some(oauth) = challenge.oauth_url.filter(|url| self.check(url).is_ok()) {
            self.known.oauth_url = Some(oauth);
        }
        self.learn(&url, |known, url| known.web_ticket_url = Some(url));
    }

    fn passive_answered(&mut self, answer: &HttpAnswer) {
        match OauthAnswer::parse(&answer.body) {
            Some(OauthAnswer::Refused {
                passive_auth_url: Some(url),
                ..
            }) => {
                self.learn(&url, |known, url| known.passive_url = Some(url));
            }
            _ => self.refused(answer),
        }
    }

    fn web_ticket_mex(&mut self, answer: &HttpAnswer) {
        let mex = WebTicketMex::parse(&answer.body)
            .ok()
            .filter(|_| answer.status == 200);
        let Some(mex) = mex.filter(|mex| mex.passive.is_some() || mex.win_negotiate.is_some())
        else {
            return self.refused(answer);
        };
        for url in mex.passive.iter().chain(&mex.win_negotiate) {
            if let Err(problem) = self.check(url) {
                return self.fail(problem);
            }
        }
        self.known.ways = Some(Ways {
            card: mex.passive,
            password: mex.win_negotiate,
        });
        self.proceed();
    }

    fn cert_prov_mex(&mut self, answer: &HttpAnswer) {
        let mex = CertProvMex::parse(&answer.body)
            .ok()
            .filter(|_| answer.status == 200);
        let Some(mex) = mex else {
            return self.refused(answer);
        };
        if let Err(problem) = self.check(&mex.endpoint) {
            return self.fail(problem);
        }
        self.known.cert_port = Some(mex.endpoint);
        if self.known.web_ticket_url.is_some() {
            return self.proceed();
        }
        self.learn(&mex.issuer, |known, url| known.web_ticket_url = Some(url));
    }

    fn user_document_came(&mut self, answer: &HttpAnswer) {
        let document = AutodiscoverResponse::parse(answer.content_type(), &answer.body);
        let (Ok(AutodiscoverResponse::User(user)), 200) = (document, answer.status) else {
            return self.refused(answer);
        };
        let Some(server) = user
            .sip_candidates()
            .first()
            .map(|one| (one.fqdn.clone(), one.port))
        else {
            return self.fail(Fault::DiscoveryRefused.into());
        };
        if let Err(problem) = self.check(&format!("https://{}/", server.0)) {
            return self.fail(problem);
        }
        self.known.registrar = Some(server);
        self.proceed();
    }

    /// Takes a URL from the server, if it may be followed, and goes on.
    pub(super) fn learn(&mut self, url: &str, put: fn(&mut Known, String)) {
        match self.check(url) {
            Ok(()) => {
                put(&mut self.known, url.trim_end_matches('/').to_owned());
                self.proceed();
            }
            Err(problem) => self.fail(problem),
        }
    }

    pub(super) fn check(&self, url: &str) -> Result<(), Problem> {
        check_url(url, self.address.domain(), &self.allowed)
    }

    pub(super) fn request(&mut self, waiting: Waiting, request: HttpRequest) {
        self.current = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        self.host = authority(&request.url)
            .map(|(_, host, _)| host)
            .unwrap_or_default();
        self.waiting = waiting;
        self.outputs.push(Output::Http {
            id: self.current,
            request,
        });
    }

    /// An answer that is no step forward: the server's own words if it has some.
    pub(super) fn refused(&mut self, answer: &HttpAnswer) {
        self.fail(refusal(answer, &self.host));
    }

    pub(super) fn show(&mut self, stage: Stage) {
        if self.shown.as_ref() != Some(&stage) {
            self.shown = Some(stage.clone());
            self.outputs.push(Output::Show(stage));
        }
    }

    pub(super) fn fail(&mut self, problem: Problem) {
        if self.cards.take().is_some() {
            self.outputs.push(Output::StopWatching);
        }
        self.waiting = Waiting::Ended;
        self.known = Known::default();
        self.outputs.push(Output::Failed(problem));
    }
}

#[derive(serde::Deserialize)]
struct ErrorBody {
    error: ErrorWords,
}

#[derive(serde::Deserialize)]
struct ErrorWords {
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    next: String,
}

/// What a refusal says: our JSON, a SOAP fault or diagnostics header, or the bare status.
pub(crate) fn refusal(answer: &HttpAnswer, host: &str) -> Problem {
    if let Ok(body) = serde_json::from_str::<ErrorBody>(&answer.body) {
        let ErrorWords {
            code,
            message,
            next,
        } = body.error;
        return Problem::from_server(&code, &message, &next);
    }
    let header = answer.header("x-ms-diagnostics");
    let header = header.and_then(lanyard_soap::fault::DiagnosticsHeader::parse);
    let reason = header
        .map(|header| header.reason)
        .or_else(|| lanyard_soap::fault::SoapFault::parse(&answer.body).map(|fault| fault.reason));
    if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
        let (sentence, code) = match reason.rsplit_once("(LY-") {
            Some((sentence, code)) => (
                sentence,
                format!("LY-{}", code.trim_end_matches([')', ' '])),
            ),
            None => (reason.as_str(), String::new()),
        };
        return Problem::from_server(&code, sentence, "");
    }
    let fault = match answer.status {
        404 => Fault::AccountUnknown,
        401 | 403 => Fault::SignInRefused,
        429 => Fault::TooManyTries,
        500.. => Fault::ServerUnreachable,
        _ => Fault::DiscoveryRefused,
    };
    Problem::new(fault).with_detail(format!("{host} answered {}.", answer.status))
}
