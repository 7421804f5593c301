// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chat certificates: earned by a card, bound to it, and over with it; or, where policy allows
//! that, earned by a password and bound to nothing.

use crate::app::App;
use crate::credential;
use crate::federation::standing::Standing;
use lanyard_authority::{
    Actor, Grant, IssueError, NoRandomness, Order, PrepareError, RecordError, RegistryError,
    SerialSeed, SignInAddress, Status,
};
use lanyard_fault::Fault;
use lanyard_x509::{Certificate, Csr, CsrError, RevocationReason};
use time::{Duration, OffsetDateTime};

/// Why there is no chat certificate.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// A reason that the person is told.
    #[error("{0}")]
    Refused(Fault),
    /// No random numbers.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The authority failed.
    #[error(transparent)]
    Issue(IssueError),
}

/// Issues a chat certificate for the key of a request. Waits for the disk.
///
/// # Errors
/// As [`ChatError`] tells.
pub fn issue(
    app: &App,
    standing: &Standing,
    csr: &Csr,
    now: OffsetDateTime,
) -> Result<Certificate, ChatError> {
    let account = &standing.account;
    let policy = app.directory.load().policy_of(account);
    // Without a card nothing bounds the certificate but policy: it must say so at this moment.
    if standing.card.is_none() && !policy.password_allowed {
        return Err(ChatError::Refused(Fault::CardRequired));
    }
    let earned_by_old = || {
        let then = standing.epoch;
        then.is_some() && credential::epoch_now(app, &account.id) != then
    };
    let hours = policy.chat_certificate_hours;
    let sid: lanyard_x509::Sid = account
        .id
        .as_str()
        .parse()
        .map_err(|_| ChatError::Refused(Fault::AccountUnknown))?;
    let address: SignInAddress = account
        .sip_address
        .as_str()
        .parse()
        .map_err(|_| ChatError::Refused(Fault::AddressMalformed))?;
    let order = Order {
        grant: Grant::ChatUser {
            account: sid.clone(),
            address,
            card_certificate: standing.card.as_ref().map(|card| card.serial),
            lifetime: Duration::hours(i64::from(hours)),
        },
        key: csr.public_key().clone(),
        requester: Actor::Person(sid),
        approver: Actor::System("policy".into()),
    };
    match app
        .authority
        .issue(order, SerialSeed::draw()?, Status::Active, now)
    {
        // Whoever changes a password changes the directory first and withdraws second: one of the two
        // sees the other.
        Ok(issued) if earned_by_old() => {
            let reason = RevocationReason::Superseded;
            let by = Actor::System("policy".into());
            let serial = issued.certificate.serial();
            if let Err(error) = app.authority.revoke(&serial, reason, by, now) {
                tracing::error!(%error, "a chat certificate of an old password could not be withdrawn");
            }
            Err(ChatError::Refused(Fault::TicketInvalid))
        }
        Ok(issued) => Ok(issued.certificate),
        Err(IssueError::Prepare(error)) => match refusal(&error) {
            Some(fault) => Err(ChatError::Refused(fault)),
            None => Err(ChatError::Issue(error.into())),
        },
        // Withdrawn while the certificate was being made: it was not recorded, so it counts for nothing.
        Err(IssueError::Record(RecordError::Registry(RegistryError::NotInForce(_)))) => {
            Err(ChatError::Refused(Fault::CardCertificateRevoked))
        }
        Err(error) => Err(ChatError::Issue(error)),
    }
}

/// The reasons that are the card's: it may have been withdrawn since it was checked.
fn refusal(error: &PrepareError) -> Option<Fault> {
    match error {
        PrepareError::NotACardCertificate(_) | PrepareError::OtherAccount(_) => {
            Some(Fault::CardCertificateForeign)
        }
        PrepareError::CardNotActive { .. } => Some(Fault::CardCertificateRevoked),
        PrepareError::CardExpired { .. } => Some(Fault::CardCertificateExpired),
        _ => None,
    }
}

/// What a person is told about a request that was refused.
#[must_use]
pub fn csr_fault(error: &CsrError) -> Fault {
    match error {
        CsrError::TooLarge => Fault::RequestTooLarge,
        CsrError::Key(_) => Fault::RequestKeyWeak,
        CsrError::Signature(_) => Fault::RequestSignature,
        _ => Fault::RequestMalformed,
    }
}
