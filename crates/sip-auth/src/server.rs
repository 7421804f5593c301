// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server's side of one connection.
//!
//! REGISTER requests go to [`Authenticator::register`]; every other request and every response to
//! [`Authenticator::verify`]. What is sent goes through [`Authenticator::sign`], but for the 401
//! answers that this type makes itself: they are unsigned.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_sip::{AuthError, AuthParams, AuthValue, Headers, Message, Name, OutMessage};
use rustls::pki_types::CertificateDer;

use crate::association::{Names, Role, SecurityAssociation, SignError, VerifyError};
use crate::inner::{InnerAcceptor, InnerTls, InnerTlsError};
use crate::limits::{
    FAILED_HANDSHAKES_MAX, HANDSHAKE_BYTES_MAX, HANDSHAKE_ROUNDS_MAX, HANDSHAKE_TIME_MAX,
    HANDSHAKES_BEGUN_MAX, HANDSHAKES_WINDOW,
};
use crate::{REALM, SCHEME, VERSION};

/// What all connections of a server share.
pub struct Settings {
    /// The server's name in associations: its host name.
    pub targetname: String,
    /// Where clients get their certificates from.
    pub sts_uri: String,
    /// The TLS inside.
    pub acceptor: Box<dyn InnerAcceptor>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("targetname", &self.targetname)
            .field("sts_uri", &self.sts_uri)
            .finish_non_exhaustive()
    }
}

/// Why a REGISTER was refused. The handshake that was under way, if any, is over; an association
/// that was established before stays.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The Authorization header cannot be read.
    #[error("malformed Authorization header")]
    Malformed(#[source] AuthError),
    /// `gssapi-data` is empty or no base64.
    #[error("malformed handshake data")]
    HandshakeData,
    /// The client signs by a version that is not ours.
    #[error("client does not speak version {VERSION} of the scheme")]
    Version,
    /// The client names an association or handshake that this connection does not have.
    #[error("unknown security association")]
    UnknownAssociation,
    /// The handshake took in too many flights.
    #[error("handshake took more than {HANDSHAKE_ROUNDS_MAX} rounds")]
    TooManyRounds,
    /// The handshake took in too many bytes.
    #[error("handshake took more than {HANDSHAKE_BYTES_MAX} bytes")]
    TooManyBytes,
    /// The handshake took too long.
    #[error("handshake took too long")]
    TooSlow,
    /// Too many handshakes began in a short time.
    #[error("more than {HANDSHAKES_BEGUN_MAX} handshakes in {} seconds", HANDSHAKES_WINDOW.as_secs())]
    TooManyHandshakes,
    /// Too many handshakes failed on this connection.
    #[error("more than {FAILED_HANDSHAKES_MAX} handshakes failed")]
    TooManyFailures,
    /// The TLS inside failed.
    #[error("inner handshake failed")]
    Handshake(#[source] InnerTlsError),
    /// The signature of the REGISTER was refused.
    #[error("signature refused")]
    Signature(#[source] VerifyError),
}

/// What a REGISTER leads to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// Send this 401, unsigned: the client must begin a handshake.
    Challenge(OutMessage),
    /// Send this 401, unsigned: the handshake goes on.
    Continue(OutMessage),
    /// The client has proven its key and signed this REGISTER: who it is follows from the chain.
    /// On a connection that was established before, it must be the same person as then.
    Established {
        /// The client's certificates, its own first.
        peer_chain: Vec<CertificateDer<'static>>,
    },
    /// The REGISTER is signed within the association: a refresh or a sign-out.
    Verified,
    /// The REGISTER must not be obeyed; see [`Authenticator::must_close`].
    Refused(Refusal),
}

/// Authentication on one connection.
#[derive(Debug)]
pub struct Authenticator {
    settings: Arc<Settings>,
    /// Random per connection: makes the names of its associations unlike all others.
    seed: [u8; 8],
    handshakes: u32,
    /// When the latest ones began.
    begun: VecDeque<Instant>,
    failures: u32,
    pending: Pending,
    association: Option<SecurityAssociation>,
}

enum Pending {
    None,
    Handshake {
        opaque: String,
        inner: Box<dyn InnerTls>,
        begun: Instant,
        rounds: u32,
        bytes: usize,
    },
    /// The handshake is over; the REGISTER that shows its keys is awaited.
    Proof {
        association: Box<SecurityAssociation>,
        peer_chain: Vec<CertificateDer<'static>>,
        begun: Instant,
    },
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pending::None => "None",
            Pending::Handshake { .. } => "Handshake(..)",
            Pending::Proof { .. } => "Proof(..)",
        })
    }
}

