// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can happen that an auditor has to know.

use std::fmt;
use std::str::FromStr;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What happened.
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action { $($(#[$doc])* $name,)+ }

        impl Action {
            /// All actions.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word in the trail. It never changes: it is hashed.
            pub fn as_str(&self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

actions! {
    /// Root, issuing authority and first certificates were made.
    KeyCeremony = "ceremony.done",
    /// The server began to serve.
    ServerStarted = "server.started",
    /// The server stopped in good order.
    ServerStopped = "server.stopped",
    /// The configuration was read again.
    ConfigurationReloaded = "configuration.reloaded",
    /// A person was added.
    UserAdded = "user.added",
    /// A person's fields were changed.
    UserChanged = "user.changed",
    /// A person was removed.
    UserRemoved = "user.removed",
    /// People were imported from a file.
    UsersImported = "user.imported",
    /// An account was switched off.
    UserDisabled = "user.disabled",
    /// An account was switched on again.
    UserEnabled = "user.enabled",
    /// A password was set.
    PasswordSet = "user.password-set",
    /// A one-time code for enrolment was made.
    EnrolmentCodeMade = "enrolment.code-made",
    /// An enrolment was refused.
    EnrolmentRefused = "enrolment.refused",
    /// A group was made.
    GroupAdded = "group.added",
    /// A group was removed.
    GroupRemoved = "group.removed",
    /// Who belongs to a group was changed.
    GroupChanged = "group.changed",
    /// A policy was set.
    PolicySet = "policy.set",
    /// A maker's word about keys was made to count.
    MakerAdded = "attestation.maker-added",
    /// A maker's word about keys no longer counts.
    MakerRemoved = "attestation.maker-removed",
    /// One TPM's word about keys was made to count.
    TpmAdded = "attestation.tpm-added",
    /// One TPM's word about keys no longer counts.
    TpmRemoved = "attestation.tpm-removed",
    /// A certificate was issued.
    CertificateIssued = "certificate.issued",
    /// A certificate was put in force.
    CertificateActivated = "certificate.activated",
    /// A certificate was withdrawn.
    CertificateRevoked = "certificate.revoked",
    /// A blank card was put into the stock.
    CardRegistered = "card.registered",
    /// A card was reported lost.
    CardLost = "card.lost",
    /// A card was withdrawn.
    CardRevoked = "card.revoked",
    /// A card was reported damaged.
    CardDamaged = "card.damaged",
    /// A lost card was found.
    CardFound = "card.found",
    /// A card was destroyed.
    CardDestroyed = "card.destroyed",
    /// A card was given another name.
    CardRenamed = "card.renamed",
    /// A card was renewed.
    CardRenewed = "card.renewed",
    /// Keys were handed to a card's enrolment.
    CardKeysHandedOut = "card.keys-handed-out",
    /// The secret from which the keys of cards are derived has a new version.
    CardSecretRotated = "card.secret-rotated",
    /// The desk allowed a card's PIN to be unblocked.
    CardUnblocked = "card.unblocked",
    /// An unblocking was refused.
    CardUnblockRefused = "card.unblock-refused",
    /// A revocation list was made.
    CrlIssued = "crl.issued",
    /// Somebody signed in.
    SignInSucceeded = "sign-in.succeeded",
    /// Somebody was not let in.
    SignInRefused = "sign-in.refused",
    /// A session was ended by the server.
    SessionEnded = "session.ended",
    /// The end of this trail was signed.
    HeadSigned = "audit.head-signed",
    /// A backup was written.
    BackupWritten = "backup.written",
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Self::ALL
            .iter()
            .copied()
            .find(|action| action.as_str() == text)
            .ok_or(UnknownAction)
    }
}

/// The word names no action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown action")]
pub struct UnknownAction;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_word_of_its_own() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(*action));
        }
        assert_eq!("".parse::<Action>(), Err(UnknownAction));
    }
}
