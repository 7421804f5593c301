// SPDX-License-Identifier: MIT OR Apache-2.0
//! One-time codes: what an administrator hands to a person so that the first card can be enrolled.
//!
//! A code is twelve letters and digits in three groups, 60 random bits. It is shown once; only a
//! salted SHA-256 of it is stored. A slow hash is not needed: nobody chooses the code, it has no
//! dictionary, and it dies after 24 hours, after its use, or when a newer one is made.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use subtle::ConstantTimeEq;
use time::{Duration, OffsetDateTime};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How many random bytes a code is made from.
pub const CODE_ENTROPY_BYTES: usize = 8;
/// How many random bytes salt the stored hash.
pub const CODE_SALT_BYTES: usize = 16;
/// How long a code can be used.
pub const CODE_LIFETIME: Duration = Duration::hours(24);
/// How many wrong tries are answered within one window; further ones are refused unseen.
pub const CODE_TRIES_MAX: u32 = 5;
/// How long wrong tries are remembered, counted from the first of them.
pub const CODE_TRY_WINDOW: Duration = Duration::minutes(15);

/// How many symbols a code has.
const CODE_SYMBOLS: usize = 12;
/// How many symbols stand in one group.
const GROUP_SYMBOLS: usize = 4;
/// Crockford's alphabet: no I, L, O and U, which are read as something else.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Keeps this hash apart from every other use of SHA-256.
const HASH_DOMAIN: &[u8] = b"lanyard enrolment code 1";

/// A text that cannot be a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a one-time code has three groups of four letters and digits")]
pub struct CodeText;

/// A one-time code in clear. Zeroed when dropped; `Debug` does not show it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct EnrolCode([u8; CODE_SYMBOLS]);

impl EnrolCode {
    /// Makes a code from random bytes; 60 of the 64 bits are used.
    #[must_use]
    pub fn from_random(bytes: [u8; CODE_ENTROPY_BYTES]) -> Self {
        let mut bits = u64::from_be_bytes(bytes);
        let mut symbols = [0u8; CODE_SYMBOLS];
        for symbol in &mut symbols {
            *symbol = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
        }
        Self(symbols)
    }

    /// The code as it is shown to a person, once.
    #[must_use]
    pub fn reveal(&self) -> String {
        let mut text = String::with_capacity(CODE_SYMBOLS + 2);
        for (at, symbol) in self.0.iter().enumerate() {
            if at > 0 && at % GROUP_SYMBOLS == 0 {
                text.push('-');
            }
            text.push(char::from(*symbol));
        }
        text
    }

    fn hash(&self, salt: &[u8; CODE_SALT_BYTES]) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(HASH_DOMAIN);
        context.update(salt);
        context.update(&self.0);
        let mut out = [0u8; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }
}

impl FromStr for EnrolCode {
    type Err = CodeText;

    /// Reads a code as people type it: in any case, with or without hyphens and spaces, with I
    /// and L for 1 and O for 0.
    fn from_str(text: &str) -> Result<Self, CodeText> {
        let mut symbols = [0u8; CODE_SYMBOLS];
        let mut filled = 0;
        for byte in text.bytes() {
            let symbol = match byte.to_ascii_uppercase() {
                b'-' | b' ' => continue,
                b'I' | b'L' => b'1',
                b'O' => b'0',
                other => other,
            };
            if !ALPHABET.contains(&symbol) {
                return Err(CodeText);
            }
            *symbols.get_mut(filled).ok_or(CodeText)? = symbol;
            filled += 1;
        }
        if filled == CODE_SYMBOLS {
            Ok(Self(symbols))
        } else {
            Err(CodeText)
        }
    }
}

impl fmt::Debug for EnrolCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrolCode(..)")
    }
}

/// Why a code was refused. People are told only whether to ask for a new code or to wait.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefused {
    /// It is not the code of this account, or the account has none.
    #[error("the one-time code is wrong")]
    Wrong,
    /// It was used before.
    #[error("the one-time code was used before")]
    Used,
    /// It is older than [`CODE_LIFETIME`].
    #[error("the one-time code has expired")]
    Expired,
    /// [`CODE_TRIES_MAX`] wrong tries were made within [`CODE_TRY_WINDOW`].
    #[error("there were too many wrong tries")]
    TooManyTries,
}

/// Whether a code was accepted.
pub type CodeVerdict = Result<(), CodeRefused>;

