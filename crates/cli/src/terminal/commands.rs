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
    /// `/find WORDS`
    Find(&'a str),
    /// `/who WHO`
    Who(&'a str),
    /// `/add ADDRESS [GROUP]` or `/add NUMBER [GROUP]`
    Add { address: &'a str, group: &'a str },
    /// `/groups`
    Groups,
    /// `/group …`
    Group(GroupCommand),
    /// `/level WHO LEVEL`
    Level { who: &'a str, level: &'a str },
    /// `/block WHO`
    Block(&'a str),
    /// `/unblock WHO`
    Unblock(&'a str),
    /// `/invite WHO`
    Invite(&'a str),
    /// `/conversations`
    Conversations,
    /// `/members`
    Members,
    /// `/leave`
    Leave,
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

/// A change of groups. Names with spaces stand in double quotes.
#[derive(Debug, PartialEq, Eq)]
pub enum GroupCommand {
    /// `/group add NAME`
    Add { name: String },
    /// `/group rename NAME NEW`
    Rename { name: String, to: String },
    /// `/group delete NAME`
    Delete { name: String },
    /// `/group put WHO NAME`
    Put { who: String, name: String },
    /// `/group take WHO NAME`
    Take { who: String, name: String },
    /// `/group move WHO NAME`
    Move { who: String, name: String },
}

/// How groups are changed.
const GROUP_USAGE: &str = "Type /group add NAME, rename NAME NEW, delete NAME, put WHO NAME, take WHO NAME, or \
                           move WHO NAME. A name with spaces stands in \"double quotes\".";

impl GroupCommand {
    fn parse(rest: &str) -> Option<Self> {
        let mut words = words(rest)?.into_iter();
        let verb = words.next()?;
        let (first, second) = (words.next()?, words.next());
        if words.next().is_some() {
            return None;
        }
        Some(match (verb.as_str(), second) {
            ("add", None) => Self::Add { name: first },
            ("delete", None) => Self::Delete { name: first },
            ("rename", Some(to)) => Self::Rename { name: first, to },
            ("put", Some(name)) => Self::Put { who: first, name },
            ("take", Some(name)) => Self::Take { who: first, name },
            ("move", Some(name)) => Self::Move { who: first, name },
            _ => return None,
        })
    }
}

/// Words, where double quotes hold several together; `None` when a quote is not closed.
fn words(text: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        found.push(word.to_owned());
        rest = after.trim_start();
    }
    Some(found)
}

/// All commands with what they do, for `/help`.
pub const COMMANDS: [(&str, &str); 22] = [
    (
        "/msg WHO TEXT",
        "send a message; WHO is an address, or the beginning of a contact's name",
    ),
    (
        "/to WHO",
        "talk to WHO, or in conversation #1: what you type goes there from now on",
    ),
    ("/invite WHO", "bring WHO into the conversation"),
    ("/members", "show who is in the conversation"),
    ("/leave", "leave the conversation of several people"),
    ("/conversations", "show the conversations of several people"),
    ("/contacts", "show the contact list"),
    (
        "/find WORDS",
        "look for people by name, address, title or telephone number",
    ),
    ("/who WHO", "show who somebody is"),
    (
        "/add ADDRESS [GROUP]",
        "add somebody to the contact list; after /find, the number is enough",
    ),
    ("/remove WHO", "remove somebody from the contact list"),
    ("/groups", "show the groups of the contact list"),
    (
        "/group …",
        "add NAME, rename NAME NEW, delete NAME; put, take or move WHO NAME",
    ),
    (
        "/level WHO LEVEL",
        "what WHO may see: personal, team, colleague, public, blocked, or reset",
    ),
    (
        "/block WHO",
        "WHO sees you off line and cannot write to you; /unblock WHO",
    ),
    (
        "/status STATUS",
        "available, busy, do-not-disturb, be-right-back, away, or reset",
    ),
    (
        "/note TEXT",
        "set the note above your name; without a text it is removed",
    ),
    (
        "/history WHO",
        "show the last messages with WHO; without, those of this conversation",
    ),
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
            "find" | "f" => needs(Self::Find, "/find WORDS"),
            "who" | "whois" => needs(Self::Who, "/who WHO"),
            "add" => match rest.split_once(char::is_whitespace) {
                Some((address, group)) => Self::Add {
                    address,
                    group: group.trim().trim_matches('"'),
                },
                None if rest.is_empty() => Self::Wrong("Type /add ADDRESS.".to_owned()),
                None => Self::Add {
                    address: rest,
                    group: "",
                },
            },
            "groups" => Self::Groups,
            "group" => match GroupCommand::parse(rest) {
                Some(change) => Self::Group(change),
                None => Self::Wrong(GROUP_USAGE.to_owned()),
            },
            "level" => match rest.rsplit_once(char::is_whitespace) {
                Some((who, level)) => Self::Level {
                    who: who.trim(),
                    level,
                },
                None => Self::Wrong("Type /level WHO LEVEL.".to_owned()),
            },
            "block" => needs(Self::Block, "/block WHO"),
            "unblock" => needs(Self::Unblock, "/unblock WHO"),
            "invite" => needs(Self::Invite, "/invite WHO"),
            "conversations" => Self::Conversations,
            "members" => Self::Members,
            "leave" => Self::Leave,
            "remove" => needs(Self::Remove, "/remove WHO"),
            "history" => Self::History(rest),
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
    fn names_of_groups_may_have_spaces_in_quotes() {
        assert_eq!(
            Command::parse("/group rename \"Old friends\" Team"),
            Command::Group(GroupCommand::Rename {
                name: "Old friends".to_owned(),
                to: "Team".to_owned()
            })
        );
        assert_eq!(
            Command::parse("/group put bob \"Team Süd\""),
            Command::Group(GroupCommand::Put {
                who: "bob".to_owned(),
                name: "Team Süd".to_owned()
            })
        );
        assert_eq!(
            Command::parse("/add bob@contoso.test \"Team Süd\""),
            Command::Add {
                address: "bob@contoso.test",
                group: "Team Süd"
            }
        );
        for wrong in [
            "/group",
            "/group add",
            "/group add \"open",
            "/group add a b",
            "/group dance a b",
        ] {
            assert_eq!(
                Command::parse(wrong),
                Command::Wrong(GROUP_USAGE.to_owned()),
                "{wrong}"
            );
        }
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
