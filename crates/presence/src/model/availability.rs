// SPDX-License-Identifier: MIT OR Apache-2.0
//! Availability: numbers on the wire, words for people.

/// The classes of availability. [MS-PRES]: each is a range of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Availability {
    /// Reachable.
    Available,
    /// Reachable, but nothing was typed for a while.
    AvailableIdle,
    /// Reachable, but busy.
    Busy,
    /// Busy, and nothing was typed for a while.
    BusyIdle,
    /// Does not want to be disturbed.
    DoNotDisturb,
    /// Will be right back.
    BeRightBack,
    /// Away.
    Away,
    /// Not signed in, or wants to look so.
    Offline,
}

impl Availability {
    /// Every class, most available first.
    pub const ALL: [Self; 8] = [
        Self::Available,
        Self::AvailableIdle,
        Self::Busy,
        Self::BusyIdle,
        Self::DoNotDisturb,
        Self::BeRightBack,
        Self::Away,
        Self::Offline,
    ];

    /// The class that a number of the wire falls into.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        match number {
            3_000..=4_499 => Self::Available,
            4_500..=5_999 => Self::AvailableIdle,
            6_000..=7_499 => Self::Busy,
            7_500..=8_999 => Self::BusyIdle,
            9_000..=11_999 => Self::DoNotDisturb,
            12_000..=14_999 => Self::BeRightBack,
            15_000..=17_999 => Self::Away,
            // Below 3000 nothing is known; it is shown as offline, as other clients do.
            _ => Self::Offline,
        }
    }

    /// The number that we publish for this class.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Available => 3_500,
            Self::AvailableIdle => 5_000,
            Self::Busy => 6_500,
            Self::BusyIdle => 8_000,
            Self::DoNotDisturb => 9_500,
            Self::BeRightBack => 12_500,
            Self::Away => 15_500,
            Self::Offline => 18_500,
        }
    }

    /// A stable word for command lines and machine-readable output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::AvailableIdle => "idle",
            Self::Busy => "busy",
            Self::BusyIdle => "busy-idle",
            Self::DoNotDisturb => "do-not-disturb",
            Self::BeRightBack => "be-right-back",
            Self::Away => "away",
            Self::Offline => "offline",
        }
    }

    /// Reads the stable word, and the short forms that people type.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.trim().to_lowercase();
        match word.as_str() {
            "online" | "free" => Some(Self::Available),
            "dnd" => Some(Self::DoNotDisturb),
            "brb" => Some(Self::BeRightBack),
            _ => Self::ALL.into_iter().find(|class| class.word() == word),
        }
    }

    /// As a window shows it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::AvailableIdle => "Inactive",
            Self::Busy => "Busy",
            Self::BusyIdle => "Busy (inactive)",
            Self::DoNotDisturb => "Do not disturb",
            Self::BeRightBack => "Be right back",
            Self::Away => "Away",
            Self::Offline => "Offline",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_are_read_back() {
        for class in Availability::ALL {
            assert_eq!(Availability::from_number(class.number()), class);
            assert_eq!(Availability::from_word(class.word()), Some(class));
        }
    }

    #[test]
    fn every_range_begins_where_the_wire_says() {
        use Availability as A;
        for (number, class) in [
            (0, A::Offline),
            (2_999, A::Offline),
            (3_000, A::Available),
            (4_499, A::Available),
            (4_500, A::AvailableIdle),
            (6_000, A::Busy),
            (7_500, A::BusyIdle),
            (9_000, A::DoNotDisturb),
            (12_000, A::BeRightBack),
            (15_000, A::Away),
            (18_000, A::Offline),
            (u32::MAX, A::Offline),
        ] {
            assert_eq!(A::from_number(number), class, "{number}");
        }
    }
}
