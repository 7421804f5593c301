// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making tickets.

use std::fmt;

use lanyard_x509::Sid;
use time::{Duration, OffsetDateTime};

use super::assertion::{self, SamlTicket};
use super::audience::Audience;
use super::claims::{Claims, TicketId, TicketKind, TicketSource};
use super::keys::TicketKey;
use super::seal;
use crate::trust::ProofKey;
use crate::{Address, encoding, stamp};

/// Longest life of a ticket: eight hours, whatever policy says.
pub const TICKET_SECS_MAX: i64 = 8 * 60 * 60;
/// Longest life of the token between federation and passive endpoint.
pub const PASSIVE_TOKEN_SECS_MAX: i64 = 120;

/// What a ticket shall say. Whoever fills this in has checked that it is true.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The immutable account id.
    pub account: Sid,
    /// The sign-in address.
    pub address: Address,
    /// The service that the ticket is for.
    pub audience: Audience,
    /// What the person showed.
    pub source: TicketSource,
    /// How long the ticket shall live, within the limits of its kind.
    pub lifetime: Duration,
}

/// Why no ticket was made.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketIssueError {
    /// The lifetime is not above zero.
    #[error("a ticket lives for more than nothing")]
    Lifetime,
    /// The cryptographic library refused.
    #[error("the ticket could not be sealed")]
    Cryptography,
}

/// A ticket as one opaque word: the cookie, or what follows `cwt=`.
#[derive(Clone, PartialEq, Eq)]
pub struct OpaqueTicket {
    value: String,
    expires: OffsetDateTime,
}

impl OpaqueTicket {
    /// The word. It has only letters, digits, `-` and `_`.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// When it ends.
    #[must_use]
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }
}

impl fmt::Debug for OpaqueTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpaqueTicket(.., until {})", stamp::write(self.expires))
    }
}

/// Makes tickets with the current key.
#[derive(Debug, Clone, Copy)]
pub struct TicketIssuer<'k> {
    key: &'k TicketKey,
}

impl<'k> TicketIssuer<'k> {
    pub(super) fn new(key: &'k TicketKey) -> Self {
        Self { key }
    }

    /// The token that the federation endpoint posts to the passive endpoint. It lives at most
    /// two minutes; whoever takes it must remember its id until then.
    pub fn passive_token(
        &self,
        grant: &Grant,
        issuer: &str,
        id: TicketId,
        now: OffsetDateTime,
    ) -> Result<SamlTicket, TicketIssueError> {
        let claims = claims(grant, None, id, now, PASSIVE_TOKEN_SECS_MAX)?;
        self.saml(TicketKind::PassiveToken, &claims, issuer)
    }

    /// The cookie of the passive endpoint.
    pub fn cookie(
        &self,
        grant: &Grant,
        id: TicketId,
        now: OffsetDateTime,
    ) -> Result<OpaqueTicket, TicketIssueError> {
        self.opaque(
            TicketKind::Cookie,
            &claims(grant, None, id, now, TICKET_SECS_MAX)?,
        )
    }

    /// The SAML web ticket. With a proof key, only who has the key can use it.
    pub fn web_ticket(
        &self,
        grant: &Grant,
        proof_key: Option<&ProofKey>,
        issuer: &str,
        id: TicketId,
        now: OffsetDateTime,
    ) -> Result<SamlTicket, TicketIssueError> {
        let claims = claims(grant, proof_key, id, now, TICKET_SECS_MAX)?;
        self.saml(TicketKind::WebTicket, &claims, issuer)
    }

    /// The OAuth ticket, without the `cwt=` before it.
    pub fn cwt(
        &self,
        grant: &Grant,
        id: TicketId,
        now: OffsetDateTime,
    ) -> Result<OpaqueTicket, TicketIssueError> {
        self.opaque(
            TicketKind::Cwt,
            &claims(grant, None, id, now, TICKET_SECS_MAX)?,
        )
    }

    fn saml(
        &self,
        kind: TicketKind,
        claims: &Claims,
        issuer: &str,
    ) -> Result<SamlTicket, TicketIssueError> {
        let visible = assertion::visible(claims, issuer);
        let sealed = seal::seal(self.key, kind, claims, (&visible.before, &visible.after))?;
        Ok(SamlTicket {
            assertion: [
                &visible.before,
                encoding::base64_url(&sealed).as_str(),
                &visible.after,
            ]
            .concat(),
            assertion_id: visible.assertion_id,
            created: claims.issued,
            expires: claims.expires,
        })
    }

    fn opaque(&self, kind: TicketKind, claims: &Claims) -> Result<OpaqueTicket, TicketIssueError> {
        let sealed = seal::seal(self.key, kind, claims, ("", ""))?;
        Ok(OpaqueTicket {
            value: encoding::base64_url(&sealed),
            expires: claims.expires,
        })
    }
}

fn claims(
    grant: &Grant,
    proof_key: Option<&ProofKey>,
    id: TicketId,
    now: OffsetDateTime,
    secs_max: i64,
) -> Result<Claims, TicketIssueError> {
    let lifetime = grant.lifetime.min(Duration::seconds(secs_max));
    if lifetime.whole_seconds() <= 0 {
        return Err(TicketIssueError::Lifetime);
    }
    let issued = stamp::whole_seconds(now);
    Ok(Claims {
        id,
        account: grant.account.clone(),
        address: grant.address.clone(),
        audience: grant.audience.clone(),
        source: grant.source,
        issued,
        expires: issued.saturating_add(Duration::seconds(lifetime.whole_seconds())),
        proof_key: proof_key.cloned(),
    })
}
