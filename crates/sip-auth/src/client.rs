// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client's side of one connection.
//!
//! 1. Send a REGISTER without Authorization; read the 401 with [`Challenge::of`]; get a certificate
//!    from its `sts_uri` when there is none.
//! 2. [`Authenticator::begin`]; then, until it is established: put the Authorization into the next
//!    REGISTER with [`Authenticator::authorize`], send it, give the 401 to
//!    [`Authenticator::challenged`].
//! 3. Every response to a signed request, and every request of the server, goes to
//!    [`Authenticator::verify`]; the first that verifies establishes the association. What is sent
//!    goes through [`Authenticator::sign`].
//!
//! Re-authentication on the same connection is the same again with the same value.

use std::fmt;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_sip::{AuthParams, AuthValue, Headers, Message, Name, OutMessage};
use rustls::pki_types::CertificateDer;

use crate::association::{Names, Role, SecurityAssociation, SignError, VerifyError, proof_of};
use crate::inner::{InnerConnector, InnerTls, InnerTlsError};
use crate::limits::{HANDSHAKE_BYTES_MAX, HANDSHAKE_ROUNDS_MAX, HANDSHAKE_TIME_MAX};
use crate::{SCHEME, VERSION};

/// Why the client cannot go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The message is no 401 with our scheme.
    #[error("server does not offer certificate sign-in")]
    SchemeNotOffered,
    /// The challenge lacks realm or server name, or is of another version.
    #[error("malformed challenge")]
    Challenge,
    /// The handshake data is missing or no base64.
    #[error("malformed handshake data")]
    HandshakeData,
    /// The server began another handshake, or asks again after the last step: it refuses us.
    #[error("server does not accept the handshake")]
    NotAccepted,
    /// No handshake is under way.
    #[error("no handshake is under way")]
    NotBegun,
    /// The server's next step has not come yet.
    #[error("handshake waits for the server")]
    Waiting,
    /// The handshake took in too many flights.
    #[error("handshake took more than {HANDSHAKE_ROUNDS_MAX} rounds")]
    TooManyRounds,
    /// The handshake took in too many bytes.
    #[error("handshake took more than {HANDSHAKE_BYTES_MAX} bytes")]
    TooManyBytes,
    /// The handshake took too long.
    #[error("handshake took too long")]
    TooSlow,
    /// The TLS inside failed: the server's certificate, for example.
    #[error("inner handshake failed")]
    Handshake(#[source] InnerTlsError),
    /// The last REGISTER could not be signed.
    #[error("message cannot be signed")]
    Sign(#[source] SignError),
}

/// What a server's 401 asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The realm.
    pub realm: String,
    /// The server's name in the association.
    pub targetname: String,
    /// Where certificates come from; some servers leave it out.
    pub sts_uri: Option<String>,
}

impl Challenge {
    /// Reads the challenge of our scheme from a 401.
    ///
    /// # Errors
    /// When it offers no such scheme, or the challenge is malformed.
    pub fn of(response: &Message) -> Result<Challenge, ClientError> {
        let auth = challenge_of(response)?;
        if auth
            .get("version")
            .is_some_and(|v| v != VERSION.to_string())
        {
            return Err(ClientError::Challenge);
        }
        let text = |name| {
            auth.get(name)
                .filter(|v| !v.is_empty() && !v.contains(['"', '\\']))
                .map(str::to_owned)
        };
        Ok(Challenge {
            realm: text("realm").ok_or(ClientError::Challenge)?,
            targetname: text("targetname").ok_or(ClientError::Challenge)?,
            sts_uri: text("sts-uri"),
        })
    }
}

/// Authentication on one connection.
#[derive(Debug, Default)]
pub struct Authenticator {
    pending: Pending,
    association: Option<SecurityAssociation>,
    peer_chain: Vec<CertificateDer<'static>>,
}

#[derive(Default)]
enum Pending {
    #[default]
    None,
    Handshake(Handshake),
    /// The handshake is over. The server has not shown yet that it holds the keys.
    Proof {
        association: Box<SecurityAssociation>,
        /// The REGISTER that shows our keys is on its way: the server will have them in force
        /// before it reads what is sent next.
        shown: bool,
    },
}

struct Handshake {
    realm: String,
    targetname: String,
    inner: Box<dyn InnerTls>,
    opaque: Option<String>,
    flight: Option<Vec<u8>>,
    begun: Instant,
    rounds: u32,
    bytes: usize,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pending::None => "None",
            Pending::Handshake(_) => "Handshake(..)",
            Pending::Proof { .. } => "Proof(..)",
        })
    }
}

impl Authenticator {
    /// For a new connection.
    #[must_use]
    pub fn new() -> Authenticator {
        Authenticator::default()
    }

    /// Begins a handshake. An association that was established before stays in use meanwhile.
    ///
    /// # Errors
    /// When TLS cannot begin.
    pub fn begin(
        &mut self,
        now: Instant,
        challenge: &Challenge,
        connector: &dyn InnerConnector,
    ) -> Result<(), ClientError> {
        let mut inner = connector.connect().map_err(ClientError::Handshake)?;
        let flight = inner.step(&[]).map_err(ClientError::Handshake)?;
        self.pending = Pending::Handshake(Handshake {
            realm: challenge.realm.clone(),
            targetname: challenge.targetname.clone(),
            inner,
            opaque: None,
            flight: Some(flight),
            begun: now,
            rounds: 0,
            bytes: 0,
        });
        Ok(())
    }

