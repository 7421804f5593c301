// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of error codes `LY-nnnn`: one sentence and one next step each.
//!
//! Only the edges of the product name these codes; cores have typed errors of their own.

mod table;

pub use table::{Fault, ROWS};

use std::fmt;

impl Fault {
    /// The row of this fault in the table.
    fn row(self) -> &'static Row {
        // Every variant has exactly one row: the macro that makes the enum makes the table.
        ROWS.iter()
            .find(|row| row.fault == self)
            .unwrap_or(&ROWS[0])
    }

    /// The number behind `LY-`.
    #[must_use]
    pub fn number(self) -> u16 {
        self.row().number
    }

    /// The stable code, for example `LY-1203`.
    #[must_use]
    pub fn code(self) -> String {
        format!("LY-{:04}", self.number())
    }

    /// What happened, as one plain sentence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        self.row().sentence
    }

    /// What the person can do next.
    #[must_use]
    pub fn next_step(self) -> &'static str {
        self.row().next
    }

    /// Finds a fault by its code (`LY-1203`), as it arrives from a server.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        let number: u16 = code.strip_prefix("LY-")?.parse().ok()?;
        ROWS.iter()
            .find(|row| row.number == number)
            .map(|row| row.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} ({})",
            self.sentence(),
            self.next_step(),
            self.code()
        )
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// The fault.
    pub fault: Fault,
    /// Its number.
    pub number: u16,
    /// What happened.
    pub sentence: &'static str,
    /// What to do next.
    pub next: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_found_again() {
        for row in ROWS {
            assert_eq!(Fault::from_code(&row.fault.code()), Some(row.fault));
            assert_eq!(
                ROWS.iter()
                    .filter(|other| other.number == row.number)
                    .count(),
                1
            );
        }
    }

    #[test]
    fn every_row_has_a_sentence_and_a_next_step() {
        for row in ROWS {
            assert!(row.sentence.ends_with('.'), "{}", row.number);
            assert!(row.next.ends_with('.'), "{}", row.number);
        }
    }
}
