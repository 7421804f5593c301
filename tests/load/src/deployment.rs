// SPDX-License-Identifier: MIT OR Apache-2.0
//! A deployment of a test's own, in a namespace, with a raw client before it.

use crate::card::{Applicant, Credential, Person};
use crate::net::Net;
use crate::session::Session;
use crate::web::Web;
use anyhow::{Context, Result};
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::server::{Ports, Server};
use std::path::PathBuf;
use std::time::Duration;

/// No test of one deployment takes longer.
const TEST_SECS_MAX: u64 = 120;

/// A server that runs, and who may speak to it.
#[derive(Debug)]
pub struct Deployment {
    /// Everything lies below it.
    pub folder: PathBuf,
    /// The server.
    pub server: Server,
    /// The way to it.
    pub net: Net,
    sessions: u64,
}

/// Runs a test in a namespace of its own with a server that runs.
///
/// On failure the message ends with the server's log.
pub fn in_a_deployment(name: &str, body: impl AsyncFnOnce(&mut Deployment) -> Result<()>) {
    in_own_namespace(name, || {
        let dir = tempfile::tempdir()?;
        let mut server = Server::init(dir.path(), Ports::WELL_KNOWN)?;
        // One address enrols everybody here.
        server.set_environment("LANYARD_LIMITS__ENROLMENTS_PER_MINUTE", "100000");
        server.start()?;
        let net = Net::new(&server)?;
        let mut deployment = Deployment {
            folder: dir.path().into(),
            server,
            net,
            sessions: 0,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let limit = Duration::from_secs(TEST_SECS_MAX);
        let timed = async { tokio::time::timeout(limit, body(&mut deployment)).await };
        let result = runtime.block_on(timed).context("the test took too long");
        let log = || std::fs::read_to_string(deployment.server.log_file()).unwrap_or_default();
        result
            .and_then(|result| result)
            .map_err(|error| error.context(format!("the server's log:\n{}", log())))
    });
}

impl Deployment {
    /// Adds a person to the directory and enrols a card.
    ///
    /// # Errors
    /// The server refused.
    pub async fn enrolled(&self, address: &str) -> Result<Person> {
        self.server.must(&["user", "add", address])?;
        self.enrolled_as(Applicant::new(address)?).await
    }

    /// Enrols a card of somebody who is in the directory.
    ///
    /// # Errors
    /// The server refused.
    pub async fn enrolled_as(&self, applicant: Applicant) -> Result<Person> {
        let code = self.server.enrol_code(&applicant.address)?;
        let mut web = Web::connect(&self.net).await?;
        let answer = applicant.ask(web.stream(), &code).await?;
        applicant.enrolled(answer)
    }

    /// A connection of a person to the SIP listener, not signed in.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn connection(&mut self, person: &Person) -> Result<Session> {
        self.sessions += 1;
        Session::connect(&self.net, &person.address.sip_uri(), self.sessions).await
    }

    /// Signs a person in with a chat certificate.
    ///
    /// # Errors
    /// The server refused.
    pub async fn session_with(&mut self, person: &Person, chat: &Credential) -> Result<Session> {
        let mut session = self.connection(person).await?;
        session.sign_in(&self.net, chat).await?;
        Ok(session)
    }

    /// Signs a person in, from the card on.
    ///
    /// # Errors
    /// The server refused.
    pub async fn session(&mut self, person: &Person) -> Result<Session> {
        let chat = person.chat_certificate(&self.net).await?;
        self.session_with(person, &chat).await
    }
}
