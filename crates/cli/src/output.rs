// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words on the terminal: colour where a person looks, plain text where a program reads.

use std::io::{IsTerminal, Write};

use lanyard_client::Problem;
use lanyard_client::view::{AccessLevel, Availability, ContactView};
use unicode_width::UnicodeWidthStr;

/// How words are dressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// Colour when standard output is a terminal and nobody asked for none.
    pub fn of_stdout() -> Self {
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: std::io::stdout().is_terminal() && !refused && !dumb,
        }
    }

    /// No colour.
    #[cfg(test)]
    pub const fn plain() -> Self {
        Self { colour: false }
    }

    #[cfg(test)]
    pub const fn colourful() -> Self {
        Self { colour: true }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Names and headings.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What stands back.
    pub fn quiet(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// The person's own.
    pub fn own(self, text: &str) -> String {
        self.paint("36", text)
    }

    /// Somebody else.
    pub fn other(self, text: &str) -> String {
        self.paint("1;34", text)
    }

    /// Something went wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// Something needs attention.
    pub fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Something went well.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// The badge of an availability: shape and colour, because not everybody sees colours.
    pub fn badge(self, availability: Availability) -> String {
        match availability {
            Availability::Available => self.paint("32", "●"),
            Availability::Inactive => self.paint("32", "◐"),
            Availability::Busy => self.paint("31", "●"),
            Availability::BusyInactive => self.paint("31", "◐"),
            Availability::DoNotDisturb => self.paint("31", "⊖"),
            Availability::BeRightBack | Availability::Away => self.paint("33", "◐"),
            Availability::Offline | Availability::Unknown => self.paint("2", "○"),
        }
    }
}

/// A line on standard output. A reader that went away ends the program quietly.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// A line on standard error.
pub fn error_line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A fault on standard error: `LY-nnnn: sentence next step`.
pub fn problem(problem: &Problem) {
    error_line(&problem.to_string());
}

/// JSON on standard output.
pub fn json(value: &impl serde::Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        line(&text);
    }
}

/// Asks yes or no on the terminal; without one the answer is no.
pub fn confirm(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    {
        let mut out = std::io::stdout().lock();
        let _ = write!(out, "{question} [y/N] ");
        let _ = out.flush();
    }
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// The person's time zone, asked once at the start.
static LOCAL_OFFSET: std::sync::OnceLock<time::UtcOffset> = std::sync::OnceLock::new();

/// Asks the system for the time zone; to be called before threads are made.
pub fn remember_local_offset() {
    let offset = time::UtcOffset::current_local_offset().unwrap_or(time::UtcOffset::UTC);
    let _ = LOCAL_OFFSET.set(offset);
}

fn local(at: time::OffsetDateTime) -> time::OffsetDateTime {
    at.to_offset(LOCAL_OFFSET.get().copied().unwrap_or(time::UtcOffset::UTC))
}

/// Date and time as the person's clock shows it.
pub fn local_time(at: time::OffsetDateTime) -> String {
    let at = local(at);
    format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute())
}

/// Hours and minutes as the person's clock shows them.
pub fn clock(at: time::OffsetDateTime) -> String {
    let at = local(at);
    format!("{:02}:{:02}", at.hour(), at.minute())
}

/// Widest column of names.
const NAME_COLUMNS_MAX: usize = 40;
/// The heading of those who are in no group, where there are groups.
const OTHERS: &str = "Other contacts";

/// The contact list as lines: each group with its contacts, then everybody who is in none.
pub fn contact_lines(contacts: &[ContactView], groups: &[String], style: Style) -> Vec<String> {
    if contacts.is_empty() && groups.is_empty() {
        return vec![style.quiet("No contacts yet. Add one: /add user@domain")];
    }
    let widest = contacts.iter().map(|one| one.name.width());
    let widest = widest.max().unwrap_or(0).min(NAME_COLUMNS_MAX);
    let mut sorted: Vec<&ContactView> = contacts.iter().collect();
    sorted.sort_by_key(|one| (one.name.to_lowercase(), one.address.clone()));
    if groups.is_empty() {
        let line = |one: &&ContactView| contact_line(one, widest, style);
        return sorted.iter().map(line).collect();
    }
    let mut lines = Vec::new();
    let mut section = |title: &str, members: Vec<&ContactView>| {
        let here = |one: &&&ContactView| one.availability.is_reachable();
        let count = format!(" {}/{}", members.iter().filter(here).count(), members.len());
        let title = printable(title);
        lines.push(format!("{}{}", style.strong(&title), style.quiet(&count)));
        lines.extend(
            members
                .into_iter()
                .map(|one| format!("  {}", contact_line(one, widest, style))),
        );
    };
    for group in groups {
        let members = sorted.iter().filter(|one| one.groups.contains(group));
        section(group, members.copied().collect());
    }
    let others: Vec<&ContactView> = sorted
        .into_iter()
        .filter(|one| one.groups.iter().all(|group| !groups.contains(group)))
        .collect();
    if !others.is_empty() {
        section(OTHERS, others);
    }
    lines
}

fn contact_line(contact: &ContactView, widest: usize, style: Style) -> String {
    let badge = style.badge(contact.availability);
    let pad = " ".repeat(widest.saturating_sub(contact.name.width()));
    let name = printable(&contact.name);
    let mut line = format!("{badge} {}{pad}", style.strong(&name));
    line.push_str(&format!("  {}", contact.availability.words()));
    if !contact.note.is_empty() {
        line.push_str(&style.quiet(&format!(" · {}", printable(&contact.note))));
    }
    match contact.level {
        Some(AccessLevel::Blocked) => line.push_str(&style.bad("  blocked")),
        Some(level) => line.push_str(&style.quiet(&format!("  [{}]", level.word()))),
        None => {}
    }
    if contact.unread > 0 {
        line.push_str(&style.warn(&format!("  {} new", contact.unread)));
    }
    if contact.name != contact.address.as_str() {
        line.push_str(&style.quiet(&format!("  {}", contact.address)));
    }
    line
}

/// A text of somebody else as one line that does not drive the terminal.
pub fn printable(text: &str) -> String {
    let kept = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(user: &str, name: &str, groups: &[&str], availability: Availability) -> ContactView {
        ContactView {
            address: format!("{user}@contoso.test").parse().unwrap(),
            name: name.to_owned(),
            availability,
            note: String::new(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            level: None,
            unread: 0,
        }
    }

    #[test]
    fn the_contact_list_reads_as_reviewed() {
        let mut bob = contact("bob", "Bob Bauer", &["Team"], Availability::Available);
        bob.note = "until four\n\u{1b}[2J".to_owned();
        let mut mallory = contact("mallory", "Mallory Maß", &[], Availability::Offline);
        mallory.level = Some(AccessLevel::Blocked);
        let mut xiaoming = contact(
            "xiaoming",
            "王小明",
            &["Team", "Friends"],
            Availability::Busy,
        );
        xiaoming.level = Some(AccessLevel::Personal);
        xiaoming.unread = 2;
        let contacts = [xiaoming, mallory, bob];
        let groups = ["Empty", "Friends", "Team"].map(str::to_owned);
        let mut text = String::new();
        for groups in [&groups[..], &[]] {
            let lines = contact_lines(&contacts, groups, Style::plain());
            text.push_str(&format!("{}\n---\n", lines.join("\n")));
        }
        text.push_str(&contact_lines(&[], &[], Style::plain()).join("\n"));
        insta::assert_snapshot!(text);
    }
}
