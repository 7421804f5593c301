// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interactive session: a conversation that scrolls, one line to type in.

mod asking;
mod commands;
mod editor;
mod people;
mod prompt;
mod raw;
mod screen;
mod session;
mod talk;
mod typing;
mod words;

pub use session::{Options, open};
