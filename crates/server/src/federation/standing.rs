// SPDX-License-Identifier: MIT OR Apache-2.0
//! Is what earned this ticket or chat certificate still good? Asked again at every use, so that a
//! revocation is in force at once and not when a ticket happens to end.

use lanyard_authority::{CertificateRow, Registry, RegistryError, Status};
use lanyard_directory::{Account, AccountId, Snapshot};
use lanyard_fault::Fault;
use lanyard_soap::ticket::{Claims, CredentialEpoch, TicketSource};
use lanyard_x509::{RevocationReason, Serial, Sid};
use std::sync::Arc;
use time::OffsetDateTime;

/// An account that may act, and the card that stands behind it.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The account.
    pub account: Arc<Account>,
    /// The row of the card certificate; none after a password.
    pub card: Option<CertificateRow>,
    /// The epoch of the password that earned a ticket.
    pub epoch: Option<CredentialEpoch>,
}

/// Why not.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    /// A reason that the person is told.
    #[error("{0}")]
    Refused(Fault),
    /// The registry did not answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<Fault> for StandingError {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

/// Checks what a ticket stands on. Reads the registry: call it where waiting is allowed. `epoch` gives
/// the epoch of an account's password as it is now.
///
/// # Errors
/// The account may not act, the card is no longer good, or the registry does not answer.
pub fn of_ticket(
    claims: &Claims,
    people: &Snapshot,
    registry: &dyn Registry,
    epoch: impl Fn(&Account) -> Option<CredentialEpoch>,
    now: OffsetDateTime,
) -> Result<Standing, StandingError> {
    let account = enabled_account(claims.account(), people)?;
    if account.sip_address.as_str() != claims.address().as_str() {
        return Err(Fault::AddressNotOfCard.into());
    }
    let (card, epoch) = match claims.source() {
        TicketSource::Card { serial } => (Some(good_card(&serial, registry, now)?), None),
        TicketSource::Password { .. } if !people.policy_of(&account).password_allowed => {
            return Err(Fault::CardRequired.into());
        }
        // Earned with another password than today's, or before passwords were forbidden.
        TicketSource::Password { epoch: then } if epoch(&account) != Some(then) => {
            return Err(Fault::TicketInvalid.into());
        }
        TicketSource::Password { epoch } => (None, Some(epoch)),
    };
    Ok(Standing {
        account,
        card,
        epoch,
    })
}

/// Checks what a chat certificate stands on: itself, the card certificate that it is bound to, and
/// the account. Gives the chat certificate's row as well.
///
/// # Errors
/// As [`of_ticket`].
pub fn of_chat_certificate(
    serial: &Serial,
    people: &Snapshot,
    registry: &dyn Registry,
    now: OffsetDateTime,
) -> Result<(Standing, CertificateRow), StandingError> {
    let row = registry.find(serial)?.ok_or(Fault::SignInRefused)?;
    if row.profile != lanyard_authority::ProfileName::ChatUser {
        return Err(Fault::CardCertificatePurpose.into());
    }
    let sid = row.account.as_ref().ok_or(Fault::SignInRefused)?;
    if row.bound_to.is_none() {
        // Said before the certificate is looked at: it was withdrawn for this reason.
        let account = known_account(sid, people)?;
        if account.enabled && !people.policy_of(&account).password_allowed {
            return Err(Fault::CardRequired.into());
        }
    }
    check_row(&row, now)?;
    let account = enabled_account(sid, people)?;
    let card = match &row.bound_to {
        Some(card) => Some(good_card(card, registry, now)?),
        None => None,
    };
    let standing = Standing {
        account,
        card,
        epoch: None,
    };
    Ok((standing, row))
}

fn known_account(sid: &Sid, people: &Snapshot) -> Result<Arc<Account>, Fault> {
    let id: AccountId = sid.as_str().parse().map_err(|_| Fault::AccountUnknown)?;
    let account = people.by_id(&id).ok_or(Fault::AccountUnknown)?;
    Ok(Arc::clone(account))
}

fn enabled_account(sid: &Sid, people: &Snapshot) -> Result<Arc<Account>, Fault> {
    let account = known_account(sid, people)?;
    if account.enabled {
        Ok(account)
    } else {
        Err(Fault::AccountDisabled)
    }
}

fn good_card(
    serial: &Serial,
    registry: &dyn Registry,
    now: OffsetDateTime,
) -> Result<CertificateRow, StandingError> {
    let row = registry
        .find(serial)?
        .ok_or(Fault::CardCertificateForeign)?;
    // A renewed card is as good as before: what rests on its old certificate goes on with the new one.
    let row = match &row.revocation {
        Some(end) if end.reason == RevocationReason::Superseded => {
            successor(&row, registry, now)?.unwrap_or(row)
        }
        _ => row,
    };
    check_row(&row, now)?;
    Ok(row)
}

/// The certificate that took a superseded one's place on the same card of the same person.
fn successor(
    row: &CertificateRow,
    registry: &dyn Registry,
    now: OffsetDateTime,
) -> Result<Option<CertificateRow>, RegistryError> {
    let Some(guid) = &row.card_guid else {
        return Ok(None);
    };
    let rows = registry.of_card(guid)?;
    Ok(rows.into_iter().find(|next| {
        next.account == row.account
            && next.profile == row.profile
            && next.approver == lanyard_authority::Actor::System("renewal".into())
            && next.prepared_at >= row.prepared_at
            && check_row(next, now).is_ok()
    }))
}

fn check_row(row: &CertificateRow, now: OffsetDateTime) -> Result<(), Fault> {
    match row.status {
        Status::Active if now > row.not_after => Err(Fault::CardCertificateExpired),
        Status::Active => Ok(()),
        Status::Revoked => Err(Fault::CardCertificateRevoked),
        Status::Issued | Status::Prepared => Err(Fault::CardNotActive),
    }
}
