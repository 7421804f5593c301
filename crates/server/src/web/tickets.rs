// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys that seal tickets, and the memory of those that may be used once.

use super::urls::{
    ADDRESS_BOOK_BEARER_PATH, CERT_PROV_PROOF_PATH, PASSIVE_AUTH_PATH, USER_PATH, Urls,
    WEB_TICKET_PATH,
};
use lanyard_soap::ticket::{
    Audience, AudienceError, Claims, Grant, OpaqueTicket, ReplayCache, ReplayError, SamlTicket,
    TicketError, TicketId, TicketIssueError, TicketKey, TicketKeyError, TicketKeyRing,
};
use lanyard_soap::trust::ProofKey;
use std::sync::{Mutex, PoisonError, RwLock};
use time::{Duration, OffsetDateTime};

/// A new sealing key is made this often; the ring keeps enough old ones for the longest ticket.
pub const KEY_ROTATION_HOURS: i64 = 4;
/// Passive tokens that are remembered as used.
const TOKENS_MAX: usize = 65_536;
/// Proofs of possession that are remembered as used.
const PROOFS_MAX: usize = 65_536;

/// The services that a ticket can be for.
#[derive(Debug, Clone)]
pub struct Audiences {
    /// The passive endpoint: takes the federation's token.
    pub passive: Audience,
    /// The ticket service: takes the cookie.
    pub cookie: Audience,
    /// Certificate provisioning.
    pub provisioning: Audience,
    /// The autodiscover user document.
    pub user: Audience,
    /// The address book.
    pub address_book: Audience,
}

impl Audiences {
    /// The services at these addresses.
    ///
    /// # Errors
    /// The host name makes no address.
    pub fn new(urls: &Urls) -> Result<Self, AudienceError> {
        Ok(Self {
            passive: Audience::from_url(&urls.https(PASSIVE_AUTH_PATH))?,
            cookie: Audience::from_url(&urls.https(WEB_TICKET_PATH))?,
            provisioning: Audience::from_url(&urls.https(CERT_PROV_PROOF_PATH))?,
            user: Audience::from_url(&urls.https(USER_PATH))?,
            address_book: Audience::from_url(&urls.https(ADDRESS_BOOK_BEARER_PATH))?,
        })
    }

    /// The service that a ticket request names; `None` for one that is not here.
    #[must_use]
    pub fn of_request(&self, applies_to: &str) -> Option<Audience> {
        let asked = Audience::from_url(applies_to).ok()?;
        [&self.provisioning, &self.user, &self.address_book]
            .into_iter()
            .find(|known| **known == asked)
            .cloned()
    }
}

/// Why no ticket came of it.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No random numbers.
    #[error(transparent)]
    Key(#[from] TicketKeyError),
    /// The ticket could not be made.
    #[error(transparent)]
    Issue(#[from] TicketIssueError),
}

/// Seals and opens tickets, and remembers the ones that are used up.
#[derive(Debug)]
pub struct Tickets {
    ring: RwLock<(TicketKeyRing, OffsetDateTime)>,
    tokens: Mutex<ReplayCache<[u8; 16]>>,
    proofs: Mutex<ReplayCache<lanyard_soap::certprov::ReplayKey>>,
}

impl Tickets {
    /// A fresh ring: tickets of an earlier run of the server open nothing.
    ///
    /// # Errors
    /// No random numbers.
    pub fn new(now: OffsetDateTime) -> Result<Self, TicketKeyError> {
        let ring = TicketKeyRing::new(TicketKey::random()?);
        Ok(Self {
            ring: RwLock::new((ring, now)),
            tokens: Mutex::new(ReplayCache::with_capacity(TOKENS_MAX)),
            proofs: Mutex::new(ReplayCache::with_capacity(PROOFS_MAX)),
        })
    }

    /// The token that the federation endpoint posts.
    ///
    /// # Errors
    /// It could not be made.
    pub fn passive_token(&self, grant: &Grant, issuer: &str) -> Result<SamlTicket, SealError> {
        let now = self.rotated()?;
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        Ok(ring
            .0
            .issuer()
            .passive_token(grant, issuer, TicketId::random()?, now)?)
    }

    /// The cookie of the passive endpoint.
    ///
    /// # Errors
    /// It could not be made.
    pub fn cookie(&self, grant: &Grant) -> Result<OpaqueTicket, SealError> {
        let now = self.rotated()?;
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        Ok(ring.0.issuer().cookie(grant, TicketId::random()?, now)?)
    }

    /// The SAML web ticket.
    ///
    /// # Errors
    /// It could not be made.
    pub fn web_ticket(
        &self,
        grant: &Grant,
        proof: Option<&ProofKey>,
        issuer: &str,
    ) -> Result<SamlTicket, SealError> {
        let now = self.rotated()?;
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        Ok(ring
            .0
            .issuer()
            .web_ticket(grant, proof, issuer, TicketId::random()?, now)?)
    }

    /// The OAuth form.
    ///
    /// # Errors
    /// It could not be made.
    pub fn cwt(&self, grant: &Grant) -> Result<OpaqueTicket, SealError> {
        let now = self.rotated()?;
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        Ok(ring.0.issuer().cwt(grant, TicketId::random()?, now)?)
    }

    /// Opens a ticket.
    ///
    /// # Errors
    /// It is not good, or not for this.
    pub fn open<T>(
        &self,
        opener: impl FnOnce(
            &lanyard_soap::ticket::TicketVerifier<'_>,
            OffsetDateTime,
        ) -> Result<T, TicketError>,
    ) -> Result<T, TicketError> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        opener(&ring.0.verifier(), OffsetDateTime::now_utc())
    }

    /// Uses a passive token up.
    ///
    /// # Errors
    /// It was used before.
    pub fn use_token(&self, claims: &Claims) -> Result<(), ReplayError> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.use_once(claims.id().0, claims.expires(), OffsetDateTime::now_utc())
    }

    /// Uses a proof of possession up.
    ///
    /// # Errors
    /// It was used before.
    pub fn use_proof(
        &self,
        key: lanyard_soap::certprov::ReplayKey,
        expires: OffsetDateTime,
    ) -> Result<(), ReplayError> {
        let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        proofs.use_once(key, expires, OffsetDateTime::now_utc())
    }

    /// Makes a new key when it is time, and says what time it is.
    fn rotated(&self) -> Result<OffsetDateTime, TicketKeyError> {
        let now = OffsetDateTime::now_utc();
        let old = {
            let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
            now - ring.1 >= Duration::hours(KEY_ROTATION_HOURS)
        };
        if old {
            let next = TicketKey::random()?;
            let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            if now - ring.1 >= Duration::hours(KEY_ROTATION_HOURS) {
                ring.0.rotate(next);
                ring.1 = now;
            }
        }
        Ok(now)
    }
}
