// SPDX-License-Identifier: MIT OR Apache-2.0
//! Conversations of several people, groups and levels in the interactive session.

use lanyard_client::agent::protocol::Intent;
use lanyard_client::view::{AccessLevel, ContactView, ConversationView, MemberView, MessageView};
use lanyard_client::{Fault, Problem, SignInAddress};

use super::commands::GroupCommand;
use super::session::{Partner, Terminal};
use crate::output;
use crate::verbs::groups::RESET;
use crate::verbs::talk::names;

/// Names of a conversation that the prompt shows before it counts the others.
const NAMES_SHOWN_MAX: usize = 3;

impl Terminal {
    /// What is typed goes there from now on.
    pub(super) fn talk_to(&mut self, partner: Partner) {
        self.told_typing = None;
        self.partner = Some(partner);
    }

    /// Who is meant by `/to`: a person, or a conversation by its number.
    pub(super) fn partner_of(&mut self, typed: &str) -> Option<Partner> {
        let Some(number) = typed.strip_prefix('#') else {
            return self.who(typed).map(Partner::Person);
        };
        let place = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let found = place.and_then(|place| self.conversations.get(place));
        match found.filter(|one| !one.ended) {
            Some(one) => Some(Partner::Conversation(one.id.clone())),
            None => {
                self.say(&Problem::new(Fault::ConversationUnknown).to_string());
                None
            }
        }
    }

    /// A conversation of several began, changed or ended.
    pub(super) fn conversation(&mut self, view: ConversationView) {
        let place = self.conversations.iter().position(|one| one.id == view.id);
        let before = match place.and_then(|place| self.conversations.get_mut(place)) {
            Some(known) => std::mem::replace(known, view.clone()),
            None if view.ended => return,
            None => {
                self.conversations.push(view.clone());
                return self.conversation_began(&view);
            }
        };
        if view.ended {
            let here = Partner::Conversation(view.id.clone());
            if self.partner.as_ref() == Some(&here) {
                self.partner = None;
            }
            let others = if before.members.is_empty() {
                &view
            } else {
                &before
            };
            let left = self.leaving.take_if(|id| *id == view.id).is_some();
            return self.tell(&if left {
                format!("You have left the conversation with {}.", names(others))
            } else {
                format!("The conversation with {} has ended.", names(others))
            });
        }
        let missing = |from: &[MemberView], of: &[MemberView]| -> Vec<String> {
            let gone = of.iter().filter(|one| {
                let same = |other: &MemberView| other.address == one.address;
                !from.iter().any(same)
            });
            gone.map(|one| one.name.clone()).collect()
        };
        for name in missing(&before.members, &view.members) {
            self.tell(&format!("{name} has joined the conversation."));
        }
        for name in missing(&view.members, &before.members) {
            self.tell(&format!("{name} has left the conversation."));
        }
    }

    fn conversation_began(&mut self, view: &ConversationView) {
        let number = self.conversations.len();
        let with = names(view);
        if self.partner.is_none() || std::mem::take(&mut self.inviting) {
            self.talk_to(Partner::Conversation(view.id.clone()));
            self.tell(&format!("You are in a conversation with {with}."));
        } else {
            self.tell(&format!(
                "You are in a conversation with {with}. Type /to #{number} to talk there."
            ));
        }
    }

    fn tell(&mut self, words: &str) {
        let text = self.screen.style.quiet(&output::printable(words));
        self.screen.line(&text);
    }

    /// The names in a conversation, as many as fit a prompt.
    pub(super) fn names_in(&self, id: &str) -> String {
        let found = self.conversations.iter().find(|one| one.id == id);
        let Some(found) = found else {
            return "several".to_owned();
        };
        let mut shown: Vec<String> = found
            .members
            .iter()
            .take(NAMES_SHOWN_MAX)
            .map(|one| output::printable(&one.name))
            .collect();
        let more = found.members.len().saturating_sub(shown.len());
        if more > 0 {
            shown.push(format!("{more} more"));
        }
        shown.join(", ")
    }

