// SPDX-License-Identifier: MIT OR Apache-2.0
//! One line of typing: keys in, a line out, and the part of it that fits the screen.

use unicode_width::UnicodeWidthChar;
use zeroize::Zeroize;

/// Longest line, in characters.
const LINE_CHARS_MAX: usize = 8_000;
/// Lines that are remembered.
const REMEMBERED_LINES_MAX: usize = 100;

/// What a key did.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// The line changed, or nothing happened.
    Nothing,
    /// Enter: the line is complete.
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D on an empty line.
    End,
    /// Ctrl-L.
    Redraw,
}

/// The line that is being typed.
#[derive(Debug, Default)]
pub struct Editor {
    text: Vec<char>,
    cursor: usize,
    secret: bool,
    remembered: Vec<String>,
    recalled: Option<usize>,
    partial: Vec<u8>,
    escape: Option<Vec<u8>>,
}

impl Editor {
    /// From now on what is typed is a secret (or no longer): not shown, not remembered, wiped.
    pub fn set_secret(&mut self, secret: bool) {
        if self.secret != secret {
            self.wipe();
            self.secret = secret;
        }
    }

    /// Whether nothing is typed.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether a command is being typed.
    pub fn is_command(&self) -> bool {
        self.text.first() == Some(&'/')
    }

    /// Throws the typed line away.
    pub fn wipe(&mut self) {
        self.text.zeroize();
        self.cursor = 0;
        self.recalled = None;
    }

    /// Takes one byte of the keyboard.
    pub fn byte(&mut self, byte: u8) -> Typed {
        if let Some(sequence) = &mut self.escape {
            sequence.push(byte);
            let introducer = sequence.len() == 1 && (byte == b'[' || byte == b'O');
            if introducer || (sequence.len() < 8 && !(0x40..=0x7e).contains(&byte)) {
                return Typed::Nothing;
            }
            let sequence = self.escape.take().unwrap_or_default();
            self.sequence(&sequence);
            return Typed::Nothing;
        }
        match byte {
            b'\r' | b'\n' => return self.enter(),
            0x03 => return Typed::Interrupt,
            0x04 if self.text.is_empty() => return Typed::End,
            0x04 => self.delete_here(),
            0x0c => return Typed::Redraw,
            0x01 => self.cursor = 0,
            0x05 => self.cursor = self.text.len(),
            0x02 => self.left(),
            0x06 => self.right(),
            0x0b => self.text.truncate(self.cursor),
            0x10 => self.recall(true),
            0x0e => self.recall(false),
            0x15 => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            0x17 => self.delete_word(),
            0x08 | 0x7f => self.delete_before(),
            0x1b => self.escape = Some(Vec::new()),
            0x00..=0x1f => {}
            _ => self.utf8(byte),
        }
        Typed::Nothing
    }

    /// What is to be shown within this many columns: text and the column of the cursor in it.
    pub fn visible(&self, columns: usize) -> (String, usize) {
        if self.secret {
            return (String::new(), 0);
        }
        let width = |c: &char| c.width().unwrap_or(0);
        let before: usize = self.text.iter().take(self.cursor).map(width).sum();
        // The window starts so that the cursor is inside.
        let (mut start, mut hidden) = (0, 0);
        while before.saturating_sub(hidden) >= columns.max(1) {
            hidden += self.text.get(start).map_or(1, width);
            start += 1;
        }
        let mut used = 0;
        let mut shown = String::new();
        for c in self.text.iter().skip(start) {
            used += width(c);
            if used > columns {
                break;
            }
            shown.push(*c);
        }
        (shown, before.saturating_sub(hidden))
    }

    fn enter(&mut self) -> Typed {
        // Large enough from the start: a text that grows leaves copies behind, and this may be a PIN.
        let mut line = String::with_capacity(self.text.len().saturating_mul(4));
        line.extend(&self.text);
        if !self.secret && !line.trim().is_empty() && self.remembered.last() != Some(&line) {
            self.remembered.push(line.clone());
            let surplus = self.remembered.len().saturating_sub(REMEMBERED_LINES_MAX);
            self.remembered.drain(..surplus);
        }
        self.wipe();
        Typed::Line(line)
    }

    fn utf8(&mut self, byte: u8) {
        self.partial.push(byte);
        match std::str::from_utf8(&self.partial) {
            Ok(text) => {
                let typed: Vec<char> = text.chars().collect();
                self.partial.zeroize();
                for c in typed {
                    self.insert(c);
                }
            }
            // Not yet whole; what can never become whole is dropped.
            Err(error) if error.error_len().is_some() || self.partial.len() >= 4 => {
                self.partial.zeroize();
            }
            Err(_) => {}
        }
    }

    fn insert(&mut self, c: char) {
        if self.text.len() < LINE_CHARS_MAX && !c.is_control() {
            self.text.insert(self.cursor, c);
            self.cursor += 1;
        }
    }

