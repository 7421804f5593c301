// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening tickets.

use time::{Duration, OffsetDateTime};

use super::audience::Audience;
use super::claims::{Claims, TicketKind};
use super::keys::TicketKeyRing;
use super::{assertion, seal};
use crate::encoding;

/// How far the clocks of two machines of one deployment may differ when a ticket begins.
pub const TICKET_SKEW_SECS: i64 = 60;

/// Why a ticket is not accepted.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It is not a ticket, or somebody changed it.
    #[error("the ticket is damaged")]
    Damaged,
    /// The key that sealed it is not known (any more).
    #[error("the key of the ticket is not known any more")]
    UnknownKey,
    /// It is a ticket of another kind.
    #[error("the ticket is of another kind")]
    WrongKind,
    /// It is for another service.
    #[error("the ticket is for another service")]
    WrongAudience,
    /// It has ended.
    #[error("the ticket has expired")]
    Expired,
    /// It has not begun.
    #[error("the ticket is not valid yet")]
    NotYetValid,
}

/// Opens tickets with the keys of a ring.
#[derive(Debug, Clone, Copy)]
pub struct TicketVerifier<'k> {
    ring: &'k TicketKeyRing,
}

impl<'k> TicketVerifier<'k> {
    pub(super) fn new(ring: &'k TicketKeyRing) -> Self {
        Self { ring }
    }

    /// Opens the token of the federation endpoint. Single use is the caller's duty: remember
    /// [`Claims::id`] in a [`super::ReplayCache`] until [`Claims::expires`].
    pub fn passive_token(
        &self,
        assertion: &str,
        audience: &Audience,
        now: OffsetDateTime,
    ) -> Result<Claims, TicketError> {
        self.saml(TicketKind::PassiveToken, assertion, audience, now)
    }

    /// Opens the value of the cookie.
    pub fn cookie(
        &self,
        value: &str,
        audience: &Audience,
        now: OffsetDateTime,
    ) -> Result<Claims, TicketError> {
        self.opaque(TicketKind::Cookie, value, audience, now)
    }

    /// Opens a web ticket from the assertion as it was received. When the claims have a proof
    /// key, the ticket alone is not enough where a proof is asked for.
    pub fn web_ticket(
        &self,
        assertion: &str,
        audience: &Audience,
        now: OffsetDateTime,
    ) -> Result<Claims, TicketError> {
        self.saml(TicketKind::WebTicket, assertion, audience, now)
    }

    /// Opens an OAuth ticket; `cwt=` before it may stand or be missing.
    pub fn cwt(
        &self,
        value: &str,
        audience: &Audience,
        now: OffsetDateTime,
    ) -> Result<Claims, TicketError> {
        self.opaque(
            TicketKind::Cwt,
            value.strip_prefix("cwt=").unwrap_or(value),
            audience,
            now,
        )
    }

    fn saml(
        &self,
        kind: TicketKind,
        text: &str,
        audience: &Audience,
        now: OffsetDateTime,
    ) -> Result<Claims, TicketError> {
        let (before, sealed, after) = assertion::split(text).ok_or(TicketError::Damaged)?;
        check(
            seal::open(self.ring, kind, &sealed, (before, after))?,
            audience,
            now,
        )
    }

    fn opaque(
        &self,
        kind: TicketKind,
        value: &str,
        audience: &Audience,
        now: OffsetDateTime,
    ) -> Result<Claims, TicketError> {
        if value.len() > seal::SEALED_BYTES_MAX * 2 {
            return Err(TicketError::Damaged);
        }
        let sealed = encoding::from_base64_url(value).ok_or(TicketError::Damaged)?;
        check(
            seal::open(self.ring, kind, &sealed, ("", ""))?,
            audience,
            now,
        )
    }
}

fn check(claims: Claims, audience: &Audience, now: OffsetDateTime) -> Result<Claims, TicketError> {
    if claims.audience != *audience {
        return Err(TicketError::WrongAudience);
    }
    if now >= claims.expires {
        return Err(TicketError::Expired);
    }
    if now.saturating_add(Duration::seconds(TICKET_SKEW_SECS)) < claims.issued {
        return Err(TicketError::NotYetValid);
    }
    Ok(claims)
}

#[cfg(test)]
#[path = "ticket_tests.rs"]
mod tests;
