// SPDX-License-Identifier: MIT OR Apache-2.0
//! The language of the admin socket: one JSON object a line, one answer for each request.

use std::fmt;

use lanyard_directory::{AccountChange, CardKind, GroupName, GroupPolicy, NewAccount, SipAddress};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::attestation::{AttestationRequest, AttestationView};
use super::view::{
    AuditVerdict, AuditView, CardEnd, CardView, CodeView, GroupView, ImportView, PolicyChangeView,
    PolicyView, RenewedView, ServerView, SessionsEnded, UnblockView, UserEnd, UserView, WaysView,
};
use crate::problem::WireProblem;
use crate::sessions::SessionInfo;

/// The version of the language; both sides must say the same.
pub const PROTOCOL_VERSION: u32 = 1;
/// The largest request, in bytes: an import file with every character escaped, and room.
pub(crate) const REQUEST_BYTES_MAX: usize = 40 * 1024 * 1024;
/// The largest answer, in bytes.
pub(crate) const RESPONSE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What the server says first: somebody is there and will answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Greeting {
    /// [`PROTOCOL_VERSION`].
    pub version: u32,
}

/// A request as it travels.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestLine {
    /// [`PROTOCOL_VERSION`].
    pub version: u32,
    /// What is asked.
    pub request: Request,
}

/// An answer as it travels.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseLine {
    /// [`PROTOCOL_VERSION`].
    pub version: u32,
    /// What came of it.
    pub outcome: Result<Reply, WireProblem>,
}

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Is somebody there?
    Ping,
    /// Make an account.
    UserAdd(NewAccount),
    /// Whose word counts about where a key lives.
    Attestation(AttestationRequest),
    /// All accounts.
    UserList,
    /// One account.
    UserShow(SipAddress),
    /// Change what others see of a person.
    UserSet {
        /// Whose.
        address: SipAddress,
        /// What is changed.
        change: AccountChange,
        /// The photograph.
        photo: PhotoWish,
    },
    /// Shut a person out, or let in again.
    UserSetEnabled {
        /// Whom.
        address: SipAddress,
        /// Whether the person may come in.
        enabled: bool,
    },
    /// Set a password.
    UserSetPassword {
        /// Whose.
        address: SipAddress,
        /// The password.
        password: SecretText,
    },
    /// Take the password away.
    UserRemovePassword(SipAddress),
    /// Make a one-time code for enrolment.
    UserEnrolCode(SipAddress),
    /// Make all accounts of a CSV text, or none.
    UserImport {
        /// The text.
        csv: String,
        /// Only say what would be done.
        dry_run: bool,
    },
    /// Make a group.
    GroupAdd(GroupName),
    /// All groups.
    GroupList,
    /// Put a person into a group.
    GroupAddMember {
        /// The group.
        group: GroupName,
        /// The person.
        address: SipAddress,
    },
    /// Take a person out of a group.
    GroupRemoveMember {
        /// The group.
        group: GroupName,
        /// The person.
        address: SipAddress,
    },
    /// What policies say.
    PolicyShow {
        /// Only what holds for this person.
        address: Option<SipAddress>,
        /// Only what this group sets.
        group: Option<GroupName>,
    },
    /// Play each way in of a person.
    PolicyVerify(SipAddress),
    /// Change what a policy sets.
    PolicySet {
        /// The group; none means the default policy.
        group: Option<GroupName>,
        /// What is set anew.
        set: GroupPolicy,
        /// What is no longer set.
        unset: Vec<PolicyField>,
        /// Only say what would change for whom.
        dry_run: bool,
    },
    /// Cards, with their certificates; without an address also those that nobody holds yet.
    CardList {
        /// Only those of this person.
        address: Option<SipAddress>,
        /// Only those that nobody holds yet.
        #[serde(default)]
        blank: bool,
    },
    /// Put a blank card into the stock.
    CardRegister {
        /// Its number.
        guid: String,
        /// What it is made of.
        kind: CardKind,
        /// Its make.
        make: Option<String>,
        /// Its name.
        label: Option<String>,
    },
    /// Withdraw a card.
    CardEnd {
        /// Number of the card, serial of a certificate on it, or the address of a person with one card.
        card: String,
        /// Why.
        reason: CardLossReason,
    },
    /// Put an issued card in force.
    CardActivate {
        /// As in [`Request::CardEnd`].
        card: String,
    },
    /// One card, with everything that is known of it.
    CardShow {
        /// As in [`Request::CardEnd`].
        card: String,
    },
    /// A lost card was found: it may be enrolled again.
    CardFound {
        /// As in [`Request::CardEnd`].
        card: String,
    },
    /// A card that is out of force was destroyed.
    CardDestroyed {
        /// As in [`Request::CardEnd`].
        card: String,
    },
    /// Give a card another name.
    CardRename {
        /// As in [`Request::CardEnd`].
        card: String,
        /// The name.
        name: String,
    },
    /// Let a card's PIN be unblocked.
    CardUnblock {
        /// As in [`Request::CardEnd`].
        card: String,
        /// What the card shows; none for a card that shows nothing.
        challenge: Option<String>,
        /// How the officer made sure who is asking.
        checks: Vec<IdentityCheck>,
    },
    /// Make a new secret for the keys of cards that are enrolled from now on.
    CardRotateSecret,
    /// Live sessions.
    SessionList {
        /// Only those of this person.
        address: Option<SipAddress>,
    },
    /// End one session by its id.
    SessionEnd(String),
    /// End all sessions of a person.
    SessionEndAll(SipAddress),
    /// Rows of the audit trail.
    AuditShow {
        /// Only rows after this one; none means: the last ones.
        after: Option<u64>,
        /// How many.
        limit: u32,
    },
    /// Check the audit trail.
    AuditVerify,
    /// Make the certificate of the listeners anew, with these names besides those that it has.
    CertificateRenew(Vec<String>),
}

