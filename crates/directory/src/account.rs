// SPDX-License-Identifier: MIT OR Apache-2.0
//! An account and its immutable id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Email, GroupName, PasswordHash, SipAddress, Upn};

/// The first relative id that a person gets; those below are kept for the house itself.
const RELATIVE_ID_FIRST: u32 = 1000;
/// The longest name, title or telephone number, in characters.
pub const TEXT_CHARS_MAX: usize = 128;

/// Why a text is not an account id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an account id is written S-1-5-21-a-b-c-n")]
pub struct AccountIdError;

/// The part of every account id that is drawn once, when the deployment is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountDomain([u32; 3]);

impl AccountDomain {
    /// Makes the part from twelve random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 12]) -> Self {
        let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3] = bytes;
        Self([
            u32::from_be_bytes([a0, a1, a2, a3]),
            u32::from_be_bytes([b0, b1, b2, b3]),
            u32::from_be_bytes([c0, c1, c2, c3]),
        ])
    }

    /// The id of the n-th account (counted from zero); `None` when the numbers are used up.
    #[must_use]
    pub fn account(self, nth: u32) -> Option<AccountId> {
        let relative = RELATIVE_ID_FIRST.checked_add(nth)?;
        let [a, b, c] = self.0;
        Some(AccountId(format!("S-1-5-21-{a}-{b}-{c}-{relative}")))
    }
}

impl fmt::Display for AccountDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.0;
        write!(f, "S-1-5-21-{a}-{b}-{c}")
    }
}

impl FromStr for AccountDomain {
    type Err = AccountIdError;

    fn from_str(text: &str) -> Result<Self, AccountIdError> {
        let rest = text.strip_prefix("S-1-5-21-").ok_or(AccountIdError)?;
        let numbers = decimal_parts(rest)?;
        <[u32; 3]>::try_from(numbers)
            .map(Self)
            .map_err(|_| AccountIdError)
    }
}

/// The immutable id of an account, written as a security identifier.
///
/// Names change; this never does. It is what certificates are bound to.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(String);

impl AccountId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = AccountIdError;

    fn from_str(text: &str) -> Result<Self, AccountIdError> {
        let rest = text.strip_prefix("S-1-5-21-").ok_or(AccountIdError)?;
        if decimal_parts(rest)?.len() != 4 {
            return Err(AccountIdError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountId({})", self.0)
    }
}

impl Serialize for AccountId {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A person's account as the directory holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The immutable id.
    pub id: AccountId,
    /// What the person types to sign in.
    pub sip_address: SipAddress,
    /// The principal name that goes into certificates.
    pub upn: Upn,
    /// The e-mail address.
    pub email: Email,
    /// The name that others see.
    pub display_name: String,
    /// The job title, shown on the contact card.
    pub title: Option<String>,
    /// The telephone number, shown on the contact card.
    pub phone: Option<String>,
    /// The photograph, by its hash; the store has its bytes.
    pub photo: Option<PhotoHash>,
    /// Whether the person may come in at all.
    pub enabled: bool,
    /// The groups that the person is in, sorted by name.
    pub groups: Vec<GroupName>,
    /// The hash of the password, where one was set.
    pub password_hash: Option<PasswordHash>,
    /// When the account was made.
    pub created_at: OffsetDateTime,
}

/// An account that is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAccount {
    /// What the person types to sign in.
    pub sip_address: SipAddress,
    /// The principal name that goes into certificates.
    pub upn: Upn,
    /// The e-mail address.
    pub email: Email,
    /// The name that others see.
    pub display_name: String,
    /// The job title.
    pub title: Option<String>,
    /// The telephone number.
    pub phone: Option<String>,
    /// The groups to put the person into; each must exist.
    pub groups: Vec<GroupName>,
}

impl NewAccount {
    /// An account of which only the address is known: the other names follow from it.
    #[must_use]
    pub fn new(sip_address: SipAddress) -> Self {
        Self {
            upn: Upn::from(&sip_address),
            email: Email::from(&sip_address),
            display_name: sip_address.user().to_owned(),
            title: None,
            phone: None,
            groups: Vec::new(),
            sip_address,
        }
    }
}

/// A change of what others see of a person. What is `None` stays as it is; an inner `None` takes
/// the value away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountChange {
    /// The name that others see.
    #[serde(default)]
    pub display_name: Option<String>,
    /// The e-mail address.
    #[serde(default)]
    pub email: Option<Email>,
    /// The job title.
    #[serde(default, with = "twice")]
    pub title: Option<Option<String>>,
    /// The telephone number.
    #[serde(default, with = "twice")]
    pub phone: Option<Option<String>>,
}

impl AccountChange {
    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `Option<Option<T>>` as nothing, `null`, or a value: an outer `None` is written as `false`.
mod twice {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Kept(bool),
        Set(Option<String>),
    }

    #[expect(clippy::ref_option, reason = "serde gives a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Option<String>>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            None => Written::Kept(false),
            Some(value) => Written::Set(value.clone()),
        }
        .serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Option<String>>, D::Error> {
        Ok(match Written::deserialize(from)? {
            Written::Kept(_) => None,
            Written::Set(value) => Some(value),
        })
    }
}

