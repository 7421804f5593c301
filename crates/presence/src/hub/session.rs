// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sessions as the server and its administrators see them.

use lanyard_sip::InstanceId;
use time::OffsetDateTime;

use crate::hub::effect::ConnectionId;
use crate::model::uri::PersonUri;

/// What the server knows of a connection when a REGISTER arrives on it that was authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The connection.
    pub connection: ConnectionId,
    /// The person to whom the security association belongs.
    pub person: PersonUri,
}

/// Which sessions are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionFilter {
    /// All of the node.
    All,
    /// All of a person.
    Person(PersonUri),
    /// The one on a connection.
    Connection(ConnectionId),
    /// One endpoint of a person.
    Endpoint {
        /// The person.
        person: PersonUri,
        /// The endpoint's `epid`.
        epid: String,
    },
}

/// Why the server ends a session, told to the client in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndReason {
    /// What the client is told to think of it.
    pub event: EndEvent,
    /// The number in `ms-diagnostics`.
    pub diagnostics_id: u32,
    /// The sentence in `ms-diagnostics`, for people.
    pub text: String,
}

/// The word in the body of the registration event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndEvent {
    /// The person may not sign in any more.
    Rejected,
    /// The server stops or moves; the client may come back.
    Deactivated,
    /// The registration was taken away.
    Unregistered,
}

impl EndEvent {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Deactivated => "deactivated",
            Self::Unregistered => "unregistered",
        }
    }

    /// Reads the body of a registration event: `deregistered;event=rejected`.
    #[must_use]
    pub fn from_body(body: &str) -> Option<Self> {
        let event = body
            .split(';')
            .find_map(|part| part.trim().strip_prefix("event="))?;
        [Self::Rejected, Self::Deactivated, Self::Unregistered]
            .into_iter()
            .find(|known| event.trim().eq_ignore_ascii_case(known.word()))
    }
}

/// One session, for listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Whose.
    pub person: PersonUri,
    /// The endpoint's identifier.
    pub epid: String,
    /// The endpoint's instance.
    pub instance: InstanceId,
    /// The client's own name, or empty.
    pub user_agent: String,
    /// When the endpoint registered first.
    pub since: OffsetDateTime,
    /// Its connection; `None` while the grace time of a lost connection runs.
    pub connection: Option<ConnectionId>,
}
