// SPDX-License-Identifier: MIT OR Apache-2.0
//! How messages, states and prompts read.

use lanyard_client::Problem;
use lanyard_client::view::{
    ChangePin, ChooseCard, Delivery, EnterPin, InsertCard, MessageView, SessionView, Stage,
};

use unicode_width::UnicodeWidthStr;

use super::commands::COMMANDS;
use crate::output::{self, Style};

/// Fewest columns in which lines are broken between words.
const COLUMNS_MIN: usize = 40;
/// The indentation of everything below a message's first line.
const INDENT: &str = "       ";

/// A message as lines; `who` says who wrote it to whom. Long lines are broken between words where there are `columns`.
pub fn message(
    message: &MessageView,
    who: &str,
    columns: Option<usize>,
    style: Style,
) -> Vec<String> {
    let time = output::clock(message.at);
    let who = output::printable(who);
    let begin = time.width() + who.width() + 4;
    let dressed = if message.mine {
        style.own(&who)
    } else {
        style.other(&who)
    };
    let mut lines = Vec::new();
    for (place, line) in printable_lines(&message.text).enumerate() {
        let first = if place == 0 { begin } else { INDENT.len() };
        for (part, line) in broken(&line, first, columns).into_iter().enumerate() {
            if place == 0 && part == 0 {
                lines.push(format!("{}  {dressed}  {line}", style.quiet(&time)));
            } else {
                lines.push(format!("{INDENT}{line}"));
            }
        }
    }
    if let Delivery::NotDelivered { reason } = &message.delivery {
        lines.push(undelivered(reason, style));
    }
    lines
}

/// Breaks a line between words, where it would reach the edge; `begin` columns of the first part are taken.
fn broken(line: &str, begin: usize, columns: Option<usize>) -> Vec<String> {
    let Some(columns) = columns.filter(|columns| *columns >= COLUMNS_MIN) else {
        return vec![line.to_owned()];
    };
    let rest = columns.saturating_sub(INDENT.len());
    let mut room = columns.saturating_sub(begin).max(1);
    let mut parts = Vec::new();
    let mut part = String::new();
    for word in line.split_inclusive(' ') {
        let fits = part.width() + word.trim_end().width() <= room;
        if !fits && !part.is_empty() {
            parts.push(std::mem::take(&mut part).trim_end().to_owned());
            room = rest;
        }
        part.push_str(word);
    }
    parts.push(part);
    parts
}

/// Why a message did not arrive.
pub fn undelivered(reason: &Problem, style: Style) -> String {
    let words = reason.detail.as_deref().unwrap_or(&reason.sentence);
    format!(
        "{INDENT}{}",
        style.bad(&format!("⚠ Not delivered: {words} ({})", reason.code))
    )
}

/// A text of somebody else must not drive the terminal.
fn printable_lines(text: &str) -> impl Iterator<Item = String> + '_ {
    let clean = |line: &str| -> String {
        line.chars()
            .filter(|c| !c.is_control() || *c == '\t')
            .collect()
    };
    text.lines().map(clean)
}

/// What a change of the session is worth saying.
pub fn stage(view: &SessionView, style: Style) -> Vec<String> {
    match &view.stage {
        Stage::FindingServer | Stage::ContactingServer | Stage::SigningIn | Stage::SigningOut => {
            vec![style.quiet(view.stage.words())]
        }
        Stage::InsertCard(insert) => insert_card(insert, style),
        Stage::ChooseCard(choice) => choose_card(choice, style),
        Stage::EnterPin(enter) => enter_pin(enter, style),
        Stage::TypeOnReader(card) => {
            let words = format!("Type the PIN of {card} on the reader.");
            vec![style.strong(&words)]
        }
        Stage::EnterPassword(enter) => {
            let why = enter.why.iter().map(|why| style.warn(why));
            let miss = enter.miss.iter().map(|miss| style.bad(&miss.to_string()));
            why.chain(miss).collect()
        }
        Stage::ChangePin(change) => change_pin(change, style),
        Stage::SignedIn if view.locked => {
            vec![style.warn("Locked: your card was taken out. Put it back; its PIN unlocks.")]
        }
        Stage::SignedIn => {
            let who = view
                .address
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            vec![format!(
                "{} {}",
                style.good(&format!("Signed in as {who}.")),
                style.quiet("Type /help for what you can do here.")
            )]
        }
        Stage::Reconnecting { reason, retry_in } => {
            let words = format!("⚠ {} Trying again in {retry_in} s.", reason.sentence);
            vec![style.warn(&words)]
        }
        Stage::Idle => Vec::new(),
    }
}

fn insert_card(insert: &InsertCard, style: Style) -> Vec<String> {
    if let Some(card) = &insert.detected {
        return vec![format!("{} {card}", style.good("Card detected ✓"))];
    }
    let mut lines = vec![style.strong("Insert your smart card.")];
    for left in &insert.left_out {
        lines.push(format!(
            "  {}: {}",
            left.card,
            style.warn(&left.reason.to_string())
        ));
    }
    lines.push(style.quiet(&format!("  Reader: {}", insert.readers.join(", "))));
    lines
}

