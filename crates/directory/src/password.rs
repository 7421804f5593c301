// SPDX-License-Identifier: MIT OR Apache-2.0
//! Passwords, for the people whose policy allows one. Stored as Argon2id.

use std::fmt;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc};
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// The longest password, in bytes; longer input is not hashed.
pub const PASSWORD_BYTES_MAX: usize = 256;

/// Memory of one hash, in KiB: the second recommended set of RFC 9106 is 64 MiB; a server that
/// checks many passwords at once takes OWASP's 19 MiB with two passes.
const ARGON2_MEMORY_KIB: u32 = 19 * 1024;
/// Passes over the memory.
const ARGON2_PASSES: u32 = 2;
/// Lanes.
const ARGON2_LANES: u32 = 1;

/// Why a password cannot be set.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than [`PASSWORD_CHARS_MIN`] characters.
    #[error("the password has fewer than 12 characters")]
    TooShort,
    /// More than [`PASSWORD_BYTES_MAX`] bytes.
    #[error("the password has more than 256 bytes")]
    TooLong,
    /// All characters are the same, or it holds a line break or another control character.
    #[error("the password is one character repeated, or holds a control character")]
    Trivial,
}

/// A password in clear. Zeroed when dropped; `Debug` does not show it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// Takes a password that a person typed in order to be checked.
    ///
    /// # Errors
    /// When it is longer than any password can be.
    pub fn typed(text: String) -> Result<Self, PasswordError> {
        let password = Self(text);
        if password.0.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        Ok(password)
    }

    /// Takes a password that is to be set from now on.
    ///
    /// # Errors
    /// When it is too short, too long or trivial.
    pub fn chosen(text: String) -> Result<Self, PasswordError> {
        let password = Self::typed(text)?;
        if password.0.chars().count() < PASSWORD_CHARS_MIN {
            return Err(PasswordError::TooShort);
        }
        let mut chars = password.0.chars();
        let first = chars.next();
        if chars.all(|char| Some(char) == first) || password.0.chars().any(char::is_control) {
            return Err(PasswordError::Trivial);
        }
        Ok(password)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A text in the database that is no password hash, or a hash that could not be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Argon2id password hash")]
pub struct PasswordHashError;

/// An Argon2id hash in PHC form. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a password with a salt of 16 random bytes.
    ///
    /// # Errors
    /// When the memory for the hash cannot be had.
    pub fn new(password: &Password, salt: [u8; 16]) -> Result<Self, PasswordHashError> {
        let hash: phc::PasswordHash = hasher()?
            .hash_password_with_salt(password.0.as_bytes(), &salt)
            .map_err(|_| PasswordHashError)?;
        Ok(Self(hash.to_string()))
    }

    /// Reads a hash from its PHC form.
    ///
    /// # Errors
    /// When the text is not an Argon2id hash.
    pub fn from_phc(text: &str) -> Result<Self, PasswordHashError> {
        let hash = phc::PasswordHash::new(text).map_err(|_| PasswordHashError)?;
        if hash.algorithm.as_str() != "argon2id" {
            return Err(PasswordHashError);
        }
        Ok(Self(text.to_owned()))
    }

    /// The PHC form, for the database.
    #[must_use]
    pub fn as_phc(&self) -> &str {
        &self.0
    }

    /// Whether this is the password. Takes as long for a wrong one as for the right one.
    #[must_use]
    pub fn verify(&self, password: &Password) -> bool {
        let (Ok(hasher), Ok(hash)) = (hasher(), phc::PasswordHash::new(&self.0)) else {
            return false;
        };
        hasher.verify_password(password.0.as_bytes(), &hash).is_ok()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

fn hasher() -> Result<Argon2<'static>, PasswordHashError> {
    let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, None)
        .map_err(|_| PasswordHashError)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::chosen(text.to_owned()).unwrap()
    }

    #[test]
    fn the_right_password_verifies_and_another_does_not() {
        let hash = PasswordHash::new(&password("correct horse battery"), [3; 16]).unwrap();
        assert!(hash.as_phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let read = PasswordHash::from_phc(hash.as_phc()).unwrap();
        assert!(read.verify(&password("correct horse battery")));
        assert!(!read.verify(&password("correct horse battery!")));
    }

    #[test]
    fn weak_passwords_cannot_be_chosen() {
        let chosen = |text: &str| Password::chosen(text.to_owned()).map(|_| ());
        assert_eq!(chosen("elevenchars"), Err(PasswordError::TooShort));
        assert_eq!(chosen("twelve chars"), Ok(()));
        assert_eq!(chosen("aaaaaaaaaaaaaaaa"), Err(PasswordError::Trivial));
        assert_eq!(chosen("line\nbreak in it"), Err(PasswordError::Trivial));
        let at_limit = "ab".repeat(PASSWORD_BYTES_MAX / 2);
        assert_eq!(chosen(&at_limit), Ok(()));
        assert_eq!(chosen(&format!("{at_limit}c")), Err(PasswordError::TooLong));
    }

    #[test]
    fn neither_password_nor_hash_shows_itself() {
        let secret = password("correct horse battery");
        assert_eq!(format!("{secret:?}"), "Password(..)");
        let hash = PasswordHash::new(&secret, [3; 16]).unwrap();
        assert_eq!(format!("{hash:?}"), "PasswordHash(..)");
    }

    #[test]
    fn foreign_hashes_are_refused() {
        assert!(PasswordHash::from_phc("").is_err());
        assert!(PasswordHash::from_phc("$1$abc$def").is_err());
    }
}
