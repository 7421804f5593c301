// SPDX-License-Identifier: MIT OR Apache-2.0
//! Live sessions as the administration sees them: to be listed, and to be ended with a reason.

use lanyard_directory::{AccountId, SipAddress};
use lanyard_fault::Fault;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// One signed-in endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// The id by which `session end` names it.
    pub id: String,
    /// The account.
    pub account: AccountId,
    /// The sign-in address.
    pub address: SipAddress,
    /// The serial of the card certificate that earned the session, hex; none after a password.
    pub card_serial: Option<String>,
    /// The serial of the chat certificate, hex.
    pub chat_serial: Option<String>,
    /// The network address of the client.
    pub peer: String,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// When the session began.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
}

/// Which sessions are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionSelector {
    /// The one with this id.
    Id(String),
    /// All of this account.
    Account(AccountId),
    /// All that were earned by one of these card certificates, or run on one of these chat
    /// certificates: serials, lower-case hex without separators.
    Certificates(Vec<String>),
}

/// Why sessions are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// The card was reported lost or revoked.
    CardRevoked,
    /// The account was disabled.
    AccountDisabled,
    /// A password earned the session, and policy no longer accepts one.
    PolicyChanged,
    /// A password earned the session, and there is a new one.
    PasswordChanged,
    /// The card did not show that it is still there.
    PresenceMissing,
    /// An administrator ended the session.
    ByAdministrator,
}

impl SessionEnd {
    /// What the person is told.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::CardRevoked => Fault::SessionEndedCardRevoked,
            Self::AccountDisabled => Fault::SessionEndedAccountDisabled,
            Self::PolicyChanged => Fault::SessionEndedPolicy,
            Self::PasswordChanged => Fault::SessionEndedPassword,
            Self::PresenceMissing => Fault::SessionEndedPresence,
            Self::ByAdministrator => Fault::SessionEndedByAdministrator,
        }
    }
}

/// The live sessions of this server. The part that speaks SIP implements it.
///
/// Both calls come from a blocking thread and may wait a moment; they must not be called from an
/// asynchronous task.
pub trait Sessions: Send + Sync {
    /// All live sessions.
    fn list(&self) -> Vec<SessionInfo>;

    /// Ends the sessions that are meant, tells each why, and says how many there were. When this
    /// returns, none of them relays another message.
    fn end(&self, which: &SessionSelector, why: SessionEnd) -> usize;

    /// What the directory says of this person has changed: those who see it are told, and the
    /// person's own clients.
    fn person_changed(&self, _address: &SipAddress) {}
}

/// No session at all: a server that is starting, or verbs without a server.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSessions;

impl Sessions for NoSessions {
    fn list(&self) -> Vec<SessionInfo> {
        Vec::new()
    }

    fn end(&self, _which: &SessionSelector, _why: SessionEnd) -> usize {
        0
    }
}
