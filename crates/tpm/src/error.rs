// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong with a chip, as facts.

use std::fmt;
use std::io;

use tpm2_protocol::data::{TpmCc, TpmRc, TpmRcBase};

/// Why a conversation with a TPM failed.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum TpmError {
    /// There is no such device.
    #[error("there is no TPM at this place")]
    Absent(#[source] io::Error),
    /// The person may not use the device.
    #[error("the TPM may not be used by this person")]
    Denied(#[source] io::Error),
    /// The connection broke.
    #[error("the connection to the TPM broke")]
    Broken(#[source] io::Error),
    /// No answer came in time.
    #[error("the TPM did not answer in time")]
    TimedOut,
    /// The chip was busy for too long, or other programs fill its slots.
    #[error("the TPM is busy: {0}")]
    Busy(Code),
    /// The answer is not one that TPM 2.0 knows.
    #[error("the TPM's answer makes no sense")]
    Malformed,
    /// The answer does not carry the proof that it comes from the chip of this session.
    #[error("the TPM's answer was changed on the way")]
    Forged,
    /// What was asked does not fit into a command.
    #[error("this does not fit into a command")]
    TooLong,
    /// A cryptographic step on this side failed.
    #[error("a cryptographic step failed")]
    Crypto,
    /// The chip refused.
    #[error("the TPM refused {command:?}: {code}")]
    Refused {
        /// What was asked.
        command: TpmCc,
        /// Its reason.
        code: Code,
    },
}

impl TpmError {
    /// Whether the chip refused for this reason.
    #[must_use]
    pub fn is(&self, base: TpmRcBase) -> bool {
        match self {
            Self::Refused { code, .. } | Self::Busy(code) => code.is(base),
            _ => false,
        }
    }

    /// Whether the chip says that what was proved is wrong.
    #[must_use]
    pub fn is_wrong_auth(&self) -> bool {
        self.is(TpmRcBase::BadAuth) || self.is(TpmRcBase::AuthFail)
    }

    /// Whether nothing was heard of the chip: it is gone, mute or out of reach.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Absent(_) | Self::Denied(_) | Self::Broken(_) | Self::TimedOut
        )
    }
}

/// A response code (part 2, 6.6).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code(u32);

impl Code {
    /// The code of an answer.
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// Its number.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// Whether it has this meaning, wherever the fault lies.
    #[must_use]
    pub fn is(self, base: TpmRcBase) -> bool {
        TpmRc::try_from(self.0).is_ok_and(|code| code.base() == base)
    }

    /// Whether the same command may be sent again, as it is.
    pub(crate) fn asks_again(self) -> bool {
        [
            TpmRcBase::Retry,
            TpmRcBase::Yielded,
            TpmRcBase::Testing,
            TpmRcBase::NvRate,
            TpmRcBase::NvUnavailable,
            TpmRcBase::ObjectMemory,
            TpmRcBase::SessionMemory,
            TpmRcBase::ObjectHandles,
            TpmRcBase::SessionHandles,
            TpmRcBase::Memory,
        ]
        .iter()
        .any(|base| self.is(*base))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TpmRc::try_from(self.0) {
            Ok(code) => write!(f, "{code} (0x{:03X})", self.0),
            Err(_) => write!(f, "0x{:03X}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_wherever_the_fault_lies() {
        // A wrong authorisation of session 1, as swtpm tells it for a PIN index.
        assert!(Code::new(0x9A2).is(TpmRcBase::BadAuth));
        assert!(Code::new(0x98E).is(TpmRcBase::AuthFail));
        assert!(Code::new(0x12F).is(TpmRcBase::AuthUnavailable));
        assert!(Code::new(0x922).asks_again() && Code::new(0x902).asks_again());
        assert!(!Code::new(0x921).asks_again(), "a lockout is no pause");
    }

    #[test]
    fn a_vendors_own_code_is_shown_as_a_number() {
        assert_eq!(Code::new(0xFFFF_FFFF).to_string(), "0xFFFFFFFF");
    }
}
