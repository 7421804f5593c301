// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command interface of our card after SP 800-85A-4, with another maker's card beside it.
//!
//! One table of rows is played on both cards. What a row asserts is the standard's word; where a
//! card answers otherwise, the difference is data with its reason, and a difference that appears
//! or disappears fails.

mod cards;
mod differences;
mod excuses;
mod fuzz;
mod rows;
mod wire;

use std::collections::BTreeSet;

use anyhow::Result;
use cards::{Card, Prepared};
use differences::{Difference, Who};
use rows::Row;

#[test]
fn judge_both_cards_answer_as_sp_800_85a_says_or_as_the_known_differences_do() {
    let mut prepared = Prepared::both().expect("both cards");
    let mut verdict = Verdict::default();
    for row in rows::all() {
        let card = prepared.ours();
        verdict.look(Who::Ours, &row, card);
        let card = prepared.theirs();
        verdict.look(Who::Theirs, &row, card);
    }
    verdict.end(&[Who::Ours, Who::Theirs]);
}

#[test]
fn judge_our_card_in_a_tpm_answers_as_the_one_in_a_file_does() {
    let mut prepared = Prepared::in_tpm().expect("a card in a TPM");
    let mut verdict = Verdict::default();
    for row in rows::all() {
        let card = prepared.ours_in_tpm();
        verdict.look(Who::Ours, &row, card);
    }
    verdict.end(&[Who::Ours]);
}

#[test]
fn fuzzing_both_cards_alike_finds_no_crash_no_hang_and_no_unexplained_answer() {
    fuzz::run().expect("no unexplained answer");
}

/// What was seen of the known differences, and what else.
#[derive(Default)]
struct Verdict {
    rows: usize,
    used: BTreeSet<usize>,
    wrong: Vec<String>,
}

impl Verdict {
    /// Plays a row on a card and compares.
    fn look<C: Card>(&mut self, who: Who, row: &Row, card: Result<C>) {
        self.rows += 1;
        match card {
            Ok(mut card) => self.compare(who, row, &play(&mut card, row)),
            Err(error) => self
                .wrong
                .push(format!("{who:?}, {:?}: {error:#}", row.says)),
        }
    }

    fn compare(&mut self, who: Who, row: &Row, seen: &[String]) {
        for (index, (step, seen)) in row.steps.iter().zip(seen).enumerate() {
            let wanted = step.wanted();
            if wanted.contains(seen) {
                continue;
            }
            let number = index + 1;
            let known = differences::ALL.iter().position(|known| {
                (known.who, known.row, known.step) == (who, (row.says, row.cites), number)
                    && seen.starts_with(known.seen)
            });
            match known {
                Some(known) => drop(self.used.insert(known)),
                None => self.wrong.push(format!(
                    "{who:?}, {} \"{}\", step {number}: {seen} instead of {}",
                    row.cites,
                    row.says,
                    wanted.first().map_or("", String::as_str)
                )),
            }
        }
    }

    /// Fails where anything was unknown, or anything known was not seen.
    #[expect(clippy::print_stdout, reason = "a test tells what it has seen")]
    fn end(mut self, played: &[Who]) {
        for (index, known) in differences::ALL.iter().enumerate() {
            let Difference {
                who,
                row,
                step,
                seen,
                because,
            } = known;
            if played.contains(who) && !self.used.contains(&index) {
                self.wrong.push(format!(
                    "{who:?}, {row:?}, step {step}: {seen} is not seen any more ({because})"
                ));
            }
        }
        println!(
            "{} rows played, {} known differences",
            self.rows,
            self.used.len()
        );
        assert!(self.wrong.is_empty(), "\n{}", self.wrong.join("\n"));
    }
}

/// What is seen step by step; a card that is gone ends the row.
fn play(card: &mut dyn Card, row: &Row) -> Vec<String> {
    let mut seen = Vec::new();
    for step in &row.steps {
        match step.play(card) {
            Ok(words) => seen.push(words),
            Err(error) => {
                seen.push(format!("gone: {error:#}"));
                break;
            }
        }
    }
    seen
}
