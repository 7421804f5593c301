// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a ticket says, and its binary form inside the seal.

use std::fmt;

use aws_lc_rs::rand;
use lanyard_x509::{Serial, Sid};
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::audience::Audience;
use super::keys::TicketKeyError;
use crate::Address;
use crate::trust::{PROOF_KEY_BYTES, ProofKey};

/// Names one ticket. Random; a single-use ticket is remembered by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TicketId(pub [u8; 16]);

impl TicketId {
    /// A fresh name.
    pub fn random() -> Result<Self, TicketKeyError> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).map_err(|_| TicketKeyError)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The version and variant bits stay as drawn: this is a name, not a UUID of a version.
        write!(f, "{}", Uuid::from_bytes(self.0))
    }
}

/// The four kinds of tickets. One is never taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TicketKind {
    /// From the federation endpoint to the passive endpoint, in a form post. Single use.
    PassiveToken,
    /// The cookie `RPSAuth` of the passive endpoint.
    Cookie,
    /// The SAML web ticket.
    WebTicket,
    /// The OAuth form `cwt=…`.
    Cwt,
}

impl TicketKind {
    pub(super) fn tag(self) -> u8 {
        match self {
            Self::PassiveToken => 1,
            Self::Cookie => 2,
            Self::WebTicket => 3,
            Self::Cwt => 4,
        }
    }
}

/// What the person showed to get the ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TicketSource {
    /// A card: the serial number of its certificate.
    Card {
        /// Serial number of the card certificate.
        serial: Serial,
    },
    /// A password.
    Password {
        /// Names the password and the permission to use it, as they were then: whoever opens the
        /// ticket compares it with what it would be now.
        epoch: CredentialEpoch,
    },
}

/// Names one state of a person's password; another password, or none, gives another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialEpoch(pub [u8; 16]);

/// The contents of a ticket that has passed the verifier.
#[derive(Debug)]
pub struct Claims {
    pub(super) id: TicketId,
    pub(super) account: Sid,
    pub(super) address: Address,
    pub(super) audience: Audience,
    pub(super) source: TicketSource,
    pub(super) issued: OffsetDateTime,
    pub(super) expires: OffsetDateTime,
    pub(super) proof_key: Option<ProofKey>,
}

impl Claims {
    /// The name of the ticket.
    #[must_use]
    pub fn id(&self) -> TicketId {
        self.id
    }

    /// The immutable account id.
    #[must_use]
    pub fn account(&self) -> &Sid {
        &self.account
    }

    /// The sign-in address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The service that the ticket is for.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// What the ticket was given for.
    #[must_use]
    pub fn source(&self) -> TicketSource {
        self.source
    }

    /// When it was issued.
    #[must_use]
    pub fn issued(&self) -> OffsetDateTime {
        self.issued
    }

    /// When it ends.
    #[must_use]
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }

    /// The key that whoever uses the ticket must prove to have.
    #[must_use]
    pub fn proof_key(&self) -> Option<&ProofKey> {
        self.proof_key.as_ref()
    }

    /// Binary form. Every field has its length or a fixed one, so that there is one reading.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        // Room for all at once: growing would leave copies of the proof key behind.
        let mut out = Zeroizing::new(Vec::with_capacity(ENCODED_ROOM_BYTES));
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.issued.unix_timestamp().to_be_bytes());
        out.extend_from_slice(&self.expires.unix_timestamp().to_be_bytes());
        match self.source {
            TicketSource::Password { epoch } => {
                out.push(SOURCE_PASSWORD);
                out.extend_from_slice(&epoch.0);
            }
            TicketSource::Card { serial } => {
                out.push(SOURCE_CARD);
                push_block(&mut out, serial.as_be_bytes());
            }
        }
        push_block(&mut out, self.account.as_str().as_bytes());
        push_block(&mut out, self.address.as_str().as_bytes());
        push_block(&mut out, self.audience.as_str().as_bytes());
        match &self.proof_key {
            None => out.push(PROOF_ABSENT),
            Some(key) => {
                out.push(PROOF_PRESENT);
                out.extend_from_slice(key.as_bytes());
            }
        }
        out
    }

    /// Reads the binary form; `None` when it is not exactly that.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let id = TicketId(take_array(&mut rest)?);
        let issued = take_time(&mut rest)?;
        let expires = take_time(&mut rest)?;
        let source = match take_array::<1>(&mut rest)? {
            [SOURCE_PASSWORD] => TicketSource::Password {
                epoch: CredentialEpoch(take_array(&mut rest)?),
            },
            [SOURCE_CARD] => TicketSource::Card {
                serial: Serial::from_be_bytes(take_block(&mut rest)?).ok()?,
            },
            _ => return None,
        };
        let account = take_text(&mut rest)?.parse().ok()?;
        let address = Address::parse(take_text(&mut rest)?).ok()?;
        let audience = Audience::from_url(take_text(&mut rest)?).ok()?;
        let proof_key = match take_array::<1>(&mut rest)? {
            [PROOF_ABSENT] => None,
            [PROOF_PRESENT] => Some(ProofKey::from_bytes(take_array(&mut rest)?)),
            _ => return None,
        };
        if !rest.is_empty() {
            return None;
        }
        Some(Self {
            id,
            account,
            address,
            audience,
            source,
            issued,
            expires,
            proof_key,
        })
    }
}

const SOURCE_PASSWORD: u8 = 0;
const SOURCE_CARD: u8 = 1;
const PROOF_ABSENT: u8 = 0;
const PROOF_PRESENT: u8 = 1;
/// More than the longest claims: audience, address and account id have limits of their own.
const ENCODED_ROOM_BYTES: usize = 2048 + PROOF_KEY_BYTES;

fn push_block(out: &mut Vec<u8>, block: &[u8]) {
    // All blocks are bounded far below 64 KiB by their types.
    let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(block.get(..usize::from(length)).unwrap_or(block));
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

fn take_time(rest: &mut &[u8]) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(i64::from_be_bytes(take_array(rest)?)).ok()
}

fn take_block<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = usize::from(u16::from_be_bytes(take_array(rest)?));
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

fn take_text<'b>(rest: &mut &'b [u8]) -> Option<&'b str> {
    std::str::from_utf8(take_block(rest)?).ok()
}
