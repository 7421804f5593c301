// SPDX-License-Identifier: MIT OR Apache-2.0
//! A signed-in endpoint.

use crate::card::{Credential, Person};
use crate::net::Net;
use anyhow::{Context, Result, bail};
use lanyard_sip::{Frame, Framer, Headers, InstanceId, Message, Method, Name, OutMessage};
use lanyard_sip_auth::client::{Authenticator, Challenge};
use lanyard_sip_auth::tls12::Connector;
use lanyard_tests::server::HOST;
use rustls::pki_types::ServerName;
use rustls::time_provider::DefaultTimeProvider;
use std::collections::VecDeque;
use std::sync::Arc;
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
    pub async fn open(
        net: &Net,
        person: &Person,
        credential: Credential,
        number: u64,
    ) -> Result<Self> {
        let epid = format!("{number:012x}");
        let mut session = Self {
            uri: person.address.sip_uri(),
            instance: InstanceId::of_epid(&epid),
            epid,
            stream: net.connect(net.ports.sip).await?,
            framer: Framer::new(),
            arrived: VecDeque::new(),
            authenticator: Authenticator::new(),
            cseq: 0,
            call_id: format!("load{number:x}"),
            number,
        };
        let register = session.register();
        session.send_unsigned(register).await?;
        let answer = session.receive().await?;
        let challenge = Challenge::of(&answer)?;
        let connector = Connector::new(
            credential.chain,
            credential.key.to_rustls(),
            (*net.roots).clone(),
            ServerName::try_from(HOST)?,
            Arc::new(DefaultTimeProvider),
        )?;
        session
            .authenticator
            .begin(Instant::now(), &challenge, &connector)?;
        loop {
            let mut register = session.register();
            session.authenticator.authorize(&mut register)?;
            session.send_unsigned(register).await?;
            let answer = session.receive().await?;
            match answer.status() {
                Some(401) => session.authenticator.challenged(Instant::now(), &answer)?,
                Some(200) => {
                    session.authenticator.verify(&answer)?;
                    return Ok(session);
                }
                status => bail!("REGISTER was answered {status:?}"),
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

    fn register(&mut self) -> OutMessage {
        self.cseq += 1;
        OutMessage::request(Method::Register, "sip:contoso.test")
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
            .with(Name::Event, "registration")
    }

    /// Signs and sends.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send(&mut self, mut message: OutMessage) -> Result<()> {
        self.authenticator.sign(&mut message)?;
        self.send_unsigned(message).await
    }

    async fn send_unsigned(&mut self, message: OutMessage) -> Result<()> {
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
        loop {
            let answer = self.receive().await?;
            if answer.header(Name::CSeq) == Some(cseq.as_str()) && !answer.is_request() {
                match answer.status() {
                    Some(100..=199) => {}
                    Some(200..=299) => return Ok(answer),
                    status => bail!("{cseq} was answered {status:?} {:?}", answer.reason()),
                }
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
