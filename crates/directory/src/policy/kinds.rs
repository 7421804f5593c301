// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kinds of card, and sets of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What kind of card holds a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CardKind {
    /// A card of plastic in a reader.
    Physical,
    /// A virtual card whose key lives in the computer's TPM.
    VirtualTpm,
    /// A virtual card in a sealed file: no hardware protection.
    VirtualFile,
}

impl CardKind {
    /// All kinds, the best protected first.
    pub const ALL: [Self; 3] = [Self::Physical, Self::VirtualTpm, Self::VirtualFile];

    /// The word for this kind in commands, requests and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Physical => "physical",
            Self::VirtualTpm => "virtual-tpm",
            Self::VirtualFile => "virtual-file",
        }
    }
}

impl fmt::Display for CardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no kind of card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the kinds of card are physical, virtual-tpm and virtual-file")]
pub struct UnknownCardKind;

impl FromStr for CardKind {
    type Err = UnknownCardKind;

    fn from_str(text: &str) -> Result<Self, UnknownCardKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text.trim())
            .ok_or(UnknownCardKind)
    }
}

/// A set of kinds of card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardKinds {
    pub(super) bits: u8,
}

impl CardKinds {
    /// No kind at all.
    pub const NONE: Self = Self { bits: 0 };
    /// Every kind.
    pub const ALL: Self = Self { bits: 0b111 };

    /// Whether this kind is in the set.
    #[must_use]
    pub fn contains(self, kind: CardKind) -> bool {
        self.bits & bit(kind) != 0
    }

    /// The set with this kind added.
    #[must_use]
    pub fn with(self, kind: CardKind) -> Self {
        Self {
            bits: self.bits | bit(kind),
        }
    }

    /// What both sets hold.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self {
            bits: self.bits & other.bits,
        }
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// The kinds in the set.
    pub fn iter(self) -> impl Iterator<Item = CardKind> {
        CardKind::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<CardKind> for CardKinds {
    fn from_iter<I: IntoIterator<Item = CardKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for CardKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (at, kind) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            f.write_str(kind.as_str())?;
        }
        Ok(())
    }
}

impl FromStr for CardKinds {
    type Err = UnknownCardKind;

    /// Reads a list such as `physical,virtual-tpm`, or `none`.
    fn from_str(text: &str) -> Result<Self, UnknownCardKind> {
        if text.trim() == "none" {
            return Ok(Self::NONE);
        }
        text.split(',').map(str::parse::<CardKind>).collect()
    }
}

impl Serialize for CardKinds {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for CardKinds {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Vec::<CardKind>::deserialize(from)?.into_iter().collect())
    }
}

fn bit(kind: CardKind) -> u8 {
    match kind {
        CardKind::Physical => 0b001,
        CardKind::VirtualTpm => 0b010,
        CardKind::VirtualFile => 0b100,
    }
}