fn choose_card(choice: &ChooseCard, style: Style) -> Vec<String> {
    let mut lines = vec![style.strong("Several cards fit. Which one shall it be?")];
    for (number, one) in (1..).zip(&choice.cards) {
        let until = one
            .not_after
            .map(|until| format!(", until {}", until.date()));
        lines.push(format!(
            "  {number}. {}{}",
            one.card,
            until.unwrap_or_default()
        ));
    }
    lines
}

fn enter_pin(enter: &EnterPin, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(why) = &enter.why {
        lines.push(style.warn(why));
    }
    if let Some(miss) = &enter.miss {
        lines.push(style.bad(&miss.to_string()));
    }
    if enter.last_try {
        lines.push(style.warn("If this PIN is wrong, the card locks."));
    }
    lines
}

fn change_pin(change: &ChangePin, style: Style) -> Vec<String> {
    let mut lines = vec![
        style.strong("Your card asks for a PIN of your own before it can be used."),
        style.quiet("6 to 8 digits; not a row, not all the same, not 12345678."),
    ];
    lines.extend(
        change
            .refused
            .iter()
            .map(|problem| style.bad(&problem.to_string())),
    );
    lines
}

/// The help of the interactive session.
pub fn help(style: Style) -> Vec<String> {
    let widest = COMMANDS
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or(0);
    COMMANDS
        .iter()
        .map(|(name, words)| format!("  {}  {words}", style.strong(&format!("{name:<widest$}"))))
        .chain([style.quiet("  Anything else is sent to the person you talk to.")])
        .collect()
}

#[cfg(test)]
mod tests {
    use lanyard_client::Fault;
    use lanyard_client::view::{CardChoice, CardLabel, PadUse};
    use time::macros::datetime;

    use super::*;

    const PLAIN: Style = Style::plain();

    fn card() -> CardLabel {
        CardLabel {
            holder: "Alice Almeida".into(),
            place: "ACS ACR38".into(),
            is_virtual: false,
        }
    }

    #[test]
    fn screens_are_as_reviewed() {
        let mut text = String::new();
        let mut show = |title: &str, lines: Vec<String>| {
            text.push_str(&format!("--- {title}\n{}\n", lines.join("\n")));
        };
        let mut view = SessionView::idle(Some("alice@contoso.test".parse().unwrap()));
        for (title, stage_now) in [
            ("finding", Stage::FindingServer),
            ("signed in", Stage::SignedIn),
            (
                "reconnecting",
                Stage::Reconnecting {
                    reason: Fault::SessionLost.into(),
                    retry_in: 8,
                },
            ),
            (
                "insert",
                Stage::InsertCard(InsertCard {
                    readers: vec!["ACS ACR38".into()],
                    ..InsertCard::default()
                }),
            ),
            (
                "detected",
                Stage::InsertCard(InsertCard {
                    detected: Some(card()),
                    ..InsertCard::default()
                }),
            ),
            ("at the reader", Stage::TypeOnReader(card())),
            (
                "several",
                Stage::ChooseCard(ChooseCard {
                    cards: vec![
                        CardChoice {
                            card: card(),
                            number: None,
                            not_after: Some(time::macros::datetime!(2027-11-22 12:00 UTC)),
                        },
                        CardChoice {
                            card: card(),
                            number: None,
                            not_after: None,
                        },
                    ],
                }),
            ),
            (
                "second try",
                Stage::EnterPin(EnterPin {
                    card: card(),
                    pad: PadUse::None,
                    tries_left: Some(1),
                    last_try: true,
                    miss: Some(
                        Problem::new(Fault::PinWrong)
                            .with_detail("Only one try is left before it locks."),
                    ),
                    why: None,
                }),
            ),
            (
                "new pin",
                Stage::ChangePin(ChangePin {
                    card: card(),
                    refused: None,
                }),
            ),
        ] {
            view.stage = stage_now;
            show(title, stage(&view, PLAIN));
        }
        let mut said = MessageView {
            id: "1".into(),
            with: "bob@contoso.test".parse().unwrap(),
            conversation: None,
            name: "Bob Bauer".into(),
            mine: false,
            text: "Grüße 🏯\nsecond line\u{1b}[2J".into(),
            at: datetime!(2026-11-22 10:02 UTC),
            delivery: Delivery::Received,
        };
        show("received", message(&said, "Bob Bauer", None, PLAIN));
        said.mine = true;
        said.text = "Are you there?".into();
        said.delivery = Delivery::NotDelivered {
            reason: Problem::new(Fault::MessageNotDelivered)
                .with_detail("Bob Bauer is unavailable or offline."),
        };
        show(
            "not delivered",
            message(&said, "you → Bob Bauer", None, PLAIN),
        );
        said.delivery = Delivery::Delivered;
        said.text = "one two three four five six seven eight nine ten\n\
                     https://contoso.test/a/word/that/is/longer/than/a/line 王小明 end"
            .into();
        show("narrow", message(&said, "you → Bob Bauer", Some(44), PLAIN));
        show("help", help(PLAIN));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn colour_is_only_dress() {
        let plain = help(PLAIN).join("\n");
        let dressed = help(Style::colourful()).join("\n");
        assert_ne!(plain, dressed);
        assert_eq!(
            dressed
                .replace("\x1b[1m", "")
                .replace("\x1b[2m", "")
                .replace("\x1b[0m", ""),
            plain
        );
    }
}
