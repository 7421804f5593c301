// SPDX-License-Identifier: MIT OR Apache-2.0
//! Availability and access levels: what a person chooses from a menu or types.

use serde::{Deserialize, Serialize};

/// Availability in the words of the status menu.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Availability {
    /// Green.
    Available,
    /// Available, idle for some minutes.
    Inactive,
    /// Red.
    Busy,
    /// Busy, idle for some minutes.
    BusyInactive,
    /// Red with a bar.
    DoNotDisturb,
    /// Yellow.
    BeRightBack,
    /// Yellow.
    Away,
    /// Not signed in.
    Offline,
    /// Nothing is known.
    #[default]
    Unknown,
}

impl Availability {
    /// Those a person may choose.
    pub const CHOICES: [Self; 5] = [
        Self::Available,
        Self::Busy,
        Self::DoNotDisturb,
        Self::BeRightBack,
        Self::Away,
    ];

    /// Whether a message would reach the person now.
    #[must_use]
    pub fn is_reachable(self) -> bool {
        !matches!(self, Self::Offline | Self::Unknown)
    }

    /// The words people read.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::Inactive => "Inactive",
            Self::Busy => "Busy",
            Self::BusyInactive => "Busy, inactive",
            Self::DoNotDisturb => "Do not disturb",
            Self::BeRightBack => "Be right back",
            Self::Away => "Away",
            Self::Offline => "Offline",
            Self::Unknown => "Presence unknown",
        }
    }

    /// The word as it is typed and printed for machines.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Inactive => "inactive",
            Self::Busy => "busy",
            Self::BusyInactive => "busy-inactive",
            Self::DoNotDisturb => "do-not-disturb",
            Self::BeRightBack => "be-right-back",
            Self::Away => "away",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }

    /// Reads what a person types: the keyword, its first letters, or a common short form.
    #[must_use]
    pub fn from_typed(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase().replace([' ', '_'], "-");
        let short = match text.as_str() {
            "dnd" => Some(Self::DoNotDisturb),
            "brb" => Some(Self::BeRightBack),
            "online" => Some(Self::Available),
            "" => return None,
            _ => None,
        };
        let begins = |choice: &Self| choice.keyword().starts_with(&text);
        short.or_else(|| Self::CHOICES.into_iter().find(begins))
    }

    /// Reads the availability number of the wire.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        // [MS-PRES] availability ranges; the lower end of each is what a person chose by hand.
        match number {
            0..3000 => Self::Unknown,
            3000..4500 => Self::Available,
            4500..6000 => Self::Inactive,
            6000..7500 => Self::Busy,
            7500..9000 => Self::BusyInactive,
            9000..12000 => Self::DoNotDisturb,
            12000..15000 => Self::BeRightBack,
            15000..18000 => Self::Away,
            _ => Self::Offline,
        }
    }

    /// The availability number of the wire.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Available => 3500,
            Self::Inactive => 5000,
            Self::Busy => 6500,
            Self::BusyInactive => 7500,
            Self::DoNotDisturb => 9500,
            Self::BeRightBack => 12500,
            Self::Away => 15500,
            Self::Offline | Self::Unknown => 18500,
        }
    }
}

/// What somebody may see of a person's presence ([MS-PRES] containers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessLevel {
    /// Everything.
    Personal,
    /// What the team sees.
    Team,
    /// What colleagues see; everybody of the organisation without another decision.
    Colleague,
    /// Name and availability alone.
    Public,
    /// Nothing: looks off line.
    Blocked,
}

impl AccessLevel {
    /// Every level, most open first.
    pub const ALL: [Self; 5] = [
        Self::Personal,
        Self::Team,
        Self::Colleague,
        Self::Public,
        Self::Blocked,
    ];

    /// The word as it is typed, printed and shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::Team => "team",
            Self::Colleague => "colleague",
            Self::Public => "public",
            Self::Blocked => "blocked",
        }
    }

    /// Reads what a person types: the word or its first letters.
    #[must_use]
    pub fn from_typed(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let mut fitting = Self::ALL
            .into_iter()
            .filter(|level| !text.is_empty() && level.word().starts_with(&text));
        fitting.next().filter(|_| fitting.next().is_none())
    }

    /// The container whose members are at this level.
    #[must_use]
    pub fn container(self) -> u32 {
        match self {
            Self::Personal => 400,
            Self::Team => 300,
            Self::Colleague => 200,
            Self::Public => 100,
            Self::Blocked => 32_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_choices_come_back_as_the_same_choice() {
        for choice in Availability::CHOICES {
            assert_eq!(Availability::from_number(choice.number()), choice);
            assert_eq!(Availability::from_typed(choice.keyword()), Some(choice));
        }
    }

    #[test]
    fn typed_statuses_may_be_short() {
        assert_eq!(
            Availability::from_typed("dnd"),
            Some(Availability::DoNotDisturb)
        );
        assert_eq!(
            Availability::from_typed("Be right back"),
            Some(Availability::BeRightBack)
        );
        assert_eq!(Availability::from_typed("aw"), Some(Availability::Away));
        assert_eq!(Availability::from_typed(""), None);
        assert_eq!(Availability::from_typed("offline"), None);
    }

    #[test]
    fn levels_are_read_by_their_first_letters_where_these_are_clear() {
        for level in AccessLevel::ALL {
            assert_eq!(AccessLevel::from_typed(level.word()), Some(level));
        }
        assert_eq!(AccessLevel::from_typed("PERS"), Some(AccessLevel::Personal));
        assert_eq!(AccessLevel::from_typed("p"), None);
        assert_eq!(AccessLevel::from_typed(""), None);
    }
}
