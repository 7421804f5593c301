// SPDX-License-Identifier: MIT OR Apache-2.0
//! A signed-in endpoint.

use crate::card::Credential;
use crate::net::Net;
use anyhow::{Context, Result, bail};
use lanyard_presence::PersonUri;
use lanyard_presence::xml::batch::{BatchAction, BatchRequest, BatchResource};
use lanyard_sip::{Frame, Framer, Headers, InstanceId, Message, Method, Name, OutMessage};
use lanyard_sip_auth::client::{Authenticator, Challenge};
use lanyard_sip_auth::tls12::Connector;
use lanyard_tests::server::HOST;
use rustls::pki_types::ServerName;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// How long an answer may take.
const ANSWER_SECS: u64 = 30;

/// One endpoint of a person, signed in.
pub struct Session {
    /// `sip:user@domain`.
    pub uri: String,
    /// Whether its REGISTER promises to keep the connection alive.
    pub promises: bool,
    epid: String,
    instance: InstanceId,
    stream: TlsStream<TcpStream>,
    framer: Framer,
    arrived: VecDeque<Message>,
    authenticator: Authenticator,
    cseq: u32,
    call_id: String,
    number: u64,
}

impl Session {
    /// Connects and signs in with a chat certificate.
    ///
    /// # Errors
    /// The server refused.
    pub async fn open(net: &Net, uri: &str, credential: &Credential, number: u64) -> Result<Self> {
        let mut session = Self::connect(net, uri, number).await?;
        session.sign_in(net, credential).await?;
        Ok(session)
    }

