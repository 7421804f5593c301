// SPDX-License-Identifier: MIT OR Apache-2.0
//! One SIP connection: frames in, signatures checked, to the hub; effects out, signed.

use super::core::SipCore;
use super::outbox::{Outgoing, Waiting};
use super::signin::{self, SignedIn, SipShared};
use crate::guests::Guest;
use crate::listener::stopped;
use lanyard_presence::{ConnectionId, Registration};
use lanyard_sip::{Frame, Framer, Headers, Message, Method, Name, OutMessage};
use lanyard_sip_auth::VerifyError;
use lanyard_sip_auth::server::{Authenticator, Step};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_rustls::server::TlsStream;

/// A connection must have signed in after this time.
pub const SIGN_IN_SECS: u64 = 60;
/// A message that has begun must be complete after this time.
pub const MESSAGE_SECS: u64 = 30;
/// What is sent must be taken by the client within this time.
pub const WRITE_SECS: u64 = 20;
/// Messages that may fail verification before the connection is closed.
pub const BAD_SIGNATURES_MAX: u32 = 3;
/// Bytes that are read at once.
///
/// An idle connection keeps this buffer: small, for there are many.
const READ_BYTES: usize = 4 * 1024;
/// Messages that are joined into one write.
const WRITE_BATCH_BYTES: usize = 64 * 1024;

