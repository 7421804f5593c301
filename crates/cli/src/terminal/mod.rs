// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interactive session: a conversation that scrolls, one line to type in.

mod commands;
mod editor;
mod raw;
mod screen;
mod session;
mod words;

pub use session::{Options, open};