impl Authenticator {
    /// For a new connection. `seed` must be random.
    #[must_use]
    pub fn new(settings: Arc<Settings>, seed: [u8; 8]) -> Authenticator {
        Authenticator {
            settings,
            seed,
            handshakes: 0,
            begun: VecDeque::new(),
            failures: 0,
            pending: Pending::None,
            association: None,
        }
    }

    /// Takes a REGISTER request.
    pub fn register(&mut self, now: Instant, request: &Message) -> Step {
        if self.must_close() {
            return Step::Refused(Refusal::TooManyFailures);
        }
        match self.advance(now, request) {
            Ok(step) => step,
            Err(refusal) => {
                self.failures = self.failures.saturating_add(1);
                self.pending = Pending::None;
                Step::Refused(refusal)
            }
        }
    }

    /// Checks the signature of a request that is no REGISTER, or of a response.
    ///
    /// # Errors
    /// Why the message must not be obeyed.
    pub fn verify(&mut self, message: &Message) -> Result<(), VerifyError> {
        self.association
            .as_mut()
            .ok_or(VerifyError::NotEstablished)?
            .verify(message)
    }

    /// Signs a message that is about to be sent. It must not be changed afterwards.
    ///
    /// # Errors
    /// When there is no association yet, or the message cannot be signed.
    pub fn sign(&mut self, message: &mut OutMessage) -> Result<(), SignError> {
        self.association
            .as_mut()
            .ok_or(SignError::NotEstablished)?
            .sign(message)
    }

