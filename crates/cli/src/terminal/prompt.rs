// SPDX-License-Identifier: MIT OR Apache-2.0
//! The prompt: what the typed line is for, in words.

use lanyard_client::view::Stage;

use unicode_width::UnicodeWidthChar;

use super::session::{Mode, Partner, Terminal};

impl Terminal {
    pub(super) fn prompt(&mut self) {
        if !self.screen.is_interactive() {
            return;
        }
        let style = self.screen.style;
        let (dressed, plain) = match &self.mode {
            Mode::Working => (String::new(), String::new()),
            Mode::Idle => {
                let known = self.view.address.as_ref();
                let known = known.map(|one| format!(" [{one}]")).unwrap_or_default();
                let plain = format!("Sign-in address{known}: ");
                (style.strong(&plain), plain)
            }
            Mode::Insert => {
                let plain = "Press Enter when the card is detected, Ctrl-C to cancel. ".to_owned();
                (style.quiet(&plain), plain)
            }
            Mode::Choose => {
                let plain = "Number of the card: ".to_owned();
                (style.strong(&plain), plain)
            }
            Mode::Pad { .. } => {
                let plain =
                    "Press Enter to type the PIN on the reader, Ctrl-C to cancel. ".to_owned();
                (style.quiet(&plain), plain)
            }
            Mode::Pin { .. } => {
                let card = match &self.view.stage {
                    Stage::EnterPin(enter) => format!("PIN of {}: ", enter.card),
                    _ => "PIN: ".to_owned(),
                };
                (style.strong(&card), card)
            }
            Mode::Password => {
                let plain = "Password: ".to_owned();
                (style.strong(&plain), plain)
            }
            Mode::NewPin { first } => {
                let plain = if first.is_none() {
                    "New PIN: "
                } else {
                    "New PIN again: "
                };
                (style.strong(plain), plain.to_owned())
            }
            Mode::Talk => self.talk_prompt(),
        };
        self.screen.set_prompt(dressed, &plain);
        self.screen.draw(&self.editor);
    }

    fn talk_prompt(&self) -> (String, String) {
        let style = self.screen.style;
        let own = self.view.own.availability;
        let typing = self
            .typing
            .as_ref()
            .map(|(who, _)| format!("{} is typing… ", self.name(who)));
        let typing = typing.unwrap_or_default();
        let badge = match self.view.stage {
            Stage::Reconnecting { .. } => style.warn("◌"),
            _ => style.badge(own),
        };
        let partner = match &self.partner {
            Some(Partner::Person(partner)) => format!("to {}", self.name(partner)),
            Some(Partner::Conversation(id)) => format!("with {}", self.names_in(id)),
            None => own.words().to_owned(),
        };
        let partner = cut(&partner, self.screen.columns().unwrap_or(80) / 2);
        let plain = format!("{typing}● {partner} ❯ ");
        (
            format!(
                "{}{badge} {} ",
                style.quiet(&typing),
                style.strong(&format!("{partner} ❯"))
            ),
            plain,
        )
    }
}

/// A text in at most so many columns: what is typed needs room beside long names.
fn cut(text: &str, columns: usize) -> String {
    let width = |c: char| c.width().unwrap_or(0);
    if text.chars().map(width).sum::<usize>() <= columns {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += width(c);
        if used > columns {
            break;
        }
        shown.push(c);
    }
    shown.push('…');
    shown
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn long_names_leave_room_for_typing() {
        assert_eq!(cut("to Bob Bauer", 40), "to Bob Bauer");
        assert_eq!(cut("with Bob Bauer, Carol", 12), "with Bob Ba…");
        assert_eq!(cut("to 王小明", 8), "to 王小…");
        assert_eq!(cut("x", 0), "…");
    }
}
