// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding the server of an address: autodiscover over HTTPS, its redirection over HTTP, then SRV records.

use lanyard_fault::Fault;
use lanyard_soap::Address;
use lanyard_soap::autodiscover::{
    AutodiscoverResponse, LinkToken, RootDocument, discovery_hosts, discovery_url,
    is_same_organisation,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::address::SignInAddress;
use crate::net::{HttpAnswer, HttpRequest, NetFault, SrvRecord};
use crate::problem::Problem;

/// Redirections that are followed.
const REDIRECTS_MAX: u32 = 5;
/// The clocks may differ so much, in seconds.
pub const CLOCK_SKEW_SECS_MAX: i64 = 300;
/// The form of documents that is asked for.
pub(super) const ACCEPT_XML: &str = "application/vnd.microsoft.rtc.autodiscover+xml;v=1";

/// A question to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// An HTTP request.
    Http(HttpRequest),
    /// SRV records of this name.
    Srv(String),
}

/// What discovery found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A root document.
    Root {
        /// The person's document.
        user: Option<String>,
        /// The enrolment service.
        enrolment: Option<String>,
    },
    /// Only the registrar, by SRV.
    Registrar(Vec<SrvRecord>),
}

/// How discovery goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Ask these, numbered from the given number on.
    Ask(u64, Vec<Query>),
    /// Wait for the other answers.
    Wait,
    /// Found.
    Found(Found),
    /// Not found.
    Failed(Problem),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Https,
    Http,
    Redirect,
    Srv,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Document(AutodiscoverResponse),
    Records(Vec<SrvRecord>),
    Nothing,
}

/// The search for one address.
#[derive(Debug)]
pub struct Locate {
    address: SignInAddress,
    allowed: Vec<String>,
    phase: Phase,
    /// The number of the first question of this phase.
    base: u64,
    answers: Vec<Option<Answer>>,
    redirects: u32,
    worst: Option<Problem>,
}

impl Locate {
    /// Begins to look; `allowed` are domains besides the address's own that may answer for it.
    #[must_use]
    pub fn new(address: &SignInAddress, allowed: &[String]) -> Self {
        Self {
            address: address.clone(),
            allowed: allowed.to_vec(),
            phase: Phase::Https,
            base: 0,
            answers: Vec::new(),
            redirects: 0,
            worst: None,
        }
    }

    /// The first questions.
    pub fn begin(&mut self) -> Progress {
        self.ask_hosts(Phase::Https)
    }

    /// An answer to an HTTP question.
    pub fn http(
        &mut self,
        wall: OffsetDateTime,
        id: u64,
        answer: Result<HttpAnswer, NetFault>,
    ) -> Progress {
        let host = self.host_of(id);
        let answer = match answer {
            Ok(answer) => {
                if self.phase != Phase::Http
                    && let Some(problem) = clock_problem(&answer, wall)
                {
                    return Progress::Failed(problem);
                }
                self.document(&answer, &host)
            }
            // Another way in would hide that somebody stands between us and the server.
            Err(fault) if fault.is_trust() => return Progress::Failed(fault.problem(&host)),
            Err(NetFault::NameUnknown) => Answer::Nothing,
            Err(fault) => {
                self.blame(fault.problem(&host));
                Answer::Nothing
            }
        };
        self.answered(id, answer)
    }

    /// An answer to an SRV question.
    pub fn srv(&mut self, id: u64, answer: Result<Vec<SrvRecord>, NetFault>) -> Progress {
        let records = answer.unwrap_or_default();
        let answer = if records.is_empty() {
            Answer::Nothing
        } else {
            Answer::Records(records)
        };
        self.answered(id, answer)
    }

    /// Refuses a URL that leads to another organisation.
    ///
    /// # Errors
    /// When policy does not allow its host.
    pub fn check(&self, url: &str) -> Result<(), Problem> {
        check_url(url, self.address.domain(), &self.allowed)
    }

    fn answered(&mut self, id: u64, answer: Answer) -> Progress {
        let place = id
            .checked_sub(self.base)
            .and_then(|place| usize::try_from(place).ok());
        let Some(slot) = place.and_then(|place| self.answers.get_mut(place)) else {
            // A late answer of an earlier phase.
            return Progress::Wait;
        };
        *slot = Some(answer);
        // The first name counts before the second, however fast that one is.
        for slot in &self.answers {
            match slot {
                None => return Progress::Wait,
                Some(Answer::Nothing) => {}
                Some(Answer::Document(document)) => return self.found(document.clone()),
                Some(Answer::Records(records)) => return self.registrar(records.clone()),
            }
        }
        match self.phase {
            Phase::Https => self.ask_hosts(Phase::Http),
            Phase::Http | Phase::Redirect => self.ask_srv(),
            Phase::Srv => Progress::Failed(self.worst.clone().unwrap_or_else(|| {
                Problem::new(Fault::ServerNotFound)
                    .with_detail(format!("The domain is {}.", self.address.domain()))
            })),
        }
    }

    fn ask_hosts(&mut self, phase: Phase) -> Progress {
        let scheme = if phase == Phase::Https {
            "https"
        } else {
            "http"
        };
        let Ok(address) = Address::parse(self.address.as_str()) else {
            return Progress::Failed(Fault::AddressMalformed.into());
        };
        let hosts = discovery_hosts(self.address.domain());
        let ask = hosts.iter().map(|host| {
            let url = discovery_url(&format!("{scheme}://{host}"), &address);
            Query::Http(HttpRequest::get(url).header("accept", ACCEPT_XML))
        });
        let ask = ask.collect();
        self.ask(phase, ask)
    }