    /// Who wrote a message, and to whom where that is not this person alone.
    pub(super) fn who_to_whom(&self, message: &MessageView) -> String {
        let name = self.name_in(message);
        let Some(id) = &message.conversation else {
            return if message.mine {
                format!("you → {name}")
            } else {
                name
            };
        };
        if message.mine {
            return format!("you → {}", self.names_in(id));
        }
        let found = self.conversations.iter().find(|one| one.id == *id);
        let members = found.map(|one| one.members.as_slice()).unwrap_or_default();
        let others = members.iter().filter(|one| one.address != message.with);
        let others: Vec<&str> = others.map(|one| one.name.as_str()).collect();
        if others.is_empty() {
            format!("{name} → you")
        } else {
            format!("{name} → you, {}", others.join(", "))
        }
    }

    pub(super) fn say_in(&mut self, conversation: String, text: &str) {
        self.told_typing = None;
        let text = text.to_owned();
        // A failure to deliver is shown below the message.
        let ui = self.ui.clone();
        self.face
            .post(Intent::Say { conversation, text }, move |result| {
                if let Err(problem) = result
                    && !problem.is(Fault::MessageNotDelivered)
                {
                    let _ = ui.send(super::session::Ui::Failed(problem));
                }
            });
    }

    pub(super) fn invite(&mut self, typed: &str) {
        let Some(partner) = self.partner.clone() else {
            return self.say("Say first whom you talk to: /to WHO.");
        };
        let Some(address) = self.who(typed) else {
            return;
        };
        let (conversation, with) = match partner {
            Partner::Conversation(id) => (Some(id), None),
            Partner::Person(with) => {
                self.inviting = true;
                (None, Some(with))
            }
        };
        self.post(Intent::Invite {
            address,
            conversation,
            with,
        });
    }

    pub(super) fn leave(&mut self) {
        match self.partner.clone() {
            Some(Partner::Conversation(conversation)) => {
                self.leaving = Some(conversation.clone());
                self.post(Intent::Leave { conversation });
            }
            _ => self.say(
                "You talk to one person. /close leaves Lanyard; /to WHO talks to somebody else.",
            ),
        }
    }

    pub(super) fn show_who(&mut self) {
        let Some(Partner::Conversation(id)) = self.partner.clone() else {
            let words = match self.partner.clone() {
                Some(Partner::Person(who)) => format!("You talk to {}.", self.name(&who)),
                _ => "You talk to nobody. Type /to WHO.".to_owned(),
            };
            return self.say(&words);
        };
        let found = self.conversations.iter().find(|one| one.id == id);
        let members = found.map(|one| one.members.clone()).unwrap_or_default();
        for member in members {
            let known = self.contacts.get(&member.address);
            let badge = known.map(|contact| self.screen.style.badge(contact.availability));
            let badge = badge.unwrap_or_else(|| " ".to_owned());
            let name = self.screen.style.strong(&output::printable(&member.name));
            let address = self.screen.style.quiet(member.address.as_str());
            self.screen.line(&format!("{badge} {name}  {address}"));
        }
    }

    pub(super) fn show_conversations(&mut self) {
        let lines: Vec<String> = self
            .conversations
            .iter()
            .enumerate()
            .filter(|(_, one)| !one.ended)
            .map(|(place, one)| format!("#{}  {}", place.saturating_add(1), names(one)))
            .collect();
        if lines.is_empty() {
            return self.say("No conversations of several people. /invite WHO makes one of this.");
        }
        for line in lines {
            self.screen.line(&output::printable(&line));
        }
    }

    pub(super) fn show_history(&mut self) {
        match self.partner.clone() {
            Some(Partner::Person(with)) => self.post(Intent::History { with }),
            Some(Partner::Conversation(conversation)) => {
                self.post(Intent::ConversationHistory { conversation });
            }
            None => self.say("Type /history WHO."),
        }
    }

