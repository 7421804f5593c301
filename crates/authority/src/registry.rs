// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the authority remembers, and the interface that a store has to implement.

use std::error::Error as StdError;
use std::fmt;
use std::str::FromStr;

use lanyard_x509::{RevocationReason, Serial, Sid};
use time::OffsetDateTime;

use crate::actor::Actor;
use crate::audit::AuditEntry;
use crate::card::{CardGuid, CardKind};

/// The names of the profiles, as rows and interfaces spell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProfileName {
    /// A person's card, slot 9A: signs in.
    SmartcardUser,
    /// A card itself, slot 9E: shows that it is present.
    CardAuthentication,
    /// A chat session, bound to a card certificate.
    ChatUser,
    /// A server of ours.
    ServerTls,
    /// The authority that issues.
    IssuingCa,
    /// The root of trust.
    RootCa,
}

impl ProfileName {
    /// All names.
    pub const ALL: [Self; 6] = [
        Self::SmartcardUser,
        Self::CardAuthentication,
        Self::ChatUser,
        Self::ServerTls,
        Self::IssuingCa,
        Self::RootCa,
    ];

    /// The name in rows and interfaces.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SmartcardUser => "SmartcardUser",
            Self::CardAuthentication => "CardAuthentication",
            Self::ChatUser => "ChatUser",
            Self::ServerTls => "ServerTls",
            Self::IssuingCa => "IssuingCa",
            Self::RootCa => "RootCa",
        }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProfileName {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == text)
            .ok_or(UnknownName)
    }
}

/// Where a certificate stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Its serial number is taken; nothing is signed yet. After a crash a row may stay so for ever, harmlessly.
    Prepared,
    /// Signed, but it lets nobody in yet: the holder has to choose a PIN first.
    Issued,
    /// In force.
    Active,
    /// Withdrawn for good.
    Revoked,
}

impl Status {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Prepared, Self::Issued, Self::Active, Self::Revoked];

    /// The word in rows and interfaces.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Issued => "issued",
            Self::Active => "active",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownName)
    }
}

/// A word in a row that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown name")]
pub struct UnknownName;

/// A certificate that is about to be signed. It is stored first, so that no serial number is ever used twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedRow {
    /// The serial number: unique over all rows.
    pub serial: Serial,
    /// What it was made from.
    pub profile: ProfileName,
    /// Whose it is; `None` for servers and authorities.
    pub account: Option<Sid>,
    /// The subject, to be searched and shown.
    pub subject: String,
    /// The card that holds the key.
    pub card_guid: Option<CardGuid>,
    /// What kind of card it is.
    pub card_kind: Option<CardKind>,
    /// The certificate that this one lives and dies with.
    pub bound_to: Option<Serial>,
    /// From when it holds.
    pub not_before: OffsetDateTime,
    /// Until when it holds.
    pub not_after: OffsetDateTime,
    /// Who asked for it.
    pub requester: Actor,
    /// Who approved it.
    pub approver: Actor,
    /// When the row was made.
    pub prepared_at: OffsetDateTime,
    /// The bytes that will be signed: evidence, should the signature get out and the row not be completed.
    pub to_be_signed: Vec<u8>,
}

/// A certificate as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRow {
    /// The serial number.
    pub serial: Serial,
    /// What it was made from.
    pub profile: ProfileName,
    /// Whose it is; `None` for servers and authorities.
    pub account: Option<Sid>,
    /// The subject, to be searched and shown.
    pub subject: String,
    /// The card that holds the key.
    pub card_guid: Option<CardGuid>,
    /// What kind of card it is.
    pub card_kind: Option<CardKind>,
    /// The certificate that this one lives and dies with.
    pub bound_to: Option<Serial>,
    /// From when it holds.
    pub not_before: OffsetDateTime,
    /// Until when it holds.
    pub not_after: OffsetDateTime,
    /// Who asked for it.
    pub requester: Actor,
    /// Who approved it.
    pub approver: Actor,
    /// When the row was made.
    pub prepared_at: OffsetDateTime,
    /// The certificate; `None` while it is only prepared.
    pub der: Option<Vec<u8>>,
    /// Where it stands.
    pub status: Status,
    /// Why, when and by whom it was withdrawn; there exactly when the status is revoked.
    pub revocation: Option<Revocation>,
}

/// A withdrawal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Why.
    pub reason: RevocationReason,
    /// When.
    pub at: OffsetDateTime,
    /// By whom.
    pub by: Actor,
}

