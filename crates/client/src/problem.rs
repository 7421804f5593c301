// SPDX-License-Identifier: MIT OR Apache-2.0
//! What went wrong, as a person reads it: a code, a sentence, a next step.

use std::fmt;

use lanyard_fault::Fault;
use serde::{Deserialize, Serialize};

/// Longest text that is taken over from a server, in characters.
const FOREIGN_TEXT_CHARS_MAX: usize = 300;

/// A fault in words, with an optional detail of this very case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The stable code, `LY-nnnn`.
    pub code: String,
    /// What happened.
    pub sentence: String,
    /// What is special in this case (whose card, how many tries), as sentences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do next.
    pub next: String,
}

impl Problem {
    /// The fault as the table words it.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            code: fault.code(),
            sentence: fault.sentence().to_owned(),
            detail: None,
            next: fault.next_step().to_owned(),
        }
    }

    /// The same with what is special in this case. The detail is whole sentences.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// A fault that a server reported with its own words.
    #[must_use]
    pub fn from_server(code: &str, sentence: &str, next: &str) -> Self {
        let known = Fault::from_code(code);
        let fallback = known.unwrap_or(Fault::SignInRefused);
        let text = |given: &str, own: &str| {
            let given = printable(given);
            if given.is_empty() {
                own.to_owned()
            } else {
                given
            }
        };
        Self {
            code: known.map_or_else(|| fallback.code(), Fault::code),
            sentence: text(sentence, fallback.sentence()),
            detail: None,
            next: text(next, fallback.next_step()),
        }
    }

    /// Whether this is the given fault.
    #[must_use]
    pub fn is(&self, fault: Fault) -> bool {
        self.code == fault.code()
    }
}

/// Text of a peer without control characters and not longer than a few lines.
#[must_use]
pub fn printable(text: &str) -> String {
    let kept = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text: String = kept.take(FOREIGN_TEXT_CHARS_MAX).collect();
    text.trim().to_owned()
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::new(fault)
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.sentence)?;
        if let Some(detail) = &self.detail {
            write!(f, " {detail}")?;
        }
        write!(f, " {}", self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_code_sentence_detail_and_next_step() {
        let problem = Problem::new(Fault::PinWrong).with_detail("2 tries are left.");
        assert_eq!(
            problem.to_string(),
            "LY-1205: The PIN is wrong. 2 tries are left. Type the PIN again."
        );
    }

    #[test]
    fn a_servers_words_are_cleaned_and_an_unknown_code_becomes_ours() {
        let problem = Problem::from_server("LY-9999", "No\u{1b}[31m way.\n", "");
        assert_eq!(problem.code, Fault::SignInRefused.code());
        assert_eq!(problem.sentence, "No [31m way.");
        assert_eq!(problem.next, Fault::SignInRefused.next_step());
    }
}
