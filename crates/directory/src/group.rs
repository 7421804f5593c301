// SPDX-License-Identifier: MIT OR Apache-2.0
//! Groups of people, and the names of groups.

use std::fmt;
use std::str::FromStr;

use crate::{AccountId, GroupPolicy};

/// The longest name of a group, in bytes.
const GROUP_NAME_BYTES_MAX: usize = 64;

/// Why a text is not the name of a group.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupNameError {
    /// Empty or more than 64 characters.
    #[error("the name of a group has 1 to 64 characters")]
    Length,
    /// A character that is not allowed.
    #[error(
        "the name of a group starts with a letter or digit and holds letters, digits and . _ -"
    )]
    Character,
}

/// The name of a group, in lower case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName(String);

impl GroupName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GroupName {
    type Err = GroupNameError;

    fn from_str(text: &str) -> Result<Self, GroupNameError> {
        let text = text.trim();
        if text.is_empty() || text.len() > GROUP_NAME_BYTES_MAX {
            return Err(GroupNameError::Length);
        }
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !text.bytes().all(good) || !text.starts_with(|first: char| first.is_ascii_alphanumeric())
        {
            return Err(GroupNameError::Character);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupName({})", self.0)
    }
}

impl serde::Serialize for GroupName {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for GroupName {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A group: its members and what its policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The name.
    pub name: GroupName,
    /// The people in it.
    pub members: Vec<AccountId>,
    /// What the group's policy sets; what it leaves open follows the default policy.
    pub policy: GroupPolicy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_plain() {
        assert_eq!(
            "Sales-EU".parse::<GroupName>().unwrap().as_str(),
            "sales-eu"
        );
        assert_eq!("".parse::<GroupName>(), Err(GroupNameError::Length));
        assert_eq!("-x".parse::<GroupName>(), Err(GroupNameError::Character));
        assert_eq!("a b".parse::<GroupName>(), Err(GroupNameError::Character));
        let at_limit = "g".repeat(GROUP_NAME_BYTES_MAX);
        assert!(at_limit.parse::<GroupName>().is_ok());
        assert_eq!(
            format!("{at_limit}g").parse::<GroupName>(),
            Err(GroupNameError::Length)
        );
    }
}