/// What completes a prepared row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Which row.
    pub serial: Serial,
    /// The certificate.
    pub der: Vec<u8>,
    /// [`Status::Issued`] or [`Status::Active`].
    pub status: Status,
    /// What the audit trail says about it.
    pub audit: AuditEntry,
}

/// One line of the revocation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedRow {
    /// Which certificate.
    pub serial: Serial,
    /// Why.
    pub reason: RevocationReason,
    /// When.
    pub at: OffsetDateTime,
}

/// A revocation list that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlRow {
    /// Its number: each list's is greater than the one before.
    pub number: u64,
    /// When it was made.
    pub this_update: OffsetDateTime,
    /// When it stops counting.
    pub next_update: OffsetDateTime,
    /// The list.
    pub der: Vec<u8>,
}

/// The authority's memory. Whoever implements it promises:
///
/// * what a method has returned `Ok` for is durable;
/// * each method is one transaction, and a change and its audit event are in the same one: there is no change without
///   its event and no event without its change (events are sealed with [`crate::audit::seal`]);
/// * serial numbers are unique, and a revoked row never changes its status again.
pub trait Registry: Send + Sync {
    /// Takes the serial number, before anything is signed.
    fn insert_prepared(&self, row: &PreparedRow) -> Result<(), RegistryError>;

    /// Completes prepared rows, all or none, in this order.
    ///
    /// [`RegistryError::NotPrepared`] when one is not in that state. [`RegistryError::NotInForce`] when the row that one
    /// is bound to is not, at that moment, issued or active: nothing new may hang on a card that has just been
    /// withdrawn. The check and the change are in the same transaction.
    fn complete(&self, completions: &[Completion]) -> Result<(), RegistryError>;

    /// Puts issued certificates in force, all or none: [`RegistryError::NotIssued`] when one is neither issued nor active
    /// already. When all of them were active before, nothing changes and there is no event.
    fn activate(&self, serials: &[Serial], audit: &AuditEntry) -> Result<(), RegistryError>;

    /// Withdraws certificates, all or none, one audit event for each pair. What is revoked already is left as it is,
    /// without an event, and does not count. Returns those that this call withdrew.
    fn revoke(
        &self,
        entries: &[(Serial, AuditEntry)],
        revocation: &Revocation,
    ) -> Result<Vec<Serial>, RegistryError>;

    /// The row of a serial number.
    fn find(&self, serial: &Serial) -> Result<Option<CertificateRow>, RegistryError>;

    /// All rows of an account, newest first.
    fn of_account(&self, account: &Sid) -> Result<Vec<CertificateRow>, RegistryError>;

    /// All rows of a card, newest first.
    fn of_card(&self, card: &CardGuid) -> Result<Vec<CertificateRow>, RegistryError>;

    /// All rows that are bound to this certificate, newest first.
    fn bound_to(&self, serial: &Serial) -> Result<Vec<CertificateRow>, RegistryError>;

    /// What is revoked and would otherwise still hold at this time, by serial number.
    fn revoked(&self, now: OffsetDateTime) -> Result<Vec<RevokedRow>, RegistryError>;

    /// Takes the next number for a revocation list, starting with 1. It is used up even when no list comes of it.
    fn next_crl_number(&self) -> Result<u64, RegistryError>;

    /// Keeps a list as the current one.
    fn save_crl(&self, crl: &CrlRow) -> Result<(), RegistryError>;

    /// The current list.
    fn current_crl(&self) -> Result<Option<CrlRow>, RegistryError>;
}

/// Why the registry did not do it.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The serial number is taken.
    #[error("the serial number {0} is taken")]
    SerialTaken(Serial),
    /// No such row.
    #[error("no certificate has the serial number {0}")]
    UnknownSerial(Serial),
    /// The row is not waiting for its certificate.
    #[error("the certificate {0} is not being prepared")]
    NotPrepared(Serial),
    /// The row cannot come into force.
    #[error("the certificate {0} cannot be put in force")]
    NotIssued(Serial),
    /// What the row is bound to is withdrawn, or was never issued.
    #[error("the certificate {0}, to which another one is bound, is not in force")]
    NotInForce(Serial),
    /// The store failed.
    #[error("the registry cannot be reached")]
    Storage(#[source] Box<dyn StdError + Send + Sync>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_rows_are_read_back() {
        for name in ProfileName::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
        }
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("Active".parse::<Status>(), Err(UnknownName));
    }
}
