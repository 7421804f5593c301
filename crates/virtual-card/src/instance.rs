// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instance ids of virtual cards, in tpmvscmgr's words.

use std::fmt;
use std::str::FromStr;

/// How many virtual cards one person may have.
pub const CARDS_MAX: u16 = 10;

/// What an instance id looks like to people.
const PREFIX: &str = r"ROOT\SMARTCARDREADER\";

/// The number of a virtual card on this computer, shown as `ROOT\SMARTCARDREADER\0000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(u16);

/// The text is not an instance id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an instance id is ROOT\\SMARTCARDREADER\\0000 to 0009, or only the number")]
pub struct NotAnInstance;

impl InstanceId {
    /// All ids that can exist, lowest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CARDS_MAX).map(Self)
    }

    /// The name of the card's directory and of its socket: four digits.
    #[must_use]
    pub fn directory(self) -> String {
        format!("{:04}", self.0)
    }

    /// The id whose directory has this name.
    #[must_use]
    pub fn from_directory(name: &str) -> Option<Self> {
        Self::all().find(|id| id.directory() == name)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:04}", self.0)
    }
}

impl FromStr for InstanceId {
    type Err = NotAnInstance;

    /// Accepts the whole id in any case, or the bare number.
    fn from_str(text: &str) -> Result<Self, NotAnInstance> {
        let number = match text.split_at_checked(PREFIX.len()) {
            Some((prefix, number)) if prefix.eq_ignore_ascii_case(PREFIX) => number,
            _ => text,
        };
        if number.is_empty()
            || number.len() > 4
            || !number.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(NotAnInstance);
        }
        let number: u16 = number.parse().map_err(|_| NotAnInstance)?;
        Self::all().find(|id| id.0 == number).ok_or(NotAnInstance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_from_each_of_its_forms() {
        for id in InstanceId::all() {
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.directory().parse(), Ok(id));
            assert_eq!(InstanceId::from_directory(&id.directory()), Some(id));
        }
        assert_eq!(
            r"root\smartcardreader\0003".parse(),
            "3".parse::<InstanceId>()
        );
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "10",
            "-1",
            "+1",
            "../0",
            r"ROOT\SMARTCARDREADER\",
            "00001",
            "ä000",
        ] {
            assert_eq!(text.parse::<InstanceId>(), Err(NotAnInstance), "{text}");
        }
        assert_eq!(InstanceId::from_directory("0"), None);
    }
}