    /// Puts the next step of the handshake into the next REGISTER, or after the last step its
    /// signature.
    ///
    /// # Errors
    /// When no handshake is under way or it waits for the server.
    pub fn authorize(&mut self, register: &mut OutMessage) -> Result<(), ClientError> {
        match &mut self.pending {
            Pending::None => Err(ClientError::NotBegun),
            Pending::Handshake(handshake) => {
                let flight = handshake.flight.take().ok_or(ClientError::Waiting)?;
                let mut value = AuthValue::new(SCHEME).quoted("qop", "auth");
                if let Some(opaque) = &handshake.opaque {
                    value = value.quoted("opaque", opaque);
                }
                let value = value
                    .quoted("realm", &handshake.realm)
                    .quoted("targetname", &handshake.targetname)
                    .quoted("gssapi-data", &STANDARD.encode(&flight))
                    .number("version", VERSION);
                register.set(Name::Authorization, value.finish());
                Ok(())
            }
            Pending::Proof { association, shown } => {
                // The old association may have been used while the handshake went on.
                if let Some(old) = &self.association {
                    association.continue_from(old);
                }
                association.sign(register).map_err(ClientError::Sign)?;
                *shown = true;
                Ok(())
            }
        }
    }

    /// Takes the 401 that answers a step of the handshake.
    ///
    /// # Errors
    /// Why the handshake failed; it is over then.
    pub fn challenged(&mut self, now: Instant, response: &Message) -> Result<(), ClientError> {
        let handshake = match std::mem::take(&mut self.pending) {
            Pending::Handshake(handshake) => handshake,
            Pending::Proof { .. } => return Err(ClientError::NotAccepted),
            Pending::None => return Err(ClientError::NotBegun),
        };
        let (pending, chain) = advance(now, handshake, response, self.association.as_ref())?;
        self.pending = pending;
        if let Some(chain) = chain {
            self.peer_chain = chain;
        }
        Ok(())
    }

    /// Checks the signature of a received message. The first one that verifies under a new
    /// association puts it into force.
    ///
    /// # Errors
    /// Why the message must not be believed.
    pub fn verify(&mut self, message: &Message) -> Result<(), VerifyError> {
        if let Pending::Proof { association, .. } = &mut self.pending {
            let opaque = proof_of(Role::Client, message)?
                .get("opaque")
                .map(str::to_owned);
            if opaque.as_deref() == Some(association.opaque()) {
                if let Some(old) = &self.association {
                    association.continue_from(old);
                }
                association.verify(message)?;
                if let Pending::Proof { association, .. } = std::mem::take(&mut self.pending) {
                    self.association = Some(*association);
                }
                return Ok(());
            }
        }
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
        if let Pending::Proof {
            association,
            shown: true,
        } = &mut self.pending
        {
            return association.sign(message);
        }
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

    /// The server's certificates of the last handshake, its own first.
    #[must_use]
    pub fn peer_chain(&self) -> &[CertificateDer<'static>] {
        &self.peer_chain
    }
}

type Advanced = (Pending, Option<Vec<CertificateDer<'static>>>);

fn advance(
    now: Instant,
    mut handshake: Handshake,
    response: &Message,
    old: Option<&SecurityAssociation>,
) -> Result<Advanced, ClientError> {
    if now.saturating_duration_since(handshake.begun) > HANDSHAKE_TIME_MAX {
        return Err(ClientError::TooSlow);
    }
    let auth = challenge_of(response)?;
    let data = auth.get("gssapi-data").ok_or(ClientError::NotAccepted)?;
    let opaque = auth
        .get("opaque")
        .filter(|v| !v.is_empty() && !v.contains(['"', '\\']));
    let opaque = opaque.ok_or(ClientError::Challenge)?;
    if handshake
        .opaque
        .as_deref()
        .is_some_and(|known| known != opaque)
    {
        return Err(ClientError::NotAccepted);
    }
    if data.len() / 4 > HANDSHAKE_BYTES_MAX / 3 {
        return Err(ClientError::TooManyBytes);
    }
    let flight = STANDARD
        .decode(data)
        .map_err(|_| ClientError::HandshakeData)?;
    handshake.opaque = Some(opaque.to_owned());
    handshake.rounds = handshake.rounds.saturating_add(1);
    handshake.bytes = handshake.bytes.saturating_add(flight.len());
    if handshake.rounds > HANDSHAKE_ROUNDS_MAX {
        return Err(ClientError::TooManyRounds);
    }
    if handshake.bytes > HANDSHAKE_BYTES_MAX {
        return Err(ClientError::TooManyBytes);
    }
    let next = handshake
        .inner
        .step(&flight)
        .map_err(ClientError::Handshake)?;
    if !handshake.inner.is_finished() {
        handshake.flight = Some(next);
        return Ok((Pending::Handshake(handshake), None));
    }
    let finished = handshake.inner.finish().map_err(ClientError::Handshake)?;
    let names = Names {
        opaque: opaque.to_owned(),
        realm: handshake.realm,
        targetname: handshake.targetname,
    };
    let mut association = SecurityAssociation::of_names(Role::Client, &finished.keys, names);
    if let Some(old) = old {
        association.continue_from(old);
    }
    let association = Box::new(association);
    Ok((
        Pending::Proof {
            association,
            shown: false,
        },
        Some(finished.peer_chain),
    ))
}

fn challenge_of(response: &Message) -> Result<AuthParams<'_>, ClientError> {
    if response.status() != Some(401) {
        return Err(ClientError::SchemeNotOffered);
    }
    let mut ours = response.challenges().filter(|auth| auth.is_scheme(SCHEME));
    ours.next().ok_or(ClientError::SchemeNotOffered)
}
