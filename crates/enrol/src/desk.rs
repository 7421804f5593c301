// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this crate asks of the server.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use lanyard_authority::{
    Card, CardCare, CardKeys, IssueError, IssuedCard, PrepareError, RecordError, RegistryError,
};
use lanyard_directory::{
    AccountId, CardKinds, CodeVerdict, EnrolCode, KeyAssurance, SipAddress, StorageError,
};
use lanyard_x509::Certificate;
use time::OffsetDateTime;

use crate::attestation::{Challenges, Makers, Randomness};
use crate::order::EnrolmentOrder;
use crate::refusal::Refusal;

/// Who is at the other end of the connection: an extension of every request, set by the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// What the directory says of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonFacts {
    /// The immutable id.
    pub account: AccountId,
    /// Whether the person may come in at all.
    pub enabled: bool,
    /// The kinds of card that the person's policy accepts.
    pub card_kinds: CardKinds,
    /// What the person's policy demands to be proved about where the key lives.
    pub key_assurance: KeyAssurance,
}

/// What is known of a card before it is enrolled.
#[derive(Debug, Clone, Default)]
pub struct CardBefore {
    /// The management key that an earlier enrolment has put on it, where that was so.
    pub keys: Option<HandedOut>,
}

/// The keys of one card on their way to it.
#[derive(Debug, Clone)]
pub struct HandedOut {
    /// The version of the secret that they come from.
    pub version: u32,
    /// Who unblocks the card.
    pub care: CardCare,
    /// The keys.
    pub keys: CardKeys,
}

/// Why the desk could not do what was decided.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// The database did not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The key is one that is never certified, such as the authority's own.
    #[error("the key is refused")]
    KeyRefused,
    /// The card was reported lost, damaged or destroyed.
    #[error("the card's state does not allow it")]
    CardState,
    /// The authority failed; the server's log tells more.
    #[error("the authority failed")]
    Authority,
}

impl From<&IssueError> for DeskError {
    fn from(error: &IssueError) -> Self {
        match error {
            IssueError::Prepare(PrepareError::AuthorityKey | PrepareError::SameKeyTwice) => {
                Self::KeyRefused
            }
            IssueError::Prepare(PrepareError::Registry(error))
            | IssueError::Record(RecordError::Registry(error))
            | IssueError::Store(error) => Self::from(error),
            _ => Self::Authority,
        }
    }
}

impl From<&RegistryError> for DeskError {
    fn from(error: &RegistryError) -> Self {
        match error {
            // The store says which of its faults it was, when it can.
            RegistryError::Storage(source) => Self::Storage(
                source
                    .downcast_ref()
                    .copied()
                    .unwrap_or(StorageError::Failed),
            ),
            _ => Self::Authority,
        }
    }
}

/// An enrolment that was refused, for the audit trail and the log.
#[derive(Debug)]
pub struct RefusedAttempt<'a> {
    /// Where it came from.
    pub peer: IpAddr,
    /// The address that was to be enrolled, when it could be read.
    pub address: Option<&'a SipAddress>,
    /// Why it was refused.
    pub refusal: Refusal,
}

/// The server behind the handlers.
///
/// Methods that touch storage are asynchronous, so that a blocking database can be put on
/// threads of its own.
pub trait EnrolmentDesk: Send + Sync + 'static {
    /// The time of day.
    fn now(&self) -> OffsetDateTime;

    /// The time that only goes forward.
    fn instant(&self) -> Instant;

    /// Waits. Refusals of codes are answered after a fixed time.
    fn pause(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// How many enrolments one network address may try in a minute.
    fn attempts_per_minute(&self) -> u32;

    /// The person with this address.
    fn person(&self, address: &SipAddress) -> Option<PersonFacts>;

    /// Judges a code, and marks it used or counts the wrong try, in one durable transaction.
    fn use_code(
        &self,
        account: &AccountId,
        code: &EnrolCode,
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<CodeVerdict, StorageError>> + Send;

    /// Judges a code as [`EnrolmentDesk::use_code`] does, without using it up.
    fn look_at_code(
        &self,
        account: &AccountId,
        code: &EnrolCode,
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<CodeVerdict, StorageError>> + Send;

    /// What is known of this person's card before it is enrolled (anew).
    ///
    /// [`DeskError::CardState`] when it cannot be enrolled as it stands.
    fn card_before(
        &self,
        account: &AccountId,
        card: Card,
    ) -> impl Future<Output = Result<CardBefore, DeskError>> + Send;

    /// The keys for a card that was just enrolled; `None` for one that its holder looks after. They
    /// leave the server this once.
    fn hand_out(
        &self,
        account: &AccountId,
        card: Card,
    ) -> impl Future<Output = Result<Option<HandedOut>, DeskError>> + Send;

    /// Issues the certificates of a card; they are durable when this returns.
    ///
    /// The requester is the person, the approver is whoever made the code.
    fn issue(
        &self,
        order: EnrolmentOrder,
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<IssuedCard, DeskError>> + Send;

    /// Whose word counts about where a key lives.
    fn makers(&self) -> impl Future<Output = Result<Makers, StorageError>> + Send;

    /// The challenges that are open.
    fn challenges(&self) -> &Mutex<Challenges>;

    /// Fresh randomness for a challenge.
    ///
    /// # Errors
    /// The system gives none.
    fn randomness(&self) -> Result<Randomness, DeskError>;

    /// The certificates above those that are issued, the issuing authority's first.
    fn chain(&self) -> Vec<Certificate>;

    /// Takes note of a refusal.
    fn note_refusal(&self, attempt: &RefusedAttempt<'_>) {
        let _ = attempt;
    }
}
