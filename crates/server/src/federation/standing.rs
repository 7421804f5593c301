// SPDX-License-Identifier: MIT OR Apache-2.0
//! Is what earned this ticket or chat certificate still good? Asked again at every use, so that a
//! revocation is in force at once and not when a ticket happens to end.

use lanyard_authority::{CertificateRow, Registry, RegistryError, Status};
use lanyard_directory::{Account, AccountId, Snapshot};
use lanyard_fault::Fault;
use lanyard_soap::ticket::{Claims, TicketSource};
use lanyard_x509::{Serial, Sid};
use std::sync::Arc;
use time::OffsetDateTime;

/// An account that may act, and the card that stands behind it.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The account.
    pub account: Arc<Account>,
    /// The row of the card certificate; none after a password.
    pub card: Option<CertificateRow>,
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

/// Checks what a ticket stands on. Reads the registry: call it where waiting is allowed.
///
/// # Errors
/// The account may not act, the card is no longer good, or the registry does not answer.
pub fn of_ticket(
    claims: &Claims,
    people: &Snapshot,
    registry: &dyn Registry,
    now: OffsetDateTime,
) -> Result<Standing, StandingError> {
    let account = enabled_account(claims.account(), people)?;
    if account.sip_address.as_str() != claims.address().as_str() {
        return Err(Fault::AddressNotOfCard.into());
    }
    let card = match claims.source() {
        TicketSource::Card { serial } => Some(good_card(&serial, registry, now)?),
        TicketSource::Password if people.policy_of(&account).password_allowed => None,
        TicketSource::Password => return Err(Fault::CardRequired.into()),
    };
    Ok(Standing { account, card })
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
    check_row(&row, now)?;
    let sid = row.account.as_ref().ok_or(Fault::SignInRefused)?;
    let account = enabled_account(sid, people)?;
    let card = match &row.bound_to {
        Some(card) => Some(good_card(card, registry, now)?),
        None if people.policy_of(&account).password_allowed => None,
        None => return Err(Fault::CardRequired.into()),
    };
    Ok((Standing { account, card }, row))
}

fn enabled_account(sid: &Sid, people: &Snapshot) -> Result<Arc<Account>, Fault> {
    let id: AccountId = sid.as_str().parse().map_err(|_| Fault::AccountUnknown)?;
    let account = people.by_id(&id).ok_or(Fault::AccountUnknown)?;
    if account.enabled {
        Ok(Arc::clone(account))
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
    check_row(&row, now)?;
    Ok(row)
}

fn check_row(row: &CertificateRow, now: OffsetDateTime) -> Result<(), Fault> {
    match row.status {
        Status::Active if now > row.not_after => Err(Fault::CardCertificateExpired),
        Status::Active => Ok(()),
        Status::Revoked => Err(Fault::CardCertificateRevoked),
        Status::Issued | Status::Prepared => Err(Fault::CardNotActive),
    }
}