/// What becomes of a photograph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhotoWish {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is taken away.
    Remove,
    /// This picture, as the file has it, in base64 (RFC 4648 section 4).
    Set(String),
}

/// Why a card is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CardLossReason {
    /// The holder cannot find it.
    Lost,
    /// It does not work any more.
    Damaged,
    /// Its key or PIN may be known to somebody else.
    Compromised,
    /// A new one has taken its place.
    Replaced,
    /// The holder has left or no longer needs it.
    NoLongerNeeded,
}

/// How an officer of the help desk makes sure who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityCheck {
    /// The holder was called back at the number in the directory.
    CalledBack,
    /// The officer knows the holder's face or voice.
    KnownPerson,
    /// The holder has shown an identity card.
    IdentityCard,
    /// The holder's superior has confirmed the wish.
    SuperiorConfirmed,
    /// The holder has told when and where the card was used last.
    CardFacts,
}

impl IdentityCheck {
    /// All of them, in the order of the list.
    pub const ALL: [Self; 5] = [
        Self::CalledBack,
        Self::KnownPerson,
        Self::IdentityCard,
        Self::SuperiorConfirmed,
        Self::CardFacts,
    ];

    /// The word in the audit trail and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::CalledBack => "called-back",
            Self::KnownPerson => "known-person",
            Self::IdentityCard => "identity-card",
            Self::SuperiorConfirmed => "superior-confirmed",
            Self::CardFacts => "card-facts",
        }
    }

    /// As a question to the officer.
    #[must_use]
    pub fn question(self) -> &'static str {
        match self {
            Self::CalledBack => "Have you called the holder back at the number in the directory?",
            Self::KnownPerson => "Do you know the holder's face or voice, and was it that?",
            Self::IdentityCard => "Has the holder shown you an identity card?",
            Self::SuperiorConfirmed => "Has the holder's superior confirmed the wish to you?",
            Self::CardFacts => "Has the holder told you when and where the card was used last?",
        }
    }
}

/// A field of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyField {
    /// `card-required`.
    CardRequired,
    /// `password-allowed`.
    PasswordAllowed,
    /// `chat-certificate-hours`.
    ChatCertificateHours,
    /// `card-kinds`.
    CardKinds,
    /// `key-assurance`.
    KeyAssurance,
    /// `card-removal`.
    CardRemoval,
    /// `card-removal-grace-seconds`.
    CardRemovalGraceSeconds,
    /// `presence-proof-minutes`.
    PresenceProofMinutes,
    /// `missing-presence-key`.
    MissingPresenceKey,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Whose word counts about where a key lives.
    Attestation(AttestationView),
    /// To [`Request::Ping`].
    Server(ServerView),
    /// One account.
    User(UserView),
    /// Accounts.
    Users(Vec<UserView>),
    /// An account that was switched, and the sessions that it cost.
    UserEnd(UserEnd),
    /// A one-time code.
    Code(CodeView),
    /// An import.
    Import(ImportView),
    /// One group.
    Group(GroupView),
    /// Groups.
    Groups(Vec<GroupView>),
    /// Policies.
    Policy(PolicyView),
    /// A change of policy.
    PolicyChange(PolicyChangeView),
    /// The ways in of a person.
    Ways(WaysView),
    /// Cards.
    Cards(Vec<CardView>),
    /// A card that was withdrawn.
    CardEnd(CardEnd),
    /// One card.
    Card(CardView),
    /// A card whose PIN may be unblocked.
    Unblock(UnblockView),
    /// The version of the secret that new cards get their keys from.
    CardSecret(u32),
    /// Live sessions.
    Sessions(Vec<SessionInfo>),
    /// Sessions that were ended.
    SessionsEnded(SessionsEnded),
    /// Rows of the audit trail.
    Audit(Vec<AuditView>),
    /// Whether the audit trail is whole.
    AuditVerdict(AuditVerdict),
    /// A new certificate of the listeners.
    Renewed(RenewedView),
}

/// A secret on its way to the server. Zeroed when dropped; `Debug` does not show it.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Takes over a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}