/// Names a photograph by the SHA-256 of its bytes: 64 hexadecimal digits in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhotoHash(Box<str>);

impl PhotoHash {
    /// The name of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use std::fmt::Write as _;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        let mut text = String::with_capacity(PHOTO_HASH_CHARS);
        for byte in digest.as_ref() {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text.into_boxed_str())
    }

    /// The hash as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Digits of a SHA-256.
const PHOTO_HASH_CHARS: usize = 64;

/// Why a text does not name a photograph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a photograph is named by 64 hexadecimal digits")]
pub struct PhotoHashError;

impl FromStr for PhotoHash {
    type Err = PhotoHashError;

    fn from_str(text: &str) -> Result<Self, PhotoHashError> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == PHOTO_HASH_CHARS && text.bytes().all(is_digit) {
            Ok(Self(text.into()))
        } else {
            Err(PhotoHashError)
        }
    }
}

impl TryFrom<String> for PhotoHash {
    type Error = PhotoHashError;

    fn try_from(text: String) -> Result<Self, PhotoHashError> {
        text.parse()
    }
}

impl From<PhotoHash> for String {
    fn from(hash: PhotoHash) -> Self {
        hash.0.into()
    }
}

impl fmt::Display for PhotoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a name, title or telephone number was refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing was given.
    #[error("it is empty")]
    Empty,
    /// More than [`TEXT_CHARS_MAX`] characters.
    #[error("it is longer than 128 characters")]
    TooLong,
    /// A line break or another control character.
    #[error("it holds a control character")]
    Control,
}

/// Checks a text that others will see: a display name, a title, a telephone number.
///
/// # Errors
/// When the text is empty, too long, or holds a control character.
pub fn check_text(text: &str) -> Result<String, TextError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(TextError::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(TextError::Control);
    }
    Ok(text.to_owned())
}

/// Reads `a-b-c…`: canonical decimal numbers of 32 bits, without sign or leading zero.
fn decimal_parts(text: &str) -> Result<Vec<u32>, AccountIdError> {
    text.split('-')
        .map(|part| {
            let number: u32 = part.parse().map_err(|_| AccountIdError)?;
            // `+7` and `007` are other spellings of one id; an id has one spelling.
            if number.to_string() == part {
                Ok(number)
            } else {
                Err(AccountIdError)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_count_from_one_thousand() {
        let domain = AccountDomain::from_random([0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
        assert_eq!(domain.account(0).unwrap().as_str(), "S-1-5-21-1-2-3-1000");
        assert_eq!(domain.account(1).unwrap().as_str(), "S-1-5-21-1-2-3-1001");
        assert_eq!(domain.account(u32::MAX), None);
    }

    #[test]
    fn an_id_has_one_spelling() {
        for text in [
            "S-1-5-21-1-2-3-007",
            "S-1-5-21-+1-2-3-4",
            "S-1-5-21-1-2-3",
            "s-1-5-21-1-2-3-4",
        ] {
            assert_eq!(text.parse::<AccountId>(), Err(AccountIdError), "{text}");
        }
    }

    #[test]
    fn names_have_a_limit_and_no_line_breaks() {
        assert!(check_text(&"ü".repeat(TEXT_CHARS_MAX)).is_ok());
        assert_eq!(
            check_text(&"ü".repeat(TEXT_CHARS_MAX + 1)),
            Err(TextError::TooLong)
        );
        assert_eq!(check_text("a\nb"), Err(TextError::Control));
        assert_eq!(check_text("  "), Err(TextError::Empty));
    }

    #[test]
    fn a_photograph_is_named_by_its_bytes_and_has_one_spelling() {
        let hash = PhotoHash::of(b"");
        let known = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hash.as_str(), known);
        assert_eq!(known.parse(), Ok(hash));
        for text in ["", "e3", &known.to_uppercase(), "../../../../etc/passwd"] {
            assert_eq!(text.parse::<PhotoHash>(), Err(PhotoHashError), "{text}");
        }
    }

    #[test]
    fn a_change_tells_taking_away_from_leaving_alone() {
        let change = AccountChange {
            title: Some(None),
            phone: Some(Some("+49 30 1".into())),
            ..AccountChange::default()
        };
        let text = serde_json::to_string(&change).unwrap();
        assert_eq!(
            serde_json::from_str::<AccountChange>(&text).unwrap(),
            change
        );
        assert!(AccountChange::default().is_empty() && !change.is_empty());
        let text = serde_json::to_string(&AccountChange::default()).unwrap();
        assert!(
            serde_json::from_str::<AccountChange>(&text)
                .unwrap()
                .is_empty()
        );
    }

    proptest! {
        #[test]
        fn ids_read_back(bytes: [u8; 12], nth in 0u32..1_000_000) {
            let domain = AccountDomain::from_random(bytes);
            let id = domain.account(nth).unwrap();
            prop_assert_eq!(id.as_str().parse::<AccountId>().unwrap(), id);
            prop_assert_eq!(domain.to_string().parse::<AccountDomain>().unwrap(), domain);
        }
    }
}
