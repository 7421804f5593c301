// SPDX-License-Identifier: MIT OR Apache-2.0
//! The screen: lines that scroll away above, the prompt and what is typed below.

use std::io::Write;

use unicode_width::UnicodeWidthStr;

use super::editor::Editor;
use super::raw::{RawMode, columns};
use crate::output::Style;

/// Fewest columns that are left for typing.
const TYPING_COLUMNS_MIN: usize = 20;

/// A terminal that is typed into, or plain output.
pub struct Screen {
    raw: Option<RawMode>,
    /// How words are dressed here.
    pub style: Style,
    prompt: String,
    prompt_width: usize,
    prompt_shown: bool,
}

impl Screen {
    /// A terminal in raw mode.
    pub fn interactive() -> std::io::Result<Self> {
        let mut screen = Self::plain();
        screen.raw = Some(RawMode::enter()?);
        Ok(screen)
    }

    /// Lines alone.
    pub fn plain() -> Self {
        Self {
            raw: None,
            style: Style::of_stdout(),
            prompt: String::new(),
            prompt_width: 0,
            prompt_shown: false,
        }
    }

    /// Whether somebody types.
    pub fn is_interactive(&self) -> bool {
        self.raw.is_some()
    }

    /// How wide the terminal is, where somebody looks at one.
    pub fn columns(&self) -> Option<usize> {
        self.raw.as_ref().map(|_| columns())
    }

    /// A line above the prompt.
    pub fn line(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        if self.prompt_shown {
            let _ = write!(out, "\r\x1b[K");
            self.prompt_shown = false;
        }
        if writeln!(out, "{text}").is_err() {
            std::process::exit(0);
        }
        let _ = out.flush();
    }

    /// Sets the prompt; `plain` is the same without dress, for its width.
    pub fn set_prompt(&mut self, dressed: String, plain: &str) {
        self.prompt = dressed;
        self.prompt_width = UnicodeWidthStr::width(plain);
    }

    /// Draws the prompt and what is typed.
    pub fn draw(&mut self, editor: &Editor) {
        if self.raw.is_none() {
            return;
        }
        let room = columns()
            .saturating_sub(self.prompt_width + 1)
            .max(TYPING_COLUMNS_MIN);
        let (text, cursor) = editor.visible(room);
        let mut out = std::io::stdout().lock();
        let _ = write!(out, "\r\x1b[K{}{text}", self.prompt);
        let back = UnicodeWidthStr::width(text.as_str()).saturating_sub(cursor);
        if back > 0 {
            let _ = write!(out, "\x1b[{back}D");
        }
        let _ = out.flush();
        self.prompt_shown = true;
    }

    /// The typed line stays on the screen as it was entered.
    pub fn commit(&mut self) {
        if self.prompt_shown {
            let _ = write!(std::io::stdout().lock(), "\r\n");
            self.prompt_shown = false;
        }
    }

    /// The typed line goes from the screen: what it did is shown instead.
    pub fn take_back(&mut self) {
        if self.prompt_shown {
            let _ = write!(std::io::stdout().lock(), "\r\x1b[K");
            self.prompt_shown = false;
        }
    }

    /// Empties the screen.
    pub fn clear(&mut self) {
        if self.raw.is_some() {
            let _ = write!(std::io::stdout().lock(), "\x1b[H\x1b[2J");
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.take_back();
        let _ = std::io::stdout().lock().flush();
    }
}