/// A code as it is stored: its hash, its times and the wrong tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCode {
    /// The salt of the hash.
    pub salt: [u8; CODE_SALT_BYTES],
    /// The salted hash.
    pub hash: [u8; 32],
    /// When the code was made.
    pub created_at: OffsetDateTime,
    /// When it stops to work.
    pub expires_at: OffsetDateTime,
    /// When it was used.
    pub used_at: Option<OffsetDateTime>,
    /// The wrong tries of the running window.
    pub tries_failed: u32,
    /// When the running window began.
    pub tries_since: Option<OffsetDateTime>,
}

impl StoredCode {
    /// What is stored for a fresh code.
    #[must_use]
    pub fn new(code: &EnrolCode, salt: [u8; CODE_SALT_BYTES], now: OffsetDateTime) -> Self {
        Self {
            hash: code.hash(&salt),
            salt,
            created_at: now,
            expires_at: now + CODE_LIFETIME,
            used_at: None,
            tries_failed: 0,
            tries_since: None,
        }
    }

    /// Judges one try and keeps count: a right code is marked used, a wrong one is counted.
    ///
    /// The caller stores the changed state in the same transaction, also after a refusal.
    ///
    /// # Errors
    /// When the code is refused.
    pub fn try_use(&mut self, code: &EnrolCode, now: OffsetDateTime) -> CodeVerdict {
        if self
            .tries_since
            .is_some_and(|since| now >= since + CODE_TRY_WINDOW)
        {
            self.tries_failed = 0;
            self.tries_since = None;
        }
        if self.tries_failed >= CODE_TRIES_MAX {
            return Err(CodeRefused::TooManyTries);
        }
        let is_right: bool = code.hash(&self.salt).ct_eq(&self.hash).into();
        if !is_right {
            self.tries_failed += 1;
            self.tries_since.get_or_insert(now);
            return Err(CodeRefused::Wrong);
        }
        if self.used_at.is_some() {
            return Err(CodeRefused::Used);
        }
        if now >= self.expires_at {
            return Err(CodeRefused::Expired);
        }
        self.used_at = Some(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn code(number: u8) -> EnrolCode {
        EnrolCode::from_random([number; CODE_ENTROPY_BYTES])
    }

    #[test]
    fn a_code_works_once() {
        let mut stored = StoredCode::new(&code(7), [1; CODE_SALT_BYTES], NOW);
        assert_eq!(stored.try_use(&code(7), NOW), Ok(()));
        assert_eq!(stored.try_use(&code(7), NOW), Err(CodeRefused::Used));
    }

    #[test]
    fn a_code_lives_24_hours() {
        let mut stored = StoredCode::new(&code(7), [1; CODE_SALT_BYTES], NOW);
        let late = NOW + CODE_LIFETIME;
        assert_eq!(
            stored.clone().try_use(&code(7), late - Duration::SECOND),
            Ok(())
        );
        assert_eq!(stored.try_use(&code(7), late), Err(CodeRefused::Expired));
    }

    #[test]
    fn after_too_many_wrong_tries_even_the_right_code_waits() {
        let mut stored = StoredCode::new(&code(7), [1; CODE_SALT_BYTES], NOW);
        for _ in 0..CODE_TRIES_MAX {
            assert_eq!(stored.try_use(&code(8), NOW), Err(CodeRefused::Wrong));
        }
        assert_eq!(
            stored.try_use(&code(7), NOW),
            Err(CodeRefused::TooManyTries)
        );
        assert_eq!(stored.try_use(&code(7), NOW + CODE_TRY_WINDOW), Ok(()));
    }

    #[test]
    fn a_code_does_not_show_itself() {
        assert_eq!(format!("{:?}", code(7)), "EnrolCode(..)");
        let stored = StoredCode::new(&code(7), [1; CODE_SALT_BYTES], NOW);
        assert!(!format!("{stored:?}").contains(&code(7).reveal()));
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        let code: EnrolCode = "ILO0-abcd-wxyz".parse().unwrap();
        assert_eq!(code.reveal(), "1100-ABCD-WXYZ");
        for bad in [
            "",
            "ABCD-EFGH",
            "ABCD-EFGH-JKMN-P",
            "ABCD-EFGH-JKM!",
            "ABCD-EFGH-JKMU",
        ] {
            assert_eq!(bad.parse::<EnrolCode>().unwrap_err(), CodeText, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_shown_code_reads_back(bytes: [u8; CODE_ENTROPY_BYTES]) {
            let code = EnrolCode::from_random(bytes);
            let again: EnrolCode = code.reveal().to_lowercase().parse().unwrap();
            prop_assert_eq!(again.reveal(), code.reveal());
        }
    }
}
