// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a policy may ask of a card and of who holds it. Each kind of demand is ordered, the strictest last.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A word that is none of those that a demand knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the words are {known}")]
pub struct UnknownWord {
    known: &'static str,
}

macro_rules! demand {
    ($(#[$about:meta])* $name:ident, $known:literal: $($(#[$says:meta])* $value:ident = $word:literal,)*) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            $($(#[$says])* $value,)*
        }

        impl $name {
            /// All of them, the strictest last.
            pub const ALL: &'static [Self] = &[$(Self::$value,)*];

            /// The word in commands, requests and the database.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|value| value.as_str() == text.trim())
                    .ok_or(UnknownWord { known: $known })
            }
        }
    };
}

demand! {
    /// What has to be proved about where a card's key lives (key attestation).
    KeyAssurance, "none, tpm-user, piv-certificate, tpm-certificate and tpm-known":
    /// Nothing.
    None = "none",
    /// A TPM vouches for it, and the person for the TPM.
    TpmUser = "tpm-user",
    /// A maker's certificate vouches for the card that it lives in.
    PivCertificate = "piv-certificate",
    /// A maker's certificate vouches for the TPM that it lives in.
    TpmCertificate = "tpm-certificate",
    /// The administrator has listed the TPM that it lives in.
    TpmKnown = "tpm-known",
}

demand! {
    /// What the client does when the card is taken out of its reader. Virtual cards are never taken out.
    CardRemoval, "nothing, lock, sign-out and exit":
    /// Nothing.
    Nothing = "nothing",
    /// It hides everything until the card is back and the PIN was typed.
    Lock = "lock",
    /// The session ends.
    SignOut = "sign-out",
    /// The session ends, and the program with it.
    Exit = "exit",
}

demand! {
    /// What happens, where presence has to be proved, with a card that has no key for it (slot 9E).
    MissingPresenceKey, "allow and refuse":
    /// It comes in and proves nothing.
    Allow = "allow",
    /// It does not come in.
    Refuse = "refuse",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_demand_is_read_back_from_its_word() {
        for value in KeyAssurance::ALL {
            assert_eq!(value.as_str().parse(), Ok(*value));
        }
        for value in CardRemoval::ALL {
            assert_eq!(value.as_str().parse(), Ok(*value));
        }
        for value in MissingPresenceKey::ALL {
            assert_eq!(value.as_str().parse(), Ok(*value));
        }
        let refused = "eject".parse::<CardRemoval>().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the words are nothing, lock, sign-out and exit"
        );
    }
}
