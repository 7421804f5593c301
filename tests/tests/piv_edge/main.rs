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

use cards::{Card, Prepared};
use differences::{Difference, Who};
use rows::Row;

#[test]
fn judge_both_cards_answer_as_sp_800_85a_says_or_as_the_known_differences_do() {
    let mut prepared = Prepared::new().expect("both cards");
    let rows = rows::all();
    let mut wrong = Vec::new();
    let mut used = vec![false; differences::ALL.len()];
    for row in &rows {
        for who in [Who::Ours, Who::Theirs] {
            let played = match who {
                Who::Ours => prepared.ours().map(|mut card| play(&mut card, row)),
                Who::Theirs => prepared.theirs().map(|mut card| play(&mut card, row)),
            };
            match played {
                Ok(seen) => compare(row, who, &seen, &mut used, &mut wrong),
                Err(error) => wrong.push(format!("{who:?}, \"{}\": {error:#}", row.says)),
            }
        }
    }
    for (difference, used) in differences::ALL.iter().zip(used) {
        let Difference {
            who,
            row,
            step,
            seen,
            because,
        } = difference;
        if !used {
            wrong.push(format!(
                "{who:?}, {row:?}, step {step}: {seen} is not seen any more ({because})"
            ));
        }
    }
    println!(
        "{} rows on two cards, {} known differences",
        rows.len(),
        differences::ALL.len()
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn fuzzing_both_cards_alike_finds_no_crash_no_hang_and_no_unexplained_answer() {
    fuzz::run().expect("no unexplained answer");
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

fn compare(row: &Row, who: Who, seen: &[String], used: &mut [bool], wrong: &mut Vec<String>) {
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
        match known.and_then(|known| used.get_mut(known)) {
            Some(used) => *used = true,
            None => wrong.push(format!(
                "{who:?}, {} \"{}\", step {number}: {seen} instead of {}",
                row.cites,
                row.says,
                wanted.first().map_or("", String::as_str)
            )),
        }
    }
}
