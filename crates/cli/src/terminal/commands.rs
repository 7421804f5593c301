// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a typed line means.

/// A typed line.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// A text for the person that is talked to.
    Say(&'a str),
    /// `/msg WHO TEXT`
    Message { to: &'a str, text: &'a str },
    /// `/to WHO`
    To(&'a str),
    /// `/contacts`
    Contacts,
    /// `/status WORD`
    Status(&'a str),
    /// `/note TEXT`
    Note(&'a str),
    /// `/add ADDRESS`
    Add(&'a str),
    /// `/remove WHO`
    Remove(&'a str),
    /// `/history WHO`
    History(&'a str),
    /// `/close`
    Close,
    /// `/sign-out [--delete-sign-in-info]`
    SignOut { delete: bool },
    /// `/exit`
    Exit,
    /// `/help`
    Help,
    /// Nothing was typed.
    Nothing,
    /// A command that does not exist, or one that lacks something; what is right instead.
    Wrong(String),
}

/// All commands with what they do, for `/help`.
pub const COMMANDS: [(&str, &str); 12] = [
    (
        "/msg WHO TEXT",
        "send a message; WHO is an address, or the beginning of a contact's name",
    ),
    (
        "/to WHO",
        "talk to WHO: what you type goes there from now on",
    ),
    ("/contacts", "show the contact list"),
    ("/add ADDRESS", "add somebody to the contact list"),
    ("/remove WHO", "remove somebody from the contact list"),
    (
        "/status STATUS",
        "available, busy, do-not-disturb, be-right-back, away, or reset",
    ),
    (
        "/note TEXT",
        "set the note above your name; without a text it is removed",
    ),
    ("/history WHO", "show the last messages with WHO"),
    (
        "/close",
        "leave; the session goes on, 'lanyard open' brings it back",
    ),
    (
        "/sign-out",
        "end the session; with --delete-sign-in-info, remove all traces of it",
    ),
    ("/exit", "end the session and Lanyard"),
    ("/help", "show this"),
];

impl<'a> Command<'a> {
    /// Reads a line.
    pub fn parse(line: &'a str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Self::Nothing;
        }
        // Two slashes begin a text that begins with one.
        let Some(command) = line.strip_prefix('/') else {
            return Self::Say(line);
        };
        if command.starts_with('/') {
            return Self::Say(command);
        }
        let (verb, rest) = command
            .split_once(char::is_whitespace)
            .unwrap_or((command, ""));
        let rest = rest.trim();
        let needs = |made: fn(&'a str) -> Self, usage: &str| {
            if rest.is_empty() {
                Self::Wrong(format!("Type {usage}."))
            } else {
                made(rest)
            }
        };
        match verb {
            "msg" | "m" => match rest.split_once(char::is_whitespace) {
                Some((to, text)) => Self::Message {
                    to,
                    text: text.trim(),
                },
                None => Self::Wrong("Type /msg WHO TEXT.".to_owned()),
            },
            "to" => needs(Self::To, "/to WHO"),
            "contacts" | "c" => Self::Contacts,
            "status" => needs(Self::Status, "/status STATUS"),
            "note" => Self::Note(rest),
            "add" => needs(Self::Add, "/add ADDRESS"),
            "remove" => needs(Self::Remove, "/remove WHO"),
            "history" => needs(Self::History, "/history WHO"),
            "close" => Self::Close,
            "sign-out" => Self::SignOut {
                delete: rest == "--delete-sign-in-info",
            },
            "exit" => Self::Exit,
            "help" | "?" => Self::Help,
            _ => {
                let likeness = |known: &&(&str, &str)| {
                    let name = known.0.split(' ').next().unwrap_or_default();
                    common_prefix(name.trim_start_matches('/'), verb)
                };
                let nearest = COMMANDS.iter().max_by_key(likeness);
                Self::Wrong(match nearest.filter(|one| likeness(one) > 0) {
                    Some((nearest, _)) => {
                        format!("There is no /{verb}. Did you mean {nearest}? See /help.")
                    }
                    None => format!("There is no /{verb}. See /help."),
                })
            }
        }
    }
}

fn common_prefix(one: &str, other: &str) -> usize {
    one.chars()
        .zip(other.chars())
        .take_while(|(a, b)| a == b)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_unless_they_begin_with_one_slash() {
        assert_eq!(Command::parse("  Grüße  "), Command::Say("Grüße"));
        assert_eq!(Command::parse("//path"), Command::Say("/path"));
        assert_eq!(Command::parse(""), Command::Nothing);
        assert_eq!(
            Command::parse("/msg bob  hi there"),
            Command::Message {
                to: "bob",
                text: "hi there"
            }
        );
        assert_eq!(
            Command::parse("/sign-out --delete-sign-in-info"),
            Command::SignOut { delete: true }
        );
    }

    #[test]
    fn wrong_commands_say_what_is_right() {
        assert_eq!(
            Command::parse("/conts"),
            Command::Wrong("There is no /conts. Did you mean /contacts? See /help.".to_owned())
        );
        assert_eq!(
            Command::parse("/msg bob"),
            Command::Wrong("Type /msg WHO TEXT.".to_owned())
        );
    }
}