    /// Connects. `number` makes the endpoint unlike all others.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn connect(net: &Net, uri: &str, number: u64) -> Result<Self> {
        let epid = format!("{number:012x}");
        Ok(Self {
            uri: uri.to_owned(),
            promises: false,
            instance: InstanceId::of_epid(&epid),
            epid,
            stream: net.connect(net.ports.sip).await?,
            framer: Framer::new(),
            arrived: VecDeque::new(),
            authenticator: Authenticator::new(),
            cseq: 0,
            call_id: format!("load{number:x}"),
            number,
        })
    }

    /// Signs in on this connection.
    ///
    /// # Errors
    /// The server refused; the message holds status and reason.
    pub async fn sign_in(&mut self, net: &Net, credential: &Credential) -> Result<()> {
        let register = self.register();
        self.send_unsigned(register).await?;
        let answer = self.receive().await?;
        let challenge = Challenge::of(&answer)?;
        let connector = Connector::new(
            credential.chain.clone(),
            credential.key.to_rustls(),
            (*net.roots).clone(),
            ServerName::try_from(HOST)?,
            net.clock(),
        )?;
        self.authenticator
            .begin(Instant::now(), &challenge, &connector)?;
        loop {
            let mut register = self.register();
            self.authenticator.authorize(&mut register)?;
            self.send_unsigned(register).await?;
            let answer = self.receive().await?;
            match answer.status() {
                Some(401) => self.authenticator.challenged(Instant::now(), &answer)?,
                Some(200) => {
                    self.authenticator.verify(&answer)?;
                    return Ok(());
                }
                _ => bail!("REGISTER: {}", words(&answer)),
            }
        }
    }

    /// Refreshes the registration.
    ///
    /// # Errors
    /// The server refused.
    pub async fn refresh(&mut self) -> Result<()> {
        let register = self.register();
        self.ask(register).await.map(|_| ())
    }

    /// A request of this endpoint, without body.
    pub fn request(&mut self, method: Method<'_>, to: &str, call_id: &str) -> OutMessage {
        self.cseq += 1;
        OutMessage::request(method, to)
            .with(
                Name::Via,
                format!(
                    "SIP/2.0/tls 127.0.0.1:1;branch=z9hG4bK{}x{}",
                    self.number, self.cseq
                ),
            )
            .with(
                Name::From,
                format!("<{}>;tag=t{};epid={}", self.uri, self.number, self.epid),
            )
            .with(Name::To, format!("<{to}>"))
            .with(Name::MaxForwards, 70)
            .with(Name::CallId, call_id)
            .with(Name::CSeq, format!("{} {}", self.cseq, method.as_str()))
            .with(
                Name::Contact,
                format!("<sip:127.0.0.1:1;transport=tls;ms-opaque={}>", self.number),
            )
    }

    /// A REGISTER of this endpoint.
    pub fn register(&mut self) -> OutMessage {
        self.cseq += 1;
        let register = OutMessage::request(Method::Register, "sip:contoso.test")
            .with(Name::Via, format!("SIP/2.0/tls 127.0.0.1:1;branch=z9hG4bKr{}x{}", self.number, self.cseq))
            .with(Name::From, format!("<{}>;tag=r{};epid={}", self.uri, self.number, self.epid))
            .with(Name::To, format!("<{}>", self.uri))
            .with(Name::MaxForwards, 70)
            .with(Name::CSeq, format!("{} REGISTER", self.cseq))
            .with(Name::UserAgent, "lanyard-load")
            .with(Name::CallId, &self.call_id)
            .with(
                Name::Contact,
                format!(
                    "<sip:127.0.0.1:1;transport=tls;ms-opaque=o{}>;methods=\"INVITE, MESSAGE, INFO, \
                     BYE, CANCEL, NOTIFY, ACK, BENOTIFY\";proxy=replace;+sip.instance=\"{}\"",
                    self.number,
                    self.instance.to_contact_value().trim_matches('"')
                ),
            )
            .with(Name::Supported, "gruu-10, adhoclist, msrtc-event-categories")
            .with(Name::Event, "registration");
        if self.promises {
            register.with(Name::MsKeepAlive, "UAC;hop-hop=yes")
        } else {
            register
        }
    }

    /// Watches people, with their states in the answer.
    ///
    /// # Errors
    /// The server refused or did not answer.
    pub async fn watch(&mut self, people: &[PersonUri], call_id: &str) -> Result<()> {
        let own = self.uri.clone();
        let resource = |uri: &PersonUri| BatchResource {
            uri: uri.clone(),
            newly_added: false,
        };
        let body = BatchRequest {
            uri: PersonUri::parse(&own)?,
            action: BatchAction::Subscribe,
            resources: people.iter().map(resource).collect(),
            categories: vec!["state".into(), "note".into(), "contactCard".into()],
        };
        let subscribe = self
            .request(Method::Subscribe, &own, call_id)
            .with(Name::Event, "presence")
            .with(Name::Require, "adhoclist, categoryList")
            .with(
                Name::Supported,
                "eventlist, ms-benotify, ms-piggyback-first-notify",
            )
            .with(
                Name::Accept,
                "application/msrtc-event-categories+xml, application/rlmi+xml, multipart/related",
            )
            .with_body("application/msrtc-adrl-categorylist+xml", body.to_xml());
        self.ask(subscribe).await.map(|_| ())
    }

    /// A sign of life.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn keep_alive(&mut self) -> Result<()> {
        self.stream.write_all(b"\r\n\r\n").await?;
        Ok(self.stream.flush().await?)
    }

    /// Signs and sends.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send(&mut self, mut message: OutMessage) -> Result<()> {
        self.sign(&mut message)?;
        self.send_unsigned(message).await
    }

    /// Signs within this connection's association.
    ///
    /// # Errors
    /// There is none.
    pub fn sign(&mut self, message: &mut OutMessage) -> Result<()> {
        Ok(self.authenticator.sign(message)?)
    }

    /// Sends as it is.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send_unsigned(&mut self, message: OutMessage) -> Result<()> {
        self.stream.write_all(&message.to_bytes()).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// Sends a request and waits for its success.
    ///
    /// # Errors
    /// The server refused or did not answer.
    pub async fn ask(&mut self, message: OutMessage) -> Result<Message> {
        let cseq = message.header(Name::CSeq).unwrap_or_default().to_owned();
        self.send(message).await?;
        let answer = self.answer(&cseq).await?;
        match answer.status() {
            Some(200..=299) => Ok(answer),
            _ => bail!("{cseq}: {}", words(&answer)),
        }
    }

    /// Waits for the final answer to the request with this CSeq, passing over other messages.
    ///
    /// # Errors
    /// It did not come.
    pub async fn answer(&mut self, cseq: &str) -> Result<Message> {
        loop {
            let answer = self.receive().await?;
            let is_final = answer.status().is_some_and(|status| status >= 200);
            if answer.header(Name::CSeq) == Some(cseq) && !answer.is_request() && is_final {
                return Ok(answer);
            }
        }
    }

    /// The next message; its signature is checked once the association stands.
    ///
    /// # Errors
    /// Nothing came in time, or the connection broke.
    pub async fn receive(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = self.arrived.pop_front() {
                return Ok(message);
            }
            let mut bytes = [0; 16 * 1024];
            let limit = Duration::from_secs(ANSWER_SECS);
            let count = tokio::time::timeout(limit, self.stream.read(&mut bytes))
                .await
                .context("the server did not answer in time")??;
            if count == 0 {
                bail!("the server closed the connection");
            }
            self.framer.push(bytes.get(..count).unwrap_or_default());
            while let Some(frame) = self.framer.next_frame()? {
                if let Frame::Message(message) = frame {
                    self.arrived.push_back(message);
                }
            }
        }
    }
}

/// Status, reason and diagnostics of an answer.
#[must_use]
pub fn words(answer: &Message) -> String {
    let status = answer.status().unwrap_or_default();
    let reason = answer.reason().unwrap_or_default();
    let more = answer.header(Name::MsDiagnostics).unwrap_or_default();
    format!("{status} {reason} {more}")
}