    fn sequence(&mut self, sequence: &[u8]) {
        match sequence {
            b"[D" | b"OD" => self.left(),
            b"[C" | b"OC" => self.right(),
            b"[A" | b"OA" => self.recall(true),
            b"[B" | b"OB" => self.recall(false),
            b"[H" | b"OH" | b"[1~" => self.cursor = 0,
            b"[F" | b"OF" | b"[4~" => self.cursor = self.text.len(),
            b"[3~" => self.delete_here(),
            _ => {}
        }
    }

    fn left(&mut self) {
        self.cursor = self.cursor.saturating_sub(1);
    }

    fn right(&mut self) {
        self.cursor = (self.cursor + 1).min(self.text.len());
    }

    fn delete_before(&mut self) {
        if self.cursor > 0 {
            self.cursor -= 1;
            self.text.remove(self.cursor);
        }
    }

    fn delete_here(&mut self) {
        if self.cursor < self.text.len() {
            self.text.remove(self.cursor);
        }
    }

    fn delete_word(&mut self) {
        let is_space = |at: usize| self.text.get(at).is_some_and(|c| c.is_whitespace());
        let mut start = self.cursor;
        while start > 0 && is_space(start - 1) {
            start -= 1;
        }
        while start > 0 && !is_space(start - 1) {
            start -= 1;
        }
        self.text.drain(start..self.cursor);
        self.cursor = start;
    }

    fn recall(&mut self, older: bool) {
        if self.secret || self.remembered.is_empty() {
            return;
        }
        let next = match (self.recalled, older) {
            (None, true) => Some(self.remembered.len() - 1),
            (None, false) => return,
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) => Some(at + 1).filter(|at| *at < self.remembered.len()),
        };
        self.text = next
            .and_then(|at| self.remembered.get(at))
            .map(|line| line.chars().collect())
            .unwrap_or_default();
        self.cursor = self.text.len();
        self.recalled = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_into(editor: &mut Editor, keys: &[u8]) -> Vec<Typed> {
        keys.iter()
            .map(|key| editor.byte(*key))
            .filter(|typed| *typed != Typed::Nothing)
            .collect()
    }

    #[test]
    fn a_line_is_typed_and_corrected() {
        let mut editor = Editor::default();
        let typed = type_into(&mut editor, b"helo\x1b[Dl\x05 wrld\x17world\r");
        assert_eq!(typed, [Typed::Line("hello world".to_owned())]);
        assert!(editor.is_empty());
    }

    #[test]
    fn wide_and_composed_text_is_kept() {
        let mut editor = Editor::default();
        type_into(&mut editor, "王小明 🌴".as_bytes());
        assert_eq!(editor.visible(40), ("王小明 🌴".to_owned(), 9));
        assert_eq!(
            type_into(&mut editor, b"\x7f\r"),
            [Typed::Line("王小明 ".to_owned())]
        );
    }

    #[test]
    fn a_long_line_scrolls_with_the_cursor_in_sight() {
        let mut editor = Editor::default();
        type_into(&mut editor, b"abcdefghij");
        let (shown, cursor) = editor.visible(5);
        assert!(cursor < 5 && shown.len() <= 5, "{shown} {cursor}");
        assert!("abcdefghij".ends_with(&shown));
    }

    #[test]
    fn earlier_lines_come_back_and_secrets_do_not() {
        let mut editor = Editor::default();
        type_into(&mut editor, b"first\r");
        editor.set_secret(true);
        assert_eq!(type_into(&mut editor, b"123456"), []);
        assert_eq!(editor.visible(40), (String::new(), 0));
        assert_eq!(
            type_into(&mut editor, b"\r"),
            [Typed::Line("123456".to_owned())]
        );
        editor.set_secret(false);
        type_into(&mut editor, b"\x1b[A");
        assert_eq!(editor.visible(40).0, "first");
        type_into(&mut editor, b"\x1b[B");
        assert_eq!(editor.visible(40).0, "");
    }

    #[test]
    fn control_keys_are_told() {
        let mut editor = Editor::default();
        assert_eq!(editor.byte(0x03), Typed::Interrupt);
        assert_eq!(editor.byte(0x04), Typed::End);
        type_into(&mut editor, b"x\xff\xfe");
        assert_eq!(editor.byte(0x04), Typed::Nothing);
        assert_eq!(editor.visible(9).0, "x");
    }

    proptest::proptest! {
        #[test]
        fn no_row_of_keys_breaks_the_line(
            keys in proptest::collection::vec(0_u8.., 0..300),
            columns in 0_usize..40,
        ) {
            let mut editor = Editor::default();
            for key in keys {
                let _ = editor.byte(key);
                let (_, cursor) = editor.visible(columns);
                proptest::prop_assert!(cursor <= columns);
            }
        }
    }
}
