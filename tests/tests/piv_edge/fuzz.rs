// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same streams of random, mutated and valid commands to both cards: none may crash or hang, and
//! where one does what the other refuses, a reason must be known.
//!
//! The ordinary run is a fixed number of commands from a fixed seed. For a long one:
//! `LANYARD_FUZZ_SECONDS=3600 LANYARD_FUZZ_SEED=7 cargo test -p lanyard-tests --test piv_edge fuzz`.

use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cards::{Card, Ours, PIN, Prepared, Theirs};
use crate::excuses::{Class, EXCUSES, Exchange};
use crate::rows::{self, Step};
use crate::wire::{bytes, hex, split};

/// Commands of an ordinary run.
const COMMANDS: u32 = 4_000;
const SEED: u64 = 20_261_122;
/// Commands between two resets, at most.
const STREAM_COMMANDS_MAX: u64 = 12;
/// Streams that share a pair of cards: their memory must not drift apart unseen.
const STREAMS_PER_CARD: u32 = 20;
/// So many unexplained answers are enough to look at.
const UNEXPLAINED_MAX: usize = 20;
/// A random command is at most this long.
const RANDOM_BYTES_MAX: u64 = 40;

/// Small, fast, and the same on every computer (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.roll() as u8
    }

    fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }
}

/// What is sent next.
enum Next {
    Command(Vec<u8>),
    /// The management key is proved, both ways.
    Manager,
}

/// Plays streams until the count or the time is over.
#[expect(clippy::print_stdout, reason = "a test tells what it has seen")]
pub fn run() -> Result<()> {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seed = number("LANYARD_FUZZ_SEED").unwrap_or(SEED);
    let seconds = number("LANYARD_FUZZ_SECONDS").map(Duration::from_secs);
    let pool = pool();
    let mut dice = Dice(seed);
    let mut prepared = Prepared::both()?;
    let mut pair = Pair::fresh(&mut prepared)?;
    let (mut sent, start) = (0, Instant::now());
    let mut excused: BTreeMap<&str, u32> = BTreeMap::new();
    let mut unexplained = Vec::new();
    let mut died = 0;
    let goes_on = |sent: u32| seconds.map_or(sent < COMMANDS, |limit| start.elapsed() < limit);
    while goes_on(sent) {
        if pair.streams >= STREAMS_PER_CARD {
            pair = Pair::fresh(&mut prepared)?;
        }
        match pair.stream(&mut dice, &pool, &mut sent)? {
            Ended::Same => {}
            Ended::Excused(why) => {
                *excused.entry(why).or_default() += 1;
                pair = Pair::fresh(&mut prepared)?;
            }
            Ended::TheyDied(command) => {
                println!("the independent card ended at {command}");
                died += 1;
                pair = Pair::fresh(&mut prepared)?;
            }
            Ended::Unexplained(story) => {
                unexplained.push(format!("after {sent} commands:\n{story}"));
                if unexplained.len() >= UNEXPLAINED_MAX {
                    break;
                }
                pair = Pair::fresh(&mut prepared)?;
            }
        }
    }
    println!(
        "{sent} commands in {:?}; the independent card ended {died} times",
        start.elapsed()
    );
    for (why, times) in excused {
        println!("{times:6} times: {why}");
    }
    ensure!(
        unexplained.is_empty(),
        "seed {seed}:\n{}",
        unexplained.join("\n\n")
    );
    Ok(())
}

enum Ended {
    Same,
    Excused(&'static str),
    TheyDied(String),
    Unexplained(String),
}

/// Both cards with the same memory.
struct Pair {
    ours: Ours,
    theirs: Theirs,
    streams: u32,
}

impl Pair {
    fn fresh(prepared: &mut Prepared) -> Result<Self> {
        Ok(Self {
            ours: prepared.ours()?,
            theirs: prepared.theirs()?,
            streams: 0,
        })
    }

