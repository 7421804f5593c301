// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way to the server for verbs on cards: its enrolment service, and the listener that a card itself opens.

use std::future::Future;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_card::piv::{Pin, Slot};
use lanyard_card::{CardSession, Cards};
use lanyard_fault::Fault;
use serde::Deserialize;
use tokio::runtime::Runtime;

use crate::address::SignInAddress;
use crate::attestation::{Evidence, gather};
use crate::cards::CardFacts;
use crate::config::ClientConfig;
use crate::net::{HttpAnswer, HttpRequest, Method, Net, authority};
use crate::problem::Problem;
use crate::session::Now;
use crate::signin::{Found, Locate, Progress, Query, refusal};

/// The path of the enrolment service on a server that is named by hand.
const ENROLMENTS_PATH: &str = "/api/v1/enrolments";
/// Longest name of a computer that is told, in characters.
const COMPUTER_CHARS_MAX: usize = 64;

/// Network and trust of one verb.
#[derive(Debug)]
pub struct Reach {
    runtime: Runtime,
    net: Net,
    /// The HTTPS address of the server, without a path.
    base: String,
}

#[derive(Deserialize)]
struct Services {
    card: String,
}

impl Reach {
    /// Finds the server of an address, or takes the one that is named.
    ///
    /// # Errors
    /// When it is not found.
    pub fn new(
        config: &Arc<ClientConfig>,
        address: &SignInAddress,
        server: Option<&str>,
    ) -> Result<Self, Problem> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|_| Problem::new(Fault::AgentUnreachable))?;
        let net = Net::new(Arc::clone(config)).map_err(|error| {
            Problem::new(Fault::ConfigClientInvalid).with_detail(format!("{error}."))
        })?;
        let service = runtime.block_on(find_service(&net, config, address, server))?;
        let base = service
            .split_once("/api/")
            .map_or(service.as_str(), |(base, _)| base)
            .trim_end_matches('/')
            .to_owned();
        Ok(Self { runtime, net, base })
    }

    /// Asks the HTTPS listener.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub fn post(&self, path: &str, json: String) -> Result<HttpAnswer, Problem> {
        let url = format!("{}{path}", self.base);
        self.wait(self.exchange(HttpRequest::post(url, "application/json", json)))
    }

    /// What the card says about where the key in a slot lives; `csr` is the request that it signed, in base64. The
    /// management key was shown to the card before.
    pub(crate) fn prove(
        &self,
        session: &mut CardSession,
        slot: Slot,
        csr: &str,
    ) -> Result<Option<Evidence>, Problem> {
        let der = STANDARD
            .decode(csr)
            .map_err(|_| Problem::new(Fault::CardUnusable))?;
        let service = format!("{}{ENROLMENTS_PATH}", self.base);
        self.wait(gather(&self.net, &service, session, slot, &der))
    }

    /// Asks the card listener with a card. The PIN is for one VERIFY.
    ///
    /// # Errors
    /// When card or server refuse.
    pub fn with_card(
        &self,
        cards: &Arc<Cards>,
        card: &CardFacts,
        pin: &Pin,
        path: &str,
        json: Option<String>,
    ) -> Result<HttpAnswer, Problem> {
        let url = format!("{}{path}", self.card_listener()?);
        let accept = ("accept", "application/json".to_owned());
        let request = match json {
            None => HttpRequest {
                method: Method::Get,
                url,
                headers: vec![accept],
                body: String::new(),
            },
            Some(json) => {
                HttpRequest::post(url, "application/json", json).header(accept.0, accept.1)
            }
        };
        let host = self.host();
        let answer = self.runtime.block_on(crate::agent::card_exchange(
            self.net.clone(),
            Arc::clone(cards),
            card.clone(),
            pin.clone().into(),
            false,
            request,
        ));
        let answer = answer.map_err(|trouble| trouble.problem(&host))?;
        accepted(answer, &host)
    }

    fn card_listener(&self) -> Result<String, Problem> {
        let request = HttpRequest::get(format!("{}/api/v1/services", self.base));
        let answer = self.wait(self.exchange(request))?;
        let services: Services =
            serde_json::from_str(&answer.body).map_err(|_| Problem::new(Fault::EnrolmentAnswer))?;
        // The card is shown to the server that was found, and to no other.
        let named =
            authority(&services.card).filter(|(secure, host, _)| *secure && *host == self.host());
        if named.is_none() {
            return Err(Problem::new(Fault::DiscoveryForeignDomain));
        }
        Ok(services.card.trim_end_matches('/').to_owned())
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpAnswer, Problem> {
        let host = self.host();
        let answer = crate::net::exchange(&self.net, request, self.net.trust().web())
            .await
            .map_err(|fault| fault.problem(&host))?;
        accepted(answer, &host)
    }

    fn host(&self) -> String {
        authority(&self.base)
            .map(|(_, host, _)| host)
            .unwrap_or_default()
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

fn accepted(answer: HttpAnswer, host: &str) -> Result<HttpAnswer, Problem> {
    if matches!(answer.status, 200 | 201) {
        Ok(answer)
    } else {
        Err(refusal(&answer, host))
    }
}

/// The address of the enrolment service.
///
/// # Errors
/// When it is not found.
pub(crate) async fn find_service(
    net: &Net,
    config: &ClientConfig,
    address: &SignInAddress,
    server: Option<&str>,
) -> Result<String, Problem> {
    if let Some(server) = server {
        let secure = server
            .get(..8)
            .is_some_and(|head| head.eq_ignore_ascii_case("https://"));
        if !secure {
            let detail = "Its address must begin with https://.";
            return Err(Problem::new(Fault::EnrolmentUnavailable).with_detail(detail));
        }
        let server = server.trim_end_matches('/');
        let bare = server.matches('/').count() == 2;
        return Ok(if bare {
            format!("{server}{ENROLMENTS_PATH}")
        } else {
            server.to_owned()
        });
    }
    let mut locate = Locate::new(address, &config.allowed_domains);
    let mut progress = locate.begin();
    loop {
        progress = match progress {
            Progress::Failed(problem) => return Err(problem),
            Progress::Found(Found::Root {
                enrolment: Some(url),
                ..
            }) => return Ok(url),
            Progress::Found(_) => return Err(Problem::new(Fault::EnrolmentUnavailable)),
            // Unreachable by construction: every question below is answered.
            Progress::Wait => return Err(Problem::new(Fault::EnrolmentUnavailable)),
            Progress::Ask(base, queries) => ask(net, &mut locate, base, queries).await,
        };
    }
}

async fn ask(net: &Net, locate: &mut Locate, base: u64, queries: Vec<Query>) -> Progress {
    let mut progress = Progress::Wait;
    for (id, query) in (base..).zip(queries) {
        progress = match query {
            Query::Http(request) => {
                let answer = crate::net::exchange(net, request, net.trust().web()).await;
                locate.http(Now::from_system().wall, id, answer)
            }
            Query::Srv(name) => locate.srv(id, net.dns().srv(&name).await),
        };
        if progress != Progress::Wait {
            break;
        }
    }
    progress
}

/// What this computer calls itself; empty where it does not tell.
pub(crate) fn computer_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(COMPUTER_CHARS_MAX)
        .collect()
}
