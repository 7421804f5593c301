// SPDX-License-Identifier: MIT OR Apache-2.0
//! What authorises a command.

use std::fmt;

use zeroize::Zeroizing;

use crate::session::Session;

/// A secret that authorises the use of an entity. Zeroed when dropped; never shown.
#[derive(Clone, Default)]
pub struct AuthValue(Zeroizing<Vec<u8>>);

impl AuthValue {
    /// The empty one, which anybody knows.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Takes a secret. Zeros at its end do not count (part 1, 19.6.4.3), so they are left out.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let length = secret
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last.saturating_add(1));
        Self(Zeroizing::new(
            secret.get(..length).unwrap_or_default().to_vec(),
        ))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for AuthValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthValue(..)")
    }
}

/// How one handle of a command is authorised, or a session that only encrypts.
pub enum Auth<'a> {
    /// The empty password: for what anybody may use.
    Nothing,
    /// A password in the clear. Only for secrets that are worth nothing on the bus.
    Password(&'a AuthValue),
    /// By HMAC with a session: the secret itself does not travel.
    Hmac(&'a mut Session, &'a AuthValue),
    /// By what a policy session has gathered; with the secret where the policy asks for it.
    Policy(&'a mut Session, Option<&'a AuthValue>),
    /// As `Policy` with the secret, for a command that replaces this very secret: the answer is
    /// proved with the new one.
    Changing {
        /// The policy session.
        session: &'a mut Session,
        /// The secret until now.
        old: &'a AuthValue,
        /// The secret from now on.
        new: &'a AuthValue,
    },
    /// Authorises nothing; the session encrypts and proves.
    Encrypting(&'a mut Session),
}

impl fmt::Debug for Auth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Password(_) => "Password(..)",
            Self::Hmac(..) => "Hmac(..)",
            Self::Policy(..) => "Policy(..)",
            Self::Changing { .. } => "Changing(..)",
            Self::Encrypting(_) => "Encrypting(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_at_the_end_of_a_secret_do_not_count() {
        assert_eq!(AuthValue::new(&[1, 0, 2, 0, 0]).as_bytes(), [1, 0, 2]);
        assert_eq!(AuthValue::new(&[0, 0]).as_bytes(), [0; 0]);
        assert_eq!(format!("{:?}", AuthValue::new(b"1234")), "AuthValue(..)");
    }
}