    /// One stream, from reset to the first difference.
    fn stream(&mut self, dice: &mut Dice, pool: &[Vec<u8>], sent: &mut u32) -> Result<Ended> {
        self.streams += 1;
        self.ours.reset()?;
        self.theirs.reset()?;
        let mut story = Vec::new();
        let (mut chain, mut refused_proof) = (false, false);
        for _ in 0..=dice.below(STREAM_COMMANDS_MAX) {
            *sent += 1;
            let command = match next(dice, pool) {
                // The independent card would take the next command for the last piece of a chain.
                Next::Manager if chain => continue,
                Next::Manager => {
                    self.ours.as_manager().context("our card")?;
                    self.theirs.as_manager().context("their card")?;
                    story.push("the management key".to_owned());
                    continue;
                }
                Next::Command(command) => command,
            };
            let ours = self.ours.apdu(&command).context("our card")?;
            let Ok(theirs) = self.theirs.apdu(&command) else {
                return Ok(Ended::TheyDied(hex(&command)));
            };
            let exchange = Exchange {
                command: &command,
                chain,
                refused_proof,
                ours: split(&ours)?.1,
                theirs: split(&theirs)?.1,
            };
            story.push(format!(
                "{} ours {:04X} theirs {:04X}",
                hex(&command),
                exchange.ours,
                exchange.theirs
            ));
            let same = Class::of(exchange.ours) == Class::of(exchange.theirs);
            if !same && !exchange.both_refused() {
                let excuse = EXCUSES.iter().find(|(_, fits)| fits(&exchange));
                return Ok(match excuse {
                    Some((why, _)) => Ended::Excused(why),
                    None => Ended::Unexplained(story.join("\n")),
                });
            }
            refused_proof |= matches!(command.get(1), Some(0x24 | 0x2C | 0x87))
                && Class::of(exchange.ours) == Class::Denied;
            let begins = command.first().is_some_and(|class| class & 0x10 != 0);
            chain = begins || (chain && Class::of(exchange.ours) != Class::Done);
        }
        Ok(Ended::Same)
    }
}

/// All commands of the table, as seeds.
fn pool() -> Vec<Vec<u8>> {
    let mut pool = Vec::new();
    for step in rows::all().into_iter().flat_map(|row| row.steps) {
        match step {
            Step::Send(command, _) | Step::Whole(command, _, _) => pool.push(command),
            Step::Chained([class, instruction, p1, p2], data, _, _) => {
                let pieces: Vec<&[u8]> = data.chunks(255).collect();
                for (index, piece) in pieces.iter().enumerate() {
                    let chain = if index + 1 < pieces.len() { 0x10 } else { 0 };
                    let head = [class | chain, instruction, p1, p2, piece.len() as u8];
                    pool.push([&head[..], piece].concat());
                }
            }
            _ => {}
        }
    }
    pool.sort();
    pool.dedup();
    pool
}

fn next(dice: &mut Dice, pool: &[Vec<u8>]) -> Next {
    loop {
        let command = match dice.below(16) {
            0 => return Next::Manager,
            1 => bytes(&format!("00 20 00 80 08 {PIN}")),
            2 => (0..2 + dice.below(RANDOM_BYTES_MAX))
                .map(|_| dice.byte())
                .collect(),
            3..=6 => pick(dice, pool),
            _ => {
                let command = pick(dice, pool);
                mutated(dice, command, pool)
            }
        };
        // A key of 2048 bits and more takes the independent card seconds to make.
        let slow = command.get(1) == Some(&0x47)
            && command
                .windows(3)
                .any(|window| matches!(window, [0x80, 1, 0x05 | 0x07 | 0x16]));
        if command.len() > 1 && !slow {
            return Next::Command(command);
        }
    }
}

fn pick(dice: &mut Dice, pool: &[Vec<u8>]) -> Vec<u8> {
    let index = dice.index(pool.len());
    pool.get(index).cloned().unwrap_or_default()
}

fn mutated(dice: &mut Dice, mut command: Vec<u8>, pool: &[Vec<u8>]) -> Vec<u8> {
    for _ in 0..=dice.below(3) {
        let at = dice.index(command.len());
        match dice.below(8) {
            0 => {
                let byte = dice.byte();
                command.insert(at, byte);
            }
            1 if command.len() > 2 => {
                command.remove(at);
            }
            2 => command.truncate(at.max(2)),
            3 => command.push(dice.byte()),
            4 => {
                // The head of one command before the data of another.
                let other = pick(dice, pool);
                command.truncate(5);
                command.extend(other.iter().skip(5));
            }
            5 => {
                // A length that fits again.
                let length = command.len().saturating_sub(5);
                if let (Some(place), Ok(length)) = (command.get_mut(4), u8::try_from(length)) {
                    *place = length;
                }
            }
            6 => {
                let at = dice.index(command.len().min(4));
                let byte = dice.byte();
                if let Some(place) = command.get_mut(at) {
                    *place = byte;
                }
            }
            _ => {
                let bit = 1 << dice.below(8);
                if let Some(place) = command.get_mut(at) {
                    *place ^= bit;
                }
            }
        }
    }
    command
}