    /// True when messages can be signed and verified.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.association.is_some()
    }

    /// True when so many handshakes failed that the connection should be closed.
    #[must_use]
    pub fn must_close(&self) -> bool {
        self.failures > FAILED_HANDSHAKES_MAX
    }

    /// A 401 that asks for a handshake, also for a request other than REGISTER that comes before.
    #[must_use]
    pub fn challenge(&self, request: &Message) -> OutMessage {
        let value = AuthValue::new(SCHEME)
            .quoted("realm", REALM)
            .quoted("targetname", &self.settings.targetname)
            .number("version", VERSION)
            .quoted("sts-uri", &self.settings.sts_uri);
        self.unauthorized(request)
            .with(Name::WwwAuthenticate, value.finish())
    }

    fn advance(&mut self, now: Instant, request: &Message) -> Result<Step, Refusal> {
        let auth = match request.authorization() {
            None => return Ok(Step::Challenge(self.challenge(request))),
            Some(auth) => auth.map_err(Refusal::Malformed)?,
        };
        if !auth.is_scheme(SCHEME) {
            // Another scheme was not offered: offer ours again.
            return Ok(Step::Challenge(self.challenge(request)));
        }
        match auth.get("gssapi-data") {
            Some(data) => self.handshake(now, request, &auth, data),
            None => self.proof(now, request, &auth),
        }
    }

    fn handshake(
        &mut self,
        now: Instant,
        request: &Message,
        auth: &AuthParams<'_>,
        data: &str,
    ) -> Result<Step, Refusal> {
        if auth
            .get("version")
            .is_some_and(|v| v != VERSION.to_string())
        {
            return Err(Refusal::Version);
        }
        // Checked before decoding: what is refused must not cost more than reading it.
        if data.len() / 4 > HANDSHAKE_BYTES_MAX / 3 {
            return Err(Refusal::TooManyBytes);
        }
        let flight = STANDARD
            .decode(data)
            .ok()
            .filter(|flight| !flight.is_empty());
        let flight = flight.ok_or(Refusal::HandshakeData)?;
        if auth.get("opaque").is_none() {
            self.begin(now, &flight)?;
        }
        let Pending::Handshake {
            opaque,
            mut inner,
            begun,
            rounds,
            bytes,
        } = std::mem::replace(&mut self.pending, Pending::None)
        else {
            return Err(Refusal::UnknownAssociation);
        };
        if auth.get("opaque").is_some_and(|named| named != opaque) {
            return Err(Refusal::UnknownAssociation);
        }
        let rounds = rounds.saturating_add(1);
        let bytes = bytes.saturating_add(flight.len());
        check_limits(now, begun, rounds, bytes)?;
        let answer = inner.step(&flight).map_err(Refusal::Handshake)?;
        let value = AuthValue::new(SCHEME)
            .quoted("opaque", &opaque)
            .quoted("gssapi-data", &STANDARD.encode(&answer))
            .quoted("targetname", &self.settings.targetname)
            .quoted("realm", REALM)
            .number("version", VERSION);
        if inner.is_finished() {
            let names = Names {
                opaque,
                realm: REALM.to_owned(),
                targetname: self.settings.targetname.clone(),
            };
            let finished = inner.finish().map_err(Refusal::Handshake)?;
            let mut association =
                SecurityAssociation::of_names(Role::Server, &finished.keys, names);
            if let Some(old) = &self.association {
                association.continue_from(old);
            }
            let (association, peer_chain) = (Box::new(association), finished.peer_chain);
            self.pending = Pending::Proof {
                association,
                peer_chain,
                begun,
            };
        } else {
            self.pending = Pending::Handshake {
                opaque,
                inner,
                begun,
                rounds,
                bytes,
            };
        }
        let answer = self
            .unauthorized(request)
            .with(Name::WwwAuthenticate, value.finish());
        Ok(Step::Continue(answer))
    }

    fn begin(&mut self, now: Instant, client_hello: &[u8]) -> Result<(), Refusal> {
        let is_old = |begun: &Instant| now.saturating_duration_since(*begun) >= HANDSHAKES_WINDOW;
        while self.begun.front().is_some_and(is_old) {
            self.begun.pop_front();
        }
        if self.begun.len() >= HANDSHAKES_BEGUN_MAX {
            return Err(Refusal::TooManyHandshakes);
        }
        self.begun.push_back(now);
        let inner = self
            .settings
            .acceptor
            .accept(client_hello)
            .map_err(Refusal::Handshake)?;
        self.handshakes = self.handshakes.wrapping_add(1);
        let opaque = format!("{}{:08X}", hex::encode_upper(self.seed), self.handshakes);
        self.pending = Pending::Handshake {
            opaque,
            inner,
            begun: now,
            rounds: 0,
            bytes: 0,
        };
        Ok(())
    }

    fn proof(
        &mut self,
        now: Instant,
        request: &Message,
        auth: &AuthParams<'_>,
    ) -> Result<Step, Refusal> {
        let named = auth.get("opaque");
        match std::mem::replace(&mut self.pending, Pending::None) {
            Pending::Proof {
                mut association,
                peer_chain,
                begun,
            } if named == Some(association.opaque()) => {
                // The old association may have been used while the handshake went on.
                if let Some(old) = &self.association {
                    association.continue_from(old);
                }
                check_limits(now, begun, 0, 0)?;
                association.verify(request).map_err(Refusal::Signature)?;
                self.failures = 0;
                self.association = Some(*association);
                Ok(Step::Established { peer_chain })
            }
            pending => {
                self.pending = pending;
                let association = self
                    .association
                    .as_mut()
                    .ok_or(Refusal::UnknownAssociation)?;
                // No handshake failed here, so nothing is counted.
                Ok(match association.verify(request) {
                    Ok(()) => Step::Verified,
                    Err(error) => Step::Refused(Refusal::Signature(error)),
                })
            }
        }
    }

    fn unauthorized(&self, request: &Message) -> OutMessage {
        OutMessage::response_to(request, 401, "Unauthorized")
            .with_to_tag(&hex::encode_upper(self.seed))
    }
}

fn check_limits(now: Instant, begun: Instant, rounds: u32, bytes: usize) -> Result<(), Refusal> {
    if now.saturating_duration_since(begun) > HANDSHAKE_TIME_MAX {
        return Err(Refusal::TooSlow);
    }
    if rounds > HANDSHAKE_ROUNDS_MAX {
        return Err(Refusal::TooManyRounds);
    }
    if bytes > HANDSHAKE_BYTES_MAX {
        return Err(Refusal::TooManyBytes);
    }
    Ok(())
}
