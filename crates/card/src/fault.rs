// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can come between us and a card, as facts.

use lanyard_piv::{Slot, StatusWord};

/// Why something with a card did not work.
///
/// `Clone` because the TLS signer keeps the fact until the handshake has failed and its caller asks.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardFault {
    /// The PC/SC service (pcscd) does not run.
    #[error("the smart-card service does not run")]
    NoService,
    /// There is no reader.
    #[error("there is no card reader")]
    NoReader,
    /// There are readers and no card in any of them, or this one is empty.
    #[error("there is no card in the reader")]
    NoCard,
    /// The card does not answer.
    #[error("the card does not answer")]
    CardMute,
    /// The card was pulled out, or its reader.
    #[error("the card was removed")]
    Removed,
    /// Another program reset the card in the middle of our work.
    #[error("another program has reset the card")]
    Interrupted,
    /// Another program holds the card and does not let go.
    #[error("another program is using the card")]
    InUse,
    /// The card's socket belongs to another user of this computer.
    #[error("the card's socket belongs to another user")]
    ForeignSocket,
    /// The card in a reader of our own driver is another user's of this computer.
    #[error("the card is another user's")]
    ForeignCard,
    /// Another card than the one that was chosen is in the reader now.
    #[error("another card is in the reader now")]
    OtherCard,
    /// The card has no PIV application.
    #[error("the card has no PIV application")]
    NotPiv,
    /// The card counted a wrong PIN.
    #[error("wrong PIN, {tries_left} tries left")]
    WrongPin {
        /// Tries left, at least 1.
        tries_left: u8,
    },
    /// The card refused the PIN and does not tell how many tries are left.
    #[error("wrong PIN")]
    WrongPinUncounted,
    /// No tries are left for the PIN.
    #[error("the PIN is blocked")]
    PinBlocked,
    /// Only one try is left, and nobody consented to use it. Nothing was sent to the card.
    #[error("only one try is left for the PIN")]
    LastTry,
    /// This PIN was used already, or dropped after a failure; the person must type it again.
    #[error("the PIN must be typed again")]
    PinSpent,
    /// The card wants the PIN verified first.
    #[error("the card wants the PIN first")]
    PinNotVerified,
    /// The card still has the PIN of a blank card and refuses its keys until that is changed.
    #[error("the card wants its PIN changed first")]
    PinMustChange,
    /// The card counted a wrong PUK.
    #[error("wrong PUK, {tries_left} tries left")]
    WrongPuk {
        /// Tries left, at least 1.
        tries_left: u8,
    },
    /// No tries are left for the PUK.
    #[error("the PUK is blocked")]
    PukBlocked,
    /// The card refuses the new PIN or PUK.
    #[error("the card refuses the new PIN")]
    NewPinRefused,
    /// The card, or its module, does not take such a text as a PIN. No try was used.
    #[error("the card takes no such PIN")]
    TokenPinRefused,
    /// The reader has no keys to type a PIN on.
    #[error("the reader has no PIN pad")]
    PadMissing,
    /// The person pressed the reader's key for *cancel*.
    #[error("the PIN entry at the reader was cancelled")]
    PadCancelled,
    /// Nothing was typed at the reader in its time.
    #[error("no PIN was typed at the reader in time")]
    PadTimedOut,
    /// The new PIN was typed differently the second time.
    #[error("the two new PINs typed at the reader differ")]
    PadMismatch,
    /// A PKCS #11 module cannot be loaded, or crashed.
    #[error("the PKCS #11 module cannot be used")]
    ModuleUnusable,
    /// A PKCS #11 module does not answer.
    #[error("the PKCS #11 module does not answer")]
    ModuleMute,
    /// The token holds a certificate without its key.
    #[error("the token has no key for this certificate")]
    TokenKeyMissing,
    /// The card does not take this management key.
    #[error("the card does not take this management key")]
    AdminRefused,
    /// The card wants its management key authenticated first.
    #[error("the card wants the management key first")]
    AdminNotAuthenticated,
    /// There is no usable key in this slot.
    #[error("the card has no key in slot {0}")]
    NoKey(Slot),
    /// There is no certificate in this slot.
    #[error("the card has no certificate in slot {0}")]
    NoCertificate(Slot),
    /// What lies in this slot is no certificate that we can read.
    #[error("the certificate in slot {0} cannot be read")]
    BadCertificate(Slot),
    /// The card's memory is full.
    #[error("the card's memory is full")]
    Full,
    /// The card does not know this command or algorithm.
    #[error("the card does not support this")]
    Unsupported,
    /// The card's answer is malformed.
    #[error("the card's answer is malformed")]
    BadAnswer,
    /// A status word without a meaning of its own here.
    #[error("the card refused with status {0}")]
    Refused(StatusWord),
    /// Waiting was cancelled.
    #[error("waiting for a card was cancelled")]
    Cancelled,
    /// The operating system's random number generator or cipher failed.
    #[error("the system's cryptography failed")]
    Cryptography,
}

impl CardFault {
    /// True for the faults that cost a try or forbid one: nothing may be tried again unasked.
    #[must_use]
    pub fn is_about_the_pin(&self) -> bool {
        matches!(
            self,
            Self::WrongPin { .. }
                | Self::WrongPinUncounted
                | Self::PinBlocked
                | Self::LastTry
                | Self::PinSpent
                | Self::PinNotVerified
                | Self::PinMustChange
        )
    }
}
