// SPDX-License-Identifier: MIT OR Apache-2.0
//! What administrators see: the data behind every table and every `--json`.

use lanyard_directory::{
    AccountId, CardKind, EffectivePolicy, GroupName, GroupPolicy, PhotoHash, SipAddress,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerView {
    /// The version of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// How many accounts it holds.
    pub accounts: usize,
    /// How many sessions are live.
    pub sessions: usize,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    /// The immutable id.
    pub id: AccountId,
    /// The sign-in address.
    pub address: SipAddress,
    /// The principal name.
    pub upn: String,
    /// The e-mail address.
    pub email: String,
    /// The name.
    pub name: String,
    /// The job title.
    pub title: Option<String>,
    /// The telephone number.
    pub phone: Option<String>,
    /// The photograph, by its hash.
    #[serde(default)]
    pub photo: Option<PhotoHash>,
    /// Whether the person may come in.
    pub enabled: bool,
    /// The groups.
    pub groups: Vec<GroupName>,
    /// Whether a password is set.
    pub has_password: bool,
    /// What holds for the person.
    pub policy: EffectivePolicy,
    /// When the account was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// An account that was switched on or off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEnd {
    /// The account as it is now.
    pub user: UserView,
    /// How many live sessions were ended.
    pub sessions_ended: usize,
}

/// A one-time code, shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeView {
    /// For whom.
    pub address: SipAddress,
    /// The code.
    pub code: String,
    /// Until when it can be used.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

impl std::fmt::Debug for CodeView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeView")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What an import did or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportView {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// The accounts that were made, or would be.
    pub added: Vec<SipAddress>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// The name.
    pub name: GroupName,
    /// The members.
    pub members: Vec<SipAddress>,
    /// What its policy sets.
    pub policy: GroupPolicy,
}

/// What policies say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyView {
    /// What the default policy sets.
    pub default: GroupPolicy,
    /// What holds where nothing is set: [`EffectivePolicy::SAFE`] under the default policy.
    pub everyone: EffectivePolicy,
    /// What groups set, by name.
    pub groups: Vec<(GroupName, GroupPolicy)>,
    /// What holds for the person that was asked about.
    pub person: Option<(SipAddress, EffectivePolicy)>,
}

/// What a change of policy means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChangeView {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// The group; none means the default policy.
    pub group: Option<GroupName>,
    /// What the policy sets now, or would.
    pub policy: GroupPolicy,
    /// The people for whom something changes, with what holds then.
    pub affected: Vec<(SipAddress, EffectivePolicy)>,
    /// The ways in that are open now and would be closed, or were.
    pub lost: Vec<LossView>,
    /// Sessions that were ended because their people may no longer use a password.
    pub sessions_ended: usize,
}

/// A way in that a change closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossView {
    /// Whose.
    pub address: SipAddress,
    /// The way, as it is after the change.
    pub way: WayView,
    /// Whether no other way in is left.
    pub is_last: bool,
}

/// A way in, and whether it is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayView {
    /// The way: a card with its certificate, or the password.
    pub way: String,
    /// Whether it is open.
    pub allowed: bool,
    /// The code of the reason against it.
    pub code: Option<String>,
    /// The reason against it.
    pub reason: Option<String>,
}

/// The ways in of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaysView {
    /// Who was asked about.
    pub address: SipAddress,
    /// What policy says.
    pub policy: EffectivePolicy,
    /// Each way.
    pub ways: Vec<WayView>,
}

/// A card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardView {
    /// The number of the card.
    pub guid: String,
    /// What kind of card it is.
    pub kind: Option<CardKind>,
    /// Whose it is.
    pub account: Option<String>,
    /// The sign-in address of the holder, where the account is known.
    pub address: Option<SipAddress>,
    /// Where it stands: that of the newest certificate that signs in.
    pub status: String,
    /// What can be done next, in words.
    pub status_text: String,
    /// When the certificate that signs in ends.
    #[serde(with = "time::serde::rfc3339::option")]
    pub not_after: Option<OffsetDateTime>,
    /// Its certificates, newest first.
    pub certificates: Vec<CertificateView>,
    /// Its life, where it was written down.
    pub life: Option<CardLifeView>,
}

/// The life of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardLifeView {
    /// Where it stands: `blank`, `enrolled`, `active`, `lost`, `damaged`, `expired`, `revoked`, `destroyed`.
    pub state: String,
    /// Its name.
    pub name: String,
    /// Its make, as far as it is known.
    pub make: String,
    /// The computer that it was enrolled on.
    pub computer: String,
    /// Who unblocks it: `own`, `challenge`, `puk`; empty while nobody holds it.
    pub care: String,
    /// The version of the secret that its keys come from.
    pub secret_version: Option<u32>,
    /// When it was enrolled first, or registered while nobody holds it.
    #[serde(with = "time::serde::rfc3339")]
    pub enrolled_at: OffsetDateTime,
    /// When its state changed last.
    #[serde(with = "time::serde::rfc3339")]
    pub changed_at: OffsetDateTime,
    /// When somebody signed in with it last.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used_at: Option<OffsetDateTime>,
}

/// A card whose PIN may be unblocked, told once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnblockView {
    /// The number of the card.
    pub card: String,
    /// Whose it is.
    pub address: Option<SipAddress>,
    /// The response to the card's challenge, to be read out.
    pub response: Option<String>,
    /// The one-time code for a card without a challenge.
    pub code: Option<String>,
    /// Until when the code can be used.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
}

impl std::fmt::Debug for UnblockView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnblockView")
            .field("card", &self.card)
            .finish_non_exhaustive()
    }
}

/// A certificate on a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateView {
    /// The serial, hex.
    pub serial: String,
    /// The profile.
    pub profile: String,
    /// Where it stands.
    pub status: String,
    /// From when it holds.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// Until when it holds.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// Why it was withdrawn.
    pub revoked_reason: Option<String>,
    /// When it was withdrawn.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
}

/// A card that was withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardEnd {
    /// The card as it is now.
    pub card: CardView,
    /// The serials that this withdrew, chat certificates among them.
    pub withdrawn: Vec<String>,
    /// How many live sessions were ended.
    pub sessions_ended: usize,
    /// The number of the new revocation list.
    pub crl_number: Option<u64>,
}

/// Sessions that were ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsEnded {
    /// How many.
    pub sessions_ended: usize,
}

/// A row of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditView {
    /// Its place.
    pub seq: u64,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To whom or what.
    pub subject: String,
    /// More.
    pub details: serde_json::Value,
    /// The hash of the row.
    pub hash: String,
}

/// A trail that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditVerdict {
    /// How many rows it has.
    pub rows: u64,
    /// The hash of the last one.
    pub head: String,
    /// How many signed heads vouch for it.
    pub signed_heads: usize,
}

/// A new certificate of the listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewedView {
    /// Its serial, hex.
    pub serial: String,
    /// Its names.
    pub names: Vec<String>,
    /// Until when it holds.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
}