    fn ask_srv(&mut self) -> Progress {
        let domain = self.address.domain();
        let names = ["_sipinternaltls._tcp", "_sip._tls"];
        let ask = names
            .iter()
            .map(|name| Query::Srv(format!("{name}.{domain}")))
            .collect();
        self.ask(Phase::Srv, ask)
    }

    fn ask(&mut self, phase: Phase, ask: Vec<Query>) -> Progress {
        self.base = self
            .base
            .saturating_add(u64::try_from(self.answers.len()).unwrap_or(0));
        self.phase = phase;
        self.answers = vec![None; ask.len()];
        Progress::Ask(self.base, ask)
    }

    fn document(&mut self, answer: &HttpAnswer, host: &str) -> Answer {
        let document = AutodiscoverResponse::parse(answer.content_type(), &answer.body);
        match document {
            Ok(document) if answer.status == 200 => Answer::Document(document),
            _ => {
                let detail = format!("{host} answered {}.", answer.status);
                self.blame(Problem::new(Fault::DiscoveryRefused).with_detail(detail));
                Answer::Nothing
            }
        }
    }

    fn found(&mut self, document: AutodiscoverResponse) -> Progress {
        match document {
            AutodiscoverResponse::Redirect { href } => self.follow(&href),
            // Without TLS nobody is who he says he is: only the way to HTTPS is taken.
            _ if self.phase == Phase::Http => self.ask_srv(),
            AutodiscoverResponse::Root(root) => self.root(&root),
            AutodiscoverResponse::User(_) => {
                Progress::Failed(Problem::new(Fault::DiscoveryRefused))
            }
        }
    }

    fn follow(&mut self, href: &str) -> Progress {
        self.redirects = self.redirects.saturating_add(1);
        let secure = href
            .get(..8)
            .is_some_and(|head| head.eq_ignore_ascii_case("https://"));
        if self.redirects > REDIRECTS_MAX || !secure {
            return Progress::Failed(Problem::new(Fault::DiscoveryRefused));
        }
        if let Err(problem) = self.check(href) {
            return Progress::Failed(problem);
        }
        let request = HttpRequest::get(href).header("accept", ACCEPT_XML);
        self.ask(Phase::Redirect, vec![Query::Http(request)])
    }

    fn root(&mut self, root: &RootDocument) -> Progress {
        let link = |token: &LinkToken| root.link(token).map(str::to_owned);
        let user = link(&LinkToken::User);
        let enrolment = link(&LinkToken::Enrolment);
        for url in user.iter().chain(&enrolment) {
            if let Err(problem) = self.check(url) {
                return Progress::Failed(problem);
            }
        }
        Progress::Found(Found::Root { user, enrolment })
    }

    fn registrar(&mut self, records: Vec<SrvRecord>) -> Progress {
        for record in &records {
            if let Err(problem) = self.check(&format!("https://{}/", record.target)) {
                return Progress::Failed(problem);
            }
        }
        Progress::Found(Found::Registrar(records))
    }

    fn host_of(&self, id: u64) -> String {
        let hosts = discovery_hosts(self.address.domain());
        let place = id
            .checked_sub(self.base)
            .and_then(|place| usize::try_from(place).ok());
        let host = place.and_then(|place| hosts.get(place));
        host.cloned()
            .unwrap_or_else(|| self.address.domain().to_owned())
    }

    /// Keeps the most telling fault: a server that is there but does not answer before one that is not.
    fn blame(&mut self, problem: Problem) {
        let better = self.worst.is_none() || problem.is(Fault::DiscoveryRefused);
        if better {
            self.worst = Some(problem);
        }
    }
}

/// Whether an `https` URL stays in the organisation of the address, or in one that is allowed.
pub(crate) fn check_url(url: &str, domain: &str, allowed: &[String]) -> Result<(), Problem> {
    let Some((true, host, _)) = crate::net::authority(url) else {
        return Err(Problem::new(Fault::DiscoveryRefused));
    };
    let mut domains = allowed.iter().map(String::as_str).chain([domain]);
    if domains.any(|domain| is_same_organisation(url, domain)) {
        return Ok(());
    }
    let detail = format!("The server named is {host}.");
    Err(Problem::new(Fault::DiscoveryForeignDomain).with_detail(detail))
}

/// A fault when the clocks differ too much: tickets and certificates would fail for reasons nobody understands.
pub(super) fn clock_problem(answer: &HttpAnswer, wall: OffsetDateTime) -> Option<Problem> {
    let server = OffsetDateTime::parse(answer.header("date")?, &Rfc2822).ok()?;
    let skew = (wall - server).whole_seconds();
    if skew.abs() <= CLOCK_SKEW_SECS_MAX {
        return None;
    }
    let minutes = (skew.abs() + 30) / 60;
    let direction = if skew > 0 { "ahead of" } else { "behind" };
    let detail = format!("This computer is about {minutes} minutes {direction} the server.");
    Some(Problem::new(Fault::ClockWrong).with_detail(detail))
}