/// Why a connection ends. Only for the log.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the client closed it")]
    Closed,
    #[error("it was idle too long")]
    Idle,
    #[error("nobody signed in on it in time")]
    NotSignedIn,
    #[error("others were waiting, and nobody had signed in on it")]
    MadeRoom,
    #[error("a message did not arrive completely in time")]
    SlowMessage,
    #[error("a message is larger than the configuration allows")]
    TooLarge,
    #[error("the client does not read")]
    SlowReader,
    #[error("the server told it to end")]
    Told,
    #[error("too many messages had no good signature")]
    BadSignatures,
    #[error(transparent)]
    Frame(#[from] lanyard_sip::FrameError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Serves a connection to its end.
pub async fn serve(
    shared: Arc<SipShared>,
    stream: TlsStream<TcpStream>,
    peer: SocketAddr,
    guest: Guest,
    stop: watch::Receiver<bool>,
) {
    let core = Arc::clone(&shared.core);
    let (id, outgoing) = core.connect();
    let mut seed = [0; 8];
    if aws_lc_rs::rand::fill(&mut seed).is_err() {
        tracing::error!("no random numbers");
        core.disconnect(id);
        return;
    }
    let (reader, writer) = tokio::io::split(stream);
    let authenticator = Authenticator::new(Arc::clone(&shared.settings), seed);
    let shared_idle = shared.idle;
    let mut connection = Connection {
        id,
        peer,
        core: Arc::clone(&core),
        shared,
        authenticator,
        writer,
        buffer: Vec::new(),
        signed_in: None,
        idle: shared_idle,
        guest: Some(guest),
        proved_at: Instant::now(),
        bad_signatures: 0,
    };
    let ended = connection.run(reader, outgoing, stop).await;
    let _ = tokio::time::timeout(Duration::from_secs(1), connection.writer.shutdown()).await;
    core.disconnect(id);
    if let Err(reason) = ended {
        tracing::info!(connection = id.0, %peer, %reason, "SIP connection ended");
    }
}

struct Connection {
    id: ConnectionId,
    peer: SocketAddr,
    core: Arc<SipCore>,
    shared: Arc<SipShared>,
    authenticator: Authenticator,
    writer: WriteHalf<TlsStream<TcpStream>>,
    /// What will be written next.
    buffer: Vec<u8>,
    signed_in: Option<SignedIn>,
    /// Nobody has signed in yet.
    guest: Option<Guest>,
    /// It is closed when nothing was heard for so long.
    idle: Duration,
    /// When the client last proved its key.
    proved_at: Instant,
    bad_signatures: u32,
}

impl Connection {
    async fn run(
        &mut self,
        mut reader: ReadHalf<TlsStream<TcpStream>>,
        mut outgoing: Waiting,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Ended> {
        let mut framer = Framer::new();
        let mut bytes = vec![0; READ_BYTES];
        let begun = Instant::now();
        let mut last_heard = begun;
        let mut message_begun: Option<Instant> = None;
        let mut stopping = false;
        loop {
            // What was read is worked off as long as the client takes the answers.
            while !outgoing.is_long()
                && let Some(frame) = framer.next_frame()?
            {
                if let Frame::Message(message) = frame {
                    self.received(&message).await?;
                }
            }
            message_begun = framer
                .is_inside_message()
                .then(|| message_begun.unwrap_or_else(Instant::now));
            self.flush().await?;
            let wait = self.time_left(begun, last_heard, message_begun)?;
            let guest = self.guest.as_ref();
            let sent_away = async {
                match guest {
                    Some(guest) => guest.sent_away().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sent_away => return Err(Ended::MadeRoom),
                read = reader.read(&mut bytes), if !outgoing.is_long() => {
                    let count = read?;
                    if count == 0 {
                        return Err(Ended::Closed);
                    }
                    last_heard = Instant::now();
                    framer.push(bytes.get(..count).unwrap_or_default());
                }
                told = outgoing.recv() => {
                    let mut told = told;
                    let mut close = false;
                    // Join what waits into one write.
                    loop {
                        match told {
                            Some(Outgoing::Message(message)) => self.queue_signed(message),
                            Some(Outgoing::Close) | None => { close = true; break; }
                        }
                        if self.buffer.len() >= WRITE_BATCH_BYTES {
                            break;
                        }
                        match outgoing.try_recv() {
                            Ok(next) => told = Some(next),
                            Err(mpsc::error::TryRecvError::Empty) => break,
                            Err(mpsc::error::TryRecvError::Disconnected) => { close = true; break; }
                        }
                    }
                    self.flush().await?;
                    if outgoing.is_drained() {
                        self.core.drained(self.id);
                    }
                    if close {
                        return Err(Ended::Told);
                    }
                }
                () = stopped(&mut stop), if !stopping => {
                    // The core tells every session good-bye and then to close.
                    stopping = true;
                    if self.signed_in.is_none() {
                        return Err(Ended::Told);
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// How long may pass before the next limit is reached.
    fn time_left(
        &self,
        begun: Instant,
        last_heard: Instant,
        message_begun: Option<Instant>,
    ) -> Result<Duration, Ended> {
        let left = |since: Instant, limit: Duration| limit.checked_sub(since.elapsed());
        let mut wait = left(last_heard, self.idle).ok_or(Ended::Idle)?;
        if self.signed_in.is_none() {
            let limit = Duration::from_secs(SIGN_IN_SECS);
            wait = wait.min(left(begun, limit).ok_or(Ended::NotSignedIn)?);
        }
        if let Some(since) = message_begun {
            let limit = Duration::from_secs(MESSAGE_SECS);
            wait = wait.min(left(since, limit).ok_or(Ended::SlowMessage)?);
        }
        Ok(wait)
    }

    async fn received(&mut self, message: &Message) -> Result<(), Ended> {
        if message.bytes().len() > self.shared.message_bytes_max {
            if message.is_request() && message.method() != Some(Method::Ack) {
                self.queue(OutMessage::response_to(message, 513, "Message Too Large"));
                self.flush().await?;
            }
            return Err(Ended::TooLarge);
        }
        if let Err(defect) = message.envelope() {
            // A defective response has nobody to be told; a request is refused with the defect.
            if message.is_request() && !matches!(message.method(), Some(Method::Ack)) {
                let reply = OutMessage::response_to(message, 400, &defect.to_string());
                self.queue(reply);
            }
            return Ok(());
        }
        if message.method() == Some(Method::Register) {
            return self.register(message).await;
        }
        match self.authenticator.verify(message) {
            Ok(()) if self.signed_in.is_some() => {
                metrics::counter!("lanyard_sip_messages_total").increment(1);
                self.core.handle(self.id, message);
                Ok(())
            }
            Ok(()) => {
                self.refuse_unsigned(message, VerifyError::NotEstablished);
                Ok(())
            }
            Err(error) => {
                self.refuse_unsigned(message, error);
                if error != VerifyError::NotEstablished {
                    self.bad_signatures = self.bad_signatures.saturating_add(1);
                }
                if self.bad_signatures > BAD_SIGNATURES_MAX {
                    self.flush().await?;
                    return Err(Ended::BadSignatures);
                }
                Ok(())
            }
        }
    }

    /// A message whose signature is missing or wrong does nothing but earn a refusal.
    fn refuse_unsigned(&mut self, message: &Message, error: VerifyError) {
        tracing::info!(connection = self.id.0, peer = %self.peer, %error, "message refused");
        metrics::counter!("lanyard_sip_refused_total").increment(1);
        // A response and an ACK are never answered.
        if !message.is_request() || message.method() == Some(Method::Ack) {
            return;
        }
        let reply = match error {
            VerifyError::NotEstablished | VerifyError::Unsigned => {
                self.authenticator.challenge(message)
            }
            _ => OutMessage::response_to(message, 403, "Forbidden").with(
                Name::MsDiagnostics,
                signin::diagnostics(4004, &error.to_string(), self.core.source()),
            ),
        };
        self.queue(reply);
    }

    async fn register(&mut self, message: &Message) -> Result<(), Ended> {
        match self.authenticator.register(Instant::now(), message) {
            Step::Challenge(reply) | Step::Continue(reply) => self.queue(reply),
            Step::Established { peer_chain } => self.established(message, peer_chain).await?,
            // The proof of the key is too old: it is asked for again, on the same connection.
            Step::Verified
                if self.proved_at.elapsed() > self.shared.association
                    && message.expires_secs() != Some(0) =>
            {
                self.queue(self.authenticator.challenge(message));
            }
            Step::Verified => match &self.signed_in {
                Some(signed_in) => {
                    if signin::gives_chat_key_up(message) {
                        signin::withdraw_chat_certificate(&self.shared, signed_in).await;
                    }
                    let registration = signed_in.registration(self.id);
                    self.core.register(&registration, message);
                }
                None => self.queue(self.authenticator.challenge(message)),
            },
            Step::Refused(refusal) => {
                tracing::info!(connection = self.id.0, peer = %self.peer, %refusal, "REGISTER refused");
                let reply = OutMessage::response_to(message, 403, "Forbidden").with(
                    Name::MsDiagnostics,
                    signin::diagnostics(4004, &refusal.to_string(), self.core.source()),
                );
                self.queue(reply);
                if self.authenticator.must_close() {
                    self.flush().await?;
                    return Err(Ended::BadSignatures);
                }
            }
            // The enum may grow; what is not known is not obeyed.
            _ => self.queue(self.authenticator.challenge(message)),
        }
        Ok(())
    }

    /// The security association stands: who is it, and may they come in?
    async fn established(
        &mut self,
        message: &Message,
        peer_chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    ) -> Result<(), Ended> {
        let before = self.signed_in.as_ref().map(|s| s.address().clone());
        let outcome = signin::admit(&self.shared, self.id, self.peer, message, peer_chain).await;
        match outcome {
            Ok(signed_in) if before.as_ref().is_none_or(|b| b == signed_in.address()) => {
                tracing::info!(connection = self.id.0, address = %signed_in.address(), "signed in");
                metrics::counter!("lanyard_sign_ins_total").increment(1);
                let registration: Registration = signed_in.registration(self.id);
                self.signed_in = Some(signed_in);
                self.guest = None;
                // [MS-CONMGMT] 3.1: whoever says so in the REGISTER gives signs of life.
                if message.header(Name::MsKeepAlive).is_some() {
                    self.idle = self.shared.idle.min(self.shared.promised);
                }
                self.proved_at = Instant::now();
                self.core.register(&registration, message);
                Ok(())
            }
            Ok(_) => {
                self.core.forget_session(self.id);
                self.refuse_sign_in(message, lanyard_fault::Fault::AddressNotOfCard)
                    .await
            }
            Err(fault) => {
                self.core.forget_session(self.id);
                self.refuse_sign_in(message, fault).await
            }
        }
    }

    async fn refuse_sign_in(
        &mut self,
        message: &Message,
        fault: lanyard_fault::Fault,
    ) -> Result<(), Ended> {
        tracing::info!(connection = self.id.0, peer = %self.peer, code = %fault.code(), "sign-in refused");
        metrics::counter!("lanyard_sign_ins_refused_total").increment(1);
        let text = format!("{} ({})", fault.sentence(), fault.code());
        let reply = OutMessage::response_to(message, 403, "Forbidden").with(
            Name::MsDiagnostics,
            signin::diagnostics(u32::from(fault.number()), &text, self.core.source()),
        );
        self.queue_signed(reply);
        self.flush().await?;
        Err(Ended::Told)
    }

    /// Queues an answer of this task: signed as soon as there is an association, but for the 401s
    /// that belong to a handshake.
    fn queue(&mut self, message: OutMessage) {
        if self.authenticator.is_established() && message.status() != Some(401) {
            self.queue_signed(message);
        } else {
            self.buffer.extend_from_slice(&message.to_bytes());
        }
    }

    fn queue_signed(&mut self, mut message: OutMessage) {
        match self.authenticator.sign(&mut message) {
            Ok(()) => self.buffer.extend_from_slice(&message.to_bytes()),
            Err(error) => {
                tracing::error!(connection = self.id.0, %error, "a message could not be signed");
            }
        }
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let write = async {
            self.writer.write_all(&self.buffer).await?;
            self.writer.flush().await
        };
        match tokio::time::timeout(Duration::from_secs(WRITE_SECS), write).await {
            Ok(result) => result?,
            Err(_) => return Err(Ended::SlowReader),
        }
        self.buffer.clear();
        // A burst must not keep its memory on a connection that is idle from now on.
        if self.buffer.capacity() > WRITE_BATCH_BYTES {
            self.buffer = Vec::new();
        }
        Ok(())
    }
}