    pub(super) fn show_groups(&mut self) {
        if self.groups.is_empty() {
            return self.say("No groups yet. Make one: /group add NAME");
        }
        for group in self.groups.clone() {
            let within = |one: &&ContactView| one.groups.contains(&group);
            let count = self.contacts.values().filter(within).count();
            let name = self.screen.style.strong(&output::printable(&group));
            let count = self.screen.style.quiet(&count.to_string());
            self.screen.line(&format!("{name}  {count}"));
        }
    }

    pub(super) fn add(&mut self, address: SignInAddress, group: &str) {
        let words = if group.is_empty() {
            format!("{address} is in your contact list now.")
        } else {
            format!("{address} is in your contact list now, in “{group}”.")
        };
        let intent = Intent::AddContact {
            address,
            name: String::new(),
            group: Some(group.to_owned()).filter(|group| !group.is_empty()),
        };
        self.post_and_tell(intent, words);
    }

    pub(super) fn change_groups(&mut self, change: GroupCommand) {
        let done = match change {
            GroupCommand::Add { name } => {
                let words = format!("There is a group “{name}” now.");
                Some((Intent::AddGroup { group: name }, words))
            }
            GroupCommand::Delete { name } => {
                let words = format!("“{name}” is gone; its contacts are still in your list.");
                Some((Intent::DeleteGroup { group: name }, words))
            }
            GroupCommand::Rename { name, to } => {
                let words = format!("“{name}” is called “{to}” now.");
                Some((Intent::RenameGroup { group: name, to }, words))
            }
            GroupCommand::Put { who, name } => self.who(&who).map(|address| {
                let words = format!("{} is in “{name}” now.", self.name(&address));
                let group = name;
                (Intent::AddToGroup { address, group }, words)
            }),
            GroupCommand::Take { who, name } => self.who(&who).map(|address| {
                let words = format!("{} is no longer in “{name}”.", self.name(&address));
                let group = name;
                (Intent::RemoveFromGroup { address, group }, words)
            }),
            GroupCommand::Move { who, name } => self.who(&who).map(|address| {
                let who = self.name(&address);
                let words = format!("{who} is in “{name}” now and in no other group.");
                let group = name;
                (Intent::MoveToGroup { address, group }, words)
            }),
        };
        if let Some((intent, words)) = done {
            self.post_and_tell(intent, words);
        }
    }

    pub(super) fn set_level(&mut self, who: &str, word: &str) {
        let level = AccessLevel::from_typed(word);
        if level.is_none() && word != RESET {
            return self.say(&Problem::new(Fault::LevelUnknown).to_string());
        }
        if let Some(address) = self.who(who) {
            let name = self.name(&address);
            let words = match level {
                Some(AccessLevel::Blocked) => format!("{name} sees you off line from now on."),
                Some(level) => format!("{name} is at the level “{}”.", level.word()),
                None => format!("{name} sees what everybody of their organisation sees."),
            };
            self.post_and_tell(Intent::SetLevel { address, level }, words);
        }
    }

    pub(super) fn unblock(&mut self, who: &str) {
        let Some(address) = self.who(who) else {
            return;
        };
        let known = self.contacts.get(&address);
        // Somebody who is at another level keeps it.
        if known.is_some_and(|one| one.level.is_some_and(|level| level != AccessLevel::Blocked)) {
            return self.say(&format!("{} is not blocked.", self.name(&address)));
        }
        let words = format!("{} is not blocked any more.", self.name(&address));
        let level = None;
        self.post_and_tell(Intent::SetLevel { address, level }, words);
    }

    pub(super) fn post_and_tell(&self, intent: Intent, words: String) {
        let ui = self.ui.clone();
        self.face.post(intent, move |result| {
            let said = match result {
                Ok(_) => super::session::Ui::Told(words),
                Err(problem) => super::session::Ui::Failed(problem),
            };
            let _ = ui.send(said);
        });
    }
}
