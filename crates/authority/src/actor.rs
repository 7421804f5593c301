// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who does something.

use std::fmt;
use std::str::FromStr;

use lanyard_x509::Sid;

/// Longest name of an administrator or a part of the system, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Who asked for something, approved it or did it. Written `person:S-1-5-…`, `admin:name` or `system:part`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Actor {
    /// A person with an account.
    Person(Sid),
    /// An administrator at the server, by the name of the system's user.
    Administrator(String),
    /// A part of the server itself, such as `server` or `renewal`.
    System(String),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(account) => write!(f, "person:{account}"),
            Self::Administrator(name) => write!(f, "admin:{name}"),
            Self::System(part) => write!(f, "system:{part}"),
        }
    }
}

impl FromStr for Actor {
    type Err = ActorError;

    fn from_str(text: &str) -> Result<Self, ActorError> {
        let (kind, name) = text.split_once(':').ok_or(ActorError)?;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(ActorError);
        }
        match kind {
            "person" => name.parse().map(Self::Person).map_err(|_| ActorError),
            "admin" => Ok(Self::Administrator(name.to_owned())),
            "system" => Ok(Self::System(name.to_owned())),
            _ => Err(ActorError),
        }
    }
}

/// The text names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a person, an administrator or a part of the system")]
pub struct ActorError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_text_and_back() {
        for text in ["person:S-1-5-21-1-2-3-1000", "admin:root", "system:server"] {
            assert_eq!(text.parse::<Actor>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "root",
            "person:alice",
            "admin:",
            "robot:x",
            "admin:a\nb",
        ] {
            assert_eq!(text.parse::<Actor>(), Err(ActorError), "{text:?}");
        }
    }
}
